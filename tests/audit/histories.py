"""Random histories, as the ledger would accept them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from gigaledger.common.quantities import date_to_message
from gigaledger.ledger.domain.refusals import Refused
from gigaledger.v1.common_pb2 import AssertionStatus
from gigaledger.v1.events_pb2 import Event, RecordedEvent
from hypothesis import strategies as st

from tests.facts import (
    START,
    called,
    certified,
    claimed,
    credited,
    definitive,
    fact,
    funded,
    invoiced,
    issued,
    letter_of_intent,
    money,
    number,
    paid,
    parties,
    placed,
    tax,
    terms,
)
from tests.projections.log import Log
from tests.rules.test_properties import CENTS, FACTS, NUMBERS, POWER, UNITS

IT = "POWER_BASIS_IT_CRITICAL_LOAD"
CONDITIONS = st.sampled_from(
    [
        [],
        [{"type": "CONDITION_TYPE_CAPACITY_CERTIFIED", "power_kw": 700_000}],
        [{"type": "CONDITION_TYPE_AGREEMENT_EXECUTED"}],
        [{"type": "CONDITION_TYPE_DATE_REACHED", "date": {"year": 2026, "month": 3, "day": 1}}],
        [{"type": "CONDITION_TYPE_IPO_FILED", "description": "filed"}],
    ]
)
LADDERS = st.lists(st.tuples(CENTS, CONDITIONS), max_size=3).map(
    lambda steps: [
        {"number": at, "amount": money(amount), "conditions": conditions}
        for at, (amount, conditions) in enumerate(steps, start=1)
    ]
)
COMMITMENTS = st.one_of(
    st.just({}),
    st.just({"investment_commitment": None, "investment_undisclosed": True}),
    CENTS.map(
        lambda amount: {
            "investment_commitment": money(amount * 3),
            "contingent_commitment": money(amount),
        }
    ),
)


def _terms(commitment: dict[str, Any], ladder: list[Any], **changes: Any) -> dict[str, Any]:
    stated = terms(tranches=ladder, **commitment, **changes)
    return {name: value for name, value in stated.items() if value is not None}


TERMS = st.builds(
    _terms,
    COMMITMENTS,
    LADDERS,
    latching=st.booleans(),
    binding=st.booleans(),
    expiry_date=st.sampled_from([None, {"year": 2026, "month": 6, "day": 30}]),
    power_kw=st.sampled_from([0, 2_000_000]),
)
POINTS = st.lists(POWER, min_size=1, max_size=3).map(
    lambda powers: [
        {"by_date": {"year": 2026 + at, "month": 6, "day": 30}, "cumulative_power_kw": kw}
        for at, kw in enumerate(sorted(powers))
    ]
)
LINES = st.sampled_from(
    [
        {"unit_price": money(333)},
        {"amount": money(100_003)},
        {"amount_undisclosed": True},
        {"unit_price": money(7, "EUR")},
    ]
)
MORE = st.one_of(
    TERMS.map(lambda t: fact("agreement_amended", agreement="AGR", amendment=1, terms=t)),
    st.builds(
        lambda t, old: fact(
            "definitive_agreement_executed", agreement="NEW", terms=t, supersedes=old
        ),
        TERMS,
        st.sampled_from([[], ["AGR"]]),
    ),
    st.just(
        fact(
            "agreement_novated",
            agreement="AGR",
            role="ROLE_INVESTOR",
            from_party="SUP",
            to_party="THIRD",
        )
    ),
    st.builds(
        lambda points, kind, agreement: fact(kind, agreement=agreement, points=points),
        POINTS,
        st.sampled_from(["deployment_schedule_baselined", "deployment_schedule_revised"]),
        st.sampled_from(["AGR", "NEW"]),
    ),
    st.builds(
        lambda kw, layer, site: claimed(
            kw, milestone="M2", capacity_layer=layer, site=site, platform="RUBIN"
        ),
        POWER,
        st.sampled_from(["CAPACITY_LAYER_HOSTING", "CAPACITY_LAYER_UNSPECIFIED"]),
        st.sampled_from(["", "SITE-A"]),
    ),
    st.builds(lambda kw: certified(kw, "CERT-9", milestone="M2"), POWER),
    st.builds(
        lambda kind, kw: fact(kind, agreement="AGR", milestone="M1", power_kw=kw, power_basis=IT),
        st.sampled_from(
            ["capacity_retired", "capacity_claim_rejected", "capacity_milestone_planned"]
        ),
        POWER,
    ),
    POWER.map(lambda kw: fact("site_energised", site="SITE-A", power_kw=kw, power_basis=IT)),
    st.builds(
        lambda kw: fact(
            "rack_sku_rated",
            sku="R",
            rated_power_kw_numerator=kw,
            rated_power_kw_denominator=53,
            power_basis=IT,
            gpu_count=72,
            gpu_basis="GPU_BASIS_PACKAGE",
        ),
        UNITS,
    ),
    st.builds(
        lambda q, line: placed(
            lines=[{"line": 1, "sku": "R", "quantity": q, **line}], purchase_order="PO-2"
        ),
        UNITS,
        LINES,
    ),
    st.builds(lambda q: fact("goods_received", purchase_order="PO-2", line=1, quantity=q), UNITS),
    st.builds(lambda a: invoiced(a, "INV-9", purchase_order="PO-2"), CENTS),
    st.builds(
        lambda net, rate, n, back: invoiced(
            net + net * rate // 100,
            f"INV-T{n}",
            lines=[{"line": 1, "order_line": 1, "quantity": 1, "amount": money(net)}],
            taxes=[tax(net, net * rate // 100, str(rate), recoverable=back)],
        ),
        *(CENTS, st.integers(0, 30), NUMBERS, st.booleans()),
    ),
    st.builds(
        lambda net, taken, n: credited(
            net + taken, f"CN-T{n}", invoice=f"INV-T{n}", taxes=[tax(net, taken)]
        ),
        *(CENTS, CENTS, NUMBERS),
    ),
    st.builds(lambda a: paid(a, "PAY-9", purchase_order="PO-2", invoice=""), CENTS),
    st.builds(
        lambda a: fact(
            "prepayment_made",
            purchase_order="PO-1",
            payment="PRE-1",
            payer="CUS",
            payee="SUP",
            amount=money(a),
        ),
        CENTS,
    ),
    st.builds(lambda a: called(a, "CALL-9", tranches=[1, 2]), CENTS),
    st.builds(
        lambda a, form, tranches: funded(a, "FUND-9", form=form, call="CALL-9", tranches=tranches),
        CENTS,
        st.sampled_from(["CONTRIBUTION_FORM_CASH", "CONTRIBUTION_FORM_NON_CASH"]),
        st.sampled_from([[], [1], [3, 1]]),
    ),
    st.just(
        fact(
            "capital_contribution_funded",
            agreement="AGR",
            contribution="FUND-U",
            payer="SUP",
            payee="CUS",
            amount_undisclosed=True,
        )
    ),
    st.builds(lambda s: issued(str(s), "SEC-9", tranches=[1, 2]), UNITS),
    st.builds(
        lambda s, n: fact(
            "shares_repurchased",
            agreement="AGR",
            security=f"SEC-{n}",
            shares=number(str(s)),
            amount=money(s * 500),
        ),
        UNITS,
        NUMBERS,
    ),
    st.builds(
        lambda s: fact(
            "shares_transferred",
            agreement="AGR",
            security="SEC-1",
            from_party="SUP",
            to_party="CUS",
            shares=number(str(s)),
        ),
        UNITS,
    ),
    st.builds(
        lambda party, group: fact("group_membership_changed", party=party, group=group),
        st.sampled_from(["SUP", "CUS"]),
        st.sampled_from(["G1", "G2"]),
    ),
    st.builds(
        lambda a, ends, n: paid(
            a, f"PAY-T{n}", purchase_order="", invoice="", payer=ends[0], payee=ends[1]
        ),
        CENTS,
        st.permutations(["SUP", "CUS", "THIRD"]),
        NUMBERS,
    ),
    st.just(fact("tranche_condition_satisfied", agreement="AGR", tranche=1, condition=1)),
)
STATUSES = [
    AssertionStatus.ASSERTION_STATUS_FACT,
    AssertionStatus.ASSERTION_STATUS_PLAN,
    AssertionStatus.ASSERTION_STATUS_REPORTED,
]


def _dated(event: Event, days: int, status: AssertionStatus.ValueType) -> Event:
    changed = Event()
    changed.CopyFrom(event)
    if event.WhichOneof("fact") != "entry_reversed":
        changed.effective_date.CopyFrom(date_to_message(START + dt.timedelta(days=days)))
        changed.assertion_status = status
    return changed


EVENTS = st.builds(_dated, st.one_of(FACTS, MORE), st.integers(-40, 400), st.sampled_from(STATUSES))


@st.composite
def histories(draw: st.DrawFn) -> list[RecordedEvent]:
    """A history of up to some fifty events; what the ledger refuses is not in it."""
    log = Log()
    log.append(*parties("SUP", "CUS", "THIRD"))
    log.append(draw(st.sampled_from([definitive(), letter_of_intent()])), placed(), claimed())
    for event in draw(st.lists(EVENTS, min_size=15, max_size=60)):
        try:
            log.append(event)
        except Refused:
            continue
    return log.events

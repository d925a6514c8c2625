"""Whatever is asked of a book, what it accepts keeps every invariant, and folds alike."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from enum import Enum
from typing import Any

from gigaledger.ledger.domain.entries import Entry
from gigaledger.ledger.domain.folding import apply, fold
from gigaledger.ledger.domain.refusals import Refused
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.facts import (
    authorised,
    called,
    cancelled,
    certified,
    claimed,
    credited,
    definitive,
    fact,
    funded,
    invoiced,
    issued,
    money,
    number,
    paid,
    parties,
    placed,
    received,
    refunded,
    reversed_entry,
)
from tests.hypothesis_profiles import examples
from tests.rules.ledger import MemoryLedger
from tests.rules.refusals import NOW

NUMBERS = st.integers(1, 2)
UNITS = st.integers(1, 60)
CENTS = st.integers(1, 60_000)
POWER = st.integers(1, 1_500_000)
FACTS = st.one_of(
    UNITS.map(received),
    UNITS.map(cancelled),
    st.builds(
        lambda delta: fact(
            "purchase_order_amended", purchase_order="PO-1", line=1, quantity_delta=delta
        ),
        st.integers(-60, 60).filter(bool),
    ),
    st.builds(lambda q: fact("goods_returned", purchase_order="PO-1", line=1, quantity=q), UNITS),
    st.builds(lambda a, n: invoiced(a, f"INV-{n}"), CENTS, NUMBERS),
    st.builds(lambda a, n: credited(a, f"CN-{n}"), CENTS, NUMBERS),
    st.builds(lambda a, n: paid(a, f"PAY-{n}"), CENTS, NUMBERS),
    st.builds(lambda a, n: refunded(a, f"REF-{n}"), CENTS, NUMBERS),
    POWER.map(claimed),
    st.builds(lambda p, n: certified(p, f"CERT-{n}"), POWER, NUMBERS),
    st.builds(
        lambda p: fact(
            "capacity_certification_reversed",
            agreement="AGR",
            certificate="CERT-1",
            power_kw=p,
            power_basis="POWER_BASIS_IT_CRITICAL_LOAD",
        ),
        POWER,
    ),
    st.builds(lambda a, n: called(a * 3, f"CALL-{n}"), CENTS, NUMBERS),
    st.builds(lambda a, n: funded(a, f"FUND-{n}"), CENTS, NUMBERS),
    st.builds(
        lambda a: fact(
            "capital_returned",
            agreement="AGR",
            contribution="FUND-1",
            payer="CUS",
            payee="SUP",
            amount=money(a),
        ),
        CENTS,
    ),
    st.builds(lambda s, n: issued(str(s), f"SEC-{n}"), UNITS, NUMBERS),
    st.builds(
        lambda s: fact(
            "equity_issuance_rescinded",
            agreement="AGR",
            security="SEC-1",
            shares=number(str(s)),
            amount=money(s * 500),
        ),
        UNITS,
    ),
    UNITS.map(lambda s: authorised(str(s))),
    st.integers(2, 40).map(reversed_entry),
    st.sampled_from(["agreement_terminated", "agreement_expired"]).map(
        lambda kind: fact(kind, agreement="AGR")
    ),
)
STEPS = st.lists(st.lists(FACTS, min_size=1, max_size=3), max_size=40)
OPENING = [*parties("SUP", "CUS"), definitive(), placed(), claimed()]


def opened() -> MemoryLedger:
    """A ledger with an agreement and an order."""
    ledger = MemoryLedger(NOW)
    ledger.append(*OPENING)
    return ledger


def streams_of(ledger: MemoryLedger) -> dict[str, list[Entry]]:
    """Each stream with its entries and those linked to it."""
    found: dict[str, list[Entry]] = {}
    for accepted in ledger.book.pending:
        for stream in accepted.streams:
            found.setdefault(stream, []).append(accepted.entry)
    return found


def contents(value: Any) -> Any:
    """A state as plain values, to compare."""
    if isinstance(value, Enum | Decimal | dt.date):
        return value
    if hasattr(value, "__slots__") and not hasattr(value, "DESCRIPTOR") and value.__slots__:
        return {name: contents(getattr(value, name)) for name in value.__slots__}
    if hasattr(value, "__dict__"):
        return {name: contents(item) for name, item in vars(value).items()}
    if isinstance(value, dict):
        return {name: contents(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [contents(item) for item in value]
    return value


@settings(max_examples=examples(60), deadline=None)
@given(STEPS)
def test_no_sequence_of_requests_breaks_an_invariant(steps: list[list[Any]]) -> None:
    ledger = opened()
    for step in steps:
        head = ledger.book.position
        try:
            ledger.append(*step)
        except Refused:
            assert ledger.book.position == head

        for stream in streams_of(ledger):
            assert list(ledger.book.state(stream).invariants()) == []
    entries = ledger.entries
    assert [entry.position for entry in entries] == list(range(1, len(entries) + 1))


@settings(max_examples=examples(40), deadline=None)
@given(STEPS, st.data())
def test_states_are_folds_of_what_is_recorded(steps: list[list[Any]], data: st.DataObject) -> None:
    """The states behind decisions equal those of a new fold, and of a fold in two parts."""
    ledger = opened()
    for step in steps:
        try:
            ledger.append(*step)
        except Refused:
            continue

    for stream, entries in streams_of(ledger).items():
        whole = contents(fold(stream, entries))
        assert contents(ledger.book.state(stream)) == whole
        reversals = {e.fact.position for e in entries if e.kind == "entry_reversed"}
        standing = [
            e for e in entries if e.kind != "entry_reversed" and e.position not in reversals
        ]
        cut = data.draw(st.integers(0, len(standing)))
        state = fold(stream, standing[:cut])
        for entry in standing[cut:]:
            apply(state, entry, stream)
        assert contents(state) == whole


@settings(max_examples=examples(40), deadline=None)
@given(STEPS)
def test_a_refused_request_changes_no_later_decision(steps: list[list[Any]]) -> None:
    """A book that refused requests decides as one that never received them."""
    asked, spared = opened(), opened()
    for step in steps:
        try:
            asked.append(*step)
        except Refused:
            continue
        spared.append(*step)

    assert [e.event for e in asked.entries] == [e.event for e in spared.entries]
    assert [e.version for e in asked.entries] == [e.version for e in spared.entries]

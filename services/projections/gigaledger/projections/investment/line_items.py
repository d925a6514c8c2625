"""What events add to the figures of investment that are sums."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from gigaledger.projections.engine.snapshot import Snapshot
from gigaledger.projections.engine.statements import statement
from gigaledger.projections.shared.agreement_terms import Agreements, read_agreements
from gigaledger.projections.shared.amounts import units
from gigaledger.projections.shared.figure_diff import FigureKey
from gigaledger.projections.shared.line_items import Contribution, FigureFilter

_CERTIFIED = statement("""
    SELECT position, recorded_time, effective_date, assertion_status, agreement, power_basis,
           power_kw, '' AS document
    FROM investment_certified WHERE {counted} ORDER BY position, item
""")

_CAPITAL = statement("""
    SELECT position, recorded_time, effective_date, assertion_status, measure, agreement, currency,
           amount_minor, coalesce(nullif(contribution, ''), call_notice) AS document
    FROM investment_capital WHERE {counted} ORDER BY position, item
""")

_SHARES = statement("""
    SELECT position, recorded_time, effective_date, assertion_status, measure, agreement, currency,
           amount_minor, shares, security AS document
    FROM investment_shares WHERE {counted} ORDER BY position, item
""")

_CAPITAL_SIGNS = {
    "CALLED": {"called": 1},
    "FUNDED_CASH": {"funded_gross_cash": 1, "funded": 1},
    "FUNDED_NON_CASH": {"funded_gross_non_cash": 1, "funded": 1},
    "RETURNED": {"returned": 1, "funded": -1},
}
_AMOUNT_SIGNS = {
    "ISSUED": {"issued": 1},
    "RESCINDED": {"issued": -1},
    "REPURCHASED": {},
    "TRANSFERRED": {"secondary": 1},
}
_SHARE_SIGNS = {"ISSUED": 1, "RESCINDED": -1, "REPURCHASED": -1}

_CERTIFIED_KW = "investment.certified_kw"
_OUTSTANDING = "investment.shares_outstanding"
SUMS = frozenset(
    {
        _CERTIFIED_KW,
        _OUTSTANDING,
        *(
            f"investment.{name}"
            for signs in (*_CAPITAL_SIGNS.values(), *_AMOUNT_SIGNS.values())
            for name in signs
        ),
    }
)
"""Figures that are sums of contributions. Entitlement depends on `investment.certified_kw`."""

INPUTS = {
    "investment.entitled": (_CERTIFIED_KW,),
    "investment.entitled_pro_rata": (_CERTIFIED_KW,),
    "investment.remaining_commitment": ("investment.funded",),
    "investment.available_to_call": (_CERTIFIED_KW, "investment.called"),
    "investment.unfunded_entitlement": (_CERTIFIED_KW, "investment.funded"),
    "investment.overfunded": (_CERTIFIED_KW, "investment.funded"),
    "investment.average_price": ("investment.issued", _OUTSTANDING),
}
"""Figures that a rule makes, and the sums that go into them."""


async def contributions(snapshot: Snapshot, wanted: FigureFilter) -> list[Contribution]:
    """Return what each event adds to some of the sums."""
    agreements = await read_agreements(snapshot, "investment_terms")
    found: list[Contribution] = []
    for row in await snapshot.rows(_CERTIFIED):
        about = (("agreement", row["agreement"]), ("power_basis", row["power_basis"]))
        key = FigureKey(_CERTIFIED_KW, about)
        found.append(Contribution.of(row, key, Decimal(row["power_kw"]), "kW"))
    for row in await snapshot.rows(_CAPITAL):
        found += _amounts(row, agreements, _CAPITAL_SIGNS[row["measure"]])
    for row in await snapshot.rows(_SHARES):
        found += _amounts(row, agreements, _AMOUNT_SIGNS[row["measure"]])
        sign = _SHARE_SIGNS.get(row["measure"])
        if sign is not None:
            shares: Decimal = row["shares"] if sign > 0 else row["shares"].copy_negate()
            key = FigureKey(_OUTSTANDING, _about(row, agreements))
            found.append(Contribution.of(row, key, shares, "shares"))
    return wanted.of(found)


def _about(row: dict[str, Any], agreements: Agreements) -> tuple[tuple[str, str], ...]:
    history = agreements.known.get(row["agreement"])
    currency = row["currency"] or (
        history.terms_on(row["effective_date"]).currency if history else ""
    )
    return ("agreement", row["agreement"]), ("currency_code", currency)


def _amounts(
    row: dict[str, Any], agreements: Agreements, signs: dict[str, int]
) -> Iterator[Contribution]:
    about = _about(row, agreements)
    currency, minor = about[1][1], row["amount_minor"]
    for name, sign in signs.items():
        amount = None if minor is None else units(sign * minor, currency)
        yield Contribution.of(row, FigureKey(f"investment.{name}", about), amount, currency)

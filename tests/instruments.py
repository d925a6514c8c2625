"""Builders of facts about warrants, vehicles, debt, leases and support."""

from __future__ import annotations

import datetime as dt
from typing import Any

from gigaledger.v1.events_pb2 import Event

from tests.facts import day, fact, money, number

DELIVERED = {"type": "CONDITION_TYPE_CAPACITY_DELIVERED", "power_kw": 1_000_000}
APPROVED = {"type": "CONDITION_TYPE_OTHER_DOCUMENTED", "description": "commercial condition"}
EXPIRY = dt.date(2026, 12, 31)
VESTING, EXERCISE = "WARRANT_GATE_VESTING", "WARRANT_GATE_EXERCISE"


def granted(**fields: Any) -> Event:
    """CUS can buy 100 shares of SUP at USD 0.50: 60 of them after a delivery, 40 at any time."""
    return fact(
        "warrant_issued",
        **{
            "warrant": "W",
            "issuer": "SUP",
            "holder": "CUS",
            "shares": number("100"),
            "exercise_price": number("0.50"),
            "exercise_cost": money(5_000),
            "tranches": [
                {
                    "number": 1,
                    "shares": number("60"),
                    "vesting_conditions": [DELIVERED],
                    "exercise_conditions": [APPROVED],
                },
                {"number": 2, "shares": number("40")},
            ],
            "expiry_date": day(EXPIRY),
            **fields,
        },
    )


def satisfied(gate: str = VESTING, **fields: Any) -> Event:
    """The first condition of tranche 1 is met."""
    return fact(
        "warrant_condition_satisfied",
        **{"warrant": "W", "tranche": 1, "gate": gate, "condition": 1, **fields},
    )


def vested(shares: str, tranche: int = 1, **fields: Any) -> Event:
    """Shares of a tranche vest."""
    return fact(
        "warrant_tranche_vested",
        **{"warrant": "W", "tranche": tranche, "shares": number(shares), **fields},
    )


def exercised(shares: str, exercise: str = "EX-1", **fields: Any) -> Event:
    """The holder exercises the warrant."""
    return fact(
        "warrant_exercised",
        **{"warrant": "W", "exercise": exercise, "shares": number(shares), **fields},
    )


def lapsed(tranche: int = 0) -> Event:
    """The rest of the warrant lapses."""
    return fact("warrant_lapsed", warrant="W", tranche=tranche)


def formed(**fields: Any) -> Event:
    """THIRD becomes a vehicle."""
    return fact("spv_formed", **{"vehicle": "THIRD", **fields})


def contributed(amount_minor: int = 100, contribution: str = "EQ-1", **fields: Any) -> Event:
    """SUP pays equity into the vehicle."""
    return fact(
        "spv_equity_contributed",
        **{
            "vehicle": "THIRD",
            "contribution": contribution,
            "payer": "SUP",
            "amount": money(amount_minor),
            **fields,
        },
    )


def distributed(amount_minor: int = 100, distribution: str = "DIST-1", **fields: Any) -> Event:
    """The vehicle pays SUP."""
    return fact(
        "distribution_paid",
        **{
            "vehicle": "THIRD",
            "distribution": distribution,
            "payee": "SUP",
            "amount": money(amount_minor),
            **fields,
        },
    )


def drawn(amount_minor: int = 100, drawing: str = "DRAW-1", **fields: Any) -> Event:
    """THIRD borrows from SUP."""
    return fact(
        "debt_drawn",
        **{
            "debt": "D",
            "drawing": drawing,
            "lender": "SUP",
            "borrower": "THIRD",
            "amount": money(amount_minor),
            **fields,
        },
    )


def repaid(amount_minor: int = 100, repayment: str = "REPAY-1", **fields: Any) -> Event:
    """THIRD repays SUP."""
    return fact(
        "debt_repaid",
        **{"debt": "D", "repayment": repayment, "amount": money(amount_minor), **fields},
    )


def leased(**fields: Any) -> Event:
    """THIRD leases to CUS for USD 10.00."""
    return fact(
        "lease_commenced",
        **{"lease": "L", "lessor": "THIRD", "lessee": "CUS", "amount": money(1_000), **fields},
    )


def rent(amount_minor: int = 100, payment: str = "RENT-1", **fields: Any) -> Event:
    """CUS pays rent."""
    return fact(
        "lease_payment_settled",
        **{
            "lease": "L",
            "payment": payment,
            "payer": "CUS",
            "payee": "THIRD",
            "amount": money(amount_minor),
            **fields,
        },
    )


def backstopped(**fields: Any) -> Event:
    """SUP commits to buy what CUS cannot sell."""
    return fact(
        "backstop_granted",
        **{
            "backstop": "B",
            "grantor": "SUP",
            "beneficiary": "CUS",
            "amount": money(1_000),
            **fields,
        },
    )


def bought_unsold(amount_minor: int = 100, payment: str = "UNSOLD-1", **fields: Any) -> Event:
    """SUP buys unsold capacity."""
    return fact(
        "backstop_purchase_settled",
        **{
            "backstop": "B",
            "payment": payment,
            "payer": "SUP",
            "payee": "CUS",
            "amount": money(amount_minor),
            **fields,
        },
    )


def guaranteed(**fields: Any) -> Event:
    """SUP guarantees an obligation of CUS to THIRD."""
    return fact(
        "guarantee_granted",
        **{
            "guarantee": "G",
            "guarantor": "SUP",
            "debtor": "CUS",
            "creditor": "THIRD",
            "amount": money(1_000),
            **fields,
        },
    )


def demanded(amount_minor: int = 100, demand: str = "DEM-1", **fields: Any) -> Event:
    """THIRD calls the guarantee of SUP."""
    return fact(
        "guarantee_called",
        **{"guarantee": "G", "demand": demand, "amount": money(amount_minor), **fields},
    )

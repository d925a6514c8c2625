"""More rules that refuse: warrants, vehicles, debt, leases and support. See `refusals`."""

from __future__ import annotations

import datetime as dt
from typing import Any

from tests.facts import fact, money, number, parties, reversed_entry
from tests.instruments import (
    EXERCISE,
    backstopped,
    bought_unsold,
    contributed,
    demanded,
    distributed,
    drawn,
    exercised,
    formed,
    granted,
    guaranteed,
    lapsed,
    leased,
    rent,
    repaid,
    satisfied,
    vested,
)
from tests.rules.refusals import EARLIER, LATER, Case

PARTIES = parties("SUP", "CUS", "THIRD")
GRANTED = [*PARTIES, granted()]
VESTED = [*GRANTED, satisfied(), vested("60"), vested("40", 2)]
FORMED = [*PARTIES, formed()]
DRAWN = [*PARTIES, drawn()]
YEN = money(100, "JPY")
PAID: dict[str, Any] = {"bank_reference": "BANK-1"}
WAR_1 = len(PARTIES) + 2
"""Position of the first fact after PARTIES."""

INSTRUMENT_CASES = [
    # Thresholds of the rules that flag
    Case(
        "an hour that no day has",
        "FIELD_INVALID",
        fact("policy_adopted", policy=2, exceptions={"working_hours_to": 25}),
        "working_hours_to",
    ),
    Case(
        "two round amounts of one currency",
        "FIELD_INVALID",
        fact("policy_adopted", policy=2, exceptions={"round_amounts": [money(1), money(2)]}),
        "round_amounts",
    ),
    # Warrants
    Case("granted twice", "HR-STATE-01", granted(), "warrant", GRANTED),
    Case("to itself", "HR-ID-05", granted(holder="SUP"), "holder", PARTIES),
    Case(
        "cost not that of the shares",
        "HR-INV-06",
        granted(exercise_cost=money(5_050)),
        "exercise_cost",
        PARTIES,
    ),
    Case(
        "tranches above the grant",
        "HR-WAR-01",
        granted(shares=number("99"), exercise_cost=money(4_950)),
        "tranches",
        PARTIES,
    ),
    Case("more vested than granted", "HR-WAR-01", vested("101", 2), "shares", GRANTED),
    Case("more vested than the tranche", "HR-WAR-01", vested("41", 2), "shares", GRANTED),
    Case("vested before its conditions", "HR-STATE-01", vested("60"), "tranche", GRANTED),
    Case(
        "vested before the grant",
        "HR-TIME-02",
        vested("1", 2, on=EARLIER),
        "effective_date",
        GRANTED,
    ),
    Case("exercised before it vested", "HR-WAR-02", exercised("40", on=EARLIER), "shares", VESTED),
    Case(
        "exercised after it lapsed",
        "HR-WAR-02",
        exercised("40", on=LATER),
        "shares",
        [*VESTED, lapsed(2)],
    ),
    Case("vested of no tranche", "HR-ID-03", vested("1", 3), "tranche", GRANTED),
    Case("vested when lapsed", "HR-STATE-01", vested("1", 2), "tranche", [*GRANTED, lapsed(2)]),
    Case("none vested", "FIELD_INVALID", vested("0", 2), "shares", GRANTED),
    Case("no such condition", "HR-ID-03", satisfied(condition=2), "condition", GRANTED),
    Case("condition of no tranche", "HR-ID-03", satisfied(tranche=3), "tranche", GRANTED),
    Case(
        "condition without a gate",
        "FIELD_REQUIRED",
        satisfied(gate="WARRANT_GATE_UNSPECIFIED"),
        "gate",
        GRANTED,
    ),
    Case("vested is not exercisable", "HR-WAR-02", exercised("41"), "shares", VESTED),
    Case(
        "exercised twice over",
        "HR-WAR-02",
        exercised("1", "EX-2"),
        "shares",
        [*VESTED, exercised("40")],
    ),
    Case(
        "exercised before the condition held",
        "HR-WAR-02",
        exercised("41", on=dt.date(2026, 1, 31)),
        "shares",
        [*VESTED, satisfied(EXERCISE, on=dt.date(2026, 2, 1))],
    ),
    Case(
        "exercised after expiry",
        "HR-WAR-03",
        exercised("1", on=dt.date(2026, 1, 6)),
        "warrant",
        [*PARTIES, granted(expiry_date={"year": 2026, "month": 1, "day": 5}), vested("40", 2)],
    ),
    Case("paid in another currency", "HR-TYPE-02", exercised("1", amount=YEN), "amount", VESTED),
    Case("paid another price", "HR-INV-06", exercised("2", amount=money(99)), "amount", VESTED),
    Case("exercise twice", "HR-ID-02", exercised("1"), "exercise", [*VESTED, exercised("1")]),
    Case("lapsed twice", "HR-STATE-01", lapsed(2), "tranche", [*GRANTED, lapsed()]),
    Case("unknown warrant", "HR-ID-03", lapsed(), "warrant", PARTIES),
    Case(
        "grant reversed under what vested", "HR-STATE-01", reversed_entry(WAR_1), "position", VESTED
    ),
    Case(
        "vesting reversed under an exercise",
        "HR-WAR-02",
        reversed_entry(WAR_1 + 3),
        "position",
        [*VESTED, exercised("40"), satisfied(EXERCISE), exercised("30", "EX-2")],
    ),
    # Vehicles
    Case("formed twice", "HR-STATE-01", formed(), "vehicle", FORMED),
    Case("vehicle that is no party", "HR-ID-03", formed(vehicle="NOBODY"), "vehicle", PARTIES),
    Case("equity of no vehicle", "HR-ID-03", contributed(), "vehicle", PARTIES),
    Case("equity without an amount", "HR-TYPE-01", contributed(amount=None), "amount", FORMED),
    Case("equity of its own", "HR-ID-05", contributed(payer="THIRD"), "payer", FORMED),
    Case("equity twice", "HR-ID-02", contributed(), "contribution", [*FORMED, contributed()]),
    Case("distribution to itself", "HR-ID-05", distributed(payee="THIRD"), "payee", FORMED),
    Case("distribution twice", "HR-ID-02", distributed(), "distribution", [*FORMED, distributed()]),
    Case(
        "more than the whole is spent",
        "FIELD_INVALID",
        formed(
            use_of_proceeds=[
                {"payee": "SUP", "share_ppm": 600_000},
                {"payee": "CUS", "share_ppm": 400_001},
            ]
        ),
        "use_of_proceeds",
        PARTIES,
    ),
    Case(
        "forming reversed under equity",
        "HR-STATE-01",
        reversed_entry(WAR_1),
        "position",
        [*FORMED, contributed()],
    ),
    # Debt
    Case("lent to itself", "HR-ID-05", drawn(borrower="SUP"), "borrower", PARTIES),
    Case("drawn twice", "HR-ID-02", drawn(), "drawing", DRAWN),
    Case("drawn by another", "HR-STATE-01", drawn(drawing="2", borrower="CUS"), "borrower", DRAWN),
    Case("drawn in yen", "HR-TYPE-02", drawn(drawing="2", amount=YEN), "amount", DRAWN),
    Case("more repaid than drawn", "HR-STATE-01", repaid(101), "amount", DRAWN),
    Case("repaid in yen", "HR-TYPE-02", repaid(amount=YEN), "amount", DRAWN),
    Case("interest in yen", "HR-TYPE-02", repaid(interest=YEN), "interest", DRAWN),
    Case("repaid twice", "HR-ID-02", repaid(1), "repayment", [*DRAWN, repaid(1)]),
    Case("unknown debt", "HR-ID-03", repaid(), "debt", PARTIES),
    Case(
        "drawing reversed under what is repaid",
        "HR-STATE-01",
        reversed_entry(WAR_1),
        "position",
        [*DRAWN, repaid(100)],
    ),
    # Leases, backstops, guarantees
    Case("let twice", "HR-STATE-01", leased(), "lease", [*PARTIES, leased()]),
    Case("let to itself", "HR-ID-05", leased(lessee="THIRD"), "lessee", PARTIES),
    Case("rent unknown", "HR-TYPE-01", leased(amount=None), "amount", PARTIES),
    Case("rent in yen", "HR-TYPE-02", rent(amount=YEN), "amount", [*PARTIES, leased()]),
    Case("rent paid to itself", "HR-ID-05", rent(payee="CUS"), "payee", [*PARTIES, leased()]),
    Case("rent paid twice", "HR-ID-02", rent(), "payment", [*PARTIES, leased(), rent()]),
    Case("unknown lease", "HR-ID-03", rent(), "lease", PARTIES),
    Case(
        "lease reversed under rent",
        "HR-STATE-01",
        reversed_entry(WAR_1),
        "position",
        [*PARTIES, leased(), rent()],
    ),
    Case("backstop twice", "HR-STATE-01", backstopped(), "backstop", [*PARTIES, backstopped()]),
    Case("backstop unknown", "HR-ID-03", bought_unsold(), "backstop", PARTIES),
    Case(
        "bank reference of another",
        "HR-ID-02",
        bought_unsold(**PAID),
        "bank_reference",
        [*PARTIES, backstopped(), drawn(**PAID)],
    ),
    Case("guaranteed for oneself", "HR-ID-05", guaranteed(creditor="CUS"), "creditor", PARTIES),
    Case("guarantee twice", "HR-STATE-01", guaranteed(), "guarantee", [*PARTIES, guaranteed()]),
    Case("demand twice", "HR-ID-02", demanded(), "demand", [*PARTIES, guaranteed(), demanded()]),
    Case("demand in yen", "HR-TYPE-02", demanded(amount=YEN), "amount", [*PARTIES, guaranteed()]),
]

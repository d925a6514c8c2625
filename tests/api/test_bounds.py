"""Values that would break figures later are refused at the door, with field, value and bound."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import grpc
import pytest
from gigaledger.v1.events_pb2 import Event

from tests.api.calls import Caller
from tests.facts import claimed, day, definitive, fact, invoiced, money, parties, placed, received

MAX_INT64 = 2**63 - 1
GIVEN = [*parties("SUP", "CUS"), definitive(), placed()]


@dataclass(frozen=True)
class Case:
    """A fact with a value out of bounds, and the field that the refusal names."""

    name: str
    refused: Event
    field: str


def _line(quantity: int, unit_price_minor: int) -> Event:
    line = {"line": 1, "quantity": quantity, "unit_price": money(unit_price_minor)}
    return placed(purchase_order="PO-2", lines=[line])


def _rated(numerator: int) -> Event:
    return fact(
        "rack_sku_rated",
        sku="R",
        rated_power_kw_numerator=numerator,
        rated_power_kw_denominator=1,
        power_basis="POWER_BASIS_IT_CRITICAL_LOAD",
    )


def _scheduled(by: dt.date) -> Event:
    points = [{"by_date": day(by), "cumulative_power_kw": 1}]
    return fact("deployment_schedule_baselined", agreement="AGR", points=points)


CASES = [
    Case("a bar code as a quantity", _line(4_006_381_333_931, 300_000_000), "lines[0].quantity"),
    Case("a value beyond every amount", _line(10**9, 10**9), "lines[0].unit_price"),
    Case("the largest integer in kilowatts", claimed(MAX_INT64), "power_kw"),
    Case("the largest integer of units", received(MAX_INT64), "quantity"),
    Case("a rack of the largest integer", _rated(MAX_INT64), "rated_power_kw_numerator"),
    Case("a schedule to the end of time", _scheduled(dt.date(9999, 12, 31)), "points[0].by_date"),
    Case("an amount of 64 bits", invoiced(MAX_INT64), "amount"),
    Case("a currency that was withdrawn", invoiced(amount=money(1, "BGN")), "amount"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_value_out_of_bounds_is_refused(caller: Caller, case: Case) -> None:
    caller.append(*GIVEN)

    error = caller.refused(case.refused)

    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    kind = case.refused.WhichOneof("fact")
    assert error.fields == [f"events[0].event.{kind}.{case.field}"]
    assert caller.head() == 1 + len(GIVEN)


@pytest.mark.parametrize("year", [1, 1899, 2200, 9999])
def test_days_out_of_bounds_are_refused(caller: Caller, year: int) -> None:
    caller.append(*GIVEN)

    error = caller.refused(claimed(on=dt.date(year, 12, 31)))

    assert error.fields == ["events[0].event.effective_date"]


def test_a_price_of_zero_is_recorded(caller: Caller) -> None:
    caller.append(*GIVEN, _line(10, 0))

    assert caller.head() == 2 + len(GIVEN)

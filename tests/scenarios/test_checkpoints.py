"""The example histories, appended over gRPC, give the figures that were computed by hand.

`expected_figures.json` holds the figures for each date, and for corrections also as they were known
on a date. They were computed independently of this software.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
from gigaledger.common.quantities import date_to_message, money_from_message
from gigaledger.v1.common_pb2 import CapacityLayer, PowerBasis
from gigaledger.v1.control_facts_pb2 import BookClock
from gigaledger.v1.ledger_pb2 import AppendEventsRequest, CreateBookRequest
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub
from gigaledger.v1.projections_pb2 import (
    PartyLevel,
    QueryCapacityRequest,
    QueryInvestmentRequest,
    QueryRoundTripRequest,
    ReadSpec,
    RoundTripBasis,
)
from gigaledger.v1.projections_pb2_grpc import ProjectionServiceStub
from google.protobuf.json_format import Parse
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from google.type.date_pb2 import Date
from google.type.money_pb2 import Money

from tests.processes import RunningServices

EXAMPLES = Path(__file__).parents[2] / "examples"
EXPECTED = json.loads(Path(__file__).with_name("expected_figures.json").read_text("utf-8"))


@dataclass
class Services:
    """Both services, and a book that a history is appended to."""

    ledger: LedgerServiceStub
    projections: ProjectionServiceStub
    book: str = ""
    position: int = 0

    def create_book(self, first: AppendEventsRequest) -> None:
        created = self.ledger.CreateBook(
            CreateBookRequest(
                book_id=f"b{uuid4().hex}",
                clock=BookClock.BOOK_CLOCK_IMPORTED,
                opened_time=first.events[0].recorded_time,
            )
        )
        self.book = created.book.name

    def append(self, request: AppendEventsRequest) -> None:
        request.book = self.book
        response = self.ledger.AppendEvents(request)
        self.position = response.receipts[-1].position

    def read(self, as_of: dt.date, known: dt.date | None = None) -> ReadSpec:
        """Read what counts as of a day, as known at the end of another one."""
        read = ReadSpec(as_of=date_to_message(as_of), min_position=self.position)
        read.max_wait.FromSeconds(30)
        if known is not None:
            read.as_known_time.FromDatetime(dt.datetime.combine(known, dt.time.max))
            read.as_known_time.nanos = 999_999_000
        return read


@contextmanager
def connected(running: RunningServices) -> Iterator[Services]:
    with running.ledger.channel() as ledger, running.projections.channel() as projections:
        yield Services(LedgerServiceStub(ledger), ProjectionServiceStub(projections))


def requests_of(name: str) -> list[AppendEventsRequest]:
    """The requests of an example file."""
    lines = (EXAMPLES / f"{name}.jsonl").read_text("utf-8").splitlines()
    return [Parse(line, AppendEventsRequest()) for line in lines]


def recorded_on(request: AppendEventsRequest) -> dt.date:
    return max(event.recorded_time.ToDatetime() for event in request.events).date()


def minor(message: Money) -> int:
    return money_from_message(message).amount_minor


def figures(
    services: Services,
    as_of: dt.date,
    investor: str,
    group: str,
    known: dt.date | None = None,
) -> dict[str, Any]:
    """All figures on a date, under the names of the expected ones."""
    read = services.read(as_of, known)
    book = services.book
    capacity = services.projections.QueryCapacity(QueryCapacityRequest(book=book, read=read))
    investment = services.projections.QueryInvestment(QueryInvestmentRequest(book=book, read=read))
    round_trip = services.projections.QueryRoundTrip(
        QueryRoundTripRequest(
            book=book,
            read=read,
            level=PartyLevel.PARTY_LEVEL_GROUP,
            supplier_investor=investor,
            customer_investee=group,
        )
    )
    return (
        _capacity_figures(capacity)
        | _investment_figures(investment)
        | _round_trip_figures(round_trip)
    )


def _capacity_figures(response: Any) -> dict[str, Any]:
    by_basis = {(figure.capacity_layer, figure.power_basis): figure for figure in response.figures}
    chips = by_basis[
        CapacityLayer.CAPACITY_LAYER_CHIP_SUPPLY, PowerBasis.POWER_BASIS_IT_CRITICAL_LOAD
    ]
    gross = by_basis.get(
        (CapacityLayer.CAPACITY_LAYER_CHIP_SUPPLY, PowerBasis.POWER_BASIS_FACILITY_GROSS)
    )
    names = (
        "contracted_kw",
        "indicative_kw",
        "planned_kw",
        "planned_linear_kw",
        "certified_kw",
        "claimed_pending_kw",
        "schedule_variance_kw",
        "delivered_implied_kw",
        "quarters_to_target",
    )
    return {name: getattr(chips, name) for name in names} | {
        "required_pace_kw_per_quarter_ceil": chips.required_pace_kw_per_quarter,
        # Sites are energised at their gross power: a series of its own.
        "energised_kw": gross.energised_kw if gross else 0,
        "certified_by_site_kw": {
            part.site: part.certified_kw for part in response.breakdown if part.certified_kw
        },
    }


def _investment_figures(response: Any) -> dict[str, Any]:
    [total] = response.totals
    names = {
        "committed_minor": total.committed,
        "indicative_minor": total.indicative,
        "entitled_minor": total.entitled,
        "entitled_prorata_minor": total.entitled_pro_rata,
        "called_minor": total.called,
        "funded_minor": total.funded,
        "issued_minor": total.issued,
        "remaining_commitment_minor": total.remaining_commitment,
        "unfunded_entitlement_minor": total.unfunded_entitlement,
        "overfunded_minor": total.overfunded,
    }
    return {name: minor(figure.amount) for name, figure in names.items()} | {
        "shares": int(total.shares_outstanding)
    }


def _round_trip_figures(response: Any) -> dict[str, Any]:
    if not response.pairs:
        # Nothing was bought and nothing invested.
        names = ("ordered", "received", "invoiced", "paid", "net_balance_paid", "recycled_paid")
        return {f"{name}_minor": 0 for name in names}
    [pair] = response.pairs
    balances = {balance.basis: balance for balance in pair.balances}
    cash = balances[RoundTripBasis.ROUND_TRIP_BASIS_CASH]
    ordered = balances[RoundTripBasis.ROUND_TRIP_BASIS_ORDERED_AGAINST_FUNDED]
    invoiced = balances[RoundTripBasis.ROUND_TRIP_BASIS_INVOICED_AGAINST_FUNDED]
    amounts = {
        "ordered_minor": pair.ordered.amount,
        "received_minor": pair.received.amount,
        "invoiced_minor": pair.invoiced.amount,
        "paid_minor": pair.paid.amount,
        "grni_minor": pair.received_not_invoiced.amount,
        "open_payable_minor": pair.open_payable.amount,
        "refund_due_minor": pair.refund_due.amount,
        "unapplied_payments_minor": pair.unapplied_payments.amount,
        "net_balance_paid_minor": cash.net_balance,
        "net_balance_ordered_minor": ordered.net_balance,
        "net_balance_invoiced_minor": invoiced.net_balance,
        "recycled_paid_minor": cash.recycled,
    }
    return {name: minor(amount) for name, amount in amounts.items()} | {
        f"{name}_ppm": ratio.ppm if ratio.HasField("ppm") else None
        for name, ratio in (
            ("ratio_investment", cash.ratio_investment),
            ("ratio_purchases", cash.ratio_purchases),
        )
    }


@pytest.mark.parametrize(
    ("name", "investor", "group"),
    [("nvidia-openai-plan", "NVDA", "OPENAI"), ("corrections", "SUP", "CUS")],
)
def test_every_figure_of_every_checkpoint_is_exact(
    shared_services: RunningServices, name: str, investor: str, group: str
) -> None:
    """Knowledge as of a date is the log at that date: it is queried before later facts come."""
    waiting = requests_of(name)
    with connected(shared_services) as services:
        services.create_book(waiting[0])
        for checkpoint in EXPECTED[name]:
            known = dt.date.fromisoformat(checkpoint.get("as_known", "9999-12-31"))
            while waiting and recorded_on(waiting[0]) <= known:
                services.append(waiting.pop(0))
            as_of = dt.date.fromisoformat(checkpoint["as_of"])
            found = figures(services, as_of, investor, group)
            expected = checkpoint["figures"]
            assert {key: found[key] for key in expected} == expected, f"{as_of} known {known}"


def test_every_figure_is_exact_as_it_was_known_on_a_date(shared_services: RunningServices) -> None:
    """With the whole history, each date is queried as known on another one."""
    with connected(shared_services) as services:
        requests = requests_of("corrections")
        services.create_book(requests[0])
        for request in requests:
            services.append(request)
        for checkpoint in EXPECTED["corrections"]:
            as_of, known = (
                dt.date.fromisoformat(checkpoint[name]) for name in ("as_of", "as_known")
            )
            found = figures(services, as_of, "SUP", "CUS", known)
            expected = checkpoint["figures"]
            assert {key: found[key] for key in expected} == expected, f"{as_of} known {known}"


def test_answers_that_rest_on_assumptions_say_so(shared_services: RunningServices) -> None:
    """The plan is hypothetical from its definitive agreement on; the letter of intent is a fact."""
    with connected(shared_services) as services:
        requests = requests_of("nvidia-openai-plan")
        services.create_book(requests[0])
        for request in requests:
            services.append(request)
        [first, *_, last] = [
            services.projections.QueryInvestment(
                QueryInvestmentRequest(book=services.book, read=services.read(day))
            ).context
            for day in (dt.date(2025, 9, 30), dt.date(2026, 12, 31), dt.date(2029, 1, 31))
        ]
    assert not first.hypothetical
    assert last.hypothetical
    assert last.position == services.position
    assert last.as_of == Date(year=2029, month=1, day=31)


def test_every_refusal_that_is_expected_is_refused_with_its_code(
    shared_services: RunningServices,
) -> None:
    """Each refused request names the rule that it is refused by in its correlation id."""
    with connected(shared_services) as services:
        requests = requests_of("corrections")
        services.create_book(requests[0])
        for request in requests:
            services.append(request)
        refused = requests_of("corrections-refused")
        codes = [_refusal(services, request) for request in refused]
    assert codes == [request.events[0].event.correlation_id for request in refused]


def _refusal(services: Services, request: AppendEventsRequest) -> str:
    request.book = services.book
    with pytest.raises(grpc.RpcError) as caught:
        services.ledger.AppendEvents(request)
    error = caught.value
    assert isinstance(error, grpc.Call)
    [details] = [
        value for key, value in error.trailing_metadata() if key == "grpc-status-details-bin"
    ]
    info = ErrorInfo()
    assert any(detail.Unpack(info) for detail in Status.FromString(details).details)
    return str(info.reason)

"""`gigaledger demo`: example data, through a real ledger into real answers."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gigaledger.cli import client
from gigaledger.cli.errors import CommandError, ExitCode, Interrupted
from gigaledger.cli.formats import NOT_AVAILABLE, billions, day, figure, gigawatts, ratio
from gigaledger.cli.ledger.append import append_requests, opened
from gigaledger.cli.ledger.books import wait_for_projections
from gigaledger.cli.ledger.requests import FileRequest
from gigaledger.cli.output import (
    add_row,
    console,
    error_console,
    hypothetical_banner,
    notice,
    table,
)
from gigaledger.cli.report.flow_reports import circular_flow_tables
from gigaledger.cli.run.examples import example_path
from gigaledger.cli.run.interruption import Interruption
from gigaledger.cli.run.processes import check_alive, free_addresses
from gigaledger.cli.run.stack import running_stack
from gigaledger.client import GigaledgerError
from gigaledger.common.quantities import date_to_message
from gigaledger.common.settings import Settings
from gigaledger.v1.projections_pb2 import (
    QueryCapacityRequest,
    QueryCapacityResponse,
    QueryCircularFlowsRequest,
    QueryInvestmentRequest,
    QueryInvestmentResponse,
    QueryRoundTripRequest,
    QueryRoundTripResponse,
    ReadContext,
    ReadSpec,
    RoundTripBasis,
)
from gigaledger.v1.projections_pb2_grpc import ProjectionServiceStub
from rich.console import RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

CATCH_UP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Example:
    """Facts to load, and what to show of them.

    Attributes:
        file: name of the file of facts.
        title: display name of the book.
        noun: what is loaded, in a sentence.
        opened_at: start of the book's clock: the day of the first fact.
        dates: the days that answers are shown for.
        show: prints the answers, given the service, the book, the days, and what to reflect.
    """

    file: str
    title: str
    noun: str
    opened_at: dt.datetime
    dates: tuple[dt.date, ...]
    show: Callable[[ProjectionServiceStub, str, list[ReadSpec]], None]


def run_demo(settings: Settings, example: Example) -> None:
    """Start everything, load an example, print the answers, stop everything.

    Raises:
        CommandError: something did not work; the services' logs are kept then.
        Interrupted: a signal asked to stop.
    """
    ledger_address, projections_address, exceptions_address = free_addresses(3)
    settings = settings.model_copy(
        update={
            "ledger_address": ledger_address,
            "projections_address": projections_address,
            "exceptions_address": exceptions_address,
        }
    )
    with Interruption() as interruption, _working_folder() as folder:
        notice(
            "Starting the ledger and the projections"
            + ("..." if settings.database_url else ", with a PostgreSQL of their own...")
        )
        data, logs = folder / "data", folder / "logs"
        with running_stack(settings, data, logs, interruption, web=False) as stack:

            def pause() -> None:
                check_alive(stack.services)
                interruption.pause()

            book_id = "demo"
            if settings.database_url:
                book_id = f"demo-{dt.datetime.now(dt.UTC):%Y%m%d-%H%M%S-%f}"
                notice(f"The book {book_id} stays in your database.")
            last_position = _load(example, ledger_address, book_id, pause)
            with client.projections(projections_address) as stub:
                _catch_up(stub, f"books/{book_id}", last_position, pause)
                interruption.check()
                reads = [
                    ReadSpec(as_of=date_to_message(as_of), min_position=last_position)
                    for as_of in example.dates
                ]
                example.show(stub, f"books/{book_id}", reads)
            check_alive(stack.services)
    notice("Everything is stopped again. `gigaledger up` keeps it running.")


@contextmanager
def _working_folder() -> Iterator[Path]:
    """Make a folder for data and logs; the logs outlive an error."""
    folder = Path(tempfile.mkdtemp(prefix="gigaledger-demo-"))
    if os.geteuid() == 0:
        folder.chmod(0o711)  # the account of PostgreSQL passes through
    (folder / "logs").mkdir()
    try:
        yield folder
    except Interrupted:
        shutil.rmtree(folder)
        raise
    except Exception:
        shutil.rmtree(folder / "data", ignore_errors=True)
        if any((folder / "logs").iterdir()):
            notice(f"The logs of the services are kept in {folder / 'logs'}.")
        else:
            shutil.rmtree(folder)
        raise
    shutil.rmtree(folder)


def _load(example: Example, address: str, book_id: str, pause: Callable[[], None]) -> int:
    """Append an example to a fresh book and return the last position."""
    path = example_path(example.file)
    with client.ledger(address) as connected, opened(str(path), None) as (requests, _):
        book = connected.create_book(
            book_id, display_name=example.title, opened_time=example.opened_at
        )
        items = list(requests)
        with _progress() as progress:
            task = progress.add_task(f"Appending {example.noun}", total=len(items))

            def done(_item: FileRequest) -> None:
                progress.advance(task)
                pause()

            try:
                tally = append_requests(book, iter(items), done=done)
            except GigaledgerError:
                pause()  # a service that has ended is the better explanation
                raise
    notice(tally.summary())
    return tally.last_position


def _catch_up(
    stub: ProjectionServiceStub, book: str, position: int, pause: Callable[[], None]
) -> None:
    with _progress() as progress:
        task = progress.add_task("Projections catching up", total=position)

        def look(reached: int) -> None:
            progress.update(task, completed=reached)
            pause()

        wait_for_projections(stub, book, position, CATCH_UP_SECONDS, look)
        progress.update(task, completed=position)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=error_console()
    )


def _show_plan(stub: ProjectionServiceStub, book: str, reads: list[ReadSpec]) -> None:
    capacity = [
        stub.QueryCapacity(QueryCapacityRequest(book=book, read=read), timeout=client.CALL_SECONDS)
        for read in reads
    ]
    investment = [
        stub.QueryInvestment(
            QueryInvestmentRequest(book=book, read=read), timeout=client.CALL_SECONDS
        )
        for read in reads
    ]
    round_trip = [
        stub.QueryRoundTrip(
            QueryRoundTripRequest(book=book, read=read), timeout=client.CALL_SECONDS
        )
        for read in reads
    ]
    out = console()
    contexts = [
        *(answer.context for answer in capacity),
        *(answer.context for answer in investment),
        *(answer.context for answer in round_trip),
    ]
    if any(context.hypothetical for context in contexts):
        out.print(hypothetical_banner())
    for part in (
        capacity_by_date(capacity),
        investment_by_date(investment),
        round_trip_by_date(round_trip, RoundTripBasis.ROUND_TRIP_BASIS_CASH),
    ):
        out.print(part)
        out.print()
    for answer in round_trip[-1:]:
        if answer.caveat:
            out.print(answer.caveat)


def _show_network(stub: ProjectionServiceStub, book: str, reads: list[ReadSpec]) -> None:
    investment = [
        stub.QueryInvestment(
            QueryInvestmentRequest(book=book, read=read), timeout=client.CALL_SECONDS
        )
        for read in reads
    ]
    round_trip = stub.QueryRoundTrip(
        QueryRoundTripRequest(book=book, read=reads[-1]), timeout=client.CALL_SECONDS
    )
    flows = stub.QueryCircularFlows(
        QueryCircularFlowsRequest(book=book, read=reads[-1]), timeout=client.CALL_SECONDS
    )
    out = console()
    if flows.context.hypothetical:
        out.print(hypothetical_banner())
    commitments = RoundTripBasis.ROUND_TRIP_BASIS_COMMITMENT
    out.print(investment_by_date(investment))
    out.print()
    out.print(round_trip_by_date([round_trip], commitments))
    out.print()
    committed = [graph for graph in flows.flows if graph.basis == commitments]
    del flows.flows[:]
    flows.flows.extend(committed)
    for part in circular_flow_tables(flows):
        out.print(part)


PLAN = Example(
    file="nvidia-openai-plan.jsonl",
    title="The plan of September 2025, carried out",
    noun="the example deal",
    opened_at=dt.datetime(2025, 9, 22, tzinfo=dt.UTC),
    # Ends of the plan's years, and the month in which the last rack is paid.
    dates=(
        dt.date(2025, 12, 31),
        dt.date(2026, 12, 31),
        dt.date(2027, 12, 31),
        dt.date(2028, 12, 31),
        dt.date(2029, 1, 31),
    ),
    show=_show_plan,
)
NETWORK = Example(
    file="ai-network.jsonl",
    title="The public network around OpenAI",
    noun="the network",
    opened_at=dt.datetime(2025, 3, 7, tzinfo=dt.UTC),
    dates=(
        dt.date(2025, 9, 30),
        dt.date(2025, 12, 31),
        dt.date(2026, 3, 31),
        dt.date(2026, 7, 31),
    ),
    show=_show_network,
)


def capacity_by_date(answers: Iterable[QueryCapacityResponse]) -> RenderableType:
    """Return GW against plan, a row for each date; the layer and basis of the plan."""
    answers = list(answers)
    made = table(
        _title("GW against plan", (answer.context for answer in answers)),
        "as of",
        "planned",
        "certified",
        "against plan",
        "racks can carry",
        "needed per quarter",
        "position",
    )
    for answer in answers:
        context = answer.context
        figures = next((item for item in answer.figures if item.target_kw or item.claimed_kw), None)
        if figures is None:
            raise CommandError("the answer on capacity holds no figures", ExitCode.FAILED)
        pace = NOT_AVAILABLE
        if figures.HasField("required_pace_kw_per_quarter"):
            pace = gigawatts(figures.required_pace_kw_per_quarter)
        add_row(
            made,
            [
                day(context.as_of),
                gigawatts(figures.planned_kw),
                gigawatts(figures.certified_kw),
                gigawatts(figures.schedule_variance_kw),
                gigawatts(figures.delivered_implied_kw),
                pace,
                f"{context.position:,}",
            ],
        )
    return made


def investment_by_date(answers: Iterable[QueryInvestmentResponse]) -> RenderableType:
    """Return the cumulative investment of all agreements, a row for each date and currency."""
    answers = list(answers)
    made = table(
        _title("Cumulative investment, billions", (answer.context for answer in answers)),
        "as of",
        "currency",
        "committed",
        "entitled",
        "called",
        "funded",
        "issued",
        "position",
        numbers_from=2,
    )
    for answer in answers:
        for total in answer.totals:
            amounts = (total.committed, total.entitled, total.called, total.funded, total.issued)
            cells = [day(answer.context.as_of), total.currency_code]
            cells += [figure(item, in_billions=True) for item in amounts]
            add_row(made, [*cells, f"{answer.context.position:,}"])
    return made


def round_trip_by_date(
    answers: Iterable[QueryRoundTripResponse], basis: RoundTripBasis.ValueType
) -> RenderableType:
    """Return the round trip on one basis, a row for each date and pair."""
    answers = list(answers)
    words, bought, invested = _BASES[basis]
    made = table(
        _title(f"Round trip {words}, billions", (answer.context for answer in answers)),
        "as of",
        "pair",
        bought,
        invested,
        "net balance",
        "recycled",
        f"of {invested}",
        f"of {bought}",
        "position",
        numbers_from=2,
    )
    for answer in answers:
        for pair in answer.pairs:
            for balance in pair.balances:
                if balance.basis != basis:
                    continue
                add_row(
                    made,
                    [
                        day(answer.context.as_of),
                        f"{pair.supplier_investor}/{pair.customer_investee} {pair.currency_code}",
                        figure(balance.purchases, in_billions=True),
                        figure(balance.investment, in_billions=True),
                        billions(balance.net_balance),
                        billions(balance.recycled),
                        ratio(balance.ratio_investment),
                        ratio(balance.ratio_purchases),
                        f"{answer.context.position:,}",
                    ],
                )
    return made


_BASES = {
    RoundTripBasis.ROUND_TRIP_BASIS_CASH: ("in cash", "paid", "funded"),
    RoundTripBasis.ROUND_TRIP_BASIS_COMMITMENT: ("of commitments", "ordered", "committed"),
}
"""In words, with the names of purchases and investment."""


def _title(title: str, contexts: Iterable[ReadContext]) -> str:
    hypothetical = any(context.hypothetical for context in contexts)
    return f"{title} (HYPOTHETICAL)" if hypothetical else title

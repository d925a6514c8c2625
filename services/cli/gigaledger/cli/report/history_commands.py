"""Commands about figures over time: report series, changes, drill-down and roll-forward."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer
from gigaledger.cli import client
from gigaledger.cli.errors import CommandError, ExitCode
from gigaledger.cli.options import parse_date, parse_knowledge
from gigaledger.cli.output import console, print_json_line
from gigaledger.cli.report.history_reports import (
    CHANGE_COLUMNS,
    change_records,
    change_table,
    contribution_tables,
    roll_forward_tables,
    series_tables,
    total_of_changes,
)
from gigaledger.cli.report.outputs import Output
from gigaledger.cli.report.report_commands import AsKnown, AsOf, Level, Statuses, read_spec
from gigaledger.cli.report.reports import print_report
from gigaledger.cli.settings import (
    Book,
    Csv,
    Json,
    ProjectionsAddress,
    Xlsx,
    book_name,
    projections_address,
)
from gigaledger.client.records import record_columns, records
from gigaledger.common.quantities import date_to_message, instant_to_message
from gigaledger.v1.projections_pb2 import (
    FigureSubject,
    Interval,
    ListContributionsRequest,
    ListContributionsResponse,
    PartyLevel,
    QueryCapacityRequest,
    QueryCapacityResponse,
    QueryChangesRequest,
    QueryCircularFlowsRequest,
    QueryCircularFlowsResponse,
    QueryInvestmentRequest,
    QueryInvestmentResponse,
    QueryRollForwardRequest,
    QueryRoundTripRequest,
    QueryRoundTripResponse,
    QuerySeriesRequest,
    QuerySeriesResponse,
    ReadSpec,
)

app = typer.Typer()

LONG_CALL_SECONDS = 600.0
"""Limit of a question about many days or many events."""


class Topic(StrEnum):
    """The figures that a question is about."""

    CAPACITY = "capacity"
    INVESTMENT = "investment"
    ROUND_TRIP = "round-trip"
    CIRCULAR_FLOWS = "circular-flows"


class Every(StrEnum):
    """How far apart days are, or how long periods."""

    DAY = "day"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


_ANSWERS = {
    Topic.CAPACITY: QueryCapacityResponse,
    Topic.INVESTMENT: QueryInvestmentResponse,
    Topic.ROUND_TRIP: QueryRoundTripResponse,
    Topic.CIRCULAR_FLOWS: QueryCircularFlowsResponse,
}

TopicArgument = Annotated[Topic, typer.Argument(help="What is asked about.", show_default=False)]
FigureArgument = Annotated[
    str,
    typer.Argument(
        metavar="FIGURE",
        help="E.g. investment.funded, capacity.certified_kw, round-trip.paid.",
        show_default=False,
    ),
]
FromDate = Annotated[
    str,
    typer.Option("--from", metavar="DATE", help="A day of the first period.", show_default=False),
]
ToDate = Annotated[
    str, typer.Option("--to", metavar="DATE", help="The last day.", show_default=False)
]
EveryOption = Annotated[Every, typer.Option(help="How long the periods are.")]
About = Annotated[
    list[str] | None,
    typer.Option(
        "--about",
        metavar="FIELD=VALUE",
        help="Only figures about this, e.g. agreement=AGR-DA. Repeat for more.",
        show_default=False,
    ),
]
LevelOption = Annotated[Level, typer.Option(help="Groups of companies, or legal entities.")]


@app.command("series")
def report_series(  # noqa: PLR0913 - options of the command line
    topic: TopicArgument,
    *,
    from_date: FromDate,
    to_date: ToDate,
    every: EveryOption = Every.MONTH,
    book: Book = "main",
    as_known: AsKnown = None,
    status: Statuses = None,
    level: LevelOption = Level.GROUP,
    projections: ProjectionsAddress = None,
    as_json: Json = False,
    as_csv: Csv = False,
    xlsx: Xlsx = None,
) -> None:
    """The same figures at the end of each day, month, quarter or year."""
    output = Output(as_json=as_json, as_csv=as_csv, xlsx=xlsx)
    request = QuerySeriesRequest(
        from_date=date_to_message(parse_date(from_date, "--from")),
        to_date=date_to_message(parse_date(to_date, "--to")),
        interval=_interval(every),
    )
    _ask(request, topic, book, read_spec(None, as_known, status), level)
    answers = []
    with (
        client.projections(projections_address(projections)) as stub,
        output.rows(record_columns(_ANSWERS[topic]())) as add,
    ):
        for answer in stub.QuerySeries(request, timeout=LONG_CALL_SECONDS):
            if as_json:
                print_json_line(answer)
            add(records(_answer_of(answer)))
            answers.append(answer)
    if output.for_people:
        print_report(console(), _answer_of(answers[-1]).context, *series_tables(answers))


@app.command("changes")
def report_changes(  # noqa: PLR0913 - options of the command line
    topic: TopicArgument,
    *,
    since: Annotated[
        str,
        typer.Option(
            "--since",
            metavar="POSITION|INSTANT",
            help="The earlier state of knowledge.",
            show_default=False,
        ),
    ],
    book: Book = "main",
    as_of: AsOf = None,
    as_known: AsKnown = None,
    status: Statuses = None,
    level: LevelOption = Level.GROUP,
    projections: ProjectionsAddress = None,
    as_json: Json = False,
    as_csv: Csv = False,
    xlsx: Xlsx = None,
) -> None:
    """Which events moved figures between two states of knowledge, and by how much.

    The later state is the latest one, or that of --as-known.
    """
    output = Output(as_json=as_json, as_csv=as_csv, xlsx=xlsx)
    request = QueryChangesRequest()
    known = parse_knowledge(since, "--since")
    if isinstance(known, int):
        request.since_position = known
    else:
        request.since_time.CopyFrom(instant_to_message(known))
    _ask(request, topic, book, read_spec(as_of, as_known, status), level)
    moved = False
    with (
        client.projections(projections_address(projections)) as stub,
        output.rows(CHANGE_COLUMNS) as add,
    ):
        for part in stub.QueryChanges(request, timeout=LONG_CALL_SECONDS):
            if as_json:
                print_json_line(part)
            add(change_records(part))
            if not output.for_people:
                continue
            if part.HasField("event"):
                moved = True
                console().print(change_table(part.event))
            else:
                shown = total_of_changes(part.total, moved=moved)
                print_report(console(), part.total.after, shown)


@app.command("drill-down")
def report_drill_down(  # noqa: PLR0913 - options of the command line
    figure: FigureArgument,
    *,
    book: Book = "main",
    about: About = None,
    as_of: AsOf = None,
    as_known: AsKnown = None,
    status: Statuses = None,
    level: LevelOption = Level.GROUP,
    projections: ProjectionsAddress = None,
    as_json: Json = False,
    as_csv: Csv = False,
    xlsx: Xlsx = None,
) -> None:
    """The events that make up a figure, each with what it adds."""
    output = Output(as_json=as_json, as_csv=as_csv, xlsx=xlsx)
    request = ListContributionsRequest(
        book=book_name(book),
        read=read_spec(as_of, as_known, status),
        figure=figure,
        about=_subjects(about),
        level=_level(level),
        page_size=1000,
    )
    answer: ListContributionsResponse | None = None
    with client.projections(projections_address(projections)) as stub:
        while answer is None or request.page_token:
            page = stub.ListContributions(request, timeout=client.CALL_SECONDS)
            if answer is None:
                answer = page
            else:
                answer.contributions.extend(page.contributions)
            request.page_token = page.next_page_token
    answer.next_page_token = ""
    output.give(answer, contribution_tables)


@app.command("roll-forward")
def report_roll_forward(  # noqa: PLR0913 - options of the command line
    figure: FigureArgument,
    *,
    from_date: FromDate,
    to_date: ToDate,
    every: EveryOption = Every.QUARTER,
    book: Book = "main",
    about: About = None,
    as_known: AsKnown = None,
    status: Statuses = None,
    level: LevelOption = Level.GROUP,
    projections: ProjectionsAddress = None,
    as_json: Json = False,
    as_csv: Csv = False,
    xlsx: Xlsx = None,
) -> None:
    """Opening, additions, reductions and closing of a figure, period by period."""
    output = Output(as_json=as_json, as_csv=as_csv, xlsx=xlsx)
    request = QueryRollForwardRequest(
        book=book_name(book),
        read=read_spec(None, as_known, status),
        figure=figure,
        about=_subjects(about),
        level=_level(level),
        from_date=date_to_message(parse_date(from_date, "--from")),
        to_date=date_to_message(parse_date(to_date, "--to")),
        interval=_interval(every),
    )
    with client.projections(projections_address(projections)) as stub:
        answer = stub.QueryRollForward(request, timeout=client.CALL_SECONDS)
    output.give(answer, roll_forward_tables)


def _answer_of(answer: QuerySeriesResponse) -> Any:
    return getattr(answer, str(answer.WhichOneof("answer")))


def _ask(
    request: QuerySeriesRequest | QueryChangesRequest,
    topic: Topic,
    book: str,
    read: ReadSpec,
    level: Level,
) -> None:
    """Put the question of the command line into a request."""
    name = book_name(book)
    match topic:
        case Topic.CAPACITY:
            request.capacity.CopyFrom(QueryCapacityRequest(book=name, read=read))
        case Topic.INVESTMENT:
            request.investment.CopyFrom(QueryInvestmentRequest(book=name, read=read))
        case Topic.ROUND_TRIP:
            request.round_trip.CopyFrom(
                QueryRoundTripRequest(book=name, read=read, level=_level(level))
            )
        case Topic.CIRCULAR_FLOWS:
            request.circular_flows.CopyFrom(
                QueryCircularFlowsRequest(book=name, read=read, level=_level(level))
            )


def _level(level: Level) -> PartyLevel.ValueType:
    return PartyLevel.Value(f"PARTY_LEVEL_{level.name}")


def _interval(every: Every) -> Interval.ValueType:
    return Interval.Value(f"INTERVAL_{every.name}")


def _subjects(about: list[str] | None) -> list[FigureSubject]:
    subjects = []
    for text in about or ():
        field, separator, value = text.partition("=")
        if not separator:
            raise CommandError(
                f"--about: {text!r} is not FIELD=VALUE, such as agreement=AGR-DA", ExitCode.USAGE
            )
        subjects.append(FigureSubject(field=field, value=value))
    return subjects

"""The commands that ask the projections: report."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import Annotated

import typer
from gigaledger.cli import client
from gigaledger.cli.options import parse_date, parse_knowledge, parse_price
from gigaledger.cli.report.flow_reports import circular_flow_tables
from gigaledger.cli.report.outputs import Output
from gigaledger.cli.report.reports import (
    capacity_tables,
    exception_tables,
    investment_tables,
    round_trip_tables,
)
from gigaledger.cli.report.warrant_reports import warrant_tables
from gigaledger.cli.settings import (
    Book,
    Csv,
    Json,
    ProjectionsAddress,
    Xlsx,
    book_name,
    projections_address,
)
from gigaledger.common.quantities import date_to_message, instant_to_message
from gigaledger.v1.common_pb2 import AssertionStatus
from gigaledger.v1.projections_pb2 import (
    ExceptionFinding,
    ExceptionSeverity,
    PartyLevel,
    QueryCapacityRequest,
    QueryCircularFlowsRequest,
    QueryExceptionsRequest,
    QueryExceptionsResponse,
    QueryInvestmentRequest,
    QueryRoundTripRequest,
    QueryWarrantsRequest,
    ReadSpec,
)

_REPORT_HELP = """Ask how many GW, how much invested, and what came back.

Every answer says up to which position of the log it holds, and HYPOTHETICAL if it depends on \
plans or assumptions.

\b
[bold]Examples[/bold]
  gigaledger report capacity --as-of 2026-12-31
  gigaledger report investment --agreement AGR-DA --json
  gigaledger report round-trip --status fact --status reported --level entity
  gigaledger report round-trip --as-of 2026-08-31 --as-known 2026-09-06T23:59:59Z
  gigaledger report exceptions --open --severity warning
  gigaledger report warrants --share-price 250
  gigaledger report investment --csv > investment.csv
  gigaledger report investment --xlsx investment.xlsx
"""

_EXCEPTIONS_PAGE = 1000

app = typer.Typer(
    help=_REPORT_HELP,
    no_args_is_help=True,
)


class Status(StrEnum):
    """How firmly a fact is asserted, as typed on the command line."""

    FACT = "fact"
    REPORTED = "reported"
    PLAN = "plan"
    ASSUMPTION = "assumption"


class Severity(StrEnum):
    """How grave an exception is, as typed on the command line."""

    NOTICE = "notice"
    WARNING = "warning"
    CRITICAL = "critical"


class Level(StrEnum):
    """Level of the parties of a pair."""

    GROUP = "group"
    ENTITY = "entity"


AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of", metavar="DATE", help="Only facts effective by this day.", show_default=False
    ),
]
Statuses = Annotated[
    list[Status] | None,
    typer.Option("--status", help="Only facts asserted so. Repeat for more.", show_default=False),
]
Agreement = Annotated[
    str,
    typer.Option(
        "--agreement",
        metavar="A",
        help="Only this agreement and those that it supersedes.",
        show_default=False,
    ),
]
AsKnown = Annotated[
    str | None,
    typer.Option(
        "--as-known",
        metavar="POSITION|INSTANT",
        help="Only what was recorded by then, and what was not yet reversed, e.g. 1234 or "
        "2026-09-06T23:59:59Z.",
        show_default=False,
    ),
]
MinPosition = Annotated[
    int,
    typer.Option(
        "--min-position",
        min=0,
        metavar="N",
        help="Wait, at most 5 seconds, until the answer reflects the log up to this position.",
        show_default=False,
    ),
]


@app.command("capacity")
def report_capacity(  # noqa: PLR0913 - options of the command line
    *,
    book: Book = "main",
    as_of: AsOf = None,
    as_known: AsKnown = None,
    agreement: Agreement = "",
    status: Statuses = None,
    min_position: MinPosition = 0,
    projections: ProjectionsAddress = None,
    as_json: Json = False,
    as_csv: Csv = False,
    xlsx: Xlsx = None,
) -> None:
    """GW: contracted, planned, claimed, certified, and what the hardware received can carry."""
    output = Output(as_json=as_json, as_csv=as_csv, xlsx=xlsx)
    request = QueryCapacityRequest(
        book=book_name(book),
        read=read_spec(as_of, as_known, status, min_position),
        agreement=agreement,
    )
    with client.projections(projections_address(projections)) as stub:
        response = stub.QueryCapacity(request, timeout=client.CALL_SECONDS)
    output.give(response, capacity_tables)


@app.command("investment")
def report_investment(  # noqa: PLR0913 - options of the command line
    *,
    book: Book = "main",
    as_of: AsOf = None,
    as_known: AsKnown = None,
    agreement: Agreement = "",
    status: Statuses = None,
    min_position: MinPosition = 0,
    projections: ProjectionsAddress = None,
    as_json: Json = False,
    as_csv: Csv = False,
    xlsx: Xlsx = None,
) -> None:
    """Money invested: committed, entitled, called, funded, issued, by agreement and tranche."""
    output = Output(as_json=as_json, as_csv=as_csv, xlsx=xlsx)
    request = QueryInvestmentRequest(
        book=book_name(book),
        read=read_spec(as_of, as_known, status, min_position),
        agreement=agreement,
    )
    with client.projections(projections_address(projections)) as stub:
        response = stub.QueryInvestment(request, timeout=client.CALL_SECONDS)
    output.give(response, investment_tables)


@app.command("round-trip")
def report_round_trip(  # noqa: PLR0913 - options of the command line
    *,
    book: Book = "main",
    as_of: AsOf = None,
    as_known: AsKnown = None,
    status: Statuses = None,
    level: Annotated[
        Level, typer.Option(help="Groups of companies, or legal entities.")
    ] = Level.GROUP,
    supplier: Annotated[
        str,
        typer.Option(metavar="P", help="Only pairs with this supplier.", show_default=False),
    ] = "",
    customer: Annotated[
        str,
        typer.Option(metavar="P", help="Only pairs with this customer.", show_default=False),
    ] = "",
    lots: Annotated[
        bool, typer.Option("--lots", help="How long dollars took, and each lot of them.")
    ] = False,
    min_position: MinPosition = 0,
    projections: ProjectionsAddress = None,
    as_json: Json = False,
    as_csv: Csv = False,
    xlsx: Xlsx = None,
) -> None:
    """Purchases against investment between those who supply and invest and those who buy."""
    output = Output(as_json=as_json, as_csv=as_csv, xlsx=xlsx)
    request = QueryRoundTripRequest(
        book=book_name(book),
        read=read_spec(as_of, as_known, status, min_position),
        level=PartyLevel.Value(f"PARTY_LEVEL_{level.name}"),
        supplier_investor=supplier,
        customer_investee=customer,
        include_lots=lots,
    )
    with client.projections(projections_address(projections)) as stub:
        response = stub.QueryRoundTrip(request, timeout=client.CALL_SECONDS)
    output.give(response, partial(round_trip_tables, with_lots=lots))


@app.command("circular-flows")
def report_circular_flows(  # noqa: PLR0913 - options of the command line
    *,
    book: Book = "main",
    as_of: AsOf = None,
    as_known: AsKnown = None,
    from_date: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="DATE",
            help="Only what moved on this day or later.",
            show_default=False,
        ),
    ] = None,
    status: Statuses = None,
    level: Annotated[
        Level, typer.Option(help="Groups of companies, or legal entities.")
    ] = Level.GROUP,
    min_position: MinPosition = 0,
    projections: ProjectionsAddress = None,
    as_json: Json = False,
    as_csv: Csv = False,
    xlsx: Xlsx = None,
) -> None:
    """What runs in circles between any number of parties, and what is left as outside flow."""
    output = Output(as_json=as_json, as_csv=as_csv, xlsx=xlsx)
    request = QueryCircularFlowsRequest(
        book=book_name(book),
        read=read_spec(as_of, as_known, status, min_position),
        level=PartyLevel.Value(f"PARTY_LEVEL_{level.name}"),
    )
    if from_date is not None:
        request.from_date.CopyFrom(date_to_message(parse_date(from_date, "--from")))
    with client.projections(projections_address(projections)) as stub:
        response = stub.QueryCircularFlows(request, timeout=client.CALL_SECONDS)
    output.give(response, circular_flow_tables)


@app.command("warrants")
def report_warrants(  # noqa: PLR0913 - options of the command line
    *,
    book: Book = "main",
    as_of: AsOf = None,
    as_known: AsKnown = None,
    warrant: Annotated[
        str, typer.Option(metavar="W", help="Only this warrant.", show_default=False)
    ] = "",
    share_price: Annotated[
        str | None,
        typer.Option(
            metavar="PRICE",
            help="Price of one share to value warrants at, in the currency of the exercise price.",
            show_default=False,
        ),
    ] = None,
    status: Statuses = None,
    min_position: MinPosition = 0,
    projections: ProjectionsAddress = None,
    as_json: Json = False,
    as_csv: Csv = False,
    xlsx: Xlsx = None,
) -> None:
    """Warrants: granted, vested, exercised and lapsed, and what the next tranche needs to vest."""
    output = Output(as_json=as_json, as_csv=as_csv, xlsx=xlsx)
    request = QueryWarrantsRequest(
        book=book_name(book),
        read=read_spec(as_of, as_known, status, min_position),
        warrant=warrant,
    )
    if share_price is not None:
        request.share_price.value = parse_price(share_price, "--share-price")
    with client.projections(projections_address(projections)) as stub:
        response = stub.QueryWarrants(request, timeout=client.CALL_SECONDS)
    output.give(response, warrant_tables)


@app.command("exceptions")
def report_exceptions(  # noqa: PLR0913 - options of the command line
    *,
    book: Book = "main",
    as_of: AsOf = None,
    as_known: AsKnown = None,
    status: Statuses = None,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            "--rule",
            metavar="SX-...",
            help="Only this rule. Repeat for more.",
            show_default=False,
        ),
    ] = None,
    open_only: Annotated[
        bool, typer.Option("--open", help="Only what is not cleared.", show_default=False)
    ] = False,
    severity: Annotated[Severity, typer.Option(help="Only this severity and graver ones.")] = (
        Severity.NOTICE
    ),
    min_position: MinPosition = 0,
    projections: ProjectionsAddress = None,
    as_json: Json = False,
    as_csv: Csv = False,
    xlsx: Xlsx = None,
) -> None:
    """What is legal to record but worth a look: each exception, since when and until when."""
    output = Output(as_json=as_json, as_csv=as_csv, xlsx=xlsx)
    request = QueryExceptionsRequest(
        book=book_name(book),
        read=read_spec(as_of, as_known, status, min_position),
        rules=rule or [],
        open_only=open_only,
        page_size=_EXCEPTIONS_PAGE,
    )
    response = QueryExceptionsResponse(next_page_token="first")  # noqa: S106 - no secret
    listed: list[ExceptionFinding] = []
    with client.projections(projections_address(projections)) as stub:
        while response.next_page_token:
            response = stub.QueryExceptions(request, timeout=client.CALL_SECONDS)
            listed += response.exceptions
            request.page_token = response.next_page_token
    least = ExceptionSeverity.Value(f"EXCEPTION_SEVERITY_{severity.name}")
    listed = [item for item in listed if item.severity >= least]
    del response.exceptions[:]
    response.exceptions.extend(listed)
    response.total_count = len(listed)
    response.open_count = sum(not item.HasField("cleared_date") for item in listed)
    output.give(response, exception_tables)


def read_spec(
    as_of: str | None,
    as_known: str | None,
    statuses: list[Status] | None,
    min_position: int = 0,
) -> ReadSpec:
    """Return which facts an answer counts, by the options of the command line.

    Raises:
        CommandError: an option can't be read.
    """
    read = ReadSpec(min_position=min_position)
    if as_of is not None:
        read.as_of.CopyFrom(date_to_message(parse_date(as_of, "--as-of")))
    if as_known is not None:
        known = parse_knowledge(as_known, "--as-known")
        if isinstance(known, int):
            read.as_known_position = known
        else:
            read.as_known_time.CopyFrom(instant_to_message(known))
    read.assertion_statuses.extend(
        AssertionStatus.Value(f"ASSERTION_STATUS_{status.name}") for status in statuses or []
    )
    return read

"""The command that reads the same log under other policies: report what-if."""

from __future__ import annotations

from typing import Annotated

import typer
from gigaledger.cli import client
from gigaledger.cli.errors import CommandError, ExitCode
from gigaledger.cli.formats import figure
from gigaledger.cli.output import add_row, table
from gigaledger.cli.report.outputs import Output
from gigaledger.cli.report.report_commands import (
    Agreement,
    AsKnown,
    AsOf,
    MinPosition,
    Statuses,
    read_spec,
)
from gigaledger.cli.settings import (
    Book,
    Csv,
    Json,
    ProjectionsAddress,
    Xlsx,
    book_name,
    projections_address,
)
from gigaledger.v1.projections_pb2 import (
    CounterfactualAgreement,
    CounterfactualFigures,
    CounterfactualReading,
    EntitlementReading,
    FirstTrancheReading,
    LatchingReading,
    QueryCounterfactualRequest,
    QueryCounterfactualResponse,
)
from rich.console import RenderableType

app = typer.Typer()

_WORDS = {
    "floor": ("entitlement", EntitlementReading.ENTITLEMENT_READING_FLOOR),
    "pro-rata": ("entitlement", EntitlementReading.ENTITLEMENT_READING_PRO_RATA),
    "latching": ("latching", LatchingReading.LATCHING_READING_ON),
    "no-latching": ("latching", LatchingReading.LATCHING_READING_OFF),
    "signature": ("first_tranche", FirstTrancheReading.FIRST_TRANCHE_READING_SIGNATURE),
}
_USUAL = ("pro-rata", "latching", "no-latching", "signature")
_FIGURES = (
    ("entitled", "entitled"),
    ("called", "called"),
    ("funded", "funded"),
    ("available to call", "available_to_call"),
    ("entitled, not funded", "unfunded_entitlement"),
    ("funded beyond entitlement", "overfunded"),
)


@app.command("what-if")
def report_what_if(  # noqa: PLR0913 - options of the command line
    *,
    book: Book = "main",
    as_of: AsOf = None,
    as_known: AsKnown = None,
    agreement: Agreement = "",
    reading: Annotated[
        list[str] | None,
        typer.Option(
            "--reading",
            metavar="WORDS",
            help="floor or pro-rata, latching or no-latching, signature; joined by commas. Repeat "
            "for more readings. Default: each of them alone.",
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
    """The same log under other readings of the terms, beside the books as they are.

    Whole tranches (floor) or in proportion to certified capacity (pro-rata); entitlement that
    outlives a decertification or not; the first tranche on signature. What a reading does not name
    is as agreed. Nothing is changed.
    """
    output = Output(as_json=as_json, as_csv=as_csv, xlsx=xlsx)
    names = reading or list(_USUAL)
    request = QueryCounterfactualRequest(
        book=book_name(book),
        read=read_spec(as_of, as_known, status, min_position),
        agreement=agreement,
        readings=[parse_reading(name) for name in names],
    )
    with client.projections(projections_address(projections)) as stub:
        response = stub.QueryCounterfactual(request, timeout=client.CALL_SECONDS)
    output.give(response, lambda answer: what_if_tables(answer, names))


def parse_reading(text: str) -> CounterfactualReading:
    """Return the reading of an option, e.g. "pro-rata,latching".

    Raises:
        CommandError: a word is unknown, or two say how to read the same.
    """
    found = CounterfactualReading()
    for word in text.split(","):
        if word not in _WORDS:
            raise CommandError(
                f"--reading: {word!r} is none of {', '.join(_WORDS)}", ExitCode.USAGE
            )
        name, value = _WORDS[word]
        if getattr(found, name):
            message = f"--reading: {text!r} says twice how to read the {name.replace('_', ' ')}"
            raise CommandError(message, ExitCode.USAGE)
        setattr(found, name, value)
    return found


def what_if_tables(response: QueryCounterfactualResponse, names: list[str]) -> list[RenderableType]:
    """Return a table for each agreement: the books, then each reading with its difference."""
    if not response.agreements:
        return ["No investment is recorded that this report would count."]
    return [_agreement(item, names) for item in response.agreements]


def _agreement(item: CounterfactualAgreement, names: list[str]) -> RenderableType:
    made = table(
        f"{item.agreement}, in {item.currency_code}, read in other ways; below each, by how much "
        "it differs",
        *("", "as recorded", *names),
    )
    for label, name in _FIGURES:
        read = [_shown(outcome.figures, name) for outcome in item.outcomes]
        add_row(made, [label, _shown(item.as_recorded, name), *read])
        differences = [_difference(outcome.difference, name) for outcome in item.outcomes]
        if any(differences):
            add_row(made, ["", "", *differences])
    return made


def _difference(difference: CounterfactualFigures, name: str) -> str:
    changed = getattr(difference, name).amount
    if not (changed.units or changed.nanos):
        return ""
    sign = "+" if changed.units > 0 or changed.nanos > 0 else ""
    return f"({sign}{_shown(difference, name)})"


def _shown(figures: CounterfactualFigures, name: str) -> str:
    return figure(getattr(figures, name))

"""The command that asks before money moves: ask call."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer
from gigaledger.cli import client
from gigaledger.cli.errors import CommandError, ExitCode
from gigaledger.cli.formats import condition as terms_of
from gigaledger.cli.formats import day, instant, kilowatts, money
from gigaledger.cli.options import parse_date
from gigaledger.cli.output import (
    add_row,
    console,
    hypothetical_banner,
    print_json,
    printable_lines,
    table,
)
from gigaledger.cli.settings import Book, Json, LedgerAddress, book_name, ledger_address
from gigaledger.common.quantities import (
    QuantityError,
    currency_exponent,
    date_to_message,
    money_to_message,
)
from gigaledger.v1.ledger_pb2 import (
    CallCause,
    CallConditionFinding,
    CallTrancheFinding,
    EvaluateCapitalCallRequest,
    EvaluateCapitalCallResponse,
)
from gigaledger.v1.ledger_pb2_grpc import LedgerServiceStub
from google.type.money_pb2 import Money
from rich.console import RenderableType

app = typer.Typer(
    help="Ask before you act: what the ledger would say, and why.", no_args_is_help=True
)


@app.command("call")
def ask_call(  # noqa: PLR0913 - options of the command line
    *,
    book: Book = "main",
    agreement: Annotated[
        str,
        typer.Option("--agreement", metavar="A", help="The agreement.", show_default=False),
    ],
    tranche: Annotated[
        list[int],
        typer.Option(
            "--tranche",
            metavar="N",
            help="Number of the tranche. Repeat for more.",
            show_default=False,
        ),
    ],
    amount: Annotated[
        str | None,
        typer.Option(
            metavar="AMOUNT",
            help="E.g. 'USD 1,000,000.00'. Default: what the tranches come to.",
            show_default=False,
        ),
    ] = None,
    date: Annotated[
        str | None,
        typer.Option(
            "--date",
            metavar="DATE",
            help="When the call takes effect. Default: today (UTC); in an imported book, the day "
            "on which its last event was recorded.",
            show_default=False,
        ),
    ] = None,
    call: Annotated[
        str,
        typer.Option(
            metavar="NUMBER",
            help="Number of the call notice, to check that it is free.",
            show_default=False,
        ),
    ] = "",
    ledger: LedgerAddress = None,
    as_json: Json = False,
) -> None:
    """May these tranches be called? Yes or no, why, and what would change the answer.

    The answer comes from the rule that the ledger holds the call to, and nothing is recorded. Exit
    code 0 is yes; 1 is no, or a question that the ledger can't read; any other code is no answer.
    """
    request = EvaluateCapitalCallRequest(
        book=book_name(book), agreement=agreement, tranches=tranche, call=call
    )
    if amount is not None:
        request.amount.CopyFrom(parse_amount(amount, "--amount"))
    if date is not None:
        request.effective_date.CopyFrom(date_to_message(parse_date(date, "--date")))
    with client.ledger_channel(ledger_address(ledger)) as channel:
        stub = LedgerServiceStub(channel)
        response = stub.EvaluateCapitalCall(request, timeout=client.CALL_SECONDS)
    if as_json:
        print_json(response)
    else:
        for part in call_answer(request, response):
            console().print(part)
    if not response.allowed:
        raise typer.Exit(ExitCode.REFUSED)


def parse_amount(text: str, option: str) -> Money:
    """Return the amount of an option: a currency and a number, e.g. "USD 1,000,000.00".

    Raises:
        CommandError: it is none.
    """
    currency, _, digits = text.strip().partition(" ")
    try:
        minor = Decimal(digits.replace(",", "")).scaleb(currency_exponent(currency))
        if minor.is_finite() and minor == minor.to_integral_value():
            return money_to_message(int(minor), currency)
    except (InvalidOperation, QuantityError):
        pass
    raise CommandError(
        f"{option}: {text!r} is not an amount such as 'USD 1,000,000.00'", ExitCode.USAGE
    )


def call_answer(
    request: EvaluateCapitalCallRequest, response: EvaluateCapitalCallResponse
) -> list[RenderableType]:
    """Return an answer for people: yes or no first, then why."""
    numbers = ", ".join(map(str, request.tranches))
    verdict = "YES" if response.allowed else "NO"
    asked = f"tranche {numbers} of {request.agreement}, {money(response.amount)}"
    parts: list[RenderableType] = [hypothetical_banner()] if response.hypothetical else []
    parts.append(
        f"{verdict}: {asked}, to be called with effect from {day(response.effective_date)}."
    )
    if response.approval_required:
        parts.append("The call has to name an approver other than its actor (HR-AUTH-01).")
    parts += [printable_lines(f"{o.rule}: {o.message}") for o in response.objections]
    if response.tranches:
        parts.append(_conditions(response))
    if response.called.currency_code:
        parts.append(_room(response))
    if response.remedies:
        heading = "What would change the answer:"
        parts.append(printable_lines("\n".join([heading, *_remedies(response)])))
    elif not response.allowed:
        parts.append("Nothing under this agreement would change the answer.")
    recorded = instant(response.recorded_time)
    parts.append(f"Reflects the log up to position {response.position:,} (recorded {recorded}).")
    return parts


def _remedies(response: EvaluateCapitalCallResponse) -> list[str]:
    return [f"  - {remedy.description}" for remedy in response.remedies]


def _conditions(response: EvaluateCapitalCallResponse) -> RenderableType:
    made = table(
        "Conditions",
        *("tranche", "condition", "held", "stands at", "by the events"),
        numbers_from=5,
    )
    for finding in response.tranches:
        name = f"{finding.tranche}: {money(finding.amount)}"
        if not finding.conditions:
            add_row(made, [name, "none", "yes", "", ""])
        for condition in finding.conditions:
            held = "yes" if condition.held else "NO"
            causes = ", ".join(_cause(cause) for cause in condition.causes)
            add_row(made, [name, terms_of(condition.terms), held, _standing(condition), causes])
        if finding.HasField("expiry_date"):
            add_row(made, [name, *_expiry(finding)])
    return made


def _expiry(finding: CallTrancheFinding) -> list[str]:
    held = "NO" if finding.expired else "yes"
    return [f"called by {day(finding.expiry_date)}", held, "", ""]


def _standing(condition: CallConditionFinding) -> str:
    if not condition.HasField("certified_kw"):
        return ""
    return f"{kilowatts(condition.certified_kw)} kW"


def _cause(cause: CallCause) -> str:
    document = f" {cause.document}" if cause.document else ""
    power = f" ({cause.power_kw:+,} kW)" if cause.power_kw else ""
    return f"{cause.position}{document}{power}"


def _room(response: EvaluateCapitalCallResponse) -> RenderableType:
    made = table("Room under the agreement", "", "amount")
    committed = response.committed
    known = money(committed) if committed.currency_code else "not disclosed"
    add_row(made, ["committed", known])
    add_row(made, ["entitled", money(response.entitled)])
    add_row(made, ["called so far", money(response.called)])
    add_row(made, ["available to call", money(response.available)])
    return made

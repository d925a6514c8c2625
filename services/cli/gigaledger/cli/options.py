"""What options mean that typer does not read itself."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal, InvalidOperation

from gigaledger.cli.errors import CommandError, ExitCode


def parse_date(text: str, option: str) -> dt.date:
    """Return the day of an option.

    Raises:
        CommandError: it is none.
    """
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise CommandError(
            f"{option}: {text!r} is not a date such as 2026-12-31", ExitCode.USAGE
        ) from None


def parse_instant(text: str, option: str) -> dt.datetime:
    """Return the instant of an option.

    Raises:
        CommandError: it is none, or names no time zone.
    """
    try:
        instant = dt.datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(
            f"{option}: {text!r} is not an instant such as 2025-09-22T00:00:00Z", ExitCode.USAGE
        ) from None
    if instant.tzinfo is None:
        raise CommandError(
            f"{option}: {text!r} names no time zone: end it with Z for UTC", ExitCode.USAGE
        )
    return instant


def parse_price(text: str, option: str) -> str:
    """Return the decimal of an option, without thousands separators.

    Raises:
        CommandError: it is not a positive decimal, or zero.
    """
    try:
        price = Decimal(text.replace(",", ""))
    except InvalidOperation:
        price = Decimal("NaN")
    if not price.is_finite() or price < 0:
        raise CommandError(f"{option}: {text!r} is not a price such as 1,250.50", ExitCode.USAGE)
    return f"{price:f}"


def parse_knowledge(text: str, option: str) -> int | dt.datetime:
    """Return the position or the instant of an option.

    Raises:
        CommandError: it is neither, or an instant without a time zone.
    """
    if text.isascii() and text.isdecimal():
        return int(text)
    try:
        return parse_instant(text, option)
    except CommandError as error:
        if "no time zone" in error.message:
            raise
        raise CommandError(
            f"{option}: {text!r} is neither a position such as 1234 nor an instant such as "
            "2026-09-06T23:59:59Z",
            ExitCode.USAGE,
        ) from None

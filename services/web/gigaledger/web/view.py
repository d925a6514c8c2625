"""The state of a book that a page shows, from the parameters of its address."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from gigaledger.client.queries import Level, Read

WAIT_SECONDS = 5.0
MAX_POSITION = 2**63 - 1


class ParameterError(ValueError):
    """A parameter of an address is wrong.

    Attributes:
        text: what is wrong.
        advice: what to enter instead.
    """

    def __init__(self, text: str, advice: str) -> None:
        super().__init__(text)
        self.text = text
        self.advice = advice


@dataclass(frozen=True)
class View:
    """What a page counts.

    Attributes:
        book: id of the book.
        as_of: only facts with this effective date or an earlier one; all if None.
        as_known: an earlier state of knowledge, as it was entered: a position, a day or an instant.
        level: whether parties stand for themselves or for their groups.
        min_position: answers reflect the log up to here. Only the live update sets it.
    """

    book: str
    as_of: dt.date | None = None
    as_known: str = ""
    level: Level = "GROUP"
    min_position: int = 0

    @property
    def known(self) -> int | dt.datetime | None:
        """The state of knowledge: a position, an instant, or None for the latest."""
        return _known(self.as_known) if self.as_known else None

    @property
    def is_latest(self) -> bool:
        """Whether the page follows the log."""
        return not self.as_known

    def read(self) -> Read:
        """Return what queries count."""
        return {**self.read_over_time(), "as_of": self.as_of}

    def read_over_time(self) -> Read:
        """Return what a series counts, whose days take the place of `as_of`."""
        read = Read(as_known=self.known)
        if self.min_position and self.is_latest:
            read["min_position"] = self.min_position
            read["max_wait"] = WAIT_SECONDS
        return read

    def link(self, *path: str, **parameters: str) -> str:
        """Return the address of a page of the book in the same state.

        Args:
            path: below the book; the overview if empty.
            parameters: in addition to those of the view; one that is empty is left out.
        """
        given = {
            "as_of": self.as_of.isoformat() if self.as_of else "",
            "as_known": self.as_known,
            "level": "entity" if self.level == "ENTITY" else "",
            **parameters,
        }
        address = "/".join(["/books", *(quote(part, safe="") for part in (self.book, *path))])
        query = urlencode({name: value for name, value in given.items() if value})
        return f"{address}?{query}" if query else address

    def options(self) -> str:
        """Return the options of `gigaledger report` that give the same state."""
        parts = [f"--book {self.book}"]
        if self.as_of:
            parts.append(f"--as-of {self.as_of}")
        if self.as_known:
            known = self.known
            shown = known if isinstance(known, int) else f"{known:%Y-%m-%dT%H:%M:%S.%fZ}"
            parts.append(f"--as-known {shown}")
        return " ".join(parts)


def view_of(book: str, parameters: Mapping[str, str]) -> View:
    """Return the view that the parameters of an address ask for.

    Raises:
        ParameterError: one can't be read.
    """
    as_known = parameters.get("as_known", "").strip()
    if as_known:
        _known(as_known)
    level = parameters.get("level", "")
    if level not in {"", "group", "entity"}:
        raise ParameterError(f'"{level}" is not a level of parties.', "Use group or entity.")
    return View(
        book=book,
        as_of=_day(parameters.get("as_of", "").strip()),
        as_known=as_known,
        level="ENTITY" if level == "entity" else "GROUP",
        min_position=position_of(parameters, "min_position"),
    )


def position_of(parameters: Mapping[str, str], name: str) -> int:
    """Return a parameter that is a position of the log; 0 if it is missing.

    Raises:
        ParameterError: it is something else.
    """
    text = parameters.get(name, "").strip()
    if not text:
        return 0
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:20]) <= MAX_POSITION):
        raise ParameterError(f'"{text}" is not a position of the log.', "Positions are 1, 2, 3 ...")
    return int(text)


def _day(text: str) -> dt.date | None:
    if not text:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ParameterError(
            f'As of: "{text}" is not a date.', "Write year, month and day, such as 2026-12-31."
        ) from None


def _known(text: str) -> int | dt.datetime:
    if text.isascii() and text.isdecimal():
        return position_of({"as_known": text}, "as_known")
    try:
        if len(text) == len("2026-12-31"):
            return dt.datetime.combine(dt.date.fromisoformat(text), dt.time.max, dt.UTC)
        moment = dt.datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise ParameterError(
            f'As known: "{text}" is neither a position nor an instant.',
            "Write a position of the log such as 1234, a day such as 2026-09-06 (its end in UTC), "
            "or an instant such as 2026-09-06T12:00:00Z.",
        ) from None

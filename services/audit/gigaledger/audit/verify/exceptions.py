"""Exceptions, evaluated once more from the proven bytes of the events (docs/exceptions.md).

The rules are those of `gigaledger.exceptions`, which the projection uses as well. Here they see
every event of the book in order, and nothing that the projection stored.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from gigaledger.audit.recompute.figure_sheet import FigureKey, Value
from gigaledger.common.quantities import date_from_message, instant_from_message
from gigaledger.exceptions.catalogue import RULES
from gigaledger.exceptions.policy import policy_in_force
from gigaledger.exceptions.posting import Posting, posting_of
from gigaledger.exceptions.register import ExceptionRecord, register_of
from gigaledger.v1.events_pb2 import RecordedEvent
from gigaledger.v1.projections_pb2 import ExceptionFinding, ExceptionSeverity

ExceptionValues = dict[FigureKey, Value]


def exceptions(leaves: Iterable[bytes]) -> ExceptionValues:
    """Return every exception of a book as known at its last event.

    Args:
        leaves: the bytes of its events, in order.
    """
    postings = _postings(leaves)
    policy = policy_in_force(postings)
    found: Sequence[ExceptionRecord] = ()
    if postings:
        found = register_of(postings, policy, postings[-1].recorded_date).exceptions
    open_count = sum(one.cleared_date is None for one in found)
    named = _named((one.rule, one.subject, one.arose_position, _recorded(one)) for one in found)
    return named | exception_counts(policy.number, len(found), open_count)


def _postings(leaves: Iterable[bytes]) -> list[Posting]:
    return [posting_of(RecordedEvent.FromString(leaf)) for leaf in leaves]


def published_exceptions(answers: Iterable[ExceptionFinding]) -> ExceptionValues:
    """Return published exceptions under the same names as `exceptions`."""
    return _named((one.rule, one.subject, one.arose_position, _published(one)) for one in answers)


def published_reviews(answers: Iterable[ExceptionFinding]) -> ExceptionValues:
    """Return owners and resolutions of published exceptions, by their ids."""
    found: ExceptionValues = {}
    for one in answers:
        found |= _review(one.exception, one.owner, one.resolution)
    return found


def reviews(leaves: Iterable[bytes], ids: Collection[str]) -> ExceptionValues:
    """Return the owners and resolutions that were recorded of exceptions, by their ids.

    Args:
        leaves: the bytes of the events, in order.
        ids: the exceptions to include.
    """
    postings = _postings(leaves)
    reversed_positions = {one.fact.position for one in postings if one.kind == "entry_reversed"}
    owners, resolutions = dict.fromkeys(ids, ""), dict.fromkeys(ids, "")
    for one in postings:
        if one.position in reversed_positions:
            continue
        if one.kind == "exception_opened":
            owners[one.fact.exception] = one.fact.owner
        elif one.kind == "exception_closed":
            resolutions[one.fact.exception] = one.fact.resolution
    found: ExceptionValues = {}
    for name in ids:
        found |= _review(name, owners[name], resolutions[name])
    return found


def _review(name: str, owner: str, resolution: str) -> ExceptionValues:
    about = (("exception", name),)
    return {
        FigureKey("exceptions", "owner", about): owner,
        FigureKey("exceptions", "resolution", about): resolution,
    }


def exception_counts(policy: int, total: int, still_open: int) -> ExceptionValues:
    """Return the number of the policy and how many exceptions there are, and are open."""
    counts = {"policy": policy, "total_count": total, "open_count": still_open}
    return {FigureKey("exceptions", name, ()): value for name, value in counts.items()}


def _named(described: Iterable[tuple[str, str, int, str]]) -> ExceptionValues:
    """Name exceptions by rule, subject and position, and number those that share a name."""
    same: dict[tuple[str, str, int], list[str]] = defaultdict(list)
    for rule, subject, arose, text in described:
        same[rule, subject, arose].append(text)
    found: ExceptionValues = {}
    for (rule, subject, arose), texts in same.items():
        about = (("subject", subject), ("arose_position", str(arose)))
        for number, text in enumerate(sorted(texts), start=1):
            of = (*about, ("number", str(number))) if len(texts) > 1 else about
            found[FigureKey("exceptions", rule, of)] = text
    return found


class _Moment(NamedTuple):
    """When an exception arose or was cleared: position, business date, recorded time."""

    position: int
    day: dt.date
    recorded: dt.datetime | None

    def text(self, name: str) -> str:
        if self.recorded is None:
            return f"{name} {self.day.isoformat()}"
        recorded = self.recorded.isoformat()
        return f"{name} {self.day.isoformat()} at {self.position}, recorded {recorded}"


def _text(
    severity: str, positions: Iterable[int], arose: _Moment | None, cleared: _Moment | None
) -> str:
    parts = [severity, f"events {', '.join(map(str, sorted(positions)))}"]
    parts += [when.text(name) for name, when in (("arose", arose), ("cleared", cleared)) if when]
    return "; ".join(parts)


def _recorded(one: ExceptionRecord) -> str:
    cleared = None
    if one.cleared_date is not None:
        cleared = _Moment(one.cleared_position or 0, one.cleared_date, one.cleared_time)
    severity, _ = RULES[one.rule]
    arose = _Moment(one.arose_position, one.arose_date, one.arose_time)
    return _text(severity.name, one.positions, arose, cleared)


def _published(one: ExceptionFinding) -> str:
    severity = ExceptionSeverity.Name(one.severity).removeprefix("EXCEPTION_SEVERITY_")
    arose, cleared = _moment(one, "arose"), _moment(one, "cleared")
    return _text(severity, one.positions, arose, cleared)


def _moment(one: ExceptionFinding, name: str) -> _Moment | None:
    if not one.HasField(f"{name}_date"):  # type: ignore[arg-type]
        return None
    recorded = None
    if one.HasField(f"{name}_time"):  # type: ignore[arg-type]
        recorded = instant_from_message(getattr(one, f"{name}_time"))
    day = date_from_message(getattr(one, f"{name}_date"))
    return _Moment(getattr(one, f"{name}_position"), day, recorded)

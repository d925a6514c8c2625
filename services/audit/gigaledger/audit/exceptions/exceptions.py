"""Exceptions, judged a second time from the recorded events alone (docs/exceptions.md)."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable

from gigaledger.audit.exceptions import party_checks, posting_rules
from gigaledger.audit.exceptions.capacity_checks import HARDWARE, MILESTONES, SITES
from gigaledger.audit.exceptions.capital_checks import CAPITAL, ISSUERS
from gigaledger.audit.exceptions.evaluator import Judge, Life
from gigaledger.audit.exceptions.order_checks import ORDERS
from gigaledger.audit.exceptions.party_checks import PAIRS, PARTIES
from gigaledger.audit.exceptions.postings import Posting, Thresholds, posting_of
from gigaledger.audit.recompute.figure_sheet import Key, Value
from gigaledger.common.quantities import date_from_message, instant_from_message
from gigaledger.v1.projections_pb2 import ExceptionFinding, ExceptionSeverity

_CHECKS = (*posting_rules.CHECKS, *party_checks.CHECKS)
_FAMILIES = (CAPITAL, ISSUERS, MILESTONES, SITES, HARDWARE, ORDERS, PARTIES, PAIRS)
_NOTICES = frozenset(
    {
        *("SX-CAP-01", "SX-CUT-02", "SX-EVD-01", "SX-JE-01", "SX-LEI-01", "SX-RT-01"),
        "SX-RT-04",
    }
)
_CRITICAL = frozenset({"SX-INV-01", "SX-INV-02"})
RULES = tuple(
    sorted(
        {
            *posting_rules.RECORDING,
            *(check.rule for check in _CHECKS),
            *(rule for family in _FAMILIES for rule in family.rules),
        }
    )
)
"""The rules that this judge applies: no other one is recomputed."""
Published = dict[Key, Value]


def exceptions(leaves: Iterable[bytes]) -> Published:
    """Return every exception of a book as it is known at its last event, by these rules.

    Args:
        leaves: the bytes of its events, in order.
    """
    postings = [posting_of(leaf) for leaf in leaves]
    thresholds = _thresholds(postings)
    judge = Judge(thresholds, _CHECKS, _FAMILIES)
    for posting in postings:
        judge.add(posting)
    if postings:
        judge.finish(postings[-1].recorded.date())
    open_count = sum(life.cleared is None for life in judge.lives)
    told = [(life.rule, life.subject, life.arose[0], _life(life)) for life in judge.lives]
    return _named(told) | exception_counts(thresholds.number, len(told), open_count)


def published_exceptions(answers: Iterable[ExceptionFinding]) -> Published:
    """Return published exceptions as `exceptions` names them."""
    return _named([(one.rule, one.subject, one.arose_position, _told(one)) for one in answers])


def published_reviews(answers: Iterable[ExceptionFinding]) -> Published:
    """Return who looks into published exceptions, and how they were settled, by their ids."""
    found: Published = {}
    for one in answers:
        found |= _review(one.exception, one.owner, one.resolution)
    return found


def reviews(leaves: Iterable[bytes], ids: Collection[str]) -> Published:
    """Return what people recorded of exceptions, by their ids.

    Args:
        leaves: the bytes of the events, in order.
        ids: the exceptions that are asked about.
    """
    postings = [posting_of(leaf) for leaf in leaves]
    wrong = {one.fact.position for one in postings if one.kind == "entry_reversed"}
    owners, resolutions = dict.fromkeys(ids, ""), dict.fromkeys(ids, "")
    for one in postings:
        if one.position not in wrong and one.kind == "exception_opened":
            owners[one.fact.exception] = one.fact.owner
        elif one.position not in wrong and one.kind == "exception_closed":
            resolutions[one.fact.exception] = one.fact.resolution
    found: Published = {}
    for name in ids:
        found |= _review(name, owners[name], resolutions[name])
    return found


def _review(name: str, owner: str, resolution: str) -> Published:
    about = (("exception", name),)
    return {
        Key("exceptions", "owner", about): owner,
        Key("exceptions", "resolution", about): resolution,
    }


def exception_counts(policy: int, total: int, still_open: int) -> Published:
    """Return what is said of all exceptions together: by which policy, how many, how many open."""
    counts = {"policy": policy, "total_count": total, "open_count": still_open}
    return {Key("exceptions", name, ()): value for name, value in counts.items()}


def _thresholds(postings: list[Posting]) -> Thresholds:
    """Return the thresholds of the latest policy: it judges the whole history."""
    wrong = {one.fact.position for one in postings if one.kind == "entry_reversed"}
    thresholds = Thresholds()
    for posting in postings:
        if posting.kind == "policy_adopted" and posting.position not in wrong:
            thresholds.adopt(posting.fact)
    return thresholds


def _named(told: Iterable[tuple[str, str, int, str]]) -> Published:
    """Name exceptions by rule, subject and position; several of one name are numbered."""
    same: dict[tuple[str, str, int], list[str]] = defaultdict(list)
    for rule, subject, arose, text in told:
        same[rule, subject, arose].append(text)
    found: Published = {}
    for (rule, subject, arose), texts in same.items():
        about = (("subject", subject), ("arose_position", str(arose)))
        for number, text in enumerate(sorted(texts), start=1):
            of = (*about, ("number", str(number))) if len(texts) > 1 else about
            found[Key("exceptions", rule, of)] = text
    return found


def _severity(rule: str) -> str:
    """Return how grave a rule is (docs/exceptions.md)."""
    return "CRITICAL" if rule in _CRITICAL else "NOTICE" if rule in _NOTICES else "WARNING"


def _life(life: Life) -> str:
    position, day, recorded = life.arose
    parts = [_severity(life.rule), f"events {_positions(life.positions)}"]
    parts.append(_moment("arose", position, day, recorded))
    if life.cleared is not None:
        position, day, recorded = life.cleared
        parts.append(_moment("cleared", position, day, recorded))
    return "; ".join(parts)


def _told(one: ExceptionFinding) -> str:
    severity = ExceptionSeverity.Name(one.severity).removeprefix("EXCEPTION_SEVERITY_")
    parts = [severity, f"events {_positions(one.positions)}"]
    for name in ("arose", "cleared"):
        if one.HasField(f"{name}_date"):  # type: ignore[arg-type]
            day = date_from_message(getattr(one, f"{name}_date"))
            when = None
            if one.HasField(f"{name}_time"):  # type: ignore[arg-type]
                when = instant_from_message(getattr(one, f"{name}_time"))
            parts.append(_moment(name, getattr(one, f"{name}_position"), day, when))
    return "; ".join(parts)


def _moment(what: str, position: int, day: dt.date, recorded: dt.datetime | None) -> str:
    at = f" at {position}, recorded {recorded.isoformat()}" if recorded else ""
    return f"{what} {day.isoformat()}{at}"


def _positions(positions: Iterable[int]) -> str:
    return ", ".join(str(position) for position in sorted(positions))

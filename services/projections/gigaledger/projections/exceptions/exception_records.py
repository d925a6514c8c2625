"""Reads stored findings: how many exceptions there are as of a day, as known then, and which."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from gigaledger.exceptions.capacity_rules import mismatch_text
from gigaledger.exceptions.posting import Posting
from gigaledger.exceptions.register import ExceptionRecord, exception_id
from gigaledger.projections.engine.snapshot import Snapshot
from gigaledger.projections.engine.statements import statement
from gigaledger.projections.engine.subtotals import subtotals
from gigaledger.projections.exceptions.documents import HARDWARE
from gigaledger.projections.exceptions.evaluation_store import record_of
from gigaledger.projections.exceptions.hardware import CERTIFICATE, CERTIFICATES

FEW = 5000
"""Up to this many open exceptions are found by their day and position and then sorted. For more,
reading in order is faster, because most of those passed over are open as well."""

_COUNTS = """
    SELECT day, rule AS measure, ''::text AS subject, 1::numeric AS denominator,
           sum(records)::numeric AS amount, sum(open_count)::bigint AS open_count
    FROM (
        SELECT effective_date AS day, rule, 1 AS records,
               (cleared_date IS NULL)::integer AS open_count
        FROM exceptions_finding WHERE {which} {known}
        UNION ALL
        SELECT end_date, rule, -1, -(cleared_date IS NULL)::integer
        FROM exceptions_finding WHERE {which} {known} AND end_date IS NOT NULL
    ) AS record GROUP BY 1, 2
"""
_DELTAS = """
    SELECT effective_date, 'CAPACITY'::text, agreement || ':' || power_basis, denominator,
           sum(numerator), sum(receipts)::bigint
    FROM exceptions_capacity_delta WHERE {of} {recorded} GROUP BY 1, 3, 4
"""
_ALL = _COUNTS + " UNION ALL " + _DELTAS

SUBTOTALS = subtotals(
    "exceptions_subtotal",
    ("measure", "subject", "denominator"),
    {"amount": "numeric", "open_count": "bigint"},
    affected=statement("""
        SELECT ARRAY(SELECT exception FROM exceptions_finding WHERE {affected}) AS exceptions,
               ARRAY(
                   SELECT DISTINCT position FROM exceptions_capacity_delta
                   WHERE position > %(before)s AND {recorded}
               ) AS positions
    """),
    of_rows=statement(
        "SELECT * FROM ({all}) AS sums"
        " WHERE day <= %(as_of_end)s AND (amount, open_count) <> (0, 0)",
        all=_ALL,
        which="",
        of="",
    ),
    of_affected=statement(
        _ALL,
        which="exception = ANY(%(exceptions)s::text[]) AND",
        of="position = ANY(%(positions)s::bigint[]) AND",
    ),
)
"""Changes of the number of exceptions, and of the capacity of racks, by day."""

_SUMS = SUBTOTALS.question(
    """
    SELECT measure, subject, denominator, sum(amount) AS amount,
           sum(open_count)::bigint AS open_count
    FROM {sums} AS sums GROUP BY 1, 2, 3
"""
)
_COVERS = (
    "{known} AND effective_date <= %(as_of_end)s AND (end_date IS NULL OR end_date > %(as_of_end)s)"
    " AND (arose_position, exception) > (%(after_position)s, %(after_id)s)"
)
_IN_ORDER = """
    SELECT found.* FROM unnest(%(rules)s::text[]) AS asked (code) CROSS JOIN LATERAL (
        SELECT * FROM exceptions_finding WHERE rule = code AND {covers} {only_open}
        ORDER BY arose_position, exception LIMIT %(most)s
    ) AS found
    ORDER BY arose_position, exception LIMIT %(most)s
"""
_PAGE = statement(_IN_ORDER, covers=_COVERS, only_open="")
_OPEN_PAGE = statement(_IN_ORDER, covers=_COVERS, only_open="AND cleared_date IS NULL")
_FEW_OPEN = statement(
    """
    SELECT * FROM exceptions_finding
    WHERE cleared_date IS NULL AND rule = ANY(%(rules)s)
        AND int8range(position, reversed_position) @> %(position)s::bigint
        AND daterange(effective_date, end_date) @> %(as_of_end)s::date
        AND (arose_position, exception) > (%(after_position)s, %(after_id)s)
    ORDER BY arose_position, exception LIMIT %(most)s
"""
)
_STATUSES = statement("""
    SELECT DISTINCT assertion_status FROM exceptions_status
    WHERE {recorded} AND effective_date <= %(as_of_end)s
""")


@dataclass(frozen=True, slots=True)
class Sums:
    """Totals as of a day.

    Attributes:
        total: number of exceptions by rule.
        open: number of open exceptions by rule.
        carried_kw: capacity of the racks, by agreement and number of the power basis.
    """

    total: Counter[str]
    open: Counter[str]
    carried_kw: dict[tuple[str, int], Fraction]


async def read_sums(snapshot: Snapshot) -> Sums:
    """Return the number of stored exceptions and the capacity of racks."""
    sums = Sums(Counter(), Counter(), defaultdict(Fraction))
    for row in await snapshot.sums(_SUMS):
        if row["measure"] == "CAPACITY":
            agreement, _, basis = row["subject"].rpartition(":")
            carried_kw = Fraction(int(row["amount"]), int(row["denominator"]))
            sums.carried_kw[agreement, int(basis)] += carried_kw
        else:
            sums.total[row["measure"]] += int(row["amount"])
            sums.open[row["measure"]] += row["open_count"]
    return sums


async def read_records(
    snapshot: Snapshot,
    sums: Sums,
    rules: Collection[str],
    after: tuple[int, str],
    most: int,
    *,
    open_only: bool,
) -> list[ExceptionRecord]:
    """Return some stored exceptions, by arose_position and id.

    Args:
        snapshot: a snapshot of the projection.
        sums: the totals.
        rules: codes of the rules.
        after: arose_position and id of the exception before the first.
        most: the number of exceptions, at most.
        open_only: whether to return open exceptions only.
    """
    counts = sums.open if open_only else sums.total
    found = sorted(rule for rule in rules if counts[rule])
    if not found or most <= 0:
        return []
    few = open_only and sum(counts[rule] for rule in found) <= FEW
    rows = await snapshot.rows(
        _FEW_OPEN if few else _OPEN_PAGE if open_only else _PAGE,
        rules=found,
        after_position=after[0],
        after_id=after[1],
        most=most,
    )
    return [record_of(row) for row in rows]


async def read_statuses(snapshot: Snapshot) -> set[str]:
    """Return the statuses of all facts that count."""
    return {row["assertion_status"] for row in await snapshot.rows(_STATUSES)}


def described(record: ExceptionRecord, sums: Sums, postings: Iterable[Posting]) -> ExceptionRecord:
    """Return an exception of hardware with its current description.

    Args:
        record: the exception.
        sums: the capacity of racks.
        postings: certificates that are not reversed.
    """
    if record.rule != HARDWARE or record.cleared_date is not None:
        return record
    agreement = record.subject.removeprefix("agreements/")
    certified = [p for p in postings if p.kind in CERTIFICATES and p.fact.agreement == agreement]
    for (of, basis), carried_kw in sums.carried_kw.items():
        own_id = exception_id(HARDWARE, record.arose_position, record.subject, str(basis))
        if of == agreement and own_id == record.id:
            text = mismatch_text(_certified_kw(certified, basis), carried_kw)
            return record._replace(description=text)
    raise AssertionError(f"{record.id} is of no power basis")


def _certified_kw(certificates: Sequence[Posting], basis: int) -> int:
    return sum(
        posting.fact.power_kw if posting.kind == CERTIFICATE else -posting.fact.power_kw
        for posting in certificates
        if posting.fact.power_basis == basis
    )

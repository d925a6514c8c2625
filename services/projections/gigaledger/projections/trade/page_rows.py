"""The rows that pages of purchases begin with, in order of position: the statements. Pure.

A page reads the first rows from a position on that may add to what is listed, and then what the
documents that they touch add up to. Whom a document stands for may have been corrected since: rows
that may be of the parties that are asked for are looked at, and judged by what they come to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from gigaledger.projections.engine.statements import statement
from gigaledger.projections.trade.round_trip import Measure

_BY_ORDER = """EXISTS (
    SELECT FROM round_trip_order AS named
    WHERE named.purchase_order = moved.purchase_order
        AND named.supplier {of_supplier} AND named.buyer {of_customer}
)"""

# Whom an invoice does not name, its order does.
_BY_INVOICE = """EXISTS (
    SELECT FROM round_trip_invoice AS named
    WHERE named.document = moved.document AND NOT named.credit
        AND (named.supplier <> '' OR named.buyer <> '')
        AND (named.supplier = '' OR named.supplier {of_supplier})
        AND (named.buyer = '' OR named.buyer {of_customer})
)"""

_BY_PAYMENT = "moved.supplier {of_supplier} AND moved.customer {of_customer}"


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of events.

    Attributes:
        table: where they are.
        documents: those that they touch: orders that tell parties, orders whose goods count,
            invoices and payments.
        named: in which ways parties may be named.
        condition: which rows they are.
    """

    table: str
    documents: str
    named: tuple[str, ...]
    condition: str = "true"


_GOODS = "purchase_order, purchase_order, NULL, NULL"
_PAYMENT = "NULL, NULL, NULL, settlement"
_ROWS = {
    # In the words of an index that is for these queries alone.
    Measure.ORDERED: _Rows(
        "round_trip_goods", _GOODS, (_BY_ORDER,), "(measure = 'RECEIVED') IS FALSE"
    ),
    # What was received before is worth more or less from the day on which its price is amended.
    Measure.RECEIVED: _Rows("round_trip_goods", _GOODS, (_BY_ORDER,)),
    Measure.INVOICED: _Rows(
        "round_trip_invoice", "purchase_order, NULL, document, NULL", (_BY_ORDER, _BY_INVOICE)
    ),
    Measure.PAID: _Rows("round_trip_payment", _PAYMENT, (_BY_PAYMENT,)),
    Measure.UNAPPLIED: _Rows("round_trip_payment", _PAYMENT, (_BY_PAYMENT,), "document = ''"),
}

MEASURES = tuple(_ROWS)
"""Measures of purchases to which single events add."""

# Where the last event has more rows, they are of documents that are there already.
_PART = """(
    SELECT position, {documents} FROM {table} AS moved
    WHERE {condition} AND {named} AND position >= %(first_position)s AND {counted}
    ORDER BY position LIMIT %(most_rows)s
)"""
_FIRST = """
    WITH part (position, party, ordered, document, settlement) AS (
        {parts}
    ), first AS (
        SELECT * FROM part ORDER BY position LIMIT %(most_rows)s
    )
    SELECT count(*) AS row_count, max(position) AS last_position,
           ARRAY(SELECT DISTINCT position FROM first) AS positions,
           ARRAY(SELECT DISTINCT party FROM first WHERE party <> '') AS parties,
           ARRAY(SELECT DISTINCT ordered FROM first WHERE ordered IS NOT NULL) AS orders,
           ARRAY(SELECT DISTINCT document FROM first WHERE document IS NOT NULL) AS documents,
           ARRAY(SELECT DISTINCT settlement FROM first WHERE settlement IS NOT NULL)
               AS settlements
    FROM first
"""


@cache
def first_rows(measures: Sequence[Measure], *, of_supplier: bool, of_customer: bool) -> bytes:
    """Return a query of the first rows from a position on that may add to measures.

    It gives one row: how many they are, the last position, and arrays of their positions and of the
    documents that they touch.

    Args:
        measures: some of `MEASURES`.
        of_supplier: whether only certain suppliers are asked for, in the parameter `suppliers`.
        of_customer: the same of customers, in the parameter `customers`.
    """
    any_one = "IS NOT NULL"
    parts = (
        statement(
            _PART,
            table=rows.table,
            documents=rows.documents,
            condition=rows.condition,
            named=named,
            of_supplier="= ANY(%(suppliers)s::text[])" if of_supplier else any_one,
            of_customer="= ANY(%(customers)s::text[])" if of_customer else any_one,
        ).decode()
        for rows in map(_ROWS.__getitem__, measures)
        for named in (rows.named if of_supplier or of_customer else ("true",))
    )
    return statement(_FIRST, parts=" UNION ALL ".join(parts))

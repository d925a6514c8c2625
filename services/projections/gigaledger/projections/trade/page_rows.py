"""The rows with which pages of purchases begin, in order of position: the statements. Pure.

A page reads the first rows from a position on that may contribute, and then the contributions of
the documents that they concern. The parties of a document may have been corrected since: rows that
may belong to the requested parties are read, and their contributions decide.
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
        table: their table.
        documents: the documents that they concern: orders that name the parties, orders whose goods
            count, invoices and payments.
        named: ways in which parties may be named.
        condition: condition on the rows.
    """

    table: str
    documents: str
    named: tuple[str, ...]
    condition: str = "true"


_GOODS = "purchase_order, purchase_order, NULL, NULL"
_INVOICE = "purchase_order, NULL, document, NULL"
_PAYMENT = "NULL, NULL, NULL, settlement"
_ROWS = {
    # In the words of an index that is for these queries alone.
    Measure.ORDERED: _Rows(
        "round_trip_goods", _GOODS, (_BY_ORDER,), "(measure = 'RECEIVED') IS FALSE"
    ),
    # An amended price changes the value of earlier receipts from the day of the amendment on.
    Measure.RECEIVED: _Rows("round_trip_goods", _GOODS, (_BY_ORDER,)),
    Measure.INVOICED: _Rows("round_trip_invoice", _INVOICE, (_BY_ORDER, _BY_INVOICE)),
    Measure.RECOVERABLE_TAX: _Rows(
        "round_trip_invoice", _INVOICE, (_BY_ORDER, _BY_INVOICE), "tax_minor <> 0"
    ),
    Measure.PAID: _Rows("round_trip_payment", _PAYMENT, (_BY_PAYMENT,)),
    Measure.UNAPPLIED: _Rows("round_trip_payment", _PAYMENT, (_BY_PAYMENT,), "document = ''"),
}

MEASURES = tuple(_ROWS)
"""Measures of purchases to which single events add."""

# If the last event has more rows, they belong to documents that are included already.
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
    """Return a query of the first rows from a position on that may contribute to measures.

    It gives one row: their number, the last position, and arrays of their positions and of the
    documents that they concern.

    Args:
        measures: some of `MEASURES`.
        of_supplier: whether only the suppliers in the parameter `suppliers` are requested.
        of_customer: whether only the customers in the parameter `customers` are requested.
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

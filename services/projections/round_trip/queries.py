"""Answers about the round trip, from the tables of this projection.

What was added on which day is summed up by PostgreSQL, by the parties that documents name. Whom a
party stands for is looked up here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from gigaledger.v1.projections_pb2 import (
    PartyLevel,
    QueryRoundTripRequest,
    QueryRoundTripResponse,
)

from services.projections.agreement_terms import Agreements, read_agreements
from services.projections.agreements import Terms
from services.projections.amounts import Amount
from services.projections.reading import Reader, Scope, statement
from services.projections.round_trip.figures import (
    Measure,
    Movement,
    Source,
    commitments,
    pairs_of,
)

CAVEAT = (
    "Recycled amounts are an upper bound: money is fungible, and a balance between two parties does"
    " not show that the same money came back."
)
"""Belongs beside every figure of an answer."""

_GROUPS = statement("""
    SELECT party, party_group, effective_date FROM round_trip_group WHERE {known}
    ORDER BY effective_date, position
""")


_NOWHERE = {"place": "0::bigint", "time": "NULL::timestamptz"}
"""What a query for sums of a day knows of events."""
_THERE = {"place": "position", "time": "recorded_time"}
"""And one for what each event adds, which comes to the same over a day."""

# A document that was recorded in error still tells what its number stands for, where no other does,
# so that nothing recorded under it drops out.
_ORDER = """
    purchase AS (
        SELECT DISTINCT ON (purchase_order) purchase_order, supplier, buyer, currency
        FROM round_trip_order WHERE {recorded}
        ORDER BY purchase_order, {known} DESC, position DESC
    )
"""

# Units without an amount of their own are valued at the average price of their line. What is
# rounded is the value to date, of which each day has the difference: so goods that arrived and
# went back leave nothing.
_GOODS = """
    price AS (
        SELECT purchase_order, line,
               coalesce(sum(quantity) FILTER (WHERE {counted}), sum(quantity)) AS units,
               coalesce(sum(amount_minor) FILTER (WHERE {counted}), sum(amount_minor)) AS amount
        FROM round_trip_goods
        WHERE measure = 'ORDERED' AND (amount_minor IS NOT NULL OR undisclosed) AND {recorded}
        GROUP BY purchase_order, line HAVING NOT bool_or(undisclosed)
    ), goods AS (
        SELECT purchase_order, line, measure <> 'RECEIVED' AS ordered, effective_date,
               assertion_status, {place} AS position, {time} AS recorded_time,
               coalesce(sum(amount_minor), 0) AS amount,
               coalesce(sum(quantity) FILTER (WHERE amount_minor IS NULL), 0) AS units,
               count(*) FILTER (WHERE amount_minor IS NULL) AS unpriced
        FROM round_trip_goods WHERE {counted} GROUP BY 1, 2, 3, 4, 5, 6, 7
    ), to_date AS (
        SELECT goods.*, sum(units) OVER (
                   PARTITION BY purchase_order, line, ordered
                   ORDER BY effective_date, assertion_status, position
                   ROWS UNBOUNDED PRECEDING
               ) AS units_to_date
        FROM goods
    ), valued AS (
        SELECT purchase_order, to_date.ordered, to_date.effective_date, to_date.assertion_status,
               to_date.position, to_date.recorded_time,
               to_date.amount + coalesce(
                   in_proportion(units_to_date, price.units, price.amount)
                   - in_proportion(units_to_date - to_date.units, price.units, price.amount),
                   0
               ) AS amount,
               CASE WHEN price.units > 0 THEN 0 ELSE unpriced END AS undisclosed
        FROM to_date LEFT JOIN price USING (purchase_order, line)
    )
"""

_DELIVERED = """
    SELECT CASE WHEN ordered THEN 'ORDERED' ELSE 'RECEIVED' END AS measure,
           supplier, buyer AS customer, currency, effective_date AS day, assertion_status,
           {place} AS position, {time} AS recorded_time, {order_document} AS document,
           sum(amount) AS amount, sum(undisclosed) AS undisclosed
    FROM valued JOIN purchase USING (purchase_order)
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
"""

_INVOICE = """
    bill AS (
        SELECT DISTINCT ON (account, invoice) account, invoice, bill.currency,
               coalesce(nullif(bill.supplier, ''), purchase.supplier) AS supplier,
               coalesce(nullif(bill.buyer, ''), purchase.buyer) AS buyer,
               amount_minor, order_amount_minor
        FROM round_trip_invoice AS bill LEFT JOIN purchase USING (purchase_order)
        WHERE NOT credit AND {recorded}
        ORDER BY account, invoice, {known} DESC, position DESC
    ), claim AS (
        SELECT account, invoice, purchase_order, effective_date, assertion_status, position,
               recorded_time, amount_minor,
               coalesce(order_amount_minor, 0) AS order_amount_minor
        FROM round_trip_invoice WHERE NOT credit AND {counted}
        UNION ALL
        SELECT account, invoice, purchase_order, effective_date, assertion_status, position,
               recorded_time, credit.amount_minor,
               in_proportion(credit.amount_minor, bill.amount_minor, bill.order_amount_minor)
        FROM round_trip_invoice AS credit JOIN bill USING (account, invoice)
        WHERE credit AND {counted}
    )
"""

_INVOICED = """
    SELECT 'INVOICED' AS measure, supplier, buyer AS customer, currency, effective_date AS day,
           assertion_status, {place} AS position, {time} AS recorded_time,
           {invoice_document} AS document, sum(claim.amount_minor) AS amount, 0 AS undisclosed
    FROM claim JOIN bill USING (account, invoice)
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
"""

# A refund names the payment that goes back, and the payment what it was applied to.
_PAYMENT = """
    settled AS (
        SELECT DISTINCT ON (account, payment) account, payment, invoice, amount_minor,
               document_amount_minor
        FROM round_trip_payment WHERE NOT refund AND {recorded}
        ORDER BY account, payment, {known} DESC, position DESC
    ), cash AS (
        SELECT account, settled.invoice, cash.supplier, cash.customer, cash.currency,
               effective_date, assertion_status, position, recorded_time, payment,
               cash.amount_minor, coalesce(cash.document_amount_minor, in_proportion(
                   cash.amount_minor, settled.amount_minor, settled.document_amount_minor
               )) AS document_amount_minor
        FROM round_trip_payment AS cash JOIN settled USING (account, payment) WHERE {counted}
    )
"""

_PAID = """
    SELECT measure, supplier, customer, currency, effective_date AS day, assertion_status,
           {place} AS position, {time} AS recorded_time, {payment_document} AS document,
           sum(amount_minor) AS amount, 0 AS undisclosed
    FROM cash JOIN (VALUES ('PAID', false), ('UNAPPLIED', true)) AS kind (measure, unapplied)
        ON NOT unapplied OR invoice = ''
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
"""

# What stands open is no sum of events, and is of no day.
_STANDING = """
    received AS (
        SELECT purchase_order, sum(amount) AS amount, sum(undisclosed) AS undisclosed
        FROM valued WHERE NOT ordered GROUP BY 1
    ), invoiced AS (
        SELECT purchase_order, sum(order_amount_minor) AS amount FROM claim GROUP BY 1
    ), claimed AS (
        SELECT account, invoice, sum(amount_minor) AS amount FROM claim GROUP BY 1, 2
    ), paid AS (
        SELECT account, invoice, sum(document_amount_minor) AS amount
        FROM cash WHERE invoice <> '' GROUP BY 1, 2
    ), standing AS (
        SELECT 'RECEIVED_NOT_INVOICED' AS measure, supplier, buyer AS customer, currency,
               greatest(received.amount - coalesce(invoiced.amount, 0), 0) AS amount, undisclosed
        FROM received JOIN purchase USING (purchase_order) LEFT JOIN invoiced USING (purchase_order)
        UNION ALL
        SELECT CASE WHEN amount > 0 THEN 'OPEN_PAYABLE' ELSE 'REFUND_DUE' END, supplier, customer,
               currency, abs(amount), 0
        FROM (
            SELECT supplier, buyer AS customer, currency,
                   coalesce(claimed.amount, 0) - coalesce(paid.amount, 0) AS amount
            FROM bill LEFT JOIN claimed USING (account, invoice)
                LEFT JOIN paid USING (account, invoice)
        ) AS open WHERE amount <> 0
    )
"""

_PARTS = {
    "order": _ORDER,
    "goods": _GOODS,
    "invoice": _INVOICE,
    "payment": _PAYMENT,
    "standing": _STANDING,
    "delivered": _DELIVERED,
    "invoiced": _INVOICED,
    "paid": _PAID,
}

# One statement: what several measures rest on is resolved once for all of them.
_BY_DAY = statement(
    """
    WITH {order}, {goods}, {invoice}, {payment}, {standing}
    {delivered} UNION ALL {invoiced} UNION ALL {paid} UNION ALL
    SELECT measure, supplier, customer, currency, NULL, NULL, {place}, {time}, '',
           sum(amount), sum(undisclosed)
    FROM standing GROUP BY 1, 2, 3, 4
""",
    **_PARTS,
    **_NOWHERE,
    order_document="''",
    invoice_document="''",
    payment_document="''",
)

_BY_EVENT = statement(
    """
    WITH {order}, {goods}, {invoice}, {payment}
    {delivered} UNION ALL {invoiced} UNION ALL {paid}
""",
    **_PARTS,
    **_THERE,
    order_document="purchase_order",
    invoice_document="invoice",
    payment_document="payment",
)

_CAPITAL = """
    WITH source AS (
        SELECT DISTINCT ON (agreement, contribution) agreement, contribution, measure AS form
        FROM round_trip_capital WHERE measure LIKE 'FUNDED%%' AND {recorded}
        ORDER BY agreement, contribution, {known} DESC, position DESC
    )
    SELECT measure, form, agreement, investor, issuer, currency, effective_date AS day,
           assertion_status, {place} AS position, {time} AS recorded_time, {document} AS document,
           coalesce(sum(amount_minor), 0) AS amount,
           count(*) FILTER (WHERE amount_minor IS NULL) AS undisclosed
    FROM round_trip_capital LEFT JOIN source USING (agreement, contribution)
    WHERE {counted} GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
"""

_CAPITAL_BY_DAY = statement(_CAPITAL, document="''", **_NOWHERE)
_CAPITAL_BY_EVENT = statement(_CAPITAL, document="contribution", **_THERE)


async def query_round_trip(
    reader: Reader, request: QueryRoundTripRequest
) -> QueryRoundTripResponse:
    """Answer QueryRoundTrip.

    Args:
        reader: a snapshot of the projection.
        request: the level at which pairs are looked at, and which pairs.
    """
    groups = await read_groups(reader, request.level)
    movements = [
        movement
        for movement in await read_movements(reader, groups)
        if _is_asked_for(movement, request)
    ]
    for movement in movements:
        reader.rests_on(movement.statuses)
    return QueryRoundTripResponse(
        context=reader.context(),
        pairs=[pair.message(include_lots=request.include_lots) for pair in pairs_of(movements)],
        caveat=CAVEAT,
    )


async def read_movements(reader: Reader, groups: Mapping[str, str]) -> list[Movement]:
    """Return what moved between parties, or the groups that they stand for.

    What moves within a group is neither bought nor invested.
    """
    return _between(groups, await _movements(reader))


async def read_dated_movements(reader: Reader, groups: Mapping[str, str]) -> list[Movement]:
    """Return the same event by event, but for what stands open, which is no sum of events."""
    return _between(groups, await _movements_by_event(reader))


def _between(groups: Mapping[str, str], movements: Iterable[Movement]) -> list[Movement]:
    moved = [
        replace(
            movement,
            supplier=groups.get(movement.supplier, movement.supplier),
            customer=groups.get(movement.customer, movement.customer),
        )
        for movement in movements
    ]
    return [movement for movement in moved if movement.supplier != movement.customer]


def _is_asked_for(movement: Movement, request: QueryRoundTripRequest) -> bool:
    return request.supplier_investor in ("", movement.supplier) and request.customer_investee in (
        "",
        movement.customer,
    )


async def read_groups(reader: Reader, level: PartyLevel.ValueType) -> dict[str, str]:
    """Return the group that each party stands for on the as-of date; none at the level of entities.

    Before the first membership that is known, it is the first one.
    """
    groups: dict[str, str] = {}
    if level == PartyLevel.PARTY_LEVEL_ENTITY:
        return groups
    for row in await reader.rows(_GROUPS):
        party = row["party"]
        if party not in groups or row["effective_date"] <= reader.scope.until:
            groups[party] = row["party_group"] or party
    return groups


async def _movements(reader: Reader) -> list[Movement]:
    agreements = await read_agreements(reader, "round_trip_terms")
    found = _commitments(reader.scope, agreements)
    found += [_movement(row, reader.scope) for row in await reader.rows(_BY_DAY)]
    for row in await reader.rows(_CAPITAL_BY_DAY):
        found += _capital(row, agreements)
    return found


async def _movements_by_event(reader: Reader) -> list[Movement]:
    agreements = await read_agreements(reader, "round_trip_terms")
    found = _commitments(reader.scope, agreements)
    found += [_movement(row, reader.scope) for row in await reader.rows(_BY_EVENT)]
    for row in await reader.rows(_CAPITAL_BY_EVENT):
        found += _capital(row, agreements)
    return found


def _commitments(scope: Scope, agreements: Agreements) -> list[Movement]:
    found: list[Movement] = []
    for name, history in agreements.counted.items():
        statuses = frozenset(agreements.statuses(name))
        found += commitments(history, statuses, scope.until, scope.today)
    return found


def _movement(row: dict[str, Any], scope: Scope) -> Movement:
    # What stands open rests on the same facts as what was invoiced and paid.
    statuses = frozenset({row["assertion_status"]} if row["assertion_status"] else ())
    return Movement(
        measure=Measure[row["measure"]],
        supplier=row["supplier"],
        customer=row["customer"],
        currency=row["currency"],
        day=row["day"] or scope.until,
        amount=Amount(int(row["amount"]), int(row["undisclosed"])),
        statuses=statuses,
        source=_source(row),
    )


def _source(row: dict[str, Any]) -> Source | None:
    if not row.get("position"):
        return None
    return Source(row["position"], row["recorded_time"], row["document"])


def _capital(row: dict[str, Any], agreements: Agreements) -> Iterator[Movement]:
    """Yield what a change of capital means for a pair: whoever the agreement names, for a call."""
    # An agreement that was recorded in error names nobody, and capital is recorded all the same.
    history = agreements.known.get(row["agreement"])
    terms = history.terms_on(row["day"]) if history else Terms()
    movement = Movement(
        measure=Measure.CALLED,
        supplier=row["investor"] or terms.investor,
        customer=row["issuer"] or terms.issuer,
        currency=row["currency"] or terms.currency,
        day=row["day"],
        amount=Amount(int(row["amount"]), int(row["undisclosed"])),
        statuses=frozenset({row["assertion_status"]}),
        source=_source(row),
    )
    if row["measure"] in ("CALLED", "RETURNED"):
        yield movement
    if row["measure"] != "CALLED":
        yield replace(movement, measure=Measure[row["form"]])

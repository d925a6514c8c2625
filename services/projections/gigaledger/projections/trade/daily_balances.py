"""Daily additions of purchases to each pair of parties: the statements. Pure.

Each returns rows of a measure, supplier, customer, currency, day and status with an addition, so
that a balance on any day is the sum of the additions until then. If a rule derives an amount from a
sum (an average price, a rounding, a lower bound of zero), it is applied to the sum to date, and
each day has the difference: the rows of a day do not depend on later days.
"""

from __future__ import annotations

from gigaledger.projections.engine.statements import statement
from gigaledger.projections.engine.subtotals import subtotals

# A document recorded in error still defines its number, if no other does, so that nothing recorded
# under it drops out.
_ORDER = """
    purchase AS (
        SELECT DISTINCT ON (purchase_order) purchase_order, supplier, buyer, currency
        FROM {orders} AS purchase WHERE {recorded}
        ORDER BY purchase_order, {known} DESC, position DESC
    )
"""

# Units without an amount of their own are valued at the average price of their line: of the orders
# to date, or else of all orders. A line with anything undisclosed has no price.
_GOODS = """
    line_total AS (
        SELECT purchase_order, line, sum(quantity) AS units, sum(amount_minor) AS amount,
               bool_or(undisclosed) AS undisclosed
        FROM {goods} AS line_total
        WHERE measure = 'ORDERED' AND (amount_minor IS NOT NULL OR undisclosed) AND {recorded}
        GROUP BY 1, 2
    ), moved AS (
        SELECT purchase_order, line, effective_date AS day, assertion_status,
               {place} AS position, {time} AS recorded_time,
               count(*) FILTER (WHERE measure <> 'RECEIVED') AS ordered,
               count(*) FILTER (WHERE measure = 'RECEIVED') AS received,
               coalesce(sum(amount_minor), 0) AS amount,
               count(*) FILTER (WHERE measure <> 'RECEIVED' AND amount_minor IS NULL)
                   AS ordered_unpriced,
               coalesce(sum(quantity) FILTER (
                   WHERE measure <> 'RECEIVED' AND amount_minor IS NULL
               ), 0) AS ordered_units,
               coalesce(sum(quantity) FILTER (WHERE measure = 'RECEIVED'), 0) AS received_units,
               count(amount_minor) FILTER (WHERE measure = 'ORDERED') AS prices,
               coalesce(sum(quantity) FILTER (
                   WHERE measure = 'ORDERED' AND amount_minor IS NOT NULL
               ), 0) AS priced_units,
               coalesce(sum(amount_minor) FILTER (WHERE measure = 'ORDERED'), 0) AS priced_amount
        FROM {goods} AS goods WHERE {counts} GROUP BY 1, 2, 3, 4, 5, 6
    ), to_date AS (
        SELECT moved.purchase_order, moved.line, day, assertion_status, position, recorded_time,
               ordered, received,
               sum(moved.amount) OVER so_far AS amount,
               sum(ordered_unpriced) OVER so_far AS ordered_unpriced,
               sum(ordered_units) OVER so_far AS ordered_units,
               sum(received) OVER so_far AS received_unpriced,
               sum(received_units) OVER so_far AS received_units,
               CASE
                   WHEN line_total.undisclosed THEN 0
                   WHEN sum(prices) OVER so_far > 0 THEN sum(priced_units) OVER so_far
                   ELSE coalesce(line_total.units, 0)
               END AS priced_units,
               CASE
                   WHEN sum(prices) OVER so_far > 0 THEN sum(priced_amount) OVER so_far
                   ELSE line_total.amount
               END AS priced_amount
        FROM moved LEFT JOIN line_total USING (purchase_order, line)
        WINDOW so_far AS (
            PARTITION BY purchase_order, line ORDER BY day, assertion_status, position
            ROWS UNBOUNDED PRECEDING
        )
    ), value AS (
        SELECT *,
               amount + CASE WHEN priced_units > 0 THEN
                   in_proportion(ordered_units, priced_units, priced_amount)
               ELSE 0 END AS ordered_value,
               CASE WHEN priced_units > 0 THEN 0 ELSE ordered_unpriced END AS ordered_undisclosed,
               CASE WHEN priced_units > 0 THEN
                   in_proportion(received_units, priced_units, priced_amount)
               ELSE 0 END AS received_value,
               CASE WHEN priced_units > 0 THEN 0 ELSE received_unpriced END AS received_undisclosed
        FROM to_date
    ), step AS (
        SELECT purchase_order, day, assertion_status, position, recorded_time, ordered, received,
               ordered_value - lag(ordered_value, 1, 0) OVER line_before AS ordered_value,
               ordered_undisclosed - lag(ordered_undisclosed, 1, 0) OVER line_before
                   AS ordered_undisclosed,
               received_value - lag(received_value, 1, 0) OVER line_before AS received_value,
               received_undisclosed - lag(received_undisclosed, 1, 0) OVER line_before
                   AS received_undisclosed
        FROM value
        WINDOW line_before AS (
            PARTITION BY purchase_order, line ORDER BY day, assertion_status, position
        )
    ), delivered AS (
        SELECT purchase_order, measure, day, assertion_status, position, recorded_time,
               sum(delivered.amount) AS amount, sum(undisclosed) AS undisclosed,
               sum(entries) AS entries
        FROM step CROSS JOIN LATERAL (
            VALUES ('ORDERED', ordered_value, ordered_undisclosed, ordered),
                ('RECEIVED', received_value, received_undisclosed, received)
        ) AS delivered (measure, amount, undisclosed, entries)
        WHERE (delivered.amount, undisclosed, entries) <> (0, 0, 0)
        GROUP BY 1, 2, 3, 4, 5, 6
    )
"""

_DELIVERED = """
    SELECT measure, supplier, buyer AS customer, currency, day, assertion_status,
           position, recorded_time, {order_document} AS document, amount, undisclosed, entries
    FROM delivered JOIN purchase USING (purchase_order)
"""

_INVOICE = """
    bill AS (
        SELECT DISTINCT ON (document) document, invoice, bill.currency,
               coalesce(nullif(bill.supplier, ''), purchase.supplier) AS supplier,
               coalesce(nullif(bill.buyer, ''), purchase.buyer) AS buyer,
               amount_minor, order_amount_minor
        FROM {invoices} AS bill LEFT JOIN purchase USING (purchase_order)
        WHERE NOT credit AND {recorded}
        ORDER BY document, {known} DESC, position DESC
    ), claim AS (
        SELECT document, purchase_order, effective_date, assertion_status, position,
               recorded_time, amount_minor, tax_minor,
               in_proportion(
                   amount_minor - tax_minor, amount_minor, coalesce(order_amount_minor, 0)
               ) AS order_amount_minor
        FROM {invoices} AS invoice WHERE NOT credit AND {counts}
        UNION ALL
        SELECT document, purchase_order, effective_date, assertion_status, position,
               recorded_time, credit.amount_minor, credit.tax_minor,
               in_proportion(
                   credit.amount_minor - credit.tax_minor, bill.amount_minor,
                   bill.order_amount_minor
               )
        FROM {invoices} AS credit JOIN bill USING (document)
        WHERE credit AND {counts}
    )
"""

# Recoverable taxes are owed to the supplier, and are no part of what is bought.
_INVOICED = """
    SELECT part.measure, supplier, buyer, bill.currency, effective_date, assertion_status,
           {place}, {time}, {invoice_document}, part.amount, 0, 1
    FROM claim JOIN bill USING (document) CROSS JOIN LATERAL (
        VALUES ('INVOICED', claim.amount_minor - claim.tax_minor),
            ('RECOVERABLE_TAX', claim.tax_minor)
    ) AS part (measure, amount)
    WHERE measure = 'INVOICED' OR part.amount <> 0
"""

# A refund names the payment that goes back, and the payment what it was applied to.
_PAYMENT = """
    settled AS (
        SELECT DISTINCT ON (settlement) settlement, document, amount_minor,
               document_amount_minor
        FROM {payments} AS settled WHERE NOT refund AND {recorded}
        ORDER BY settlement, {known} DESC, position DESC
    ), cash AS (
        SELECT settled.document, cash.supplier, cash.customer, cash.currency,
               effective_date, assertion_status, position, recorded_time, payment,
               cash.amount_minor, coalesce(cash.document_amount_minor, in_proportion(
                   cash.amount_minor, settled.amount_minor, settled.document_amount_minor
               )) AS document_amount_minor
        FROM {payments} AS cash JOIN settled USING (settlement) WHERE {counts}
    )
"""

_PAID = """
    SELECT measure, supplier, customer, currency, effective_date, assertion_status,
           {place}, {time}, {payment_document}, amount_minor, 0, 1
    FROM cash JOIN (VALUES ('PAID', false), ('UNAPPLIED', true)) AS kind (measure, unapplied)
        ON NOT unapplied OR document = ''
"""

# Open items depend on the same facts as receipts, invoices and payments, of any status. A credit
# note that is dated before its invoice adds nothing to what was received.
_STANDING = """
    WITH supplied AS (
        SELECT purchase_order, day, sum(amount) AS amount, sum(invoiced) AS invoiced,
               sum(undisclosed) AS undisclosed
        FROM (
            SELECT purchase_order, day, amount, 0 AS invoiced, undisclosed
            FROM delivered WHERE measure = 'RECEIVED'
            UNION ALL
            SELECT purchase_order, effective_date, 0, order_amount_minor, 0
            FROM claim WHERE purchase_order <> ''
        ) AS supplied GROUP BY 1, 2
    ), not_invoiced AS (
        SELECT purchase_order, day, undisclosed, greatest(
                   sum(amount) OVER so_far - greatest(sum(invoiced) OVER so_far, 0), 0
               ) AS amount
        FROM supplied
        WINDOW so_far AS (PARTITION BY purchase_order ORDER BY day)
    ), owed AS (
        SELECT document, day, sum(amount) AS amount
        FROM (
            SELECT document, effective_date AS day, amount_minor AS amount FROM claim
            UNION ALL
            SELECT document, effective_date, -document_amount_minor
            FROM cash WHERE document <> ''
        ) AS owed GROUP BY 1, 2
    ), open AS (
        SELECT document, day, sum(amount) OVER so_far AS amount
        FROM owed
        WINDOW so_far AS (PARTITION BY document ORDER BY day)
    ), change AS (
        SELECT document, day, amount,
               lag(amount, 1, 0) OVER (PARTITION BY document ORDER BY day) AS before
        FROM open
    )
    SELECT 'RECEIVED_NOT_INVOICED' AS measure, supplier, buyer AS customer, currency, day,
           amount - lag(amount, 1, 0) OVER (PARTITION BY purchase_order ORDER BY day) AS amount,
           undisclosed
    FROM not_invoiced JOIN purchase USING (purchase_order)
    UNION ALL
    SELECT 'OPEN_PAYABLE', supplier, buyer, currency, day,
           greatest(amount, 0) - greatest(before, 0), 0
    FROM change JOIN bill USING (document)
    UNION ALL
    SELECT 'REFUND_DUE', supplier, buyer, currency, day,
           greatest(-amount, 0) - greatest(-before, 0), 0
    FROM change JOIN bill USING (document)
"""

_ALL_ROWS = {
    "orders": "round_trip_order",
    "goods": "round_trip_goods",
    "invoices": "round_trip_invoice",
    "payments": "round_trip_payment",
    "counts": "{counted}",
}

# Documents that anything was recorded or reversed of, and those whose sums depend on them: what
# stands open of an order takes its invoices, and of an invoice its payments.
_AFFECTED = statement("""
    WITH moved_order AS (
        SELECT purchase_order FROM round_trip_order WHERE {affected}
        UNION
        SELECT purchase_order FROM round_trip_goods WHERE {affected}
        UNION
        SELECT purchase_order FROM round_trip_invoice WHERE {affected} AND purchase_order <> ''
    ), moved_payment AS (
        SELECT DISTINCT settlement FROM round_trip_payment WHERE {affected}
    ), moved_invoice AS (
        SELECT document FROM round_trip_invoice WHERE {affected}
        UNION
        SELECT document FROM round_trip_invoice
        WHERE purchase_order = ANY(ARRAY(SELECT purchase_order FROM moved_order))
        UNION
        SELECT document FROM round_trip_payment
        WHERE settlement = ANY(ARRAY(SELECT settlement FROM moved_payment)) AND document <> ''
    ), payment AS (
        SELECT settlement FROM moved_payment
        UNION
        SELECT settlement FROM round_trip_payment
        WHERE document = ANY(ARRAY(SELECT document FROM moved_invoice))
    ), party AS (
        SELECT purchase_order FROM moved_order
        UNION
        SELECT purchase_order FROM round_trip_invoice
        WHERE document = ANY(ARRAY(SELECT document FROM moved_invoice))
    )
    SELECT ARRAY(SELECT purchase_order FROM party) AS parties,
           ARRAY(SELECT purchase_order FROM moved_order) AS orders,
           ARRAY(SELECT document FROM moved_invoice) AS documents,
           ARRAY(SELECT settlement FROM payment) AS settlements
""")

_AFFECTED_ROWS = {
    "orders": "(SELECT * FROM round_trip_order WHERE purchase_order = ANY(%(parties)s::text[]))",
    "goods": "(SELECT * FROM round_trip_goods WHERE purchase_order = ANY(%(orders)s::text[]))",
    "invoices": "(SELECT * FROM round_trip_invoice WHERE document = ANY(%(documents)s::text[]))",
    "payments": (
        "(SELECT * FROM round_trip_payment WHERE settlement = ANY(%(settlements)s::text[]))"
    ),
    "counts": "{known}",
}

_PARTS = {
    "order": _ORDER,
    "goods_moved": _GOODS,
    "invoice": _INVOICE,
    "payment": _PAYMENT,
    "delivered": _DELIVERED,
    "invoiced": _INVOICED,
    "paid": _PAID,
    "standing": _STANDING,
}

_KEYS = ("measure", "supplier", "customer", "currency", "assertion_status")
_AMOUNTS = {
    "amount": "numeric",
    "undisclosed": "bigint",
    "entries": "bigint",
    "reductions": "numeric",
    "contributions": "bigint",
}

# One statement, so that references shared by several measures are resolved once. Open items come
# from no single event, so they are neither contributions nor reductions.
_BY_DAY = """
    WITH {order}, {goods_moved}, {invoice}, {payment}
    SELECT day, measure, supplier, customer, currency, assertion_status,
           sum(amount) AS amount, sum(undisclosed)::bigint AS undisclosed,
           sum(entries)::bigint AS entries,
           coalesce(sum(amount) FILTER (WHERE position IS NOT NULL AND amount < 0), 0)
               AS reductions,
           count(*) FILTER (WHERE position IS NOT NULL AND (amount, undisclosed) <> (0, 0))
               AS contributions
    FROM (
        {delivered} UNION ALL {invoiced} UNION ALL {paid} UNION ALL
        SELECT measure, supplier, customer, currency, day, '', NULL, NULL, '',
               amount, undisclosed, 0
        FROM ({standing}) AS standing
    ) AS added
    GROUP BY 1, 2, 3, 4, 5, 6
    HAVING (sum(amount), sum(undisclosed), sum(entries)) <> (0, 0, 0)
"""
_WITHOUT_DOCUMENT = {
    "place": "position",
    "time": "NULL::timestamptz",
    "order_document": "''",
    "invoice_document": "''",
    "payment_document": "''",
}

SUBTOTALS = subtotals(
    "round_trip_subtotal",
    _KEYS,
    _AMOUNTS,
    affected=_AFFECTED,
    of_rows=statement(_BY_DAY, **_PARTS, **_WITHOUT_DOCUMENT, **_ALL_ROWS),
    of_affected=statement(_BY_DAY, **_PARTS, **_WITHOUT_DOCUMENT, **_AFFECTED_ROWS),
)
"""Additions of each day."""

BY_SERIES = SUBTOTALS.question("""
    SELECT measure, supplier, customer, currency, assertion_status,
           CASE WHEN by_day THEN days[:held] ELSE days[held:held] END AS days,
           (CASE WHEN by_day THEN amount[:held]
                 ELSE ARRAY[amount[held] - coalesce(amount[since], 0)] END)::text AS amounts,
           undisclosed[held] - coalesce(undisclosed[since], 0) AS undisclosed,
           entries[held] - coalesce(entries[since], 0) AS entries
    FROM {series} AS series, LATERAL (
        SELECT measure IN ('ORDERED', 'INVOICED', 'PAID') AS by_day,
               least(width_bucket(%(from_day)s::integer - 1, days), held) AS since
    ) AS asked
""")
"""The total of a series at the end of each day, up to the requested day. For measures that are part
of no basis: additions from a day on, as of the last day. The counts are of additions from that day
on. Days are numbered."""

CONTRIBUTED = SUBTOTALS.question("""
    SELECT measure, supplier, customer, currency, assertion_status, 0 AS period,
           amount, undisclosed, reductions, contributions
    FROM {sums} AS sums WHERE measure = ANY(%(measures)s) AND contributions > 0
""")
"""What events added, to some measures."""

CONTRIBUTED_BY_PERIOD = SUBTOTALS.question("""
    SELECT measure, supplier, customer, currency, assertion_status, period,
           sum(moved.amount) AS amount, sum(moved.undisclosed) AS undisclosed,
           sum(moved.reductions) AS reductions, sum(moved.contributions) AS contributions
    FROM {series} AS series, LATERAL (
        SELECT width_bucket(day, %(first_days)s::integer[]) AS period,
               at.amount - lag(at.amount, 1, 0) OVER (ORDER BY day) AS amount,
               at.undisclosed - lag(at.undisclosed, 1, 0) OVER (ORDER BY day) AS undisclosed,
               at.reductions - lag(at.reductions, 1, 0) OVER (ORDER BY day) AS reductions,
               at.contributions - lag(at.contributions, 1, 0) OVER (ORDER BY day) AS contributions
        FROM unnest(
            days[:held], amount[:held], undisclosed[:held], reductions[:held], contributions[:held]
        ) AS at (day, amount, undisclosed, reductions, contributions)
    ) AS moved
    WHERE measure = ANY(%(measures)s)
    GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(moved.contributions) > 0
""")
"""The same in each period: 0 is everything before the first day. Days are numbered."""

BY_EVENT = statement(
    """
    WITH {order}, {goods_moved}, {invoice}, {payment}
    SELECT * FROM (
        {delivered} UNION ALL {invoiced} UNION ALL {paid}
    ) AS added
    WHERE measure = ANY(%(measures)s) AND position = ANY(%(positions)s::bigint[])
        AND (amount, undisclosed) <> (0, 0)
""",
    **_PARTS,
    **_AFFECTED_ROWS | {"counts": "{counted}"},
    place="position",
    time="recorded_time",
    order_document="purchase_order",
    invoice_document="invoice",
    payment_document="payment",
)
"""Contributions of some events, given all documents that they concern. They add up to the same over
a day, except for open items, to which no single event contributes.
"""

CREATE TABLE round_trip_terms (LIKE template_agreement_terms INCLUDING ALL);
COMMENT ON TABLE round_trip_terms IS 'Changes of agreements';

CREATE TABLE round_trip_group (
    LIKE template_entry INCLUDING ALL,
    party text NOT NULL,
    party_group text NOT NULL
);
COMMENT ON TABLE round_trip_group IS 'Group that a party belongs to from the effective date on; empty: a group of its own';

CREATE TABLE round_trip_order (
    LIKE template_entry INCLUDING ALL,
    purchase_order text NOT NULL,
    buyer text NOT NULL,
    supplier text NOT NULL,
    currency text NOT NULL
);
CREATE INDEX ON round_trip_order (purchase_order);
CREATE INDEX ON round_trip_order (supplier);
CREATE INDEX ON round_trip_order (buyer);
COMMENT ON TABLE round_trip_order IS 'Parties and currency of orders';

CREATE TABLE round_trip_goods (
    LIKE template_entry INCLUDING ALL,
    measure text NOT NULL,
    purchase_order text NOT NULL,
    line integer NOT NULL,
    quantity bigint NOT NULL,
    amount_minor numeric,
    undisclosed boolean NOT NULL DEFAULT false
);
CREATE INDEX ON round_trip_goods (purchase_order);
CREATE INDEX ON round_trip_goods (position) WHERE (measure = 'RECEIVED') IS FALSE;
COMMENT ON TABLE round_trip_goods IS 'Goods ordered and received';
COMMENT ON COLUMN round_trip_goods.measure IS 'ORDERED (placed and amended), CANCELLED (negative) or RECEIVED (negative if returned)';
COMMENT ON COLUMN round_trip_goods.amount_minor IS 'In minor units of the currency of the order; null if the price of the line applies, or if undisclosed';

CREATE TABLE round_trip_invoice (
    LIKE template_entry INCLUDING ALL,
    credit boolean NOT NULL,
    document text NOT NULL,
    purchase_order text NOT NULL,
    invoice text NOT NULL,
    supplier text NOT NULL,
    buyer text NOT NULL,
    amount_minor bigint NOT NULL,
    tax_minor bigint NOT NULL,
    currency text NOT NULL,
    order_amount_minor bigint,
    due_date date
);
CREATE INDEX ON round_trip_invoice (document);
CREATE INDEX ON round_trip_invoice (purchase_order);
CREATE INDEX ON round_trip_invoice (supplier, buyer)
    WHERE NOT credit AND (supplier <> '' OR buyer <> '');
CREATE INDEX ON round_trip_invoice (buyer) WHERE NOT credit AND (supplier <> '' OR buyer <> '');
COMMENT ON TABLE round_trip_invoice IS 'Invoices, and credit notes (negative)';
COMMENT ON COLUMN round_trip_invoice.amount_minor IS 'What is claimed, with all taxes';
COMMENT ON COLUMN round_trip_invoice.tax_minor IS 'The recoverable taxes in it';
COMMENT ON COLUMN round_trip_invoice.document IS 'Full name: order/invoice, or buyer:supplier/invoice without an order';
COMMENT ON COLUMN round_trip_invoice.due_date IS 'When payment is due; null if not stated, and for a credit note';
COMMENT ON COLUMN round_trip_invoice.order_amount_minor IS 'The amount in the currency of the order; null for a credit note, which has the rate of its invoice';

CREATE TABLE round_trip_payment (
    LIKE template_entry INCLUDING ALL,
    refund boolean NOT NULL,
    document text NOT NULL,
    settlement text NOT NULL,
    payment text NOT NULL,
    invoice text NOT NULL,
    customer text NOT NULL,
    supplier text NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    document_amount_minor bigint
);
CREATE INDEX ON round_trip_payment (settlement);
CREATE INDEX ON round_trip_payment (document);
CREATE INDEX ON round_trip_payment (supplier);
CREATE INDEX ON round_trip_payment (customer);
CREATE INDEX ON round_trip_payment (position) WHERE document = '';
COMMENT ON TABLE round_trip_payment IS 'Payments and prepayments, and refunds (negative)';
COMMENT ON COLUMN round_trip_payment.document IS 'The document of the invoice that is paid; empty if none is named';
COMMENT ON COLUMN round_trip_payment.settlement IS 'Full name: order/payment, or customer:supplier/payment without an order';
COMMENT ON COLUMN round_trip_payment.customer IS 'Who paid, and is paid back';
COMMENT ON COLUMN round_trip_payment.document_amount_minor IS 'The amount in the currency of what is paid; null for a refund, which has the rate of its payment';

CREATE TABLE round_trip_capital (
    LIKE template_entry INCLUDING ALL,
    measure text NOT NULL,
    agreement text NOT NULL,
    contribution text NOT NULL DEFAULT '',
    investor text NOT NULL DEFAULT '',
    issuer text NOT NULL DEFAULT '',
    amount_minor bigint,
    currency text NOT NULL
);
COMMENT ON TABLE round_trip_capital IS 'Capital called, funded and returned (negative)';
COMMENT ON COLUMN round_trip_capital.measure IS 'CALLED, FUNDED_CASH, FUNDED_NON_CASH or RETURNED';
COMMENT ON COLUMN round_trip_capital.amount_minor IS 'In minor units of the currency; null if not disclosed';
COMMENT ON COLUMN round_trip_capital.investor IS 'Who paid the contribution, and is paid back; empty for a call: it is that of the agreement';

CREATE TABLE round_trip_instrument (
    LIKE template_entry INCLUDING ALL,
    instrument text NOT NULL,
    payer text NOT NULL,
    payee text NOT NULL,
    currency text NOT NULL,
    spent_on text[] NOT NULL DEFAULT '{}',
    share_ppm integer[] NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE round_trip_instrument IS 'Who finances whom by a debt, a warrant or a vehicle, and in which currency';
COMMENT ON COLUMN round_trip_instrument.instrument IS 'Name of its stream: debts/ID, vehicles/ID or warrants/ID';
COMMENT ON COLUMN round_trip_instrument.payer IS 'The lender, or the holder of the warrant; empty for a vehicle: each contribution states it';
COMMENT ON COLUMN round_trip_instrument.spent_on IS 'Stated payees of the capital of the vehicle';
COMMENT ON COLUMN round_trip_instrument.share_ppm IS 'The part of it for each of them, in parts per million';

CREATE TABLE round_trip_financing (
    LIKE template_entry INCLUDING ALL,
    kind text NOT NULL,
    instrument text NOT NULL,
    backwards boolean NOT NULL DEFAULT false,
    payer text NOT NULL DEFAULT '',
    payee text NOT NULL DEFAULT '',
    amount_minor bigint,
    currency text NOT NULL,
    spent_on text[] NOT NULL DEFAULT '{}',
    share_ppm integer[] NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE round_trip_financing IS 'Cash that is neither a purchase nor capital under an agreement: it flows between parties, and is part of no round trip';
COMMENT ON COLUMN round_trip_financing.kind IS 'DEBT, INVESTMENT, LEASE or PURCHASE';
COMMENT ON COLUMN round_trip_financing.backwards IS 'Paid by the party that is financed, such as interest; the instrument names the parties';
COMMENT ON COLUMN round_trip_financing.payer IS 'Empty if the instrument names it';
COMMENT ON COLUMN round_trip_financing.payee IS 'Empty if the instrument names it';
COMMENT ON COLUMN round_trip_financing.amount_minor IS 'In minor units of the currency, negative if principal is repaid; null if not disclosed';
COMMENT ON COLUMN round_trip_financing.spent_on IS 'Stated payees of this money; empty if the vehicle states them';
COMMENT ON COLUMN round_trip_financing.share_ppm IS 'The part of it for each of them, in parts per million';

CREATE TABLE round_trip_subtotal (
    LIKE template_subtotal INCLUDING ALL,
    measure text NOT NULL,
    supplier text NOT NULL,
    customer text NOT NULL,
    currency text NOT NULL,
    assertion_status text NOT NULL,
    amount numeric[] NOT NULL,
    undisclosed bigint[] NOT NULL,
    entries bigint[] NOT NULL,
    reductions numeric[] NOT NULL,
    contributions bigint[] NOT NULL
);
COMMENT ON TABLE round_trip_subtotal IS 'By how much a block of the log changed what purchases add to a pair by the end of each day';
COMMENT ON COLUMN round_trip_subtotal.measure IS 'ORDERED, RECEIVED, INVOICED, RECOVERABLE_TAX, PAID, UNAPPLIED, RECEIVED_NOT_INVOICED, OPEN_PAYABLE or REFUND_DUE';
COMMENT ON COLUMN round_trip_subtotal.assertion_status IS 'Empty for open items, which may depend on facts of several statuses';
COMMENT ON COLUMN round_trip_subtotal.amount IS 'In minor units of the currency, at the end of each day';
COMMENT ON COLUMN round_trip_subtotal.undisclosed IS 'Number of amounts that are missing from it';
COMMENT ON COLUMN round_trip_subtotal.entries IS 'Number of entries that count';
COMMENT ON COLUMN round_trip_subtotal.reductions IS 'Sum of the negative contributions to the amount';
COMMENT ON COLUMN round_trip_subtotal.contributions IS 'Number of events that add to the amount, or an undisclosed one';

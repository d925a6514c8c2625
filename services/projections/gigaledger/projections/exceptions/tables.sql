CREATE TABLE exceptions_event (
    LIKE template_entry INCLUDING ALL,
    fact_type text NOT NULL,
    document text NOT NULL,
    settlement text NOT NULL,
    event bytea NOT NULL
);
CREATE INDEX ON exceptions_event (document, position);
CREATE INDEX ON exceptions_event (settlement, position) WHERE settlement <> '';
COMMENT ON TABLE exceptions_event IS 'Events as the rules of exceptions judge them';
COMMENT ON COLUMN exceptions_event.fact_type IS 'Name of the fact''s field in the event, e.g. invoice_issued';
COMMENT ON COLUMN exceptions_event.document IS 'What it is judged with: an order, an invoice or a payment without one; empty for what is no trade';
COMMENT ON COLUMN exceptions_event.settlement IS 'For the payment of an invoice without an order, what refunds know it by; else empty';
COMMENT ON COLUMN exceptions_event.event IS 'The event: a gigaledger.v1.Event';

CREATE TABLE exceptions_finding (
    document text NOT NULL,
    exception text COLLATE "C" NOT NULL,
    rule text NOT NULL,
    subject text NOT NULL,
    description text NOT NULL,
    positions bigint[] NOT NULL,
    arose_date date NOT NULL,
    arose_position bigint NOT NULL,
    arose_time timestamptz NOT NULL,
    cleared_date date,
    cleared_position bigint,
    cleared_time timestamptz,
    effective_date date NOT NULL,
    end_date date,
    position bigint NOT NULL,
    reversed_position bigint,
    PRIMARY KEY (exception, position, effective_date)
);
CREATE INDEX ON exceptions_finding (document) WHERE reversed_position IS NULL;
CREATE INDEX ON exceptions_finding (position);
CREATE INDEX ON exceptions_finding (reversed_position) WHERE reversed_position IS NOT NULL;
CREATE INDEX ON exceptions_finding (rule, arose_position, exception);
CREATE INDEX ON exceptions_finding
    USING gist (int8range(position, reversed_position), daterange(effective_date, end_date))
    WHERE cleared_date IS NULL;
COMMENT ON TABLE exceptions_finding IS 'What the rules say of documents and of racks, as of some days in a row and by what is known from one position to another';
COMMENT ON COLUMN exceptions_finding.document IS 'What was judged: a document, or an agreement with its racks';
COMMENT ON COLUMN exceptions_finding.description IS 'What is so; empty for SX-CAP-03 while it is open, for it changes with every receipt';
COMMENT ON COLUMN exceptions_finding.positions IS 'Positions of the events behind it';
COMMENT ON COLUMN exceptions_finding.effective_date IS 'First day as of which it is said';
COMMENT ON COLUMN exceptions_finding.end_date IS 'Day before which that ends; null where it does not';
COMMENT ON COLUMN exceptions_finding.position IS 'Position from which on it is said';
COMMENT ON COLUMN exceptions_finding.reversed_position IS 'Position from which on it is said no more; null where it still is';

CREATE TABLE exceptions_capacity_delta (
    position bigint NOT NULL,
    effective_date date NOT NULL,
    agreement text NOT NULL,
    power_basis integer NOT NULL,
    numerator numeric NOT NULL,
    denominator numeric NOT NULL,
    receipts integer NOT NULL
);
CREATE INDEX ON exceptions_capacity_delta (position);
COMMENT ON TABLE exceptions_capacity_delta IS 'What racks received under agreements carry, event by event';
COMMENT ON COLUMN exceptions_capacity_delta.power_basis IS 'Number of the PowerBasis; 0 for racks that nobody rated';
COMMENT ON COLUMN exceptions_capacity_delta.numerator IS 'With the denominator: kilowatts, negative where racks were returned or recorded in error';
COMMENT ON COLUMN exceptions_capacity_delta.receipts IS 'Number of receipts and returns; negative where they were recorded in error';

CREATE TABLE exceptions_document (
    document text PRIMARY KEY,
    names text[] NOT NULL
);
COMMENT ON TABLE exceptions_document IS 'Documents of trade that are judged';
COMMENT ON COLUMN exceptions_document.names IS 'Parties and agreements that rules look up for it';

CREATE TABLE exceptions_status (
    assertion_status text NOT NULL,
    position bigint NOT NULL,
    effective_date date NOT NULL,
    PRIMARY KEY (assertion_status, position)
);
COMMENT ON TABLE exceptions_status IS 'For each status, the events that no earlier one of the status takes effect before';

CREATE TABLE exceptions_subtotal (
    LIKE template_subtotal INCLUDING ALL,
    measure text NOT NULL,
    subject text NOT NULL,
    denominator numeric NOT NULL,
    amount numeric[] NOT NULL,
    standing bigint[] NOT NULL
);
COMMENT ON TABLE exceptions_subtotal IS 'By how much a block of the log changed how many exceptions there are, and what racks carry, by the end of each day';
COMMENT ON COLUMN exceptions_subtotal.measure IS 'Code of a rule, or CARRIED';
COMMENT ON COLUMN exceptions_subtotal.subject IS 'For CARRIED, the agreement and the number of the power basis; else empty';
COMMENT ON COLUMN exceptions_subtotal.denominator IS 'For CARRIED, of the amount in kilowatts; else 1';
COMMENT ON COLUMN exceptions_subtotal.amount IS 'Number of exceptions, or kilowatts, at the end of each day';
COMMENT ON COLUMN exceptions_subtotal.standing IS 'Number of those that are open, or of receipts';

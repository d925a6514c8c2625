CREATE TABLE exceptions_event (
    LIKE template_entry INCLUDING ALL,
    fact_type text NOT NULL,
    document text NOT NULL,
    settlement text NOT NULL,
    event bytea NOT NULL
);
CREATE INDEX ON exceptions_event (document, position);
CREATE INDEX ON exceptions_event (settlement, position) WHERE settlement <> '';
COMMENT ON TABLE exceptions_event IS 'Events as the rules of exceptions evaluate them';
COMMENT ON COLUMN exceptions_event.fact_type IS 'Name of the fact''s field in the event, e.g. invoice_issued';
COMMENT ON COLUMN exceptions_event.document IS 'The document that it belongs to: an order, or an invoice or payment without one; else empty';
COMMENT ON COLUMN exceptions_event.settlement IS 'For a payment without an order, the name by which refunds refer to it; else empty';
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
COMMENT ON TABLE exceptions_finding IS 'Findings of rules about documents and hardware, each as of consecutive days and known from one position until another';
COMMENT ON COLUMN exceptions_finding.document IS 'The subject: a document, or an agreement with its hardware';
COMMENT ON COLUMN exceptions_finding.description IS 'The breach in words; empty for an open SX-CAP-03, because it changes with every receipt';
COMMENT ON COLUMN exceptions_finding.positions IS 'Positions of the events behind it';
COMMENT ON COLUMN exceptions_finding.effective_date IS 'First as-of day of the finding';
COMMENT ON COLUMN exceptions_finding.end_date IS 'Day after the last as-of day; null if there is no last';
COMMENT ON COLUMN exceptions_finding.position IS 'Position from which on it is found';
COMMENT ON COLUMN exceptions_finding.reversed_position IS 'Position from which on it is no longer found; null if it still is';

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
COMMENT ON TABLE exceptions_capacity_delta IS 'Capacity of racks received under agreements, event by event';
COMMENT ON COLUMN exceptions_capacity_delta.power_basis IS 'Number of the PowerBasis; 0 for racks without a rating';
COMMENT ON COLUMN exceptions_capacity_delta.numerator IS 'With the denominator: kilowatts; negative if racks were returned or recorded in error';
COMMENT ON COLUMN exceptions_capacity_delta.receipts IS 'Number of receipts and returns; negative if they were recorded in error';

CREATE TABLE exceptions_document (
    document text PRIMARY KEY,
    names text[] NOT NULL
);
COMMENT ON TABLE exceptions_document IS 'Documents that are evaluated';
COMMENT ON COLUMN exceptions_document.names IS 'Parties and agreements that its rules look up';

CREATE TABLE exceptions_status (
    assertion_status text NOT NULL,
    position bigint NOT NULL,
    effective_date date NOT NULL,
    PRIMARY KEY (assertion_status, position)
);
COMMENT ON TABLE exceptions_status IS 'For each status, the events that took effect before all earlier ones of that status';

CREATE TABLE exceptions_subtotal (
    LIKE template_subtotal INCLUDING ALL,
    measure text NOT NULL,
    subject text NOT NULL,
    denominator numeric NOT NULL,
    amount numeric[] NOT NULL,
    open_count bigint[] NOT NULL
);
COMMENT ON TABLE exceptions_subtotal IS 'Changes that a block of the log made to the number of exceptions and the capacity of racks, by end of day';
COMMENT ON COLUMN exceptions_subtotal.measure IS 'Code of a rule, or CAPACITY';
COMMENT ON COLUMN exceptions_subtotal.subject IS 'For CAPACITY, the agreement and the number of the power basis; else empty';
COMMENT ON COLUMN exceptions_subtotal.denominator IS 'For CAPACITY, the denominator of the amount in kilowatts; else 1';
COMMENT ON COLUMN exceptions_subtotal.amount IS 'Number of exceptions, or kilowatts, at the end of each day';
COMMENT ON COLUMN exceptions_subtotal.open_count IS 'Number of open exceptions, or of receipts';

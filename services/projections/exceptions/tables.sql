CREATE TABLE exceptions_event (
    LIKE template_entry INCLUDING ALL,
    fact_type text NOT NULL,
    event bytea NOT NULL
);
COMMENT ON TABLE exceptions_event IS 'Events as the rules of exceptions judge them';
COMMENT ON COLUMN exceptions_event.fact_type IS 'Name of the fact''s field in the event, e.g. invoice_issued';
COMMENT ON COLUMN exceptions_event.event IS 'The event: a gigaledger.v1.Event';

-- How far the events of a projection are judged, where it judges them behind its rows: its questions are
-- answered at that position. Whoever judges locks a row here, and keeps nobody from folding or summing up.
CREATE TABLE projection_judged (
    projection text NOT NULL,
    generation integer NOT NULL,
    position bigint NOT NULL DEFAULT 0,
    recorded_time timestamptz,
    until text NOT NULL DEFAULT '',
    PRIMARY KEY (projection, generation)
);
COMMENT ON TABLE projection_judged IS 'How far the events of each generation of a projection are judged';
COMMENT ON COLUMN projection_judged.position IS 'The log up to this position is judged';
COMMENT ON COLUMN projection_judged.recorded_time IS 'When the event at that position was recorded';
COMMENT ON COLUMN projection_judged.until IS 'Of an event that all documents are judged anew for: the last document that was; else empty';
GRANT SELECT ON projection_judged TO gigaledger_reader;

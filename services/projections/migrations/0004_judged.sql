-- How far the events of a projection are judged, where it judges them behind its rows: its questions are
-- answered at that position.
ALTER TABLE projection_subtotal
    ADD COLUMN judged_position bigint,
    ADD COLUMN judged_time timestamptz,
    ADD COLUMN judged_until text NOT NULL DEFAULT '';
COMMENT ON COLUMN projection_subtotal.judged_position IS 'The log up to this position is judged; null where the projection judges nothing';
COMMENT ON COLUMN projection_subtotal.judged_time IS 'When the event at that position was recorded';
COMMENT ON COLUMN projection_subtotal.judged_until IS 'Of an event that all documents are judged anew for: the last document that was';

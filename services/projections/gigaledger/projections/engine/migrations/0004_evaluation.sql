-- How far the events of a projection are evaluated asynchronously, for a projection that derives more than
-- rows of single facts. Its queries reflect this position. An evaluator locks a row here and so delays neither
-- folding nor subtotals.
CREATE TABLE projection_evaluation (
    projection text NOT NULL,
    generation integer NOT NULL,
    position bigint NOT NULL DEFAULT 0,
    recorded_time timestamptz,
    resume_after text NOT NULL DEFAULT '',
    failed_position bigint,
    failure text,
    evaluator text NOT NULL DEFAULT '',
    lease_until timestamptz,
    PRIMARY KEY (projection, generation)
);
COMMENT ON TABLE projection_evaluation IS 'How far the events of each generation of a projection are evaluated';
COMMENT ON COLUMN projection_evaluation.position IS 'The log up to this position is evaluated';
COMMENT ON COLUMN projection_evaluation.recorded_time IS 'When the event at that position was recorded';
COMMENT ON COLUMN projection_evaluation.resume_after IS 'For an event that re-evaluates all documents: the last one done; else empty';
COMMENT ON COLUMN projection_evaluation.failed_position IS 'Position of the event that cannot be evaluated; null unless evaluation has stopped';
COMMENT ON COLUMN projection_evaluation.failure IS 'Why it cannot be evaluated';
COMMENT ON COLUMN projection_evaluation.evaluator IS 'The process that evaluates';
COMMENT ON COLUMN projection_evaluation.lease_until IS 'When another process may take its place';
GRANT SELECT ON projection_evaluation TO gigaledger_reader;

-- How far the subtotals of each generation are made. They are made behind its rows, block by block, in
-- transactions that lock a row here and not the one of its progress: so folding does not wait for them.
CREATE TABLE projection_subtotal (
    projection text NOT NULL,
    generation integer NOT NULL,
    position bigint NOT NULL DEFAULT 0,
    block_events integer NOT NULL DEFAULT 128 CHECK (block_events > 0),
    PRIMARY KEY (projection, generation)
);
COMMENT ON TABLE projection_subtotal IS 'How far the subtotals of each generation of a projection are made';
COMMENT ON COLUMN projection_subtotal.position IS 'The log up to this position is in subtotals';
COMMENT ON COLUMN projection_subtotal.block_events IS 'How many events the shortest blocks span';
GRANT SELECT ON projection_subtotal TO gigaledger_reader;

-- What every table of subtotals starts with. It holds no rows itself.
CREATE TABLE template_subtotal (
    level integer NOT NULL,
    block bigint NOT NULL,
    day date NOT NULL
);
CREATE INDEX ON template_subtotal (level, block);
COMMENT ON TABLE template_subtotal IS 'Template of the tables of subtotals; always empty';
COMMENT ON COLUMN template_subtotal.level IS 'Level of the block: 0 for the shortest';
COMMENT ON COLUMN template_subtotal.block IS 'Number of the block among those of its level, from 0';
COMMENT ON COLUMN template_subtotal.day IS 'Effective date of the summed rows';

-- Subtotals are made behind the rows, block by block, in transactions of their own.
ALTER TABLE projection_progress
    ADD COLUMN subtotal_position bigint NOT NULL DEFAULT 0,
    ADD COLUMN block_events integer NOT NULL DEFAULT 128 CHECK (block_events > 0);
COMMENT ON COLUMN projection_progress.subtotal_position IS 'The log up to this position is in subtotals, where the projection has any';
COMMENT ON COLUMN projection_progress.block_events IS 'How many events the shortest blocks of subtotals span';

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
COMMENT ON COLUMN template_subtotal.day IS 'Effective date of what is summed';

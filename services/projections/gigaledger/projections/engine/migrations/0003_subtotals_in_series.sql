-- A block of the log has a row for each series of sums, with all its days, in place of one for each day.
-- Tables that were made like this before keep what they have, until a newer generation takes their place.
ALTER TABLE template_subtotal DROP COLUMN day;
ALTER TABLE template_subtotal ADD COLUMN days integer[] NOT NULL;
COMMENT ON COLUMN template_subtotal.days IS 'Effective dates on which the sum changed, in order; numbered from 0001-01-01, which is 1';

-- Changes since the last block are summed for each question. With a block for each 128
-- events that took most of the time of a question; blocks of a fourth are made as fast, and take more room.
ALTER TABLE projection_subtotal ALTER COLUMN block_events SET DEFAULT 32;

-- What is folded changes: the projection is made anew from the log.
TRUNCATE capacity_terms, capacity_schedule, capacity_entry, capacity_order_line, capacity_hardware,
    capacity_rating;
UPDATE projection_progress
SET position = 0, recorded_time = NULL, resume_token = '', failed_position = NULL, failure = NULL
WHERE projection = 'capacity';

ALTER TABLE capacity_entry ADD COLUMN planned_date date;
COMMENT ON COLUMN capacity_entry.planned_date IS 'When a milestone that is PLANNED is to be certified; null where open';

ALTER TABLE capacity_order_line ADD COLUMN quantity bigint NOT NULL;
COMMENT ON COLUMN capacity_order_line.quantity IS 'Units ordered, before changes';

CREATE TABLE capacity_order_change (
    LIKE template_entry INCLUDING ALL,
    purchase_order text NOT NULL,
    line integer NOT NULL,
    quantity bigint NOT NULL
);
COMMENT ON TABLE capacity_order_change IS 'Units added to orders (positive), taken off and cancelled (negative)';

GRANT SELECT ON capacity_order_change TO gigaledger_reader;

CREATE TABLE capacity_terms (LIKE template_agreement_terms INCLUDING ALL);
COMMENT ON TABLE capacity_terms IS 'Changes of agreements';

CREATE TABLE capacity_schedule (
    LIKE template_entry INCLUDING ALL,
    agreement text NOT NULL,
    baseline boolean NOT NULL,
    by_dates date[] NOT NULL,
    cumulative_power_kw bigint[] NOT NULL
);
COMMENT ON TABLE capacity_schedule IS 'Deployment schedules: baselines and revisions, whole';
COMMENT ON COLUMN capacity_schedule.by_dates IS 'Days of the points, ascending';
COMMENT ON COLUMN capacity_schedule.cumulative_power_kw IS 'Cumulative plan at the end of each of these days, in kilowatts';

CREATE TABLE capacity_entry (
    LIKE template_entry INCLUDING ALL,
    measure text NOT NULL,
    agreement text NOT NULL,
    milestone text NOT NULL DEFAULT '',
    certifier text NOT NULL DEFAULT '',
    certificate text NOT NULL DEFAULT '',
    site text NOT NULL DEFAULT '',
    platform text NOT NULL DEFAULT '',
    capacity_layer text NOT NULL DEFAULT '',
    power_basis text NOT NULL,
    power_kw bigint NOT NULL,
    planned_date date
);
COMMENT ON TABLE capacity_entry IS 'Changes of capacity, as increments';
COMMENT ON COLUMN capacity_entry.measure IS 'PLANNED, CLAIMED, REJECTED, CERTIFIED, DECERTIFIED, RETIRED or ENERGISED';
COMMENT ON COLUMN capacity_entry.planned_date IS 'When a milestone that is PLANNED is to be certified; null if open';
COMMENT ON COLUMN capacity_entry.capacity_layer IS 'Empty if the milestone states it';

CREATE TABLE capacity_order_line (
    LIKE template_entry INCLUDING ALL,
    purchase_order text NOT NULL,
    line integer NOT NULL,
    sku text NOT NULL,
    agreement text NOT NULL,
    contract_kind text NOT NULL,
    quantity bigint NOT NULL
);
CREATE INDEX ON capacity_order_line (purchase_order);
CREATE INDEX ON capacity_order_line (sku);
COMMENT ON TABLE capacity_order_line IS 'What the lines of orders stand for';
COMMENT ON COLUMN capacity_order_line.quantity IS 'Units ordered, before changes';

CREATE TABLE capacity_order_change (
    LIKE template_entry INCLUDING ALL,
    purchase_order text NOT NULL,
    line integer NOT NULL,
    quantity bigint NOT NULL
);
CREATE INDEX ON capacity_order_change (purchase_order);
COMMENT ON TABLE capacity_order_change IS 'Units added to orders (positive), taken off and cancelled (negative)';

CREATE TABLE capacity_hardware (
    LIKE template_entry INCLUDING ALL,
    purchase_order text NOT NULL,
    line integer NOT NULL,
    site text NOT NULL,
    quantity bigint NOT NULL
);
CREATE INDEX ON capacity_hardware (purchase_order);
COMMENT ON TABLE capacity_hardware IS 'Units received (positive) and returned (negative)';

CREATE TABLE capacity_rating (
    LIKE template_entry INCLUDING ALL,
    sku text NOT NULL,
    platform text NOT NULL,
    rated_power_kw_numerator bigint NOT NULL,
    rated_power_kw_denominator bigint NOT NULL,
    power_basis text NOT NULL,
    gpu_count bigint NOT NULL,
    gpu_basis text NOT NULL
);
COMMENT ON TABLE capacity_rating IS 'Ratings of racks: kilowatts of one rack as an exact fraction, and the GPUs in it';

CREATE TABLE capacity_subtotal (
    LIKE template_subtotal INCLUDING ALL,
    sku text NOT NULL,
    agreement text NOT NULL,
    contract_kind text NOT NULL,
    site text NOT NULL,
    assertion_status text NOT NULL,
    ordered bigint[] NOT NULL,
    received bigint[] NOT NULL,
    returned bigint[] NOT NULL,
    movements bigint[] NOT NULL,
    entries bigint[] NOT NULL
);
COMMENT ON TABLE capacity_subtotal IS 'Change by a block of the log of the units ordered and received by the end of each day';
COMMENT ON COLUMN capacity_subtotal.sku IS 'Empty if no order states it';
COMMENT ON COLUMN capacity_subtotal.site IS 'Empty for orders';
COMMENT ON COLUMN capacity_subtotal.ordered IS 'Racks ordered by the end of each day, less amendments and cancellations';
COMMENT ON COLUMN capacity_subtotal.received IS 'Racks received, less returns';
COMMENT ON COLUMN capacity_subtotal.returned IS 'The racks returned among them, negative';
COMMENT ON COLUMN capacity_subtotal.movements IS 'Number of receipts and returns that count';
COMMENT ON COLUMN capacity_subtotal.entries IS 'Number of entries that count';

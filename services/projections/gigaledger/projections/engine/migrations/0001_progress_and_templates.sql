-- How far each generation of each projection has come. A worker changes its row in the transaction in
-- which it adds what it folded, so that nothing is counted twice and nothing is left out.
CREATE TABLE projection_progress (
    projection text NOT NULL,
    generation integer NOT NULL CHECK (generation > 0),
    version integer NOT NULL,
    state text NOT NULL CHECK (state IN ('LIVE', 'BUILDING', 'RETIRED')),
    position bigint NOT NULL DEFAULT 0,
    recorded_time timestamptz,
    updated_time timestamptz,
    resume_token text NOT NULL DEFAULT '',
    failed_position bigint,
    failure text,
    leader text NOT NULL DEFAULT '',
    lease_until timestamptz,
    PRIMARY KEY (projection, generation)
);
CREATE UNIQUE INDEX ON projection_progress (projection) WHERE state = 'LIVE';
CREATE UNIQUE INDEX ON projection_progress (projection) WHERE state = 'BUILDING';
COMMENT ON TABLE projection_progress IS 'How far each generation of each projection reflects the log';
COMMENT ON COLUMN projection_progress.version IS 'Version of the folds that it is made by';
COMMENT ON COLUMN projection_progress.state IS 'LIVE: it answers. BUILDING: it is to take the place of the live one once it has come as far. RETIRED: it has had its time';
COMMENT ON COLUMN projection_progress.position IS 'The log up to this position is reflected; 0 if no worker has begun';
COMMENT ON COLUMN projection_progress.recorded_time IS 'When the event at the position was recorded';
COMMENT ON COLUMN projection_progress.updated_time IS 'When a worker last wrote';
COMMENT ON COLUMN projection_progress.resume_token IS 'Resumes the subscription to the log at the position; bound to the history that was read';
COMMENT ON COLUMN projection_progress.failed_position IS 'Position of the event that cannot be folded; null if the projection runs';
COMMENT ON COLUMN projection_progress.failure IS 'Why it cannot be folded';
COMMENT ON COLUMN projection_progress.leader IS 'The worker that folds; no other can write';
COMMENT ON COLUMN projection_progress.lease_until IS 'When another worker may take its place';

-- What every row of every read model starts with. Tables are made LIKE it; it holds no rows itself.
CREATE TABLE template_entry (
    position bigint NOT NULL,
    item integer NOT NULL,
    recorded_time timestamptz NOT NULL,
    effective_date date NOT NULL,
    assertion_status text NOT NULL,
    reversed_position bigint,
    PRIMARY KEY (position, item)
);
CREATE INDEX ON template_entry (reversed_position) WHERE reversed_position IS NOT NULL;
COMMENT ON TABLE template_entry IS 'Template of the read models; always empty';
COMMENT ON COLUMN template_entry.position IS 'Position of the event that the row comes from';
COMMENT ON COLUMN template_entry.item IS 'Number of the row among those of the event, from 0';
COMMENT ON COLUMN template_entry.recorded_time IS 'When the event was recorded';
COMMENT ON COLUMN template_entry.effective_date IS 'Since when the fact holds';
COMMENT ON COLUMN template_entry.assertion_status IS 'FACT, REPORTED, PLAN or ASSUMPTION';
COMMENT ON COLUMN template_entry.reversed_position IS 'Position from which on the row counts no more, for it was recorded in error';

-- Changes of agreements. Amounts are in minor units of the currency, power in kilowatts.
CREATE TABLE template_agreement_terms (
    LIKE template_entry INCLUDING ALL,
    agreement text NOT NULL,
    change text NOT NULL,
    supersedes text[] NOT NULL DEFAULT '{}',
    part text NOT NULL DEFAULT '',
    to_party text NOT NULL DEFAULT '',
    investor text NOT NULL DEFAULT '',
    issuer text NOT NULL DEFAULT '',
    supplier text NOT NULL DEFAULT '',
    buyer text NOT NULL DEFAULT '',
    binding boolean NOT NULL DEFAULT false,
    commitment_minor bigint,
    undisclosed boolean NOT NULL DEFAULT false,
    contingent_minor bigint NOT NULL DEFAULT 0,
    currency text NOT NULL DEFAULT '',
    power_kw bigint NOT NULL DEFAULT 0,
    power_basis text NOT NULL DEFAULT 'UNSPECIFIED',
    capacity_layer text NOT NULL DEFAULT 'CHIP_SUPPLY',
    latching boolean NOT NULL DEFAULT false,
    expiry_date date,
    tranches jsonb NOT NULL DEFAULT '[]'
);
COMMENT ON TABLE template_agreement_terms IS 'Template of the tables of terms; always empty';
COMMENT ON COLUMN template_agreement_terms.change IS 'LETTER_OF_INTENT, DEFINITIVE, AMENDED, NOVATED, SUPERSEDED, TERMINATED or EXPIRED; the first three bring the terms, whole';
COMMENT ON COLUMN template_agreement_terms.supersedes IS 'Agreements whose place a DEFINITIVE one takes';
COMMENT ON COLUMN template_agreement_terms.part IS 'For NOVATED: investor, issuer, supplier or buyer';
COMMENT ON COLUMN template_agreement_terms.commitment_minor IS 'Investment; null if the terms state no amount';
COMMENT ON COLUMN template_agreement_terms.tranches IS 'Ladder of tranches with their conditions';
GRANT SELECT ON projection_progress TO gigaledger_reader;

CREATE FUNCTION in_proportion(part numeric, whole numeric, amount numeric) RETURNS numeric
    LANGUAGE sql IMMUTABLE
    RETURN sign(part * amount) * div(2 * abs(part * amount) + whole, 2 * nullif(whole, 0));
COMMENT ON FUNCTION in_proportion IS 'The share of an amount that a part has of a positive whole, rounded half away from zero: exact, unlike a division; null if the whole is 0';

-- Makes a view of the table's plain name show a generation of it, for people and tools that ask in SQL.
CREATE FUNCTION publish_read_model(read_model text, generation integer) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    source text := read_model || '_' || generation;
    described record;
BEGIN
    BEGIN
        EXECUTE format('CREATE OR REPLACE VIEW %I AS SELECT * FROM %I', read_model, source);
    EXCEPTION WHEN invalid_table_definition THEN
        -- Its columns have changed.
        EXECUTE format('DROP VIEW %I', read_model);
        EXECUTE format('CREATE VIEW %I AS SELECT * FROM %I', read_model, source);
    END;
    EXECUTE format('GRANT SELECT ON %I TO gigaledger_reader', read_model);
    EXECUTE format(
        'COMMENT ON VIEW %I IS %L', read_model, obj_description(source::regclass, 'pg_class')
    );
    FOR described IN
        SELECT attname AS name, col_description(attrelid, attnum) AS text
        FROM pg_attribute WHERE attrelid = source::regclass AND attnum > 0 AND NOT attisdropped
    LOOP
        EXECUTE format('COMMENT ON COLUMN %I.%I IS %L', read_model, described.name, described.text);
    END LOOP;
END
$$;
COMMENT ON FUNCTION publish_read_model IS 'Makes a view of the table''s plain name show a generation of it';

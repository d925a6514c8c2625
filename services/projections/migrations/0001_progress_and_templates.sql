-- How far each projection of the book has come. A worker changes its row in the transaction in which
-- it adds what it folded, so that nothing is counted twice and nothing is left out.
CREATE TABLE projection_progress (
    projection text PRIMARY KEY,
    position bigint NOT NULL DEFAULT 0,
    recorded_time timestamptz,
    updated_time timestamptz,
    resume_token text NOT NULL DEFAULT '',
    failed_position bigint,
    failure text
);
COMMENT ON TABLE projection_progress IS 'How far each projection reflects the log';
COMMENT ON COLUMN projection_progress.position IS 'The log up to this position is reflected; 0 where no worker has begun';
COMMENT ON COLUMN projection_progress.recorded_time IS 'When the event at the position was recorded';
COMMENT ON COLUMN projection_progress.updated_time IS 'When a worker last wrote';
COMMENT ON COLUMN projection_progress.resume_token IS 'Resumes the subscription to the log at the position; bound to the history that was read';
COMMENT ON COLUMN projection_progress.failed_position IS 'Position of the event that cannot be folded; null where the projection runs';
COMMENT ON COLUMN projection_progress.failure IS 'Why it cannot be folded';

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
COMMENT ON COLUMN template_agreement_terms.commitment_minor IS 'Investment; null where the terms state no amount';
COMMENT ON COLUMN template_agreement_terms.tranches IS 'Ladder of tranches with their conditions';
GRANT SELECT ON projection_progress TO gigaledger_reader;

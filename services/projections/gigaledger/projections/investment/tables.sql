CREATE TABLE investment_terms (LIKE template_agreement_terms INCLUDING ALL);
COMMENT ON TABLE investment_terms IS 'Changes of agreements';

CREATE TABLE investment_condition (
    LIKE template_entry INCLUDING ALL,
    agreement text NOT NULL,
    tranche integer NOT NULL,
    condition integer NOT NULL
);
COMMENT ON TABLE investment_condition IS 'Conditions of tranches that a document shows to be met';
COMMENT ON COLUMN investment_condition.condition IS 'Which of the conditions of the tranche, from 1';

CREATE TABLE investment_certified (
    LIKE template_entry INCLUDING ALL,
    agreement text NOT NULL,
    power_basis text NOT NULL,
    power_kw bigint NOT NULL,
    certificate text NOT NULL
);
COMMENT ON TABLE investment_certified IS 'Changes of net certified capacity: certified, withdrawn and retired (negative)';
COMMENT ON COLUMN investment_certified.certificate IS 'Number of the certificate; empty if capacity is retired';

CREATE TABLE investment_capital (
    LIKE template_entry INCLUDING ALL,
    measure text NOT NULL,
    agreement text NOT NULL,
    contribution text NOT NULL DEFAULT '',
    call_notice text NOT NULL DEFAULT '',
    tranches integer[] NOT NULL DEFAULT '{}',
    amount_minor bigint,
    currency text NOT NULL
);
COMMENT ON TABLE investment_capital IS 'Capital called, funded and returned';
COMMENT ON COLUMN investment_capital.measure IS 'CALLED, FUNDED_CASH, FUNDED_NON_CASH or RETURNED';
COMMENT ON COLUMN investment_capital.contribution IS 'The contribution that is funded or returned; empty for a call';
COMMENT ON COLUMN investment_capital.call_notice IS 'The call, or the one that a contribution answers; empty if none';
COMMENT ON COLUMN investment_capital.amount_minor IS 'In minor units of the currency; null if not disclosed';

CREATE TABLE investment_shares (
    LIKE template_entry INCLUDING ALL,
    measure text NOT NULL,
    agreement text NOT NULL,
    security text NOT NULL,
    tranches integer[] NOT NULL DEFAULT '{}',
    shares numeric NOT NULL,
    price_per_share numeric,
    amount_minor bigint,
    currency text NOT NULL
);
COMMENT ON TABLE investment_shares IS 'Shares issued, rescinded, repurchased and transferred';
COMMENT ON COLUMN investment_shares.measure IS 'ISSUED, RESCINDED, REPURCHASED or TRANSFERRED';
COMMENT ON COLUMN investment_shares.amount_minor IS 'In minor units of the currency; null if none is stated';

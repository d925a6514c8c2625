CREATE TABLE warrants_grant (
    LIKE template_entry INCLUDING ALL,
    warrant text NOT NULL,
    agreement text NOT NULL,
    issuer text NOT NULL,
    holder text NOT NULL,
    share_class text NOT NULL,
    shares numeric NOT NULL,
    exercise_price numeric NOT NULL,
    exercise_cost_minor numeric NOT NULL,
    currency text NOT NULL,
    expiry_date date
);
COMMENT ON TABLE warrants_grant IS 'Warrants granted; the effective date is the grant date';
COMMENT ON COLUMN warrants_grant.exercise_price IS 'Price of one share in units of the currency';
COMMENT ON COLUMN warrants_grant.expiry_date IS 'Last day of exercise; null if open';

CREATE TABLE warrants_tranche (
    LIKE template_entry INCLUDING ALL,
    warrant text NOT NULL,
    tranche integer NOT NULL,
    shares numeric
);
COMMENT ON TABLE warrants_tranche IS 'Tranches of warrants';
COMMENT ON COLUMN warrants_tranche.shares IS 'Shares of the tranche; null if not disclosed';

CREATE TABLE warrants_condition (
    LIKE template_entry INCLUDING ALL,
    warrant text NOT NULL,
    tranche integer NOT NULL,
    gate text NOT NULL,
    condition integer NOT NULL,
    condition_type text NOT NULL,
    terms bytea NOT NULL
);
COMMENT ON TABLE warrants_condition IS 'Conditions of tranches';
COMMENT ON COLUMN warrants_condition.gate IS 'VESTING or EXERCISE';
COMMENT ON COLUMN warrants_condition.condition IS 'Which of the conditions of its gate, from 1';
COMMENT ON COLUMN warrants_condition.terms IS 'The condition: a gigaledger.v1.TrancheCondition';

CREATE TABLE warrants_change (
    LIKE template_entry INCLUDING ALL,
    measure text NOT NULL,
    warrant text NOT NULL,
    tranche integer NOT NULL DEFAULT 0,
    gate text NOT NULL DEFAULT '',
    condition integer NOT NULL DEFAULT 0,
    shares numeric,
    amount_minor numeric,
    currency text NOT NULL DEFAULT ''
);
COMMENT ON TABLE warrants_change IS 'Conditions met, shares vested and exercised, tranches lapsed';
COMMENT ON COLUMN warrants_change.measure IS 'SATISFIED, VESTED, EXERCISED or LAPSED';
COMMENT ON COLUMN warrants_change.tranche IS '0 for an exercise, and for the lapse of all tranches';
COMMENT ON COLUMN warrants_change.amount_minor IS 'Cash paid on exercise, in minor units; null if none moved';

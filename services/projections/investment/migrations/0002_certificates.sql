-- What is folded changes: the projection is made anew from the log.
TRUNCATE investment_terms, investment_condition, investment_certified, investment_capital,
    investment_shares;
UPDATE projection_progress
SET position = 0, recorded_time = NULL, resume_token = '', failed_position = NULL, failure = NULL
WHERE projection = 'investment';

ALTER TABLE investment_certified ADD COLUMN certificate text NOT NULL;
COMMENT ON COLUMN investment_certified.certificate IS 'Number of the certificate; empty where capacity is retired';

-- The table of books, the roles, and the function that creates a book.
--
-- Runs with a login that may create roles. Only gigaledger_owner may change the schema: the services
-- run as gigaledger_ledger and gigaledger_projections.

DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY[
        'gigaledger_owner', 'gigaledger_ledger', 'gigaledger_projections', 'gigaledger_reader'
    ] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
        END IF;
    END LOOP;
END
$$;

GRANT gigaledger_owner, gigaledger_ledger, gigaledger_projections, gigaledger_reader
    TO CURRENT_USER;
ALTER SCHEMA gigaledger OWNER TO gigaledger_owner;
GRANT USAGE ON SCHEMA gigaledger
    TO gigaledger_ledger, gigaledger_projections, gigaledger_reader;
SET LOCAL ROLE gigaledger_owner;

CREATE TABLE gigaledger.book (
    book text PRIMARY KEY CHECK (book ~ '^[a-z][a-z0-9-]{0,39}$'),
    schema_name text NOT NULL UNIQUE,
    display_name text NOT NULL,
    imported boolean NOT NULL,
    opened_at timestamptz NOT NULL
);
COMMENT ON TABLE gigaledger.book IS 'Books. Everything of a book is in a schema of its own.';
GRANT SELECT ON gigaledger.book TO gigaledger_ledger, gigaledger_projections, gigaledger_reader;

CREATE FUNCTION gigaledger.refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on %.% is refused: the log is immutable',
        TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE FUNCTION gigaledger.only_forward() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.position < OLD.position OR NEW.recorded_at < OLD.recorded_at THEN
        RAISE EXCEPTION 'the head of %.% cannot go back from % to %',
            TG_TABLE_SCHEMA, TG_TABLE_NAME, OLD.position, NEW.position
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;

-- Creates the schema of a book with its log. SECURITY DEFINER, so that the ledger service can create
-- books without the right to change the schema of a log.
CREATE FUNCTION gigaledger.create_book(
    new_book text, new_display_name text, is_imported boolean, opened timestamptz
) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    new_schema text := 'book_' || replace(new_book, '-', '_');
    log_table text;
BEGIN
    INSERT INTO gigaledger.book (book, schema_name, display_name, imported, opened_at)
    VALUES (new_book, new_schema, new_display_name, is_imported, opened);
    EXECUTE format('CREATE SCHEMA %I', new_schema);
    PERFORM set_config('search_path', quote_ident(new_schema) || ', pg_temp', true);

    CREATE TABLE head (
        only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
        position bigint NOT NULL CHECK (position >= 0),
        recorded_at timestamptz NOT NULL
    );
    COMMENT ON TABLE head IS
        'The end of the log. Positions are assigned under the lock on its row.';

    CREATE TABLE event (
        position bigint PRIMARY KEY CHECK (position > 0),
        stream text NOT NULL,
        stream_version bigint NOT NULL CHECK (stream_version >= 0),
        event_id uuid NOT NULL,
        recorded_at timestamptz NOT NULL,
        fact_type text NOT NULL,
        effective_date date,
        agreement text NOT NULL DEFAULT '',
        parties text[] NOT NULL DEFAULT '{}',
        prefix bytea NOT NULL,
        event bytea NOT NULL CHECK (octet_length(event) <= 65535),
        UNIQUE (stream, stream_version)
    );
    COMMENT ON TABLE event IS 'The log. Positions are 1 to head.position without a gap.';
    COMMENT ON COLUMN event.prefix IS
        'The bytes before the event in a response: the other fields of gigaledger.v1.RecordedEvent.';

    CREATE TABLE request (
        request_id text PRIMARY KEY,
        content_hash bytea NOT NULL CHECK (octet_length(content_hash) = 32),
        first_position bigint NOT NULL,
        last_position bigint NOT NULL CHECK (last_position >= first_position)
    );
    COMMENT ON TABLE request IS 'All accepted requests, which are thereby safe to repeat.';

    CREATE TABLE natural_key (
        kind text NOT NULL,
        key text NOT NULL,
        position bigint NOT NULL,
        PRIMARY KEY (kind, key, position)
    );
    COMMENT ON TABLE natural_key IS 'Document numbers, and the events that recorded them.';

    CREATE TABLE reversal (
        target bigint PRIMARY KEY,
        position bigint NOT NULL CHECK (position > target)
    );
    COMMENT ON TABLE reversal IS 'Reversed entries, and the events that reverse them.';

    CREATE TABLE link (
        stream text NOT NULL,
        position bigint NOT NULL,
        PRIMARY KEY (stream, position)
    );
    COMMENT ON TABLE link IS 'Events that also count for the rules of another stream.';

    CREATE TABLE attempt (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        attempted_at timestamptz NOT NULL,
        request_id text NOT NULL,
        actor text NOT NULL,
        rules text[] NOT NULL,
        message text NOT NULL
    );
    COMMENT ON TABLE attempt IS 'Refused requests: who, when, which rule.';

    CREATE TABLE tree_node (
        level smallint NOT NULL CHECK (level >= 8),
        index bigint NOT NULL,
        hash bytea NOT NULL CHECK (octet_length(hash) = 32),
        PRIMARY KEY (level, index)
    );
    COMMENT ON TABLE tree_node IS
        'Roots of complete subtrees of the Merkle tree. Those of fewer than 256 leaves are not stored, but hashed from the events.';

    CREATE TABLE checkpoint (
        size bigint PRIMARY KEY CHECK (size > 0),
        root_hash bytea NOT NULL CHECK (octet_length(root_hash) = 32),
        note text NOT NULL,
        leaf_hashes bytea NOT NULL CHECK (octet_length(leaf_hashes) % 32 = 0),
        sealed_at timestamptz NOT NULL
    );
    COMMENT ON TABLE checkpoint IS 'Signed checkpoints of the Merkle tree.';
    COMMENT ON COLUMN checkpoint.leaf_hashes IS
        'Hashes of the leaves since the previous checkpoint: they identify an altered event.';

    CREATE TABLE signing_key (
        from_size bigint PRIMARY KEY,
        verifier_key text NOT NULL UNIQUE,
        succession text NOT NULL
    );
    COMMENT ON TABLE signing_key IS
        'Public keys of the checkpoints. Each but the first has a statement of succession, signed by the previous key.';

    INSERT INTO head (position, recorded_at) VALUES (0, opened);

    FOREACH log_table IN ARRAY ARRAY[
        'event', 'request', 'natural_key', 'reversal', 'link', 'attempt', 'tree_node', 'checkpoint',
        'signing_key'
    ] LOOP
        EXECUTE format(
            'CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON %I'
            ' FOR EACH STATEMENT EXECUTE FUNCTION gigaledger.refuse_change()', log_table
        );
        EXECUTE format('GRANT SELECT, INSERT ON %I TO gigaledger_ledger', log_table);
    END LOOP;
    CREATE TRIGGER only_forward BEFORE UPDATE ON head
        FOR EACH ROW EXECUTE FUNCTION gigaledger.only_forward();
    CREATE TRIGGER kept BEFORE DELETE OR TRUNCATE ON head
        FOR EACH STATEMENT EXECUTE FUNCTION gigaledger.refuse_change();
    GRANT SELECT, UPDATE ON head TO gigaledger_ledger;

    EXECUTE format('GRANT USAGE ON SCHEMA %I TO gigaledger_ledger, gigaledger_reader', new_schema);
    EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO gigaledger_projections', new_schema);
    RETURN new_schema;
END
$$;
REVOKE ALL ON FUNCTION gigaledger.create_book FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gigaledger.create_book TO gigaledger_ledger;

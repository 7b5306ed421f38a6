-- The ledger: entries at dense positions, what is written with them in one transaction, and what
-- the database itself refuses. Applied once by the owner; the application works as ledger_app.

CREATE SCHEMA ledger;

-- One line per fact, for ever. The column names are the event store library's.
CREATE TABLE ledger.entries (
    originator_id      uuid   NOT NULL,
    originator_version bigint NOT NULL,
    topic              text   NOT NULL,
    state              bytea  NOT NULL,
    notification_id    bigint NOT NULL,     -- the position: 1, 2, 3, ... without holes
    PRIMARY KEY (originator_id, originator_version)
) WITH (
    autovacuum_vacuum_threshold = 100000000,  -- nothing here is ever dead: freeze, not sweep
    autovacuum_vacuum_scale_factor = 0.5,
    autovacuum_analyze_threshold = 1000,
    autovacuum_analyze_scale_factor = 0.01
);
CREATE UNIQUE INDEX entries_notification_id_idx ON ledger.entries (notification_id);

-- The newest position. Incremented in the transaction that inserts, so that writers queue here
-- and a rollback takes its positions back: a sequence would leave holes.
CREATE TABLE ledger.head (
    one      boolean PRIMARY KEY DEFAULT true CHECK (one),
    position bigint  NOT NULL
) WITH (fillfactor = 10);
INSERT INTO ledger.head (position) VALUES (0);

-- What one stream at a time may hold, and what is written once per stream, by keyed hash.
CREATE TABLE ledger.reservations (
    key       bytea PRIMARY KEY,
    scope     text  NOT NULL,
    stream_id uuid  NOT NULL
);

-- The answers to commands that came with a key of their own, so that a retry gets the first one.
CREATE TABLE ledger.receipts (
    key         bytea PRIMARY KEY,
    fingerprint bytea  NOT NULL,
    stream_id   uuid   NOT NULL,
    version     bigint NOT NULL,
    position    bigint,
    recorded_at timestamptz NOT NULL DEFAULT now()
);

-- Data keys of streams, wrapped by the deployment's key. Destroying one erases what it sealed.
CREATE TABLE ledger.data_keys (
    stream_id    uuid PRIMARY KEY,
    wrapped      bytea,
    created_at   timestamptz NOT NULL DEFAULT now(),
    destroyed_at timestamptz,
    CHECK ((wrapped IS NULL) = (destroyed_at IS NOT NULL))
);

-- Which deployment key the data keys and the hashes above were made with: a hash, not the key.
CREATE TABLE ledger.deployment (
    one       boolean PRIMARY KEY DEFAULT true CHECK (one),
    key_check bytea   NOT NULL
);

-- No function trusts its caller's search path: whoever may create operators could bend it.
CREATE FUNCTION ledger.refuse() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% on %.% is refused: the ledger only grows', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'append_only';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.entries
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse();
CREATE TRIGGER append_only BEFORE INSERT OR DELETE OR TRUNCATE ON ledger.head
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.receipts
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse();

-- Every INSERT ends at the head and begins right after what was there.
CREATE FUNCTION ledger.must_be_dense() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    low bigint; high bigint; n bigint; head bigint;
BEGIN
    SELECT min(notification_id), max(notification_id), count(*) INTO low, high, n FROM fresh;
    IF n = 0 THEN RETURN NULL; END IF;
    SELECT position INTO head FROM ledger.head;
    IF high <> head OR high - low + 1 <> n OR low < 1 OR (low > 1 AND NOT EXISTS (
        SELECT FROM ledger.entries WHERE notification_id = low - 1)) THEN
        RAISE EXCEPTION 'positions % to % (% entries) do not continue the ledger to its head %',
            low, high, n, head
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'dense_positions';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER dense_positions AFTER INSERT ON ledger.entries
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION ledger.must_be_dense();

-- The head never goes back, and at commit there is an entry at it.
CREATE FUNCTION ledger.head_must_grow() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.position < OLD.position OR NEW.one <> OLD.one THEN
        RAISE EXCEPTION 'the head does not go back from % to %', OLD.position, NEW.position
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'dense_positions';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER head_must_grow BEFORE UPDATE ON ledger.head
    FOR EACH ROW EXECUTE FUNCTION ledger.head_must_grow();

CREATE FUNCTION ledger.head_must_be_there() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    head bigint; newest bigint;
BEGIN
    SELECT position INTO head FROM ledger.head;
    SELECT coalesce(max(notification_id), 0) INTO newest FROM ledger.entries;
    IF head <> newest THEN
        RAISE EXCEPTION 'the head is at %, the newest entry at %', head, newest
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'dense_positions';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER head_must_be_there AFTER UPDATE ON ledger.head
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION ledger.head_must_be_there();

-- The streams that a decision rests on without writing them are where it saw them.
-- Called under the lock on the head, so nothing can move between this and the commit.
CREATE FUNCTION ledger.must_stand_at(ids uuid[], versions bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    moved uuid;
BEGIN
    SELECT s.id INTO moved FROM unnest(ids, versions) AS s (id, version)
        WHERE EXISTS (SELECT FROM ledger.entries e
                      WHERE e.originator_id = s.id AND e.originator_version = s.version + 1)
        LIMIT 1;
    IF moved IS NOT NULL THEN
        RAISE EXCEPTION 'stream % has moved', moved
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'stream_moved';
    END IF;
END $$;

-- Takes reservations for their streams. ``once`` is refused when repeated by anybody, the others
-- only when another stream holds one.
CREATE FUNCTION ledger.reserve(keys bytea[], scopes text[], ids uuid[], once boolean[])
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    taken bytea;
BEGIN
    SELECT c.key INTO taken FROM unnest(keys, ids, once) AS c (key, id, once)
        JOIN ledger.reservations r USING (key)
        WHERE c.once OR r.stream_id <> c.id
        LIMIT 1;
    IF taken IS NULL THEN
        SELECT c.key INTO taken FROM unnest(keys, ids, once) AS c (key, id, once)
            GROUP BY c.key HAVING count(DISTINCT c.id) > 1 OR (bool_or(c.once) AND count(*) > 1)
            LIMIT 1;
    END IF;
    IF taken IS NOT NULL THEN
        RAISE EXCEPTION 'reservation % is taken', encode(taken, 'hex')
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'reservation_taken';
    END IF;
    INSERT INTO ledger.reservations (key, scope, stream_id)
        SELECT c.key, c.scope, c.id FROM unnest(keys, scopes, ids) AS c (key, scope, id)
        ON CONFLICT (key) DO NOTHING;
END $$;

-- Read models live apart and belong to the application: it drops and rebuilds them at will.
CREATE SCHEMA read;

DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'ledger_app') THEN
        GRANT USAGE ON SCHEMA ledger TO ledger_app;
        GRANT SELECT, INSERT ON ledger.entries, ledger.receipts, ledger.deployment TO ledger_app;
        GRANT SELECT ON ledger.head TO ledger_app;
        GRANT UPDATE (position) ON ledger.head TO ledger_app;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.reservations TO ledger_app;
        GRANT SELECT, INSERT, UPDATE ON ledger.data_keys TO ledger_app;
        GRANT USAGE, CREATE ON SCHEMA read TO ledger_app;
        GRANT SELECT ON public.ledger_crm_schema TO ledger_app;
    END IF;
END $$;

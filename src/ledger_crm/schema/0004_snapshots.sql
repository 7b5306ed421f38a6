-- Long streams as they were folded, sealed. Disposable: nothing is lost with them.
CREATE TABLE ledger.snapshots (
    stream_id uuid PRIMARY KEY,
    version   bigint NOT NULL CHECK (version > 0),
    program   bytea  NOT NULL,               -- that made it: another one does not read it
    state     bytea  NOT NULL,
    taken_at  timestamptz NOT NULL DEFAULT now()
);

DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'ledger_app') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.snapshots TO ledger_app;
    END IF;
END $$;

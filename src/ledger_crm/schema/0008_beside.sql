-- A read model is built anew beside the one that is read, in schemas whose names begin with "next_",
-- and takes its place in one transaction; what it replaced is kept where they begin with "last_".
CREATE SCHEMA next_read;
CREATE SCHEMA next_past;
CREATE SCHEMA next_as_known;
CREATE SCHEMA next_as_it_was;
CREATE SCHEMA last_read;
CREATE SCHEMA last_past;
CREATE SCHEMA last_as_known;
CREATE SCHEMA last_as_it_was;

DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'ledger_app') THEN
        GRANT USAGE, CREATE ON SCHEMA next_read, next_past, next_as_known, next_as_it_was,
            last_read, last_past, last_as_known, last_as_it_was TO ledger_app;
    END IF;
END $$;

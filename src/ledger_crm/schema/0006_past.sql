-- What read models showed before: "past" has the rows that were replaced, each with the positions
-- between which it was known and the times between which it held. "as_known" and "as_it_was" have a
-- view for each table of "read", by the same name, of the rows of a position or of an instant, which
-- is in the setting "ledger.as_of". All belong to the application.
CREATE SCHEMA past;
CREATE SCHEMA as_known;
CREATE SCHEMA as_it_was;

DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'ledger_app') THEN
        GRANT USAGE, CREATE ON SCHEMA past, as_known, as_it_was TO ledger_app;
    END IF;
END $$;

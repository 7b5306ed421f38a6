-- What read models showed before: "past" has the rows that were replaced, each with the positions
-- between which it held; "as_of" has a view for each table of "read", by the same name, of the rows
-- that held at the position in the setting "ledger.as_of". All three belong to the application.
CREATE SCHEMA past;
CREATE SCHEMA as_of;

DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'ledger_app') THEN
        GRANT USAGE, CREATE ON SCHEMA past, as_of TO ledger_app;
    END IF;
END $$;

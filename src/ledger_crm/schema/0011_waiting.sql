-- Of webhooks that need no order: which messages were not taken, and are tried again while others go
-- on. No facts of the business: lost, these are not sent again unless the webhook is redriven.
CREATE TABLE ledger.webhook_waiting (
    webhook_id uuid NOT NULL,
    position   bigint NOT NULL,               -- of the entry
    failures   integer NOT NULL,
    next_at    timestamptz NOT NULL,
    PRIMARY KEY (webhook_id, position)
);

DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'ledger_app') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.webhook_waiting TO ledger_app;
    END IF;
END $$;

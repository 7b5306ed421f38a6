-- How often each webhook was sent something, by how that went; deliveries are forgotten after a while.
-- No facts of the business.
CREATE TABLE ledger.webhook_attempts (
    webhook_id uuid NOT NULL,
    outcome    text NOT NULL,                 -- taken, or the fault of ledger.webhook_deliveries
    count      bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (webhook_id, outcome)
);

DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'ledger_app') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.webhook_attempts TO ledger_app;
    END IF;
END $$;

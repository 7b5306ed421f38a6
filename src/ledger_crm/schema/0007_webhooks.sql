-- How far each webhook has got, and what its receiver answered. No facts of the business: lost, a
-- webhook begins where it was added or redriven last.
CREATE TABLE ledger.webhook_standing (
    webhook_id uuid PRIMARY KEY,
    since      bigint NOT NULL,              -- version of the webhook that it goes by
    position   bigint NOT NULL,              -- everything up to there was delivered, or not wanted
    failures   integer NOT NULL DEFAULT 0,   -- of the message that is next
    next_at    timestamptz                   -- when that is tried again
);

CREATE TABLE ledger.webhook_deliveries (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook_id  uuid NOT NULL,
    position    bigint NOT NULL,             -- of the entry
    attempt     integer NOT NULL,
    at          timestamptz NOT NULL DEFAULT now(),
    status      integer,                     -- of HTTP; null: there was no answer
    fault       text NOT NULL DEFAULT '',    -- a code of ours; never what the receiver said
    duration_ms integer NOT NULL
);
CREATE INDEX webhook_deliveries_of ON ledger.webhook_deliveries (webhook_id, id DESC);

DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'ledger_app') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE
            ON ledger.webhook_standing, ledger.webhook_deliveries TO ledger_app;
    END IF;
END $$;

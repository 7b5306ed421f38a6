-- Who is signed in, how often somebody guessed, and who was at the door. No facts of the business:
-- lost, everybody signs in anew.
CREATE TABLE ledger.sessions (
    id          uuid PRIMARY KEY,
    digest      bytea NOT NULL UNIQUE,        -- SHA-256 of what the cookie holds
    consultant  text NOT NULL,
    era         integer NOT NULL,             -- of the login; in another one it is over
    began_at    timestamptz NOT NULL,
    seen_at     timestamptz NOT NULL,         -- to the minute
    until_at    timestamptz NOT NULL
);

CREATE TABLE ledger.guesses (
    about     text PRIMARY KEY,               -- hash of an account, or of a network
    failures  integer NOT NULL,
    since_at  timestamptz NOT NULL,
    until_at  timestamptz NOT NULL            -- nothing is counted or refused for it after
);

CREATE TABLE ledger.access_log (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    day       date NOT NULL,
    what      text NOT NULL,                  -- a code: signed_in, key_used, refused ...
    actor     text NOT NULL,                  -- '' : nobody of ours
    through   text NOT NULL,                  -- key:… or session:…
    network   text NOT NULL,                  -- the address without its last part
    about     text NOT NULL,                  -- of what was refused: the operation
    count     integer NOT NULL,
    first_at  timestamptz NOT NULL,
    last_at   timestamptz NOT NULL,
    UNIQUE (day, what, actor, through, network, about)
);

DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'ledger_app') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE
            ON ledger.sessions, ledger.guesses, ledger.access_log TO ledger_app;
    END IF;
END $$;

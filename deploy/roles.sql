-- The database of Ledger CRM and its two roles, made by an administrator. The passwords come from
-- the environment, so that no process list and no history of a shell shows them:
--
--   OWNER_PASSWORD=... APP_PASSWORD=... psql -X -d postgres -f roles.sql
--
-- Run again it makes what is missing, and takes back what was given since. Make the roles before
-- the first `ledger-crm migrate`: that is when the schema gives ledger_app its rights.
--
--   ledger_owner   owns the database, and so creates and upgrades the schema; only `migrate` is it.
--                  No superuser: the triggers that refuse changes hold for it too.
--   ledger_app     what the workers are: adds entries and cannot change one; the read models are
--                  its own. What it may do in the ledger is granted by the schema itself.
--
-- Another name for the owner or the database: psql -v owner=... -v database=...

\set ON_ERROR_STOP on
\getenv owner_password OWNER_PASSWORD
\getenv app_password APP_PASSWORD
\if :{?owner}
\else
    \set owner ledger_owner
\endif
\if :{?database}
\else
    \set database ledger
\endif

SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', :'owner', :'owner_password')
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'owner') \gexec
SELECT format('CREATE ROLE ledger_app LOGIN PASSWORD %L', :'app_password')
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ledger_app') \gexec
ALTER ROLE :"owner" NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
ALTER ROLE ledger_app NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;

SELECT format('CREATE DATABASE %I', :'database')
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
ALTER DATABASE :"database" OWNER TO :"owner";
REVOKE CONNECT, TEMPORARY ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO ledger_app;

\connect :"database"
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

-- Each entry follows one of its stream, or begins it. A process holds what it read and wrote; if the
-- database goes back in time under it, as by a failover to a replica that had not got everything, what
-- it writes next would follow entries that are gone, under a key that is gone with them: nobody could
-- ever fold that stream again, nor read what was written.
CREATE OR REPLACE FUNCTION ledger.must_be_dense() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
    low bigint; high bigint; n bigint; head bigint; torn uuid;
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
    SELECT f.originator_id INTO torn FROM fresh f
        WHERE f.originator_version > 1 AND NOT EXISTS (
            SELECT FROM ledger.entries e WHERE e.originator_id = f.originator_id
            AND e.originator_version = f.originator_version - 1)
        LIMIT 1;
    IF torn IS NOT NULL THEN
        RAISE EXCEPTION 'stream % has no entry before this one', torn
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'stream_torn';
    END IF;
    RETURN NULL;
END $$;

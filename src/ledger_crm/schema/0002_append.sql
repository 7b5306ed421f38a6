-- Saves that wait at the same moment are written by one call: one transaction, one fsync. Each is
-- judged for itself, in the order given, and one that is refused leaves the others alone. The caller
-- puts no two into one call that want the same stream, receipt or reservation; if it does, a unique
-- index takes all of it back.
--
--   e_  entries                     ..._save   which save it belongs to
--   s_  streams a decision rests on, and the version it saw
--   o_  streams that were read some time ago, with keys that may be destroyed by now
--   k_  data keys, wrapped
--   c_  reservations; once: refused when repeated by anybody, the others only for another stream
--   d_  reservations that are given up, before others are taken
--   r_  receipts; r_nth: which of the entries of all saves is the command's last, from 1; 0: none
--
-- The saves that were refused, each with the name of the rule, and the head before. What is written
-- stands after it without a hole, in order.
--
-- Planned on an empty ledger, the probes would become hash joins over whole tables, cached for the
-- life of a connection: from 13,000 saves a second to 4,400 within six. Hence the settings.
CREATE FUNCTION ledger.append(
    e_save int[], e_id uuid[], e_version bigint[], e_topic text[], e_state bytea[],
    s_save int[], s_id uuid[], s_version bigint[],
    o_save int[], o_id uuid[],
    k_save int[], k_id uuid[], k_wrapped bytea[],
    c_save int[], c_key bytea[], c_scope text[], c_id uuid[], c_once boolean[],
    d_save int[], d_key bytea[], d_id uuid[],
    r_save int[], r_key bytea[], r_fingerprint bytea[], r_id uuid[], r_version bigint[],
    r_nth bigint[],
    OUT before bigint, OUT refused int[], OUT rules text[]
) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE
    at bigint[]; written bigint := coalesce(cardinality(e_id), 0);
BEGIN
    -- The lock that all writers queue on. What follows sees what they have committed.
    SELECT h.position INTO before FROM ledger.head h FOR UPDATE;

    SELECT array_agg(j.save), array_agg(j.rule) INTO refused, rules FROM (
        SELECT DISTINCT ON (b.save) b.save, b.rule FROM (
            SELECT a.save, 1 AS rank, 'receipts_pkey' AS rule
                FROM unnest(r_save, r_key) AS a (save, key) JOIN ledger.receipts x ON x.key = a.key
            UNION ALL
            SELECT a.save, 2, 'stream_moved'
                FROM unnest(s_save, s_id, s_version) AS a (save, id, version)
                JOIN ledger.entries x
                ON x.originator_id = a.id AND x.originator_version = a.version + 1
            UNION ALL
            SELECT a.save, 2, 'key_destroyed'
                FROM unnest(o_save, o_id) AS a (save, id)
                JOIN ledger.data_keys x ON x.stream_id = a.id
                WHERE x.wrapped IS NULL
            UNION ALL
            SELECT a.save, 3, 'entries_pkey'
                FROM unnest(e_save, e_id, e_version) AS a (save, id, version)
                JOIN ledger.entries x
                ON x.originator_id = a.id AND x.originator_version = a.version
            UNION ALL
            SELECT a.save, 4, 'data_keys_pkey'
                FROM unnest(k_save, k_id) AS a (save, id)
                JOIN ledger.data_keys x ON x.stream_id = a.id
            UNION ALL
            SELECT a.save, 5, 'reservation_taken'
                FROM unnest(c_save, c_key, c_id, c_once) AS a (save, key, id, once)
                JOIN ledger.reservations x ON x.key = a.key
                WHERE (a.once OR x.stream_id <> a.id) AND NOT EXISTS (
                    SELECT FROM unnest(d_save, d_key, d_id) AS d (save, key, id)
                    WHERE d.save = a.save AND d.key = a.key AND d.id = x.stream_id)
            UNION ALL
            SELECT unnest(array_agg(a.save)), 5, 'reservation_taken'
                FROM unnest(c_save, c_key, c_id, c_once) AS a (save, key, id, once)
                GROUP BY a.key
                HAVING count(DISTINCT a.id) > 1 OR (bool_or(a.once) AND count(*) > 1)
        ) b ORDER BY b.save, b.rank
    ) j;

    IF refused IS NULL THEN
        refused := '{}';
        rules := '{}';
        at := array(SELECT before + nth FROM generate_series(1, written) nth);
    ELSE
        SELECT array_agg(p.at ORDER BY p.nth), coalesce(max(p.at) - before, 0) INTO at, written FROM (
            SELECT e.nth, before + count(*) FILTER (WHERE e.save <> ALL (refused))
                OVER (ORDER BY e.nth) AS at
                FROM unnest(e_save) WITH ORDINALITY AS e (save, nth)
        ) p;
    END IF;

    IF written > 0 THEN
        UPDATE ledger.head SET position = before + written;
        INSERT INTO ledger.entries
            (originator_id, originator_version, topic, state, notification_id)
            SELECT e.id, e.version, e.topic, e.state, at[e.nth]
            FROM unnest(e_save, e_id, e_version, e_topic, e_state)
                WITH ORDINALITY AS e (save, id, version, topic, state, nth)
            WHERE e.save <> ALL (refused) ORDER BY e.nth;
        NOTIFY entries;
    END IF;
    INSERT INTO ledger.data_keys (stream_id, wrapped)
        SELECT k.id, k.wrapped FROM unnest(k_save, k_id, k_wrapped) AS k (save, id, wrapped)
        WHERE k.save <> ALL (refused);
    DELETE FROM ledger.reservations x
        USING unnest(d_save, d_key, d_id) AS d (save, key, id)
        WHERE x.key = d.key AND x.stream_id = d.id AND d.save <> ALL (refused);
    INSERT INTO ledger.reservations (key, scope, stream_id)
        SELECT c.key, c.scope, c.id
        FROM unnest(c_save, c_key, c_scope, c_id) AS c (save, key, scope, id)
        WHERE c.save <> ALL (refused)
        ON CONFLICT (key) DO NOTHING;  -- this stream's own already
    INSERT INTO ledger.receipts (key, fingerprint, stream_id, version, position)
        SELECT r.key, r.fingerprint, r.id, r.version, CASE WHEN r.nth > 0 THEN at[r.nth] END
        FROM unnest(r_save, r_key, r_fingerprint, r_id, r_version, r_nth)
            AS r (save, key, fingerprint, id, version, nth)
        WHERE r.save <> ALL (refused);
END $$;

-- These run in every append, and were planned on an empty ledger too.
ALTER FUNCTION ledger.must_be_dense() SET enable_seqscan = off;
ALTER FUNCTION ledger.head_must_be_there() SET enable_seqscan = off;

-- Superseded by ledger.append.
DROP FUNCTION ledger.must_stand_at(uuid[], bigint[]);
DROP FUNCTION ledger.reserve(bytea[], text[], uuid[], boolean[]);

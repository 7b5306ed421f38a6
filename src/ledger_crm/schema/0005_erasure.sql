-- Who is erased cannot be read from the same moment on: the transaction that writes the entry
-- destroys the key that sealed what they said, and gives back what they reserved, by whatever
-- program it is written. What is kept of a receipt says nothing of a person: keyed hashes.
--
-- Ids of documents, interviews and the like stay reserved: read models find their rows by them, and
-- nobody else's may take their place.
CREATE INDEX reservations_of ON ledger.reservations (stream_id);

CREATE FUNCTION ledger.erase() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
BEGIN
    INSERT INTO ledger.data_keys AS k (stream_id, destroyed_at) VALUES (NEW.originator_id, now())
        ON CONFLICT (stream_id) DO UPDATE
        SET wrapped = NULL, destroyed_at = coalesce(k.destroyed_at, now());
    DELETE FROM ledger.snapshots WHERE stream_id = NEW.originator_id;
    DELETE FROM ledger.reservations
        WHERE stream_id = NEW.originator_id AND scope IN ('email', 'phone', 'url', 'once');
    RETURN NULL;
END $$;

CREATE TRIGGER erase AFTER INSERT ON ledger.entries
    FOR EACH ROW WHEN (NEW.topic = 'person.erased') EXECUTE FUNCTION ledger.erase();

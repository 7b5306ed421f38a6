-- Whether any consultant is on record: asked when a command names one who is not, and never a reason
-- to read the whole ledger.
CREATE INDEX entries_consultant_added ON ledger.entries (notification_id)
    WHERE topic = 'consultant.added';

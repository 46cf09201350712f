-- Requests of the Handle protocol that wait for the proof of a key. Lost with a crash, as they may: clients ask again.

CREATE UNLOGGED TABLE native_challenge (
    number  integer     PRIMARY KEY,
    peer    text        NOT NULL,
    nonce   bytea       NOT NULL,
    digest  bytea       NOT NULL,
    request bytea       NOT NULL,
    made    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON native_challenge (made);
COMMENT ON COLUMN native_challenge.number IS 'what the answer bears as the session of its envelope';
COMMENT ON COLUMN native_challenge.peer IS 'the address that asked, of IPv6 its network: only from there it may be answered';
COMMENT ON COLUMN native_challenge.request IS 'the message to carry out then, without envelope';

-- Sessions of the Handle HTTP API: who proved a key, until they end or are silent for long. Lost with a crash, as they may.

CREATE UNLOGGED TABLE key_session (
    digest     bytea       PRIMARY KEY,
    name       text,
    key_digest bytea       NOT NULL,
    used       timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);
CREATE INDEX ON key_session (name, used);
CREATE INDEX ON key_session (used);
COMMENT ON COLUMN key_session.digest IS 'sha256 of the session''s name, which is its secret';
COMMENT ON COLUMN key_session.name IS 'the key that was proven, index:identifier; NULL once it has ended: its nonce was used';
COMMENT ON COLUMN key_session.key_digest IS 'sha256 of that key: another one ends the session';

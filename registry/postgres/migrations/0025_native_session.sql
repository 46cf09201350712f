-- Sessions of the Handle protocol, and logins by UDP. Lost with a crash, as they may: clients begin anew.

CREATE UNLOGGED TABLE native_session (
    number     integer     PRIMARY KEY,
    peer       text        NOT NULL,
    sealed     bytea       NOT NULL,
    claimed    text        NOT NULL,
    name       text,
    key_digest bytea,
    idle       interval    NOT NULL,
    highest    bigint      NOT NULL DEFAULT 0,
    heard      bigint      NOT NULL DEFAULT 0,
    answered   bigint      NOT NULL DEFAULT 0,
    made       timestamptz NOT NULL DEFAULT now(),
    used       timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);
COMMENT ON COLUMN native_session.number IS 'what envelopes bear in this session';
COMMENT ON COLUMN native_session.peer IS 'the address that set it up, of IPv6 its network: one has so many';
COMMENT ON COLUMN native_session.sealed IS 'its key, under one that follows from the node''s';
COMMENT ON COLUMN native_session.claimed IS 'the key it was set up for, index:identifier; empty: any';
COMMENT ON COLUMN native_session.name IS 'the key that was proven in it; NULL: none yet';
COMMENT ON COLUMN native_session.key_digest IS 'sha256 of that key: another one ends the session';
COMMENT ON COLUMN native_session.highest IS 'the highest counter of a message that was heard';
COMMENT ON COLUMN native_session.heard IS 'bit n: the message with the counter highest - n was heard';
COMMENT ON COLUMN native_session.answered IS 'the counter of the last answer';

CREATE UNLOGGED TABLE native_login (
    peer       text        NOT NULL,
    port       integer     NOT NULL,
    name       text        NOT NULL,
    key_digest bytea       NOT NULL,
    used       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (peer, port)
) WITH (fillfactor = 50);
COMMENT ON TABLE native_login IS 'who logged in by UDP, where the settings let them';
COMMENT ON COLUMN native_login.name IS 'the key that was proven, index:identifier';
COMMENT ON COLUMN native_login.key_digest IS 'sha256 of that key: another one ends the login';

-- The uplink: who speaks to the national top-level node, what was filed there, and how far its books are known to be.

-- The one voice of all machines of this database. The advisory lock says who it is; the fence grows with every
-- election, and `seen` with every second of it: a voice that is silent for long is put out of office.
CREATE TABLE voice (
    one     boolean     PRIMARY KEY DEFAULT true CHECK (one),
    fence   bigint      NOT NULL,
    machine text        NOT NULL,
    since   timestamptz NOT NULL DEFAULT now(),
    seen    timestamptz NOT NULL DEFAULT now()
);
INSERT INTO voice (fence, machine) VALUES (0, '');

-- What the node signs with, and the key it believes the top-level node's answers by.
CREATE TABLE node_key (
    one          boolean PRIMARY KEY DEFAULT true CHECK (one),
    private_key  bytea   NOT NULL,
    toplevel_key bytea
);
COMMENT ON COLUMN node_key.private_key IS 'Ed25519, sealed with the key of the node';
COMMENT ON COLUMN node_key.toplevel_key IS 'Ed25519 public key told at enrolment; NULL before';

-- What is filed of an enterprise. A revision above `filed` and `refused` is still to be told.
CREATE TABLE particulars (
    enterprise_no integer PRIMARY KEY REFERENCES enterprise,
    ent_crt_code  text    COLLATE "C" NOT NULL UNIQUE,
    given         jsonb   NOT NULL,
    ent_id        text    NOT NULL DEFAULT '',
    revision      integer NOT NULL DEFAULT 1,
    filed         integer NOT NULL DEFAULT 0,
    refused       integer NOT NULL DEFAULT 0,
    reason_zh     text    NOT NULL DEFAULT '',
    reason_en     text    NOT NULL DEFAULT ''
);
COMMENT ON COLUMN particulars.ent_id IS 'filing number, told by the top-level node; empty before';

CREATE TABLE filing (
    prefix_no integer  PRIMARY KEY REFERENCES prefix,
    state     smallint NOT NULL,
    suspended boolean  NOT NULL DEFAULT false,
    nonce     bytea    NOT NULL DEFAULT '',
    reason_zh text     NOT NULL DEFAULT '',
    reason_en text     NOT NULL DEFAULT ''
);
COMMENT ON COLUMN filing.state IS '0 to be filed, 1 in review, 2 approved, 3 refused (registry/filing.py)';
COMMENT ON COLUMN filing.nonce IS 'of the CreatePrefix that stands; kept before it is sent';
COMMENT ON COLUMN filing.suspended IS 'stopped by order of the top-level node';

-- Messages of the top-level node that were carried out, in the transaction that did so: one that is delivered
-- again changes nothing.
CREATE TABLE message (
    number  bigint      PRIMARY KEY,
    carried timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE route (
    prefix    text     COLLATE "C" PRIMARY KEY,
    serial    bigint   NOT NULL DEFAULT 1,
    told      bigint   NOT NULL DEFAULT 0,
    address   text     NOT NULL,
    tcp_port  integer  NOT NULL,
    udp_port  integer  NOT NULL,
    http_port integer  NOT NULL
);
COMMENT ON COLUMN route.told IS 'the serial the top-level node has confirmed';

-- How far the top-level node is known to be in each stream, and how many identifiers were live there.
CREATE TABLE receipt (
    prefix_no integer NOT NULL,
    sub       integer NOT NULL DEFAULT 0,
    number    bigint  NOT NULL,
    head      bytea   NOT NULL,
    live      bigint  NOT NULL,
    PRIMARY KEY (prefix_no, sub)
) WITH (fillfactor = 50);

-- Counts of one prefix in one window. Changes are counted with their receipt, resolutions by each machine.
CREATE TABLE statistics (
    prefix_no      integer NOT NULL,
    start          bigint  NOT NULL,
    seconds        integer NOT NULL,
    registered     bigint  NOT NULL DEFAULT 0,
    updated        bigint  NOT NULL DEFAULT 0,
    deleted        bigint  NOT NULL DEFAULT 0,
    resolved       bigint  NOT NULL DEFAULT 0,
    resolve_failed bigint  NOT NULL DEFAULT 0,
    revision       bigint  NOT NULL DEFAULT 1,
    sent           bigint  NOT NULL DEFAULT 0,
    PRIMARY KEY (prefix_no, start, seconds)
);
CREATE INDEX statistics_unsent ON statistics (start, prefix_no) WHERE sent < revision;
COMMENT ON COLUMN statistics.start IS 'milliseconds since 1970 UTC';
COMMENT ON COLUMN statistics.sent IS 'the revision the top-level node has confirmed';

-- What each machine has counted since its supervisor started, as far as it is in `statistics`.
CREATE TABLE machine (
    name text        PRIMARY KEY,
    seen timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE tally (
    machine   text    NOT NULL REFERENCES machine ON DELETE CASCADE,
    prefix_no integer NOT NULL,
    resolved  bigint  NOT NULL,
    failed    bigint  NOT NULL,
    PRIMARY KEY (machine, prefix_no)
);

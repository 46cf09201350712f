-- The books of the simulated national top-level node. Runs on PostgreSQL 15 to 18, needs no extension.
-- All times are milliseconds since 1970 UTC, as in what travels.

-- The private key its answers are signed with: drawn once. What it protects is a simulation.
CREATE TABLE toplevel.seal (
    one  boolean PRIMARY KEY DEFAULT true CHECK (one),
    seed bytea   NOT NULL CHECK (octet_length(seed) = 32)
);

CREATE TABLE toplevel.node (
    number     integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    prefix     text    COLLATE "C" NOT NULL UNIQUE,
    public_key bytea   NOT NULL CHECK (octet_length(public_key) = 32),
    name_zh    text    NOT NULL,
    name_en    text    NOT NULL,
    fence      bigint  NOT NULL DEFAULT 0,
    enrolled   bigint  NOT NULL
);
COMMENT ON COLUMN toplevel.node.fence IS 'the highest heard: a voice with a lower one was voted out';

-- What the voice of a node last told of itself. Apart from `node`, whose rows requests hold while they are carried out.
CREATE TABLE toplevel.heartbeat (
    node_no            integer PRIMARY KEY REFERENCES toplevel.node,
    heard              bigint  NOT NULL,
    version            text    NOT NULL,
    machine            text    NOT NULL,
    started            bigint  NOT NULL,
    oldest_unreceipted bigint  NOT NULL,
    unreceipted        bigint  NOT NULL
);

-- Requests carried out already; forgotten when their date would refuse them anyway.
CREATE TABLE toplevel.nonce (
    node_no integer NOT NULL REFERENCES toplevel.node,
    nonce   bytea   NOT NULL,
    seen    bigint  NOT NULL,
    PRIMARY KEY (node_no, nonce)
);
CREATE INDEX nonce_seen ON toplevel.nonce (seen);

CREATE TABLE toplevel.enterprise (
    number       integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    node_no      integer NOT NULL REFERENCES toplevel.node,
    ent_crt_code text    COLLATE "C" NOT NULL,
    ent_name_cn  text    NOT NULL,
    particulars  bytea   NOT NULL,
    filed        bigint  NOT NULL,
    updated      bigint  NOT NULL,
    UNIQUE (node_no, ent_crt_code)
);
COMMENT ON COLUMN toplevel.enterprise.particulars IS 'message Enterprise of uplink.proto, as filed';

CREATE TABLE toplevel.prefix (
    number        integer  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          text     COLLATE "C" NOT NULL UNIQUE,
    node_no       integer  NOT NULL REFERENCES toplevel.node,
    enterprise_no integer  NOT NULL REFERENCES toplevel.enterprise,
    state         smallint NOT NULL,
    nonce         bytea    NOT NULL,
    due           bigint
);
COMMENT ON COLUMN toplevel.prefix.state IS 'PrefixState of uplink.proto';
COMMENT ON COLUMN toplevel.prefix.due IS 'when a pending filing is audited';
CREATE INDEX prefix_due ON toplevel.prefix (due) WHERE due IS NOT NULL;

CREATE TABLE toplevel.prefix_history (
    prefix_no integer  NOT NULL REFERENCES toplevel.prefix,
    at        bigint   NOT NULL,
    state     smallint NOT NULL,
    reason_zh text     NOT NULL,
    reason_en text     NOT NULL
);
CREATE INDEX prefix_history_prefix ON toplevel.prefix_history (prefix_no, at);

CREATE TABLE toplevel.route (
    prefix    text    COLLATE "C" PRIMARY KEY,
    node_no   integer NOT NULL REFERENCES toplevel.node,
    serial    bigint  NOT NULL,
    address   text    NOT NULL,
    tcp_port  integer NOT NULL,
    udp_port  integer NOT NULL,
    http_port integer NOT NULL,
    changed   bigint  NOT NULL
);

-- How far each stream is known. The counts are of entries by kind, kept with every push: live identifiers are those
-- created and revived less those deleted, without a row for each.
CREATE TABLE toplevel.stream (
    prefix_no integer NOT NULL REFERENCES toplevel.prefix,
    sub       integer NOT NULL,
    number    bigint  NOT NULL DEFAULT 0,
    head      bytea   NOT NULL CHECK (octet_length(head) = 32),
    created   bigint  NOT NULL DEFAULT 0,
    updated   bigint  NOT NULL DEFAULT 0,
    deleted   bigint  NOT NULL DEFAULT 0,
    revived   bigint  NOT NULL DEFAULT 0,
    made      bigint  NOT NULL DEFAULT 0,
    proven    bigint  NOT NULL DEFAULT 0,
    proven_number bigint NOT NULL DEFAULT 0,
    flaw_zh   text    NOT NULL DEFAULT '',
    flaw_en   text    NOT NULL DEFAULT '',
    PRIMARY KEY (prefix_no, sub)
) WITH (fillfactor = 50);
COMMENT ON COLUMN toplevel.stream.proven IS 'when the chain was last computed anew from the kept changes; 0: never';

-- One row a change, as it came up: arrays, like the row of the registry it tells of.
CREATE TABLE toplevel.change (
    prefix_no integer    NOT NULL,
    sub       integer    NOT NULL,
    number    bigint     NOT NULL,
    made      bigint     NOT NULL,
    received  bigint     NOT NULL,
    head      bytea      NOT NULL,
    suffixes  text[]     COLLATE "C" NOT NULL,
    versions  bigint[]   NOT NULL,
    kinds     smallint[] NOT NULL,
    templates text[]     COLLATE "C" NOT NULL,
    digests   bytea      NOT NULL,
    PRIMARY KEY (prefix_no, sub, number)
);
CREATE INDEX change_received ON toplevel.change (received, prefix_no, sub, number);
ALTER TABLE toplevel.change ALTER COLUMN digests SET STORAGE EXTERNAL;
COMMENT ON COLUMN toplevel.change.digests IS 'of the values, 32 octets an entry, in order; chance, so not compressed';

CREATE TABLE toplevel.window (
    prefix_no        integer NOT NULL REFERENCES toplevel.prefix,
    start            bigint  NOT NULL,
    seconds          integer NOT NULL,
    registered_total bigint  NOT NULL,
    registered       bigint  NOT NULL,
    updated          bigint  NOT NULL,
    deleted          bigint  NOT NULL,
    resolved         bigint  NOT NULL,
    resolve_failed   bigint  NOT NULL,
    PRIMARY KEY (prefix_no, start, seconds)
);
CREATE INDEX window_start ON toplevel.window (start);

-- What waits for each node, and what it has taken.
CREATE TABLE toplevel.message (
    id           bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    node_no      integer NOT NULL REFERENCES toplevel.node,
    made         bigint  NOT NULL,
    body         bytea   NOT NULL,
    acknowledged bigint,
    again        boolean NOT NULL DEFAULT false
);
COMMENT ON COLUMN toplevel.message.body IS 'message Message of uplink.proto, without id and made';
COMMENT ON COLUMN toplevel.message.again IS 'delivered a second time after it was acknowledged: a fault that was on';
CREATE INDEX message_waiting ON toplevel.message (node_no, id) WHERE acknowledged IS NULL;
CREATE INDEX message_acknowledged ON toplevel.message (acknowledged) WHERE acknowledged IS NOT NULL;

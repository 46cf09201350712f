-- Enterprises that apply: who acts for them, what they gave, the two decisions on it, and where a prefix is hosted.

ALTER TABLE account
    ADD COLUMN email          text UNIQUE,
    ADD COLUMN mobile         text UNIQUE,
    ADD COLUMN open_id        text,
    ADD COLUMN open_user_name text,
    ADD COLUMN remarks        text NOT NULL DEFAULT '';

CREATE TABLE application (
    number        integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    enterprise_no integer     NOT NULL REFERENCES enterprise,
    kind          smallint    NOT NULL CHECK (kind IN (1, 2)),
    state         smallint    NOT NULL CHECK (state IN (3, 4, 5, 6)),
    round         smallint    NOT NULL DEFAULT 1,
    prefix        text        COLLATE "C" NOT NULL,
    org_crt_type  smallint    NOT NULL,
    org_crt_code  text        COLLATE "C" NOT NULL,
    form          jsonb       NOT NULL,
    sealed        bytea       NOT NULL,
    applicant_no  integer     NOT NULL REFERENCES account,
    applied       timestamptz NOT NULL DEFAULT now(),
    updated       timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN application.kind IS '1 注册 registration, 2 修改 change';
COMMENT ON COLUMN application.state IS '6 待核验, 4 待审核, 5 审核中 (handed on; its prefix tells how it stands), 3 被驳回';
COMMENT ON COLUMN application.round IS 'grows when the top-level node has it verified again: both decisions are taken anew';
COMMENT ON COLUMN application.sealed IS 'numbers of people''s documents, sealed with the key of the node; not in form';
CREATE UNIQUE INDEX application_undecided ON application (enterprise_no) WHERE state IN (4, 6);
CREATE INDEX application_enterprise ON application (enterprise_no, number);
CREATE INDEX application_state ON application (state, number);
CREATE INDEX application_prefix ON application (prefix);
CREATE INDEX application_code ON application (org_crt_code);

-- Two different people: nobody decides twice in a round.
CREATE TABLE decision (
    application_no integer     NOT NULL REFERENCES application,
    round          smallint    NOT NULL,
    step           text        NOT NULL CHECK (step IN ('verification', 'review')),
    account_no     integer     NOT NULL REFERENCES account,
    passed         boolean     NOT NULL,
    reason         text        NOT NULL,
    made           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (application_no, round, step),
    UNIQUE (application_no, round, account_no)
);

ALTER TABLE particulars
    ADD COLUMN sealed bytea,
    ADD COLUMN whole  boolean NOT NULL DEFAULT true;
COMMENT ON COLUMN particulars.sealed IS 'legal_id_no, sealed with the key of the node; NULL: it stands in given, as of old';
COMMENT ON COLUMN particulars.whole IS 'the next update tells all of it (chgAll), not only what chg may hold';

CREATE TABLE hosting (
    prefix_no    integer     PRIMARY KEY REFERENCES prefix,
    state        smallint    NOT NULL CHECK (state BETWEEN 1 AND 4),
    applicant_no integer     NOT NULL REFERENCES account,
    reason       text        NOT NULL DEFAULT '',
    address      text        NOT NULL DEFAULT '',
    tcp_port     integer     NOT NULL DEFAULT 0,
    udp_port     integer     NOT NULL DEFAULT 0,
    http_port    integer     NOT NULL DEFAULT 0,
    updated      timestamptz NOT NULL DEFAULT now(),
    CHECK (state <> 1 OR address <> ''),
    CHECK (state <> 4 OR address = '')
);
COMMENT ON COLUMN hosting.state IS '1 未托管, 2 托管申请中, 3 托管被驳回, 4 已托管 (SNMS OpenAPI, proxyState)';
COMMENT ON COLUMN hosting.address IS 'of the enterprise''s own node, which answers for the prefix';

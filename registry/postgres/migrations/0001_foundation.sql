-- The registry: who may write, what is recorded, and the stream of every prefix.
-- Runs on PostgreSQL 15 to 18, needs no extension. Every table of records begins with the prefix number.

-- One number for all that epochs are taken from: whoever changes a prefix or a template takes the next one
-- under this row's lock, so numbers commit in their own order and a reader of `epoch > mine` misses none.
CREATE TABLE catalogue (
    one    boolean PRIMARY KEY DEFAULT true CHECK (one),
    number bigint  NOT NULL
);
INSERT INTO catalogue (number) VALUES (1);

CREATE TABLE enterprise (
    number   integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name     text        NOT NULL UNIQUE,
    name_en  text        NOT NULL,
    industry text        NOT NULL,
    created  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE prefix (
    number        integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          text        COLLATE "C" NOT NULL UNIQUE,
    enterprise_no integer     REFERENCES enterprise,
    state         smallint    NOT NULL,
    epoch         bigint      NOT NULL,
    created       timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN prefix.state IS '0 停用 stopped, 1 启用 enabled, 2 待删除, 3 被驳回, 4 待审核, 5 审核中 (SNMS OpenAPI)';

CREATE TABLE account (
    number        integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    username      text        COLLATE "C" NOT NULL UNIQUE,
    kind          text        NOT NULL CHECK (kind IN ('person', 'program')),
    role          text        NOT NULL CHECK (role IN ('admin', 'enterprise')),
    enterprise_no integer     REFERENCES enterprise,
    password      text,
    secret        bytea,
    enabled       boolean     NOT NULL DEFAULT true,
    created       timestamptz NOT NULL DEFAULT now(),
    CHECK ((role = 'enterprise') = (enterprise_no IS NOT NULL)),
    CHECK ((kind = 'person') = (password IS NOT NULL) AND (kind = 'program') = (secret IS NOT NULL))
);
COMMENT ON COLUMN account.password IS 'argon2 over the sha256 hex of the password; people only';
COMMENT ON COLUMN account.secret IS 'sha256 of the secret, sealed with the key of the node; programs only';

CREATE TABLE token (
    digest     bytea       PRIMARY KEY,
    account_no integer     NOT NULL REFERENCES account ON DELETE CASCADE,
    issued     timestamptz NOT NULL,
    expires    timestamptz NOT NULL
);
CREATE INDEX token_account ON token (account_no, issued);

CREATE TABLE template (
    number      integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    prefix_no   integer     NOT NULL REFERENCES prefix,
    version     text        COLLATE "C" NOT NULL,
    zh          text        NOT NULL,
    en          text        NOT NULL,
    description text        NOT NULL,
    category    text[]      NOT NULL CHECK (cardinality(category) = 4),
    carrier     smallint    NOT NULL,
    items       jsonb       NOT NULL,
    suffix      jsonb       NOT NULL,
    used        boolean     NOT NULL DEFAULT false,
    epoch       bigint      NOT NULL,
    created     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (prefix_no, version)
);
CREATE INDEX template_epoch ON template (epoch);

-- What every identifier stands for now; a deleted one stays as a tombstone (live = false).
CREATE TABLE record (
    updated     bigint  NOT NULL,
    prefix_no   integer NOT NULL,
    version     integer NOT NULL,
    template_no integer NOT NULL,
    actor_no    integer NOT NULL,
    live        boolean NOT NULL,
    suffix      text    COLLATE "C" NOT NULL,
    body        bytea   NOT NULL,
    PRIMARY KEY (prefix_no, suffix)
);
ALTER TABLE record ALTER COLUMN body SET STORAGE MAIN;

-- Every earlier version, as it was.
CREATE TABLE history (
    updated     bigint  NOT NULL,
    prefix_no   integer NOT NULL,
    version     integer NOT NULL,
    template_no integer NOT NULL,
    actor_no    integer NOT NULL,
    live        boolean NOT NULL,
    suffix      text    COLLATE "C" NOT NULL,
    body        bytea   NOT NULL,
    PRIMARY KEY (prefix_no, suffix, version)
);
ALTER TABLE history ALTER COLUMN body SET STORAGE MAIN;

-- One narrow row a prefix: its lock orders the changes of the prefix. `prefix_epoch` repeats the prefix's epoch, so
-- that a write judged before the prefix was stopped cannot land behind the stop.
CREATE TABLE stream (
    prefix_no integer NOT NULL,
    sub       integer NOT NULL DEFAULT 0,
    number    bigint  NOT NULL,
    head      bytea   NOT NULL,
    prefix_epoch bigint NOT NULL,
    PRIMARY KEY (prefix_no, sub)
) WITH (fillfactor = 50);
COMMENT ON COLUMN stream.sub IS 'room for splitting a prefix that outgrows one shard; 0 until then';

-- One row a transaction: what changed, in arrays, and the head of the chain after it.
CREATE TABLE change (
    prefix_no integer     NOT NULL,
    sub       integer     NOT NULL DEFAULT 0,
    number    bigint      NOT NULL,
    made      timestamptz NOT NULL,
    head      bytea       NOT NULL,
    suffixes  text[]      COLLATE "C" NOT NULL,
    versions  integer[]   NOT NULL,
    kinds     smallint[]  NOT NULL,
    templates integer[]   NOT NULL,
    digests   bytea       NOT NULL,
    PRIMARY KEY (prefix_no, sub, number)
);
COMMENT ON COLUMN change.digests IS 'sha256 of each body, 32 octets an entry, in order';

-- Every batch leaves a record, kept 90 days.
CREATE TABLE batch (
    number            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_no        integer     NOT NULL REFERENCES account,
    made              timestamptz NOT NULL,
    operation         text        NOT NULL,
    rows              integer     NOT NULL,
    succeeded         integer     NOT NULL,
    existed_alike     integer     NOT NULL,
    existed_different integer     NOT NULL,
    refused           integer     NOT NULL,
    reasons           jsonb       NOT NULL
);
CREATE INDEX batch_made ON batch (made);
CREATE INDEX batch_account ON batch (account_no, number);

-- Writes a batch of judged changes of one prefix, in one statement of the caller.
--
-- p_bases holds the version each change was judged against (0 = there was none): a change whose premise no longer
-- holds is left out, the others are written. Returns the ordinals (from 1) of what was written.
-- Raises ID001 when the prefix changed since the judgement, ID002 when a template is gone: nothing is written then.
-- Keys come sorted and are taken in that order, the stream last: two callers never wait for each other in a circle.
CREATE FUNCTION commit_changes(
    p_prefix integer, p_epoch bigint, p_at bigint,
    p_suffixes text[], p_bases integer[], p_kinds smallint[], p_templates integer[], p_actors integer[],
    p_lives boolean[], p_bodies bytea[], p_entries bytea[]
) RETURNS integer[]
LANGUAGE plpgsql
-- The plan is cached while the table may still look empty: only ever come by the index. LIMIT 1 and ON CONFLICT see
-- to it that it is by the whole key; a join would be free to read all of the prefix for every change.
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
DECLARE
    v_written text[];
    v_won     integer[];
BEGIN
    UPDATE template SET used = true WHERE number = ANY (p_templates) AND NOT used;
    IF EXISTS (
        SELECT 1 FROM (SELECT DISTINCT n FROM unnest(p_templates) n WHERE n > 0) want
        WHERE NOT EXISTS (SELECT 1 FROM template t WHERE t.number = want.n AND t.used)
    ) THEN
        RAISE EXCEPTION 'template is gone' USING ERRCODE = 'ID002';
    END IF;

    WITH kept AS (
        INSERT INTO history (updated, prefix_no, version, template_no, actor_no, live, suffix, body)
        SELECT r.updated, r.prefix_no, r.version, r.template_no, r.actor_no, r.live, r.suffix, r.body
        FROM unnest(p_suffixes, p_bases) g(suffix, base)
        CROSS JOIN LATERAL (
            SELECT * FROM record WHERE prefix_no = p_prefix AND suffix = g.suffix AND version = g.base LIMIT 1
        ) r
        WHERE g.base > 0
        ON CONFLICT DO NOTHING
    ), written AS (
        INSERT INTO record (updated, prefix_no, version, template_no, actor_no, live, suffix, body)
        SELECT p_at, p_prefix, g.base + 1, g.template_no, g.actor_no, g.live, g.suffix, g.body
        FROM unnest(p_suffixes, p_bases, p_templates, p_actors, p_lives, p_bodies)
            g(suffix, base, template_no, actor_no, live, body)
        ON CONFLICT (prefix_no, suffix) DO UPDATE
        SET updated = excluded.updated, version = excluded.version, template_no = excluded.template_no,
            actor_no = excluded.actor_no, live = excluded.live, body = excluded.body
        WHERE record.version = excluded.version - 1
        RETURNING suffix
    )
    SELECT array_agg(suffix) INTO v_written FROM written;

    v_won := ARRAY(
        SELECT n::integer FROM unnest(p_suffixes) WITH ORDINALITY g(suffix, n)
        WHERE cardinality(v_written) = cardinality(p_suffixes) OR g.suffix = ANY (v_written)
    );
    IF cardinality(v_won) = 0 THEN
        RETURN v_won;
    END IF;
    PERFORM append_change(p_prefix, p_epoch, v_won,
        p_suffixes, p_bases, p_kinds, p_templates, p_bodies, p_entries);
    RETURN v_won;
END $$;

-- Appends one change row to the stream of a prefix: the entries whose ordinals are in p_won.
CREATE FUNCTION append_change(
    p_prefix integer, p_epoch bigint, p_won integer[],
    p_suffixes text[], p_bases integer[], p_kinds smallint[], p_templates integer[], p_bodies bytea[],
    p_entries bytea[]
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_number    bigint;
    v_head      bytea;
    v_entries   bytea;
    v_suffixes  text[];
    v_versions  integer[];
    v_kinds     smallint[];
    v_templates integer[];
    v_digests   bytea;
BEGIN
    SELECT string_agg(g.entry, ''::bytea ORDER BY n), array_agg(g.suffix ORDER BY n),
           array_agg(g.base + 1 ORDER BY n), array_agg(g.kind ORDER BY n),
           array_agg(g.template_no ORDER BY n), string_agg(sha256(g.body), ''::bytea ORDER BY n)
    INTO v_entries, v_suffixes, v_versions, v_kinds, v_templates, v_digests
    FROM unnest(p_suffixes, p_bases, p_kinds, p_templates, p_bodies, p_entries)
        WITH ORDINALITY g(suffix, base, kind, template_no, body, entry, n)
    WHERE cardinality(p_won) = cardinality(p_suffixes) OR g.n = ANY (p_won);

    UPDATE stream SET number = number + 1, head = sha256(head || sha256(v_entries))
    WHERE prefix_no = p_prefix AND sub = 0 AND prefix_epoch = p_epoch
    RETURNING number, head INTO v_number, v_head;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'prefix changed' USING ERRCODE = 'ID001';
    END IF;

    INSERT INTO change (prefix_no, number, made, head, suffixes, versions, kinds, templates, digests)
    VALUES (p_prefix, v_number, clock_timestamp(), v_head, v_suffixes, v_versions, v_kinds, v_templates, v_digests);
END $$;

-- Takes the next number of the catalogue; whoever holds it alone changes prefixes and templates until commit.
CREATE FUNCTION next_epoch() RETURNS bigint
LANGUAGE sql AS $$ UPDATE catalogue SET number = number + 1 RETURNING number $$;

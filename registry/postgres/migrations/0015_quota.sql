-- Quotas: how much an enterprise may have, and how much it has. What is counted is counted where it is written.

CREATE TABLE quota (
    enterprise_no integer PRIMARY KEY REFERENCES enterprise,
    identifiers   bigint  CHECK (identifiers >= 0),
    calls         bigint  CHECK (calls >= 0),
    room          bigint  CHECK (room >= 0)
);
COMMENT ON TABLE quota IS 'NULL: as many as it likes';
COMMENT ON COLUMN quota.identifiers IS 'registered and not deleted, under all its prefixes';
COMMENT ON COLUMN quota.calls IS 'signed-in requests a day of IDNODE_TIMEZONE';
COMMENT ON COLUMN quota.room IS 'octets of the values of all versions that are kept';

CREATE TABLE calls (
    day           date    NOT NULL,
    enterprise_no integer NOT NULL REFERENCES enterprise,
    made          bigint  NOT NULL,
    PRIMARY KEY (day, enterprise_no)
) WITH (fillfactor = 50);

-- Every commit writes the row of its stream in any case: there it counts. Both are exact.
ALTER TABLE stream ADD COLUMN live bigint NOT NULL DEFAULT 0, ADD COLUMN octets bigint NOT NULL DEFAULT 0,
    ADD COLUMN limited boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN stream.live IS 'identifiers that are registered and not deleted';
COMMENT ON COLUMN stream.octets IS 'of the bodies of all versions, in record and history';
COMMENT ON COLUMN stream.limited IS 'the enterprise of the prefix has a quota of identifiers or room';

UPDATE stream s SET live = c.live, octets = c.octets FROM (
    SELECT prefix_no, sum(live)::bigint AS live, sum(octets)::bigint AS octets FROM (
        SELECT prefix_no, count(body) AS live, coalesce(sum(octet_length(body)), 0) AS octets FROM record GROUP BY 1
        UNION ALL
        SELECT prefix_no, 0, coalesce(sum(octet_length(body)), 0) FROM history GROUP BY 1
    ) kept GROUP BY 1
) c WHERE s.prefix_no = c.prefix_no AND s.sub = 0;

-- What an enterprise may have of identifiers and room (NULL: as much as it likes), and what it has of them.
CREATE FUNCTION quota_of(p_enterprise integer) RETURNS bigint[]
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (
        SELECT ARRAY[q.identifiers, q.room, sum(s.live)::bigint, sum(s.octets)::bigint]
        FROM quota q JOIN prefix p ON p.enterprise_no = q.enterprise_no JOIN stream s ON s.prefix_no = p.number
        WHERE q.enterprise_no = p_enterprise GROUP BY q.enterprise_no
    );
END $$;

-- Raises ID003 when the enterprise of a prefix has more than its quota, of what the caller has added to: nothing is
-- written then. Callers of one enterprise go through here one after the other, each after the row of its stream; who
-- holds several streams waits for none of them longer than lock_timeout.
CREATE FUNCTION check_quota(p_prefix integer, p_live bigint, p_octets bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_enterprise integer;
    v_quota      bigint[];
BEGIN
    SELECT q.enterprise_no INTO v_enterprise
    FROM quota q JOIN prefix p ON p.enterprise_no = q.enterprise_no WHERE p.number = p_prefix FOR NO KEY UPDATE OF q;
    -- A statement of its own: it sees what was committed while we waited.
    v_quota := quota_of(v_enterprise);
    IF p_live > 0 AND v_quota[3] > v_quota[1] OR p_octets > 0 AND v_quota[4] > v_quota[2] THEN
        RAISE EXCEPTION 'quota' USING ERRCODE = 'ID003';
    END IF;
END $$;

DROP FUNCTION append_entries(integer, bigint, text[], integer[], smallint[], integer[], bytea, bytea);

-- Appends one change row to the stream of a prefix; p_entries and p_digests hold 32 octets an entry. p_live and p_octets
-- are what it adds to the identifiers of the prefix, and to the octets that are kept.
CREATE FUNCTION append_entries(
    p_prefix integer, p_epoch bigint, p_suffixes text[], p_bases integer[], p_kinds smallint[], p_templates integer[],
    p_entries bytea, p_digests bytea, p_live bigint, p_octets bigint
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_number  bigint;
    v_head    bytea;
    v_limited boolean;
BEGIN
    UPDATE stream SET number = number + 1, head = sha256(head || sha256(p_entries)),
        live = live + p_live, octets = octets + p_octets
    WHERE prefix_no = p_prefix AND sub = 0 AND prefix_epoch = p_epoch
    RETURNING number, head, limited INTO v_number, v_head, v_limited;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'prefix changed' USING ERRCODE = 'ID001';
    END IF;
    IF v_limited AND (p_live > 0 OR p_octets > 0) THEN
        PERFORM check_quota(p_prefix, p_live, p_octets);
    END IF;

    INSERT INTO change (prefix_no, number, made, head, suffixes, versions, kinds, templates, digests)
    VALUES (p_prefix, v_number, clock_timestamp(), v_head, p_suffixes,
        ARRAY(SELECT base + 1 FROM unnest(p_bases) WITH ORDINALITY b(base, n) ORDER BY n), p_kinds, p_templates,
        p_digests);
END $$;

CREATE OR REPLACE FUNCTION append_change(
    p_prefix integer, p_epoch bigint, p_won integer[],
    p_suffixes text[], p_bases integer[], p_kinds smallint[], p_templates integer[], p_bodies bytea[],
    p_entries bytea[]
) RETURNS void
LANGUAGE sql AS $$
    SELECT append_entries(p_prefix, p_epoch, array_agg(p_suffixes[n] ORDER BY n), array_agg(p_bases[n] ORDER BY n),
        array_agg(p_kinds[n] ORDER BY n), array_agg(p_templates[n] ORDER BY n),
        string_agg(p_entries[n], ''::bytea ORDER BY n), string_agg(sha256(p_bodies[n]), ''::bytea ORDER BY n), 0, 0)
    FROM unnest(p_won) n
$$;

-- As in 0005_writing.sql, and counting what was written. Raises ID003 (`check_quota`), too.
CREATE OR REPLACE FUNCTION commit_changes(
    p_prefix integer, p_epoch bigint, p_at bigint,
    p_suffixes text[], p_bases integer[], p_kinds smallint[], p_templates integer[], p_actors integer[],
    p_bodies bytea[], p_entries bytea, p_digests bytea
) RETURNS integer[]
LANGUAGE plpgsql
-- The plan is cached while the table may still look empty: only ever come by the index. LIMIT 1 and ON CONFLICT see
-- to it that it is by the whole key; a join would be free to read all of the prefix for every change.
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
DECLARE
    v_written text[];
    v_octets  bigint;
    v_live    bigint;
    v_won     integer[];
BEGIN
    IF EXISTS (
        SELECT 1 FROM (SELECT DISTINCT n FROM unnest(p_templates) n WHERE n > 0) want
        WHERE NOT EXISTS (SELECT 1 FROM template t WHERE t.number = want.n AND t.used)
    ) THEN
        UPDATE template SET used = true WHERE number = ANY (p_templates) AND NOT used;
        IF EXISTS (
            SELECT 1 FROM (SELECT DISTINCT n FROM unnest(p_templates) n WHERE n > 0) want
            WHERE NOT EXISTS (SELECT 1 FROM template t WHERE t.number = want.n AND t.used)
        ) THEN
            RAISE EXCEPTION 'template is gone' USING ERRCODE = 'ID002';
        END IF;
    END IF;

    IF 0 = ALL (p_bases) THEN
        WITH written AS (
            INSERT INTO record (updated, prefix_no, version, template_no, actor_no, body, suffix)
            SELECT p_at - 2147483648, p_prefix, 1, g.template_no, g.actor_no, g.body, g.suffix
            FROM unnest(p_suffixes, p_templates, p_actors, p_bodies) g(suffix, template_no, actor_no, body)
            ORDER BY hashtext(g.suffix), g.suffix
            ON CONFLICT (prefix_no, suffix) DO NOTHING
            RETURNING suffix, octet_length(body) AS octets
        )
        SELECT array_agg(suffix), count(*), sum(octets) INTO v_written, v_live, v_octets FROM written;
    ELSE
        WITH kept AS (
            INSERT INTO history (updated, prefix_no, version, template_no, actor_no, body, suffix)
            SELECT r.updated, r.prefix_no, r.version, r.template_no, r.actor_no, r.body, r.suffix
            FROM unnest(p_suffixes, p_bases) g(suffix, base)
            CROSS JOIN LATERAL (
                SELECT * FROM record WHERE prefix_no = p_prefix AND suffix = g.suffix AND version = g.base LIMIT 1
            ) r
            WHERE g.base > 0
            ORDER BY hashtext(g.suffix), g.suffix
            ON CONFLICT DO NOTHING
        ), written AS (
            INSERT INTO record (updated, prefix_no, version, template_no, actor_no, body, suffix)
            SELECT p_at - 2147483648, p_prefix, g.base + 1, g.template_no, g.actor_no, g.body, g.suffix
            FROM unnest(p_suffixes, p_bases, p_templates, p_actors, p_bodies)
                g(suffix, base, template_no, actor_no, body)
            ORDER BY hashtext(g.suffix), g.suffix
            ON CONFLICT (prefix_no, suffix) DO UPDATE
            SET updated = excluded.updated, version = excluded.version, template_no = excluded.template_no,
                actor_no = excluded.actor_no, body = excluded.body
            WHERE record.version = excluded.version - 1
            RETURNING suffix, octet_length(body) AS octets
        )
        SELECT array_agg(suffix), sum(octets) INTO v_written, v_octets FROM written;
        -- 1 created, 4 revived, 3 deleted (proto/chain.py).
        SELECT count(*) FILTER (WHERE g.kind IN (1, 4)) - count(*) FILTER (WHERE g.kind = 3) INTO v_live
        FROM unnest(p_suffixes, p_kinds) g(suffix, kind)
        WHERE cardinality(v_written) = cardinality(p_suffixes) OR g.suffix = ANY (v_written);
    END IF;

    IF cardinality(v_written) = cardinality(p_suffixes) THEN
        PERFORM append_entries(p_prefix, p_epoch, p_suffixes, p_bases, p_kinds, p_templates, p_entries, p_digests,
            v_live, coalesce(v_octets, 0));
        RETURN NULL;
    END IF;
    v_won := ARRAY(
        SELECT n::integer FROM unnest(p_suffixes) WITH ORDINALITY g(suffix, n) WHERE g.suffix = ANY (v_written)
        ORDER BY n
    );
    IF v_won <> '{}' THEN
        PERFORM append_entries(p_prefix, p_epoch, array_agg(p_suffixes[n] ORDER BY n), array_agg(p_bases[n] ORDER BY n),
            array_agg(p_kinds[n] ORDER BY n), array_agg(p_templates[n] ORDER BY n),
            string_agg(substr(p_entries, 32 * n - 31, 32), ''::bytea ORDER BY n),
            string_agg(substr(p_digests, 32 * n - 31, 32), ''::bytea ORDER BY n),
            v_live, coalesce(v_octets, 0))
        FROM unnest(v_won) n;
    END IF;
    RETURN v_won;
END $$;

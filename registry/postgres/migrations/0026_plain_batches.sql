-- Batches: what nearly always is all new is inserted as such.

-- Inserts records that were all new when they were judged; false, and nothing is, when one is not new any more.
--
-- To be able to pass over one, ON CONFLICT looks each key up first and writes a second WAL record a row: 6.5 µs a row
-- where this takes 3.8, and COPY 4.4. Whoever else inserts one of the keys is waited for all the same.
CREATE FUNCTION insert_new(
    p_prefix integer, p_at bigint, p_suffixes text[], p_templates integer[], p_actors integer[], p_bodies bytea[]
) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO record (updated, prefix_no, version, template_no, actor_no, body, suffix)
    SELECT p_at - 2147483648, p_prefix, 1, g.template_no, g.actor_no, g.body, g.suffix
    FROM unnest(p_suffixes, p_templates, p_actors, p_bodies) g(suffix, template_no, actor_no, body)
    ORDER BY hashtext(g.suffix), g.suffix;
    RETURN true;
EXCEPTION WHEN unique_violation THEN
    RETURN false;
END $$;

-- As in 0015_quota.sql, and trying the plain way with many. That is a subtransaction, which few rows would not repay;
-- and a shared transaction has one for each prefix already, of the 64 PostgreSQL keeps at hand.
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
    v_plain   boolean := false;
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

    IF 0 = ALL (p_bases) AND cardinality(p_suffixes) >= 100 THEN
        v_plain := insert_new(p_prefix, p_at, p_suffixes, p_templates, p_actors, p_bodies);
    END IF;

    IF v_plain THEN
        v_written := p_suffixes;
        v_live := cardinality(p_suffixes);
        SELECT sum(octet_length(body)) INTO v_octets FROM unnest(p_bodies) body;
    ELSIF 0 = ALL (p_bases) THEN
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

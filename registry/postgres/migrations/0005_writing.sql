-- Writing: what nearly every batch is (all new, none lost) costs nothing that only others need.

-- Writes a batch of judged changes of one prefix, in one statement of the caller.
--
-- p_bases holds the version each change was judged against (0 = there was none): a change whose premise no longer
-- holds is left out, the others are written. A NULL among p_bodies is a deletion; p_entries and p_digests hold 32 octets
-- a change. Returns the ordinals (from 1) of what was written, NULL for all.
-- Raises ID001 when the prefix changed since the judgement, ID002 when a template is gone: nothing is written then.
--
-- Keys are taken in one order, the stream last: two callers never wait for each other in a circle. The order is that of
-- a hash. Serials that come ascending under several prefixes would split each page of the index in two halves of which
-- the first stays half empty; of a batch that comes in another order it is filled up (55 octets a record, not 65).
CREATE FUNCTION commit_changes(
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
            RETURNING suffix
        )
        SELECT array_agg(suffix) INTO v_written FROM written;
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
            RETURNING suffix
        )
        SELECT array_agg(suffix) INTO v_written FROM written;
    END IF;

    IF cardinality(v_written) = cardinality(p_suffixes) THEN
        PERFORM append_entries(p_prefix, p_epoch, p_suffixes, p_bases, p_kinds, p_templates, p_entries, p_digests);
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
            string_agg(substr(p_digests, 32 * n - 31, 32), ''::bytea ORDER BY n))
        FROM unnest(v_won) n;
    END IF;
    RETURN v_won;
END $$;

-- Appends one change row to the stream of a prefix; p_entries and p_digests hold 32 octets an entry.
CREATE FUNCTION append_entries(
    p_prefix integer, p_epoch bigint, p_suffixes text[], p_bases integer[], p_kinds smallint[], p_templates integer[],
    p_entries bytea, p_digests bytea
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_number bigint;
    v_head   bytea;
BEGIN
    UPDATE stream SET number = number + 1, head = sha256(head || sha256(p_entries))
    WHERE prefix_no = p_prefix AND sub = 0 AND prefix_epoch = p_epoch
    RETURNING number, head INTO v_number, v_head;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'prefix changed' USING ERRCODE = 'ID001';
    END IF;

    INSERT INTO change (prefix_no, number, made, head, suffixes, versions, kinds, templates, digests)
    VALUES (p_prefix, v_number, clock_timestamp(), v_head, p_suffixes,
        ARRAY(SELECT base + 1 FROM unnest(p_bases) WITH ORDINALITY b(base, n) ORDER BY n), p_kinds, p_templates,
        p_digests);
END $$;

-- For what happens to a prefix itself: entries as arrays, of which those with ordinals in p_won are appended.
CREATE OR REPLACE FUNCTION append_change(
    p_prefix integer, p_epoch bigint, p_won integer[],
    p_suffixes text[], p_bases integer[], p_kinds smallint[], p_templates integer[], p_bodies bytea[],
    p_entries bytea[]
) RETURNS void
LANGUAGE sql AS $$
    SELECT append_entries(p_prefix, p_epoch, array_agg(p_suffixes[n] ORDER BY n), array_agg(p_bases[n] ORDER BY n),
        array_agg(p_kinds[n] ORDER BY n), array_agg(p_templates[n] ORDER BY n),
        string_agg(p_entries[n], ''::bytea ORDER BY n), string_agg(sha256(p_bodies[n]), ''::bytea ORDER BY n))
    FROM unnest(p_won) n
$$;

DROP FUNCTION commit_changes(
    integer, bigint, bigint, text[], integer[], smallint[], integer[], integer[], boolean[], bytea[], bytea[]
);

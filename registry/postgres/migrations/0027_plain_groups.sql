-- Groups: few new records of several prefixes, which is what nearly every shared transaction writes, go in at once.

-- The way of 0007_together.sql; how long it waits for what somebody else holds, whoever calls it says.
ALTER FUNCTION commit_together(integer[], bigint[], integer[], bigint, text[], integer[], smallint[], integer[],
    integer[], bytea[], bytea, bytea) RENAME TO commit_each_prefix;
ALTER FUNCTION commit_each_prefix(integer[], bigint[], integer[], bigint, text[], integer[], smallint[], integer[],
    integer[], bytea[], bytea, bytea) RESET lock_timeout;

-- As it said there, and trying the plain way first, where all is new: one INSERT and one subtransaction, where
-- each prefix had both (11 µs a row of 64 under four prefixes, not 17). If anything speaks against it, whatever it is,
-- nothing of it is left, and each prefix goes its own way.
--
-- The plain way takes the keys of all prefixes before the first stream. It may so meet one that goes prefix by prefix in
-- a circle, over an identifier both create: lock_timeout ends that.
CREATE FUNCTION commit_together(
    p_prefixes integer[], p_epochs bigint[], p_counts integer[], p_at bigint,
    p_suffixes text[], p_bases integer[], p_kinds smallint[], p_templates integer[], p_actors integer[],
    p_bodies bytea[], p_entries bytea, p_digests bytea
) RETURNS integer[]
LANGUAGE plpgsql
SET lock_timeout = '20ms'
AS $$
DECLARE
    v_of    integer[] := '{}';
    v_first integer := 1;
    v_last  integer;
BEGIN
    IF 0 = ALL (p_bases) THEN
        BEGIN
            IF EXISTS (
                SELECT 1 FROM (SELECT DISTINCT n FROM unnest(p_templates) n WHERE n > 0) want
                WHERE NOT EXISTS (SELECT 1 FROM template t WHERE t.number = want.n AND t.used)
            ) THEN
                RAISE EXCEPTION 'template is new or gone' USING ERRCODE = 'ID002';
            END IF;
            FOR n IN 1 .. cardinality(p_prefixes) LOOP
                v_of := v_of || array_fill(p_prefixes[n], ARRAY[p_counts[n]]);
            END LOOP;
            INSERT INTO record (updated, prefix_no, version, template_no, actor_no, body, suffix)
            SELECT p_at - 2147483648, g.prefix_no, 1, g.template_no, g.actor_no, g.body, g.suffix
            FROM unnest(v_of, p_suffixes, p_templates, p_actors, p_bodies)
                g(prefix_no, suffix, template_no, actor_no, body)
            ORDER BY g.prefix_no, hashtext(g.suffix), g.suffix;
            FOR n IN 1 .. cardinality(p_prefixes) LOOP
                v_last := v_first + p_counts[n] - 1;
                PERFORM append_entries(p_prefixes[n], p_epochs[n], p_suffixes[v_first:v_last], p_bases[v_first:v_last],
                    p_kinds[v_first:v_last], p_templates[v_first:v_last],
                    substr(p_entries, 32 * v_first - 31, 32 * p_counts[n]),
                    substr(p_digests, 32 * v_first - 31, 32 * p_counts[n]), p_counts[n],
                    (SELECT coalesce(sum(octet_length(body)), 0) FROM unnest(p_bodies[v_first:v_last]) body));
                v_first := v_last + 1;
            END LOOP;
            RETURN NULL;
        EXCEPTION
            WHEN lock_not_available THEN
                PERFORM set_config('lock_timeout', '1ms', true);
            WHEN OTHERS THEN
                NULL;
        END;
    END IF;

    RETURN commit_each_prefix(p_prefixes, p_epochs, p_counts, p_at, p_suffixes, p_bases, p_kinds, p_templates, p_actors,
        p_bodies, p_entries, p_digests);
END $$;

-- Writing few changes of many prefixes in one transaction: what it costs is shared, what befalls a prefix is not.

-- Writes judged changes of several prefixes, p_counts of each, as commit_changes does for each of them. One that cannot
-- be written at once is left out, whatever the reason: who has it written by itself is told why. Returns the ordinals
-- (from 1, over all) of what was written, NULL for all.
--
-- Prefixes come ascending, so that two callers never wait for each other in a circle. What somebody else holds is waited
-- for once, a moment: all the others wait, too.
CREATE FUNCTION commit_together(
    p_prefixes integer[], p_epochs bigint[], p_counts integer[], p_at bigint,
    p_suffixes text[], p_bases integer[], p_kinds smallint[], p_templates integer[], p_actors integer[],
    p_bodies bytea[], p_entries bytea, p_digests bytea
) RETURNS integer[]
LANGUAGE plpgsql
SET lock_timeout = '20ms'
AS $$
DECLARE
    v_first   integer := 1;
    v_last    integer;
    v_won     integer[];
    v_written integer[] := '{}';
BEGIN
    FOR n IN 1 .. cardinality(p_prefixes) LOOP
        v_last := v_first + p_counts[n] - 1;
        BEGIN
            v_won := commit_changes(p_prefixes[n], p_epochs[n], p_at,
                p_suffixes[v_first:v_last], p_bases[v_first:v_last], p_kinds[v_first:v_last],
                p_templates[v_first:v_last], p_actors[v_first:v_last], p_bodies[v_first:v_last],
                substr(p_entries, 32 * v_first - 31, 32 * p_counts[n]),
                substr(p_digests, 32 * v_first - 31, 32 * p_counts[n]));
            IF v_won IS NULL THEN
                v_written := v_written || ARRAY(SELECT generate_series(v_first, v_last));
            ELSE
                v_written := v_written || ARRAY(SELECT won + v_first - 1 FROM unnest(v_won) won);
            END IF;
        EXCEPTION -- Rolled back to where this prefix began, and not among what was written.
            WHEN lock_not_available THEN
                PERFORM set_config('lock_timeout', '1ms', true);
            WHEN OTHERS THEN
                NULL;
        END;
        v_first := v_last + 1;
    END LOOP;
    RETURN nullif(v_written, ARRAY(SELECT generate_series(1, cardinality(p_suffixes))));
END $$;

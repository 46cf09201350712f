-- Being forgotten: values that were blanked, in which versions, when, by whom and why. The values are nowhere any more.

-- The digest in the change of such a version is that of the body as it was written: the chain holds, and who computes
-- it anew from the body finds here why it is another one.
CREATE TABLE blanked (
    made      timestamptz NOT NULL DEFAULT now(),
    prefix_no integer     NOT NULL,
    version   integer     NOT NULL,
    index     integer     NOT NULL,
    actor_no  integer     NOT NULL,
    suffix    text        COLLATE "C" NOT NULL,
    type      text        NOT NULL,
    reason    text        NOT NULL,
    PRIMARY KEY (prefix_no, suffix, version, index)
);

-- Writes a version of a record without some of its values (p_body), and keeps the one before it without them, too
-- (p_before): they never come into history. Returns whether the record was still at version p_base; if not, nothing is
-- written. Raises ID001 as commit_changes does, and takes keys in its order. No quota is asked for: this must succeed.
CREATE FUNCTION blank_record(
    p_prefix integer, p_epoch bigint, p_at bigint, p_suffix text, p_base integer, p_template integer, p_actor integer,
    p_before bytea, p_body bytea, p_entry bytea, p_digest bytea
) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    v_octets bigint;
BEGIN
    INSERT INTO history (updated, prefix_no, version, template_no, actor_no, body, suffix)
    SELECT updated, prefix_no, version, template_no, actor_no, p_before, suffix
    FROM record WHERE prefix_no = p_prefix AND suffix = p_suffix AND version = p_base
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    SELECT octet_length(p_body) + octet_length(p_before) - octet_length(body) INTO v_octets
    FROM record WHERE prefix_no = p_prefix AND suffix = p_suffix AND version = p_base FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'record changed' USING ERRCODE = '40001';
    END IF;
    UPDATE record SET updated = p_at - 2147483648, version = p_base + 1, template_no = p_template, actor_no = p_actor,
        body = p_body
    WHERE prefix_no = p_prefix AND suffix = p_suffix;
    PERFORM append_entries(p_prefix, p_epoch, ARRAY[p_suffix], ARRAY[p_base], ARRAY[2::smallint], ARRAY[p_template],
        p_entry, p_digest, 0, 0);
    UPDATE stream SET octets = octets + v_octets WHERE prefix_no = p_prefix AND sub = 0;
    RETURN true;
END $$;

-- Puts other bodies in the place of those of earlier versions, where they are still p_bodies; which they were.
CREATE FUNCTION blank_history(
    p_prefix integer, p_suffix text, p_versions integer[], p_bodies bytea[], p_blanked bytea[]
) RETURNS integer[]
LANGUAGE plpgsql AS $$
DECLARE
    v_octets   bigint;
    v_versions integer[];
BEGIN
    WITH done AS (
        UPDATE history h SET body = g.blanked
        FROM unnest(p_versions, p_bodies, p_blanked) g(version, body, blanked)
        WHERE h.prefix_no = p_prefix AND h.suffix = p_suffix AND h.version = g.version AND h.body = g.body
        RETURNING h.version, octet_length(g.blanked) - octet_length(g.body) AS octets
    )
    SELECT array_agg(version ORDER BY version), sum(octets) INTO v_versions, v_octets FROM done;
    UPDATE stream SET octets = octets + coalesce(v_octets, 0) WHERE prefix_no = p_prefix AND sub = 0;
    RETURN coalesce(v_versions, '{}');
END $$;

-- Room: records and history without padding, and old change rows bound into volumes.

-- The widest columns of fixed size first, then the body, which begins at a multiple of four, then the suffix, which may
-- begin anywhere. Against the first form a record is 9 octets shorter, and padding less.
CREATE TABLE new_record (
    updated     integer NOT NULL,
    prefix_no   integer NOT NULL,
    version     integer NOT NULL,
    template_no integer NOT NULL,
    actor_no    integer NOT NULL,
    body        bytea,
    suffix      text    COLLATE "C" NOT NULL
);
ALTER TABLE new_record ALTER COLUMN body SET STORAGE MAIN;
INSERT INTO new_record
SELECT updated - 2147483648, prefix_no, version, template_no, actor_no, CASE WHEN live THEN body END, suffix FROM record;
DROP TABLE record;
ALTER TABLE new_record RENAME TO record;
ALTER TABLE record ADD CONSTRAINT record_pkey PRIMARY KEY (prefix_no, suffix);
COMMENT ON TABLE record IS 'what every identifier stands for now; a deleted one stays as a tombstone';
COMMENT ON COLUMN record.updated IS 'seconds since 1970 UTC, less 2^31: until 2106 in four octets';
COMMENT ON COLUMN record.body IS 'registry/record.py; NULL: deleted';

CREATE TABLE new_history (LIKE record INCLUDING STORAGE INCLUDING COMMENTS);
INSERT INTO new_history
SELECT updated - 2147483648, prefix_no, version, template_no, actor_no, CASE WHEN live THEN body END, suffix
FROM history;
DROP TABLE history;
ALTER TABLE new_history RENAME TO history;
ALTER TABLE history ADD CONSTRAINT history_pkey PRIMARY KEY (prefix_no, suffix, version);
COMMENT ON TABLE history IS 'every earlier version, as it was';

-- commit_changes() of step 1 writes the old columns: 0005_writing.sql has another in its place.

-- Change rows first … last of a stream, bound together when they are old: a single write costs 300 octets in `change`
-- and under 100 here. What is alike in neighbours lies side by side, and PostgreSQL compresses it.
CREATE TABLE change_volume (
    prefix_no integer       NOT NULL,
    sub       integer       NOT NULL,
    first     bigint        NOT NULL,
    last      bigint        NOT NULL,
    made      timestamptz[] NOT NULL,
    heads     bytea         NOT NULL,
    sizes     integer[]     NOT NULL,
    suffixes  text[]        COLLATE "C" NOT NULL,
    versions  integer[]     NOT NULL,
    kinds     smallint[]    NOT NULL,
    templates integer[]     NOT NULL,
    digests   bytea         NOT NULL,
    PRIMARY KEY (prefix_no, sub, last)
);
-- Digests cannot be compressed: not tried.
ALTER TABLE change_volume ALTER COLUMN heads SET STORAGE EXTERNAL;
ALTER TABLE change_volume ALTER COLUMN digests SET STORAGE EXTERNAL;
COMMENT ON COLUMN change_volume.sizes IS 'entries of each change, in order: how the other columns are divided';

-- Binds the oldest change rows of a stream, made before p_before and not after number p_last, into one volume.
--
-- Takes p_rows rows, or fewer that have p_entries entries together; returns false when there are not that many.
-- `change` holds what follows the last volume without a gap: readers look there first, then into the volumes.
CREATE FUNCTION bind_changes(p_prefix integer, p_last bigint, p_before timestamptz, p_rows integer, p_entries integer)
RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    v_first bigint;
    v_last  bigint;
BEGIN
    -- One at a time: who waited here finds the rows gone.
    PERFORM pg_advisory_xact_lock(hashtextextended('bind_changes', p_prefix));

    SELECT min(number), min(number) FILTER (WHERE whole) INTO v_first, v_last FROM (
        SELECT number, bool_and(made < p_before) OVER below
            AND (row_number() OVER below = p_rows OR sum(cardinality(kinds)) OVER below >= p_entries) AS whole
        FROM (
            SELECT number, made, kinds FROM change
            WHERE prefix_no = p_prefix AND sub = 0 AND number <= p_last ORDER BY number LIMIT p_rows
        ) oldest
        WINDOW below AS (ORDER BY number)
    ) counted;
    IF v_last IS NULL THEN
        RETURN false;
    END IF;

    WITH gone AS (
        DELETE FROM change WHERE prefix_no = p_prefix AND sub = 0 AND number BETWEEN v_first AND v_last RETURNING *
    ), bound AS (
        SELECT array_agg(made ORDER BY number) AS made, string_agg(head, ''::bytea ORDER BY number) AS heads,
            array_agg(cardinality(kinds) ORDER BY number) AS sizes,
            string_agg(digests, ''::bytea ORDER BY number) AS digests
        FROM gone
    ), entries AS (
        SELECT array_agg(e.suffix ORDER BY number, n) AS suffixes, array_agg(e.version ORDER BY number, n) AS versions,
            array_agg(e.kind ORDER BY number, n) AS kinds, array_agg(e.template_no ORDER BY number, n) AS templates
        FROM gone CROSS JOIN LATERAL unnest(suffixes, versions, kinds, templates)
            WITH ORDINALITY e(suffix, version, kind, template_no, n)
    )
    INSERT INTO change_volume
    SELECT p_prefix, 0, v_first, v_last, b.made, b.heads, b.sizes, e.suffixes, e.versions, e.kinds, e.templates,
        b.digests
    FROM bound b, entries e;
    RETURN true;
END $$;

-- The change rows a volume was bound of, as they were.
CREATE FUNCTION unbound(p_volume change_volume) RETURNS SETOF change
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    v_at  integer := 0;
    v_row change;
BEGIN
    v_row.prefix_no := p_volume.prefix_no;
    v_row.sub := p_volume.sub;
    FOR n IN 1 .. cardinality(p_volume.sizes) LOOP
        v_row.number := p_volume.first + n - 1;
        v_row.made := p_volume.made[n];
        v_row.head := substr(p_volume.heads, 32 * n - 31, 32);
        v_row.suffixes := p_volume.suffixes[v_at + 1 : v_at + p_volume.sizes[n]];
        v_row.versions := p_volume.versions[v_at + 1 : v_at + p_volume.sizes[n]];
        v_row.kinds := p_volume.kinds[v_at + 1 : v_at + p_volume.sizes[n]];
        v_row.templates := p_volume.templates[v_at + 1 : v_at + p_volume.sizes[n]];
        v_row.digests := substr(p_volume.digests, 32 * v_at + 1, 32 * p_volume.sizes[n]);
        v_at := v_at + p_volume.sizes[n];
        RETURN NEXT v_row;
    END LOOP;
END $$;

-- The first p_most change rows of a stream after a number, whether bound or not, ascending.
CREATE FUNCTION changes_after(p_prefix integer, p_after bigint, p_most integer) RETURNS SETOF change
LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_volume change_volume;
    v_row    change;
    v_left   integer := p_most;
BEGIN
    FOR v_volume IN
        SELECT * FROM change_volume WHERE prefix_no = p_prefix AND sub = 0 AND last > p_after ORDER BY last
    LOOP
        FOR v_row IN SELECT * FROM unbound(v_volume) u WHERE u.number > p_after LOOP
            IF v_left = 0 THEN
                RETURN;
            END IF;
            v_left := v_left - 1;
            RETURN NEXT v_row;
        END LOOP;
    END LOOP;
    RETURN QUERY
    SELECT * FROM change WHERE prefix_no = p_prefix AND sub = 0 AND number > p_after ORDER BY number LIMIT v_left;
END $$;

-- The head of a stream after the change of that number, whether bound or not; NULL: there is no such change.
CREATE FUNCTION head_at(p_prefix integer, p_number bigint) RETURNS bytea
LANGUAGE sql STABLE AS $$
    SELECT coalesce(
        (SELECT head FROM change WHERE prefix_no = p_prefix AND sub = 0 AND number = p_number LIMIT 1),
        (SELECT substr(heads, (32 * (p_number - first))::integer + 1, 32) FROM (
            SELECT first, heads FROM change_volume
            WHERE prefix_no = p_prefix AND sub = 0 AND last >= p_number ORDER BY last LIMIT 1
        ) v WHERE first <= p_number)
    )
$$;

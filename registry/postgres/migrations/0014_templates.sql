-- Templates grown up: their life, their versions and copies.

ALTER TABLE template
    ADD COLUMN state    smallint    NOT NULL DEFAULT 1 CHECK (state BETWEEN 0 AND 2),
    ADD COLUMN revision integer     NOT NULL DEFAULT 1,
    ADD COLUMN lineage  integer     NOT NULL DEFAULT 0,
    ADD COLUMN origin   text        NOT NULL DEFAULT '',
    ADD COLUMN updated  timestamptz NOT NULL DEFAULT now();
COMMENT ON COLUMN template.state IS '0 draft, 1 published, 2 withdrawn';
COMMENT ON COLUMN template.lineage IS 'number of the first template of its line; 0: it is that one itself';
COMMENT ON COLUMN template.origin IS 'identifier of the template it was copied from';
CREATE UNIQUE INDEX template_lineage ON template (lineage, revision) WHERE lineage > 0;

-- What records hold beyond themselves. Kept by whoever commits the record, in the same statement, and only what changes.

-- Which identifiers point to which: what a record says forwards, to be followed backwards.
CREATE TABLE reference (
    target    text    COLLATE "C" NOT NULL,
    prefix_no integer NOT NULL,
    suffix    text    COLLATE "C" NOT NULL,
    item      integer NOT NULL,
    PRIMARY KEY (target, prefix_no, suffix, item)
);
COMMENT ON COLUMN reference.target IS 'key of the identifier pointed to, whether it lives here or not';
COMMENT ON COLUMN reference.item IS 'index of the attribute that points to it';

-- Who holds a value of an attribute that must be unique among the live identifiers of a template.
CREATE TABLE claim (
    prefix_no   integer NOT NULL,
    template_no integer NOT NULL,
    item        integer NOT NULL,
    digest      bytea   NOT NULL,
    suffix      text    COLLATE "C" NOT NULL,
    PRIMARY KEY (prefix_no, template_no, item, digest)
);
COMMENT ON COLUMN claim.digest IS 'sha256 of the value';

-- Takes in what changes gain and lose: of each that was written (p_won are their ordinals, NULL for all). A template of
-- 0: a reference, of which p_targets says the key; else a claim, of which it says the digest in hex. Returns p_won.
-- Raises ID004 when somebody else holds a value: nothing is written then.
--
-- Whoever is here holds the rows of the records meant, so nobody else changes what they hold.
CREATE FUNCTION keep_held(
    p_won integer[], p_of integer[], p_new boolean[], p_prefixes integer[], p_suffixes text[], p_templates integer[],
    p_items integer[], p_targets text[]
) RETURNS integer[]
LANGUAGE plpgsql
-- As in commit_changes: plans are made while tables may still look empty.
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
BEGIN
    DELETE FROM reference r
    USING unnest(p_of, p_new, p_prefixes, p_suffixes, p_templates, p_items, p_targets)
        l(of, new, prefix_no, suffix, template_no, item, target)
    WHERE NOT l.new AND l.template_no = 0 AND (p_won IS NULL OR l.of = ANY (p_won))
        AND (r.target, r.prefix_no, r.suffix, r.item) = (l.target, l.prefix_no, l.suffix, l.item);

    INSERT INTO reference (target, prefix_no, suffix, item)
    SELECT l.target, l.prefix_no, l.suffix, l.item
    FROM unnest(p_of, p_new, p_prefixes, p_suffixes, p_templates, p_items, p_targets)
        l(of, new, prefix_no, suffix, template_no, item, target)
    WHERE l.new AND l.template_no = 0 AND (p_won IS NULL OR l.of = ANY (p_won))
    ORDER BY l.target, l.prefix_no, l.suffix, l.item
    ON CONFLICT DO NOTHING;

    IF 0 = ALL (p_templates) THEN
        RETURN p_won;
    END IF;

    DELETE FROM claim c
    USING unnest(p_of, p_new, p_prefixes, p_suffixes, p_templates, p_items, p_targets)
        l(of, new, prefix_no, suffix, template_no, item, target)
    WHERE NOT l.new AND l.template_no > 0 AND (p_won IS NULL OR l.of = ANY (p_won)) AND c.suffix = l.suffix
        AND (c.prefix_no, c.template_no, c.item, c.digest)
            = (l.prefix_no, l.template_no, l.item, decode(l.target, 'hex'));

    -- In one order, so that two who want the same values do not wait for each other in a circle.
    INSERT INTO claim (prefix_no, template_no, item, digest, suffix)
    SELECT l.prefix_no, l.template_no, l.item, decode(l.target, 'hex'), l.suffix
    FROM unnest(p_of, p_new, p_prefixes, p_suffixes, p_templates, p_items, p_targets)
        l(of, new, prefix_no, suffix, template_no, item, target)
    WHERE l.new AND l.template_no > 0 AND (p_won IS NULL OR l.of = ANY (p_won))
    ORDER BY l.prefix_no, l.template_no, l.item, l.target
    ON CONFLICT DO NOTHING;

    IF EXISTS (
        SELECT 1 FROM unnest(p_of, p_new, p_prefixes, p_suffixes, p_templates, p_items, p_targets)
            l(of, new, prefix_no, suffix, template_no, item, target)
        CROSS JOIN LATERAL (
            SELECT suffix FROM claim WHERE prefix_no = l.prefix_no AND template_no = l.template_no AND item = l.item
                AND digest = decode(l.target, 'hex') LIMIT 1
        ) c
        WHERE l.new AND l.template_no > 0 AND (p_won IS NULL OR l.of = ANY (p_won)) AND c.suffix <> l.suffix
    ) THEN
        RAISE EXCEPTION 'value is taken' USING ERRCODE = 'ID004';
    END IF;
    RETURN p_won;
END $$;

-- How far the top-level node knows each template: it is told what has a greater epoch than this.
ALTER TABLE template ADD COLUMN told bigint NOT NULL DEFAULT 0;
CREATE INDEX template_untold ON template (epoch) WHERE told < epoch;

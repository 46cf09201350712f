-- A prefix may be registered here and live elsewhere: at its enterprise's own node, or at the node it has moved to.
-- Whoever is asked for it here answers as for any other prefix that is not the node's.
ALTER TABLE prefix ADD COLUMN elsewhere boolean NOT NULL DEFAULT false;

-- What the node that a prefix came from has signed: that it lets it go, from where its stream stood then.
CREATE TABLE release (
    prefix_no integer PRIMARY KEY REFERENCES prefix,
    node      text    COLLATE "C" NOT NULL,
    number    bigint  NOT NULL,
    head      bytea   NOT NULL CHECK (octet_length(head) = 32),
    made      bigint  NOT NULL,
    signature bytea   NOT NULL
);
COMMENT ON COLUMN release.made IS 'milliseconds since 1970 UTC';
COMMENT ON COLUMN filing.state IS '0 to be filed, 1 in review, 2 approved, 3 refused, 4 moved away (registry/filing.py)';

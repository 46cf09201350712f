-- A prefix on its way to another node: to whom, for which of its enterprises, and what lets it go. It is the former
-- node's until the audit, which `due` and `nonce` are of, has passed.
ALTER TABLE toplevel.prefix
    ADD COLUMN heir_no integer REFERENCES toplevel.node,
    ADD COLUMN heir_enterprise_no integer REFERENCES toplevel.enterprise,
    ADD COLUMN release bytea,
    ADD COLUMN released bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN toplevel.prefix.release IS 'message Release of uplink.proto';
COMMENT ON COLUMN toplevel.prefix.released IS 'made of the last release that took effect: none so old does again';

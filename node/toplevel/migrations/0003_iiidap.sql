-- Where a node answers IIIDAP over HTTPS; empty: at the HTTP port of its route.
ALTER TABLE toplevel.heartbeat
    ADD COLUMN iiidap       text   NOT NULL DEFAULT '',
    ADD COLUMN iiidap_since bigint NOT NULL DEFAULT 0;

-- Templates and their versions, as nodes last told of them.
CREATE TABLE toplevel.template (
    prefix_no integer  NOT NULL REFERENCES toplevel.prefix,
    version   text     COLLATE "C" NOT NULL,
    epoch     bigint   NOT NULL,
    state     smallint NOT NULL,
    revision  integer  NOT NULL,
    name_zh   text     NOT NULL,
    name_en   text     NOT NULL,
    items     integer  NOT NULL,
    told      bytea    NOT NULL,
    received  bigint   NOT NULL,
    PRIMARY KEY (prefix_no, version)
);
COMMENT ON COLUMN toplevel.template.told IS 'message Template of uplink.proto, as it came';

-- Who may see and edit what else: identity groups, and what enterprises grant to identities and groups.

CREATE TABLE identity_group (
    number        integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    prefix_no     integer     NOT NULL REFERENCES prefix,
    enterprise_no integer     NOT NULL REFERENCES enterprise,
    name          text        COLLATE "C" NOT NULL,
    created       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (prefix_no, name)
);
CREATE INDEX identity_group_enterprise ON identity_group (enterprise_no);
COMMENT ON TABLE identity_group IS '身份组 <prefix>/Group_<name>: identities of one enterprise';

CREATE TABLE identity_group_member (
    group_no   integer NOT NULL REFERENCES identity_group ON DELETE CASCADE,
    account_no integer NOT NULL REFERENCES account ON DELETE CASCADE,
    PRIMARY KEY (account_no, group_no)
);
CREATE INDEX identity_group_member_group ON identity_group_member (group_no);

-- Another enterprise may grant to a group once it has imported it: nothing else leads from one enterprise to another.
CREATE TABLE identity_group_import (
    group_no      integer NOT NULL REFERENCES identity_group ON DELETE CASCADE,
    enterprise_no integer NOT NULL REFERENCES enterprise,
    PRIMARY KEY (group_no, enterprise_no)
);
CREATE INDEX identity_group_import_enterprise ON identity_group_import (enterprise_no);

CREATE TABLE access_grant (
    number      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    prefix_no   integer     NOT NULL REFERENCES prefix,
    template_no integer     REFERENCES template ON DELETE CASCADE,
    suffix      text        COLLATE "C",
    account_no  integer     REFERENCES account ON DELETE CASCADE,
    group_no    integer     REFERENCES identity_group ON DELETE CASCADE,
    attributes  text[]      COLLATE "C",
    edit        boolean     NOT NULL,
    until       timestamptz,
    made        timestamptz NOT NULL DEFAULT now(),
    made_by     integer     NOT NULL REFERENCES account,
    CHECK ((template_no IS NULL) <> (suffix IS NULL)),
    CHECK ((account_no IS NULL) <> (group_no IS NULL))
);
CREATE INDEX access_grant_single ON access_grant (prefix_no, suffix) WHERE suffix IS NOT NULL;
CREATE INDEX access_grant_class ON access_grant (template_no) WHERE template_no IS NOT NULL;
CREATE INDEX access_grant_prefix ON access_grant (prefix_no, number);
CREATE INDEX access_grant_account ON access_grant (account_no) WHERE account_no IS NOT NULL;
CREATE INDEX access_grant_group ON access_grant (group_no) WHERE group_no IS NOT NULL;
COMMENT ON TABLE access_grant IS '授权: of all identifiers of a template (class), or of one (single); the single one beats the class';
COMMENT ON COLUMN access_grant.attributes IS 'names of attributes; NULL: all that are not internal';

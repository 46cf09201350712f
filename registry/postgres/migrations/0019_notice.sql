-- Whoever is granted something, or no longer, is told so (IDHub, data permission: 授权通知).
CREATE TABLE grant_notice (
    number     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_no integer     NOT NULL REFERENCES account ON DELETE CASCADE,
    prefix_no  integer     NOT NULL REFERENCES prefix,
    suffix     text        COLLATE "C" NOT NULL,
    title      smallint    NOT NULL CHECK (title BETWEEN 1 AND 6),
    edit       boolean     NOT NULL,
    made       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX grant_notice_account ON grant_notice (account_no, number);
COMMENT ON TABLE grant_notice IS '授权通知: what was granted to an account, or taken back; a group''s is each member''s';
COMMENT ON COLUMN grant_notice.title IS 'messageTitleType: 1 template, 2 identifier, 3 class; 3 more: taken back';

-- One of no attributes shows no value: on a template it is of the template itself; to nobody, it only keeps the grants
-- of the template from an identifier.
ALTER TABLE access_grant DROP CONSTRAINT access_grant_check1, ADD CONSTRAINT access_grant_to CHECK (
    CASE WHEN account_no IS NULL AND group_no IS NULL THEN suffix IS NOT NULL AND coalesce(attributes = '{}', false)
        ELSE account_no IS NULL OR group_no IS NULL END
);

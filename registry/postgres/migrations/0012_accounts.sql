-- What proves who somebody is: passwords that must be changed first, secrets that rotate with overlap, and where a token
-- was given.
ALTER TABLE account
    ADD COLUMN password_due boolean NOT NULL DEFAULT false,
    ADD COLUMN older_secret bytea,
    ADD COLUMN older_until timestamptz,
    ADD CONSTRAINT account_older_check CHECK (
        (older_secret IS NULL) = (older_until IS NULL) AND (older_secret IS NULL OR secret IS NOT NULL));
COMMENT ON COLUMN account.password_due IS 'the password is somebody else''s choice: nothing may be done before it is changed';
COMMENT ON COLUMN account.older_secret IS 'the secret before this one, as it was sealed; good until older_until';
ALTER TABLE token ADD COLUMN peer text NOT NULL DEFAULT '';
COMMENT ON COLUMN token.peer IS 'the address it was asked for from';

-- The second factor of people: one-time codes (registry/totp.py).
ALTER TABLE account
    ADD COLUMN totp bytea,
    ADD COLUMN totp_offered bytea,
    ADD COLUMN totp_step bigint NOT NULL DEFAULT 0,
    ADD COLUMN totp_wrong smallint NOT NULL DEFAULT 0,
    ADD COLUMN totp_tried timestamptz,
    ADD CONSTRAINT account_totp_check CHECK (kind = 'person' OR (totp IS NULL AND totp_offered IS NULL));
COMMENT ON COLUMN account.totp IS 'the key of one-time codes, sealed with the key of the node; NULL when none is asked for';
COMMENT ON COLUMN account.totp_offered IS 'a key that was shown and is not confirmed by a code yet, sealed';
COMMENT ON COLUMN account.totp_step IS 'the step of the last code that was taken: none is taken twice';
COMMENT ON COLUMN account.totp_wrong IS 'wrong codes, one after the other, behind the right password';

-- Programs that sign in with a key: what they are asked to sign may be answered at any worker, once.
ALTER TABLE account
    ADD COLUMN public_key bytea,
    ADD CONSTRAINT account_key_check CHECK (kind = 'program' OR public_key IS NULL);
COMMENT ON COLUMN account.public_key IS 'RSA, SubjectPublicKeyInfo in DER; NULL for who signs in with its secret alone';

-- Lost with a crash of the server: whoever is in the middle of signing in begins again.
CREATE UNLOGGED TABLE challenge (
    account_no integer     NOT NULL REFERENCES account ON DELETE CASCADE,
    text       text        COLLATE "C" NOT NULL,
    expires    timestamptz NOT NULL,
    PRIMARY KEY (account_no, text)
);

-- Who stands behind an account, by name or staff number: nobody holds two of the three administrators' powers.
ALTER TABLE account ADD COLUMN person text;
CREATE UNIQUE INDEX account_one_power ON account (person)
    WHERE role IN ('system_admin', 'security_admin', 'audit_admin');

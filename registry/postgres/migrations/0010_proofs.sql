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

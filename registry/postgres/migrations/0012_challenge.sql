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

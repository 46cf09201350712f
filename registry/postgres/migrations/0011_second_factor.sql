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

-- What the calls of IDHub say of a template (元数据) beyond what the rules of a record need.
ALTER TABLE template ADD COLUMN meta jsonb;
COMMENT ON COLUMN template.meta IS 'node/listen/idhub_words.py; NULL: nothing';

-- Bodies may be lines from here on (registry/record.py): a program of before, which cannot read them, refuses this schema.
COMMENT ON COLUMN record.body IS 'the values in the compact form of registry/record.py: list, row, or line; NULL when deleted';

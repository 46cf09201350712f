-- Who shut an account: what the node has shut, the account's enterprise does not open again. Of those that are shut
-- already nobody knows who it was.
ALTER TABLE account ADD COLUMN shut_by_node boolean NOT NULL DEFAULT false;
UPDATE account SET shut_by_node = true WHERE NOT enabled;

-- Who stopped a prefix opens it again: a suspension remembers whether its own operator had it stopped as well.
ALTER TABLE filing ADD COLUMN stopped_here boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN filing.stopped_here IS 'stopped by its own operator too, before or during the suspension';

-- Lists are of what waits for somebody: what is held, and what is queued. Most
-- mail is neither for a moment, and an index that it enters and leaves costs each
-- of them some pages of the log; whoever lists what is received or done has it
-- sorted, or reads the table by id.
DROP INDEX entries_state;
DROP INDEX entries_tenant;
CREATE INDEX entries_waiting ON entries (state, id)         WHERE state = 2 OR state = 3;
CREATE INDEX entries_theirs  ON entries (tenant, state, id) WHERE state = 2 OR state = 3;

-- Servers that belong together, by the name that the administrator gives them (Nova: server group): the metrics say when each group had its last image.
ALTER TABLE servers ADD COLUMN server_group text CHECK (char_length(server_group) BETWEEN 1 AND 64);
CREATE INDEX servers_in_groups ON servers (server_group) WHERE server_group IS NOT NULL;
CREATE INDEX runs_completed ON runs (server_id, ended_at) WHERE status = 'completed';

-- What was done lately besides images, newest first.
CREATE INDEX operations_by_start ON operations (started_at DESC, id DESC);
CREATE INDEX snapshots_alone ON snapshots (created_at DESC, id DESC) WHERE image_id IS NULL AND deleted_at IS NULL;

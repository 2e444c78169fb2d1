-- Looks go through operations and volumes, too, by what is unfinished about them.
CREATE INDEX operations_running ON operations (id) WHERE status = 'running';
CREATE INDEX volumes_in_transition ON volumes (id) WHERE deleted_at IS NULL AND status IN ('creating', 'deleting');

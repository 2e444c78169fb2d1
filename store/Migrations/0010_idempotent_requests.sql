-- Requests with an Idempotency-Key: a key stands for the first request that used it, and for its answer once there is one. Kept for good, as the rows of runs are.
CREATE TABLE idempotent_requests (
  project_id text NOT NULL,
  key text NOT NULL,
  -- SHA-256 of method, path and body: tells a repeated request from another one.
  digest bytea NOT NULL,
  began_at timestamptz NOT NULL,
  -- The answer: null while the first request is on its way, and after it was lost.
  status integer,
  headers jsonb NOT NULL DEFAULT '{}',
  body bytea NOT NULL DEFAULT '',
  answered_at timestamptz,
  PRIMARY KEY (project_id, key),
  CONSTRAINT idempotent_requests_answer_whole CHECK ((status IS NULL) = (answered_at IS NULL))
);

-- The caller's own id of the request, by which one call is followed through several services.
ALTER TABLE runs ADD COLUMN global_request_id text;

-- One row per run. While it goes on, its workflow's history knows more; afterwards the row says how it ended.
CREATE TABLE runs (
  image_id uuid PRIMARY KEY,
  server_id uuid NOT NULL,
  project_id text NOT NULL,
  user_id text NOT NULL,
  -- Tells one run for an image id from a later one, after a refusal.
  request_id text NOT NULL,
  name text NOT NULL,
  status text NOT NULL,
  step text NOT NULL,
  quiesce text NOT NULL,
  reason_kind text,
  reason_message text,
  evidence jsonb,
  steps jsonb NOT NULL DEFAULT '[]',
  leftovers jsonb NOT NULL DEFAULT '[]',
  started_at timestamptz NOT NULL,
  ended_at timestamptz,
  -- Once an undo has begun, no forward step of the run does anything any more: a step that comes late finds the door closed.
  undo_started_at timestamptz,
  CONSTRAINT runs_end_once CHECK ((status = 'running') = (ended_at IS NULL))
);
CREATE INDEX runs_by_project ON runs (project_id, started_at DESC, image_id DESC);
CREATE INDEX runs_by_start ON runs (started_at DESC, image_id DESC);
CREATE INDEX runs_by_server ON runs (server_id);

CREATE TABLE instance_actions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  server_id uuid NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
  action text NOT NULL,
  request_id text NOT NULL,
  user_id text NOT NULL,
  project_id text NOT NULL,
  started_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  message text,
  UNIQUE (server_id, request_id)
);

CREATE TABLE instance_action_events (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  action_id bigint NOT NULL REFERENCES instance_actions (id) ON DELETE CASCADE,
  event text NOT NULL,
  started_at timestamptz NOT NULL,
  finished_at timestamptz,
  result text CHECK (result IN ('Success', 'Error')),
  details text,
  UNIQUE (action_id, event)
);

-- The outbox: written in the transaction that makes the news true, delivered at least once, in the order of id for each resource.
CREATE TABLE notifications (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  event_type text NOT NULL,
  publisher_id text NOT NULL,
  resource_id text NOT NULL,
  payload jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  delivered_at timestamptz
);
CREATE INDEX notifications_undelivered ON notifications (id) WHERE delivered_at IS NULL;
CREATE INDEX notifications_by_resource ON notifications (resource_id, id);

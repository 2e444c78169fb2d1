-- Volumes that are made from snapshots, what is done to images after they were made, and what users are told went wrong.

ALTER TABLE volumes
  -- The snapshot it was made from, and whether that cannot be deleted while the volume is there.
  ADD COLUMN snapshot_id uuid,
  ADD COLUMN needs_snapshot boolean NOT NULL DEFAULT false,
  ADD COLUMN metadata jsonb NOT NULL DEFAULT '{}';
CREATE INDEX volumes_that_need_a_snapshot ON volumes (snapshot_id) WHERE needs_snapshot AND deleted_at IS NULL;

-- Deletions and restores of images: one row each.
CREATE TABLE operations (
  id uuid PRIMARY KEY,
  kind text NOT NULL,
  image_id uuid NOT NULL,
  project_id text NOT NULL,
  user_id text NOT NULL,
  request_id text NOT NULL,
  status text NOT NULL,
  reason_kind text,
  reason_message text,
  volumes jsonb NOT NULL DEFAULT '[]',
  leftovers jsonb NOT NULL DEFAULT '[]',
  started_at timestamptz NOT NULL,
  ended_at timestamptz,
  -- Once an undo has begun, no forward step does anything any more.
  undo_started_at timestamptz,
  CONSTRAINT operations_end_once CHECK ((status = 'running') = (ended_at IS NULL))
);
CREATE INDEX operations_by_project ON operations (project_id, started_at DESC, id DESC);
CREATE INDEX operations_by_image ON operations (image_id);

CREATE TABLE user_messages (
  id uuid PRIMARY KEY,
  project_id text NOT NULL,
  resource_type text NOT NULL,
  resource_id uuid NOT NULL,
  event_id text NOT NULL,
  text text NOT NULL,
  request_id text NOT NULL,
  created_at timestamptz NOT NULL
);
CREATE INDEX user_messages_by_project ON user_messages (project_id, created_at DESC, id DESC);

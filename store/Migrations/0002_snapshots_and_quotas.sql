-- Volume snapshots and what they count against. A deleted row stays as a tombstone (deleted_at), so that a step that comes late cannot bring it back.

CREATE TABLE snapshots (
  id uuid PRIMARY KEY,
  volume_id uuid NOT NULL REFERENCES volumes (id),
  -- The image whose run made it, and the name of that run's quota reservation; null for one that was made on its own.
  image_id uuid,
  project_id text NOT NULL,
  user_id text NOT NULL,
  display_name text CHECK (char_length(display_name) <= 255),
  display_description text CHECK (char_length(display_description) <= 255),
  status text NOT NULL,
  progress_percent integer NOT NULL CHECK (progress_percent BETWEEN 0 AND 100),
  volume_size_gib integer NOT NULL,
  volume_type text,
  encryption_key_id text,
  use_quota boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL,
  updated_at timestamptz,
  deleted_at timestamptz,
  CONSTRAINT snapshots_deleted_at_says_deleted CHECK ((deleted_at IS NOT NULL) = (status = 'deleted'))
);
CREATE INDEX snapshots_live_by_project ON snapshots (project_id, created_at DESC, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX snapshots_by_volume ON snapshots (volume_id);
CREATE INDEX snapshots_by_image ON snapshots (image_id) WHERE image_id IS NOT NULL;

CREATE TABLE snapshot_metadata (
  snapshot_id uuid NOT NULL REFERENCES snapshots (id) ON DELETE CASCADE,
  key text NOT NULL,
  value text NOT NULL,
  PRIMARY KEY (snapshot_id, key)
);

CREATE TABLE snapshot_glance_metadata (
  snapshot_id uuid NOT NULL REFERENCES snapshots (id) ON DELETE CASCADE,
  key text NOT NULL,
  value text NOT NULL,
  PRIMARY KEY (snapshot_id, key)
);

-- Limits that differ from the built-in ones. Usage is nowhere stored: it is added up from live rows and open reservations.
CREATE TABLE quotas (
  project_id text NOT NULL,
  resource text NOT NULL,
  hard_limit integer NOT NULL CHECK (hard_limit >= -1),
  PRIMARY KEY (project_id, resource)
);

-- A reservation has the name of the image it is for. While it is open, the snapshot rows of that image count as reserved and not as in use, so nothing
-- counts twice; deleting it commits or releases it, depending on whether the rows are there.
CREATE TABLE quota_reservations (
  image_id uuid NOT NULL,
  project_id text NOT NULL,
  resource text NOT NULL,
  delta bigint NOT NULL CHECK (delta >= 0),
  expires_at timestamptz NOT NULL,
  PRIMARY KEY (image_id, project_id, resource)
);
CREATE INDEX quota_reservations_by_project ON quota_reservations (project_id, resource);

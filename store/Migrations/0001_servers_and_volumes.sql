-- What is registered: servers, their block devices, volumes. Times are UTC. Statuses are text, spelled as upstream; model/ has the allowed moves.

CREATE TABLE servers (
  id uuid PRIMARY KEY,
  project_id text NOT NULL,
  user_id text NOT NULL,
  name text NOT NULL,
  host text,
  vm_state text NOT NULL,
  -- What is being done to the server, and the image whose run holds it when that is one of ours.
  task_state text,
  task_image_id uuid,
  root_device_name text,
  image_ref text,
  system_metadata jsonb NOT NULL DEFAULT '{}',
  locked boolean NOT NULL DEFAULT false,
  launched_at timestamptz,
  guest_agent_address text,
  created_at timestamptz NOT NULL,
  updated_at timestamptz,
  CONSTRAINT servers_task_image_needs_task_state CHECK (task_image_id IS NULL OR task_state IS NOT NULL)
);
CREATE INDEX servers_by_project ON servers (project_id, created_at DESC, id DESC);

CREATE TABLE volumes (
  id uuid PRIMARY KEY,
  project_id text NOT NULL,
  user_id text NOT NULL,
  display_name text CHECK (char_length(display_name) <= 255),
  display_description text CHECK (char_length(display_description) <= 255),
  status text NOT NULL,
  size_gib integer NOT NULL CHECK (size_gib > 0),
  volume_type text,
  bootable boolean NOT NULL DEFAULT false,
  encrypted boolean NOT NULL DEFAULT false,
  encryption_key_id text,
  multiattach boolean NOT NULL DEFAULT false,
  migration_status text,
  -- host@backend, the task queue of the volume worker that can reach it.
  backend text,
  availability_zone text,
  created_at timestamptz NOT NULL,
  updated_at timestamptz,
  deleted_at timestamptz
);
CREATE INDEX volumes_live_by_project ON volumes (project_id, created_at DESC, id DESC) WHERE deleted_at IS NULL;

CREATE TABLE volume_glance_metadata (
  volume_id uuid NOT NULL REFERENCES volumes (id) ON DELETE CASCADE,
  key text NOT NULL,
  value text NOT NULL,
  PRIMARY KEY (volume_id, key)
);

CREATE TABLE block_device_mappings (
  -- The order of the devices is the order of their records.
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  server_id uuid NOT NULL REFERENCES servers (id) ON DELETE CASCADE,
  source_type text,
  destination_type text,
  boot_index integer,
  device_name text,
  disk_bus text,
  device_type text,
  guest_format text,
  delete_on_termination boolean NOT NULL DEFAULT false,
  no_device boolean NOT NULL DEFAULT false,
  volume_id uuid,
  snapshot_id uuid,
  image_id uuid,
  volume_size integer,
  volume_type text,
  tag text,
  encrypted boolean NOT NULL DEFAULT false,
  encryption_secret_uuid uuid,
  encryption_format text,
  encryption_options text
);
CREATE INDEX block_device_mappings_by_server ON block_device_mappings (server_id, id);
CREATE INDEX block_device_mappings_by_volume ON block_device_mappings (volume_id) WHERE volume_id IS NOT NULL;

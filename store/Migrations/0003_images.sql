CREATE TABLE images (
  id uuid PRIMARY KEY,
  name text CHECK (char_length(name) <= 255),
  owner text NOT NULL,
  status text NOT NULL,
  visibility text NOT NULL CHECK (visibility IN ('private', 'shared', 'public', 'community')),
  protected boolean NOT NULL DEFAULT false,
  os_hidden boolean NOT NULL DEFAULT false,
  size_bytes bigint,
  disk_format text,
  container_format text,
  min_disk integer NOT NULL DEFAULT 0,
  min_ram integer NOT NULL DEFAULT 0,
  checksum text,
  os_hash_algo text,
  os_hash_value text,
  tags text[] NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  deleted_at timestamptz,
  CONSTRAINT images_deleted_at_says_deleted CHECK ((deleted_at IS NOT NULL) = (status = 'deleted')),
  CONSTRAINT images_active_has_formats CHECK (status <> 'active' OR (disk_format IS NOT NULL AND container_format IS NOT NULL))
);
CREATE INDEX images_live ON images (created_at DESC, id DESC) WHERE deleted_at IS NULL;
CREATE INDEX images_live_by_owner ON images (owner, created_at DESC, id DESC) WHERE deleted_at IS NULL;

CREATE TABLE image_properties (
  image_id uuid NOT NULL REFERENCES images (id) ON DELETE CASCADE,
  name text NOT NULL,
  value text NOT NULL,
  PRIMARY KEY (image_id, name)
);

CREATE TABLE image_members (
  image_id uuid NOT NULL REFERENCES images (id) ON DELETE CASCADE,
  member text NOT NULL,
  status text NOT NULL CHECK (status IN ('pending', 'accepted', 'rejected')),
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (image_id, member)
);

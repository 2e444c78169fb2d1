-- Volume types that an administrator registered: a volume names one, and quotas may differ by it.

CREATE TABLE volume_types (
  id uuid PRIMARY KEY,
  name text NOT NULL UNIQUE CHECK (char_length(name) BETWEEN 1 AND 255),
  description text CHECK (char_length(description) <= 255),
  is_public boolean NOT NULL DEFAULT true,
  extra_specs jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL,
  updated_at timestamptz
);

-- Types that volumes had before types were registered.
INSERT INTO volume_types (id, name, created_at)
SELECT gen_random_uuid(), volume_type, min(created_at) FROM volumes WHERE volume_type <> '' GROUP BY volume_type;

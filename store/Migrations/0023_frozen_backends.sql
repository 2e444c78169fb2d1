-- Back ends that an administrator has frozen: nothing is made or deleted there until they are thawed.

CREATE TABLE frozen_backends (
  -- host@backend
  backend text PRIMARY KEY,
  frozen_at timestamptz NOT NULL
);

-- A snapshot that was given up: its row is deleted, and its back end keeps it. Nobody tidies it up.
ALTER TABLE snapshots ADD COLUMN unmanaged boolean NOT NULL DEFAULT false CHECK (NOT unmanaged OR deleted_at IS NOT NULL);

-- Back ends that an administrator has frozen: nothing is made or deleted there until they are thawed.

CREATE TABLE frozen_backends (
  -- host@backend
  backend text PRIMARY KEY,
  frozen_at timestamptz NOT NULL
);

-- Where an earlier build stopped after 0022_sorted_lists, its function stands in the way.
DROP FUNCTION IF EXISTS snapshot_sort_key(snapshots, text);

-- A snapshot that was given up: its row is deleted, and its back end keeps it. Nobody tidies it up.
ALTER TABLE snapshots ADD COLUMN unmanaged boolean NOT NULL DEFAULT false CHECK (NOT unmanaged OR deleted_at IS NOT NULL);

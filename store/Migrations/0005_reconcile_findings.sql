-- What looks have found out of order. A finding is open until it is repaired or gone; when it comes back it is another one.
CREATE TABLE reconcile_findings (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind text NOT NULL,
  subject text NOT NULL,
  -- Task queue of the host or back end it was seen at; null when the records said it all.
  place text,
  detail text NOT NULL,
  first_seen_at timestamptz NOT NULL,
  last_seen_at timestamptz NOT NULL,
  repaired_at timestamptz,
  gone_at timestamptz,
  -- What was done about it, or tried in vain.
  done text,
  CONSTRAINT reconcile_findings_end_once CHECK (repaired_at IS NULL OR gone_at IS NULL)
);
CREATE UNIQUE INDEX reconcile_findings_open ON reconcile_findings (kind, subject) WHERE repaired_at IS NULL AND gone_at IS NULL;
CREATE INDEX reconcile_findings_by_time ON reconcile_findings (last_seen_at DESC);
-- Looks go through rows by what is unfinished about them, and through a back end's in the order of their ids.
CREATE INDEX runs_running ON runs (image_id) WHERE status IN ('running', 'compensation_failed');
CREATE INDEX snapshots_in_transition ON snapshots (id) WHERE status NOT IN ('available', 'error', 'deleted');

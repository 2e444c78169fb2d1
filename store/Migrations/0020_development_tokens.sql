-- Tokens of the development identity service: digests only, so that nobody who reads this table can use one.

CREATE TABLE development_tokens (
  -- SHA-256 of the token.
  digest bytea PRIMARY KEY,
  user_id text NOT NULL,
  -- Null: for no project.
  project_id text,
  methods text[] NOT NULL,
  audit_ids text[] NOT NULL,
  -- Fingerprint of the password hash it was issued for: another password ends it.
  credential text NOT NULL,
  issued_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL
);
CREATE INDEX development_tokens_by_expiry ON development_tokens (expires_at);

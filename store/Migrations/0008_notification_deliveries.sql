-- Where a notification has been delivered to while not every sink has it. The rows go once every sink has it.
CREATE TABLE notification_deliveries (
  notification_id bigint NOT NULL REFERENCES notifications (id) ON DELETE CASCADE,
  sink text NOT NULL,
  attempts integer NOT NULL DEFAULT 0,
  next_attempt_at timestamptz,
  delivered_at timestamptz,
  PRIMARY KEY (notification_id, sink)
);

-- By what lists of volumes may be sorted, as text that sorts as the value does.

CREATE FUNCTION volume_sort_key(v volumes, key text) RETURNS text LANGUAGE sql STABLE
RETURN CASE key
  WHEN 'id' THEN v.id::text
  WHEN 'name' THEN coalesce(v.display_name, '')
  WHEN 'display_name' THEN coalesce(v.display_name, '')
  WHEN 'status' THEN v.status
  WHEN 'size' THEN lpad(v.size_gib::text, 12, '0')
  WHEN 'availability_zone' THEN coalesce(v.availability_zone, '')
  WHEN 'bootable' THEN v.bootable::integer::text
  WHEN 'snapshot_id' THEN coalesce(v.snapshot_id::text, '')
  WHEN 'user_id' THEN v.user_id
  WHEN 'project_id' THEN v.project_id
  WHEN 'host' THEN coalesce(v.backend, '')
  WHEN 'updated_at' THEN to_char(v.updated_at AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS')
  ELSE to_char(v.created_at AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS')
END;

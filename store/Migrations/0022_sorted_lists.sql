-- By what lists may be sorted, as text that sorts as the value does.

CREATE FUNCTION snapshot_sort_key(s snapshots, key text) RETURNS text LANGUAGE sql STABLE
RETURN CASE key
  WHEN 'id' THEN s.id::text
  WHEN 'name' THEN coalesce(s.display_name, '')
  WHEN 'display_name' THEN coalesce(s.display_name, '')
  WHEN 'status' THEN s.status
  WHEN 'volume_id' THEN s.volume_id::text
  WHEN 'volume_size' THEN lpad(s.volume_size_gib::text, 12, '0')
  WHEN 'size' THEN lpad(s.volume_size_gib::text, 12, '0')
  WHEN 'updated_at' THEN to_char(s.updated_at AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS')
  ELSE to_char(s.created_at AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS')
END;

CREATE FUNCTION image_sort_key(i images, key text) RETURNS text LANGUAGE sql STABLE
RETURN CASE key
  WHEN 'id' THEN i.id::text
  WHEN 'name' THEN coalesce(i.name, '')
  WHEN 'status' THEN i.status
  WHEN 'container_format' THEN coalesce(i.container_format, '')
  WHEN 'disk_format' THEN coalesce(i.disk_format, '')
  WHEN 'size' THEN lpad(coalesce(i.size_bytes, 0)::text, 20, '0')
  WHEN 'updated_at' THEN to_char(i.updated_at AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS')
  ELSE to_char(i.created_at AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS')
END;

-- Databases of earlier builds have the functions of 0022_sorted_lists and 0026_sorted_volumes still. Lists are sorted by expressions in their statements.

DROP FUNCTION IF EXISTS snapshot_sort_key(snapshots, text);
DROP FUNCTION IF EXISTS image_sort_key(images, text);
DROP FUNCTION IF EXISTS volume_sort_key(volumes, text);

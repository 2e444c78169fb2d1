-- As 0022_sorted_lists, for lists of volumes.

DROP FUNCTION IF EXISTS volume_sort_key(volumes, text);

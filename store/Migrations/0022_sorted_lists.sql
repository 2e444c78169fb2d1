-- Earlier builds made functions here that lists were sorted by. They took a row, and PostgreSQL from 15.20 on refuses to change a table whose row type a function uses.

DROP FUNCTION IF EXISTS snapshot_sort_key(snapshots, text);
DROP FUNCTION IF EXISTS image_sort_key(images, text);

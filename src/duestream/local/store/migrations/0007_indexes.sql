-- Secondary indexes of DynamoDB tables.

CREATE TABLE secondary_index (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    table_id      INTEGER NOT NULL,
    name          TEXT NOT NULL CHECK (length(name) BETWEEN 3 AND 255),
    kind          TEXT NOT NULL CHECK (kind IN ('GLOBAL', 'LOCAL')),
    status        TEXT NOT NULL CHECK (status IN ('CREATING', 'ACTIVE')),
    declaration   BLOB NOT NULL,                        -- JSON: key attributes with their types, projection, throughput
    built_partition_key BLOB,                           -- CREATING: items up to this key have been looked at; null: none yet
    built_sort_key      BLOB,
    item_count    INTEGER NOT NULL DEFAULT 0,
    size_bytes    INTEGER NOT NULL DEFAULT 0,           -- of what it projects, as DynamoDB counts
    UNIQUE (table_id, name)
) STRICT;

-- One row for each item that an index holds, and no other tree to keep: an item's entry is found by the keys that its
-- image has. Keys are order-preserving bytes, empty where there is none; what is projected is read from the item.
CREATE TABLE index_entry (
    index_id           INTEGER NOT NULL,
    partition_key      BLOB NOT NULL,
    sort_key           BLOB NOT NULL,
    item_partition_key BLOB NOT NULL,
    item_sort_key      BLOB NOT NULL,
    item_id            INTEGER NOT NULL,
    size_bytes         INTEGER NOT NULL,                -- of what is projected
    PRIMARY KEY (index_id, partition_key, sort_key, item_partition_key, item_sort_key)
) STRICT, WITHOUT ROWID;

-- Deleted indexes, and those of deleted tables, whose entries are not all gone yet.
CREATE TABLE deleted_index (
    id INTEGER PRIMARY KEY                              -- secondary_index.id
) STRICT;

-- Time to Live of DynamoDB tables.

-- One row each time it is switched on; it stays, switched off, until its expiries are gone.
CREATE TABLE time_to_live (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    table_id            INTEGER NOT NULL,
    attribute           TEXT NOT NULL,
    state               TEXT NOT NULL CHECK (state IN ('ENABLING', 'ENABLED', 'OFF')),
    built_partition_key BLOB,                           -- ENABLING: items up to this key have been looked at; null: none yet
    built_sort_key      BLOB
) STRICT;
CREATE UNIQUE INDEX time_to_live_by_table ON time_to_live (table_id) WHERE state <> 'OFF';

-- When the items of tables with Time to Live expire; those without a number in the attribute have no row.
CREATE TABLE expiry (
    time_to_live_id INTEGER NOT NULL,
    expires_at_s    INTEGER NOT NULL,                   -- seconds since 1970
    partition_key   BLOB NOT NULL,
    sort_key        BLOB NOT NULL,
    PRIMARY KEY (time_to_live_id, expires_at_s, partition_key, sort_key)
) STRICT, WITHOUT ROWID;

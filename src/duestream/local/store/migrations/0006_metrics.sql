-- Metrics: what CloudWatch's API answers from, and the counts that must not be found by scanning.

-- A metric is a namespace, a name, a set of dimensions and a unit.
CREATE TABLE metric (
    id          INTEGER PRIMARY KEY,                    -- 63 bits of a hash of these four
    namespace   TEXT NOT NULL,
    name        TEXT NOT NULL,
    dimensions  TEXT NOT NULL,                          -- JSON: [[name, value], ...], ordered by name
    unit        TEXT NOT NULL,
    last_minute INTEGER NOT NULL                        -- of its newest bucket
) STRICT;
CREATE UNIQUE INDEX metric_by_name ON metric (namespace, name, dimensions, unit);

CREATE TABLE metric_minute (
    metric_id    INTEGER NOT NULL,
    minute       INTEGER NOT NULL,                      -- minutes since 1970, UTC
    samples      REAL NOT NULL,
    sum          REAL NOT NULL,
    minimum      REAL NOT NULL,
    maximum      REAL NOT NULL,
    distribution BLOB,                                  -- JSON: exponential bucket to count; null: not known
    PRIMARY KEY (metric_id, minute)
) STRICT, WITHOUT ROWID;
CREATE INDEX metric_minute_by_minute ON metric_minute (minute);

-- How much there is of what must not be found by counting rows. Each transaction says by how much it changes it.
CREATE TABLE tally (
    name TEXT NOT NULL,                                 -- 'pending schedules', 'messages'
    key  INTEGER NOT NULL,                              -- 0, or queue.id
    held INTEGER NOT NULL,
    PRIMARY KEY (name, key)
) STRICT, WITHOUT ROWID;
INSERT INTO tally SELECT 'pending schedules', 0, count(*) FROM schedule WHERE attempt_at_ms IS NOT NULL;
INSERT INTO tally SELECT 'messages', queue_id, count(*) FROM message GROUP BY queue_id;

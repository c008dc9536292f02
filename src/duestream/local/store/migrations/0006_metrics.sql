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

-- Schedules with something to come. Kept by triggers, so that no statement can forget it.
CREATE TABLE pending_schedules (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    count INTEGER NOT NULL
) STRICT;
INSERT INTO pending_schedules SELECT 1, count(*) FROM schedule WHERE attempt_at_ms IS NOT NULL;

CREATE TRIGGER schedule_added AFTER INSERT ON schedule WHEN NEW.attempt_at_ms IS NOT NULL BEGIN
    UPDATE pending_schedules SET count = count + 1 WHERE id = 1;
END;
CREATE TRIGGER schedule_removed AFTER DELETE ON schedule WHEN OLD.attempt_at_ms IS NOT NULL BEGIN
    UPDATE pending_schedules SET count = count - 1 WHERE id = 1;
END;
CREATE TRIGGER schedule_changed AFTER UPDATE OF attempt_at_ms ON schedule
    WHEN (OLD.attempt_at_ms IS NULL) <> (NEW.attempt_at_ms IS NULL) BEGIN
    UPDATE pending_schedules SET count = count + iif(NEW.attempt_at_ms IS NULL, -1, 1) WHERE id = 1;
END;

-- Messages in each queue, whether visible, delayed or in flight.
CREATE TABLE queue_depth (
    queue_id INTEGER PRIMARY KEY,
    messages INTEGER NOT NULL
) STRICT;
INSERT INTO queue_depth SELECT queue_id, count(*) FROM message GROUP BY queue_id;

CREATE TRIGGER message_added AFTER INSERT ON message BEGIN
    INSERT INTO queue_depth VALUES (NEW.queue_id, 1) ON CONFLICT DO UPDATE SET messages = messages + 1;
END;
CREATE TRIGGER message_removed AFTER DELETE ON message BEGIN
    UPDATE queue_depth SET messages = messages - 1 WHERE queue_id = OLD.queue_id;
END;
CREATE TRIGGER message_moved AFTER UPDATE OF queue_id ON message WHEN NEW.queue_id <> OLD.queue_id BEGIN
    UPDATE queue_depth SET messages = messages - 1 WHERE queue_id = OLD.queue_id;
    INSERT INTO queue_depth VALUES (NEW.queue_id, 1) ON CONFLICT DO UPDATE SET messages = messages + 1;
END;
CREATE TRIGGER queue_removed AFTER DELETE ON queue BEGIN
    DELETE FROM queue_depth WHERE queue_id = OLD.id;
END;

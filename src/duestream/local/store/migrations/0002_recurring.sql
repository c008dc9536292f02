-- Recurring schedules.

-- Null: a one-time schedule. Else no occurrence is earlier than this, and a rate counts from it.
ALTER TABLE schedule ADD COLUMN anchor_at_ms INTEGER;
-- What becomes of occurrences that were missed; null: the default.
ALTER TABLE schedule ADD COLUMN catch_up TEXT CHECK (catch_up IN ('deliver_last', 'deliver_all', 'skip'));
-- Not null: no schedule, but one occurrence of the recurring one with this id, on a row of its own while it is
-- tried, so that it holds up no other. It has the schedule's group and name, and is not shown.
ALTER TABLE schedule ADD COLUMN occurrence_of INTEGER;

-- `missed`: so many occurrences of a recurring schedule were due while nothing could be delivered, and were passed
-- over as its catch-up policy says. (SQLite changes no CHECK in place.)
CREATE TABLE outcome_with_missed (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    schedule_group TEXT NOT NULL,
    schedule_name  TEXT NOT NULL,
    name_hash      INTEGER NOT NULL,
    kind           TEXT NOT NULL CHECK (kind IN ('delivered', 'skipped', 'dead_lettered', 'dropped', 'missed')),
    rule           TEXT,
    table_id       INTEGER,
    delivery_id    TEXT NOT NULL,
    target_arn     TEXT NOT NULL,
    due_at_ms      INTEGER NOT NULL,
    ended_at_ms    INTEGER NOT NULL,
    attempts       INTEGER NOT NULL,
    reason         TEXT,
    occurrences    INTEGER NOT NULL DEFAULT 1 CHECK (occurrences >= 1)  -- more than one only where they were missed
) STRICT;
INSERT INTO outcome_with_missed
    SELECT id, schedule_group, schedule_name, name_hash, kind, rule, table_id, delivery_id, target_arn, due_at_ms,
           ended_at_ms, attempts, reason, 1 FROM outcome ORDER BY id;
DROP TABLE outcome;
ALTER TABLE outcome_with_missed RENAME TO outcome;
CREATE INDEX outcome_by_name ON outcome (name_hash);

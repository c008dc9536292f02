-- Dead letters keep what is needed to deliver them again, and what came of them; `why`; SQS's message move tasks.

ALTER TABLE schedule ADD COLUMN last_failure TEXT;  -- of the last attempt at the present occurrence
ALTER TABLE schedule ADD COLUMN redrives TEXT;      -- the delivery id that this one-time schedule delivers again

-- What the message in the queue cannot say. It outlives the message, for `show` and `why`; old ones are trimmed.
CREATE TABLE dead_letter (
    id             INTEGER PRIMARY KEY,             -- message.id of the message as it was put into the queue
    message_id     TEXT NOT NULL,                   -- SQS's MessageId: the same when SQS moves the message
    kind           TEXT NOT NULL CHECK (kind IN ('delivery', 'record')),
    queue_name     TEXT NOT NULL,
    schedule_group TEXT NOT NULL,
    schedule_name  TEXT NOT NULL,
    name_hash      INTEGER NOT NULL,                -- of group and name
    rule           TEXT,                            -- null: a schedule made through the API
    table_id       INTEGER,
    partition_key  BLOB,
    sort_key       BLOB,
    content        BLOB NOT NULL,                   -- JSON: the schedule as GetSchedule shows it; or the letter, uncut
    delivery_id    TEXT,                            -- null: a stream record
    redrives       TEXT,                            -- the delivery id that the given-up delivery had delivered again
    due_at_ms      INTEGER,
    attempts       INTEGER NOT NULL,
    reason         TEXT NOT NULL,
    created_at_ms  INTEGER NOT NULL,
    ended          TEXT CHECK (ended IN ('redriven', 'dropped')),
    ended_at_ms    INTEGER,
    ended_reason   TEXT,                            -- why it was dropped; or the schedule that delivers it again
    CHECK ((ended IS NULL) = (ended_at_ms IS NULL))
) STRICT;
CREATE INDEX dead_letter_by_message ON dead_letter (message_id);
CREATE INDEX dead_letter_by_name ON dead_letter (name_hash);
CREATE INDEX dead_letter_by_queue ON dead_letter (queue_name);

-- The rules that were ever loaded, so that `why` can tell of those that are gone.
CREATE TABLE known_rule (
    app            TEXT NOT NULL,
    table_name     TEXT NOT NULL,
    rule           TEXT NOT NULL,
    loaded_at_ms   INTEGER NOT NULL,                -- when it was last loaded
    PRIMARY KEY (app, table_name, rule)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO known_rule (app, table_name, rule, loaded_at_ms)
    SELECT g.name, t.name, s.rule, s.created_at_ms FROM schedule s
    JOIN schedule_group g ON g.id = s.group_id JOIN dynamodb_table t ON t.id = s.table_id WHERE s.rule IS NOT NULL;

-- SQS StartMessageMoveTask.
CREATE TABLE message_move_task (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id         TEXT NOT NULL UNIQUE,
    source_arn      TEXT NOT NULL,
    source_queue_id INTEGER NOT NULL,
    destination_arn TEXT,                           -- null: each message goes back to where it came from
    rate            INTEGER,                        -- messages a second; null: as fast as it goes
    status          TEXT NOT NULL CHECK (status IN ('RUNNING', 'COMPLETED', 'CANCELLED', 'FAILED')),
    failure_reason  TEXT,
    to_move         INTEGER NOT NULL,               -- counted at the start
    moved           INTEGER NOT NULL DEFAULT 0,
    last_message    INTEGER NOT NULL,               -- message.id: those that come later are not moved
    started_at_ms   INTEGER NOT NULL,
    next_at_ms      INTEGER NOT NULL,               -- when the next chunk may go
    ended_at_ms     INTEGER
) STRICT;
CREATE INDEX message_move_task_by_source ON message_move_task (source_queue_id, id);

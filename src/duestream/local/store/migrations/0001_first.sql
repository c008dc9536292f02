-- The data folder, version 1. Bodies stand in rowid tables, so that rows are appended where they can be;
-- each randomly ordered index costs every write a page, so there are as few of them as can be.
-- All moments are milliseconds since 1970, UTC. JSON is UTF-8 in BLOBs, so that it goes out as it is.

-- DynamoDB ---------------------------------------------------------------------------------------------

CREATE TABLE dynamodb_table (
    id                 INTEGER PRIMARY KEY AUTOINCREMENT,
    name               TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 3 AND 255),
    revision           INTEGER NOT NULL UNIQUE,         -- random, new with every change: what is cached is looked up by it
    region             TEXT NOT NULL,
    status             TEXT NOT NULL CHECK (status IN ('ACTIVE', 'DELETING')),
    partition_key      TEXT NOT NULL,
    partition_key_type TEXT NOT NULL CHECK (partition_key_type IN ('S', 'N', 'B')),
    sort_key           TEXT,
    sort_key_type      TEXT CHECK (sort_key_type IN ('S', 'N', 'B')),
    stream_id          INTEGER REFERENCES stream (id),  -- the stream that is switched on; null: none
    declaration        BLOB NOT NULL,                   -- JSON: billing, tags, ... as CreateTable gave them
    created_at_ms      INTEGER NOT NULL,
    item_count         INTEGER NOT NULL DEFAULT 0,
    size_bytes         INTEGER NOT NULL DEFAULT 0       -- as DynamoDB counts
) STRICT;

-- Deleted tables whose items, or schedules of rules, are not all gone yet. The name is free again at once.
CREATE TABLE deleted_table (
    id                 INTEGER PRIMARY KEY,             -- the table's
    schedules_after_id INTEGER,                         -- schedules up to this one have been seen; null: all of them
    deleted_at_ms      INTEGER NOT NULL
) STRICT;

-- A stream outlives its being switched off, and its table, until its last record is trimmed.
CREATE TABLE stream (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    table_id      INTEGER NOT NULL,
    table_name    TEXT NOT NULL,
    region        TEXT NOT NULL,
    label         TEXT NOT NULL,
    view_type     TEXT NOT NULL CHECK (view_type IN ('KEYS_ONLY', 'NEW_IMAGE', 'OLD_IMAGE', 'NEW_AND_OLD_IMAGES')),
    key_schema    BLOB NOT NULL,                        -- JSON, as DescribeStream shows it
    status        TEXT NOT NULL CHECK (status IN ('ENABLED', 'DISABLED')),
    created_at_ms INTEGER NOT NULL,
    disabled_at_ms INTEGER,
    trimmed_sequence INTEGER NOT NULL DEFAULT 0,        -- the last record that is gone
    UNIQUE (table_name, label),
    CHECK ((status = 'DISABLED') = (disabled_at_ms IS NOT NULL))
) STRICT;

CREATE TABLE item (
    id            INTEGER PRIMARY KEY,
    table_id      INTEGER NOT NULL,
    partition_key BLOB NOT NULL,                        -- order-preserving bytes (core.attributes.key_bytes)
    sort_key      BLOB NOT NULL,                        -- empty where the table has none
    size_bytes    INTEGER NOT NULL,                     -- as DynamoDB counts
    body          BLOB NOT NULL                         -- the item, JSON of attribute values
) STRICT;
CREATE UNIQUE INDEX item_by_key ON item (table_id, partition_key, sort_key);

-- Both images are always kept; the view type is applied when the records are read.
CREATE TABLE stream_record (
    sequence      INTEGER PRIMARY KEY AUTOINCREMENT,    -- one order for all streams
    stream_id     INTEGER NOT NULL,
    table_id      INTEGER NOT NULL,
    event_name    TEXT NOT NULL CHECK (event_name IN ('INSERT', 'MODIFY', 'REMOVE')),
    partition_key BLOB NOT NULL,
    sort_key      BLOB NOT NULL,
    old_image     BLOB,
    new_image     BLOB,
    created_at_ms INTEGER NOT NULL,
    by_service    INTEGER NOT NULL DEFAULT 0            -- 1: removed by Time to Live, not by a user
) STRICT;
CREATE INDEX stream_record_by_stream ON stream_record (stream_id, sequence);

-- How far each app has planned the stream records, all streams in one order.
CREATE TABLE checkpoint (
    app      TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL
) STRICT;

-- EventBridge Scheduler --------------------------------------------------------------------------------

CREATE TABLE schedule_group (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    name                TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 64),
    region              TEXT NOT NULL,
    state               TEXT NOT NULL CHECK (state IN ('ACTIVE', 'DELETING')),
    tags                BLOB NOT NULL DEFAULT x'7b7d',  -- JSON object
    client_token        TEXT,
    created_at_ms       INTEGER NOT NULL,
    last_modified_at_ms INTEGER NOT NULL
) STRICT;

-- A rule's schedules and those made through the API alike.
CREATE TABLE schedule (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    group_id            INTEGER NOT NULL,
    name                TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    name_hash           INTEGER NOT NULL,               -- of group and name: a small index instead of a wide one
    version             INTEGER NOT NULL DEFAULT 1,     -- grows with every put; a delivery of an older one does not count
    state               TEXT NOT NULL CHECK (state IN ('ENABLED', 'DISABLED')),
    due_at_ms           INTEGER,                        -- the occurrence to be delivered; null: nothing to come
    attempt_at_ms       INTEGER,                        -- when to try (again); null: not to be tried
    attempts            INTEGER NOT NULL DEFAULT 0,     -- made for this occurrence
    rule                TEXT,                           -- null: made through the API
    table_id            INTEGER,
    partition_key       BLOB,
    sort_key            BLOB,
    body                BLOB NOT NULL,                  -- JSON: what GetSchedule shows
    created_at_ms       INTEGER NOT NULL,
    last_modified_at_ms INTEGER NOT NULL,
    CHECK ((rule IS NULL) = (table_id IS NULL))
) STRICT;
CREATE INDEX schedule_by_name ON schedule (name_hash);
CREATE INDEX schedule_by_time ON schedule (attempt_at_ms) WHERE attempt_at_ms IS NOT NULL;

-- What Scheduler's API answered to a request with a client token, so that a repeated one is answered alike.
CREATE TABLE client_token (
    id            INTEGER PRIMARY KEY,                  -- 63 bits of a hash of operation and token
    request       BLOB NOT NULL,                        -- a hash of the parameters
    answer        BLOB NOT NULL,                        -- JSON
    version       INTEGER,                              -- of the schedule, as the request left it
    created_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX client_token_by_time ON client_token (created_at_ms);  -- appended to; the old are trimmed

-- How deliveries ended. `dropped`: gave up, and there was no dead-letter queue to put it in.
CREATE TABLE outcome (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    schedule_group TEXT NOT NULL,
    schedule_name  TEXT NOT NULL,
    name_hash      INTEGER NOT NULL,
    kind           TEXT NOT NULL CHECK (kind IN ('delivered', 'skipped', 'dead_lettered', 'dropped')),
    rule           TEXT,
    table_id       INTEGER,
    delivery_id    TEXT NOT NULL,
    target_arn     TEXT NOT NULL,
    due_at_ms      INTEGER NOT NULL,
    ended_at_ms    INTEGER NOT NULL,
    attempts       INTEGER NOT NULL,
    reason         TEXT
) STRICT;
CREATE INDEX outcome_by_name ON outcome (name_hash);

-- SQS --------------------------------------------------------------------------------------------------

CREATE TABLE queue (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    name                TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 80),
    region              TEXT NOT NULL,
    attributes          BLOB NOT NULL,                  -- JSON object of strings, as SetQueueAttributes gave them
    tags                BLOB NOT NULL DEFAULT x'7b7d',
    created_at_ms       INTEGER NOT NULL,
    last_modified_at_ms INTEGER NOT NULL,
    purged_at_ms        INTEGER                         -- when PurgeQueue was last called
) STRICT;

CREATE TABLE message (
    id                   INTEGER PRIMARY KEY AUTOINCREMENT,  -- a FIFO queue's order, and its sequence numbers
    queue_id             INTEGER NOT NULL,
    message_id           TEXT NOT NULL,
    body                 TEXT NOT NULL,
    attributes           BLOB,                          -- JSON of MessageAttributes, binary values in base64; null: none
    system_attributes    BLOB,                          -- JSON of strings: AWSTraceHeader, DeadLetterQueueSourceArn
    group_id             TEXT,
    deduplication_id     TEXT,
    message_group_id     INTEGER,                       -- message_group.id; null in standard queues
    sent_at_ms           INTEGER NOT NULL,
    visible_at_ms        INTEGER NOT NULL,              -- in the future: delayed, or in flight where it was received
    receive_count        INTEGER NOT NULL DEFAULT 0,    -- also the generation of the newest receipt handle
    first_received_at_ms INTEGER,
    received_at_ms       INTEGER                        -- of the last receive
) STRICT;
CREATE INDEX message_by_visibility ON message (queue_id, visible_at_ms, sent_at_ms);
CREATE INDEX message_by_group ON message (message_group_id, id) WHERE message_group_id IS NOT NULL;

-- The message groups of FIFO queues that hold messages, so that a receive passes over a blocked group at once.
CREATE TABLE message_group (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    queue_id        INTEGER NOT NULL,
    name            TEXT NOT NULL,
    available_at_ms INTEGER NOT NULL,                   -- when its first message can be received
    UNIQUE (queue_id, name)
) STRICT;
CREATE INDEX message_group_by_availability ON message_group (queue_id, available_at_ms);

-- What was sent to FIFO queues of late, in the order of sending; kept for the deduplication interval.
CREATE TABLE deduplication (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    queue_id         INTEGER NOT NULL,
    scope            TEXT NOT NULL,                     -- the message group, or empty: the whole queue
    deduplication_id TEXT NOT NULL,
    message_row_id   INTEGER NOT NULL,
    message_id       TEXT NOT NULL,
    sent_at_ms       INTEGER NOT NULL,
    UNIQUE (queue_id, scope, deduplication_id)
) STRICT;

-- SES --------------------------------------------------------------------------------------------------

CREATE TABLE identity (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT NOT NULL UNIQUE,                 -- an address or a domain
    region        TEXT NOT NULL,
    verified      INTEGER NOT NULL DEFAULT 1,
    declaration   BLOB NOT NULL DEFAULT x'7b7d',
    created_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE email (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id    TEXT NOT NULL,                        -- SES's MessageId
    region        TEXT NOT NULL,
    source        TEXT NOT NULL,
    destination   BLOB NOT NULL,                        -- JSON: ToAddresses, CcAddresses, BccAddresses
    subject       TEXT NOT NULL,
    text_part     TEXT,
    html_part     TEXT,
    raw           BLOB,                                 -- the MIME message where the sender gave one
    details       BLOB NOT NULL DEFAULT x'7b7d',        -- JSON: reply_to, return_path, tags
    delivery_id   TEXT,                                 -- of the schedule that sent it; null: sent through the API
    sent_at_ms    INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX email_by_message_id ON email (message_id);  -- they grow with time: appended to

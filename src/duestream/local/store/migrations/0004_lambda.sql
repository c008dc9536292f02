-- Lambda: functions, invocations that were accepted and are not ended, event source mappings.

CREATE TABLE lambda_function (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 64),
    region TEXT NOT NULL,
    configuration BLOB NOT NULL, -- JSON under AWS's names
    code BLOB NOT NULL,          -- the zip file as it was given
    code_sha256 TEXT NOT NULL,   -- base64, as AWS shows it
    revision_id TEXT NOT NULL,
    tags BLOB NOT NULL DEFAULT '{}',
    policy BLOB,                 -- JSON: the statements of AddPermission
    invoke_config BLOB,          -- JSON: PutFunctionEventInvokeConfig
    created_at_ms INTEGER NOT NULL,
    last_modified_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE lambda_invocation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    function_id INTEGER NOT NULL,
    request_id TEXT NOT NULL,
    payload BLOB NOT NULL,
    client_context TEXT,
    accepted_at_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    attempt_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX lambda_invocation_due ON lambda_invocation (attempt_at_ms, id);
CREATE INDEX lambda_invocation_of_function ON lambda_invocation (function_id);

CREATE TABLE event_source_mapping (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL UNIQUE,
    region TEXT NOT NULL,
    function_name TEXT NOT NULL,
    source_arn TEXT NOT NULL,
    configuration BLOB NOT NULL, -- JSON under AWS's names
    enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    tags BLOB NOT NULL DEFAULT '{}',
    last_result TEXT NOT NULL,
    last_modified_at_ms INTEGER NOT NULL
) STRICT;

-- How far a mapping has read its stream; one row for each of its lanes (ParallelizationFactor).
CREATE TABLE mapping_position (
    mapping_id INTEGER NOT NULL,
    lane INTEGER NOT NULL,
    sequence INTEGER NOT NULL,          -- done up to this record
    batches BLOB NOT NULL,              -- JSON: batches that failed, in their order, and the open tumbling window
    attempt_at_ms INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (mapping_id, lane)
) STRICT, WITHOUT ROWID;

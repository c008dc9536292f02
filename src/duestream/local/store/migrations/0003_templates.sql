-- Email templates of SES; both versions of its API share them.
CREATE TABLE email_template (
    id            INTEGER PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE,
    subject       TEXT,
    text          TEXT,
    html          TEXT,
    created_at_ms INTEGER NOT NULL
) STRICT;

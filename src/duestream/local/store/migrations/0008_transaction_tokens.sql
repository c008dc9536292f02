-- Tokens of DynamoDB's transactions: what was carried out in the last ten minutes, so that it is not done twice.
CREATE TABLE transaction_token (
    id            INTEGER PRIMARY KEY,                  -- 63 bits of a hash of operation and token
    request       BLOB NOT NULL,                        -- a hash of all other parameters
    created_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX transaction_token_by_age ON transaction_token (created_at_ms);

-- Bursar's log as plain tables. This file is a copy for reading: Bursar itself never opens it.
-- Times are ISO 8601 in UTC. Amounts are whole numbers in the smallest unit of their asset. `NULL` stands for absent.

-- The economies, as they are after the newest record.
CREATE TABLE economies (
    economy   TEXT PRIMARY KEY,
    status    TEXT    NOT NULL,  -- open, frozen or closed
    opened_at TEXT    NOT NULL,
    records   INTEGER NOT NULL,  -- number of records
    head      TEXT    NOT NULL   -- hash of the newest record
) STRICT, WITHOUT ROWID;

-- Every record, in the order of the file.
CREATE TABLE records (
    number          INTEGER PRIMARY KEY,  -- in the file, without gaps, from 1
    economy         TEXT    NOT NULL,
    seq             INTEGER NOT NULL,     -- in the economy, without gaps, from 1
    recorded_at     TEXT    NOT NULL,
    kind            TEXT    NOT NULL,     -- of the act: transfer, issue, call, …
    outcome         TEXT    NOT NULL,     -- applied, rejected, declined, faulted or broken
    actor           TEXT    NOT NULL,     -- name of the API key
    idempotency_key TEXT,
    request         TEXT    NOT NULL,     -- JSON: method, path and body
    act             TEXT    NOT NULL,     -- JSON
    changes         TEXT    NOT NULL,     -- JSON: effects other than movements
    status          INTEGER NOT NULL,     -- HTTP status of the answer
    answer          TEXT    NOT NULL,     -- JSON
    version         TEXT    NOT NULL,     -- of the Bursar that wrote the record
    epoch           INTEGER NOT NULL,     -- the opening of the file in which it was written
    previous        TEXT    NOT NULL,     -- hash of the economy's record before
    hash            TEXT    NOT NULL
) STRICT;

-- Every movement, in the order of the file.
CREATE TABLE movements (
    number            INTEGER PRIMARY KEY,  -- in the file, without gaps, from 1
    record            INTEGER NOT NULL REFERENCES records (number),
    economy           TEXT    NOT NULL,
    seq               INTEGER NOT NULL,     -- of the record in the economy
    part              INTEGER NOT NULL,     -- the transfer of an atomic batch, from 0
    source            TEXT    NOT NULL,
    destination       TEXT    NOT NULL,
    asset             TEXT    NOT NULL,
    amount            INTEGER NOT NULL,
    source_after      INTEGER NOT NULL,     -- posted balance of the source after the movement
    destination_after INTEGER NOT NULL
) STRICT;

-- The accounts, as they are after the newest record.
CREATE TABLE accounts (
    economy  TEXT NOT NULL,
    account  TEXT NOT NULL,
    status   TEXT NOT NULL,  -- open, frozen or closed
    limits   TEXT,           -- JSON: credit_limit and ceiling by asset
    metadata TEXT,           -- JSON
    PRIMARY KEY (economy, account)
) STRICT, WITHOUT ROWID;

-- The balances, as they are after the newest record.
CREATE TABLE balances (
    economy TEXT    NOT NULL,
    account TEXT    NOT NULL,
    asset   TEXT    NOT NULL,
    posted  INTEGER NOT NULL,  -- sum of all movements
    held    INTEGER NOT NULL,  -- reserved by open holds
    PRIMARY KEY (economy, account, asset)
) STRICT, WITHOUT ROWID;

-- The assets, as they are after the newest record.
CREATE TABLE assets (
    economy    TEXT    NOT NULL,
    asset      TEXT    NOT NULL,
    kind       TEXT    NOT NULL,  -- currency or item
    name       TEXT    NOT NULL,
    symbol     TEXT,
    decimals   INTEGER NOT NULL,  -- of a display; amounts here have none
    supply     INTEGER NOT NULL,  -- in circulation
    max_supply INTEGER,
    metadata   TEXT,              -- JSON
    PRIMARY KEY (economy, asset)
) STRICT, WITHOUT ROWID;

-- The open holds. Holds that have ended are in `records`.
CREATE TABLE holds (
    economy     TEXT    NOT NULL,
    hold        TEXT    NOT NULL,
    source      TEXT    NOT NULL,
    destination TEXT    NOT NULL,
    asset       TEXT    NOT NULL,
    remaining   INTEGER NOT NULL,
    placed_at   TEXT    NOT NULL,
    expires_at  TEXT    NOT NULL,
    on_expiry   TEXT    NOT NULL,  -- release or capture
    plugin      TEXT,              -- the plugin that placed it
    PRIMARY KEY (economy, hold)
) STRICT, WITHOUT ROWID;

-- The installed plugins, as they are after the newest record.
CREATE TABLE plugins (
    economy     TEXT    NOT NULL,
    plugin      TEXT    NOT NULL,  -- the name of the installation
    id          TEXT    NOT NULL,  -- the name in its manifest
    component   TEXT    NOT NULL,  -- SHA-256
    enabled     INTEGER NOT NULL,  -- 0 or 1
    config      TEXT    NOT NULL,  -- JSON
    state_bytes INTEGER NOT NULL,
    PRIMARY KEY (economy, plugin)
) STRICT, WITHOUT ROWID;

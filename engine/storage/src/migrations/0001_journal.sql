-- The journal: what was asked, what was decided, what changed. Rows are added and never touched again.
CREATE TABLE records (
    id              INTEGER PRIMARY KEY,            -- order of commit in this file, without gaps
    economy         TEXT    NOT NULL,
    seq             INTEGER NOT NULL CHECK (seq > 0),   -- order within the economy, without gaps
    epoch           INTEGER NOT NULL,               -- which opening of its file wrote this
    version         TEXT    NOT NULL,               -- and which version of bursar
    recorded_at     INTEGER NOT NULL,               -- milliseconds since 1970-01-01 UTC; never decreases in an economy
    kind            TEXT    NOT NULL,               -- transfer, issue, call, set_account, …
    actor           TEXT    NOT NULL,               -- the API key that asked
    idempotency_key TEXT,
    request         TEXT    NOT NULL,               -- what the client asked: method, route and body, as JSON
    act             TEXT    NOT NULL,               -- what was decided upon: the request with ids and times
    outcome         TEXT    NOT NULL CHECK (outcome IN ('applied', 'rejected', 'declined', 'faulted', 'broken')),
    changes         TEXT    NOT NULL,               -- effects other than movements, as a JSON array
    status          INTEGER NOT NULL,               -- the answer's HTTP status …
    answer          TEXT    NOT NULL,               -- … and its body, byte for byte
    previous        BLOB    NOT NULL CHECK (length(previous) = 32),  -- hash of the economy's record before
    hash            BLOB    NOT NULL CHECK (length(hash) = 32)       -- SHA-256 over all of the above and the movements
) STRICT;

-- The records of one economy, in order.
CREATE UNIQUE INDEX records_in_economy ON records (economy, seq);

-- The movements of money and items: a record's effects in plain columns.
CREATE TABLE movements (
    id                   INTEGER PRIMARY KEY,       -- without gaps
    record               INTEGER NOT NULL,          -- records.id
    source               TEXT    NOT NULL,
    destination          TEXT    NOT NULL,
    asset                TEXT    NOT NULL,
    amount               INTEGER NOT NULL CHECK (amount BETWEEN 1 AND 9007199254740991),
    part                 INTEGER NOT NULL,          -- which transfer of its batch, from 0; 0 where there is no batch
    source_after         INTEGER NOT NULL,          -- what the source has posted after this movement
    destination_after    INTEGER NOT NULL,
    source_previous      INTEGER,                   -- movements.id of the source's movement before this one
    destination_previous INTEGER
) STRICT;

CREATE TRIGGER records_stay_as_written BEFORE UPDATE ON records
BEGIN SELECT RAISE(ABORT, 'the journal is never updated'); END;
CREATE TRIGGER records_stay BEFORE DELETE ON records
BEGIN SELECT RAISE(ABORT, 'the journal is never deleted'); END;
CREATE TRIGGER movements_stay_as_written BEFORE UPDATE ON movements
BEGIN SELECT RAISE(ABORT, 'the journal is never updated'); END;
CREATE TRIGGER movements_stay BEFORE DELETE ON movements
BEGIN SELECT RAISE(ABORT, 'the journal is never deleted'); END;

-- Every idempotency key ever used, and the record that it led to.
CREATE TABLE keys (
    economy TEXT    NOT NULL,
    key     TEXT    NOT NULL,
    record  INTEGER NOT NULL,
    PRIMARY KEY (economy, key)
) STRICT, WITHOUT ROWID;

-- What a record is about: the ids of transfers, holds and calls. The first record of an id has made it.
CREATE TABLE subjects (
    id       BLOB    NOT NULL CHECK (length(id) = 16),  -- a UUID; those of one moment are neighbours
    record   INTEGER NOT NULL,
    movement INTEGER,                               -- the first of its movements in this record, if it has any there
    PRIMARY KEY (id, record)
) STRICT, WITHOUT ROWID;

-- The movements once more, in the order of accounts, filled in portions beside the work.
CREATE TABLE account_movements (
    economy  TEXT    NOT NULL,
    account  TEXT    NOT NULL,
    asset    TEXT    NOT NULL,
    movement INTEGER NOT NULL,                      -- movements.id
    after    INTEGER NOT NULL,                      -- what the account has posted after it
    PRIMARY KEY (economy, account, asset, movement)
) STRICT, WITHOUT ROWID;

-- Up to which movement they are all in there; the only row is the only one that changes.
CREATE TABLE account_movements_upto (movement INTEGER NOT NULL) STRICT;
INSERT INTO account_movements_upto (movement) VALUES (0);

-- Components, byte for byte as uploaded, by SHA-256.
CREATE TABLE components (
    digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
    bytes  BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Each opening of the file by what writes to it. No promise rests on this: records carry their epoch.
CREATE TABLE epochs (
    epoch     INTEGER PRIMARY KEY,
    opened_at INTEGER NOT NULL,
    version   TEXT    NOT NULL
) STRICT;

-- The state as it was after a record, in pieces. It counts only once it is closed.
CREATE TABLE checkpoints (
    id             INTEGER PRIMARY KEY,
    record         INTEGER NOT NULL,                -- the state is as after this record
    movement       INTEGER NOT NULL,                -- and after this movement
    recorded_at    INTEGER NOT NULL,
    pieces         INTEGER,                         -- how many there are; NULL until closed
    digest         BLOB CHECK (length(digest) = 32) -- SHA-256 over the numbers above and all pieces; NULL until closed
) STRICT;
CREATE TABLE checkpoint_pieces (
    checkpoint INTEGER NOT NULL,
    ordinal    INTEGER NOT NULL,
    economy    TEXT    NOT NULL,
    item       TEXT    NOT NULL,
    PRIMARY KEY (checkpoint, ordinal)
) STRICT, WITHOUT ROWID;

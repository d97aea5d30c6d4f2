-- The log: requests, acts, effects and answers, in frames of at most 64 records. Rows are added and never changed.
CREATE TABLE frames (
    id            INTEGER PRIMARY KEY,              -- number of the first record; records have no gaps
    batch         INTEGER NOT NULL,                 -- the commit: all of its frames are written, or none is
    records       INTEGER NOT NULL,                 -- number of records
    format        INTEGER NOT NULL,                 -- how `bytes` are encoded
    request_bytes INTEGER,                          -- length of the request, if there is one record only
    head          BLOB NOT NULL CHECK (length(head) = 32),  -- SHA-256 over this frame and all before it
    bytes         BLOB NOT NULL                     -- header, records as CBOR (zstd), checksum
) STRICT;

CREATE TRIGGER frames_stay_as_written BEFORE UPDATE ON frames
BEGIN SELECT RAISE(ABORT, 'the log is never updated'); END;
CREATE TRIGGER frames_stay BEFORE DELETE ON frames
BEGIN SELECT RAISE(ABORT, 'the log is never deleted'); END;

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

-- The identity of the file, which tells its index from that of another file.
CREATE TABLE identity (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    file BLOB NOT NULL CHECK (length(file) = 16)    -- random
) STRICT;
INSERT INTO identity (id, file) VALUES (1, randomblob(16));

-- The state after a record, in pieces. A checkpoint counts only once it is closed.
CREATE TABLE checkpoints (
    id          INTEGER PRIMARY KEY,
    record      INTEGER NOT NULL,                   -- the newest record of the state
    movement    INTEGER NOT NULL,                   -- its newest movement
    batch       INTEGER NOT NULL,                   -- its newest commit
    head        BLOB NOT NULL CHECK (length(head) = 32),  -- of the newest frame
    recorded_at INTEGER NOT NULL,
    pieces      INTEGER,                            -- number of pieces; NULL until closed
    digest      BLOB CHECK (length(digest) = 32)    -- SHA-256 over the numbers above and all pieces; NULL until closed
) STRICT;
CREATE TABLE checkpoint_pieces (
    checkpoint INTEGER NOT NULL,
    ordinal    INTEGER NOT NULL,
    bytes      BLOB NOT NULL,                       -- lines of JSON (zstd)
    PRIMARY KEY (checkpoint, ordinal)
) STRICT, WITHOUT ROWID;

-- How far webhooks have come. Notes and no records: no hash covers them, and after a crash the newest may be missing.
CREATE TABLE webhook_progress (
    economy  TEXT NOT NULL,
    webhook  TEXT NOT NULL,
    progress TEXT NOT NULL,                         -- as JSON
    PRIMARY KEY (economy, webhook)
) STRICT, WITHOUT ROWID;

-- The time at which the file was last served. A note and no record: its one row is replaced every few seconds.
CREATE TABLE clock_mark (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    kept       INTEGER NOT NULL,                    -- the time that records were stamped with
    wall       INTEGER NOT NULL,                    -- what the clock of the machine showed
    boot       TEXT    NOT NULL,                    -- which boot of the machine that was; empty if not known
    elapsed_ms INTEGER NOT NULL                     -- milliseconds since that boot
) STRICT;

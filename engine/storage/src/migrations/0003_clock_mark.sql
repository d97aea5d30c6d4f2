-- The time at which the file was last served. A note and no record: its one row is replaced every few seconds.
CREATE TABLE clock_mark (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    kept       INTEGER NOT NULL,                    -- the time that records were stamped with
    wall       INTEGER NOT NULL,                    -- what the clock of the machine showed
    boot       TEXT    NOT NULL,                    -- which boot of the machine that was; empty if not known
    elapsed_ms INTEGER NOT NULL                     -- milliseconds since that boot
) STRICT;

-- How far webhooks have come. Notes and no records: no hash covers them, and after a crash the newest may be missing.
CREATE TABLE webhook_progress (
    economy  TEXT NOT NULL,
    webhook  TEXT NOT NULL,
    progress TEXT NOT NULL,                         -- as JSON
    PRIMARY KEY (economy, webhook)
) STRICT, WITHOUT ROWID;

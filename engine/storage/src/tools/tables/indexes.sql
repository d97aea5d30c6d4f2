-- Made after all rows are there, which is faster than to keep them up to date.
CREATE UNIQUE INDEX records_by_seq ON records (economy, seq);
CREATE INDEX records_by_kind ON records (economy, kind, seq);
CREATE INDEX records_by_time ON records (recorded_at);
CREATE INDEX records_by_key ON records (idempotency_key, economy) WHERE idempotency_key IS NOT NULL;
CREATE INDEX movements_by_record ON movements (record);
CREATE INDEX movements_by_source ON movements (economy, source, asset);
CREATE INDEX movements_by_destination ON movements (economy, destination, asset);
CREATE INDEX balances_by_asset ON balances (economy, asset, posted);

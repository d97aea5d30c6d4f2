//! The rows of copies, and long reads beside a write-ahead log that grows.

use std::collections::BTreeMap;

use super::*;
use crate::background::BackgroundPace;
use crate::tools::audit::Watch;
use crate::wal::Wal;

/// Returns the rows of each table of a file, without pieces of earlier checkpoints, which no start needs.
fn rows_of(path: &Path) -> BTreeMap<String, Vec<String>> {
    let database = Database::open_reader(path).expect("it opens");
    let mut tables = Vec::new();
    let mut read = database
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .expect("the schema");
    let listed = read.each(Vec::new(), |row| {
        tables.push(row.get::<String>(0)?);
        Ok(true)
    });
    listed.expect("the tables");
    let rows = |table: &String| {
        let newest = if table == "checkpoint_pieces" {
            "WHERE checkpoint = (SELECT max(id) FROM checkpoints WHERE pieces IS NOT NULL)"
        } else {
            ""
        };
        let mut rows = Vec::new();
        let mut read = database
            .prepare(&format!("SELECT * FROM \"{table}\" {newest}"))
            .expect("a table");
        let listed = read.each(Vec::new(), |row| {
            let columns = 0..row.column_count();
            let values: Vec<_> = columns.map(|column| row.get_value(column)).collect();
            rows.push(format!("{values:?}"));
            Ok(true)
        });
        listed.expect("the rows");
        (table.clone(), rows)
    };
    tables.iter().map(rows).collect()
}

#[test]
fn a_copy_has_all_rows_of_all_tables_and_the_same_schema() {
    let (folder, path, storage) = open_guild();
    // Together these requests are longer than a slice.
    let steps: Vec<String> = (0..60_000).map(|number| format!("/{number}")).collect();
    let long = steps.concat();
    for number in 0..4 {
        let key = format!("long {number}");
        let act = transfer("user:1", "user:2", 1);
        let asked = submission_at(&format!("{long}{number}"), Some(&key), act);
        let receiver = storage.submit(asked).expect("room");
        answered(receiver.blocking_recv().expect("an answer").expect("ok"));
    }
    storage.close();
    drop(storage);
    let database = Database::open_writer(&path).expect("no process has it open");
    let added = "CREATE TABLE \"own notes\" (note TEXT); INSERT INTO \"own notes\" VALUES ('kept');
                 CREATE INDEX by_note ON \"own notes\" (note);
                 CREATE TRIGGER none_goes BEFORE DELETE ON \"own notes\" BEGIN SELECT RAISE(ABORT, 'no'); END";
    database.batch(added).expect("tables of another program");
    drop(database);
    let to = folder.path().join("copy.db");
    let plan = BackupPlan {
        audit: false,
        wal_bytes_max: 0,
    };
    let report = back_up_file(&path, &to, plan, render, &mut |_, _| {}).expect("a copy");
    assert_eq!(report.bytes, to.metadata().expect("it is there").len());
    let copied = rows_of(&to);
    assert!(copied.len() >= 8, "{:?}", copied.keys());
    assert_eq!(copied, rows_of(&path));
    let schema = |path: &Path| {
        let database = Database::open_reader(path).expect("it opens");
        let number = |sql: &str| database.number(sql).expect("a number");
        let parts = number("SELECT count(*) FROM sqlite_schema");
        let page = number("PRAGMA page_size");
        (parts, page, number("PRAGMA application_id"))
    };
    assert_eq!(schema(&to), schema(&path));
    let checked = Database::open_reader(&to).expect("it opens");
    let faults =
        checked.number("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'");
    assert_eq!(faults.expect("a check"), 0);
}

#[test]
fn the_check_of_pages_ends_when_the_log_grows_too_large() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    founded(&path);
    let log = folder.path().join("guild.db-wal");
    let database = Database::open_reader(&path).expect("it opens");
    let cancel = Cancel::new();
    let watch = Watch {
        pace: BackgroundPace::unhindered(),
        ..Watch::alone(&cancel)
    };
    let run = |wal: &Wal, sql: &str| watch.long_statement(&database, wal, || database.number(sql));
    let wal = Wal::of(&path, 100);
    let soon = run(&wal, "SELECT 7").expect("a number");
    assert_eq!(soon, Some(7));
    std::fs::write(&log, [0; 101]).expect("a longer log");
    let without_end =
        "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";
    let ended = run(&wal, without_end).expect("it is no error");
    assert_eq!(ended, None);
}

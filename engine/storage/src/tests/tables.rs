//! Copies of a file as plain tables: records, movements and balances, either complete or absent.

use std::os::unix::fs::PermissionsExt;

use super::rich::furnish;
use super::*;

/// Returns a closed file with every kind of record, and the path of its tables.
fn rich(folder: &tempfile::TempDir) -> (PathBuf, PathBuf) {
    let path = folder.path().join("guild.db");
    let storage = open(&path);
    furnish(&storage);
    storage.close();
    (path, folder.path().join("tables.db"))
}

fn strings(tables: &Path, sql: &str) -> Vec<String> {
    let database = Database::open_reader(tables).expect("the tables");
    let mut read = database.prepare(sql).expect("sql");
    let mut found = Vec::new();
    let each = read.each(Vec::new(), |row| {
        found.push(row.get::<String>(0)?);
        Ok(true)
    });
    each.expect("the tables are read");
    found
}

fn files(folder: &tempfile::TempDir) -> Vec<String> {
    let entries = std::fs::read_dir(folder.path()).expect("the folder");
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        let name = entry.expect("an entry").file_name();
        name.to_string_lossy().into_owned()
    };
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}

#[test]
fn the_tables_have_every_record_as_it_was_stored() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, to) = rich(&folder);
    let mut last = (0, 0);
    let report = write_tables_of_file(&path, &to, &mut |done, all| last = (done, all));
    let report = report.expect("the tables are written");
    let stored = chained(&path);
    let all = stored.len() as u64;
    assert_eq!((report.records, last), (all, (all, all)));
    let mode = to.metadata().expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(report.bytes, to.metadata().expect("a file").len());
    let rows = strings(
        &to,
        "SELECT json_array(number, economy, seq, kind, outcome, actor, idempotency_key, request, act, changes,
            status, answer, hash) FROM records ORDER BY number",
    );
    let expected: Vec<String> = stored
        .iter()
        .map(|(record, link)| {
            let answer = std::str::from_utf8(&record.answer).expect("a text");
            json!([
                record.id,
                record.economy,
                record.seq,
                record.kind,
                record.outcome.as_str(),
                record.actor,
                record.key,
                record.request,
                record.act,
                record.changes,
                record.status,
                answer,
                link.hash,
            ])
            .to_string()
        })
        .collect();
    assert_eq!(rows, expected);
}

#[test]
fn movements_and_balances_in_the_tables_agree() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, to) = rich(&folder);
    let report = write_tables_of_file(&path, &to, &mut |_, _| {}).expect("the tables");
    let movements: usize = records(&path).iter().map(|it| it.movements.len()).sum();
    assert_eq!(report.movements, movements as u64);
    assert_eq!(
        count(&to, "SELECT count(*) FROM movements"),
        i64::try_from(movements).expect("few")
    );
    assert_eq!(
        count(&to, "SELECT max(number) FROM movements"),
        i64::try_from(movements).expect("few")
    );
    // Each balance is the sum of its movements.
    let different = "SELECT count(*) FROM balances AS b WHERE posted !=
        (SELECT coalesce(sum(amount), 0) FROM movements AS m
            WHERE m.economy = b.economy AND m.asset = b.asset AND m.destination = b.account)
      - (SELECT coalesce(sum(amount), 0) FROM movements AS m
            WHERE m.economy = b.economy AND m.asset = b.asset AND m.source = b.account)";
    assert_eq!(count(&to, different), 0);
    assert!(count(&to, "SELECT count(*) FROM balances WHERE posted > 0") >= 3);
    let state = load_file(&FileLock::acquire(&path).expect("the lock")).expect("a state");
    let books = state.books(&guild()).expect("the economy");
    for (table, expected) in [
        ("accounts", books.accounts().len()),
        ("assets", books.assets().len()),
        ("plugins", books.plugins().len()),
        ("holds", books.holds_open()),
    ] {
        let found = count(
            &to,
            &format!("SELECT count(*) FROM {table} WHERE economy = 'guild'"),
        );
        assert_eq!(found, i64::try_from(expected).expect("few"), "{table}");
    }
    let nick = "SELECT metadata ->> 'nick' FROM accounts WHERE account = 'user:2'";
    assert_eq!(strings(&to, nick), ["a \u{fffd} b"]);
}

#[test]
fn times_in_the_tables_are_exact_to_the_millisecond() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    let ticks = AtomicU64::new(1_764_025_200_001);
    let time = TimeSource::even(move || Timestamp(ticks.fetch_add(1, Ordering::Relaxed)));
    let lock = FileLock::acquire(&path).expect("the lock");
    let storage = Storage::open(&path, lock, &time, render).expect("the file opens");
    found(&storage);
    storage.close();
    let to = folder.path().join("tables.db");
    write_tables_of_file(&path, &to, &mut |_, _| {}).expect("the tables");
    let stored = records(&path);
    let shown = strings(&to, "SELECT recorded_at FROM records ORDER BY number");
    assert_eq!(shown.len(), stored.len());
    for (shown, record) in shown.iter().zip(&stored) {
        let ms = record.recorded_at.0 - 1_764_025_200_000;
        assert!(ms < 1_000, "{ms}");
        assert_eq!(*shown, format!("2025-11-24T23:00:00.{ms:03}Z"));
    }
}

#[test]
fn tables_overwrite_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, to) = rich(&folder);
    std::fs::write(&to, b"mine").expect("a file");
    let error = write_tables_of_file(&path, &to, &mut |_, _| {}).expect_err("it exists");
    assert!(matches!(error, NewFileError::Exists(_)), "{error:?}");
    assert_eq!(std::fs::read(&to).expect("the file"), b"mine");
    let itself = write_tables_of_file(&path, &path, &mut |_, _| {});
    assert!(matches!(itself, Err(NewFileError::Exists(_))), "{itself:?}");
    all_promises_hold(&path);
}

#[test]
fn a_damaged_file_has_no_tables() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, to) = rich(&folder);
    alter_records(&path, |record| {
        if record.id == 8 {
            record.actor = "other".into();
        }
    });
    let before = files(&folder);
    let error = write_tables_of_file(&path, &to, &mut |_, _| {}).expect_err("it is damaged");
    assert!(error.to_string().contains("damaged at record 8"), "{error}");
    assert_eq!(files(&folder), before);
}

#[test]
fn tables_are_no_file_that_a_server_opens() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, to) = rich(&folder);
    write_tables_of_file(&path, &to, &mut |_, _| {}).expect("the tables");
    let refused = FileLock::acquire(&to).map(drop);
    let foreign = matches!(refused, Err(StorageError::NotOurs { .. }));
    assert!(foreign, "{refused:?}");
}

#[test]
fn common_questions_use_an_index() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, to) = rich(&folder);
    write_tables_of_file(&path, &to, &mut |_, _| {}).expect("the tables");
    for question in [
        "SELECT * FROM records WHERE economy = 'guild' AND seq = 5",
        "SELECT * FROM records WHERE idempotency_key = 'pay'",
        "SELECT * FROM records WHERE recorded_at > '2025'",
        "SELECT * FROM movements WHERE record = 5",
        "SELECT * FROM movements WHERE economy = 'guild' AND source = 'user:1'",
        "SELECT * FROM movements WHERE economy = 'guild' AND destination = 'user:1'",
    ] {
        let database = Database::open_reader(&to).expect("the tables");
        let mut explain = database
            .prepare(&format!("EXPLAIN QUERY PLAN {question}"))
            .expect("sql");
        let detail = explain.first(Vec::new(), |row| Ok(row.get::<String>(3)?));
        let detail = detail.expect("a plan").expect("a row");
        assert!(detail.contains("SEARCH"), "{question}: {detail}");
    }
}

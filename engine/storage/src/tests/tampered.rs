//! Alterations of a file: an audit finds each altered byte of a row and each row that was removed, added or moved, and
//! names the first affected record.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::OnceLock;

use libsql::Value;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

use super::rich::furnish;
use super::*;
use crate::record::Outcome;
use crate::rows;
use bursar_ledger::NumberedMovement;

/// The statements that disable the checks and triggers of the file before a change.
const BEFORE: &str = "PRAGMA ignore_check_constraints = ON;
    DROP TRIGGER frames_stay; DROP TRIGGER frames_stay_as_written;";

/// A column of a row, and the record to which the row belongs.
#[derive(Clone, Debug)]
struct Cell {
    table: &'static str,
    column: String,
    /// The row, as an SQL condition.
    row: String,
    value: Value,
    record: u64,
}

/// A closed file with every kind of record, and all its cells.
struct Original {
    bytes: Vec<u8>,
    cells: Vec<Cell>,
    triggers: Vec<String>,
    records: u64,
}

fn original() -> &'static Original {
    static ORIGINAL: OnceLock<Original> = OnceLock::new();
    ORIGINAL.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("guild.db");
        let storage = open(&path);
        furnish(&storage);
        storage.close();
        drop(storage);
        let report = all_promises_hold(&path);
        let database = Database::open_reader(&path).expect("the file");
        let mut cells = Vec::new();
        let added = "(SELECT id FROM frames ORDER BY id LIMIT 1 OFFSET 6)";
        for (table, row, record) in [
            ("frames", "'id = ' || id", "id"),
            ("components", "'true'", added),
        ] {
            cells.extend(cells_of(&database, table, row, record));
        }
        let mut triggers = Vec::new();
        let mut read = database.prepare("SELECT sql FROM sqlite_schema WHERE type = 'trigger'");
        let read = read.as_mut().expect("sql");
        let each = read.each(Vec::new(), |row| {
            triggers.push(row.get::<String>(0)?);
            Ok(true)
        });
        each.expect("the schema is read");
        drop(database);
        Original {
            bytes: std::fs::read(&path).expect("the file"),
            cells,
            triggers,
            records: report.records,
        }
    })
}

fn cells_of(database: &Database, table: &'static str, row: &str, record: &str) -> Vec<Cell> {
    let mut columns = Vec::new();
    let named = database.prepare(&format!("SELECT name FROM pragma_table_info('{table}')"));
    let each = named.expect("sql").each(Vec::new(), |row| {
        columns.push(row.get::<String>(0)?);
        Ok(true)
    });
    each.expect("the columns are read");
    let list = columns.join(", ");
    let mut cells = Vec::new();
    let rows = database.prepare(&format!("SELECT {row}, {record}, {list} FROM {table}"));
    let each = rows.expect("sql").each(Vec::new(), |found| {
        for (column, place) in columns.iter().zip(2..) {
            cells.push(Cell {
                table,
                column: column.clone(),
                row: found.get(0)?,
                value: found.get_value(place)?,
                record: rows::unsigned(found.get(1)?)?,
            });
        }
        Ok(true)
    });
    each.expect("the rows are read");
    assert!(!cells.is_empty(), "{table} is empty");
    cells
}

/// Returns the value with one byte altered, as SQL. An empty value gets a byte.
fn altered(value: &Value, place: usize, mask: u8) -> String {
    let flipped = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        let place = place % bytes.len().max(1);
        match bytes.get_mut(place) {
            Some(byte) => *byte ^= mask,
            None => bytes.push(mask),
        }
        let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let digits = digits.filter_map(|digit| char::from_digit(u32::from(digit), 16));
        digits.collect::<String>()
    };
    match value {
        Value::Null => "1".into(),
        Value::Integer(number) => {
            let bit = i64::from(mask) << (8 * (place % 8));
            (number ^ bit).to_string()
        }
        Value::Text(text) => format!("CAST(x'{}' AS TEXT)", flipped(text.as_bytes())),
        Value::Blob(bytes) => format!("x'{}'", flipped(bytes)),
        Value::Real(_) => panic!("there are no fractions"),
    }
}

/// Returns the report of the audit after a change of the file, or `None` if SQLite rejected the change.
fn audited_after(sql: &str) -> Option<AuditReport> {
    let original = original();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    std::fs::write(&path, &original.bytes).expect("a copy");
    let vandal = Database::open_writer(&path).expect("a database");
    vandal.batch(BEFORE).expect("the guards are gone");
    vandal.batch(sql).ok()?;
    vandal
        .batch(&original.triggers.join(";"))
        .expect("as if nothing were");
    drop(vandal);
    Some(audit_file(&path, &[], render, &mut |_, _| {}).expect("the audit runs"))
}

/// Returns every record that a finding names.
fn named(report: &AuditReport) -> BTreeSet<u64> {
    let findings = report.promises.iter().flat_map(|promise| &promise.findings);
    let numbers = findings.flat_map(|finding| {
        let mut parts = finding.split("record ");
        parts.next();
        parts.filter_map(|rest| {
            let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
            digits.parse().ok()
        })
    });
    numbers.collect()
}

/// The number of altered values that the audit found, and of changes that SQLite rejected.
#[derive(Default, Debug)]
struct Tally {
    found: usize,
    refused: usize,
}

impl Tally {
    /// Alters a byte of a value. Fails unless the audit finds the change and names its record.
    fn alter(&mut self, cell: &Cell, place: usize, mask: u8) {
        self.replace(cell, &altered(&cell.value, place, mask));
    }

    fn replace(&mut self, cell: &Cell, value: &str) {
        let Cell {
            table, column, row, ..
        } = cell;
        let sql = format!("UPDATE {table} SET {column} = {value} WHERE {row}");
        let Some(report) = audited_after(&sql) else {
            self.refused += 1;
            return;
        };
        assert!(!report.ok, "not found: {sql}");
        let mut first = cell.record;
        if let ("frames", "id", Ok(claimed @ 1..)) = (*table, &**column, value.parse::<u64>()) {
            // Two records are affected: the missing one, and the one whose number is used. The audit names the first.
            first = first.min(claimed);
        }
        if *table == "frames" {
            assert_eq!(named(&report).first(), Some(&first), "{sql}\n{report:#?}");
        }
        self.found += 1;
    }

    /// Fails if the audit found too few changes, or if SQLite rejected many. It rejects a value that would no longer be
    /// unique.
    fn check(&self, least: usize) {
        let Self { found, refused } = self;
        assert!(*found >= least && refused * 10 <= *found, "{self:?}");
    }
}

#[test]
fn what_is_altered_in_any_column_of_any_row_is_found_and_named() {
    let mut tally = Tally::default();
    for cell in &original().cells {
        tally.alter(cell, 0, 1);
        if let Value::Integer(_) = cell.value {
            // The changed numbers are negative, or larger than any in use.
            tally.alter(cell, 7, 128);
            tally.alter(cell, 7, 64);
        }
    }
    tally.check(original().cells.len() * 9 / 10);
}

/// The altered bytes are the same in each run. There are more of them if more cases are requested.
#[test]
fn any_altered_byte_is_found_and_its_record_named() {
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let cases = usize::try_from(config.cases).expect("few");
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let index = any::<prop::sample::Index>;
    let tally = RefCell::new(Tally::default());
    let ran = runner.run(&(index(), index(), 1..=u8::MAX), |(cell, place, mask)| {
        let cell = cell.get(&original().cells);
        let length = match &cell.value {
            Value::Text(text) => text.len(),
            Value::Blob(bytes) => bytes.len(),
            Value::Null | Value::Integer(_) | Value::Real(_) => 8,
        };
        tally
            .borrow_mut()
            .alter(cell, place.index(length.max(1)), mask);
        Ok(())
    });
    ran.unwrap_or_else(|failure| panic!("{failure}"));
    tally.into_inner().check(cases * 9 / 10);
}

#[test]
fn a_row_that_is_removed_is_found_and_named() {
    for id in frames() {
        let sql = format!("DELETE FROM frames WHERE id = {id}");
        let report = audited_after(&sql).expect("rows are removed");
        assert_eq!(named(&report).first(), Some(&id), "{sql}\n{report:#?}");
    }
    let report = audited_after("DELETE FROM components").expect("a row is removed");
    assert!(!report.ok);
}

/// Returns the numbers of the frames of the original.
fn frames() -> Vec<u64> {
    let cells = original().cells.iter();
    let ids = cells.filter(|cell| cell.table == "frames" && cell.column == "id");
    ids.map(|cell| cell.record).collect()
}

#[test]
fn frames_that_change_places_are_found_and_named() {
    let frames = frames();
    let mut swaps = 0;
    for (place, first) in frames.iter().enumerate() {
        for second in &frames[place + 1..] {
            let sql = format!(
                "UPDATE frames SET id = -1 WHERE id = {first};
                 UPDATE frames SET id = {first} WHERE id = {second};
                 UPDATE frames SET id = {second} WHERE id = -1;"
            );
            swaps += 1;
            let report = audited_after(&sql).expect("rows are swapped");
            assert_eq!(named(&report).first(), Some(first), "{sql}\n{report:#?}");
        }
    }
    assert!(swaps > 100, "{swaps}");
}

/// Every member of a record is covered by its hash, even if the checksums are mended.
#[test]
fn any_altered_member_of_any_record_is_found_and_named() {
    let alterations: [fn(&mut Record); 15] = [
        |record| record.epoch += 1,
        |record| record.version.to_mut().push('1'),
        |record| record.recorded_at = Timestamp(record.recorded_at.0 + 1),
        |record| record.kind.to_mut().push('s'),
        |record| {
            record.outcome = if record.outcome == Outcome::Applied {
                Outcome::Rejected
            } else {
                Outcome::Applied
            }
        },
        |record| record.status += 1,
        |record| record.salt.0[7] ^= 1,
        |record| record.actor.push('s'),
        |record| {
            record.key = if record.key.is_some() {
                None
            } else {
                Some("k".into())
            }
        },
        |record| record.request.push(' '),
        |record| record.act.push(' '),
        |record| record.changes.push(' '),
        |record| record.answer = [&record.answer[..], b" "].concat().into(),
        |record| record.seq += 1,
        |record| {
            if record.movements.pop().is_none() {
                record.actor.clear();
            }
        },
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    for id in 1..=original().records {
        for (number, alter) in alterations.iter().enumerate() {
            std::fs::write(&path, &original().bytes).expect("a copy");
            alter_records(&path, |record| {
                if record.id == id {
                    alter(record);
                }
            });
            let report = audit_file(&path, &[], render, &mut |_, _| {}).expect("the audit runs");
            assert_eq!(named(&report).first(), Some(&id), "{number}\n{report:#?}");
        }
    }
}

#[test]
fn any_altered_member_of_any_movement_is_found_and_named() {
    let alterations: [fn(&mut NumberedMovement); 7] = [
        |movement| movement.part += 1,
        |movement| movement.source.0 += 1,
        |movement| movement.destination.0 += 1,
        |movement| movement.asset.0 += 1,
        |movement| movement.amount = Amount::new(movement.amount.get() + 1).expect("an amount"),
        |movement| movement.source_after += 1,
        |movement| movement.destination_after += 1,
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    std::fs::write(&path, &original().bytes).expect("a copy");
    let moving = records(&path).into_iter();
    let moving = moving.filter(|record| !record.movements.is_empty());
    let moving: Vec<u64> = moving.map(|record| record.id).collect();
    assert!(moving.len() > 5, "{moving:?}");
    for id in moving {
        for alter in alterations {
            std::fs::write(&path, &original().bytes).expect("a copy");
            alter_records(&path, |record| {
                let movements = record.movements.iter_mut();
                movements.filter(|_| record.id == id).for_each(alter);
            });
            let report = audit_file(&path, &[], render, &mut |_, _| {}).expect("the audit runs");
            assert_eq!(named(&report).first(), Some(&id), "{report:#?}");
        }
    }
}

#[test]
fn rows_that_are_added_are_found() {
    let last = original().records;
    let copied = |id: i64| {
        format!(
            "INSERT INTO frames (id, batch, records, format, request_bytes, head, bytes)
             SELECT {id}, batch + 1, records, format, request_bytes, head, bytes
             FROM frames ORDER BY id DESC LIMIT 1"
        )
    };
    let after = i64::try_from(last).expect("few") + 1;
    for (sql, record) in [
        (copied(after), Some(last + 1)),
        (copied(after + 5), Some(last + 1)),
        (copied(0), None),
        (copied(-3), None),
        (
            format!(
                "INSERT INTO components VALUES (x'{}', x'00')",
                "ab".repeat(32)
            ),
            None,
        ),
        (
            "CREATE TRIGGER t AFTER INSERT ON frames BEGIN SELECT 1; END".into(),
            None,
        ),
        ("UPDATE components SET digest = x'00'".into(), None),
        ("CREATE TABLE notes (x)".into(), None),
        ("CREATE INDEX i ON frames (batch)".into(), None),
    ] {
        let report = audited_after(&sql).expect("a row is added");
        assert!(!report.ok, "not found: {sql}");
        if let Some(record) = record {
            assert!(named(&report).contains(&record), "{sql}\n{report:#?}");
        }
    }
}

#[test]
fn a_column_that_holds_another_type_is_found() {
    let lax = "PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET sql = replace(sql, ') STRICT', ')') WHERE name = 'frames';
        PRAGMA writable_schema = RESET;";
    for (column, value) in [
        ("batch", "'x'"),
        ("records", "x'00'"),
        ("format", "1.5"),
        ("head", "5"),
        ("bytes", "'x'"),
    ] {
        let sql = format!("{lax} UPDATE frames SET {column} = {value} WHERE id = 4");
        let report = audited_after(&sql).expect("the schema is altered");
        assert!(!report.ok, "{sql}");
        assert_eq!(named(&report).first(), Some(&4), "{sql}\n{report:#?}");
    }
    let report = audited_after(lax).expect("the schema is altered");
    assert!(!report.ok, "a table that is no longer strict");
}

#[test]
fn a_guard_that_is_missing_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    founded(&path);
    vandalise(&path, "DROP TRIGGER frames_stay");
    assert_eq!(broken(&path), [10]);
}

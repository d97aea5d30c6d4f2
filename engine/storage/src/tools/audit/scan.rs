//! The reading of whole tables in slices of their keys, so that no snapshot of the file is held for long.
//!
//! Rows that belong to records up to the audit's last never change, and those that a running writer
//! adds meanwhile belong to later ones. So the slices need not share a snapshot.

use libsql::{Row, Value};

use super::watch::Watch;
use crate::database::Database;
use crate::error::StorageError;
use crate::rows;

/// The number of rows that are read under one snapshot of the file.
const ROWS_AT_ONCE: i64 = 10_000;

/// A column of a table's key.
#[derive(Clone, Copy)]
pub(super) enum KeyColumn {
    Text(&'static str),
    Blob(&'static str),
    Number(&'static str),
}

/// A table, with the columns to read.
pub(super) struct Scan {
    pub(super) table: &'static str,
    /// The columns of its key, in order.
    pub(super) key: &'static [KeyColumn],
    /// The columns to read from each row, as SQL. Its parameters from `?1` on are [`Scan::values`].
    pub(super) columns: &'static str,
    pub(super) values: Vec<Value>,
}

impl KeyColumn {
    fn name(self) -> &'static str {
        match self {
            Self::Text(name) | Self::Blob(name) | Self::Number(name) => name,
        }
    }

    fn select(self) -> String {
        match self {
            // An altered file may contain invalid text: see `rows::string`.
            Self::Text(name) => format!("CAST({name} AS BLOB)"),
            Self::Blob(name) | Self::Number(name) => name.into(),
        }
    }

    /// Returns the SQL of the column's value, which is the parameter with this number.
    fn parameter(self, number: usize) -> String {
        match self {
            // This converts bytes to a text. With a CAST, SQLite's planner uses only the first column of the
            // key, and each slice reads all rows of its economy.
            Self::Text(_) => format!("?{number} || ''"),
            Self::Blob(_) | Self::Number(_) => format!("?{number}"),
        }
    }

    fn read(self, row: &Row, column: i32) -> Result<KeyValue, StorageError> {
        Ok(match self {
            Self::Text(_) | Self::Blob(_) => KeyValue::Bytes(rows::bytes(row, column, 0)?),
            Self::Number(_) => KeyValue::Number(rows::number(row, column, 0)?),
        })
    }
}

/// A value of a key. Values of one kind are ordered as in SQLite.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum KeyValue {
    Bytes(Vec<u8>),
    Number(i64),
}

impl From<KeyValue> for Value {
    fn from(value: KeyValue) -> Self {
        match value {
            KeyValue::Bytes(bytes) => Self::Blob(bytes),
            KeyValue::Number(number) => Self::Integer(number),
        }
    }
}

impl Scan {
    /// Calls `each` for each row, with the index of the first column of [`Scan::columns`].
    pub(super) fn run(
        &self,
        database: &Database,
        watch: &Watch<'_>,
        mut each: impl FnMut(&Row, i32) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let width = i32::try_from(self.key.len()).expect("a key has few columns");
        let mut last: Option<Vec<KeyValue>> = None;
        loop {
            let _slice = watch.enter()?;
            let mut found = 0;
            let mut read = database.prepare(&self.statement(last.is_some()))?;
            let mut values = self.values.clone();
            values.extend(last.iter().flatten().cloned().map(Value::from));
            read.each(values, |row| {
                let key = (0..).zip(self.key);
                let key: Result<Vec<_>, _> =
                    key.map(|(index, column)| column.read(row, index)).collect();
                let key = key?;
                if last.as_ref().is_some_and(|last| *last >= key) {
                    let what = format!("`{}` is out of order", self.table);
                    return Err(StorageError::damaged(0, what));
                }
                last = Some(key);
                found += 1;
                each(row, width)?;
                Ok(!watch.must_pause())
            })?;
            if found == 0 {
                return Ok(());
            }
        }
    }

    /// Counts the rows whose first column is true.
    pub(super) fn count(
        &self,
        database: &Database,
        watch: &Watch<'_>,
    ) -> Result<u64, StorageError> {
        let mut count = 0;
        self.run(database, watch, |row, first| {
            count += u64::from(rows::number(row, first, 0)? != 0);
            Ok(())
        })?;
        Ok(count)
    }

    pub(super) fn statement(&self, goes_on: bool) -> String {
        let Self {
            table,
            key,
            columns,
            values,
        } = self;
        let names: Vec<&str> = key.iter().map(|column| column.name()).collect();
        let names = names.join(", ");
        let selected: Vec<String> = key.iter().map(|column| column.select()).collect();
        let selected = selected.join(", ");
        let after = if goes_on {
            let parameters = key.iter().zip(values.len() + 1..);
            let last: Vec<String> = parameters
                .map(|(column, number)| column.parameter(number))
                .collect();
            format!("WHERE ({names}) > ({})", last.join(", "))
        } else {
            String::new()
        };
        format!(
            "SELECT {selected}, {columns} FROM {table} {after} ORDER BY {names} LIMIT {ROWS_AT_ONCE}"
        )
    }
}

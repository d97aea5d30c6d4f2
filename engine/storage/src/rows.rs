//! The conversion of columns to values, with an error that names the record.

use bursar_ledger::Digest;
use libsql::{Row, Value};
use serde::Serialize;

use crate::error::{Result, StorageError};

/// Converts a number that must not be negative.
pub(crate) fn unsigned(number: i64) -> Result<u64> {
    u64::try_from(number).map_err(|_| StorageError::damaged(0, "a number is below zero"))
}

pub(crate) fn blob(digest: &Digest) -> Value {
    Value::Blob(digest.as_bytes().to_vec())
}

pub(crate) fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StorageError::damaged(0, error))
}

/// Reads a whole number from a column.
pub(crate) fn number(row: &Row, column: i32, record: u64) -> Result<i64> {
    match row.get_value(column)? {
        Value::Integer(number) => Ok(number),
        other => Err(mistyped(record, column, &other)),
    }
}

/// Reads a whole number from a column that may be null.
pub(crate) fn number_or_none(row: &Row, column: i32, record: u64) -> Result<Option<i64>> {
    match row.get_value(column)? {
        Value::Null => Ok(None),
        Value::Integer(number) => Ok(Some(number)),
        other => Err(mistyped(record, column, &other)),
    }
}

/// Reads a number that must not be negative from a column.
pub(crate) fn count(row: &Row, column: i32, record: u64) -> Result<u64> {
    let number = number(row, column, record)?;
    u64::try_from(number).map_err(|_| StorageError::damaged(record, "a number is below zero"))
}

/// Reads bytes from a column.
pub(crate) fn bytes(row: &Row, column: i32, record: u64) -> Result<Vec<u8>> {
    match row.get_value(column)? {
        Value::Blob(bytes) => Ok(bytes),
        other => Err(mistyped(record, column, &other)),
    }
}

/// Reads a text from a column, which must be selected as a blob: libsql cuts a text at its first zero byte, and panics
/// if it is not UTF-8.
pub(crate) fn string(row: &Row, column: i32, record: u64) -> Result<String> {
    match row.get_value(column)? {
        Value::Blob(bytes) => String::from_utf8(bytes)
            .map_err(|error| StorageError::damaged(record, format!("column {column}: {error}"))),
        other => Err(mistyped(record, column, &other)),
    }
}

fn mistyped(record: u64, column: i32, found: &Value) -> StorageError {
    let what = match found {
        Value::Null => "nothing",
        Value::Integer(_) => "a whole number",
        Value::Real(_) => "a number with a fraction",
        Value::Text(_) => "a text",
        Value::Blob(_) => "bytes",
    };
    StorageError::damaged(record, format!("column {column} holds {what}"))
}

pub(crate) fn name<T: std::str::FromStr>(row: &Row, column: i32, record: u64) -> Result<T>
where
    T::Err: std::fmt::Display,
{
    string(row, column, record)?
        .parse()
        .map_err(|error| StorageError::damaged(record, error))
}

pub(crate) fn digest(row: &Row, column: i32, record: u64) -> Result<Digest> {
    let bytes = bytes(row, column, record)?;
    let bytes = bytes
        .try_into()
        .map_err(|_| StorageError::damaged(record, "a hash is cut"))?;
    Ok(Digest::from_bytes(bytes))
}

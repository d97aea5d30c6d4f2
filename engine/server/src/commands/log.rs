//! `bursar log`: the records of a file as lines of JSON, for people and their tools.

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use bursar_ledger::{EconomyId, Movement, PrintableJson, Timestamp};
use bursar_storage::{ListedRecord, ListingError, Selection, list_file};
use clap::Args;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::clock::format_time;
use super::error::{CommandError, CommandResult};
use super::owner::{check_exists, lock_free};

/// Print the records of a database file, oldest first, as lines of JSON. No server may use the file.
///
/// The lines hold everything that the file holds, also the seeds of economies and the secrets of webhooks.
#[derive(Args, Debug)]
pub(super) struct PrintLog {
    /// The database file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The economy whose records are printed; all by default
    #[arg(long)]
    economy: Option<EconomyId>,
    /// The record after which the lines begin: its `seq` with --economy, and its `number` otherwise
    #[arg(long, value_name = "N", default_value_t = 0)]
    after: u64,
    /// The maximum number of records; all by default
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

impl PrintLog {
    pub(super) fn run(self) -> CommandResult {
        check_exists(&self.file)?;
        // The listing itself takes the lock while it reads.
        drop(lock_free(&self.file, "read the log")?);
        let selection = Selection {
            economy: self.economy,
            after: self.after,
            limit: self.limit,
        };
        let mut output = io::BufWriter::new(io::stdout().lock());
        let mut write = |record: ListedRecord| {
            let line = line(&record);
            writeln!(output, "{}", PrintableJson(&line))
        };
        let listed = list_file(&self.file, &selection, &mut write);
        // The records before a damage are printed before the error.
        let flushed = output.flush();
        match listed.and_then(|()| Ok(flushed?)) {
            Ok(()) => Ok(ExitCode::SUCCESS),
            // A reader may close the pipe early, which is not a failure of the command.
            Err(ListingError::Io(error)) if error.kind() == ErrorKind::BrokenPipe => {
                Ok(ExitCode::SUCCESS)
            }
            Err(error) => Err(CommandError::new(error)),
        }
    }
}

/// Formats a record as one line of JSON.
fn line(record: &ListedRecord) -> String {
    let Timestamp(recorded_at) = record.recorded_at;
    let members: [(&str, String); 19] = [
        ("number", record.number.to_string()),
        ("economy", text(record.economy.as_str())),
        ("seq", record.seq.to_string()),
        ("recorded_at", text(&format_time(recorded_at))),
        ("recorded_at_ms", recorded_at.to_string()),
        ("kind", text(&record.kind)),
        ("outcome", text(record.outcome.as_str())),
        ("actor", text(&record.actor)),
        (
            "idempotency_key",
            optional(record.idempotency_key.as_deref()),
        ),
        ("request", document(&record.request)),
        ("act", document(&record.act)),
        ("changes", document(&record.changes)),
        ("movements", movements(&record.movements)),
        ("status", record.status.to_string()),
        ("answer", document(&record.answer)),
        ("version", text(&record.version)),
        ("epoch", record.epoch.to_string()),
        ("previous", text(&record.previous.to_string())),
        ("hash", text(&record.hash.to_string())),
    ];
    let members = members.map(|(name, value)| format!("\"{name}\":{value}"));
    format!("{{{}}}", members.join(","))
}

fn text(text: &str) -> String {
    Value::from(text).to_string()
}

fn optional(value: Option<&str>) -> String {
    value.map_or_else(|| "null".into(), text)
}

/// Returns a stored JSON text as it is, so that its numbers keep their digits, or as a string if it is not one line of
/// JSON.
fn document(stored: &str) -> String {
    let is_json = serde_json::from_str::<IgnoredAny>(stored).is_ok();
    if is_json && !stored.contains('\n') {
        stored.to_owned()
    } else {
        text(stored)
    }
}

fn movements(movements: &[Movement]) -> String {
    let movements = movements.iter().map(|movement| {
        json!({
            "part": movement.part,
            "from": movement.posting.source,
            "to": movement.posting.destination,
            "asset": movement.posting.asset,
            "amount": movement.posting.amount,
            "from_after": movement.source_after,
            "to_after": movement.destination_after,
        })
    });
    movements.collect::<Value>().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_text_keeps_its_digits_and_stays_on_its_line() {
        for stored in ["{\"a\":1.0,\"b\":[]}", "1e2", "null"] {
            assert_eq!(document(stored), stored);
        }
        for other in ["", "{\"a\":1", "{\n}", "no JSON"] {
            let shown = document(other);
            let read: Value = serde_json::from_str(&shown).expect("a string");
            assert_eq!(read, other);
            assert!(!shown.contains('\n'), "{shown}");
        }
    }
}

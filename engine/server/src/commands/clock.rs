//! `bursar clock`: the time that a file goes by, and what is done when it is not that of the machine.

use std::path::PathBuf;
use std::process::ExitCode;

use bursar_storage::{ClockReport, ClockSetting, clock_of_file, set_clock_of_file};
use clap::{Args, Subcommand};
use serde_json::Value;

use super::owner::{Access, access, check_there, owner_says};
use super::{CommandError, Done, block_on, style};
use crate::clock;
use crate::http::render;

#[derive(Subcommand, Debug)]
pub(super) enum Clock {
    /// Show the time that a file goes by beside that of the machine, also while it is being served.
    Show(Database),
    /// Have a file go by the time of the machine from now on, on record. Nobody may be serving it.
    Set(Database),
}

/// A database file.
#[derive(Args, Debug)]
pub(super) struct Database {
    /// The database file
    #[arg(long, value_name = "FILE", default_value = "bursar.db")]
    db: PathBuf,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

impl Clock {
    pub(super) fn run(self) -> Done {
        match self {
            Self::Show(database) => database.show(),
            Self::Set(database) => database.set(),
        }
    }
}

impl Database {
    fn show(self) -> Done {
        check_there(&self.db)?;
        let shown = match access(&self.db)? {
            Access::Ours(lock) => {
                // The look takes the lock again itself, for as long as it reads.
                drop(lock);
                let report: ClockReport =
                    clock_of_file(&self.db, &clock::system()).map_err(CommandError::new)?;
                serde_json::to_value(report).map_err(CommandError::new)?
            }
            Access::Theirs(mut client) => {
                let ready = block_on(async move {
                    let answer = client.get("/readyz").await;
                    owner_says(&answer.map_err(CommandError::new)?)
                })??;
                ready.get("clock").cloned().unwrap_or_default()
            }
        };
        if self.json {
            style::value(&shown);
            return Ok(ExitCode::SUCCESS);
        }
        for line in lines(&shown) {
            style::say(line);
        }
        if !is_followed(&shown) {
            style::remark(advice());
        }
        Ok(ExitCode::SUCCESS)
    }

    fn set(self) -> Done {
        check_there(&self.db)?;
        let file = self.db.display();
        match access(&self.db)? {
            // It takes the lock again itself, for as long as it writes.
            Access::Ours(lock) => drop(lock),
            Access::Theirs(_) => {
                return Err(CommandError::new(format!(
                    "{file} is being served, and goes on evenly by the time that it has: stop the \
                     server, run this again, and start it"
                )));
            }
        }
        let set = set_clock_of_file(&self.db, &clock::system(), render);
        let set: ClockSetting = set.map_err(CommandError::new)?;
        let shown = serde_json::to_value(set).map_err(CommandError::new)?;
        if self.json {
            style::value(&shown);
        } else {
            for line in lines(&shown) {
                style::say(line);
            }
            style::remark(if set.set {
                format!(
                    "{file} goes by the clock of this machine now; {} economies have a record of it. \
                     What waits for a moment waits as long as before",
                    set.economies
                )
            } else {
                "The difference is small: it is made up for by itself, and nothing was changed"
                    .into()
            });
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Times as lines.
pub(super) fn lines(shown: &Value) -> Vec<String> {
    let moment = |name: &str| shown.get(name).and_then(Value::as_u64).map(written);
    let line = |label: &str, name: &str| Some(format!("{label:<14} {}", moment(name)?));
    let difference = shown.get("difference_ms").and_then(Value::as_i64);
    let difference = difference.map(|ms| {
        let way = if ms < 0 { "behind" } else { "ahead" };
        let span = ms.unsigned_abs();
        format!(
            "{:<14} the machine is {}.{:03} s {way}",
            "difference",
            span / 1000,
            span % 1000
        )
    });
    let mark = shown.get("mark").and_then(|mark| mark.get("kept"));
    let mark = mark.and_then(Value::as_u64);
    let mark = mark.map(|at| format!("{:<14} {}", "last mark", written(at)));
    [
        line("time", "kept"),
        line("machine", "wall"),
        difference,
        mark,
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Whether the machine's clock is near enough.
pub(super) fn is_followed(shown: &Value) -> bool {
    shown
        .get("followed")
        .and_then(Value::as_bool)
        .unwrap_or(true)
}

/// What to do where it is not.
pub(super) fn advice() -> &'static str {
    "The clock of the machine is not followed. If it is wrong, set it; if it is right, stop the server, run \
     `bursar clock set` and start it again"
}

/// A moment for people.
fn written(at_ms: u64) -> String {
    let at = i64::try_from(at_ms).ok();
    let at = at.and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    at.map_or_else(|| format!("{at_ms} ms"), |at| format!("{at:.3}"))
}

//! `bursar clock`: the time of a database file, and how it is set to that of the machine.

use std::path::PathBuf;
use std::process::ExitCode;

use bursar_storage::{ClockReport, ClockSetting, clock_of_file, set_clock_of_file};
use clap::{Args, Subcommand};
use serde_json::Value;

use super::error::{CommandError, CommandResult};
use super::owner::{FileAccess, access, check_exists, into_body};
use super::runtime::block_on;
use super::style;
use crate::clock;
use crate::http::render;

#[derive(Subcommand, Debug)]
pub(super) enum ClockCommand {
    /// Show the time of a database file and of the machine, also while a server uses the file.
    Show(ClockOptions),
    /// Set the time of a database file to that of the machine, on record. No server may use the file.
    Set(ClockOptions),
}

/// The options of the clock commands.
#[derive(Args, Debug)]
pub(super) struct ClockOptions {
    /// The database file
    #[arg(long, value_name = "FILE", default_value = "bursar.db")]
    db: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl ClockCommand {
    pub(super) fn run(self) -> CommandResult {
        match self {
            Self::Show(database) => database.show(),
            Self::Set(database) => database.set(),
        }
    }
}

impl ClockOptions {
    fn show(self) -> CommandResult {
        check_exists(&self.db)?;
        let report = match access(&self.db)? {
            FileAccess::Free(lock) => {
                // `clock_of_file` itself takes the lock while it reads.
                drop(lock);
                let report: ClockReport =
                    clock_of_file(&self.db, &clock::system()).map_err(CommandError::new)?;
                serde_json::to_value(report).map_err(CommandError::new)?
            }
            FileAccess::Served(mut client) => {
                let ready = block_on(async move {
                    let response = client.get("/readyz").await;
                    into_body(&response.map_err(CommandError::new)?)
                })??;
                ready.get("clock").cloned().unwrap_or_default()
            }
        };
        if self.json {
            style::value(&report);
            return Ok(ExitCode::SUCCESS);
        }
        for line in lines(&report) {
            style::say(line);
        }
        if !is_followed(&report) {
            style::remark(ADVICE);
        }
        Ok(ExitCode::SUCCESS)
    }

    fn set(self) -> CommandResult {
        check_exists(&self.db)?;
        let file = self.db.display();
        match access(&self.db)? {
            // `set_clock_of_file` itself takes the lock while it writes.
            FileAccess::Free(lock) => drop(lock),
            FileAccess::Served(_) => {
                return Err(CommandError::new(format!(
                    "{file} is being served and keeps its time: stop the server, run this command again, and start the \
                     server"
                )));
            }
        }
        let setting = set_clock_of_file(&self.db, &clock::system(), render);
        let setting: ClockSetting = setting.map_err(CommandError::new)?;
        let report = serde_json::to_value(setting).map_err(CommandError::new)?;
        if self.json {
            style::value(&report);
        } else {
            for line in lines(&report) {
                style::say(line);
            }
            style::remark(if setting.set {
                format!(
                    "{file} now has the time of this machine; {} economies have a record of it. Holds and schedules \
                     wait as long as before",
                    setting.economies
                )
            } else {
                "The difference is small and corrects itself: nothing was changed".into()
            });
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Formats the times of a report as lines.
pub(super) fn lines(report: &Value) -> Vec<String> {
    let moment = |name: &str| report.get(name).and_then(Value::as_u64).map(format_time);
    let line = |label: &str, name: &str| Some(format!("{label:<14} {}", moment(name)?));
    let difference = report.get("difference_ms").and_then(Value::as_i64);
    let difference = difference.map(|ms| {
        let direction = if ms < 0 { "behind" } else { "ahead" };
        let span = ms.unsigned_abs();
        format!(
            "{:<14} the machine is {}.{:03} s {direction}",
            "difference",
            span / 1000,
            span % 1000
        )
    });
    let mark = report.get("mark").and_then(|mark| mark.get("kept"));
    let mark = mark.and_then(Value::as_u64);
    let mark = mark.map(|at| format!("{:<14} {}", "last mark", format_time(at)));
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

/// Returns true if the file follows the clock of the machine, because the two are near enough.
pub(super) fn is_followed(report: &Value) -> bool {
    report
        .get("followed")
        .and_then(Value::as_bool)
        .unwrap_or(true)
}

/// The advice for a file that does not follow the clock of the machine.
pub(super) const ADVICE: &str = "The file does not follow the clock of the machine. If that clock is wrong, correct it; if it is right, stop \
     the server, run `bursar clock set` and start the server again";

/// Formats a time for people.
pub(super) fn format_time(at_ms: u64) -> String {
    let at = i64::try_from(at_ms).ok();
    let at = at.and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    at.map_or_else(|| format!("{at_ms} ms"), |at| format!("{at:.3}"))
}

//! `bursar plugin replay`: recorded calls, run again.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use bursar_host::{LoadedPlugin, PluginHost, ReplayError};
use bursar_ledger::{CallEnding, Digest, EconomyId, PluginName};
use bursar_storage::{PastCall, PastCalls};
use bursar_workbench::rerun::{
    Difference, SubstituteError, recorded_outcome, replay, run_substitute,
};
use clap::Args;
use uuid::Uuid;

use crate::commands::component::ComponentSource;
use crate::commands::error::{CommandError, CommandResult};
use crate::commands::owner::{FileAccess, access, check_exists};
use crate::commands::progress::progress;
use crate::commands::runtime::host;
use crate::commands::style;

/// The most characters of a differing value that are printed.
const SHOWN_CHARS: usize = 400;

/// Replay recorded calls of a plugin. Nothing is written.
///
/// By default the recorded component runs again; its result and its fuel must be those of the record. With
/// --against, another component runs instead, to show which calls would have another result.
///
/// The other component runs on the same balances and state, at the same time and with the same draws. It has the
/// grants of the recorded one, or all grants that it requests if it requests more.
///
/// Exit codes: 0 if all calls have the same result, 1 if a call differs, 2 if a call could not be run.
#[derive(Args, Debug)]
pub(in crate::commands) struct Replay {
    /// The database file, which no server may use; to replay calls of a running server, make a backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The economy of the plugin
    #[arg(long)]
    economy: EconomyId,
    /// The name under which the plugin is installed
    #[arg(long)]
    plugin: PluginName,
    /// Replay only the call with this id
    #[arg(long, value_name = "ID")]
    call: Option<Uuid>,
    /// Replay only calls after this record of the economy's log
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    after: u64,
    /// The component to run instead of the recorded one, a `.wasm` file
    #[arg(long, value_name = "COMPONENT")]
    against: Option<PathBuf>,
}

/// The result of the replay of one call.
enum ReplayResult {
    /// The result of the record.
    Same,
    /// Another result, with the differences.
    Differs(Vec<String>),
    /// No result, because the recorded call did not run or did not end.
    NotRecorded,
    /// No result, because the replay failed, with the reason.
    Failed(String),
}

/// The number of calls by result, and their fuel.
#[derive(Default)]
struct ReplayTally {
    same: u64,
    differ: u64,
    not_recorded: u64,
    failed: u64,
    recorded_fuel: u64,
    replayed_fuel: u64,
}

impl Replay {
    pub(super) fn run(self) -> CommandResult {
        check_exists(&self.file)?;
        match access(&self.file)? {
            // `PastCalls` itself takes the lock while it reads.
            FileAccess::Free(lock) => drop(lock),
            FileAccess::Served(_) => {
                let path = self.file.display();
                return Err(CommandError::new(format!(
                    "{path} is being served: make a backup (`bursar backup {path} COPY`) and replay its calls"
                )));
            }
        }
        let host = host()?;
        let substitute = match &self.against {
            Some(path) => Some(ComponentSource::read(path)?.load_or_fail(&host)?),
            None => None,
        };
        let file = PastCalls::open(&self.file).map_err(CommandError::new)?;
        let mut originals = Originals {
            host: &host,
            file: &file,
            loaded: HashMap::new(),
        };
        let mut tally = ReplayTally::default();
        let mut take = |past: PastCall| {
            if self.selects(&past) {
                let result = match &substitute {
                    Some(substitute) => replay_with(substitute, &past, &mut tally),
                    None => replay_original(&mut originals, &past, &mut tally),
                };
                tally.count(&past, result);
            }
            self.call != Some(past.call.request.id.0)
        };
        file.each(&self.economy, &mut take, &mut progress("read"))
            .map_err(CommandError::new)?;
        tally.print(&self)
    }

    /// Returns true if the options select a call.
    fn selects(&self, past: &PastCall) -> bool {
        let request = &past.call.request;
        request.plugin == self.plugin
            && past.seq > self.after
            && self.call.is_none_or(|call| call == request.id.0)
    }
}

/// Runs the recorded component again over the recorded responses of the host.
fn replay_original(
    originals: &mut Originals<'_>,
    past: &PastCall,
    tally: &mut ReplayTally,
) -> ReplayResult {
    let call = &past.call;
    if !call.has_run() {
        return ReplayResult::NotRecorded;
    }
    let Some(installed) = past.books.plugin(&call.request.plugin) else {
        return ReplayResult::NotRecorded;
    };
    let plugin = match originals.of(&call.component) {
        Ok(plugin) => plugin,
        Err(reason) => return ReplayResult::Failed(reason),
    };
    match replay(&plugin, &installed.installation, call) {
        Ok(repetition) => {
            tally.add_fuel(call.fuel, repetition.fuel);
            ReplayResult::new(repetition.differences, "now")
        }
        Err(error @ (ReplayError::Diverged(_) | ReplayError::Early { .. })) => {
            ReplayResult::Differs(vec![error.to_string()])
        }
        Err(ReplayError::Failed(failure)) => ReplayResult::Failed(failure.to_string()),
    }
}

/// Runs another component on the books as they were before the call.
fn replay_with(
    substitute: &LoadedPlugin,
    past: &PastCall,
    tally: &mut ReplayTally,
) -> ReplayResult {
    if matches!(past.call.ending, CallEnding::Broken { .. }) {
        return ReplayResult::NotRecorded;
    }
    let recorded = recorded_outcome(&past.books, past.recorded_at, &past.call);
    let replayed = match run_substitute(substitute, &past.books, past.recorded_at, &past.call) {
        Ok(outcome) => outcome,
        // These are rejections that a caller of the plugin would have received.
        Err(error @ (SubstituteError::NotThere(_) | SubstituteError::Arguments(_))) => {
            return ReplayResult::Differs(vec![error.to_string()]);
        }
        Err(error @ (SubstituteError::Configuration(_) | SubstituteError::NotInstalled(_))) => {
            return ReplayResult::Failed(error.to_string());
        }
    };
    tally.add_fuel(recorded.fuel, replayed.fuel);
    ReplayResult::new(recorded.differences(&replayed), "would be")
}

impl ReplayResult {
    /// Returns the result for a list of differences. `label` stands before each replayed value.
    fn new(differences: Vec<Difference>, label: &str) -> Self {
        if differences.is_empty() {
            return Self::Same;
        }
        let lines = differences.into_iter().flat_map(|it| {
            let recorded = format!("{}: {}", it.part, cut(&it.was));
            [recorded, format!("  {label}: {}", cut(&it.would_be))]
        });
        Self::Differs(lines.collect())
    }
}

impl ReplayTally {
    fn add_fuel(&mut self, recorded: u64, replayed: u64) {
        self.recorded_fuel = self.recorded_fuel.saturating_add(recorded);
        self.replayed_fuel = self.replayed_fuel.saturating_add(replayed);
    }

    /// Counts a result, and prints a call that differs or failed.
    fn count(&mut self, past: &PastCall, result: ReplayResult) {
        let request = &past.call.request;
        let title = || {
            format!(
                "{} by {}, call {}, record {} of bursar {}",
                request.action, request.caller, request.id, past.seq, past.version
            )
        };
        match result {
            ReplayResult::Same => self.same += 1,
            ReplayResult::NotRecorded => self.not_recorded += 1,
            ReplayResult::Differs(differences) => {
                self.differ += 1;
                style::tick(false, title());
                differences.into_iter().for_each(style::note);
            }
            ReplayResult::Failed(reason) => {
                self.failed += 1;
                style::tick(false, title());
                style::note(format!("not run: {reason}"));
            }
        }
    }

    /// Prints the counts and returns the exit code.
    fn print(self, replay: &Replay) -> CommandResult {
        let Self {
            same,
            differ,
            not_recorded,
            failed,
            recorded_fuel,
            replayed_fuel,
        } = self;
        if same + differ + not_recorded + failed == 0 {
            return Err(CommandError::new(format!(
                "the economy {1} has no such call of {0}; check --economy, --plugin, --call and --after",
                replay.plugin, replay.economy
            )));
        }
        let have = if replay.against.is_some() {
            "would have"
        } else {
            "have"
        };
        style::tick(
            differ + failed == 0,
            format!(
                "{same} calls {have} the same result, {differ} another one, {failed} could not be run"
            ),
        );
        if not_recorded > 0 {
            style::note(format!(
                "{not_recorded} calls are not replayed, because their recorded run did not start or did not end"
            ));
        }
        style::note(format!(
            "fuel: {recorded_fuel} units recorded, {replayed_fuel} replayed"
        ));
        Ok(match (differ, failed) {
            (0, 0) => ExitCode::SUCCESS,
            (0, _) => ExitCode::from(2),
            (_, _) => ExitCode::FAILURE,
        })
    }
}

/// The recorded components, loaded from the file.
struct Originals<'a> {
    host: &'a PluginHost,
    file: &'a PastCalls,
    loaded: HashMap<Digest, Result<Arc<LoadedPlugin>, String>>,
}

impl Originals<'_> {
    fn of(&mut self, digest: &Digest) -> Result<Arc<LoadedPlugin>, String> {
        let host = self.host;
        let file = self.file;
        let loaded = self.loaded.entry(*digest).or_insert_with(|| {
            let bytes = file.component(digest).map_err(|error| error.to_string())?;
            let bytes =
                bytes.ok_or_else(|| format!("the file does not contain the component {digest}"))?;
            host.load(*digest, &bytes)
                .map_err(|report| report.to_string())
        });
        loaded.clone()
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        None => text.into(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

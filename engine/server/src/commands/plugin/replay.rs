//! `bursar plugin replay`

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

use crate::commands::component::Component;
use crate::commands::owner::{Access, access, check_there};
use crate::commands::progress::progress;
use crate::commands::{CommandError, Done, host, style};

/// Characters of what differs that are shown.
const SHOWN_CHARS: usize = 400;

/// Run recorded calls of a plugin again: by the component that ran, to the same end at the same cost;
/// or by another one, to see what would have come of them. Nothing is written.
///
/// Another component runs on the same books, at the same moment and from the same draws, with the
/// grants of the one that ran, or all that it asks for if it asks for more.
///
/// Ends with 0 if nothing differs, with 1 if something does, and with 2 if a call could not be run.
#[derive(Args, Debug)]
pub(in crate::commands) struct Replay {
    /// The database file, which nobody serves; of one that is being served, a backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The economy
    #[arg(long)]
    economy: EconomyId,
    /// The plugin
    #[arg(long)]
    plugin: PluginName,
    /// One call only
    #[arg(long, value_name = "ID")]
    call: Option<Uuid>,
    /// Only calls after this number of the economy's journal
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    after: u64,
    /// The component that takes the place of the one that ran, a `.wasm` file
    #[arg(long, value_name = "COMPONENT")]
    against: Option<PathBuf>,
}

/// What a call came to that was run again.
enum Ran {
    /// The same.
    Same,
    /// Something else: what differs.
    Differs(Vec<String>),
    /// It did not run then either.
    Never,
    /// It could not be run: why.
    Not(String),
}

/// How many calls came to what, and what they burned.
#[derive(Default)]
struct Tally {
    same: u64,
    differ: u64,
    never: u64,
    not_run: u64,
    fuel_then: u64,
    fuel_now: u64,
}

impl Replay {
    pub(super) fn run(self) -> Done {
        check_there(&self.file)?;
        match access(&self.file)? {
            // The walk takes the lock again itself, for as long as it reads.
            Access::Ours(lock) => drop(lock),
            Access::Theirs(_) => {
                let path = self.file.display();
                return Err(CommandError::new(format!(
                    "{path} is being served: make a backup (`bursar backup {path} COPY`) and replay that"
                )));
            }
        }
        let host = host()?;
        let substitute = match &self.against {
            Some(path) => Some(Component::read(path)?.ready(&host)?),
            None => None,
        };
        let file = PastCalls::open(&self.file).map_err(CommandError::new)?;
        let mut originals = Originals {
            host: &host,
            file: &file,
            loaded: HashMap::new(),
        };
        let mut tally = Tally::default();
        let mut take = |past: PastCall| {
            if self.is_meant(&past) {
                let ran = match &substitute {
                    Some(substitute) => by_another(substitute, &past, &mut tally),
                    None => by_itself(&mut originals, &past, &mut tally),
                };
                tally.count(&past, ran);
            }
            self.call != Some(past.call.request.id.0)
        };
        file.each(&self.economy, &mut take, &mut progress("read"))
            .map_err(CommandError::new)?;
        tally.conclude(&self)
    }

    fn is_meant(&self, past: &PastCall) -> bool {
        let request = &past.call.request;
        request.plugin == self.plugin
            && past.seq > self.after
            && self.call.is_none_or(|call| call == request.id.0)
    }
}

/// Runs a call again over the answers that it was given then.
fn by_itself(originals: &mut Originals<'_>, past: &PastCall, tally: &mut Tally) -> Ran {
    let call = &past.call;
    if !call.has_run() {
        return Ran::Never;
    }
    let Some(installed) = past.books.plugin(&call.request.plugin) else {
        return Ran::Never;
    };
    let plugin = match originals.of(&call.component) {
        Ok(plugin) => plugin,
        Err(why) => return Ran::Not(why),
    };
    match replay(&plugin, &installed.installation, call) {
        Ok(repetition) => {
            tally.burned(call.fuel, repetition.fuel);
            Ran::to(repetition.differences, "now")
        }
        Err(strays @ (ReplayError::Diverged(_) | ReplayError::Early { .. })) => {
            Ran::Differs(vec![strays.to_string()])
        }
        Err(ReplayError::Failed(failure)) => Ran::Not(failure.to_string()),
    }
}

/// Runs a call by another component, on the books of then.
fn by_another(substitute: &LoadedPlugin, past: &PastCall, tally: &mut Tally) -> Ran {
    if matches!(past.call.ending, CallEnding::Broken { .. }) {
        return Ran::Never;
    }
    let was = recorded_outcome(&past.books, past.recorded_at, &past.call);
    let would_be = match run_substitute(substitute, &past.books, past.recorded_at, &past.call) {
        Ok(would_be) => would_be,
        // The members would have been told so.
        Err(why @ (SubstituteError::NotThere(_) | SubstituteError::Arguments(_))) => {
            return Ran::Differs(vec![why.to_string()]);
        }
        Err(why @ (SubstituteError::Configuration(_) | SubstituteError::NotInstalled(_))) => {
            return Ran::Not(why.to_string());
        }
    };
    tally.burned(was.fuel, would_be.fuel);
    Ran::to(was.differences(&would_be), "would be")
}

impl Ran {
    /// What came of a run, and the word for how it is in it.
    fn to(differences: Vec<Difference>, is: &str) -> Self {
        if differences.is_empty() {
            return Self::Same;
        }
        let said = differences.into_iter().flat_map(|it| {
            let was = format!("{}: {}", it.part, cut(&it.was));
            [was, format!("  {is}: {}", cut(&it.would_be))]
        });
        Self::Differs(said.collect())
    }
}

impl Tally {
    fn burned(&mut self, then: u64, now: u64) {
        self.fuel_then = self.fuel_then.saturating_add(then);
        self.fuel_now = self.fuel_now.saturating_add(now);
    }

    fn count(&mut self, past: &PastCall, ran: Ran) {
        let request = &past.call.request;
        let named = || {
            let (action, caller, id) = (&request.action, &request.caller, request.id);
            let (seq, version) = (past.seq, &past.version);
            format!("{action} by {caller}, call {id}, record {seq} of bursar {version}")
        };
        match ran {
            Ran::Same => self.same += 1,
            Ran::Never => self.never += 1,
            Ran::Differs(differences) => {
                self.differ += 1;
                style::tick(false, named());
                differences.into_iter().for_each(style::note);
            }
            Ran::Not(why) => {
                self.not_run += 1;
                style::tick(false, named());
                style::note(format!("not run: {why}"));
            }
        }
    }

    fn conclude(self, replay: &Replay) -> Done {
        let Self {
            same,
            differ,
            never,
            not_run,
            fuel_then,
            fuel_now,
        } = self;
        if same + differ + never + not_run == 0 {
            return Err(CommandError::new(format!(
                "there is no such call of {} in {}",
                replay.plugin, replay.economy
            )));
        }
        let what = if replay.against.is_some() {
            "would come"
        } else {
            "come"
        };
        style::tick(
            differ + not_run == 0,
            format!(
                "{same} calls {what} to the same, {differ} to something else, {not_run} could not be run"
            ),
        );
        if never > 0 {
            style::note(format!(
                "{never} had not run, or were not brought to an end"
            ));
        }
        style::note(format!("fuel: {fuel_then} units then, {fuel_now} now"));
        Ok(match (differ, not_run) {
            (0, 0) => ExitCode::SUCCESS,
            (0, _) => ExitCode::from(2),
            (_, _) => ExitCode::FAILURE,
        })
    }
}

/// The components that ran, out of the file.
struct Originals<'a> {
    host: &'a PluginHost,
    file: &'a PastCalls,
    loaded: HashMap<Digest, Result<Arc<LoadedPlugin>, String>>,
}

impl Originals<'_> {
    fn of(&mut self, digest: &Digest) -> Result<Arc<LoadedPlugin>, String> {
        let (host, file) = (self.host, self.file);
        let loaded = self.loaded.entry(*digest).or_insert_with(|| {
            let bytes = file.component(digest).map_err(|error| error.to_string())?;
            let bytes =
                bytes.ok_or_else(|| format!("the component {digest} is not in the file"))?;
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

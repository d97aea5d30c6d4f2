//! A call of the past, run once more: by the component that ran, over the answers that it was given, to
//! the same end at the same cost; or by another one, on the same books, at the same moment and from the
//! same draws, to see what would have come of it.

use std::fmt;

use bursar_host::{LoadedPlugin, ReplayError};
use bursar_ledger::{
    Act, Books, CallEnding, CallRequest, CallResult, Change, GrantChoice, Grants, Installation,
    PluginPatch, Posting, Rejection, Timestamp, Verdict,
};
use serde_json::Value;

use crate::Workbench;

/// What a call came to, as far as it shows.
#[derive(Clone, PartialEq, Debug)]
pub struct RerunOutcome {
    /// How it ended.
    pub end: End,
    /// What moved.
    pub postings: Vec<Posting>,
    /// What became of holds and of the plugin's keys.
    pub changes: Vec<Change>,
    /// What the plugin burned.
    pub fuel: u64,
}

/// How a call ended.
#[derive(Clone, PartialEq, Debug)]
pub enum End {
    /// What it asked for was committed, with this reply.
    Committed(Value),
    /// The plugin said no: its code and its sentence.
    Declined(String, String),
    /// The plugin misbehaved.
    Faulted(String),
    /// The ledger said no.
    Rejected(Rejection),
    /// It could not be brought to an end.
    Failed(String),
}

/// Why a component cannot be put in the place of the one that ran.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SubstituteError {
    /// It is another plugin, or does not have what was called.
    #[error("it has no `{0}`")]
    NotThere(String),
    /// It does not take the arguments.
    #[error("it does not take the arguments: {0}")]
    Arguments(String),
    /// It does not take the configuration.
    #[error("it does not take the configuration: {0}")]
    Configuration(String),
    /// The ledger does not take it.
    #[error("it cannot be installed: {0}")]
    NotInstalled(String),
}

/// Something in which two outcomes differ.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// What differs.
    pub what: &'static str,
    /// How it was.
    pub was: String,
    /// How it would have been.
    pub would_be: String,
}

/// A call that has come to an end once more, over the answers that it was given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rerun {
    /// In what it differs, its cost included; nothing if it went as it did.
    pub differences: Vec<Difference>,
    /// What the plugin burned.
    pub fuel: u64,
}

/// Runs a call again, by the component that ran and as it was installed.
pub fn repeat(
    plugin: &LoadedPlugin,
    installation: &Installation,
    call: &CallResult,
) -> Result<Rerun, ReplayError> {
    let repeated = plugin.repeat(call.request.clone(), installation, &call.transcript)?;
    let written = |ending: &CallEnding| serde_json::json!(ending).to_string();
    let compared = [
        ("end", written(&call.ending), written(&repeated.ending)),
        ("fuel", call.fuel.to_string(), repeated.fuel.to_string()),
    ];
    Ok(Rerun {
        differences: Difference::among(compared),
        fuel: repeated.fuel,
    })
}

/// What came of a call, decided again on the books of then.
pub fn outcome_of(books: &Books, at: Timestamp, call: &CallResult) -> RerunOutcome {
    let mut bench = Workbench::over(books.clone(), at);
    let verdict = bench.act(&Act::Call(Box::new(call.clone())));
    RerunOutcome::of(call, &verdict)
}

/// What would have come of a call if another component had run. It is granted what the one that ran was
/// granted, or all that it asks for if it asks for more.
pub fn run_by(
    substitute: &LoadedPlugin,
    books: &Books,
    at: Timestamp,
    call: &CallResult,
) -> Result<RerunOutcome, SubstituteError> {
    let request = &call.request;
    let mut bench = Workbench::over(books.clone(), at);
    if let Some(present) = books.plugin(&request.plugin) {
        let patch = substituted(substitute, request, &present.installation)?;
        let act = Act::SetPlugin {
            plugin: request.plugin.clone(),
            patch: Box::new(patch),
        };
        match bench.act(&act) {
            Verdict::Applied(_) | Verdict::Unchanged => {}
            Verdict::Rejected(no) => return Err(SubstituteError::NotInstalled(no.to_string())),
            no => return Err(SubstituteError::NotInstalled(format!("{no:?}"))),
        }
    }
    let called = bench.call(substitute, request.clone(), call.origin.clone());
    Ok(match called {
        Ok(called) => RerunOutcome::of(&called.result, &called.verdict),
        Err(failure) => RerunOutcome {
            end: End::Failed(failure.to_string()),
            postings: Vec::new(),
            changes: Vec::new(),
            fuel: 0,
        },
    })
}

/// How an installation changes if the substitute has the other one's place, and its digest: draws
/// depend on the digest, and are to be the same.
fn substituted(
    substitute: &LoadedPlugin,
    request: &CallRequest,
    present: &Installation,
) -> Result<PluginPatch, SubstituteError> {
    let manifest = substitute.manifest();
    let scheduled = request.due.is_some();
    let known = if scheduled {
        manifest
            .schedules
            .iter()
            .any(|it| it.name == request.action)
    } else {
        manifest.action(&request.action).is_some()
    };
    if manifest.id != present.id || !known {
        let named = format!("{}/{}", present.id, request.action);
        return Err(SubstituteError::NotThere(named));
    }
    if !scheduled {
        manifest
            .check_arguments(&request.action, &request.arguments)
            .map_err(|error| SubstituteError::Arguments(error.to_string()))?;
    }
    let checked = substitute.check_configuration(&request.plugin, &present.config.value());
    let checked = checked.map_err(|error| SubstituteError::Configuration(error.to_string()))?;
    if let Some(finding) = checked.findings.first() {
        return Err(SubstituteError::Configuration(finding.to_string()));
    }
    let choice = substitute.component_choice(&request.plugin, present.component);
    let choice = choice.map_err(|error| SubstituteError::NotInstalled(error.to_string()))?;
    let grants = if choice.requested.narrows(&present.requested) {
        present.grants.narrowed_to(&choice.requested)
    } else {
        // Nobody asks for patterns, so they stay.
        Grants {
            patterns: present.grants.patterns.clone(),
            ..choice.requested.clone()
        }
    };
    Ok(PluginPatch {
        component: Some(choice),
        grants: Some(GrantChoice::Exactly(Box::new(grants))),
        ..PluginPatch::default()
    })
}

impl RerunOutcome {
    fn of(call: &CallResult, verdict: &Verdict) -> Self {
        let decision = verdict.decision();
        let movements = decision.map_or(&[][..], |decision| decision.movements());
        let changes = decision.map_or(&[][..], |decision| decision.changes());
        let postings = movements.iter().map(|movement| movement.posting.clone());
        Self {
            end: End::of(&call.ending, verdict),
            postings: postings.collect(),
            changes: changes
                .iter()
                .filter(|change| shows(change))
                .cloned()
                .collect(),
            fuel: call.fuel,
        }
    }

    /// In what another outcome differs. What was burned is no difference.
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let listed = |postings: &[Posting]| {
            let said = postings.iter().map(
                |Posting {
                     source,
                     destination,
                     asset,
                     amount,
                 }| { format!("{source} → {destination} {amount} {asset}") },
            );
            said.collect::<Vec<_>>().join(", ")
        };
        let written = |changes: &[Change]| serde_json::json!(changes).to_string();
        let compared = [
            ("end", self.end.to_string(), other.end.to_string()),
            ("postings", listed(&self.postings), listed(&other.postings)),
            ("changes", written(&self.changes), written(&other.changes)),
        ];
        Difference::among(compared)
    }
}

impl Difference {
    /// Those of some things, each as it was and as it would be, that are not the same.
    fn among(compared: impl IntoIterator<Item = (&'static str, String, String)>) -> Vec<Self> {
        let differ = compared
            .into_iter()
            .filter(|(_, was, would_be)| was != would_be);
        let difference = |(what, was, would_be)| Self {
            what,
            was,
            would_be,
        };
        differ.map(difference).collect()
    }
}

impl End {
    fn of(ending: &CallEnding, verdict: &Verdict) -> Self {
        if let Verdict::Rejected(no) | Verdict::RejectedWith(no, _) = verdict {
            return Self::Rejected(no.clone());
        }
        match ending.clone() {
            CallEnding::Replied { reply } => Self::Committed(reply),
            CallEnding::Declined { code, message } => Self::Declined(code, message),
            CallEnding::Faulted { fault } => Self::Faulted(fault),
            CallEnding::NotRun(no) | CallEnding::Stopped(no) => Self::Rejected(no),
            CallEnding::Broken { failure, .. } => Self::Failed(failure),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Committed(reply) => write!(f, "committed, {reply}"),
            Self::Declined(code, message) => write!(f, "declined, {code}: {message}"),
            Self::Faulted(fault) => write!(f, "a fault: {fault}"),
            Self::Rejected(rejection) => write!(f, "rejected: {rejection}"),
            Self::Failed(failure) => write!(f, "not brought to an end: {failure}"),
        }
    }
}

/// Whether a change is what a plugin has asked for, and not how the books count it.
fn shows(change: &Change) -> bool {
    matches!(
        change,
        Change::HoldPlaced { .. }
            | Change::HoldCaptured { .. }
            | Change::HoldEnded { .. }
            | Change::StateSet { .. }
            | Change::StateDeleted { .. }
    )
}

//! Recorded calls, run again.
//!
//! [`replay`] runs the component that ran, with the recorded responses, and reports whether the ending and the fuel are the
//! same. [`run_substitute`] runs another component on the books of that time, with the same time and the same draws, and
//! returns the outcome that the call would have had.

use std::fmt;

use bursar_host::{LoadedPlugin, ReplayError};
use bursar_ledger::{
    Act, Books, CallEnding, CallRequest, CallResult, Change, GrantChoice, Grants, Installation,
    PluginPatch, Posting, Rejection, Timestamp, Verdict,
};
use serde_json::Value;

use crate::Workbench;

/// The visible outcome of a call.
#[derive(Clone, PartialEq, Debug)]
pub struct RerunOutcome {
    /// The ending.
    pub ending: RerunEnding,
    /// The postings.
    pub postings: Vec<Posting>,
    /// The changes of holds and of the plugin's state.
    pub changes: Vec<Change>,
    /// The fuel that the plugin used.
    pub fuel: u64,
}

/// The ending of a call, after the ledger's decision.
#[derive(Clone, PartialEq, Debug)]
pub enum RerunEnding {
    /// The call was committed, with this reply.
    Committed(Value),
    /// The plugin declined, with this code and message.
    Declined(String, String),
    /// The plugin violated the contract, with this fault.
    Faulted(String),
    /// The ledger rejected the call.
    Rejected(Rejection),
    /// The call could not be finished.
    Failed(String),
}

/// The reason for which a component cannot substitute the one that ran.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SubstituteError {
    /// The component is another plugin, or does not have the action or schedule.
    #[error("it has no `{0}`")]
    NotThere(String),
    /// The arguments do not match the schema of the component.
    #[error("it rejects the arguments: {0}")]
    Arguments(String),
    /// The component rejects the configuration.
    #[error("it rejects the configuration: {0}")]
    Configuration(String),
    /// The ledger rejects the installation of the component.
    #[error("it cannot be installed: {0}")]
    NotInstalled(String),
}

/// A difference between two outcomes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The part that differs.
    pub part: &'static str,
    /// The recorded value.
    pub was: String,
    /// The value of the new run.
    pub would_be: String,
}

/// The result of a replayed call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rerun {
    /// The differences, including fuel. Empty if the replay has the same result.
    pub differences: Vec<Difference>,
    /// The fuel that the plugin used.
    pub fuel: u64,
}

/// Replays a call with the component that ran and its installation of that time.
pub fn replay(
    plugin: &LoadedPlugin,
    installation: &Installation,
    call: &CallResult,
) -> Result<Rerun, ReplayError> {
    let replayed = plugin.replay(call.request.clone(), installation, &call.transcript)?;
    let as_json = |ending: &CallEnding| serde_json::json!(ending).to_string();
    let compared = [
        ("end", as_json(&call.ending), as_json(&replayed.ending)),
        ("fuel", call.fuel.to_string(), replayed.fuel.to_string()),
    ];
    Ok(Rerun {
        differences: Difference::among(compared),
        fuel: replayed.fuel,
    })
}

/// Returns the outcome of a recorded call, decided again on the books of that time.
pub fn recorded_outcome(books: &Books, at: Timestamp, call: &CallResult) -> RerunOutcome {
    let mut bench = Workbench::with_books(books.clone(), at);
    let verdict = bench.act(&Act::Call(Box::new(call.clone())));
    RerunOutcome::of(call, &verdict)
}

/// Runs a recorded call with another component.
///
/// The substitute has the grants of the component that ran. If it requests more than that component did, it is
/// granted all that it requests.
pub fn run_substitute(
    substitute: &LoadedPlugin,
    books: &Books,
    at: Timestamp,
    call: &CallResult,
) -> Result<RerunOutcome, SubstituteError> {
    let request = &call.request;
    let mut bench = Workbench::with_books(books.clone(), at);
    if let Some(present) = books.plugin(&request.plugin) {
        let patch = substitution_patch(substitute, request, &present.installation)?;
        let act = Act::SetPlugin {
            plugin: request.plugin.clone(),
            patch: Box::new(patch),
        };
        match bench.act(&act) {
            Verdict::Applied(_) | Verdict::Unchanged => {}
            Verdict::Rejected(rejection) => {
                return Err(SubstituteError::NotInstalled(rejection.to_string()));
            }
            other => return Err(SubstituteError::NotInstalled(format!("{other:?}"))),
        }
    }
    let result = bench.call(substitute, request.clone(), call.origin.clone());
    Ok(match result {
        Ok(run) => RerunOutcome::of(&run.result, &run.verdict),
        Err(failure) => RerunOutcome {
            ending: RerunEnding::Failed(failure.to_string()),
            postings: Vec::new(),
            changes: Vec::new(),
            fuel: 0,
        },
    })
}

/// Returns the patch that installs the substitute with the digest of the component that ran. Draws depend on the digest,
/// so they stay the same.
fn substitution_patch(
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
        // A plugin does not request patterns, so they stay as granted.
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
            ending: RerunEnding::of(&call.ending, verdict),
            postings: postings.collect(),
            changes: changes
                .iter()
                .filter(|change| is_requested(change))
                .cloned()
                .collect(),
            fuel: call.fuel,
        }
    }

    /// Returns the differences from another outcome. Fuel is not compared.
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let listed = |postings: &[Posting]| {
            let lines = postings.iter().map(
                |Posting {
                     source,
                     destination,
                     asset,
                     amount,
                 }| { format!("{source} → {destination} {amount} {asset}") },
            );
            lines.collect::<Vec<_>>().join(", ")
        };
        let as_json = |changes: &[Change]| serde_json::json!(changes).to_string();
        let compared = [
            ("end", self.ending.to_string(), other.ending.to_string()),
            ("postings", listed(&self.postings), listed(&other.postings)),
            ("changes", as_json(&self.changes), as_json(&other.changes)),
        ];
        Difference::among(compared)
    }
}

impl Difference {
    /// Returns the parts whose recorded and new values differ.
    fn among(compared: impl IntoIterator<Item = (&'static str, String, String)>) -> Vec<Self> {
        let differ = compared
            .into_iter()
            .filter(|(_, was, would_be)| was != would_be);
        let difference = |(part, was, would_be)| Self {
            part,
            was,
            would_be,
        };
        differ.map(difference).collect()
    }
}

impl RerunEnding {
    fn of(ending: &CallEnding, verdict: &Verdict) -> Self {
        if let Verdict::Rejected(rejection) | Verdict::RejectedWith(rejection, _) = verdict {
            return Self::Rejected(rejection.clone());
        }
        match ending.clone() {
            CallEnding::Replied { reply } => Self::Committed(reply),
            CallEnding::Declined { code, message } => Self::Declined(code, message),
            CallEnding::Faulted { fault } => Self::Faulted(fault),
            CallEnding::NotRun(rejection) | CallEnding::Stopped(rejection) => {
                Self::Rejected(rejection)
            }
            CallEnding::Broken { failure, .. } => Self::Failed(failure),
        }
    }
}

impl fmt::Display for RerunEnding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Committed(reply) => write!(f, "committed, {reply}"),
            Self::Declined(code, message) => write!(f, "declined, {code}: {message}"),
            Self::Faulted(fault) => write!(f, "a fault: {fault}"),
            Self::Rejected(rejection) => write!(f, "rejected: {rejection}"),
            Self::Failed(failure) => write!(f, "not finished: {failure}"),
        }
    }
}

/// Returns true if a plugin requests this kind of change. Others are bookkeeping.
fn is_requested(change: &Change) -> bool {
    matches!(
        change,
        Change::HoldPlaced { .. }
            | Change::HoldCaptured { .. }
            | Change::HoldEnded { .. }
            | Change::StateSet { .. }
            | Change::StateDeleted { .. }
    )
}

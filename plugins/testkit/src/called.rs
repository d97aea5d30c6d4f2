//! A call that was made, to look at.

use bursar_ledger::{CallEnding, Decision, Posting, Verdict};
use serde_json::Value;

/// A call that was made: how it ended, and what came of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Called(bursar_workbench::CallRun);

impl Called {
    pub(crate) fn new(called: bursar_workbench::CallRun) -> Self {
        Self(called)
    }

    /// The plugin's reply. Panics if the call was not committed, and says how it ended.
    #[track_caller]
    pub fn reply(&self) -> &Value {
        match (&self.0.result.ending, &self.0.verdict) {
            (CallEnding::Replied { reply }, Verdict::Applied(_)) => reply,
            (ending, verdict) => panic!("it was not committed: {ending:?}, {verdict:?}"),
        }
    }

    /// The plugin's reply, if the call was committed.
    pub fn committed(&self) -> Option<&Value> {
        match (&self.0.result.ending, &self.0.verdict) {
            (CallEnding::Replied { reply }, Verdict::Applied(_)) => Some(reply),
            (_, _) => None,
        }
    }

    /// The code of the plugin's no, if it said no.
    pub fn decline_code(&self) -> Option<&str> {
        let CallEnding::Declined { code, .. } = &self.0.result.ending else {
            return None;
        };
        Some(code)
    }

    /// The code of the plugin's no. Panics if it said no such thing.
    #[track_caller]
    pub fn declined(&self) -> &str {
        match &self.0.result.ending {
            CallEnding::Declined { code, .. } => code,
            ending => panic!("it was not declined: {ending:?}"),
        }
    }

    /// The sentence of the plugin's no.
    #[track_caller]
    pub fn sentence(&self) -> &str {
        match &self.0.result.ending {
            CallEnding::Declined { message, .. } => message,
            ending => panic!("it was not declined: {ending:?}"),
        }
    }

    /// What the plugin did that no plugin may do. Panics if it did nothing of the kind.
    #[track_caller]
    pub fn fault(&self) -> &str {
        match &self.0.result.ending {
            CallEnding::Faulted { fault } => fault,
            ending => panic!("it is no fault: {ending:?}"),
        }
    }

    /// Why the ledger said no, in its words. Panics if it did not.
    #[track_caller]
    pub fn rejected(&self) -> String {
        match &self.0.verdict {
            Verdict::Rejected(no) | Verdict::RejectedWith(no, _) => no.to_string(),
            verdict => panic!("it was not rejected: {verdict:?}"),
        }
    }

    /// What moved, in order: nothing unless the call was committed.
    pub fn postings(&self) -> Vec<Posting> {
        let decision = self.0.verdict.decision().into_iter();
        let movements = decision.flat_map(Decision::movements);
        movements.map(|movement| movement.posting.clone()).collect()
    }

    /// How often it drew.
    pub fn draws(&self) -> u32 {
        self.0.result.transcript.draws()
    }

    /// Units of fuel that it burned: what its instructions and its questions to the host cost, the same
    /// in every run.
    pub fn fuel(&self) -> u64 {
        self.0.result.fuel
    }

    /// What it wrote for the operator.
    pub fn log(&self) -> Vec<String> {
        let lines = self.0.log.iter();
        lines.map(|line| line.message.clone()).collect()
    }
}

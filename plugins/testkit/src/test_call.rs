//! The result of a call, with the assertions of tests.

use bursar_ledger::{CallEnding, Decision, Posting, Verdict};
use serde_json::Value;

/// The result of a call: its end, its transfers and its logs.
#[derive(Clone, PartialEq, Debug)]
pub struct TestCall(bursar_workbench::CallRun);

impl TestCall {
    pub(crate) fn new(run: bursar_workbench::CallRun) -> Self {
        Self(run)
    }

    /// Returns the plugin's reply.
    ///
    /// # Panics
    ///
    /// If the call was not committed. The message has the end of the call.
    #[track_caller]
    pub fn reply(&self) -> &Value {
        match (&self.0.result.ending, &self.0.verdict) {
            (CallEnding::Replied { reply }, Verdict::Applied(_)) => reply,
            (ending, verdict) => panic!("the call was not committed: {ending:?}, {verdict:?}"),
        }
    }

    /// Returns the plugin's reply, if the call was committed.
    pub fn committed(&self) -> Option<&Value> {
        match (&self.0.result.ending, &self.0.verdict) {
            (CallEnding::Replied { reply }, Verdict::Applied(_)) => Some(reply),
            (_, _) => None,
        }
    }

    /// Returns the code of the decline, if the plugin declined the call.
    pub fn decline_code(&self) -> Option<&str> {
        let CallEnding::Declined { code, .. } = &self.0.result.ending else {
            return None;
        };
        Some(code)
    }

    /// Returns the code of the decline.
    ///
    /// # Panics
    ///
    /// If the plugin did not decline the call.
    #[track_caller]
    pub fn declined(&self) -> &str {
        match &self.0.result.ending {
            CallEnding::Declined { code, .. } => code,
            ending => panic!("the call was not declined: {ending:?}"),
        }
    }

    /// Returns the sentence of the decline.
    ///
    /// # Panics
    ///
    /// If the plugin did not decline the call.
    #[track_caller]
    pub fn sentence(&self) -> &str {
        match &self.0.result.ending {
            CallEnding::Declined { message, .. } => message,
            ending => panic!("the call was not declined: {ending:?}"),
        }
    }

    /// Returns the description of the plugin's fault.
    ///
    /// # Panics
    ///
    /// If the call did not end as a fault.
    #[track_caller]
    pub fn fault(&self) -> &str {
        match &self.0.result.ending {
            CallEnding::Faulted { fault } => fault,
            ending => panic!("the call did not end as a fault: {ending:?}"),
        }
    }

    /// Returns the message of the ledger's rejection.
    ///
    /// # Panics
    ///
    /// If the ledger did not reject the call.
    #[track_caller]
    pub fn rejected(&self) -> String {
        match &self.0.verdict {
            Verdict::Rejected(rejection) | Verdict::RejectedWith(rejection, _) => {
                rejection.to_string()
            }
            verdict => panic!("the ledger did not reject the call: {verdict:?}"),
        }
    }

    /// Returns the postings of the call in order. There are none unless the call was committed.
    pub fn postings(&self) -> Vec<Posting> {
        let decision = self.0.verdict.decision().into_iter();
        let movements = decision.flat_map(Decision::movements);
        movements.map(|movement| movement.posting.clone()).collect()
    }

    /// Returns the number of draws.
    pub fn draws(&self) -> u32 {
        self.0.result.transcript.draws()
    }

    /// Returns the units of fuel that the call used: for its instructions and its requests to the host. The
    /// number is equal in every run.
    pub fn fuel(&self) -> u64 {
        self.0.result.fuel
    }

    /// Returns the lines that the call wrote to the operator's log.
    pub fn log(&self) -> Vec<String> {
        let lines = self.0.log.iter();
        lines.map(|line| line.message.clone()).collect()
    }
}

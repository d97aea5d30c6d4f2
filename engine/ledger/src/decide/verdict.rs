//! The result of deciding an act.

use crate::decision::Decision;
use crate::rejection::Rejection;

/// The result of deciding an act.
#[derive(Clone, PartialEq, Debug)]
pub enum Verdict {
    /// The act is applied.
    Applied(Decision),
    /// The act would change nothing: everything is as requested already.
    Unchanged,
    /// The ledger rejects the act.
    Rejected(Rejection),
    /// The ledger rejects a call that still has effects: its draws are recorded, and its due time has had
    /// its run.
    RejectedWith(Rejection, Decision),
    /// The plugin declined the call.
    Declined(Decision),
    /// The plugin's call ended in a fault.
    Faulted(Decision),
    /// The call has drawn and did not complete. The next attempt under its key gets the same draws.
    Broken(Decision),
    /// The call has read something that has changed since. It has to run again.
    Stale,
    /// The economy does not exist.
    NoEconomy,
}

impl Verdict {
    /// Returns the decision to apply, if there is one.
    pub fn decision(&self) -> Option<&Decision> {
        match self {
            Self::Applied(decision)
            | Self::RejectedWith(_, decision)
            | Self::Declined(decision)
            | Self::Faulted(decision)
            | Self::Broken(decision) => Some(decision),
            Self::Unchanged | Self::Rejected(_) | Self::Stale | Self::NoEconomy => None,
        }
    }
}

//! The verdict on an act.

use crate::decision::Decision;
use crate::rejection::Rejection;

/// What follows from an act.
#[derive(Clone, PartialEq, Debug)]
pub enum Verdict {
    /// This is to happen.
    Applied(Decision),
    /// A PUT asks for what is already so.
    Unchanged,
    /// The ledger says no.
    Rejected(Rejection),
    /// The ledger says no to a call that leaves a trace all the same: what it drew is used up, and a
    /// due time has had its run.
    RejectedWith(Rejection, Decision),
    /// The plugin said no.
    Declined(Decision),
    /// The plugin misbehaved.
    Faulted(Decision),
    /// A call that has drawn could not be brought to an end, and may be tried again.
    Broken(Decision),
    /// What a call learned is no longer true: it is to run again.
    Stale,
    /// There is no such economy.
    NoEconomy,
}

impl Verdict {
    /// What happens, if anything does.
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

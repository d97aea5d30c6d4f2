//! Admission of event streams: a limit for the whole server, and a quota for each economy.

use bursar_ledger::{Books, EconomyId, Quota, Rejection};

use super::problem::Problem;
use crate::admission::{Admission, AdmissionBounds, Full, Permit};
use crate::service::error::ServiceError;

/// The greatest number of open streams of all economies together.
const STREAMS_MAX: usize = 256;

/// The open event streams of the server.
pub(super) struct Streams(Admission<EconomyId>);

/// The permit of one event stream, held until the stream ends.
pub(super) type StreamPermit = Permit<EconomyId>;

impl Streams {
    pub(super) fn new() -> Self {
        Self(Admission::new(AdmissionBounds::new(
            STREAMS_MAX,
            STREAMS_MAX,
        )))
    }

    /// Admits a stream of an economy, unless its quota or the server's limit is reached.
    pub(super) fn enter(
        &self,
        economy: &EconomyId,
        books: &Books,
    ) -> Result<StreamPermit, Problem> {
        let quota = Quota::Streams;
        let limit = books.quota(quota);
        let per_key = usize::try_from(limit).unwrap_or(usize::MAX);
        match self.0.try_acquire_within(economy, 1, per_key) {
            Ok(permit) => Ok(permit),
            Err(Full::Key(used)) => {
                let used = used as u64;
                let full = Rejection::QuotaReached { quota, limit, used };
                Err(Problem::rejected(&full))
            }
            Err(Full::All | Full::Waiting) => Err(ServiceError::TooManyStreams.into()),
        }
    }

    /// Returns the number of open streams of an economy.
    pub(super) fn used(&self, economy: &EconomyId) -> u64 {
        self.0.used(economy) as u64
    }
}

#[cfg(test)]
mod tests {
    use bursar_ledger::{STREAMS_QUOTA, Seed, Timestamp};

    use super::*;

    fn economy(number: usize) -> EconomyId {
        format!("guild-{number}").parse().expect("a name")
    }

    #[test]
    fn streams_are_bounded_by_quota_and_in_total() {
        let books = Books::new(Seed::new([1; 32]), Timestamp(0));
        let streams = Streams::new();
        let quota = STREAMS_QUOTA;
        let first = economy(0);
        let enter = |economy: &EconomyId| streams.enter(economy, &books);
        let refused = |economy: &EconomyId| {
            let refused = enter(economy).err().expect("it is full");
            refused.code().to_owned()
        };
        let mut places: Vec<StreamPermit> = Vec::new();
        for _ in 0..quota {
            places.push(enter(&first).expect("a place"));
        }
        assert_eq!(
            (streams.used(&first), refused(&first)),
            (quota, "quota_reached".into())
        );
        places.pop();
        assert_eq!(streams.used(&first), quota - 1);
        places.push(enter(&first).expect("a place that was given back"));

        for number in places.len()..STREAMS_MAX {
            places.push(enter(&economy(number)).expect("a place"));
        }
        assert_eq!(refused(&economy(STREAMS_MAX)), "overloaded");
        places.clear();
        assert!(streams.0.is_unused(), "nothing is left behind");
        assert!(enter(&first).is_ok());
    }
}

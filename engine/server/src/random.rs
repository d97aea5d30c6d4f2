//! Random ids, seeds and secrets. No other file reads randomness from the operating system.

use std::cell::RefCell;

use bursar_ledger::{CallId, HoldId, Seed, TransferId};
use uuid::{Builder, NoContext, Timestamp, Uuid};

/// The random bytes that are read for ids at a time: those of 400 ids.
const POOL_BYTES: usize = 4_000;

thread_local! {
    static POOL: RefCell<RandomPool> = const {
        RefCell::new(RandomPool {
            bytes: [0; POOL_BYTES],
            left: 0,
        })
    };
}

/// Random bytes for the ids of one thread. A system call for each id would cost more than the rest of the work for it.
struct RandomPool {
    bytes: [u8; POOL_BYTES],
    left: usize,
}

impl RandomPool {
    /// Returns bytes that were never returned before.
    fn take(&mut self) -> [u8; 10] {
        let ends = self.bytes.get(..self.left);
        if let Some(last) = ends.and_then(|bytes| bytes.last_chunk::<10>()) {
            self.left -= last.len();
            return *last;
        }
        getrandom::fill(&mut self.bytes).expect("the operating system provides randomness");
        self.left = POOL_BYTES;
        self.take()
    }
}

/// Returns 32 random bytes.
///
/// Panics if the operating system has no randomness: secrets and draws would be predictable without it.
pub fn bytes() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the operating system provides randomness");
    bytes
}

/// Creates the id of a transfer. Ids are ordered by time, to the millisecond.
pub fn transfer_id() -> TransferId {
    let (seconds, nanoseconds) = Timestamp::now(NoContext).to_unix();
    let milliseconds = seconds * 1_000 + u64::from(nanoseconds / 1_000_000);
    let random = POOL.with_borrow_mut(RandomPool::take);
    TransferId(Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid())
}

/// Creates the id of a hold. Ids are ordered by time.
pub fn hold_id() -> HoldId {
    HoldId(Uuid::now_v7())
}

/// Creates the id of a call. Ids are ordered by time.
pub fn call_id() -> CallId {
    CallId(Uuid::now_v7())
}

/// Creates a server seed.
pub fn seed() -> Seed {
    Seed::new(bytes())
}

/// Returns a number below `range`, or 0 if `range` is 0. It is not exactly uniform, which is good enough for waiting
/// times and not for draws.
pub fn below(range: u64) -> u64 {
    let mut number = [0; 8];
    getrandom::fill(&mut number).expect("the operating system provides randomness");
    u64::from_le_bytes(number).checked_rem(range).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_of_transfers_are_unique_and_ordered_by_time() {
        let count = 3 * POOL_BYTES / 10;
        let ids: Vec<Uuid> = (0..count).map(|_| transfer_id().0).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), count);
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
        let times = ids
            .iter()
            .map(|id| id.get_timestamp().map(|time| time.to_unix()));
        assert!(times.is_sorted());
        let before = Uuid::now_v7().get_timestamp().map(|time| time.to_unix());
        assert!(transfer_id().0.get_timestamp().map(|time| time.to_unix()) >= before);
    }
}

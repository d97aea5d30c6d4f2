//! Random ids, seeds and secrets. No other file reads randomness from the operating system.

use bursar_ledger::{CallId, HoldId, Seed, TransferId};
use uuid::Uuid;

/// Returns 32 random bytes.
///
/// Panics if the operating system has no randomness: secrets and draws would be predictable without it.
pub fn bytes() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the operating system provides randomness");
    bytes
}

/// Creates the id of a transfer. Ids are ordered by time.
pub fn transfer_id() -> TransferId {
    TransferId(Uuid::now_v7())
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

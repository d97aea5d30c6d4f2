//! The only source of randomness: ids, seeds and secrets, from the operating system.

use bursar_ledger::{CallId, HoldId, Seed, TransferId};
use uuid::Uuid;

/// 32 random bytes.
///
/// Without randomness from the operating system there can be no secrets and no draws, so nothing
/// may go on.
pub fn bytes() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}

/// The id of a new transfer, ordered by time.
pub fn transfer_id() -> TransferId {
    TransferId(Uuid::now_v7())
}

/// The id of a new hold, ordered by time.
pub fn hold_id() -> HoldId {
    HoldId(Uuid::now_v7())
}

/// The id of a new call, ordered by time.
pub fn call_id() -> CallId {
    CallId(Uuid::now_v7())
}

/// The seed of a new economy.
pub fn seed() -> Seed {
    Seed::new(bytes())
}

/// A number below another; of none, none. Not for draws: it is even only as far as waiting needs it.
pub fn below(range: u64) -> u64 {
    let mut number = [0; 8];
    getrandom::fill(&mut number).expect("the operating system gives randomness");
    u64::from_le_bytes(number).checked_rem(range).unwrap_or(0)
}

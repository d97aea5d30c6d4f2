//! The keys of lots, and the limit of open lots for each member.

use bursar_plugin::prelude::*;
use bursar_plugin::{OpenList, member_key};

use crate::times::{HELD_S, after};

/// The largest number of open lots of one member. With the longest names they take about 20 KB of the plugin's
/// state.
const OPEN_MAX: usize = 20;

/// The prefix of the keys of lots that wait for their next check.
pub(crate) const WAITING: &str = "e/";

/// Returns the key of a lot.
pub(crate) fn key(number: u64) -> String {
    format!("l/{number}")
}

/// Returns the key under which a lot waits for its next check. The keys are in the order of these times.
pub(crate) fn waiting_key(next_check_ms: u64, number: u64) -> String {
    format!("{WAITING}{next_check_ms:020}/{number}")
}

/// Returns the time and the lot of a waiting key.
pub(crate) fn parse_waiting_key(key: &str) -> Result<(u64, u64), Decline> {
    let parts = key.strip_prefix(WAITING).and_then(|it| it.split_once('/'));
    let parsed = parts.and_then(|(at, number)| Some((at.parse().ok()?, number.parse().ok()?)));
    parsed.ok_or_else(|| Decline::new("bad_state", format!("`{key}` is not the key of a lot.")))
}

/// Returns the key of the list of a member's open lots.
pub(crate) fn open_key(seller: &Account) -> Result<String, Decline> {
    member_key("s", seller)
}

/// Adds a lot to a member's open lots, or declines one that is too many.
pub(crate) fn add_open(mut lots: OpenList, number: u64, now_ms: u64) -> Result<OpenList, Decline> {
    if lots.add(number, after(now_ms, HELD_S), now_ms, OPEN_MAX) {
        return Ok(lots);
    }
    let message = format!("You have {OPEN_MAX} lots open: settle or cancel one before the next.");
    Err(Decline::new("too_many_lots", message))
}

/// Declines an action on a lot that is not stored. `next` is the number of the next lot to be opened.
pub(crate) fn not_found(number: u64, next: u64) -> Decline {
    if (1..next).contains(&number) {
        let message = "That auction is over and has been settled.";
        return Decline::new("already_settled", message);
    }
    Decline::new("no_such_lot", "There is no such lot.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lots_wait_in_the_order_of_their_times() {
        let keys = [(9, 7), (10, 1), (10, 2), (u64::MAX, 1)].map(|(at, number)| {
            let key = waiting_key(at, number);
            assert_eq!(parse_waiting_key(&key), Ok((at, number)));
            key
        });
        assert!(keys.is_sorted());
        let wrong = parse_waiting_key("e/no").expect_err("not a lot");
        assert_eq!(wrong.code(), "bad_state");
    }

    #[test]
    fn settled_lots_and_unknown_lots_have_their_own_codes() {
        let code = |number| not_found(number, 3).code();
        assert_eq!(
            [code(0), code(1), code(2), code(3)],
            [
                "no_such_lot",
                "already_settled",
                "already_settled",
                "no_such_lot"
            ]
        );
    }

    #[test]
    fn the_open_lots_of_a_member_are_limited() {
        let add = |lots, number| add_open(lots, number, 0).expect("there is a place");
        let full = (0..OPEN_MAX as u64).fold(OpenList::default(), add);
        let more = add_open(full.clone(), 99, HELD_S * 1000 - 1).expect_err("one too many");
        assert_eq!(more.code(), "too_many_lots");
        assert!(add_open(full, 99, HELD_S * 1000).is_ok(), "they are over");
    }
}

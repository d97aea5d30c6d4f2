//! Balances at any moment, whatever part of the movements is in the order of accounts yet.

use std::collections::BTreeMap;

use super::watched::{pace, prepare, push};
use super::*;
use crate::commit::maintenance::MaintenanceConfig;
use crate::index::account_history::Past;

/// Plays some transfers; gives the state, and both balances at each moment.
fn play(path: &Path, ordered_anyway: u64) -> (Arc<State>, BTreeMap<Timestamp, [i64; 2]>) {
    founded(path);
    let pace = MaintenanceConfig {
        ordered_anyway,
        ..pace()
    };
    let (writer, shared) = prepare(path, render, pace, |_, _| Ok(()));
    let thread = std::thread::spawn(move || writer.run());
    let mut seen = BTreeMap::new();
    for n in 0..40_u64 {
        let (from, to) = if n % 3 == 0 {
            ("user:2", "user:1")
        } else {
            ("user:1", "user:2")
        };
        let asked = submission(Some(&format!("k{n}")), transfer(from, to, n % 5 + 1));
        let receiver = push(&shared, asked).expect("room");
        answered(receiver.blocking_recv().expect("an answer").expect("ok"));
        let state = shared.published.load_full();
        let balances = ["user:1", "user:2"].map(|account| posted(&state, account));
        seen.insert(state.recorded_at, balances);
    }
    shared.queue.close();
    thread.join().expect("it ends");
    (shared.published.load_full(), seen)
}

fn query(state: &State, account: &str, at: Timestamp) -> PastQuery {
    let books = state.books(&guild()).expect("the economy");
    PastQuery {
        economy: guild(),
        account: name(account),
        newest: books.account(&name(account)).expect("it is there").newest,
        assets: vec![name("coin")],
        seq: books.seq(),
        steps_back: books.steps_back().iter().copied().collect(),
        at,
    }
}

#[test]
fn any_moment_is_found_in_the_chain_and_in_the_order_of_accounts() {
    // Everything in the chain, some here and some there, everything in order.
    for (ordered_anyway, least, most) in [(u64::MAX, 0, 0), (20, 2, 39), (1, 40, 41)] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("guild.db");
        let (state, seen) = play(&path, ordered_anyway);
        let upto = count(&path, "SELECT movement FROM account_movements_upto");
        assert!((least..=most).contains(&upto), "{upto}");
        let mut past = Past::open(&path).expect("the file");
        for (place, account) in ["user:1", "user:2"].into_iter().enumerate() {
            for (at, balances) in &seen {
                let found = past.balances(&query(&state, account, *at));
                let posted = found.expect("it can be read").posted;
                let had = balances.get(place).copied();
                assert_eq!(posted.get(&name("coin")).copied(), had, "{account} {at}");
            }
            let before = past.balances(&query(&state, account, Timestamp(0)));
            assert_eq!(before.expect("it can be read"), PastBalances::default());
        }
        all_promises_hold(&path);
    }
}

#[test]
fn a_row_that_was_altered_in_the_order_of_accounts_is_found() {
    for vandalism in [
        "UPDATE account_movements SET after = after + 1 WHERE movement = 7",
        "DELETE FROM account_movements WHERE movement = 7 AND account = 'user:1'",
        "INSERT INTO account_movements VALUES ('guild', 'user:9', 'coin', 7, 1)",
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("guild.db");
        play(&path, 1);
        vandalise(&path, vandalism);
        assert_eq!(broken(&path), [5], "{vandalism}");
    }
}

//! Balances at any moment, and the index by which they are found.

use std::collections::BTreeMap;

use super::*;

/// Makes some transfers. Returns both balances at each moment.
fn play(storage: &Storage) -> BTreeMap<Timestamp, [i64; 2]> {
    let mut seen = BTreeMap::new();
    for n in 0..40_u64 {
        let (from, to) = if n % 3 == 0 {
            ("user:2", "user:1")
        } else {
            ("user:1", "user:2")
        };
        answered(ask(
            storage,
            Some(&format!("k{n}")),
            transfer(from, to, n % 5 + 1),
        ));
        let state = storage.state();
        let balances = ["user:1", "user:2"].map(|account| posted(&state, account));
        seen.insert(state.recorded_at, balances);
    }
    seen
}

fn query(state: &State, account: &str, at: Timestamp) -> PastQuery {
    let books = state.books(&guild()).expect("the economy");
    PastQuery {
        economy: guild(),
        account: name(account),
        assets: vec![name("coin")],
        seq: books.seq(),
        steps_back: books.steps_back().iter().copied().collect(),
        at,
    }
}

#[test]
fn the_balances_at_any_moment_are_found_before_and_after_a_restart() {
    let (_folder, path, storage) = open_guild();
    let seen = play(&storage);
    let check = |storage: &Storage| {
        let state = storage.state();
        for (place, account) in ["user:1", "user:2"].into_iter().enumerate() {
            for (at, balances) in &seen {
                let found = storage.balances_at(&query(&state, account, *at));
                let posted = found.expect("it can be read").posted;
                // An account without a movement has no balance yet.
                let found = posted.get(&name("coin")).copied().unwrap_or_default();
                assert_eq!(Some(&found), balances.get(place), "{account} {at}");
            }
            let before = storage.balances_at(&query(&state, account, Timestamp(0)));
            assert_eq!(before.expect("it can be read"), PastBalances::default());
        }
    };
    check(&storage);
    storage.close();
    drop(storage);
    let storage = open(&path);
    check(&storage);
    storage.close();
    all_promises_hold(&path);
}

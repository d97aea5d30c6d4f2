//! Forged results of calls: the ledger repeats every request and trusts no result of a host.
//!
//! A host could leave out a request whose answer the plugin never used. The ledger cannot detect that; a run of the
//! component can, which a test of `replay` in `tests/it` shows.

use serde_json::{Value, json};

use super::script::{World, id};
use crate::{Act, Amount, CallEnding, CallResult, Decision, Digest, Rejection, Verdict, decide};

const GAME: &str = "
    asset coin
    asset gem
    account user:1
    account user:2
    plugin game component=a grants=requested enabled=true holds=stake/60/capture,offer/60/release
    plugin other component=b grants=requested enabled=true holds=stake/60/capture
    issue user:1 coin 100
    issue user:2 coin 100
    issue plugin:game coin 100
    call P game user:1; P hold offer user:1 -> user:2 coin 5; P set known yes; P reply
    call Q other user:2; Q hold stake user:2 -> plugin:other coin 5; Q reply
    call R game user:2; R draw 6; R reply
";

/// Returns a call that uses nearly every host function, before its commit. Comments number its exchanges.
fn played() -> (World, CallResult) {
    let mut world = World::after(GAME);
    world.run(
        "call A game user:1
         A balance user:1 coin
         A has user:1 coin 96
         A get known
         A list k
         A left P/0
         A pay user:1 -> plugin:game coin 10
         A hold stake user:1 -> plugin:game coin 7
         A keep P/0
         A secure plugin:game coin 20
         A draw 1000
         A shuffle 5
         A pay plugin:game -> user:1 coin 20
         A capture P/0 2
         A set known no",
    );
    let ending = CallEnding::Replied { reply: json!({}) };
    let result = world.end("A", ending);
    assert_eq!(result.transcript.exchanges().len(), 14);
    (world, result)
}

fn verdict(world: &World, result: &CallResult) -> Verdict {
    let act = Act::Call(Box::new(result.clone()));
    decide(Some(&world.books), world.at(), &act)
}

/// Returns the result with one value in it replaced.
fn forged(result: &CallResult, pointer: &str, value: Value) -> CallResult {
    let mut text = serde_json::to_value(result).expect("it is JSON");
    let place = text.pointer_mut(pointer);
    let place = place.unwrap_or_else(|| panic!("there is no {pointer}"));
    assert_ne!(*place, value, "{pointer} is what it was");
    *place = value;
    serde_json::from_value(text).unwrap_or_else(|error| panic!("{pointer}: {error}"))
}

fn amount(units: u64) -> Amount {
    Amount::new(units).expect("an amount")
}

fn posting(from: &str, to: &str, asset: &str, amount: u64) -> Value {
    json!({ "from": from, "to": to, "asset": asset, "amount": amount })
}

#[test]
fn a_correct_result_commits() {
    let (world, result) = played();
    assert!(matches!(verdict(&world, &result), Verdict::Applied(_)));
}

#[test]
fn a_result_with_a_forged_answer_is_stale() {
    let (world, result) = played();
    let mut wrong = Vec::new();
    for (fact, lie) in [
        (
            0,
            json!({ "balance": { "posted": 101, "held": 5, "spendable": 95 } }),
        ),
        (
            0,
            json!({ "balance": { "posted": 100, "held": 0, "spendable": 95 } }),
        ),
        (
            0,
            json!({ "balance": { "posted": 100, "held": 5, "spendable": 100 } }),
        ),
        (1, json!({ "whether": true })),
        (2, json!({ "value": null })),
        (2, json!({ "value": "no" })),
        (3, json!({ "page": { "keys": [], "next": null } })),
        (3, json!({ "page": { "keys": ["known"], "next": "known" } })),
        (4, json!({ "left": 4 })),
        (4, json!({ "left": null })),
        (5, json!({ "refused": "same_account" })),
        (
            6,
            json!({ "placed": "00000000-0000-0000-0000-000000000001" }),
        ),
        (6, json!({ "refused": "no_room" })),
        (7, json!({ "refused": "not_secured" })),
        (8, json!({ "refused": "insufficient_funds" })),
        (11, json!({ "refused": "not_secured" })),
        (12, json!({ "refused": "after_draw" })),
    ] {
        let result = forged(&result, &format!("/transcript/facts/{fact}/answer"), lie);
        if verdict(&world, &result) != Verdict::Stale {
            wrong.push(result.transcript.exchanges()[fact].clone());
        }
    }
    assert_eq!(wrong, []);
}

/// Each forged response reports a request as done that the ledger refuses.
#[test]
fn a_forged_success_of_a_forbidden_request_is_stale() {
    let (world, result) = played();
    let of_other = super::script::call_id("Q").hold(0);
    let mut wrong = Vec::new();
    for (fact, ask) in [
        (
            5,
            json!({ "transfer": posting("user:2", "plugin:game", "coin", 10) }),
        ),
        (
            5,
            json!({ "transfer": posting("issuer:coin", "user:1", "coin", 10) }),
        ),
        (
            5,
            json!({ "transfer": posting("user:1", "issuer:coin", "coin", 10) }),
        ),
        (
            5,
            json!({ "transfer": posting("plugin:other", "user:1", "coin", 10) }),
        ),
        (
            5,
            json!({ "transfer": posting("user:1", "user:1", "coin", 10) }),
        ),
        (
            6,
            json!({ "place_hold": { "rule": "none", "posting": posting("user:1", "plugin:game", "coin", 7) } }),
        ),
        (
            6,
            json!({ "place_hold": { "rule": "stake", "posting": posting("user:2", "plugin:game", "coin", 7) } }),
        ),
        (7, json!({ "secure_hold": { "hold": of_other } })),
        (
            8,
            json!({ "secure": { "account": "plugin:game", "asset": "coin", "amount": 111 } }),
        ),
        (
            8,
            json!({ "secure": { "account": "plugin:game", "asset": "coin", "amount": 19 } }),
        ),
        (
            8,
            json!({ "secure": { "account": "user:1", "asset": "coin", "amount": 20 } }),
        ),
        // After the draw.
        (
            11,
            json!({ "transfer": posting("plugin:game", "user:1", "coin", 21) }),
        ),
        (
            11,
            json!({ "transfer": posting("plugin:game", "user:2", "coin", 20) }),
        ),
        (
            11,
            json!({ "transfer": posting("user:1", "plugin:game", "coin", 1) }),
        ),
        (12, json!({ "capture_hold": { "hold": of_other } })),
        (
            12,
            json!({ "capture_hold": { "hold": super::script::call_id("P").hold(0), "amount": 6 } }),
        ),
    ] {
        let result = forged(&result, &format!("/transcript/facts/{fact}/ask"), ask);
        if verdict(&world, &result) != Verdict::Stale {
            wrong.push(result.transcript.exchanges()[fact].clone());
        }
    }
    assert_eq!(wrong, []);
}

#[test]
fn a_result_with_forged_draws_is_stale() {
    let (world, result) = played();
    let origin = result.origin.as_ref().expect("it has drawn");
    let drawn = |fact: usize| serde_json::to_value(&result.transcript.exchanges()[fact].response);
    let drawn = drawn(9).expect("JSON")["drawn"].as_u64().expect("a draw");
    let shuffled = json!({ "shuffled": [0, 1, 2, 3, 4] });
    let mut wrong = Vec::new();
    for (pointer, lie) in [
        (
            "/transcript/facts/9/answer/drawn",
            json!((drawn + 1) % 1000),
        ),
        ("/transcript/facts/10/answer", shuffled),
        ("/transcript/facts/9/ask/draw/range", json!(999)),
        ("/transcript/facts/9/ask/draw/label", json!("other")),
        ("/origin", Value::Null),
        ("/origin/nonce", json!(origin.nonce - 1)),
        ("/origin/nonce", json!(origin.nonce + 1)),
        ("/origin/nonce", json!(u64::MAX)),
        ("/origin/seed", json!(0)),
        ("/origin/seed", json!(2)),
        ("/origin/client_seed", json!("luck")),
        ("/origin/by_member", json!(true)),
    ] {
        if verdict(&world, &forged(&result, pointer, lie.clone())) != Verdict::Stale {
            wrong.push((pointer, lie));
        }
    }
    assert_eq!(wrong, []);
}

/// A host could leave out a draw, so that the next one takes its place.
#[test]
fn a_result_without_one_of_its_draws_is_stale() {
    let (world, result) = played();
    let mut text = serde_json::to_value(&result).expect("it is JSON");
    let facts = text["transcript"]["facts"].as_array_mut().expect("a list");
    facts.remove(9);
    let result = serde_json::from_value(text).expect("a result");
    assert_eq!(verdict(&world, &result), Verdict::Stale);
}

#[test]
fn a_result_of_another_installation_or_component_is_stale() {
    let (world, result) = played();
    let version = result.transcript.version();
    for (pointer, lie) in [
        ("/component", json!(Digest::of(b"b"))),
        ("/component", json!(Digest::ZERO)),
        ("/transcript/version", json!(version - 1)),
        ("/transcript/version", json!(version + 1)),
        ("/request/plugin", json!("other")),
    ] {
        let result = forged(&result, pointer, lie);
        assert_eq!(verdict(&world, &result), Verdict::Stale, "{pointer}");
    }
}

/// A call's end is rejected if its transcript does not lead to it, so that a loser cannot change the end.
#[test]
fn an_ending_that_the_transcript_contradicts_is_rejected() {
    let (world, result) = played();
    let plugin = id("game");
    let poor = Rejection::InsufficientFunds {
        account: id("user:1"),
        asset: id("coin"),
        available: 0,
        required: amount(10),
    };
    for ending in [
        CallEnding::Stopped(poor.clone()),
        CallEnding::Stopped(Rejection::PluginDisabled { plugin }),
        CallEnding::NotRun(poor),
        CallEnding::Declined {
            code: "no".into(),
            message: "no".into(),
        },
    ] {
        let result = CallResult {
            ending,
            ..result.clone()
        };
        let verdict = verdict(&world, &result);
        assert_eq!(verdict, Verdict::Stale, "{:?}", result.ending);
    }
}

/// A call that was stopped before its draw is rejected with the reason that stopped it, and with no other one.
#[test]
fn a_stopped_call_is_refused_only_for_the_reason_that_stopped_it() {
    let mut world = World::after(GAME);
    world.run("call A game user:1; A pay user:1 -> plugin:game coin 101; A draw 2");
    let rejection = Rejection::InsufficientFunds {
        account: id("user:1"),
        asset: id("coin"),
        available: 95,
        required: amount(101),
    };
    let result = world.end("A", CallEnding::Stopped(rejection.clone()));
    assert_eq!(verdict(&world, &result), Verdict::Rejected(rejection));
    let stopped = |ending| {
        let result = CallResult {
            ending,
            ..result.clone()
        };
        verdict(&world, &result)
    };
    let plugin = id("game");
    let other = Rejection::PluginDisabled { plugin };
    assert_eq!(stopped(CallEnding::Stopped(other)), Verdict::Stale);
}

/// The record of an aborted call has its draws, and no other effect that a forger could add.
#[test]
fn an_aborted_call_is_recorded_with_its_own_draws_only() {
    let (world, result) = played();
    let broken = CallResult {
        ending: CallEnding::Broken {
            failure: "busy".into(),
            by_plugin: false,
        },
        ..result
    };
    let kept = verdict(&world, &broken);
    let Verdict::Broken(decision) = kept else {
        panic!("{kept:?}");
    };
    assert_eq!(decision.movements(), []);
    for (pointer, lie) in [
        ("/transcript/facts/9/answer/drawn", json!(1_000)),
        ("/component", json!(Digest::of(b"b"))),
        ("/origin/nonce", json!(1)),
        ("/origin", Value::Null),
    ] {
        let forged = verdict(&world, &forged(&broken, pointer, lie));
        assert_eq!(forged, Verdict::Stale, "{pointer}");
    }
}

/// The host reports the fuel, and no verdict depends on it, so a forger gains nothing. A wrong figure is found when the
/// component runs again.
#[test]
fn forged_fuel_changes_no_verdict() {
    let (world, result) = played();
    let honest = verdict(&world, &result);
    let other = CallResult {
        fuel: u64::MAX,
        ..result
    };
    assert_eq!(verdict(&world, &other), honest);
    let decision: Option<&Decision> = honest.decision();
    assert!(decision.is_some());
}

/// A due run runs once, at its due time, and only because of the clock.
#[test]
fn a_result_of_a_run_that_is_not_due_is_rejected() {
    let mut world = World::after(
        "asset coin
         account user:1
         plugin game component=a grants=requested enabled=true schedules=deal/60/catch_up
         wait 60
         call A game plugin:game due=60000 action=deal",
    );
    let ending = CallEnding::Replied { reply: json!({}) };
    let result = world.end("A", ending);
    assert!(matches!(verdict(&world, &result), Verdict::Applied(_)));
    for (pointer, lie) in [
        ("/request/due", json!(120_000)),
        ("/request/due", json!(59_999)),
        ("/request/action", json!("other")),
        ("/request/due", Value::Null),
    ] {
        let forged = verdict(&world, &forged(&result, pointer, lie));
        assert_eq!(forged, Verdict::Stale, "{pointer}");
    }
}

/// Only a call whose plugin has returned gives the same result when it is repeated.
#[test]
fn a_result_shows_if_the_plugin_has_returned() {
    let (_, result) = played();
    let has_run = |ending| {
        let result = CallResult {
            ending,
            ..result.clone()
        };
        result.has_run()
    };
    let plugin = id("game");
    let off = Rejection::PluginDisabled { plugin };
    let text = String::new;
    assert!(has_run(CallEnding::Replied { reply: json!({}) }));
    assert!(has_run(CallEnding::Faulted { fault: text() }));
    assert!(has_run(CallEnding::Stopped(off.clone())));
    assert!(has_run(CallEnding::Declined {
        code: text(),
        message: text()
    }));
    assert!(!has_run(CallEnding::Broken {
        failure: text(),
        by_plugin: true
    }));
    let not_run = CallResult::not_run(result.request.clone(), result.component, off);
    assert!(!not_run.has_run());
    assert_eq!(not_run.fuel, 0);
}

//! Receipts: a call explains itself, and anybody can run it again.

use std::path::Path;
use std::process::{Command, Output};

use bursar_server::client::Response;
use serde_json::{Value, json};

use crate::support::{GUILD, Guild, House, binary, install_malicious};

/// A coinflip and a purchase, and their calls.
async fn played() -> (House, Guild, String, String) {
    let (house, mut guild) = House::with_guild(1).await;
    guild
        .install("coinflip", "bundled:coinflip", json!({"asset": "coin"}))
        .await;
    guild.issue("plugin:coinflip", "coin", 1000).await;
    let potion = json!({"kind": "item", "name": "Potion"});
    guild
        .made(&format!("{GUILD}/assets/item:potion"), potion)
        .await;
    let config = json!({
        "items": [{"item": "item:potion", "price": {"coin": 50}, "per_member_limit": 3}],
    });
    guild.install("shop", "bundled:shop", config).await;
    guild.issue("plugin:shop", "item:potion", 10).await;
    let bet = json!({"stake": 10, "side": "heads"});
    let flipped = guild
        .call("coinflip/flip", "flip", "user:1", bet)
        .await
        .json();
    let wanted = json!({"item": "item:potion", "quantity": 2});
    let bought = guild.call("shop/buy", "buy", "user:1", wanted).await.json();
    let id = |answer: &Value| answer["call"].as_str().expect("a call").to_owned();
    let (flip, buy) = (id(&flipped), id(&bought));
    (house, guild, flip, buy)
}

async fn receipt(guild: &mut Guild, call: &str) -> Value {
    let answer = guild.get(&format!("{GUILD}/calls/{call}")).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    answer.json()
}

/// A file with the component of the malicious plugin.
fn malicious_in(folder: &Path) -> String {
    let file = folder.join("malicious.wasm");
    std::fs::write(&file, bursar_server::bundled::MALICIOUS).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Runs `bursar verify` on a receipt, and gives what it says.
pub(crate) fn verify(folder: &Path, receipt: &Value, more: &[&str]) -> (Option<i32>, String) {
    let file = folder.join("receipt.json");
    std::fs::write(&file, receipt.to_string()).unwrap();
    let output: Output = Command::new(binary())
        .arg("verify")
        .arg(&file)
        .args(more)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_verifies_once_its_seed_is_public() {
    let (house, mut guild, flip, buy) = played().await;
    let folder = tempfile::tempdir().unwrap();
    let bought = receipt(&mut guild, &buy).await;
    let (code, said) = verify(folder.path(), &bought, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("nothing was drawn") && said.contains("same end"),
        "{said}"
    );
    let hidden = receipt(&mut guild, &flip).await;
    assert!(hidden["seed"]["seed"].is_null());
    let (code, said) = verify(folder.path(), &hidden, &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("not public yet"), "{said}");
    guild.post("seeds/rotate", "r", json!({})).await;
    let public = receipt(&mut guild, &flip).await;
    let (code, said) = verify(folder.path(), &public, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("1 draws come from the seed"), "{said}");
    // The seed that was published verifies the receipt from before, too.
    let seed = public["seed"]["seed"].as_str().unwrap();
    let (code, said) = verify(folder.path(), &hidden, &["--seed", seed]);
    assert_eq!(code, Some(0), "{said}");
    let (code, _) = verify(folder.path(), &hidden, &["--seed", &"0".repeat(64)]);
    assert_eq!(
        code,
        Some(1),
        "another seed is not the one that was committed to"
    );
    house.close().await;
}

/// A purchase that the member cannot pay for.
async fn buy_too_dear(guild: &mut Guild, key: &str) -> Response {
    let config = json!({"items": [{"item": "item:potion", "price": {"coin": 5000}}]});
    guild.install("shop", "bundled:shop", config).await;
    let wanted = json!({"item": "item:potion"});
    guild.call("shop/buy", key, "user:1", wanted).await
}

/// A record and a receipt were there, and nobody was told under which id.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_ledger_refuses_names_its_call() {
    let (house, mut guild, ..) = played().await;
    let refused = buy_too_dear(&mut guild, "dear").await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (422, "insufficient_funds".into())
    );
    let call = refused.json()["call"].as_str().expect("a call").to_owned();
    let again = buy_too_dear(&mut guild, "dear").await;
    assert!(again.replayed && again.body == refused.body);
    let receipt = receipt(&mut guild, &call).await;
    assert_eq!(receipt["outcome"], "rejected");
    assert_eq!(receipt["idempotency_key"], "dear");
    assert_eq!(receipt["postings"], json!([]));
    let events = guild.get(&format!("{GUILD}/events?limit=500")).await.json();
    let mut events = events["events"].as_array().unwrap().iter();
    let event = events.find(|event| event["idempotency_key"] == "dear");
    assert_eq!(event.expect("an event")["answer"]["call"], call);
    house.close().await;
}

/// Installs the malicious plugin with one byte of state and a stake of the member's; returns the hold.
async fn install_malicious_with_a_stake(guild: &mut Guild) -> String {
    install_malicious(guild).await;
    guild.issue("plugin:malicious", "coin", 10_000).await;
    let grants = json!({"grants": {"state_bytes": 1}});
    guild
        .made(&format!("{GUILD}/plugins/malicious"), grants)
        .await;
    let stake = json!({"asset": "coin", "amount": 10});
    let staked = guild
        .call("malicious/stake", "stake", "user:1", stake)
        .await;
    staked.json()["reply"]["told"].as_str().unwrap().to_owned()
}

/// Receipts of what the ledger refuses, in each way in which a call ends that it may refuse: with the ways.
async fn refused() -> Vec<(&'static str, &'static str, Value)> {
    let (house, mut guild) = House::with_guild(1).await;
    let hold = install_malicious_with_a_stake(&mut guild).await;
    let bet = json!({"asset": "coin", "amount": 2000});
    let mut receipts = Vec::new();
    for (action, arguments, code, ending) in [
        ("spend", bet.clone(), "insufficient_funds", "replied"),
        (
            "take_time",
            json!({"slow": false}),
            "state_quota",
            "replied",
        ),
        ("hoard_for", json!({"hold": hold}), "state_quota", "replied"),
        ("trap_if_lost", bet, "insufficient_funds", "stopped"),
        ("honest", json!({}), "account_frozen", "not_run"),
    ] {
        if ending == "not_run" {
            let frozen = json!({"status": "frozen"});
            guild
                .made(&format!("{GUILD}/accounts/user:1"), frozen)
                .await;
        }
        let path = format!("malicious/{action}");
        let refused = guild.call(&path, action, "user:1", arguments).await;
        assert_eq!(refused.code(), code, "{action}: {}", refused.json());
        let call = refused.json()["call"].as_str().expect("a call").to_owned();
        let rotate = format!("rotate {action}");
        guild.post("seeds/rotate", &rotate, json!({})).await;
        receipts.push((action, ending, receipt(&mut guild, &call).await));
    }
    house.close().await;
    receipts
}

/// An honest receipt was called false where the plugin had replied and the ledger refused.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_ledger_refuses_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let component = malicious_in(folder.path());
    for (action, ending, receipt) in refused().await {
        assert_eq!(receipt["outcome"], "rejected", "{action}");
        assert!(receipt["call"]["ending"][ending].is_object(), "{action}");
        let (code, said) = verify(folder.path(), &receipt, &["--component", &component]);
        assert_eq!(code, Some(0), "{action}: {said}");
        for outcome in ["applied", "declined", "faulted", "broken"] {
            let altered = altered(&receipt, "/outcome", json!(outcome));
            let (code, said) = verify(folder.path(), &altered, &[]);
            assert_eq!(code, Some(1), "{action} {outcome}: {said}");
        }
        let moved = json!([{"from": "user:1", "to": "user:2", "asset": "coin", "amount": 1}]);
        let altered = altered(&receipt, "/postings", moved);
        let (code, said) = verify(folder.path(), &altered, &[]);
        assert_eq!(code, Some(1), "{action}: {said}");
    }
}

/// While a call ran its economy may have been frozen. What has drawn is on record as what it was.
#[tokio::test(flavor = "multi_thread")]
async fn only_what_has_not_drawn_may_be_refused_however_it_ended() {
    let (house, mut guild) = House::with_guild(1).await;
    install_malicious(&mut guild).await;
    let stake = json!({"asset": "coin", "amount": 10});
    let mut receipts = Vec::new();
    for (action, code) in [("write_and_trap", 0), ("trap_after_draw", 1)] {
        let path = format!("malicious/{action}");
        let ended = guild.call(&path, action, "user:1", stake.clone()).await;
        assert_eq!(ended.code(), "plugin_fault");
        let call = ended.json()["call"].as_str().expect("a call").to_owned();
        guild.post("seeds/rotate", action, json!({})).await;
        receipts.push((action, code, receipt(&mut guild, &call).await));
    }
    house.close().await;
    let folder = tempfile::tempdir().unwrap();
    let component = malicious_in(folder.path());
    for (action, expected, receipt) in receipts {
        let refused = altered(&receipt, "/outcome", json!("rejected"));
        let (code, said) = verify(folder.path(), &refused, &["--component", &component]);
        assert_eq!(code, Some(expected), "{action}: {said}");
    }
}

/// Of a preview there is no record, and of what has not become a call neither.
#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_no_record_names_no_call() {
    let (house, mut guild, ..) = played().await;
    buy_too_dear(&mut guild, "dear").await;
    let wanted = json!({
        "caller": "user:1", "arguments": {"item": "item:potion"}, "preview": true,
    });
    let previewed = guild.post("plugins/shop/actions/buy", "p", wanted).await;
    assert_eq!(previewed.code(), "insufficient_funds");
    assert_eq!(previewed.json()["preview"], true);
    assert!(previewed.json()["call"].is_null());
    let unknown = guild.call("shop/sell", "s", "user:1", json!({})).await;
    assert_eq!(unknown.code(), "action_not_found");
    assert!(unknown.json()["call"].is_null());
    let moved = guild.transfer("t", "user:1", "user:2", 5000).await;
    assert_eq!(moved.status, 422);
    assert!(moved.json()["call"].is_null());
    house.close().await;
}

/// Sets what a pointer leads to.
fn altered(receipt: &Value, pointer: &str, value: Value) -> Value {
    let mut altered = receipt.clone();
    let place = altered.pointer_mut(pointer);
    *place.unwrap_or_else(|| panic!("{pointer} is there")) = value;
    altered
}

/// Where the first change of a kind is.
fn change(receipt: &Value, kind: &str) -> String {
    let changes = receipt["changes"].as_array().unwrap();
    let place = changes.iter().position(|change| change["change"] == kind);
    format!("/changes/{}", place.expect(kind))
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_altered_in_a_receipt_shows() {
    let (house, mut guild, flip, buy) = played().await;
    guild.post("seeds/rotate", "r", json!({})).await;
    let folder = tempfile::tempdir().unwrap();
    let flipped = receipt(&mut guild, &flip).await;
    let bought = receipt(&mut guild, &buy).await;
    whatever_a_draw_comes_from_shows(&mut guild, folder.path()).await;
    let facts = flipped["call"]["transcript"]["facts"].as_array().unwrap();
    let draw = facts
        .iter()
        .position(|fact| fact["ask"]["draw"].is_object())
        .unwrap();
    let fact = format!("/call/transcript/facts/{draw}");
    let drawn = facts[draw]["answer"]["drawn"].as_u64().unwrap();
    for (pointer, value) in [
        (format!("{fact}/answer/drawn"), json!(1 - drawn)),
        ("/call/origin/seed".into(), json!(2)),
        ("/seed/commitment".into(), json!("0".repeat(64))),
        ("/seed/seed".into(), json!("0".repeat(64))),
        ("/call/fuel".into(), json!(1)),
        ("/call/request/arguments/stake".into(), json!(11)),
        ("/call/request/arguments/side".into(), json!("tails")),
        ("/call/request/caller".into(), json!("user:2")),
        ("/installation/config/asset".into(), json!("gem")),
        ("/call/ending/replied/reply/paid".into(), json!(1)),
        ("/postings/0/amount".into(), json!(9)),
        ("/postings".into(), json!([])),
        ("/outcome".into(), json!("faulted")),
    ] {
        let (code, said) = verify(folder.path(), &altered(&flipped, &pointer, value), &[]);
        assert_eq!(code, Some(1), "{pointer}: {said}");
    }
    // Not to say how it was installed is no way around running it.
    let mut bare = flipped.clone();
    bare.as_object_mut().unwrap().remove("installation");
    let (code, said) = verify(folder.path(), &bare, &[]);
    assert_eq!(code, Some(1), "{said}");
    let costlier = altered(&flipped, "/call/fuel", json!(1));
    let (_, said) = verify(folder.path(), &costlier, &[]);
    assert!(said.contains("fuel: 1 in the receipt"), "{said}");
    let state = change(&bought, "state_set");
    for (member, value) in [("value", "{}"), ("plugin", "coinflip")] {
        let altered = altered(&bought, &format!("{state}/{member}"), json!(value));
        let (code, said) = verify(folder.path(), &altered, &[]);
        assert_eq!(code, Some(1), "{member}: {said}");
    }
    house.close().await;
}

/// An offer of coins that was accepted: the receipts of both calls.
async fn traded(guild: &mut Guild) -> (Value, Value) {
    guild.install("trade", "bundled:trade", json!({})).await;
    let offer = json!({"to": "user:2", "give": {"coin": 30}});
    let offered = guild.call("trade/offer", "o", "user:1", offer).await.json();
    let accept = json!({"trade": 1});
    let accepted = guild
        .call("trade/accept", "a", "user:2", accept)
        .await
        .json();
    let offered = receipt(guild, offered["call"].as_str().unwrap()).await;
    let accepted = receipt(guild, accepted["call"].as_str().unwrap()).await;
    (offered, accepted)
}

/// Whatever was captured could be altered unseen: of a hold of an earlier call nothing was known.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_altered_of_a_hold_shows() {
    let (house, mut guild) = House::with_guild(2).await;
    let (offered, accepted) = traded(&mut guild).await;
    let folder = tempfile::tempdir().unwrap();
    let (placed, captured) = (
        change(&offered, "hold_placed"),
        change(&accepted, "hold_captured"),
    );
    let hold = offered.pointer(&format!("{placed}/hold")).unwrap();
    let left = json!({"from": "user:1", "to": "user:2", "asset": "coin", "amount": 30});
    assert_eq!(accepted["postings"], json!([left]));
    assert_eq!(accepted["holds"], json!([{"hold": hold, "left": left}]));
    let other = json!("00000000-0000-7000-8000-000000000000");
    let posting = [
        ("from", json!("user:3")),
        ("to", json!("user:3")),
        ("asset", json!("gem")),
        ("amount", json!(29)),
    ];
    let of_posting = |place: &str| {
        let each = posting.clone().into_iter();
        each.map(move |(member, value)| (format!("{place}/{member}"), value))
            .collect::<Vec<_>>()
    };
    let of_capture = [
        (format!("{captured}/amount"), json!(29)),
        (format!("{captured}/hold"), other.clone()),
        ("/holds/0/hold".into(), other.clone()),
    ];
    let of_placement = [
        (format!("{placed}/hold"), other),
        (format!("{placed}/placed/expires_at"), json!(1)),
        (format!("{placed}/placed/on_expiry"), json!("capture")),
        (format!("{placed}/placed/plugin"), json!("auction")),
    ];
    let accept = [of_posting("/postings/0"), of_posting("/holds/0/left")].concat();
    let offer = of_posting(&format!("{placed}/placed/reservation"));
    for (receipt, pointers) in [
        (&accepted, [accept, of_capture.to_vec()].concat()),
        (&offered, [offer, of_placement.to_vec()].concat()),
    ] {
        let (code, said) = verify(folder.path(), receipt, &[]);
        assert_eq!(code, Some(0), "{said}");
        for (pointer, value) in pointers {
            let (code, said) = verify(folder.path(), &altered(receipt, &pointer, value), &[]);
            assert_eq!(code, Some(1), "{pointer}: {said}");
        }
    }
    // Less was captured, says everything but what the plugin was told.
    let amounts = ["/postings/0", "/holds/0/left", captured.as_str()];
    let less = amounts
        .into_iter()
        .fold(accepted.clone(), |receipt, place| {
            altered(&receipt, &format!("{place}/amount"), json!(29))
        });
    let (code, said) = verify(folder.path(), &less, &[]);
    assert_eq!(code, Some(1), "{said}");
    // A receipt from before they told of holds is neither right nor wrong.
    let mut silent = accepted;
    silent.as_object_mut().unwrap().remove("holds");
    let (code, said) = verify(folder.path(), &silent, &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("does not say what was held as"), "{said}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_void_round_gives_back_is_what_it_had_secured() {
    let (house, mut guild) = House::with_guild(1).await;
    let hold = install_malicious_with_a_stake(&mut guild).await;
    let path = format!("holds/{hold}/capture");
    let part = guild.post(&path, "part", json!({"amount": 4})).await;
    assert_eq!(part.status, 201, "{}", part.json());
    let game = json!({"hold": hold});
    let refused = guild
        .call("malicious/hoard_for", "h", "user:1", game)
        .await
        .json();
    guild.post("seeds/rotate", "r", json!({})).await;
    let receipt = receipt(&mut guild, refused["call"].as_str().unwrap()).await;
    assert_eq!(receipt["holds"][0]["left"]["amount"], 6);
    let folder = tempfile::tempdir().unwrap();
    let component = malicious_in(folder.path());
    let verify = |receipt: &Value| verify(folder.path(), receipt, &["--component", &component]);
    let (code, said) = verify(&receipt);
    assert_eq!(code, Some(0), "{said}");
    let freed = change(&receipt, "hold_ended");
    let other = json!("00000000-0000-7000-8000-000000000000");
    for (pointer, value) in [
        (format!("{freed}/hold"), other),
        (format!("{freed}/end"), json!("captured")),
        (format!("{}/nonce", change(&receipt, "draws")), json!(7)),
        ("/changes".into(), json!([])),
    ] {
        let (code, said) = verify(&altered(&receipt, &pointer, value));
        assert_eq!(code, Some(1), "{pointer}: {said}");
    }
    house.close().await;
}

/// Of a million numbers another one is drawn.
async fn whatever_a_draw_comes_from_shows(guild: &mut Guild, folder: &Path) {
    install_malicious(guild).await;
    let called = guild
        .call("malicious/slowly", "draw", "user:1", json!({}))
        .await
        .json();
    guild.post("seeds/rotate", "again", json!({})).await;
    let receipt = receipt(guild, called["call"].as_str().unwrap()).await;
    let facts = receipt["call"]["transcript"]["facts"].as_array().unwrap();
    let draw = facts
        .iter()
        .position(|fact| fact["ask"]["draw"].is_object())
        .unwrap();
    for (pointer, value) in [
        ("/call/origin/nonce".to_owned(), json!(7)),
        ("/call/origin/client_seed".into(), json!("luck")),
        ("/call/component".into(), json!("0".repeat(64))),
        (
            format!("/call/transcript/facts/{draw}/ask/draw/label"),
            json!("another"),
        ),
    ] {
        let (code, said) = verify(folder, &altered(&receipt, &pointer, value), &[]);
        assert_eq!(code, Some(1), "{pointer}: {said}");
        assert!(
            said.contains("something else was drawn"),
            "{pointer}: {said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_came_to_nothing_has_a_receipt_too() {
    let (house, mut guild) = House::with_guild(1).await;
    install_malicious(&mut guild).await;
    let stake = json!({"asset": "coin", "amount": 10});
    let folder = tempfile::tempdir().unwrap();
    let component = malicious_in(folder.path());
    for (action, arguments, outcome) in [
        ("trap_after_draw", stake.clone(), "faulted"),
        ("write_and_trap", stake.clone(), "faulted"),
        ("spin", json!({}), "faulted"),
        ("take_time", json!({"slow": false}), "applied"),
        ("stake", stake, "applied"),
    ] {
        let ended = guild
            .call(&format!("malicious/{action}"), action, "user:1", arguments)
            .await;
        let call = ended.json()["call"].as_str().expect("a call").to_owned();
        guild
            .post("seeds/rotate", &format!("rotate {action}"), json!({}))
            .await;
        let receipt = receipt(&mut guild, &call).await;
        assert_eq!(receipt["outcome"], outcome, "{action}");
        let (code, said) = verify(folder.path(), &receipt, &["--component", &component]);
        assert_eq!(code, Some(0), "{action}: {said}");
        let (code, said) = verify(folder.path(), &receipt, &[]);
        assert_eq!(code, Some(2), "{action}: {said}");
        assert!(said.contains("--component FILE"), "{said}");
    }
    let missing = format!("{GUILD}/calls/00000000-0000-7000-8000-000000000000");
    let missing = guild.get(&missing).await;
    assert_eq!(
        (missing.status.as_u16(), missing.code()),
        (404, "call_not_found".into())
    );
    house.close().await;
}

//! Receipts: a receipt explains its call, and everyone can run the call again.

use std::path::Path;
use std::process::{Command, Output};

use bursar_server::client::Response;
use serde_json::{Value, json};

use crate::server_process::binary;
use crate::support::{GUILD, GuildClient, TestServer, install_malicious};

/// Makes a flip and a purchase and returns the ids of their calls.
async fn server_with_calls() -> (TestServer, GuildClient, String, String) {
    let (server, mut guild) = TestServer::with_guild(1).await;
    guild
        .install("coinflip", "bundled:coinflip", json!({"asset": "coin"}))
        .await;
    guild.issue("plugin:coinflip", "coin", 1000).await;
    let potion = json!({"kind": "item", "name": "Potion"});
    guild
        .put_ok(&format!("{GUILD}/assets/item:potion"), potion)
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
    let arguments = json!({"item": "item:potion", "quantity": 2});
    let bought = guild
        .call("shop/buy", "buy", "user:1", arguments)
        .await
        .json();
    let id = |response: &Value| response["call"].as_str().expect("a call").to_owned();
    let flip = id(&flipped);
    let buy = id(&bought);
    (server, guild, flip, buy)
}

pub(crate) async fn receipt(guild: &mut GuildClient, call: &str) -> Value {
    let response = guild.get(&format!("{GUILD}/calls/{call}")).await;
    assert_eq!(response.status, 200, "{}", response.json());
    response.json()
}

/// Writes the malicious plugin's component to a file and returns its path.
pub(crate) fn malicious_in(folder: &Path) -> String {
    let file = folder.join("malicious.wasm");
    std::fs::write(&file, bursar_server::bundled::MALICIOUS).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Runs `bursar verify` on a receipt and returns the exit code and the output.
pub(crate) fn verify(folder: &Path, receipt: &Value, more: &[&str]) -> (Option<i32>, String) {
    let file = folder.join("receipt.json");
    std::fs::write(&file, receipt.to_string()).unwrap();
    let output: Output = Command::new(binary())
        .arg("verify")
        .arg(&file)
        .args(more)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_verifies_once_its_seed_is_public() {
    let (server, mut guild, flip, buy) = server_with_calls().await;
    let folder = tempfile::tempdir().unwrap();
    let bought = receipt(&mut guild, &buy).await;
    let (code, output) = verify(folder.path(), &bought, &[]);
    assert_eq!(code, Some(0), "{output}");
    assert!(
        output.contains("the call made no draws") && output.contains("same result"),
        "{output}"
    );
    let hidden = receipt(&mut guild, &flip).await;
    assert!(hidden["seed"]["seed"].is_null());
    let (code, output) = verify(folder.path(), &hidden, &[]);
    assert_eq!(code, Some(2), "{output}");
    assert!(output.contains("not public yet"), "{output}");
    guild.post("seeds/rotate", "r", json!({})).await;
    let public = receipt(&mut guild, &flip).await;
    let (code, output) = verify(folder.path(), &public, &[]);
    assert_eq!(code, Some(0), "{output}");
    assert!(
        output.contains("1 draws come from the committed"),
        "{output}"
    );
    // The published seed also verifies the receipt from before.
    let seed = public["seed"]["seed"].as_str().unwrap();
    let (code, output) = verify(folder.path(), &hidden, &["--seed", seed]);
    assert_eq!(code, Some(0), "{output}");
    let (code, _) = verify(folder.path(), &hidden, &["--seed", &"0".repeat(64)]);
    assert_eq!(code, Some(1), "another seed does not match the commitment");
    server.close().await;
}

/// Makes a purchase that the member cannot pay.
async fn buy_too_expensive(guild: &mut GuildClient, key: &str) -> Response {
    let config = json!({"items": [{"item": "item:potion", "price": {"coin": 5000}}]});
    guild.install("shop", "bundled:shop", config).await;
    let arguments = json!({"item": "item:potion"});
    guild.call("shop/buy", key, "user:1", arguments).await
}

/// The rejection must name the call id, which leads to its record and receipt.
#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_by_the_ledger_names_its_call() {
    let (server, mut guild, ..) = server_with_calls().await;
    let refused = buy_too_expensive(&mut guild, "dear").await;
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (422, "insufficient_funds".into())
    );
    let call = refused.json()["call"].as_str().expect("a call").to_owned();
    let again = buy_too_expensive(&mut guild, "dear").await;
    assert!(again.replayed && again.body == refused.body);
    let receipt = receipt(&mut guild, &call).await;
    assert_eq!(receipt["outcome"], "rejected");
    assert_eq!(receipt["idempotency_key"], "dear");
    assert_eq!(receipt["postings"], json!([]));
    let events = guild.get(&format!("{GUILD}/events?limit=500")).await.json();
    let mut events = events["events"].as_array().unwrap().iter();
    let event = events.find(|event| event["idempotency_key"] == "dear");
    assert_eq!(event.expect("an event")["answer"]["call"], call);
    server.close().await;
}

/// Installs the malicious plugin with a state quota of one byte and places a hold on the member's stake.
/// Returns the hold's id.
pub(crate) async fn install_malicious_with_one_byte(guild: &mut GuildClient) -> String {
    install_malicious(guild).await;
    guild.issue("plugin:malicious", "coin", 10_000).await;
    let grants = json!({"grants": {"state_bytes": 1}});
    guild
        .put_ok(&format!("{GUILD}/plugins/malicious"), grants)
        .await;
    let stake = json!({"asset": "coin", "amount": 10});
    let staked = guild
        .call("malicious/stake", "stake", "user:1", stake)
        .await;
    staked.json()["reply"]["text"].as_str().unwrap().to_owned()
}

/// Returns receipts of rejected calls, one for each way a call can end before the rejection, with the action
/// and that ending.
async fn rejected_receipts() -> Vec<(&'static str, &'static str, Value)> {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let hold = install_malicious_with_one_byte(&mut guild).await;
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
                .put_ok(&format!("{GUILD}/accounts/user:1"), frozen)
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
    server.close().await;
    receipts
}

/// A receipt of a call that replied and was rejected must verify.
#[tokio::test(flavor = "multi_thread")]
async fn receipts_of_rejected_calls_verify() {
    let folder = tempfile::tempdir().unwrap();
    let component = malicious_in(folder.path());
    for (action, ending, receipt) in rejected_receipts().await {
        assert_eq!(receipt["outcome"], "rejected", "{action}");
        assert!(receipt["call"]["ending"][ending].is_object(), "{action}");
        let (code, output) = verify(folder.path(), &receipt, &["--component", &component]);
        assert_eq!(code, Some(0), "{action}: {output}");
        for outcome in ["applied", "declined", "faulted", "broken"] {
            let altered = with_value(&receipt, "/outcome", json!(outcome));
            let (code, output) = verify(folder.path(), &altered, &[]);
            assert_eq!(code, Some(1), "{action} {outcome}: {output}");
        }
        let moved = json!([{"from": "user:1", "to": "user:2", "asset": "coin", "amount": 1}]);
        let altered = with_value(&receipt, "/postings", moved);
        let (code, output) = verify(folder.path(), &altered, &[]);
        assert_eq!(code, Some(1), "{action}: {output}");
    }
}

/// An economy may be frozen while a call runs. A call that has drawn is recorded with its real outcome
/// nevertheless.
#[tokio::test(flavor = "multi_thread")]
async fn only_calls_without_draws_may_be_recorded_as_rejected() {
    let (server, mut guild) = TestServer::with_guild(1).await;
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
    server.close().await;
    let folder = tempfile::tempdir().unwrap();
    let component = malicious_in(folder.path());
    for (action, expected, receipt) in receipts {
        let refused = with_value(&receipt, "/outcome", json!("rejected"));
        let (code, output) = verify(folder.path(), &refused, &["--component", &component]);
        assert_eq!(code, Some(expected), "{action}: {output}");
    }
}

/// Previews and requests that never became a call have no record.
#[tokio::test(flavor = "multi_thread")]
async fn responses_without_a_record_name_no_call() {
    let (server, mut guild, ..) = server_with_calls().await;
    buy_too_expensive(&mut guild, "dear").await;
    let arguments = json!({
        "caller": "user:1", "arguments": {"item": "item:potion"}, "preview": true,
    });
    let previewed = guild.post("plugins/shop/actions/buy", "p", arguments).await;
    assert_eq!(previewed.code(), "insufficient_funds");
    assert_eq!(previewed.json()["preview"], true);
    assert!(previewed.json()["call"].is_null());
    let unknown = guild.call("shop/sell", "s", "user:1", json!({})).await;
    assert_eq!(unknown.code(), "action_not_found");
    assert!(unknown.json()["call"].is_null());
    let moved = guild.transfer("t", "user:1", "user:2", 5000).await;
    assert_eq!(moved.status, 422);
    assert!(moved.json()["call"].is_null());
    server.close().await;
}

/// Returns the receipt with the value at a pointer replaced.
pub(crate) fn with_value(receipt: &Value, pointer: &str, value: Value) -> Value {
    let mut altered = receipt.clone();
    let place = altered.pointer_mut(pointer);
    *place.unwrap_or_else(|| panic!("{pointer} exists")) = value;
    altered
}

/// Returns the pointer to the first change of a kind.
pub(crate) fn pointer_to_change(receipt: &Value, kind: &str) -> String {
    let changes = receipt["changes"].as_array().unwrap();
    let place = changes.iter().position(|change| change["change"] == kind);
    format!("/changes/{}", place.expect(kind))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_a_receipt_is_detected() {
    let (server, mut guild, flip, buy) = server_with_calls().await;
    guild.post("seeds/rotate", "r", json!({})).await;
    let folder = tempfile::tempdir().unwrap();
    let flipped = receipt(&mut guild, &flip).await;
    let bought = receipt(&mut guild, &buy).await;
    check_changes_of_a_draws_origin(&mut guild, folder.path()).await;
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
        let (code, output) = verify(folder.path(), &with_value(&flipped, &pointer, value), &[]);
        assert_eq!(code, Some(1), "{pointer}: {output}");
    }
    // A receipt without its installation cannot skip running the component.
    let mut bare = flipped.clone();
    bare.as_object_mut().unwrap().remove("installation");
    let (code, output) = verify(folder.path(), &bare, &[]);
    assert_eq!(code, Some(1), "{output}");
    let costlier = with_value(&flipped, "/call/fuel", json!(1));
    let (_, output) = verify(folder.path(), &costlier, &[]);
    assert!(output.contains("fuel: 1 in the receipt"), "{output}");
    let state = pointer_to_change(&bought, "state_set");
    for (member, value) in [("value", "{}"), ("plugin", "coinflip")] {
        let altered = with_value(&bought, &format!("{state}/{member}"), json!(value));
        let (code, output) = verify(folder.path(), &altered, &[]);
        assert_eq!(code, Some(1), "{member}: {output}");
    }
    server.close().await;
}

/// Checks that a draw from a million numbers differs if anything that it depends on is changed.
async fn check_changes_of_a_draws_origin(guild: &mut GuildClient, folder: &Path) {
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
        let (code, output) = verify(folder, &with_value(&receipt, &pointer, value), &[]);
        assert_eq!(code, Some(1), "{pointer}: {output}");
        assert!(
            output.contains("do not come from the server seed"),
            "{pointer}: {output}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_call_has_a_receipt() {
    let (server, mut guild) = TestServer::with_guild(1).await;
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
        let (code, output) = verify(folder.path(), &receipt, &["--component", &component]);
        assert_eq!(code, Some(0), "{action}: {output}");
        let (code, output) = verify(folder.path(), &receipt, &[]);
        assert_eq!(code, Some(2), "{action}: {output}");
        assert!(output.contains("--component FILE"), "{output}");
    }
    let missing = format!("{GUILD}/calls/00000000-0000-7000-8000-000000000000");
    let missing = guild.get(&missing).await;
    assert_eq!(
        (missing.status.as_u16(), missing.code()),
        (404, "call_not_found".into())
    );
    server.close().await;
}

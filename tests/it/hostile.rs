//! Malicious plugins: each attack affects only its own call. `checklist.rs` lists the tests of each risk,
//! here and in the host.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bursar_server::bundled;
use bursar_server::client::Response;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{GUILD, GuildClient, TestServer, decline_code, install_malicious};

async fn call_malicious(guild: &mut GuildClient, name: &str, arguments: Value) -> Response {
    guild
        .call(&format!("malicious/{name}"), name, "user:1", arguments)
        .await
}

fn fault(response: &Response) -> String {
    assert_eq!(
        (response.status.as_u16(), response.code()),
        (502, "plugin_fault".into())
    );
    response.json()["fault"].as_str().unwrap().to_owned()
}

/// Asserts that each action ends as a fault with the expected text and has no other effect.
async fn all_are_faults(tricks: &[(&str, Value, &str)]) {
    let (server, mut guild) = TestServer::with_guild(2).await;
    install_malicious(&mut guild).await;
    guild.issue("plugin:malicious", "coin", 500).await;
    for (name, arguments, expected) in tricks {
        let response = call_malicious(&mut guild, name, arguments.clone()).await;
        let fault = fault(&response);
        assert!(fault.contains(expected), "{name}: {fault}");
        let again = call_malicious(&mut guild, name, arguments.clone()).await;
        assert!(
            again.replayed && again.body == response.body,
            "{name} is stored under its key"
        );
    }
    assert_eq!(guild.coin_balances(2).await, [1000, 1000]);
    assert_eq!(guild.posted("plugin:malicious", "coin").await, 500);
    let state = guild
        .get(&format!("{GUILD}/plugins/malicious"))
        .await
        .json();
    assert_eq!(
        state["state_bytes"], 0,
        "the state that a faulted call wrote is discarded"
    );
    // The server still works and serves the malicious plugin's harmless action.
    let honest = call_malicious(&mut guild, "honest", json!({})).await;
    assert_eq!(honest.status, 200);
    server.close().await;
}

fn coins(amount: u64) -> Value {
    json!({"asset": "coin", "amount": amount})
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_loops_and_unbounded_growth_are_stopped() {
    all_are_faults(&[
        ("spin", json!({}), "out of fuel"),
        ("eat", json!({}), "memory"),
        ("flood_log", json!({}), "used up its fuel"),
        ("flood_reads", json!({}), "more than 64 reads"),
        ("flood_transfers", coins(1), "more than 16 transfers"),
        ("huge_reply", json!({}), "too much data"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_traps_moves_nothing() {
    all_are_faults(&[
        (
            "steal_anyway",
            json!({"from": "user:2", "asset": "coin", "amount": 100}),
            "gave up",
        ),
        ("write_and_trap", coins(10), "gave up"),
        ("trap_after_draw", coins(10), "gave up"),
        ("decline_after_draw", json!({}), "declined after a draw"),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_without_a_grant_are_refused_during_the_call() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    install_malicious(&mut guild).await;
    guild.issue("plugin:malicious", "coin", 500).await;
    let refused = [
        (
            "steal",
            json!({"from": "user:2", "asset": "coin", "amount": 100}),
            "debit `user:2`",
        ),
        ("forge", coins(100), "debit `issuer:coin`"),
        (
            "peek",
            json!({"account": "user:2", "asset": "coin"}),
            "read `user:2`",
        ),
        ("debit_after_draw", coins(10), "AfterDraw"),
        ("pay_unsecured", coins(10), "NotSecured"),
    ];
    for (name, arguments, expected) in refused {
        let response = call_malicious(&mut guild, name, arguments).await;
        let reply = response.json()["reply"]["text"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert!(reply.contains(expected), "{name}: {}", response.json());
    }
    assert_eq!(guild.coin_balances(2).await, [1000, 1000]);
    assert_eq!(guild.posted("plugin:malicious", "coin").await, 500);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_overflow_is_no_outcome_and_leaves_the_key_free() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    install_malicious(&mut guild).await;
    let response = call_malicious(&mut guild, "recurse", json!({})).await;
    assert_eq!(
        (response.status.as_u16(), response.code()),
        (503, "call_failed".into())
    );
    assert!(response.retry_after.is_some());
    let outcome = guild.get(&format!("{GUILD}/outcomes/recurse")).await;
    assert_eq!(outcome.code(), "outcome_not_found");
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spend_limits_of_the_caller_and_the_operator_both_apply() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    install_malicious(&mut guild).await;
    let spend =
        |limit: Value| json!({"caller": "user:1", "arguments": coins(10), "spend_limit": limit});
    let path = "plugins/malicious/actions/spend";
    let over = guild.post(path, "a", spend(json!({"coin": 9}))).await;
    assert_eq!(decline_code(&over), "over_limit");
    let grants = json!({"grants": {"spend_per_call": {"coin": 9}}});
    guild
        .put_ok(&format!("{GUILD}/plugins/malicious"), grants)
        .await;
    let over = guild.post(path, "b", spend(json!({"coin": 10}))).await;
    assert_eq!(decline_code(&over), "over_limit");
    guild
        .put_ok(&format!("{GUILD}/plugins/malicious"), json!({"grants": {}}))
        .await;
    let within = guild.post(path, "c", spend(json!({"coin": 10}))).await;
    assert_eq!(within.status, 200);
    assert_eq!(guild.coin_balances(1).await, [990]);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_can_narrow_the_requested_permissions_and_never_widen_them() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    install_malicious(&mut guild).await;
    for wider in [
        json!({"debit": ["issuer:coin"]}),
        json!({"read": ["user:1"]}),
        json!({"credit": ["issuer:coin"]}),
        json!({"fuel": "large"}),
    ] {
        let path = format!("{GUILD}/plugins/malicious");
        let refused = guild.put(&path, json!({"grants": wider})).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (422, "grant_too_wide".into())
        );
    }
    server.close().await;
}

/// The exact end of each fuel class is tested in the host crate.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_uses_no_more_fuel_than_granted() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    install_malicious(&mut guild).await;
    let compute = async |guild: &mut GuildClient, key: &str, turns: u64| {
        let arguments = json!({"asset": "coin", "amount": 1, "turns": turns});
        guild
            .call("malicious/ponder", key, "user:1", arguments)
            .await
    };
    // About 20 million units: more than the small class and less than the standard one.
    let probe = compute(&mut guild, "probe", 10_000).await.json();
    let turns = 20_000_000 * 10_000 / probe["fuel"].as_u64().unwrap();
    assert_eq!(compute(&mut guild, "standard", turns).await.status, 200);
    let grants = json!({"grants": {"fuel": "small"}});
    let path = format!("{GUILD}/plugins/malicious");
    guild.put_ok(&path, grants).await;
    let stopped = compute(&mut guild, "small", turns).await;
    assert_eq!(fault(&stopped), "it ran out of fuel");
    let less = compute(&mut guild, "less", turns / 4).await;
    assert_eq!(less.status, 200, "{}", less.json());
    assert_eq!(guild.coin_balances(1).await, [997]);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_can_be_made_only_for_an_existing_member() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    install_malicious(&mut guild).await;
    for (caller, code) in [
        ("issuer:coin", "reserved_account"),
        ("plugin:malicious", "reserved_account"),
        ("user:404", "account_not_found"),
    ] {
        let refused = guild
            .call("malicious/honest", caller, caller, json!({}))
            .await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (422, code.into())
        );
    }
    server.close().await;
}

/// Uploads a component that must be refused, and returns the code and the text of the first finding.
async fn refused(guild: &mut GuildClient, bytes: Vec<u8>) -> (String, String) {
    let response = guild
        .client
        .send("POST", "/v1/components", None, bytes.into())
        .await
        .unwrap();
    assert_eq!(
        (response.status.as_u16(), response.code()),
        (422, "component_refused".into())
    );
    let finding = response.json()["findings"][0].clone();
    let text = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    (
        text("code"),
        format!("{} / {}", text("message"), text("hint")),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_outside_the_contract_is_refused_by_its_name() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let sockets = wat::parse_str(
        r#"(component
            (import "wasi:sockets/network@0.2.6" (instance))
            (import "evil:backdoor/shell" (instance)))"#,
    );
    let (code, text) = refused(&mut guild, sockets.unwrap()).await;
    assert_eq!(code, "import_not_allowed");
    assert!(
        text.contains("wasi:sockets/network@0.2.6") && text.contains("no WASI"),
        "{text}"
    );
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_no_component_is_refused_with_its_kind() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let mut cut = bundled::MALICIOUS.to_vec();
    cut.truncate(bundled::MALICIOUS.len() / 2);
    let uploads = [
        (b"hello".to_vec(), "not_wasm"),
        (Vec::new(), "not_wasm"),
        (wat::parse_str("(module)").unwrap(), "core_module"),
        (b"(component)".to_vec(), "text_format"),
        (b"\x7fELF\x02\x01".to_vec(), "precompiled"),
        (wat::parse_str("(component)").unwrap(), "export_missing"),
        (cut, "invalid"),
    ];
    for (bytes, code) in uploads {
        assert_eq!(refused(&mut guild, bytes).await.0, code);
    }
    let huge = vec![0; bursar_host::UPLOAD_BYTES_MAX + 1];
    let response = guild
        .client
        .send("POST", "/v1/components", None, huge.into())
        .await
        .unwrap();
    assert_eq!(
        (response.status.as_u16(), response.code()),
        (413, "too_large".into())
    );
    server.close().await;
}

/// Returns many calls of the malicious plugin that run out of fuel.
fn spins(count: usize) -> Vec<(String, String, Value)> {
    let body = json!({"caller": "user:1", "arguments": {}});
    let spin = |number| {
        (
            "plugins/malicious/actions/spin".into(),
            format!("spin {number}"),
            body.clone(),
        )
    };
    (0..count).map(spin).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_beyond_the_queue_bounds_are_refused_and_leave_their_key_free() {
    let server = TestServer::with_setup(|setup| setup.calls.calls_per_economy = 4).await;
    let (server, mut guild) = server.with_members(1).await;
    install_malicious(&mut guild).await;
    let responses = server.post_concurrently(spins(32)).await;
    let refused_calls: Vec<usize> = (0..responses.len())
        .filter(|place| responses[*place].code() == "overloaded")
        .collect();
    let executed = responses
        .iter()
        .filter(|response| response.code() == "plugin_fault")
        .count();
    assert!(
        executed >= 4 && !refused_calls.is_empty(),
        "{executed} of 32 were served"
    );
    assert_eq!(executed + refused_calls.len(), 32);
    for place in refused_calls {
        let key = format!("spin%20{place}");
        guild.assert_overloaded(&responses[place], &key).await;
    }
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_serve_economies_in_turn() {
    let server = TestServer::with_setup(|setup| setup.calls.workers = 1).await;
    let (server, mut guild) = server.with_members(1).await;
    install_malicious(&mut guild).await;
    guild.put_ok("/v1/economies/other", json!({})).await;
    guild
        .put_ok("/v1/economies/other/accounts/user:1", json!({}))
        .await;
    let digest = guild
        .get(&format!("{GUILD}/plugins/malicious"))
        .await
        .json()["component"]
        .clone();
    let malicious = json!({"component": digest, "enabled": true});
    guild
        .put_ok("/v1/economies/other/plugins/malicious", malicious)
        .await;
    let other = async {
        let mut client = server.admin();
        let body = json!({"caller": "user:1", "arguments": {}});
        let path = "/v1/economies/other/plugins/malicious/actions/honest";
        let response = client.post(path, "k", &body).await.unwrap();
        let seq = client.get(GUILD).await.unwrap().json()["seq"]
            .as_u64()
            .unwrap();
        (response.status.as_u16(), seq)
    };
    let before = guild.get(GUILD).await.json()["seq"].as_u64().unwrap();
    let (responses, (status, seq)) = tokio::join!(server.post_concurrently(spins(60)), other);
    assert!(
        responses
            .iter()
            .all(|response| response.code() == "plugin_fault")
    );
    assert_eq!(status, 200);
    assert!(
        seq < before + 30,
        "the other economy waited for {} calls",
        seq - before
    );
    server.close().await;
}

/// One plugin may use as much time in as many calls as it likes: other plugins of the economy keep call slots
/// that it cannot use, and do not wait for all of its calls.
#[tokio::test(flavor = "multi_thread")]
async fn one_plugin_cannot_use_all_call_slots_of_its_economy() {
    let server = TestServer::with_setup(|setup| {
        setup.calls.workers = 1;
        setup.calls.calls_per_economy = 10;
        setup.calls.calls_per_plugin = 8;
    });
    let (server, mut guild) = server.await.with_members(1).await;
    install_malicious(&mut guild).await;
    let config = json!({"asset": "coin"});
    guild.install("coinflip", "bundled:coinflip", config).await;
    guild.issue("plugin:coinflip", "coin", 1_000).await;
    let running = Arc::new(AtomicBool::new(true));
    let mut crowd = JoinSet::new();
    for number in 0..16 {
        let mut client = server.admin();
        let running = Arc::clone(&running);
        crowd.spawn(async move {
            let body = json!({"caller": "user:1", "arguments": {}});
            let path = format!("{GUILD}/plugins/malicious/actions/spin");
            let mut refused_calls = 0;
            for round in 0.. {
                if !running.load(Ordering::SeqCst) {
                    break;
                }
                let key = format!("spin {number} {round}");
                let response = client.post(&path, &key, &body).await.unwrap();
                refused_calls += u64::from(response.code() == "overloaded");
            }
            refused_calls
        });
    }
    let seq =
        async |guild: &mut GuildClient| guild.get(GUILD).await.json()["seq"].as_u64().unwrap();
    let start = seq(&mut guild).await;
    while seq(&mut guild).await < start + 8 {}
    let before = seq(&mut guild).await;
    for number in 0..10 {
        let bet = json!({"stake": 1, "side": "heads"});
        let key = format!("f{number}");
        let flipped = guild.call("coinflip/flip", &key, "user:1", bet).await;
        assert_eq!(flipped.status, 200, "{}", flipped.json());
    }
    let spun = seq(&mut guild).await - before - 10;
    running.store(false, Ordering::SeqCst);
    let refused_calls: u64 = crowd.join_all().await.iter().sum();
    assert!(
        refused_calls > 0,
        "the malicious plugin used all of its slots"
    );
    assert!(spun < 40, "a flip waited for several spins: {spun} in all");
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_server_does_not_run_queued_calls() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    install_malicious(&mut guild).await;
    for (path, key, body) in spins(40) {
        let mut client = server.admin();
        tokio::spawn(async move {
            drop(client.post(&format!("{GUILD}/{path}"), &key, &body).await);
        });
    }
    guild
        .transfer("while they wait", "user:1", "user:404", 1)
        .await;
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_preview_keeps_its_slot_until_it_ends() {
    let server = TestServer::with_setup(|setup| setup.calls.calls_per_economy = 4).await;
    let (server, mut guild) = server.with_members(1).await;
    install_malicious(&mut guild).await;
    let body = json!({"caller": "user:1", "arguments": {}, "preview": true});
    let mut refused_calls = 0;
    for _ in 0..40 {
        let mut client = server.admin();
        let body = body.clone();
        let path = format!("{GUILD}/plugins/malicious/actions/spin");
        let call = async move { client.post(&path, "k", &body).await };
        // The client gives up long before a spin ends.
        let patience = std::time::Duration::from_millis(2);
        if let Ok(response) = tokio::time::timeout(patience, call).await {
            refused_calls += usize::from(response.unwrap().code() == "overloaded");
        }
    }
    assert!(
        refused_calls > 0,
        "the slot of an abandoned call is free only after the call has ended"
    );
    server.close().await;
}

//! Plugins that mean harm: each trick costs its own call and nothing else. `checklist.rs` says which
//! risk has which tests, here and in the host.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bursar_server::bundled;
use bursar_server::client::Response;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{GUILD, Guild, House, decline_code, install_malicious};

async fn trick(guild: &mut Guild, name: &str, arguments: Value) -> Response {
    guild
        .call(&format!("malicious/{name}"), name, "user:1", arguments)
        .await
}

fn fault(answer: &Response) -> String {
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (502, "plugin_fault".into())
    );
    answer.json()["fault"].as_str().unwrap().to_owned()
}

/// Plays tricks of which each must end as a fault that says so, and in nothing else.
async fn all_are_faults(tricks: &[(&str, Value, &str)]) {
    let (house, mut guild) = House::with_guild(2).await;
    install_malicious(&mut guild).await;
    guild.issue("plugin:malicious", "coin", 500).await;
    for (name, arguments, expected) in tricks {
        let answer = trick(&mut guild, name, arguments.clone()).await;
        let fault = fault(&answer);
        assert!(fault.contains(expected), "{name}: {fault}");
        let again = trick(&mut guild, name, arguments.clone()).await;
        assert!(
            again.replayed && again.body == answer.body,
            "{name} is kept under its key"
        );
    }
    assert_eq!(guild.coins(2).await, [1000, 1000]);
    assert_eq!(guild.posted("plugin:malicious", "coin").await, 500);
    let state = guild
        .get(&format!("{GUILD}/plugins/malicious"))
        .await
        .json();
    assert_eq!(
        state["state_bytes"], 0,
        "nothing of what a fault wrote is kept"
    );
    // The house still stands, and even the malicious plugin is served.
    let honest = trick(&mut guild, "honest", json!({})).await;
    assert_eq!(honest.status, 200);
    house.close().await;
}

fn coins(amount: u64) -> Value {
    json!({"asset": "coin", "amount": amount})
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_ends_or_never_stops_growing_is_stopped() {
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
async fn a_plugin_that_breaks_off_takes_nothing_along() {
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
async fn what_was_not_granted_is_refused_to_its_face() {
    let (house, mut guild) = House::with_guild(2).await;
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
        let answer = trick(&mut guild, name, arguments).await;
        let told = answer.json()["reply"]["told"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert!(told.contains(expected), "{name}: {}", answer.json());
    }
    assert_eq!(guild.coins(2).await, [1000, 1000]);
    assert_eq!(guild.posted("plugin:malicious", "coin").await, 500);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_that_overflows_is_no_outcome_and_leaves_the_key_free() {
    let (house, mut guild) = House::with_guild(1).await;
    install_malicious(&mut guild).await;
    let answer = trick(&mut guild, "recurse", json!({})).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (503, "call_failed".into())
    );
    assert!(answer.retry_after.is_some());
    let kept = guild.get(&format!("{GUILD}/outcomes/recurse")).await;
    assert_eq!(kept.code(), "outcome_not_found");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_and_the_operator_limit_what_a_plugin_may_take() {
    let (house, mut guild) = House::with_guild(1).await;
    install_malicious(&mut guild).await;
    let spend =
        |limit: Value| json!({"caller": "user:1", "arguments": coins(10), "spend_limit": limit});
    let path = "plugins/malicious/actions/spend";
    let over = guild.post(path, "a", spend(json!({"coin": 9}))).await;
    assert_eq!(decline_code(&over), "over_limit");
    let grants = json!({"grants": {"spend_per_call": {"coin": 9}}});
    guild
        .made(&format!("{GUILD}/plugins/malicious"), grants)
        .await;
    let over = guild.post(path, "b", spend(json!({"coin": 10}))).await;
    assert_eq!(decline_code(&over), "over_limit");
    guild
        .made(&format!("{GUILD}/plugins/malicious"), json!({"grants": {}}))
        .await;
    let within = guild.post(path, "c", spend(json!({"coin": 10}))).await;
    assert_eq!(within.status, 200);
    assert_eq!(guild.coins(1).await, [990]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_can_narrow_what_is_requested_and_never_widen_it() {
    let (house, mut guild) = House::with_guild(1).await;
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
    house.close().await;
}

/// Where a small amount of fuel ends to the unit, and the others do, is for the host's own tests.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_thinks_no_longer_than_the_fuel_that_was_granted() {
    let (house, mut guild) = House::with_guild(1).await;
    install_malicious(&mut guild).await;
    let think = async |guild: &mut Guild, key: &str, turns: u64| {
        let thought = json!({"asset": "coin", "amount": 1, "turns": turns});
        guild.call("malicious/ponder", key, "user:1", thought).await
    };
    // About 20 million units: more than a small amount of fuel, and less than the standard one.
    let probe = think(&mut guild, "probe", 10_000).await.json();
    let turns = 20_000_000 * 10_000 / probe["fuel"].as_u64().unwrap();
    assert_eq!(think(&mut guild, "standard", turns).await.status, 200);
    let grants = json!({"grants": {"fuel": "small"}});
    let path = format!("{GUILD}/plugins/malicious");
    guild.made(&path, grants).await;
    let stopped = think(&mut guild, "small", turns).await;
    assert_eq!(fault(&stopped), "it ran out of fuel");
    let less = think(&mut guild, "less", turns / 4).await;
    assert_eq!(less.status, 200, "{}", less.json());
    assert_eq!(guild.coins(1).await, [997]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_made_for_a_member_and_for_no_one_else() {
    let (house, mut guild) = House::with_guild(1).await;
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
    house.close().await;
}

/// Uploads bytes that must be refused, and gives the code and text of the first finding.
async fn refused(guild: &mut Guild, bytes: Vec<u8>) -> (String, String) {
    let answer = guild
        .client
        .send("POST", "/v1/components", None, bytes.into())
        .await
        .unwrap();
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (422, "component_refused".into())
    );
    let finding = answer.json()["findings"][0].clone();
    let text = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    (
        text("code"),
        format!("{} / {}", text("message"), text("hint")),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_outside_the_contract_is_refused_by_its_name() {
    let (house, mut guild) = House::with_guild(1).await;
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
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_component_is_refused_with_a_word_of_what_it_is() {
    let (house, mut guild) = House::with_guild(1).await;
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
    let answer = guild
        .client
        .send("POST", "/v1/components", None, huge.into())
        .await
        .unwrap();
    assert_eq!(
        (answer.status.as_u16(), answer.code()),
        (413, "too_large".into())
    );
    house.close().await;
}

/// Many calls of the malicious plugin that think as long as they may, at the same moment.
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
async fn calls_beyond_their_bounds_are_turned_away_and_leave_their_key_free() {
    let house = House::set_up(|setup| setup.calls.calls_per_economy = 4).await;
    let (house, mut guild) = house.furnished(1).await;
    install_malicious(&mut guild).await;
    let answers = house.at_once(spins(32)).await;
    let turned_away: Vec<usize> = (0..answers.len())
        .filter(|place| answers[*place].code() == "overloaded")
        .collect();
    let served = answers
        .iter()
        .filter(|answer| answer.code() == "plugin_fault")
        .count();
    assert!(
        served >= 4 && !turned_away.is_empty(),
        "{served} of 32 were served"
    );
    assert_eq!(served + turned_away.len(), 32);
    for place in turned_away {
        let answer = &answers[place];
        assert_eq!((answer.status.as_u16(), answer.retry_after), (503, Some(1)));
        let kept = guild.get(&format!("{GUILD}/outcomes/spin%20{place}")).await;
        assert_eq!(kept.code(), "outcome_not_found");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn economies_take_turns_at_the_workers() {
    let house = House::set_up(|setup| setup.calls.workers = 1).await;
    let (house, mut guild) = house.furnished(1).await;
    install_malicious(&mut guild).await;
    guild.made("/v1/economies/other", json!({})).await;
    guild
        .made("/v1/economies/other/accounts/user:1", json!({}))
        .await;
    let digest = guild
        .get(&format!("{GUILD}/plugins/malicious"))
        .await
        .json()["component"]
        .clone();
    let malicious = json!({"component": digest, "enabled": true});
    guild
        .made("/v1/economies/other/plugins/malicious", malicious)
        .await;
    let other = async {
        let mut client = house.admin();
        let body = json!({"caller": "user:1", "arguments": {}});
        let path = "/v1/economies/other/plugins/malicious/actions/honest";
        let answer = client.post(path, "k", &body).await.unwrap();
        let seq = client.get(GUILD).await.unwrap().json()["seq"]
            .as_u64()
            .unwrap();
        (answer.status.as_u16(), seq)
    };
    let before = guild.get(GUILD).await.json()["seq"].as_u64().unwrap();
    let (answers, (status, seq)) = tokio::join!(house.at_once(spins(60)), other);
    assert!(answers.iter().all(|answer| answer.code() == "plugin_fault"));
    assert_eq!(status, 200);
    assert!(
        seq < before + 30,
        "the other economy waited for {} calls",
        seq - before
    );
    house.close().await;
}

/// One plugin may think as long as it likes, as often as anybody calls it: its neighbours have places
/// that it cannot take, and need not wait for all of its calls.
#[tokio::test(flavor = "multi_thread")]
async fn plugins_of_an_economy_leave_each_other_places_and_turns() {
    let house = House::set_up(|setup| {
        setup.calls.workers = 1;
        (setup.calls.calls_per_economy, setup.calls.calls_per_plugin) = (10, 8);
    });
    let (house, mut guild) = house.await.furnished(1).await;
    install_malicious(&mut guild).await;
    let config = json!({"asset": "coin"});
    guild.install("coinflip", "bundled:coinflip", config).await;
    guild.issue("plugin:coinflip", "coin", 1_000).await;
    let going = Arc::new(AtomicBool::new(true));
    let mut crowd = JoinSet::new();
    for number in 0..16 {
        let (mut client, going) = (house.admin(), Arc::clone(&going));
        crowd.spawn(async move {
            let body = json!({"caller": "user:1", "arguments": {}});
            let path = format!("{GUILD}/plugins/malicious/actions/spin");
            let mut turned_away = 0;
            for round in 0.. {
                if !going.load(Ordering::SeqCst) {
                    break;
                }
                let key = format!("spin {number} {round}");
                let answer = client.post(&path, &key, &body).await.unwrap();
                turned_away += u64::from(answer.code() == "overloaded");
            }
            turned_away
        });
    }
    let seq = async |guild: &mut Guild| guild.get(GUILD).await.json()["seq"].as_u64().unwrap();
    let begun = seq(&mut guild).await;
    while seq(&mut guild).await < begun + 8 {}
    let before = seq(&mut guild).await;
    for number in 0..10 {
        let bet = json!({"stake": 1, "side": "heads"});
        let key = format!("f{number}");
        let flipped = guild.call("coinflip/flip", &key, "user:1", bet).await;
        assert_eq!(flipped.status, 200, "{}", flipped.json());
    }
    let spun = seq(&mut guild).await - before - 10;
    going.store(false, Ordering::SeqCst);
    let turned_away: u64 = crowd.join_all().await.iter().sum();
    assert!(
        turned_away > 0,
        "the malicious plugin has had all of its places"
    );
    assert!(spun < 40, "a flip waited for several spins: {spun} in all");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_does_not_wait_for_every_call_that_waits() {
    let (house, mut guild) = House::with_guild(1).await;
    install_malicious(&mut guild).await;
    for (path, key, body) in spins(40) {
        let mut client = house.admin();
        tokio::spawn(async move {
            drop(client.post(&format!("{GUILD}/{path}"), &key, &body).await);
        });
    }
    guild
        .transfer("while they wait", "user:1", "user:404", 1)
        .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_keeps_its_place_when_nobody_waits_for_it() {
    let house = House::set_up(|setup| setup.calls.calls_per_economy = 4).await;
    let (house, mut guild) = house.furnished(1).await;
    install_malicious(&mut guild).await;
    let body = json!({"caller": "user:1", "arguments": {}, "preview": true});
    let mut turned_away = 0;
    for _ in 0..40 {
        let (mut client, body) = (house.admin(), body.clone());
        let path = format!("{GUILD}/plugins/malicious/actions/spin");
        let asked = async move { client.post(&path, "k", &body).await };
        // Given up long before a spin ends.
        let patience = std::time::Duration::from_millis(2);
        if let Ok(answer) = tokio::time::timeout(patience, asked).await {
            turned_away += usize::from(answer.unwrap().code() == "overloaded");
        }
    }
    assert!(
        turned_away > 0,
        "places that are given up are not free before the call has ended"
    );
    house.close().await;
}

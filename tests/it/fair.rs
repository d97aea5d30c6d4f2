//! Fair draws: nobody plays for free, and nothing that was drawn is thrown away, whoever would like to:
//! the member, the plugin, the house, or the machine.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bursar_ledger::Seed;
use bursar_server::client::{Client, Response};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::patience::eventually;
use crate::support::{GUILD, Guild, House, Process, audited, decline_code, install_malicious};

async fn open_table(guild: &mut Guild) {
    let config = json!({"asset": "coin"});
    guild.install("coinflip", "bundled:coinflip", config).await;
    guild.issue("plugin:coinflip", "coin", 100_000).await;
}

async fn flip(guild: &mut Guild, key: &str) -> Response {
    let bet = json!({"stake": 5, "side": "heads"});
    guild.call("coinflip/flip", key, "user:1", bet).await
}

async fn seeds(guild: &mut Guild) -> Value {
    guild.get(&format!("{GUILD}/seeds")).await.json()
}

/// How many nonces were used, as the next call that draws will tell.
async fn nonce_of_next_flip(guild: &mut Guild, key: &str) -> u64 {
    let flipped = flip(guild, key).await.json();
    flipped["draws"]["nonce"].as_u64().expect("it has drawn")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_is_committed_to_before_and_fits_when_it_is_revealed() {
    let (house, mut guild) = House::with_guild(1).await;
    open_table(&mut guild).await;
    let before = seeds(&mut guild).await;
    let commitments: Vec<Value> = before["seeds"].as_array().unwrap().clone();
    assert_eq!(commitments.len(), 2, "the active one and the next");
    assert!(commitments.iter().all(|seed| seed.get("seed").is_none()));
    let flipped = flip(&mut guild, "a").await.json();
    assert_eq!(flipped["draws"]["seed"], 1);
    assert_eq!(flipped["draws"]["commitment"], commitments[1]["commitment"]);
    let rotated = guild.post("seeds/rotate", "r", json!({})).await;
    assert_eq!(
        (rotated.status.as_u16(), rotated.json()["active"].clone()),
        (200, json!(2))
    );
    let after = seeds(&mut guild).await;
    let first = after["seeds"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (first["number"].clone(), first["status"].clone()),
        (json!(1), json!("revealed"))
    );
    let seed = Seed::try_from(first["seed"].as_str().unwrap().to_owned()).unwrap();
    assert_eq!(json!(seed.commitment()), first["commitment"]);
    assert_eq!(first["commitment"], flipped["draws"]["commitment"]);
    assert_eq!(flip(&mut guild, "b").await.json()["draws"]["seed"], 2);
    let older = guild.get(&format!("{GUILD}/seeds?before=2")).await.json();
    assert_eq!(older["seeds"], json!([first]));
    let most = (1_u64 << 53) - 1;
    let all = guild.get(&format!("{GUILD}/seeds?before={most}")).await;
    assert_eq!(all.json()["seeds"].as_array().unwrap().len(), 3);
    let path = format!("{GUILD}/seeds?before={}", most + 1);
    assert_eq!(guild.get(&path).await.code(), "malformed");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_puts_in_a_seed_of_its_own_and_says_so_again_for_a_new_commitment() {
    let (house, mut guild) = House::with_guild(1).await;
    open_table(&mut guild).await;
    let path = format!("{GUILD}/accounts/user:1/client-seed");
    let house_seeded = guild.get(&path).await.json();
    assert_eq!(house_seeded["client_seed"], "user:1");
    assert_eq!(house_seeded["by_member"], false);
    let set = guild
        .put(&path, json!({"client_seed": "luck"}))
        .await
        .json();
    assert_eq!(
        (set["changed"].clone(), set["by_member"].clone()),
        (json!(true), json!(true))
    );
    let flipped = flip(&mut guild, "a").await.json();
    assert_eq!(flipped["draws"]["client_seed"], "luck");
    assert_eq!(flipped["draws"]["by_member"], true);
    for key in ["r1", "r2"] {
        guild.post("seeds/rotate", key, json!({})).await;
    }
    assert_eq!(guild.get(&path).await.json()["by_member"], false);
    for wrong in [json!(""), json!("x".repeat(65)), json!("tab\t"), json!(7)] {
        let refused = guild.put(&path, json!({"client_seed": wrong})).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (400, "malformed".into())
        );
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spend_limit_of_nothing_draws_nothing() {
    let (house, mut guild) = House::with_guild(1).await;
    open_table(&mut guild).await;
    for number in 0..10 {
        let body = json!({
            "caller": "user:1", "arguments": {"stake": 5, "side": "heads"}, "spend_limit": {},
        });
        let path = "plugins/coinflip/actions/flip";
        let refused = guild.post(path, &format!("k{number}"), body).await;
        assert_eq!(decline_code(&refused), "over_limit");
    }
    assert_eq!(nonce_of_next_flip(&mut guild, "first").await, 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_with_no_money_draws_nothing() {
    let (house, mut guild) = House::with_guild(1).await;
    open_table(&mut guild).await;
    guild
        .made(&format!("{GUILD}/accounts/user:2"), json!({}))
        .await;
    for number in 0..10 {
        let bet = json!({"stake": 5, "side": "heads"});
        let refused = guild
            .call("coinflip/flip", &format!("k{number}"), "user:2", bet)
            .await;
        assert_eq!(refused.code(), "insufficient_funds");
        assert_eq!(refused.json()["required"], 5);
    }
    assert_eq!(nonce_of_next_flip(&mut guild, "first").await, 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_uses_no_nonce_up_and_tells_none() {
    let (house, mut guild) = House::with_guild(1).await;
    open_table(&mut guild).await;
    let body = json!({
        "caller": "user:1", "arguments": {"stake": 5, "side": "heads"}, "preview": true,
    });
    for _ in 0..5 {
        let would = guild
            .post("plugins/coinflip/actions/flip", "k", body.clone())
            .await
            .json();
        assert_eq!(
            (would["preview"].clone(), would.get("draws")),
            (json!(true), None)
        );
    }
    assert_eq!(nonce_of_next_flip(&mut guild, "first").await, 1);
    house.close().await;
}

/// So many flips, one after the other, and all records of the file then.
async fn records_with(flips: u64) -> u64 {
    let (house, mut guild) = House::with_guild(1).await;
    open_table(&mut guild).await;
    for number in 0..flips {
        let flipped = flip(&mut guild, &format!("k{number}")).await;
        assert_eq!(flipped.status, 200, "{}", flipped.json());
    }
    house.close().await.records
}

/// Each commit brings a record, and each flip had its answer after its own: so with one record a flip there
/// was one commit. A nonce is not written down before the plugin runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_draws_is_one_record_and_so_one_commit() {
    assert_eq!(records_with(20).await, records_with(0).await + 20);
}

/// Plays a bet of the malicious plugin until it has lost three times; says the answers, and how many won.
async fn play(trick: &str) -> (House, Guild, Vec<Response>, u64) {
    let (house, mut guild) = House::with_guild(1).await;
    install_malicious(&mut guild).await;
    guild.issue("plugin:malicious", "coin", 100_000).await;
    let (mut lost, mut won) = (Vec::new(), 0);
    for number in 0..200 {
        let bet = json!({"asset": "coin", "amount": 10});
        let answer = guild
            .call(
                &format!("malicious/{trick}"),
                &format!("k{number}"),
                "user:1",
                bet,
            )
            .await;
        if answer.status == 200 {
            won += 1;
            continue;
        }
        lost.push(answer);
        if lost.len() == 3 {
            break;
        }
    }
    (house, guild, lost, won)
}

/// A plugin that does not want to have lost: each loss is on record with its nonce and its draws, the
/// stake is the member's again, asking again changes nothing, and with the third the game is off.
async fn no_way_out(trick: &str, said: &str) {
    let (house, mut guild, lost, won) = play(trick).await;
    assert_eq!(lost.len(), 3, "{trick} has lost");
    for (number, answer) in lost.iter().enumerate() {
        assert_eq!(
            (answer.status.as_u16(), answer.code()),
            (502, "plugin_fault".into())
        );
        let fault = answer.json()["fault"].as_str().unwrap().to_owned();
        assert!(fault.contains(said), "{trick} {number}: {fault}");
    }
    let coins = 1000 + 10 * i64::try_from(won).unwrap();
    assert_eq!(guild.posted("user:1", "coin").await, coins);
    let bet = json!({"asset": "coin", "amount": 10});
    let off = guild
        .call(&format!("malicious/{trick}"), "off", "user:1", bet)
        .await;
    assert_eq!(off.code(), "plugin_disabled");
    open_table(&mut guild).await;
    // Wins and losses have each used a nonce up.
    assert_eq!(nonce_of_next_flip(&mut guild, "next").await, won + 4);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_traps_when_it_has_lost_leaves_a_record_and_is_switched_off() {
    no_way_out("trap_if_lost", "gave up").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_declines_when_it_has_lost_leaves_a_record_and_is_switched_off() {
    no_way_out("decline_if_lost", "declined after a draw").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_loops_when_it_has_lost_leaves_a_record_and_is_switched_off() {
    no_way_out("spin_if_lost", "out of fuel").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_overflows_its_stack_when_it_has_lost_is_at_fault() {
    no_way_out("recurse_if_lost", "stack overflowed after a draw").await;
}

/// A house in which a call runs into its deadline long before it is out of fuel, with the malicious plugin in it.
async fn hasty() -> (House, Guild) {
    let house = House::set_up(|setup| {
        setup.limits.deadline = Duration::from_millis(60);
        setup.limits.fuel = 1 << 40;
    });
    let (house, mut guild) = house.await.furnished(1).await;
    install_malicious(&mut guild).await;
    (house, guild)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_after_a_draw_burns_the_nonce_and_the_same_key_draws_the_same() {
    let (house, mut guild) = hasty().await;
    let pace = |slow: bool| json!({ "slow": slow });
    guild
        .call("malicious/take_time", "slow", "user:1", pace(true))
        .await;
    let late = guild
        .call("malicious/slowly", "k", "user:1", json!({}))
        .await;
    assert_eq!(
        (late.status.as_u16(), late.code()),
        (503, "call_failed".into())
    );
    let kept = guild.get(&format!("{GUILD}/outcomes/k")).await;
    assert_eq!(kept.code(), "outcome_not_found", "a failure is no outcome");
    assert_tells_nothing(&mut guild).await;
    guild
        .call("malicious/take_time", "fast", "user:1", pace(false))
        .await;
    // Another key is another nonce; meanwhile the member changes what it puts in.
    let other = guild
        .call("malicious/slowly", "other", "user:1", json!({}))
        .await
        .json();
    assert_eq!(other["draws"]["nonce"], 2);
    let path = format!("{GUILD}/accounts/user:1/client-seed");
    guild
        .made(&path, json!({"client_seed": "better luck"}))
        .await;
    let again = guild
        .call("malicious/slowly", "k", "user:1", json!({}))
        .await;
    assert_eq!(again.status, 200, "{}", again.json());
    let draws = again.json()["draws"].clone();
    assert_eq!(
        (draws["nonce"].clone(), draws["client_seed"].clone()),
        (json!(1), json!("user:1"))
    );
    let house = house.restarted().await;
    let mut guild = Guild {
        client: house.admin(),
    };
    let replayed = guild
        .call("malicious/slowly", "k", "user:1", json!({}))
        .await;
    assert!(replayed.replayed && replayed.body == again.body);
    house.close().await;
}

/// The machine's end of a call is no way out either: what runs into it after a draw counts like a fault. The
/// same bet draws the same again, and whoever has guessed that it was lost cannot bet against it.
#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_runs_into_its_deadline_when_it_has_lost_is_switched_off() {
    let (house, mut guild) = hasty().await;
    guild.issue("plugin:malicious", "coin", 100_000).await;
    let bet = |amount: u64| json!({"asset": "coin", "amount": amount});
    let (mut lost, mut won) = (Vec::new(), 0);
    while lost.len() < 3 {
        let key = format!("k{}", lost.len() + won);
        let answer = guild
            .call("malicious/spin_if_lost", &key, "user:1", bet(10))
            .await;
        match answer.status.as_u16() {
            200 => won += 1,
            _lost => {
                assert_eq!(answer.code(), "call_failed");
                lost.push(key);
            }
        }
    }
    let coins = 1000 + 10 * i64::try_from(won).unwrap();
    assert_eq!(guild.posted("user:1", "coin").await, coins);
    let off = guild
        .call("malicious/spin_if_lost", "off", "user:1", bet(10))
        .await;
    assert_eq!(off.code(), "plugin_disabled");
    let path = format!("{GUILD}/plugins/malicious");
    guild.made(&path, json!({"enabled": true})).await;
    let again = guild
        .call("malicious/spin_if_lost", &lost[0], "user:1", bet(10))
        .await;
    assert_eq!(
        again.code(),
        "call_failed",
        "the same bet is lost as before"
    );
    guild
        .call("malicious/spin_if_lost", &lost[0], "user:1", bet(11))
        .await;
    open_table(&mut guild).await;
    let nonces = u64::try_from(won).unwrap() + 3;
    assert_eq!(
        nonce_of_next_flip(&mut guild, "next").await,
        nonces + 2,
        "of the two under that key the other bet has a nonce of its own"
    );
    house.close().await;
}

/// What a call has drawn that broke off is on record, and what it was is not: whoever asked could still
/// ask for something else under the same key.
async fn assert_tells_nothing(guild: &mut Guild) {
    let page = guild.get(&format!("{GUILD}/events?limit=500")).await.json();
    let events = page["events"].as_array().unwrap();
    let mut broken = events.iter().filter(|event| event["outcome"] == "broken");
    let call = broken.next().expect("it is on record")["answer"]["call"].clone();
    let path = format!("{GUILD}/calls/{}", call.as_str().unwrap());
    let receipt = guild.get(&path).await.json();
    assert_eq!(receipt["call"]["origin"]["nonce"], 1, "{receipt}");
    assert_eq!(receipt["call"]["transcript"]["facts"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burned_nonce_is_kept_for_its_key_across_a_restart() {
    let (house, mut guild) = hasty().await;
    guild
        .call(
            "malicious/take_time",
            "slow",
            "user:1",
            json!({"slow": true}),
        )
        .await;
    let late = guild
        .call("malicious/slowly", "k", "user:1", json!({}))
        .await;
    assert_eq!(late.code(), "call_failed");
    let house = house.restarted().await;
    let mut guild = Guild {
        client: house.admin(),
    };
    guild
        .call(
            "malicious/take_time",
            "fast",
            "user:1",
            json!({"slow": false}),
        )
        .await;
    let again = guild
        .call("malicious/slowly", "k", "user:1", json!({}))
        .await
        .json();
    assert_eq!(again["draws"]["nonce"], 1);
    let other = guild
        .call("malicious/slowly", "other", "user:1", json!({}))
        .await
        .json();
    assert_eq!(other["draws"]["nonce"], 2);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_game_that_breaks_off_after_its_draw_gives_the_stake_back_and_not_before() {
    let (house, mut guild) = House::with_guild(1).await;
    install_malicious(&mut guild).await;
    let staked = guild
        .call(
            "malicious/stake",
            "s",
            "user:1",
            json!({"asset": "coin", "amount": 100}),
        )
        .await
        .json();
    let hold = staked["reply"]["told"].as_str().unwrap().to_owned();
    let path = format!("{GUILD}/holds/{hold}");
    let open = guild.get(&path).await.json();
    assert_eq!(
        (
            open["status"].clone(),
            open["plugin"].clone(),
            open["on_expiry"].clone()
        ),
        (json!("open"), json!("malicious"), json!("capture"))
    );
    // A bot without the scope for it cannot give a losing member its stake back.
    let key = json!({"scopes": ["transfer"], "economies": ["guild"]});
    let bot = guild.put("/v1/keys/bot", key).await.json();
    let mut bot = house.client(bot["key"].as_str().unwrap());
    let refused = bot
        .post(&format!("{path}/release"), "r", &json!({}))
        .await
        .unwrap();
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (422, "plugin_hold".into())
    );
    // Rotated out, the seed stays hidden until the game is over.
    let broken = guild
        .call("malicious/draw_for", "d", "user:1", json!({"hold": hold}))
        .await;
    assert_eq!(broken.code(), "plugin_fault");
    let ended = guild.get(&path).await.json();
    assert_eq!(
        (ended["status"].clone(), ended["remaining"].clone()),
        (json!("released"), json!(0))
    );
    assert_eq!(guild.coins(1).await, [1000]);
    house.close().await;
}

/// How often the server dies at least, and at most until some call has died between its draw and its
/// commit.
const DEATHS: std::ops::RangeInclusive<usize> = 3..=20;

/// The nonces on record: of calls that have drawn, and those that were burned. None is there twice.
async fn nonces(guild: &mut Guild) -> (BTreeSet<u64>, BTreeSet<u64>) {
    let (mut drawn, mut burned) = (BTreeSet::new(), BTreeSet::new());
    for event in guild.events().await {
        if let Some(nonce) = event["answer"]["draws"]["nonce"].as_u64() {
            assert!(drawn.insert(nonce), "nonce {nonce} is on record twice");
        }
        let gone = event["answer"]["nonces"].as_array().into_iter().flatten();
        for nonce in gone.filter_map(Value::as_u64) {
            assert!(burned.insert(nonce), "nonce {nonce} was burned twice");
        }
    }
    assert!(
        drawn.is_disjoint(&burned),
        "what is burned is not on record"
    );
    (drawn, burned)
}

/// Has one connection call the same again and again, each time under another key, until the server is
/// gone. Says which nonces it was told.
async fn call_until_it_is_gone(
    mut client: Client,
    action: &'static str,
    key: String,
    arguments: Value,
    answered: Arc<AtomicUsize>,
) -> Vec<u64> {
    let path = format!("{GUILD}/plugins/{action}");
    let body = json!({"caller": "user:1", "arguments": arguments});
    let mut told = Vec::new();
    for number in 0.. {
        let key = format!("{key} {number}");
        let Ok(answer) = client.post(&path, &key, &body).await else {
            break;
        };
        if answer.status == 200 {
            told.push(answer.json()["draws"]["nonce"].as_u64().unwrap());
            answered.fetch_add(1, Ordering::SeqCst);
        }
    }
    told
}

/// Flips a coin on some connections, and thinks on others about what each flip changes: those calls have
/// drawn, and run again and again while later nonces commit. Then the server dies.
async fn die_among_draws(process: &mut Process, admin_key: &str, death: usize) -> Vec<u64> {
    let answered = Arc::new(AtomicUsize::new(0));
    let mut calls = JoinSet::new();
    for number in 0..16 {
        let (action, arguments) = if number % 4 == 0 {
            let thought = json!({"asset": "coin", "amount": 1, "turns": 500_000});
            ("malicious/actions/ponder", thought)
        } else {
            let bet = json!({"stake": 1, "side": "heads"});
            ("coinflip/actions/flip", bet)
        };
        calls.spawn(call_until_it_is_gone(
            process.client(admin_key),
            action,
            format!("death {death} call {number}"),
            arguments,
            Arc::clone(&answered),
        ));
    }
    let enough = eventually("calls are answered", async || {
        (answered.load(Ordering::SeqCst) >= 10 + 3 * death).then_some(())
    });
    enough.await;
    process.kill();
    calls.join_all().await.into_iter().flatten().collect()
}

/// Calls are killed between their draw and their commit. What was drawn then was never told to anybody:
/// its nonce is on record as burned, and no nonce is ever used twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_death_between_draw_and_commit_leaves_no_draw_unaccounted_for() {
    let (house, mut guild) = House::with_guild(1).await;
    open_table(&mut guild).await;
    install_malicious(&mut guild).await;
    let (file, admin_key) = (house.file(), house.admin_key.clone());
    let folder = house.left_behind().await;
    let mut told = BTreeSet::new();
    for death in 1..=*DEATHS.end() {
        let mut process = Process::serve(&file);
        for nonce in die_among_draws(&mut process, &admin_key, death).await {
            assert!(told.insert(nonce), "nonce {nonce} was used twice");
        }
        let process = Process::serve(&file);
        let mut guild = Guild {
            client: process.client(&admin_key),
        };
        // This one commits after a start has burned what was lost, and is the last of all.
        let last = nonce_of_next_flip(&mut guild, &format!("after {death}")).await;
        told.insert(last);
        let (drawn, burned) = nonces(&mut guild).await;
        assert!(told.is_subset(&drawn), "what was told is on record");
        let accounted: BTreeSet<u64> = drawn.union(&burned).copied().collect();
        assert_eq!(accounted, (1..=last).collect());
        assert!(process.stop());
        if DEATHS.contains(&death) && !burned.is_empty() {
            break;
        }
        assert!(death < *DEATHS.end(), "no call has died after its draw");
    }
    audited(&file);
    drop(folder);
}

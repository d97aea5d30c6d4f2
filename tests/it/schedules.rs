//! What plugins do by themselves: each due time has one run, whatever the clock and the server do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bursar_ledger::Timestamp;
use bursar_server::serve::Setup;
use bursar_storage::TimeSource;
use serde_json::{Value, json};

use crate::patience::eventually;
use crate::race::{crowded, race};
use crate::support::{GUILD, Guild, House, Process, audited, decline_code, install_malicious};

/// Noon of some day; the lottery draws at eight in the evening.
const NOON_MS: u64 = 20_000 * DAY_MS + 12 * HOUR_MS;
const HOUR_MS: u64 = 60 * 60 * 1000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// A clock that stands still until somebody sets it, and counts how often it is looked at.
struct StandingClock {
    now: AtomicU64,
    looks: AtomicU64,
}

impl StandingClock {
    fn at(now: u64) -> Arc<Self> {
        let (now, looks) = (AtomicU64::new(now), AtomicU64::new(0));
        Arc::new(Self { now, looks })
    }

    fn set(&self, now: u64) {
        self.now.store(now, Ordering::SeqCst);
    }

    /// Looks for what is due every few milliseconds, in a server whose clock this is.
    fn drive(self: &Arc<Self>, setup: &mut Setup) {
        let hands = Arc::clone(self);
        setup.clock = TimeSource::even(move || {
            hands.looks.fetch_add(1, Ordering::SeqCst);
            Timestamp(hands.now.load(Ordering::SeqCst))
        });
        setup.schedules = Some(Duration::from_millis(10));
    }

    /// Waits until the server has looked for what is due a few times. While nobody asks for anything, that
    /// is what it looks at the clock for.
    async fn looked_at(&self) {
        let before = self.looks.load(Ordering::SeqCst);
        let looked = eventually("the server looks for what is due", async || {
            (self.looks.load(Ordering::SeqCst) > before + 20).then_some(())
        });
        looked.await;
    }
}

/// A server whose clock stands still until somebody moves it, and a lottery in it.
async fn lottery() -> (House, Guild, Arc<StandingClock>) {
    lottery_among(3).await
}

/// The same, with so many members.
async fn lottery_among(members: u64) -> (House, Guild, Arc<StandingClock>) {
    let clock = StandingClock::at(NOON_MS);
    let house = House::set_up(|setup| clock.drive(setup));
    let (house, mut guild) = crowded(house.await, members).await;
    let config = json!({"asset": "coin", "price": 10, "fee_permille": 100});
    guild.install("lottery", "bundled:lottery", config).await;
    (house, guild, clock)
}

async fn status(guild: &mut Guild, key: &str) -> Value {
    let body = json!({"caller": "user:1", "arguments": {}, "preview": true});
    let answer = guild
        .post("plugins/lottery/actions/status", key, body)
        .await;
    answer.json()["reply"].clone()
}

async fn next_due(guild: &mut Guild) -> u64 {
    let plugin = guild.get(&format!("{GUILD}/plugins/lottery")).await.json();
    plugin["schedules"]["draw"]["next_due"]
        .as_u64()
        .expect("it is scheduled")
}

/// Waits until a due time has had its run.
async fn wait_for(guild: &mut Guild, due: u64) {
    let ran = eventually("what is due has its run", async || {
        (next_due(guild).await > due).then_some(())
    });
    ran.await;
}

/// How many runs are on record, and how they ended.
async fn runs(guild: &mut Guild) -> Vec<String> {
    let ended = |run: &Value| run["outcome"].as_str().unwrap().to_owned();
    records_of_runs(guild).await.iter().map(ended).collect()
}

async fn records_of_runs(guild: &mut Guild) -> Vec<Value> {
    let mut events = guild.events().await;
    events.retain(|event| event["request"]["method"] == "SCHEDULE");
    events
}

/// What the only run has asked of its host, in order, and what it was told.
async fn facts_of_the_run(guild: &mut Guild) -> Vec<Value> {
    let run = &records_of_runs(guild).await[0];
    let call = run["answer"]["call"].as_str().unwrap();
    let receipt = guild.get(&format!("{GUILD}/calls/{call}")).await.json();
    let facts = &receipt["call"]["transcript"]["facts"];
    facts.as_array().unwrap().clone()
}

async fn buy(guild: &mut Guild, member: u64, tickets: u64) {
    let key = format!("{member} buys {tickets}");
    let member = format!("user:{member}");
    let bought = guild
        .call("lottery/buy", &key, &member, json!({ "tickets": tickets }))
        .await;
    assert_eq!(bought.status, 200, "{}", bought.json());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lottery_draws_once_when_it_is_due_and_the_winner_claims() {
    let (house, mut guild, clock) = lottery().await;
    for (member, tickets) in [(1, 3), (2, 1), (3, 6)] {
        buy(&mut guild, member, tickets).await;
    }
    let due = next_due(&mut guild).await;
    assert_eq!(due, NOON_MS + 8 * HOUR_MS);
    assert_eq!(
        status(&mut guild, "before").await,
        json!({"round": 0, "tickets": 10, "pot": 100, "asset": "coin", "price": 10, "fee_permille": 100})
    );
    clock.looked_at().await;
    assert!(
        runs(&mut guild).await.is_empty(),
        "nothing runs before it is due"
    );
    clock.set(due);
    wait_for(&mut guild, due).await;
    assert_eq!(
        status(&mut guild, "after").await,
        json!({"round": 1, "tickets": 0, "pot": 0, "asset": "coin", "price": 10, "fee_permille": 100})
    );
    assert_eq!(guild.posted("plugin:lottery:fees", "coin").await, 10);
    assert_eq!(guild.posted("plugin:lottery:prizes", "coin").await, 90);
    // What the buyers have put in is mixed in before the draw.
    let facts = facts_of_the_run(&mut guild).await;
    let place = |what: &str| facts.iter().position(|fact| fact["ask"][what].is_object());
    let (mixed, drawn) = (place("mix").unwrap(), place("draw").unwrap());
    assert!(mixed < drawn && facts[mixed]["answer"] == "done");
    let mut claimed = 0;
    for member in 1..=3 {
        let member = format!("user:{member}");
        let claim = guild
            .call(
                "lottery/claim",
                &format!("claim {member}"),
                &member,
                json!({}),
            )
            .await;
        if claim.status == 200 {
            assert_eq!(claim.json()["reply"]["amount"], 90);
            claimed += 1;
        } else {
            assert_eq!(decline_code(&claim), "nothing_won");
        }
    }
    assert_eq!(claimed, 1);
    // A step back does not run it again, nor does a new start.
    clock.set(NOON_MS);
    clock.looked_at().await;
    assert_eq!(runs(&mut guild).await, ["applied"]);
    clock.set(due);
    let house = house.restarted().await;
    let mut guild = Guild {
        client: house.admin(),
    };
    clock.looked_at().await;
    assert_eq!(runs(&mut guild).await, ["applied"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_nobody_plays_leaves_the_pot_and_days_that_were_missed_are_left_out() {
    let (house, mut guild, clock) = lottery().await;
    let first = next_due(&mut guild).await;
    clock.set(first + HOUR_MS);
    wait_for(&mut guild, first).await;
    assert_eq!(
        runs(&mut guild).await,
        ["declined"],
        "a run that comes to nothing counts"
    );
    // Ten days later one draw is due, not ten.
    clock.set(first + 10 * DAY_MS + HOUR_MS);
    wait_for(&mut guild, first + 10 * DAY_MS).await;
    assert_eq!(next_due(&mut guild).await, first + 11 * DAY_MS);
    assert_eq!(
        runs(&mut guild).await.len(),
        1,
        "what was missed has no run"
    );
    house.close().await;
}

/// The due times that have had their run, in the order of the journal.
async fn dues(guild: &mut Guild) -> Vec<u64> {
    let runs = records_of_runs(guild).await;
    let dues = runs
        .iter()
        .map(|run| run["request"]["body"]["due"].as_u64());
    dues.map(Option::unwrap).collect()
}

/// A thousand tickets that are bought at one moment are each one ticket, all of the pot is theirs, and one
/// of them wins: of all those who then claim at one moment, its owner has the prize, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_jackpot_that_a_thousand_race_for_has_one_winner() {
    const MEMBERS: u64 = 100;
    let (house, mut guild, clock) = lottery_among(MEMBERS).await;
    let buy = |number: u64| (number % MEMBERS + 1, json!({"tickets": 1}));
    race(&house, "lottery/buy", buy)
        .await
        .ended(&[("committed", 1_000)]);
    assert_eq!(status(&mut guild, "s").await["tickets"], 1_000);
    assert_eq!(guild.posted("plugin:lottery:pot", "coin").await, 10_000);
    assert_eq!(guild.coins(MEMBERS).await, [900; 100]);
    let due = next_due(&mut guild).await;
    clock.set(due + 1_000);
    wait_for(&mut guild, due).await;
    let claim = |number: u64| (number % MEMBERS + 1, json!({}));
    let claims = race(&house, "lottery/claim", claim).await;
    claims.ended(&[("committed", 1), ("nothing_won", 999)]);
    let (number, claimed) = claims.winners()[0];
    assert_eq!(claimed.json()["reply"]["amount"], 9_000, "all but the fee");
    let mut coins = [900; 100];
    coins[usize::try_from(number % MEMBERS).unwrap()] += 9_000;
    assert_eq!(guild.coins(MEMBERS).await, coins);
    assert_eq!(guild.posted("plugin:lottery:fees", "coin").await, 1_000);
    house.close().await;
}

/// Whether each due time is one distance after the one before: none is missing and none came twice.
fn follow_each_other(dues: &[u64], distance_ms: u64) -> bool {
    dues.windows(2).all(|pair| pair[1] == pair[0] + distance_ms)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_missed_times_are_made_up_for_in_order_each_once() {
    let clock = StandingClock::at(NOON_MS);
    let house = House::set_up(|setup| clock.drive(setup));
    let (house, mut guild) = house.await.furnished(1).await;
    install_malicious(&mut guild).await;
    let path = format!("{GUILD}/plugins/malicious");
    guild
        .made(&path, json!({"schedules": {"tick": {"every_s": 60}}}))
        .await;
    let last = NOON_MS + 1_000 * 60_000;
    clock.set(last + 30_000);
    let next_due = async |guild: &mut Guild| {
        let plugin = guild.get(&path).await.json();
        plugin["schedules"]["tick"]["next_due"].as_u64().unwrap()
    };
    let made_up = eventually("all missed times have their runs", async || {
        (next_due(&mut guild).await > last).then_some(())
    });
    made_up.await;
    let dues = dues(&mut guild).await;
    assert_eq!((dues.len(), dues.last()), (1_000, Some(&last)));
    assert!(follow_each_other(&dues, 60_000));
    house.close().await;
}

/// The server is killed while something is due every second.
#[tokio::test(flavor = "multi_thread")]
async fn each_due_time_has_one_run_also_over_kill_9() {
    let (house, mut guild) = House::with_guild(1).await;
    install_malicious(&mut guild).await;
    let path = format!("{GUILD}/plugins/malicious");
    guild
        .made(&path, json!({"schedules": {"tick": {"every_s": 1}}}))
        .await;
    let (file, admin_key) = (house.file(), house.admin_key.clone());
    let folder = house.left_behind().await;
    let mut seen = 0;
    for round in 0..4 {
        let mut process = Process::serve(&file);
        let mut guild = Guild {
            client: process.client(&admin_key),
        };
        // At least one run more than before, and then at any moment.
        let more = eventually("there is another run", async || {
            (dues(&mut guild).await.len() > seen).then_some(())
        });
        more.await;
        tokio::time::sleep(Duration::from_millis(290 * round)).await;
        seen = dues(&mut guild).await.len();
        process.kill();
        audited(&file);
    }
    let process = Process::serve(&file);
    let mut guild = Guild {
        client: process.client(&admin_key),
    };
    let dues = dues(&mut guild).await;
    assert!(dues.len() >= seen && seen >= 4, "{dues:?}");
    assert!(follow_each_other(&dues, 1_000), "{dues:?}");
    assert!(process.stop());
    audited(&file);
    drop(folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_says_other_times_and_a_plugin_that_is_off_does_nothing() {
    let (house, mut guild, clock) = lottery().await;
    let path = format!("{GUILD}/plugins/lottery");
    guild
        .made(
            &path,
            json!({"schedules": {"draw": {"every_s": 3600, "offset_s": 60}}}),
        )
        .await;
    let due = next_due(&mut guild).await;
    assert_eq!(due, NOON_MS + 60_000);
    guild.made(&path, json!({"enabled": false})).await;
    clock.set(due);
    clock.looked_at().await;
    assert!(runs(&mut guild).await.is_empty());
    guild.made(&path, json!({"enabled": true})).await;
    assert_eq!(
        next_due(&mut guild).await,
        due + HOUR_MS,
        "it counts from then on"
    );
    for (times, status, code) in [
        (json!({"none": {"every_s": 60}}), 422, "schedule_unknown"),
        (json!({"draw": {"every_s": 0}}), 400, "malformed"),
        (
            json!({"draw": {"every_s": 60, "offset_s": 60}}),
            400,
            "malformed",
        ),
    ] {
        let refused = guild.put(&path, json!({ "schedules": times })).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (status, code.into())
        );
    }
    house.close().await;
}

//! Scheduled runs of plugins: each due time has one run, whatever the clock and the server do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bursar_ledger::Timestamp;
use bursar_server::serve::Setup;
use bursar_storage::TimeSource;
use serde_json::{Value, json};

use crate::race::{race, with_many_members};
use crate::server_process::ServerProcess;
use crate::support::{
    GUILD, GuildClient, TestServer, assert_audit_passes, decline_code, install_malicious,
};
use crate::wait::eventually;

/// Noon of a day; the lottery draws at eight in the evening.
const NOON_MS: u64 = 20_000 * DAY_MS + 12 * HOUR_MS;
const HOUR_MS: u64 = 60 * 60 * 1000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// A clock that a test moves and that counts its readings.
struct ManualClock {
    now: AtomicU64,
    readings: AtomicU64,
}

impl ManualClock {
    fn at(now: u64) -> Arc<Self> {
        let now = AtomicU64::new(now);
        let readings = AtomicU64::new(0);
        Arc::new(Self { now, readings })
    }

    fn set(&self, now: u64) {
        self.now.store(now, Ordering::SeqCst);
    }

    /// Makes a server use this clock and check for due runs every few milliseconds.
    fn use_in(self: &Arc<Self>, setup: &mut Setup) {
        let clock = Arc::clone(self);
        setup.clock = TimeSource::even(move || {
            clock.readings.fetch_add(1, Ordering::SeqCst);
            Timestamp(clock.now.load(Ordering::SeqCst))
        });
        setup.schedules = Some(Duration::from_millis(10));
    }

    /// Waits until the server has checked for due runs a few times. Without requests the server reads the
    /// clock only for that.
    async fn wait_for_checks(&self) {
        let before = self.readings.load(Ordering::SeqCst);
        let checked = eventually("the server looks for what is due", async || {
            (self.readings.load(Ordering::SeqCst) > before + 20).then_some(())
        });
        checked.await;
    }
}

/// Starts a server on a clock that a test moves, with a lottery.
async fn lottery() -> (TestServer, GuildClient, Arc<ManualClock>) {
    lottery_among(3).await
}

/// Starts a server on such a clock, with a lottery and this many members.
async fn lottery_among(members: u64) -> (TestServer, GuildClient, Arc<ManualClock>) {
    let clock = ManualClock::at(NOON_MS);
    let server = TestServer::with_setup(|setup| clock.use_in(setup));
    let (server, mut guild) = with_many_members(server.await, members).await;
    let config = json!({"asset": "coin", "price": 10, "fee_permille": 100});
    guild.install("lottery", "bundled:lottery", config).await;
    (server, guild, clock)
}

async fn status(guild: &mut GuildClient, key: &str) -> Value {
    let body = json!({"caller": "user:1", "arguments": {}, "preview": true});
    let response = guild
        .post("plugins/lottery/actions/status", key, body)
        .await;
    response.json()["reply"].clone()
}

async fn next_due(guild: &mut GuildClient) -> u64 {
    let plugin = guild.get(&format!("{GUILD}/plugins/lottery")).await.json();
    plugin["schedules"]["draw"]["next_due"]
        .as_u64()
        .expect("a due time")
}

/// Waits until a due time has had its run.
async fn wait_for_run(guild: &mut GuildClient, due: u64) {
    let ran = eventually("the due run is recorded", async || {
        (next_due(guild).await > due).then_some(())
    });
    ran.await;
}

/// Returns the outcomes of all recorded runs.
async fn run_outcomes(guild: &mut GuildClient) -> Vec<String> {
    let ended = |run: &Value| run["outcome"].as_str().unwrap().to_owned();
    records_of_runs(guild).await.iter().map(ended).collect()
}

async fn records_of_runs(guild: &mut GuildClient) -> Vec<Value> {
    let mut events = guild.events().await;
    events.retain(|event| event["request"]["method"] == "SCHEDULE");
    events
}

/// Returns the requests of the only run to its host, in order and with their responses.
async fn facts_of_the_run(guild: &mut GuildClient) -> Vec<Value> {
    let run = &records_of_runs(guild).await[0];
    let call = run["answer"]["call"].as_str().unwrap();
    let receipt = guild.get(&format!("{GUILD}/calls/{call}")).await.json();
    let facts = &receipt["call"]["transcript"]["facts"];
    facts.as_array().unwrap().clone()
}

async fn buy(guild: &mut GuildClient, member: u64, tickets: u64) {
    let key = format!("{member} buys {tickets}");
    let member = format!("user:{member}");
    let bought = guild
        .call("lottery/buy", &key, &member, json!({ "tickets": tickets }))
        .await;
    assert_eq!(bought.status, 200, "{}", bought.json());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lottery_draws_once_when_due_and_the_winner_claims() {
    let (server, mut guild, clock) = lottery().await;
    for (member, tickets) in [(1, 3), (2, 1), (3, 6)] {
        buy(&mut guild, member, tickets).await;
    }
    let due = next_due(&mut guild).await;
    assert_eq!(due, NOON_MS + 8 * HOUR_MS);
    assert_eq!(
        status(&mut guild, "before").await,
        json!({"round": 0, "tickets": 10, "pot": 100, "asset": "coin", "price": 10, "fee_permille": 100})
    );
    clock.wait_for_checks().await;
    assert!(
        run_outcomes(&mut guild).await.is_empty(),
        "nothing runs before it is due"
    );
    clock.set(due);
    wait_for_run(&mut guild, due).await;
    assert_eq!(
        status(&mut guild, "after").await,
        json!({"round": 1, "tickets": 0, "pot": 0, "asset": "coin", "price": 10, "fee_permille": 100})
    );
    assert_eq!(guild.posted("plugin:lottery:fees", "coin").await, 10);
    assert_eq!(guild.posted("plugin:lottery:prizes", "coin").await, 90);
    // The entropy of the buyers is mixed in before the draw.
    let facts = facts_of_the_run(&mut guild).await;
    let place = |what: &str| facts.iter().position(|fact| fact["ask"][what].is_object());
    let mixed = place("mix").unwrap();
    let drawn = place("draw").unwrap();
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
    // Neither a step back of the clock nor a restart runs it again.
    clock.set(NOON_MS);
    clock.wait_for_checks().await;
    assert_eq!(run_outcomes(&mut guild).await, ["applied"]);
    clock.set(due);
    let server = server.restart().await;
    let mut guild = GuildClient {
        client: server.admin(),
    };
    clock.wait_for_checks().await;
    assert_eq!(run_outcomes(&mut guild).await, ["applied"]);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_without_tickets_is_declined_and_missed_days_are_skipped() {
    let (server, mut guild, clock) = lottery().await;
    let first = next_due(&mut guild).await;
    clock.set(first + HOUR_MS);
    wait_for_run(&mut guild, first).await;
    assert_eq!(
        run_outcomes(&mut guild).await,
        ["declined"],
        "a declined run counts"
    );
    // Ten days later one draw is due, not ten.
    clock.set(first + 10 * DAY_MS + HOUR_MS);
    wait_for_run(&mut guild, first + 10 * DAY_MS).await;
    assert_eq!(next_due(&mut guild).await, first + 11 * DAY_MS);
    assert_eq!(
        run_outcomes(&mut guild).await.len(),
        1,
        "missed due times have no run"
    );
    server.close().await;
}

/// Returns the due times of all recorded runs, in the order of the log.
async fn due_times_run(guild: &mut GuildClient) -> Vec<u64> {
    let runs = records_of_runs(guild).await;
    let dues = runs
        .iter()
        .map(|run| run["request"]["body"]["due"].as_u64());
    dues.map(Option::unwrap).collect()
}

/// A thousand concurrently bought tickets are all counted and fill the pot, and one of them wins: among
/// concurrent claims its owner gets the prize once.
#[tokio::test(flavor = "multi_thread")]
async fn a_jackpot_with_a_thousand_concurrent_tickets_has_one_winner() {
    const MEMBERS: u64 = 100;
    let (server, mut guild, clock) = lottery_among(MEMBERS).await;
    let buy = |number: u64| (number % MEMBERS + 1, json!({"tickets": 1}));
    race(&server, "lottery/buy", buy)
        .await
        .assert_outcomes(&[("committed", 1_000)]);
    assert_eq!(status(&mut guild, "s").await["tickets"], 1_000);
    assert_eq!(guild.posted("plugin:lottery:pot", "coin").await, 10_000);
    assert_eq!(guild.coin_balances(MEMBERS).await, [900; 100]);
    let due = next_due(&mut guild).await;
    clock.set(due + 1_000);
    wait_for_run(&mut guild, due).await;
    let claim = |number: u64| (number % MEMBERS + 1, json!({}));
    let claims = race(&server, "lottery/claim", claim).await;
    claims.assert_outcomes(&[("committed", 1), ("nothing_won", 999)]);
    let (number, claimed) = claims.winners()[0];
    assert_eq!(claimed.json()["reply"]["amount"], 9_000, "all but the fee");
    let mut coins = [900; 100];
    coins[usize::try_from(number % MEMBERS).unwrap()] += 9_000;
    assert_eq!(guild.coin_balances(MEMBERS).await, coins);
    assert_eq!(guild.posted("plugin:lottery:fees", "coin").await, 1_000);
    server.close().await;
}

/// Returns true if the due times have equal distances: none is missing or repeated.
fn are_consecutive(dues: &[u64], distance_ms: u64) -> bool {
    dues.windows(2).all(|pair| pair[1] == pair[0] + distance_ms)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_missed_due_times_are_run_in_order_once_each() {
    let clock = ManualClock::at(NOON_MS);
    let server = TestServer::with_setup(|setup| clock.use_in(setup));
    let (server, mut guild) = server.await.with_members(1).await;
    install_malicious(&mut guild).await;
    let path = format!("{GUILD}/plugins/malicious");
    guild
        .put_ok(&path, json!({"schedules": {"tick": {"every_s": 60}}}))
        .await;
    let last = NOON_MS + 1_000 * 60_000;
    clock.set(last + 30_000);
    let next_due = async |guild: &mut GuildClient| {
        let plugin = guild.get(&path).await.json();
        plugin["schedules"]["tick"]["next_due"].as_u64().unwrap()
    };
    let made_up = eventually("all missed times have their runs", async || {
        (next_due(&mut guild).await > last).then_some(())
    });
    made_up.await;
    let dues = due_times_run(&mut guild).await;
    assert_eq!((dues.len(), dues.last()), (1_000, Some(&last)));
    assert!(are_consecutive(&dues, 60_000));
    server.close().await;
}

/// The server is killed while a run is due every second.
#[tokio::test(flavor = "multi_thread")]
async fn every_due_time_has_one_run_across_kill_9() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    install_malicious(&mut guild).await;
    let path = format!("{GUILD}/plugins/malicious");
    guild
        .put_ok(&path, json!({"schedules": {"tick": {"every_s": 1}}}))
        .await;
    let file = server.file();
    let admin_key = server.admin_key.clone();
    let folder = server.into_folder().await;
    let mut seen = 0;
    for round in 0..4 {
        let mut process = ServerProcess::serve(&file);
        let mut guild = GuildClient {
            client: process.client(&admin_key),
        };
        // At least one further run, then a kill at any moment.
        let more = eventually("another run is recorded", async || {
            (due_times_run(&mut guild).await.len() > seen).then_some(())
        });
        more.await;
        tokio::time::sleep(Duration::from_millis(290 * round)).await;
        seen = due_times_run(&mut guild).await.len();
        process.kill();
        assert_audit_passes(&file);
    }
    let process = ServerProcess::serve(&file);
    let mut guild = GuildClient {
        client: process.client(&admin_key),
    };
    let dues = due_times_run(&mut guild).await;
    assert!(dues.len() >= seen && seen >= 4, "{dues:?}");
    assert!(are_consecutive(&dues, 1_000), "{dues:?}");
    assert!(process.stop());
    assert_audit_passes(&file);
    drop(folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_changes_a_schedule_and_a_disabled_plugin_runs_nothing() {
    let (server, mut guild, clock) = lottery().await;
    let path = format!("{GUILD}/plugins/lottery");
    guild
        .put_ok(
            &path,
            json!({"schedules": {"draw": {"every_s": 3600, "offset_s": 60}}}),
        )
        .await;
    let due = next_due(&mut guild).await;
    assert_eq!(due, NOON_MS + 60_000);
    guild.put_ok(&path, json!({"enabled": false})).await;
    clock.set(due);
    clock.wait_for_checks().await;
    assert!(run_outcomes(&mut guild).await.is_empty());
    guild.put_ok(&path, json!({"enabled": true})).await;
    assert_eq!(
        next_due(&mut guild).await,
        due + HOUR_MS,
        "the next due time counts from then on"
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
    server.close().await;
}

//! The service's clock: it advances by elapsed time, whatever happens to the machine's wall clock, and the
//! operator can set it after a wrong time was followed.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bursar_server::clock;
use bursar_server::http::render;
use bursar_server::serve::{Server, StartError};
use bursar_storage::{
    ImportContext, Reading, StorageError, TimeSource, export_file, import_file, set_clock_of_file,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::machine::Machine;
use crate::server_process::{ServerProcess, binary};
use crate::support::{GUILD, GuildClient, TestServer, assert_audit_passes, decline_code};
use crate::wait::eventually;

/// A time in 2023, in milliseconds since 1970.
const NOW_MS: u64 = 1_700_000_000_000;

const HOUR_MS: u64 = 3_600_000;
const YEAR_MS: i64 = 365 * 24 * 3_600_000;

async fn server_on(machine: &Machine) -> TestServer {
    let source = machine.source();
    TestServer::with_setup(|setup| {
        setup.clock = source;
        setup.schedules = Some(Duration::from_millis(10));
    })
    .await
}

/// Places a hold on the first member's coins for this many seconds.
async fn place_hold(guild: &mut GuildClient, key: &str, seconds: u64) -> String {
    let body = json!({
        "from": "user:1", "to": "user:2", "asset": "coin", "amount": 10, "expires_in_s": seconds,
    });
    let placed = guild.post("holds", key, body).await;
    assert_eq!(placed.status, 201, "{}", placed.json());
    placed.json()["id"].as_str().unwrap().to_owned()
}

async fn wait_until_expired(guild: &mut GuildClient, hold: &str) {
    let ended = eventually("the hold ends", async || {
        let seen = guild.get(&format!("{GUILD}/holds/{hold}")).await.json();
        (seen["status"] == "expired").then_some(())
    });
    ended.await;
}

async fn wait_for_draws(guild: &mut GuildClient, draws: usize) {
    let due = eventually("the lottery draws", async || {
        let events = guild.events().await;
        let runs = events.iter();
        let runs = runs.filter(|event| event["request"]["method"] == "SCHEDULE");
        (runs.count() >= draws).then_some(())
    });
    due.await;
}

/// Waits until no draw is due. A draw that is still due when the next due time arrives would be skipped.
async fn wait_until_no_draw_is_due(guild: &mut GuildClient, machine: &Machine) {
    let none = eventually("no draw is due", async || {
        let lottery = guild.get(&format!("{GUILD}/plugins/lottery")).await.json();
        let next_due = lottery["schedules"]["draw"]["next_due"].as_u64().unwrap();
        (next_due > machine.wall_ms()).then_some(())
    });
    none.await;
}

/// Installs plugins whose actions depend on time: a job, a daily reward and a lottery.
async fn open_guild(guild: &mut GuildClient) {
    let config = json!({"asset": "coin", "pay_min": 1, "pay_max": 1, "cooldown_s": 1});
    guild.install("work", "bundled:work", config).await;
    let config = json!({"asset": "coin", "amount": 5});
    guild.install("daily", "bundled:daily", config).await;
    for plugin in ["work", "daily"] {
        guild.issue(&format!("plugin:{plugin}"), "coin", 100).await;
    }
    let body = json!({
        "component": "bundled:lottery", "grants": "requested", "enabled": true,
        "config": {"asset": "coin", "price": 10, "fee_permille": 0},
        "schedules": {"draw": {"every_s": 2}},
    });
    guild
        .put_ok(&format!("{GUILD}/plugins/lottery"), body)
        .await;
}

async fn call_ok(guild: &mut GuildClient, action: &str, key: &str) {
    let done = guild.call(action, key, "user:1", json!({})).await;
    assert_eq!(done.status, 200, "{action}: {}", done.json());
}

async fn call_declined(guild: &mut GuildClient, action: &str, key: &str, code: &str) {
    let done = guild.call(action, key, "user:1", json!({})).await;
    assert_eq!(decline_code(&done), code, "{action}: {}", done.json());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_waits_for_times_of_a_clock_that_was_a_year_ahead() {
    let machine = Machine::at(NOW_MS);
    machine.set(YEAR_MS);
    let server = server_on(&machine).await;
    let (server, mut guild) = server.with_members(2).await;
    open_guild(&mut guild).await;
    call_ok(&mut guild, "work/work", "work ahead").await;
    call_ok(&mut guild, "daily/claim", "claim ahead").await;
    let bought = json!({"tickets": 1});
    let bought = guild.call("lottery/buy", "ticket", "user:1", bought).await;
    assert_eq!(bought.status, 200, "{}", bought.json());
    let held = place_hold(&mut guild, "held", 2).await;
    let admin_key = server.admin_key.clone();
    let folder = server.into_folder().await;
    let file = folder.path().join("test.db");

    machine.set(-YEAR_MS);
    let message = refused_start(&machine, &file).await;
    assert!(
        message.contains("365 days behind the time of the file"),
        "{message}"
    );
    assert!(message.contains("bursar clock set"), "{message}");
    let set = set_clock_of_file(&file, &machine.source(), render).unwrap();
    assert!(set.set, "{set:?}");

    let server = serve_again(folder, &machine, admin_key).await;
    let mut guild = GuildClient {
        client: server.admin(),
    };
    call_ok(&mut guild, "daily/claim", "claim now").await;
    call_declined(&mut guild, "daily/claim", "claim again", "already_claimed").await;
    call_ok(&mut guild, "work/work", "work now").await;
    call_declined(&mut guild, "work/work", "work again", "too_soon").await;
    machine.pass(1_000);
    call_ok(&mut guild, "work/work", "work rested").await;
    machine.pass(1_000);
    wait_until_expired(&mut guild, &held).await;
    wait_until_no_draw_is_due(&mut guild, &machine).await;
    machine.pass(2_000);
    wait_for_draws(&mut guild, 1).await;
    wait_until_no_draw_is_due(&mut guild, &machine).await;
    machine.pass(2_000);
    wait_for_draws(&mut guild, 2).await;
    let events = guild.events().await;
    let set = events.iter().position(|event| event["kind"] == "set_clock");
    let (before, after) = events.split_at(set.expect("the set_clock event"));
    let times = |events: &[Value]| -> Vec<u64> {
        let times = events.iter().map(|event| event["recorded_at"].as_u64());
        times.map(Option::unwrap).collect()
    };
    assert!(times(before).is_sorted() && times(after).is_sorted());
    assert_eq!(times(after)[0], NOW_MS);
    let folder = server.into_folder().await;
    assert_audit_passes(&folder.path().join("test.db"));
    export_and_import(&folder, &machine);
}

/// Exports the economy and imports it into another file, on a machine with the same clocks.
fn export_and_import(folder: &TempDir, machine: &Machine) {
    let mut lines = Vec::new();
    let mut take = |some: Vec<u8>| {
        lines.extend(some);
        Ok(())
    };
    let file = folder.path().join("test.db");
    let guild = "guild".parse().unwrap();
    export_file(&file, &guild, &mut take, &mut |_, _| {}).unwrap();
    let importing = ImportContext {
        time: machine.source(),
        system: "system".parse().unwrap(),
        seed: bursar_ledger::Seed::new([3; 32]),
        actor: "owner".into(),
        render,
    };
    let other = folder.path().join("other.db");
    import_file(&other, &importing, &mut &*lines, &mut |_, _| {}).unwrap();
    assert_audit_passes(&other);
}

/// Starts a server on this machine, expects that the start is refused, and returns the reason.
async fn refused_start(machine: &Machine, file: &Path) -> String {
    let source = machine.source();
    let setup = TestServer::setup(file, |setup| setup.clock = source);
    match Server::start(setup).await {
        Err(StartError::Storage(StorageError::Clock(error))) => error.to_string(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("the server starts"),
    }
}

/// Starts a server on an existing file.
async fn serve_again(folder: TempDir, machine: &Machine, admin_key: String) -> TestServer {
    let source = machine.source();
    let change = |setup: &mut bursar_server::serve::Setup| {
        setup.clock = source;
        setup.schedules = Some(Duration::from_millis(10));
    };
    TestServer::on_folder(folder, admin_key, change).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_during_operation_is_reported_and_not_followed() {
    let machine = Machine::at(NOW_MS);
    let server = server_on(&machine).await;
    let (server, mut guild) = server.with_members(2).await;
    let held = place_hold(&mut guild, "held", 2).await;
    let ready = guild.get("/readyz").await;
    assert_eq!(ready.json()["clock"]["difference_ms"], 0);
    assert!(ready.json()["warning"].is_null(), "{}", ready.json());

    for by in [YEAR_MS, -2 * YEAR_MS] {
        machine.set(by);
        machine.pass(500);
        let key = format!("pay {by}");
        assert_eq!(
            guild.transfer(&key, "user:1", "user:2", 1).await.status,
            201
        );
        let ready = guild.get("/readyz").await;
        assert_eq!(ready.status, 200, "requests are still served");
        let ready = ready.json();
        assert_eq!(ready["clock"]["followed"], false);
        let warning = ready["warning"].as_str().unwrap();
        assert!(warning.contains("bursar clock set"), "{warning}");
        let audit = guild.get("/v1/audit").await.json();
        assert_eq!(
            (&audit["ok"], &audit["clock"]["followed"]),
            (&json!(true), &json!(false))
        );
        let seen = guild.get(&format!("{GUILD}/holds/{held}")).await.json();
        assert_eq!(seen["status"], "open");
    }
    let events = guild.events().await;
    let newest = events.last().unwrap()["recorded_at"].as_u64();
    assert_eq!(newest, Some(NOW_MS + 1_000));
    machine.pass(1_000);
    wait_until_expired(&mut guild, &held).await;
    machine.set(YEAR_MS);
    machine.pass(1_000);
    assert!(guild.get("/readyz").await.json()["warning"].is_null());
    server.close().await;
}

/// Installs blackjack and deals until a game is open.
async fn open_game(guild: &mut GuildClient) {
    let config = json!({"asset": "coin"});
    guild
        .install("blackjack", "bundled:blackjack", config)
        .await;
    guild.issue("plugin:blackjack", "coin", 1_000).await;
    for number in 0..20 {
        let dealt = format!("deal {number}");
        let dealt = guild.call("blackjack/deal", &dealt, "user:1", json!({"stake": 10}));
        let dealt = dealt.await;
        assert_eq!(dealt.status, 200, "{}", dealt.json());
        if dealt.json()["reply"]["outcome"].is_null() {
            return;
        }
    }
    panic!("twenty naturals in a row");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_game_continues_after_an_outage_of_two_hours() {
    let machine = Machine::at(NOW_MS);
    let server = server_on(&machine).await;
    let (server, mut guild) = server.with_members(2).await;
    open_game(&mut guild).await;
    let held = place_hold(&mut guild, "held", 3_600).await;
    drop(guild);
    machine.pass(HOUR_MS / 2);
    let admin_key = server.admin_key.clone();
    let folder = server.into_folder().await;
    machine.pass(2 * HOUR_MS);
    let server = serve_again(folder, &machine, admin_key).await;
    let mut guild = GuildClient {
        client: server.admin(),
    };
    // The hold that belongs to no game has expired during the outage, as configured.
    wait_until_expired(&mut guild, &held).await;
    machine.pass(HOUR_MS / 2 - 1);
    call_ok(&mut guild, "blackjack/look", "look").await;
    call_ok(&mut guild, "blackjack/stand", "stand").await;
    let events = guild.events().await;
    let extended: Vec<_> = events
        .iter()
        .filter(|it| it["kind"] == "extend_holds")
        .collect();
    assert_eq!(extended.len(), 1, "{extended:?}");
    server.close().await;
}

/// Returns the machine's own clocks, `ms` later and after a reboot.
fn later(ms: u64) -> TimeSource {
    let source = clock::system();
    let span = Duration::from_millis(ms);
    let start = source.read();
    // After a reboot only the wall clock shows how long the machine was off.
    TimeSource::new("another boot", move || {
        let Reading { wall, elapsed } = source.read();
        Reading {
            wall: wall + span,
            elapsed: elapsed.saturating_sub(start.elapsed),
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_game_continues_two_hours_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.db");
    let mut process = ServerProcess::serve(&file);
    let admin_key = process.admin_key.clone().unwrap();
    let mut guild = GuildClient {
        client: process.client(&admin_key),
    };
    guild.create(2).await;
    open_game(&mut guild).await;
    process.kill();
    let server =
        TestServer::on_folder(folder, admin_key, |setup| setup.clock = later(2 * HOUR_MS)).await;
    let mut guild = GuildClient {
        client: server.admin(),
    };
    call_ok(&mut guild, "blackjack/look", "look").await;
    call_ok(&mut guild, "blackjack/stand", "stand").await;
    let folder = server.into_folder().await;
    assert_audit_passes(&folder.path().join("test.db"));
}

fn bursar(arguments: &[&str], file: &Path) -> (bool, String, String) {
    let output = Command::new(binary())
        .args(arguments)
        .arg("--db")
        .arg(file)
        .output();
    let output = output.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.success(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_is_shown_and_set_on_the_command_line() {
    let machine = Machine::at(NOW_MS);
    let server = server_on(&machine).await;
    let (server, mut guild) = server.with_members(2).await;
    place_hold(&mut guild, "held", 3_600).await;
    drop(guild);
    let file = server.file();
    // The process that serves the file answers, and continues with the time of the file.
    let (ok, shown, _) = bursar(&["clock", "show", "--json"], &file);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert!(
        ok && shown["kept"] == NOW_MS && shown["followed"] == true,
        "{shown}"
    );
    let (ok, _, message) = bursar(&["clock", "set"], &file);
    assert!(
        !ok && message.contains("is being served") && message.contains("stop the server"),
        "{message}"
    );
    let folder = server.into_folder().await;

    // By the machine's real clock it is years later.
    let (ok, shown, message) = bursar(&["clock", "show"], &file);
    assert!(ok && shown.contains("2023-11-14T22:13:20.000Z"), "{shown}");
    assert!(message.contains("bursar clock set"), "{message}");
    for arguments in [
        &["serve", "--listen", "127.0.0.1:0"][..],
        &["key", "create", "--scope", "read"],
    ] {
        let (ok, _, message) = bursar(arguments, &file);
        assert!(
            !ok && message.contains("ahead of the time of the file"),
            "{message}"
        );
    }
    let audit = Command::new(binary())
        .arg("audit")
        .arg(&file)
        .output()
        .unwrap();
    let message = String::from_utf8(audit.stderr).unwrap();
    assert!(
        audit.status.success() && message.contains("does not follow the clock"),
        "{message}"
    );
    let (ok, _, message) = bursar(&["clock", "set"], &file);
    assert!(
        ok && message.contains("1 economies have a record of it"),
        "{message}"
    );
    let (ok, _, message) = bursar(&["clock", "set"], &file);
    assert!(ok && message.contains("nothing was changed"), "{message}");
    let log = File::create(folder.path().join("log")).unwrap();
    let process = ServerProcess::logging(&file, log, &[]);
    assert!(process.stop());
    assert_audit_passes(&file);
}

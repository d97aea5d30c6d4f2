//! Time: it passes as it passes, whatever becomes of the machine's clock, and nothing waits for a time that
//! was shown by mistake.

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
use crate::patience::eventually;
use crate::support::{GUILD, Guild, House, Process, audited, binary, decline_code};

/// A moment of 2023, in milliseconds.
const NOW_MS: u64 = 1_700_000_000_000;

const HOUR_MS: u64 = 3_600_000;
const YEAR_MS: i64 = 365 * 24 * 3_600_000;

async fn house_on(machine: &Machine) -> House {
    let source = machine.source();
    House::set_up(|setup| {
        setup.clock = source;
        setup.schedules = Some(Duration::from_millis(10));
    })
    .await
}

/// Reserves some coins of the first member for so many seconds.
async fn hold(guild: &mut Guild, key: &str, seconds: u64) -> String {
    let body = json!({
        "from": "user:1", "to": "user:2", "asset": "coin", "amount": 10, "expires_in_s": seconds,
    });
    let placed = guild.post("holds", key, body).await;
    assert_eq!(placed.status, 201, "{}", placed.json());
    placed.json()["id"].as_str().unwrap().to_owned()
}

async fn until_ended(guild: &mut Guild, hold: &str) {
    let ended = eventually("the hold ends", async || {
        let seen = guild.get(&format!("{GUILD}/holds/{hold}")).await.json();
        (seen["status"] == "expired").then_some(())
    });
    ended.await;
}

async fn until_drawn(guild: &mut Guild, draws: usize) {
    let due = eventually("the lottery draws", async || {
        let events = guild.events().await;
        let runs = events.iter();
        let runs = runs.filter(|event| event["request"]["method"] == "SCHEDULE");
        (runs.count() >= draws).then_some(())
    });
    due.await;
}

/// Waits until no draw is due: one that is still due when time passes on to the next would be left out.
async fn until_none_is_due(guild: &mut Guild, machine: &Machine) {
    let none = eventually("no draw is due", async || {
        let lottery = guild.get(&format!("{GUILD}/plugins/lottery")).await.json();
        let next_due = lottery["schedules"]["draw"]["next_due"].as_u64().unwrap();
        (next_due > machine.wall_ms()).then_some(())
    });
    none.await;
}

/// A guild in which everything waits for something: a job, a reward, a lottery.
async fn open_guild(guild: &mut Guild) {
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
    guild.made(&format!("{GUILD}/plugins/lottery"), body).await;
}

async fn did(guild: &mut Guild, action: &str, key: &str) {
    let done = guild.call(action, key, "user:1", json!({})).await;
    assert_eq!(done.status, 200, "{action}: {}", done.json());
}

async fn refused(guild: &mut Guild, action: &str, key: &str, code: &str) {
    let done = guild.call(action, key, "user:1", json!({})).await;
    assert_eq!(decline_code(&done), code, "{action}: {}", done.json());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_waits_for_a_clock_that_was_a_year_ahead() {
    let machine = Machine::at(NOW_MS);
    machine.set(YEAR_MS);
    let house = house_on(&machine).await;
    let (house, mut guild) = house.furnished(2).await;
    open_guild(&mut guild).await;
    did(&mut guild, "work/work", "work ahead").await;
    did(&mut guild, "daily/claim", "claim ahead").await;
    let bought = json!({"tickets": 1});
    let bought = guild.call("lottery/buy", "ticket", "user:1", bought).await;
    assert_eq!(bought.status, 200, "{}", bought.json());
    let held = hold(&mut guild, "held", 2).await;
    let (admin_key, folder) = (house.admin_key.clone(), house.left_behind().await);
    let file = folder.path().join("test.db");

    machine.set(-YEAR_MS);
    let said = refused_start(&machine, &file).await;
    assert!(
        said.contains("365 days behind the time of the file"),
        "{said}"
    );
    assert!(said.contains("bursar clock set"), "{said}");
    let set = set_clock_of_file(&file, &machine.source(), render).unwrap();
    assert!(set.set, "{set:?}");

    let house = served(folder, &machine, admin_key).await;
    let mut guild = Guild {
        client: house.admin(),
    };
    did(&mut guild, "daily/claim", "claim now").await;
    refused(&mut guild, "daily/claim", "claim again", "already_claimed").await;
    did(&mut guild, "work/work", "work now").await;
    refused(&mut guild, "work/work", "work again", "too_soon").await;
    machine.pass(1_000);
    did(&mut guild, "work/work", "work rested").await;
    machine.pass(1_000);
    until_ended(&mut guild, &held).await;
    until_none_is_due(&mut guild, &machine).await;
    machine.pass(2_000);
    until_drawn(&mut guild, 1).await;
    until_none_is_due(&mut guild, &machine).await;
    machine.pass(2_000);
    until_drawn(&mut guild, 2).await;
    let events = guild.events().await;
    let set = events.iter().position(|event| event["kind"] == "set_clock");
    let (before, after) = events.split_at(set.expect("it is on record"));
    let times = |events: &[Value]| -> Vec<u64> {
        let times = events.iter().map(|event| event["recorded_at"].as_u64());
        times.map(Option::unwrap).collect()
    };
    assert!(times(before).is_sorted() && times(after).is_sorted());
    assert_eq!(times(after)[0], NOW_MS);
    let folder = house.left_behind().await;
    audited(&folder.path().join("test.db"));
    moved(&folder, &machine);
}

/// Takes the guild to another file, by a machine with the same clocks.
fn moved(folder: &TempDir, machine: &Machine) {
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
    audited(&other);
}

/// What a server says that does not start, by the clocks of this machine.
async fn refused_start(machine: &Machine, file: &Path) -> String {
    let source = machine.source();
    let setup = House::setup(file, |setup| setup.clock = source);
    match Server::start(setup).await {
        Err(StartError::Storage(StorageError::Clock(error))) => error.to_string(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it starts"),
    }
}

/// A server on a file that is there.
async fn served(folder: TempDir, machine: &Machine, admin_key: String) -> House {
    let source = machine.source();
    let change = |setup: &mut bursar_server::serve::Setup| {
        setup.clock = source;
        setup.schedules = Some(Duration::from_millis(10));
    };
    House::again(folder, admin_key, change).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_while_money_moves_is_told_and_not_followed() {
    let machine = Machine::at(NOW_MS);
    let house = house_on(&machine).await;
    let (house, mut guild) = house.furnished(2).await;
    let held = hold(&mut guild, "held", 2).await;
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
        assert_eq!(ready.status, 200, "money moves");
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
    until_ended(&mut guild, &held).await;
    machine.set(YEAR_MS);
    machine.pass(1_000);
    assert!(guild.get("/readyz").await.json()["warning"].is_null());
    house.close().await;
}

/// Opens a table, and deals until a game is open.
async fn open_game(guild: &mut Guild) {
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
async fn a_game_is_played_on_after_an_outage_of_two_hours() {
    let machine = Machine::at(NOW_MS);
    let house = house_on(&machine).await;
    let (house, mut guild) = house.furnished(2).await;
    open_game(&mut guild).await;
    let held = hold(&mut guild, "held", 3_600).await;
    drop(guild);
    machine.pass(HOUR_MS / 2);
    let (admin_key, folder) = (house.admin_key.clone(), house.left_behind().await);
    machine.pass(2 * HOUR_MS);
    let house = served(folder, &machine, admin_key).await;
    let mut guild = Guild {
        client: house.admin(),
    };
    // What no game holds has ended meanwhile, as it was to.
    until_ended(&mut guild, &held).await;
    machine.pass(HOUR_MS / 2 - 1);
    did(&mut guild, "blackjack/look", "look").await;
    did(&mut guild, "blackjack/stand", "stand").await;
    let events = guild.events().await;
    let extended: Vec<_> = events
        .iter()
        .filter(|it| it["kind"] == "extend_holds")
        .collect();
    assert_eq!(extended.len(), 1, "{extended:?}");
    house.close().await;
}

/// The machine's own clocks, some time later.
fn later(ms: u64) -> TimeSource {
    let (source, span) = (clock::system(), Duration::from_millis(ms));
    let start = source.read();
    // It was booted since: nobody knows for how long it was off but by its wall clock.
    TimeSource::new("another boot", move || {
        let Reading { wall, elapsed } = source.read();
        Reading {
            wall: wall + span,
            elapsed: elapsed.saturating_sub(start.elapsed),
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_game_is_played_on_after_a_kill_and_two_hours() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.db");
    let mut process = Process::serve(&file);
    let admin_key = process.admin_key.clone().unwrap();
    let mut guild = Guild {
        client: process.client(&admin_key),
    };
    guild.found(2).await;
    open_game(&mut guild).await;
    process.kill();
    let house = House::again(folder, admin_key, |setup| setup.clock = later(2 * HOUR_MS)).await;
    let mut guild = Guild {
        client: house.admin(),
    };
    did(&mut guild, "blackjack/look", "look").await;
    did(&mut guild, "blackjack/stand", "stand").await;
    let folder = house.left_behind().await;
    audited(&folder.path().join("test.db"));
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
async fn a_clock_is_shown_and_set_at_a_terminal() {
    let machine = Machine::at(NOW_MS);
    let house = house_on(&machine).await;
    let (house, mut guild) = house.furnished(2).await;
    hold(&mut guild, "held", 3_600).await;
    drop(guild);
    let file = house.file();
    // The owner of a served file is asked, and goes on by the time that it has.
    let (ok, shown, _) = bursar(&["clock", "show", "--json"], &file);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert!(
        ok && shown["kept"] == NOW_MS && shown["followed"] == true,
        "{shown}"
    );
    let (ok, _, said) = bursar(&["clock", "set"], &file);
    assert!(
        !ok && said.contains("is being served") && said.contains("stop the server"),
        "{said}"
    );
    let folder = house.left_behind().await;

    // By the real machine it is years later.
    let (ok, shown, said) = bursar(&["clock", "show"], &file);
    assert!(ok && shown.contains("2023-11-14T22:13:20.000Z"), "{shown}");
    assert!(said.contains("bursar clock set"), "{said}");
    for arguments in [
        &["serve", "--listen", "127.0.0.1:0"][..],
        &["key", "create", "--scope", "read"],
    ] {
        let (ok, _, said) = bursar(arguments, &file);
        assert!(
            !ok && said.contains("ahead of the time of the file"),
            "{said}"
        );
    }
    let audit = Command::new(binary())
        .arg("audit")
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8(audit.stderr).unwrap();
    assert!(
        audit.status.success() && said.contains("is not followed"),
        "{said}"
    );
    let (ok, _, said) = bursar(&["clock", "set"], &file);
    assert!(
        ok && said.contains("1 economies have a record of it"),
        "{said}"
    );
    let (ok, _, said) = bursar(&["clock", "set"], &file);
    assert!(ok && said.contains("nothing was changed"), "{said}");
    let log = File::create(folder.path().join("log")).unwrap();
    let process = Process::logging(&file, log, &[]);
    assert!(process.stop());
    audited(&file);
}

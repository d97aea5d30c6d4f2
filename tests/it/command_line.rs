//! The binary, as somebody at a terminal meets it.

use std::path::Path;
use std::process::{Command, Output};

use bursar_server::bundled;
use bursar_server::client::{Address, Client};
use serde_json::{Value, json};

use crate::support::{GUILD, Process, binary};

fn bursar(arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn complained(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A few thousand rounds of each game that is bundled, from a fixed seed: this always passes or never.
#[test]
fn every_game_returns_what_it_states() {
    let folder = tempfile::tempdir().unwrap();
    let mut games = 0;
    for bundled in bursar_server::bundled::PLUGINS {
        let file = folder.path().join(format!("{}.wasm", bundled.name));
        std::fs::write(&file, bundled.bytes).unwrap();
        let checked = Command::new(binary())
            .args([
                "plugin",
                "check",
                "--simulate",
                "--rounds",
                "3000",
                "--seed",
            ])
            .arg("5".repeat(64))
            .arg(&file)
            .output()
            .unwrap();
        let said = String::from_utf8(checked.stdout).unwrap();
        assert!(checked.status.success(), "{}: {said}", bundled.name);
        games += said.matches("3000 rounds, standard deviation").count();
    }
    assert!(games >= 5, "{games} games state their odds");
}

#[test]
fn help_names_every_command_and_needs_no_file() {
    let help = said(&bursar(&["--help"]));
    for command in [
        "serve", "demo", "audit", "backup", "export", "import", "key", "plugin",
    ] {
        assert!(help.contains(command), "{command}");
        assert!(bursar(&[command, "--help"]).status.success(), "{command}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_served_file_is_reached_through_its_owner() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("guild.db");
    let server = Process::serve(&file);
    let admin = server
        .admin_key
        .clone()
        .expect("a new file has a first key");
    let mut client = Client::new(Address::Tcp(server.address.clone()), &admin);
    assert_eq!(client.put(GUILD, &json!({})).await.unwrap().status, 201);

    let created = bursar(&[
        "key",
        "create",
        "--db",
        text(&file),
        "--scope",
        "read,transfer",
    ]);
    let key = said(&created);
    assert!(
        created.stderr.is_empty() && key.lines().count() == 1,
        "the key and nothing else"
    );
    let mut reader = Client::new(Address::Tcp(server.address.clone()), key.trim());
    assert_eq!(reader.get(GUILD).await.unwrap().status, 200);

    let rotated = said(&bursar(&["key", "rotate", "admin", "--db", text(&file)]));
    assert_eq!(
        client.get(GUILD).await.unwrap().status,
        401,
        "the secret before is good for nothing"
    );
    let mut client = Client::new(Address::Tcp(server.address.clone()), rotated.trim());
    assert_eq!(client.get(GUILD).await.unwrap().status, 200);
    assert!(said(&bursar(&["key", "list", "--db", text(&file)])).contains("every economy"));

    let live = bursar(&["audit", text(&file), "--json"]);
    let report: Value = serde_json::from_slice(&live.stdout).unwrap();
    assert!(live.status.success() && report["ok"] == true);

    let second = complained(&bursar(&[
        "serve",
        "--db",
        text(&file),
        "--listen",
        "127.0.0.1:0",
    ]));
    assert!(second.contains("is being served by process"), "{second}");
    assert!(server.stop(), "asked to stop, it ends with 0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_nobody_serves_is_opened_and_closed_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("guild.db");
    let create = [
        "key",
        "create",
        "--db",
        text(&file),
        "--scope",
        "admin",
        "--name",
        "boss",
    ];
    let key = said(&bursar(&create));
    assert!(key.starts_with("bursar_boss_"), "{key}");
    assert!(complained(&bursar(&create)).contains("choose another --name"));
    let audit = bursar(&["audit", text(&file)]);
    let report = said(&audit);
    assert!(audit.status.success(), "{report}");
    for promise in ["Conservation", "Exactly once", "Explainable"] {
        assert!(report.contains(promise), "{report}");
    }
    // The file has a key, so a start makes no other; the one that was made opens it.
    let server = Process::serve(&file);
    assert_eq!(server.admin_key, None);
    let mut client = Client::new(Address::Tcp(server.address.clone()), key.trim());
    assert_eq!(client.put(GUILD, &json!({})).await.unwrap().status, 201);
    assert!(server.stop());
}

#[test]
fn mistakes_are_answered_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.db");
    assert!(complained(&bursar(&["audit", text(&missing)])).contains("name a database file"));
    assert!(!missing.exists(), "an audit makes no file");
    let open = bursar(&["serve", "--db", text(&missing), "--listen", "0.0.0.0:0"]);
    assert!(complained(&open).contains("--allow-plain-http"));
    let scope = bursar(&[
        "key",
        "create",
        "--db",
        text(&missing),
        "--scope",
        "everything",
    ]);
    assert!(complained(&scope).contains("read, transfer, call, issue or admin"));
    for command in [
        &["verify", "-"][..],
        &["plugin", "check", "a", "--simulate"],
    ] {
        let seeded = bursar(&[command, &["--seed", "lucky"]].concat());
        assert!(complained(&seeded).contains("a seed is 64 hexadecimal digits"));
    }
    let other = folder.path().join("notes.txt");
    std::fs::write(
        &other,
        "not a database, and longer than a header of one hundred bytes".repeat(9),
    )
    .unwrap();
    let foreign = complained(&bursar(&[
        "serve",
        "--db",
        text(&other),
        "--listen",
        "127.0.0.1:0",
    ]));
    assert!(foreign.contains("not a database"), "{foreign}");
}

#[test]
fn plugin_check_gives_the_servers_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("shop.wasm");
    std::fs::write(&good, bundled::find("shop").unwrap().bytes).unwrap();
    let checked = bursar(&["plugin", "check", text(&good)]);
    assert!(checked.status.success());
    assert!(said(&checked).contains("action buy"));
    let bad = folder.path().join("bad.wasm");
    std::fs::write(
        &bad,
        wat::parse_str(r#"(component (import "wasi:cli/run" (instance)))"#).unwrap(),
    )
    .unwrap();
    let refused = bursar(&["plugin", "check", text(&bad)]);
    assert!(!refused.status.success());
    assert!(said(&refused).contains("it imports `wasi:cli/run`"));
}

#[test]
fn the_demo_ends_by_itself_and_every_check_holds() {
    let demo = bursar(&["demo"]);
    let story = said(&demo);
    assert!(demo.status.success(), "{story}");
    assert!(
        story.contains("checks held") && !story.contains('✗'),
        "{story}"
    );
}

#[test]
fn keys_are_managed_on_a_file_that_nobody_serves() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("guild.db");
    let db = text(&file);
    let first = said(&bursar(&[
        "key", "create", "--db", db, "--scope", "admin", "--name", "boss",
    ]));
    let second = said(&bursar(&["key", "rotate", "boss", "--db", db]));
    assert!(
        second.starts_with("bursar_boss_") && second != first,
        "{second}"
    );
    assert!(
        bursar(&["key", "revoke", "boss", "--db", db])
            .status
            .success()
    );
    let listed = said(&bursar(&["key", "list", "--db", db]));
    assert!(
        listed.contains("boss") && listed.contains("revoked"),
        "{listed}"
    );
    assert!(!listed.contains(second.trim()), "no secret is shown again");
    let missing = folder.path().join("typo.db");
    let refused = complained(&bursar(&["key", "list", "--db", text(&missing)]));
    assert!(
        refused.contains("name a database file") && !missing.exists(),
        "{refused}"
    );
    let owner = bursar(&[
        "key", "create", "--db", db, "--scope", "read", "--name", "owner",
    ]);
    assert!(complained(&owner).contains("choose another name"));
    let unknown = complained(&bursar(&["key", "rotate", "nobody", "--db", db]));
    assert!(unknown.contains("there is no key `nobody`"), "{unknown}");
}

#[test]
fn a_key_is_made_with_its_limits() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("guild.db");
    let db = text(&file);
    let create = |more: &[&str]| {
        let first = ["key", "create", "--db", db, "--scope", "transfer"];
        bursar(&[&first[..], more].concat())
    };
    let limits = ["--transfer-cap", "coin=100,gem=0", "--rate-limit", "10/60"];
    let made = create(&[&limits[..], &["--name", "bot"]].concat());
    assert!(made.status.success());
    let listed = said(&bursar(&["key", "list", "--db", db]));
    assert!(listed.contains(r#"{"coin":100,"gem":0}"#), "{listed}");
    assert!(listed.contains(r#"{"per_s":60,"requests":10}"#), "{listed}");
    for (flag, wrong, what) in [
        ("--transfer-cap", "coin", "as in coin=100"),
        ("--transfer-cap", "coin=-1", "as in coin=100"),
        ("--transfer-cap", "coin=1,coin=2", "names coin twice"),
        ("--rate-limit", "10", "as in 100/60"),
        ("--rate-limit", "0/60", "1 to 1000000 `requests`"),
    ] {
        assert!(
            complained(&create(&[flag, wrong])).contains(what),
            "{wrong}"
        );
    }
}

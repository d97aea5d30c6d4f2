//! The binary on the command line.

use std::path::Path;
use std::process::{Command, Output};

use bursar_server::bundled;
use bursar_server::client::{Address, Client};
use serde_json::{Value, json};

use crate::server_process::{ServerProcess, binary};
use crate::support::{GUILD, TestServer, upload};

fn bursar(arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).output().unwrap()
}

fn stdout_of(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr_of(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Returns the number of rounds of each simulated game: 3,000, or `BURSAR_ROUNDS`.
#[allow(
    clippy::disallowed_methods,
    reason = "tests have no configuration of their own"
)]
fn rounds() -> String {
    std::env::var("BURSAR_ROUNDS").unwrap_or_else(|_| "3000".into())
}

/// Simulates each game of a component whose odds it states, from a fixed seed, so that the result is always
/// the same.
fn simulated(folder: &Path, name: &str, bytes: &[u8], rounds: &str) -> Output {
    let file = folder.join(format!("{name}.wasm"));
    std::fs::write(&file, bytes).unwrap();
    let seed = "5".repeat(64);
    bursar(&[
        "plugin",
        "check",
        "--simulate",
        "--rounds",
        rounds,
        "--seed",
        &seed,
        text(&file),
    ])
}

#[test]
fn every_game_returns_its_stated_odds() {
    let folder = tempfile::tempdir().unwrap();
    let rounds = rounds();
    let mut games = 0;
    for bundled in bundled::PLUGINS {
        let checked = simulated(folder.path(), bundled.name, bundled.bytes, &rounds);
        let output = stdout_of(&checked);
        assert!(checked.status.success(), "{}: {output}", bundled.name);
        let played = format!("{rounds} rounds; variance");
        games += output.matches(&played).count();
    }
    assert!(games >= 5, "{games} games state their odds");
}

#[test]
fn a_game_with_false_stated_odds_fails_the_check() {
    let folder = tempfile::tempdir().unwrap();
    let checked = simulated(folder.path(), "malicious", bundled::MALICIOUS, "3000");
    let output = stdout_of(&checked);
    assert_eq!(checked.status.code(), Some(1), "{output}");
    // The malicious plugin states the odds of one game three times, once correctly. Only the false statements
    // fail.
    let verdict = |stated: &str| {
        let stated = format!("stated are {stated}");
        let mut lines = output.lines().filter(|line| line.ends_with(&stated));
        let line = lines.next().expect(&stated).trim_start();
        line.chars().next()
    };
    assert_eq!(verdict("100.0000 %"), Some('✓'), "{output}");
    assert_eq!(verdict("120.0000 %"), Some('✗'), "{output}");
    assert_eq!(verdict("80.0000 %"), Some('✗'), "{output}");
}

#[test]
fn help_names_every_command_and_needs_no_file() {
    let help = stdout_of(&bursar(&["--help"]));
    for command in [
        "serve", "demo", "audit", "backup", "export", "log", "sql", "import", "key", "quota",
        "plugin",
    ] {
        assert!(help.contains(command), "{command}");
        assert!(bursar(&[command, "--help"]).status.success(), "{command}");
    }
}

#[test]
fn notices_name_the_mpl_crates_with_their_source() {
    let notices = stdout_of(&bursar(&["notices"]));
    let row = notices.lines().find(|line| line.starts_with("| imbl | "));
    let row = row.expect("a row of imbl");
    assert!(
        row.contains("https://static.crates.io/crates/imbl/imbl-"),
        "{row}"
    );
    assert!(notices.contains("Mozilla Public License Version 2.0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_reach_a_served_file_through_its_server() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("guild.db");
    let server = ServerProcess::serve(&file);
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
    let key = stdout_of(&created);
    assert!(
        created.stderr.is_empty() && key.lines().count() == 1,
        "the key and nothing else"
    );
    let mut reader = Client::new(Address::Tcp(server.address.clone()), key.trim());
    assert_eq!(reader.get(GUILD).await.unwrap().status, 200);

    let rotated = stdout_of(&bursar(&["key", "rotate", "admin", "--db", text(&file)]));
    assert_eq!(
        client.get(GUILD).await.unwrap().status,
        401,
        "the previous secret is invalid"
    );
    let mut client = Client::new(Address::Tcp(server.address.clone()), rotated.trim());
    assert_eq!(client.get(GUILD).await.unwrap().status, 200);
    assert!(stdout_of(&bursar(&["key", "list", "--db", text(&file)])).contains("every economy"));

    let live = bursar(&["audit", text(&file), "--json"]);
    let report: Value = serde_json::from_slice(&live.stdout).unwrap();
    assert!(live.status.success() && report["ok"] == true);

    let second = stderr_of(&bursar(&[
        "serve",
        "--db",
        text(&file),
        "--listen",
        "127.0.0.1:0",
    ]));
    assert!(second.contains("is being served by process"), "{second}");
    assert!(server.stop(), "the server exits with 0");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_open_and_close_a_file_that_is_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("guild.db");
    assert!(ServerProcess::serve(&file).stop());
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
    let key = stdout_of(&bursar(&create));
    assert!(key.starts_with("bursar_boss_"), "{key}");
    assert!(stderr_of(&bursar(&create)).contains("choose another --name"));
    let audit = bursar(&["audit", text(&file)]);
    let report = stdout_of(&audit);
    assert!(audit.status.success(), "{report}");
    for promise in ["Conservation", "Exactly once", "Explainable"] {
        assert!(report.contains(promise), "{report}");
    }
    // The file already has a key, so a start creates no other.
    let server = ServerProcess::serve(&file);
    assert_eq!(server.admin_key, None);
    let mut client = Client::new(Address::Tcp(server.address.clone()), key.trim());
    assert_eq!(client.put(GUILD, &json!({})).await.unwrap().status, 201);
    assert!(server.stop());
}

#[test]
fn mistakes_are_answered_with_instructions() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.db");
    assert!(stderr_of(&bursar(&["audit", text(&missing)])).contains("name a database file"));
    assert!(!missing.exists(), "an audit creates no file");
    let open = bursar(&["serve", "--db", text(&missing), "--listen", "0.0.0.0:0"]);
    assert!(stderr_of(&open).contains("--allow-plain-http"));
    let scope = bursar(&[
        "key",
        "create",
        "--db",
        text(&missing),
        "--scope",
        "everything",
    ]);
    assert!(stderr_of(&scope).contains("read, transfer, call, issue or admin"));
    for command in [
        &["verify", "-"][..],
        &["plugin", "check", "a", "--simulate"],
    ] {
        let seeded = bursar(&[command, &["--seed", "lucky"]].concat());
        assert!(stderr_of(&seeded).contains("a seed is 64 hexadecimal digits"));
    }
    let other = folder.path().join("notes.txt");
    std::fs::write(
        &other,
        "not a database, and longer than a header of one hundred bytes".repeat(9),
    )
    .unwrap();
    let foreign = stderr_of(&bursar(&[
        "serve",
        "--db",
        text(&other),
        "--listen",
        "127.0.0.1:0",
    ]));
    assert!(foreign.contains("not a database"), "{foreign}");
}

/// Components that are refused, each by another stage of the check or for another reason.
fn refused_components() -> Vec<Vec<u8>> {
    let texts = [
        "(module)",
        "(component)",
        r#"(component (import "wasi:cli/run@0.2.6" (instance)) (import "evil:door/way" (instance)))"#,
        r#"(component
            (import "bursar:plugin/cal@0.2.0" (instance))
            (import "bursar:plugin/call@0.2.0" (instance
                (export "now" (func (result s64)))
                (export "colour" (func)))))"#,
        "(component (core module (func (result i32) i64.const 0)))",
        "(component (core module (table 10000000 funcref)))",
    ];
    let locals = "i32 ".repeat(50_001);
    let greedy = format!("(component (core module (func $greedy (local {locals}))))");
    let mut cut = bundled::MALICIOUS.to_vec();
    cut.truncate(cut.len() / 2);
    let bare: [&[u8]; 3] = [b"hello", b"(component)", b"\x7fELF\x02\x01"];
    let written = texts.into_iter().chain([greedy.as_str()]);
    let written: Vec<Vec<u8>> = written.map(|text| wat::parse_str(text).unwrap()).collect();
    let bare = bare.into_iter().map(<[u8]>::to_vec);
    written.into_iter().chain(bare).chain([cut]).collect()
}

/// Returns the server's findings as the command prints them.
fn printed_findings(findings: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for finding in findings.as_array().unwrap() {
        let text = |name: &str| finding[name].as_str();
        let code = text("code").unwrap();
        let message = text("message").unwrap();
        lines.extend(format!("{code}: {message}").lines().map(str::to_owned));
        if let Some(byte) = finding["place"]["byte"].as_u64() {
            let function = finding["place"]["function"].as_u64();
            let function = function.map(|index| format!(", in function {index}"));
            let name = finding["place"]["name"].as_str();
            let name = name.map(|name| format!(" `{name}`"));
            let [function, name] = [function, name].map(Option::unwrap_or_default);
            lines.push(format!("at byte {byte:#x}{function}{name}"));
        }
        for what in ["expected", "found"] {
            if let Some(wit) = text(what) {
                lines.push(what.into());
                lines.extend(wit.lines().map(|line| line.trim().to_owned()));
            }
        }
        lines.extend(text("nearest").map(|nearest| format!("did you mean `{nearest}`?")));
        lines.extend(text("hint").map(str::to_owned));
    }
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn plugin_check_gives_the_servers_verdict() {
    let server = TestServer::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plugin.wasm");
    for bytes in refused_components() {
        std::fs::write(&file, &bytes).unwrap();
        let checked = bursar(&["plugin", "check", text(&file)]);
        let uploaded = upload(server.admin(), bytes).await;
        assert_eq!(uploaded.code(), "component_refused");
        assert_eq!(checked.status.code(), Some(1));
        let output = stdout_of(&checked);
        let mut lines = output.lines().map(str::trim);
        assert!(lines.next().unwrap().ends_with("may not run"), "{output}");
        let findings = &uploaded.json()["findings"];
        assert_eq!(
            lines.collect::<Vec<_>>(),
            printed_findings(findings),
            "{findings}"
        );
    }
    let good = bundled::find("shop").unwrap().bytes;
    std::fs::write(&file, good).unwrap();
    let checked = bursar(&["plugin", "check", text(&file)]);
    let uploaded = upload(server.admin(), good).await;
    assert!(checked.status.success() && uploaded.status.is_success());
    let output = stdout_of(&checked);
    let uploaded = uploaded.json();
    let digest = uploaded["component"].as_str().unwrap();
    assert!(output.contains(&format!("component {digest}")), "{output}");
    let named = format!("{} {} may run", uploaded["plugin"], uploaded["version"]);
    assert!(output.contains(&named.replace('"', "")), "{output}");
    server.close().await;
}

#[test]
fn the_demo_ends_and_all_its_checks_hold() {
    let demo = bursar(&["demo"]);
    let story = stdout_of(&demo);
    assert!(demo.status.success(), "{story}");
    assert!(
        story.contains("checks held") && !story.contains('✗'),
        "{story}"
    );
}

#[test]
fn keys_are_managed_on_a_file_that_is_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("guild.db");
    let db = text(&file);
    assert!(ServerProcess::serve(&file).stop());
    let first = stdout_of(&bursar(&[
        "key", "create", "--db", db, "--scope", "admin", "--name", "boss",
    ]));
    let second = stdout_of(&bursar(&["key", "rotate", "boss", "--db", db]));
    assert!(
        second.starts_with("bursar_boss_") && second != first,
        "{second}"
    );
    assert!(
        bursar(&["key", "revoke", "boss", "--db", db])
            .status
            .success()
    );
    let listed = stdout_of(&bursar(&["key", "list", "--db", db]));
    assert!(
        listed.contains("boss") && listed.contains("revoked"),
        "{listed}"
    );
    assert!(!listed.contains(second.trim()), "no secret is shown again");
    let missing = folder.path().join("typo.db");
    let refused = stderr_of(&bursar(&["key", "list", "--db", text(&missing)]));
    assert!(
        refused.contains("name a database file") && !missing.exists(),
        "{refused}"
    );
    let owner = bursar(&[
        "key", "create", "--db", db, "--scope", "read", "--name", "owner",
    ]);
    assert!(stderr_of(&owner).contains("choose another name"));
    let unknown = stderr_of(&bursar(&["key", "rotate", "unknown", "--db", db]));
    assert!(unknown.contains("there is no key `unknown`"), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_created_with_its_limits() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("guild.db");
    let db = text(&file);
    let server = ServerProcess::serve(&file);
    let mut client = server.client(server.admin_key.as_ref().unwrap());
    let asset = json!({ "kind": "currency", "name": "Coin" });
    for (path, body) in [
        ("", json!({})),
        ("/assets/coin", asset.clone()),
        ("/assets/gem", asset),
    ] {
        let made = client.put(&format!("{GUILD}{path}"), &body).await;
        assert_eq!(made.unwrap().status, 201);
    }
    // A served file refuses unknown names like an unserved one.
    for (wrong, what) in [
        (["--economy", "gild"], "there is guild"),
        (["--transfer-cap", "coins=1"], "there is coin, gem"),
    ] {
        let create = ["key", "create", "--db", db, "--scope", "transfer"];
        let refused = stderr_of(&bursar(&[&create[..], &wrong[..]].concat()));
        assert!(refused.contains(what), "{refused}");
    }
    let last = stderr_of(&bursar(&["key", "revoke", "admin", "--db", db]));
    assert!(last.contains("the last admin key"), "{last}");
    assert!(server.stop());
    let create = |more: &[&str]| {
        let first = ["key", "create", "--db", db, "--scope", "transfer"];
        bursar(&[&first[..], more].concat())
    };
    let admits = [
        "--admits",
        "user:*",
        "--admits-metadata",
        "--name",
        "greeter",
    ];
    stdout_of(&create(&admits));
    let listed = stdout_of(&bursar(&["key", "list", "--db", db]));
    let shown = r#"admits {"accounts":"user:*","metadata":true}"#;
    assert!(listed.contains(shown), "{listed}");
    for wrong in [&["--admits", "user:1"][..], &["--admits-metadata"]] {
        assert!(!create(wrong).status.success(), "{wrong:?}");
    }
    let limits = ["--transfer-cap", "coin=100,gem=0", "--rate-limit", "10/60"];
    let made = create(&[&limits[..], &["--name", "bot"]].concat());
    assert!(made.status.success());
    let listed = stdout_of(&bursar(&["key", "list", "--db", db]));
    assert!(listed.contains(r#"{"coin":100,"gem":0}"#), "{listed}");
    assert!(listed.contains(r#"{"per_s":60,"requests":10}"#), "{listed}");
    for (flag, wrong, what) in [
        ("--transfer-cap", "coin", "as in coin=100"),
        ("--transfer-cap", "coin=-1", "as in coin=100"),
        ("--transfer-cap", "coin=1,coin=2", "names coin twice"),
        ("--rate-limit", "10", "as in 100/60"),
        ("--rate-limit", "0/60", "1 to 1000000 `requests`"),
    ] {
        assert!(stderr_of(&create(&[flag, wrong])).contains(what), "{wrong}");
    }
}

#[test]
fn the_socket_has_the_configured_mode_and_group() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.db");
    let socket = folder.path().join("bots.sock");
    let group = rustix::process::getgid().as_raw().to_string();
    for (options, mode) in [
        (vec![], 0o660),
        (vec!["--socket-mode", "0666"], 0o666),
        (
            vec!["--socket-mode", "600", "--socket-group", &group],
            0o600,
        ),
    ] {
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let options = [vec!["--socket", text(&socket)], options].concat();
        let server = ServerProcess::logging(&file, log, &options);
        let found = std::fs::metadata(&socket).unwrap();
        assert_eq!(found.permissions().mode() & 0o7777, mode, "{options:?}");
        assert_eq!(found.gid().to_string(), group);
        assert!(server.stop());
    }
    for wrong in [
        vec!["--socket", text(&socket), "--socket-mode", "0888"],
        vec!["--socket", text(&socket), "--socket-group", "no such group"],
        vec!["--socket-mode", "0660"],
    ] {
        let refused = [vec!["serve", "--db", text(&file)], wrong].concat();
        let message = stderr_of(&bursar(&refused));
        assert!(
            ["octal", "/etc/group", "--socket <PATH>"]
                .iter()
                .any(|it| message.contains(it)),
            "{refused:?}: {message}"
        );
    }
}

#[test]
fn a_component_that_discord_cannot_show_passes_with_warnings() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("malicious.wasm");
    std::fs::write(&file, bundled::MALICIOUS).unwrap();
    let checked = bursar(&["plugin", "check", text(&file)]);
    assert!(checked.status.success());
    let output = stdout_of(&checked);
    assert!(output.contains("malicious 0.1.0 may run"), "{output}");
    let warning =
        "  ! discord_cannot_show: there are 30 actions: Discord allows 25\n        at /actions\n";
    assert!(output.contains(warning), "{output}");
}

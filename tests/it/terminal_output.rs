//! Untrusted text has no effect on a terminal: every command and the server's log, with texts full of control
//! characters.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output};

use bursar_ledger::prints;
use serde_json::{Value, json};

use crate::guest::Guest;
use crate::server_process::{ServerProcess, binary};
use crate::support::{GUILD, upload};

/// Escape sequences, a bell, a hyperlink, C1 controls, bidirectional overrides, zero-width characters, and a
/// line that imitates a verdict.
const HOSTILE: &str = "x\u{1b}[2K\r  \u{1b}[32m✓\u{1b}[0m good may run\n  ✓ may run\u{7}\u{1b}]8;;http://x\u{1b}\\y\
                       \u{9b}31m\u{85}\u{202e}z\u{2066}\u{200b}\u{feff}\u{2028}\u{7f}";

/// Returns the hostile text without the characters that file names cannot have.
fn hostile_name() -> String {
    HOSTILE.replace('/', ":")
}

fn bursar(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary());
    // Forces colours without a terminal: the commands' own colour codes are the only escapes allowed.
    command.env("CLICOLOR_FORCE", "1").current_dir(folder);
    command.args(arguments).output().unwrap()
}

/// Removes the colour codes that commands print.
fn without_colours(text: &str) -> String {
    let ours = ["0", "1", "2", "4", "31", "32", "33"].map(|code| format!("\u{1b}[{code}m"));
    ours.iter()
        .fold(text.to_owned(), |text, ours| text.replace(ours, ""))
}

/// Asserts that the output has only printable text and the commands' own colours.
fn assert_inert(what: &str, output: &Output) {
    for stream in [&output.stdout, &output.stderr] {
        let text = std::str::from_utf8(stream).unwrap_or_else(|_| panic!("{what} is no text"));
        let imitates = text.contains("\u{1b}[32m✓\u{1b}[0m good");
        assert!(!imitates, "{what} prints a foreign verdict: {text}");
        let text = without_colours(text);
        let controls: Vec<char> = text
            .chars()
            .filter(|one| !prints(*one) && *one != '\n')
            .collect();
        assert!(controls.is_empty(), "{what}: {controls:?} in {text:?}");
        let verdict = text.lines().any(|line| line.starts_with("  ✓ may run"));
        assert!(
            !verdict,
            "{what} has a line that imitates a verdict: {text}"
        );
    }
    let is_silent = output.stdout.is_empty() && output.stderr.is_empty();
    assert!(!is_silent, "{what} prints nothing");
}

/// Returns a component whose manifest has hostile texts everywhere.
fn hostile_component(odds: bool) -> Vec<u8> {
    let text = HOSTILE;
    let mut manifest = json!({
        "id": "tester", "version": "1.0.0", "description": text, "license": text, "accounts": [],
        "actions": [{"name": "act", "description": text, "arguments": {"description": text}, "reply": {}}],
        "configuration": {"description": text}, "permissions": {},
    });
    if odds {
        manifest["odds"] = json!([{"action": text, "description": text, "arguments": text}]);
        manifest["id"] = text.into();
        manifest["version"] = text.into();
        manifest[text] = text.into();
    }
    let mut guest = Guest::new();
    guest.manifest = manifest.to_string();
    guest.bytes()
}

/// Every command that prints its input: files, file names and its own arguments. `NAME` is the hostile name.
const COMMANDS: &str = "
    plugin check texts.wasm
    plugin check names.wasm
    plugin check NAME.wasm
    plugin check NAME
    plugin replay NAME.db --economy guild --plugin shop
    plugin replay NAME --economy guild --plugin shop
    verify receipt.json
    verify text.json
    verify NAME
    verify receipt.json --component NAME.wasm
    audit NAME.db
    audit NAME
    audit NAME.db --head NAME
    backup NAME.db copy.db
    backup NAME NAME.db
    export NAME.db --economy guild
    export NAME --economy guild
    log NAME.db
    log NAME.db --economy guild --limit 1
    log NAME
    sql NAME.db NAME.tables
    sql NAME.db NAME.db
    sql NAME NAME.tables
    import NAME.db
    import new.db --balances rows.csv --economy guild
    import new.db --balances NAME.csv --economy guild
    import new.db --balances NAME --economy guild
    key list --db NAME.db
    key create --db NAME --scope NAME
    serve --db NAME.db --listen NAME
    serve --db NAME.db
    plugin NAME
    NAME";

/// Writes files of every kind that a command reads, with hostile texts.
fn write_files(folder: &Path, name: &str) {
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
    write("texts.wasm", &hostile_component(false));
    write("names.wasm", &hostile_component(true));
    write(&format!("{name}.wasm"), b"(component)");
    let receipt = json!({"call": HOSTILE, HOSTILE: [HOSTILE]});
    write("receipt.json", receipt.to_string().as_bytes());
    write("text.json", HOSTILE.as_bytes());
    let rows = format!(
        "account,asset,amount,memo\n\"{HOSTILE}\",coin,1,\"{HOSTILE}\"\n\
         user:1,\"{HOSTILE}\",\"{HOSTILE}\",x\n"
    );
    write("rows.csv", rows.as_bytes());
    write(
        &format!("{name}.csv"),
        format!("{HOSTILE},{HOSTILE}\n1,2\n").as_bytes(),
    );
    write(&format!("{name}.db"), HOSTILE.repeat(100).as_bytes());
}

#[test]
fn no_command_prints_terminal_control_characters() {
    let folder = tempfile::tempdir().unwrap();
    let name = hostile_name();
    write_files(folder.path(), &name);
    for command in COMMANDS.lines().skip(1) {
        let words = command.split_whitespace();
        let words: Vec<String> = words.map(|word| word.replace("NAME", &name)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        assert_inert(command, &bursar(folder.path(), &words));
    }
}

/// Colour codes in a refused component are printed escaped.
#[test]
fn a_refused_component_cannot_print_a_false_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("evil.wasm");
    std::fs::write(&file, hostile_component(true)).unwrap();
    let checked = bursar(folder.path(), &["plugin", "check", "evil.wasm"]);
    assert_eq!(checked.status.code(), Some(1));
    assert_inert("plugin check", &checked);
}

/// Returns the log of a server with a plugin that writes too many lines full of escapes, and the number of
/// lines.
async fn log_of_a_flood(format: &str) -> (String, usize) {
    const CALLS: usize = 60;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let server = ServerProcess::logging(
        &folder.path().join("test.db"),
        File::create(&log).unwrap(),
        &["--log-format", format],
    );
    let mut client = server.client(&server.admin_key.clone().unwrap());
    let malicious = upload(
        server.client(&server.admin_key.clone().unwrap()),
        bursar_server::bundled::MALICIOUS,
    );
    let digest = malicious.await.json()["component"].clone();
    let plugin = json!({"component": digest, "grants": "requested", "config": {}, "enabled": true});
    for (path, body) in [
        (GUILD.to_owned(), json!({})),
        (format!("{GUILD}/accounts/user:1"), json!({})),
        (format!("{GUILD}/plugins/malicious"), plugin),
    ] {
        assert_eq!(
            client.put(&path, &body).await.unwrap().status,
            201,
            "{path}"
        );
    }
    for number in 0..CALLS {
        let path = format!("{GUILD}/plugins/malicious/actions/flood_log");
        let body = json!({"caller": "user:1", "arguments": {}});
        let response = client
            .post(&path, &format!("k{number}"), &body)
            .await
            .unwrap();
        assert_eq!(response.status, 502, "{}", response.json());
    }
    assert!(server.stop(), "the server exits with 0");
    // Each call has two lines: the text that fits, and the number of dropped lines.
    (std::fs::read_to_string(&log).unwrap(), 2 * CALLS)
}

fn assert_log_is_inert(log: &str) {
    for line in log.lines() {
        assert!(line.chars().all(prints), "{line:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_in_a_text_log_is_limited_counted_and_escaped() {
    let (log, lines) = log_of_a_flood("text").await;
    assert_log_is_inert(&log);
    let of_plugin = |line: &&str| line.contains(" plugin economy=guild plugin=malicious ");
    let written = log.lines().filter(of_plugin).count();
    let dropped: usize = log
        .lines()
        .filter(|line| line.contains("were dropped, because they exceeded"))
        .filter(|line| line.contains("about=\"guild/malicious\""))
        .filter_map(|line| line.rsplit_once("lines=")?.1.parse::<usize>().ok())
        .sum();
    assert!(
        written > 0 && dropped > 0,
        "{written} written, {dropped} dropped"
    );
    assert_eq!(written + dropped, lines, "every line is written or counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_in_a_json_log_is_limited_and_escaped() {
    let (log, lines) = log_of_a_flood("json").await;
    assert_log_is_inert(&log);
    // The first start prints its admin key between the log lines.
    let lines_of_json = log.lines().filter(|line| line.starts_with('{'));
    let read = lines_of_json.map(|line| serde_json::from_str(line).unwrap());
    let read: Vec<Value> = read.collect();
    let of_plugin = |line: &&Value| line["fields"]["message"] == "plugin";
    let written = read.iter().filter(of_plugin).count();
    assert!(written > 0 && written < lines, "{written} of {lines}");
    let dropped = |line: &Value| line["fields"]["about"] == "guild/malicious";
    assert!(read.iter().any(dropped), "dropped lines are reported");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_docs_page_has_no_control_characters() {
    let (server, mut guild) = crate::support::TestServer::with_guild(0).await;
    let page = guild.client.get("/docs").await.unwrap();
    let page = String::from_utf8(page.body.to_vec()).unwrap();
    let controls = page.chars().filter(|one| !prints(*one) && *one != '\n');
    assert_eq!(controls.collect::<Vec<_>>(), []);
    server.close().await;
}

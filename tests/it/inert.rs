//! Text that others wrote does nothing to the terminal that shows it: each command, and the log of a server,
//! on texts full of what a terminal or a reader acts upon.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output};

use bursar_ledger::prints;
use serde_json::{Value, json};

use crate::guest::Guest;
use crate::support::{GUILD, Process, binary, upload};

/// Escape sequences, an alarm, a hyperlink, C1 controls, bidi overrides, characters without width, and a
/// line that poses as a verdict.
const HOSTILE: &str = "x\u{1b}[2K\r  \u{1b}[32m✓\u{1b}[0m good may run\n  ✓ may run\u{7}\u{1b}]8;;http://x\u{1b}\\y\
                       \u{9b}31m\u{85}\u{202e}z\u{2066}\u{200b}\u{feff}\u{2028}\u{7f}";

/// The same without what no name of a file may have.
fn hostile_name() -> String {
    HOSTILE.replace('/', ":")
}

fn bursar(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary());
    // Colours even where no terminal is: those are ours, and must be all that is shown.
    command.env("CLICOLOR_FORCE", "1").current_dir(folder);
    command.args(arguments).output().unwrap()
}

/// Texts without our own colours: whole sequences of those that commands write.
fn without_colours(text: &str) -> String {
    let ours = ["0", "1", "2", "4", "31", "32", "33"].map(|code| format!("\u{1b}[{code}m"));
    ours.iter()
        .fold(text.to_owned(), |text, ours| text.replace(ours, ""))
}

/// Insists that nothing but text and our own colours was printed.
fn assert_inert(what: &str, output: &Output) {
    for stream in [&output.stdout, &output.stderr] {
        let text = std::str::from_utf8(stream).unwrap_or_else(|_| panic!("{what} is no text"));
        let posing = text.contains("\u{1b}[32m✓\u{1b}[0m good");
        assert!(!posing, "{what} draws a verdict of somebody else's: {text}");
        let text = without_colours(text);
        let acts: Vec<char> = text
            .chars()
            .filter(|one| !prints(*one) && *one != '\n')
            .collect();
        assert!(acts.is_empty(), "{what}: {acts:?} in {text:?}");
        let verdict = text.lines().any(|line| line.starts_with("  ✓ may run"));
        assert!(
            !verdict,
            "{what} has a line that poses as a verdict: {text}"
        );
    }
    let silent = output.stdout.is_empty() && output.stderr.is_empty();
    assert!(!silent, "{what} says nothing at all");
}

/// A component whose manifest is hostile in every text.
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

/// Every command that shows what it reads: files, names of files, and its own arguments. `NAME` is hostile.
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

/// Files of every kind that a command reads, hostile in each text.
fn lay_out(folder: &Path, name: &str) {
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
fn no_command_shows_what_a_terminal_acts_upon() {
    let folder = tempfile::tempdir().unwrap();
    let name = hostile_name();
    lay_out(folder.path(), &name);
    for command in COMMANDS.lines().skip(1) {
        let words = command.split_whitespace();
        let words: Vec<String> = words.map(|word| word.replace("NAME", &name)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        assert_inert(command, &bursar(folder.path(), &words));
    }
}

/// The sequences that would set a colour in a refused component are in the output as escapes.
#[test]
fn a_refused_component_draws_no_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("evil.wasm");
    std::fs::write(&file, hostile_component(true)).unwrap();
    let checked = bursar(folder.path(), &["plugin", "check", "evil.wasm"]);
    assert_eq!(checked.status.code(), Some(1));
    assert_inert("plugin check", &checked);
}

/// A server's log, of a plugin that writes more than anybody reads, full of escapes.
async fn log_of_a_flood(format: &str) -> (String, usize) {
    const CALLS: usize = 60;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let server = Process::logging(
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
        let answer = client
            .post(&path, &format!("k{number}"), &body)
            .await
            .unwrap();
        assert_eq!(answer.status, 502, "{}", answer.json());
    }
    assert!(server.stop(), "it ends in order");
    // Of each call two lines: what fits, and how many did not.
    (std::fs::read_to_string(&log).unwrap(), 2 * CALLS)
}

fn assert_log_is_inert(log: &str) {
    for line in log.lines() {
        assert!(line.chars().all(prints), "{line:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_in_a_log_of_lines_is_cut_off_counted_and_inert() {
    let (log, lines) = log_of_a_flood("text").await;
    assert_log_is_inert(&log);
    let of_plugin = |line: &&str| line.contains(" plugin economy=guild plugin=malicious ");
    let written = log.lines().filter(of_plugin).count();
    let told: usize = log
        .lines()
        .filter(|line| line.contains("were dropped: they came faster"))
        .filter(|line| line.contains("about=\"guild/malicious\""))
        .filter_map(|line| line.rsplit_once("lines=")?.1.parse::<usize>().ok())
        .sum();
    assert!(written > 0 && told > 0, "{written} written, {told} dropped");
    assert_eq!(written + told, lines, "each is written or counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_in_a_log_of_json_is_cut_off_and_inert() {
    let (log, lines) = log_of_a_flood("json").await;
    assert_log_is_inert(&log);
    // The first start tells its admin key beside the log.
    let lines_of_json = log.lines().filter(|line| line.starts_with('{'));
    let read = lines_of_json.map(|line| serde_json::from_str(line).unwrap());
    let read: Vec<Value> = read.collect();
    let of_plugin = |line: &&Value| line["fields"]["message"] == "plugin";
    let written = read.iter().filter(of_plugin).count();
    assert!(written > 0 && written < lines, "{written} of {lines}");
    let told = |line: &Value| line["fields"]["about"] == "guild/malicious";
    assert!(read.iter().any(told), "and told");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_nothing_that_a_browser_acts_upon() {
    let (house, mut guild) = crate::support::House::with_guild(0).await;
    let page = guild.client.get("/docs").await.unwrap();
    let page = String::from_utf8(page.body.to_vec()).unwrap();
    let acts = page.chars().filter(|one| !prints(*one) && *one != '\n');
    assert_eq!(acts.collect::<Vec<_>>(), []);
    house.close().await;
}

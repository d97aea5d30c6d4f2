//! The log of a file as an operator reads it: `bursar log` and `bursar sql`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bursar_ledger::prints;
use bursar_server::client::{Address, Client};
use serde_json::{Value, json};

use crate::archive::{bursar, create_economy, stderr_of, stdout_of, text};
use crate::server_process::{ServerProcess, binary};
use crate::support::GUILD;

/// Makes a file with an economy, whose server has stopped.
async fn stopped_file(folder: &Path) -> PathBuf {
    let file = folder.join("guild.db");
    let server = ServerProcess::serve(&file);
    let admin = server.admin_key.clone().unwrap();
    let mut client = Client::new(Address::Tcp(server.address.clone()), &admin);
    create_economy(&mut client).await;
    assert!(server.stop());
    file
}

fn lines(output: &str) -> Vec<Value> {
    let lines = output.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_has_a_line_for_each_record_with_names_and_json() {
    let folder = tempfile::tempdir().unwrap();
    let file = stopped_file(folder.path()).await;
    let all = lines(&stdout_of(&bursar(&["log", text(&file)])));
    let numbers: Vec<_> = all.iter().map(|line| line["number"].as_u64()).collect();
    let expected: Vec<_> = (1..=all.len() as u64).map(Some).collect();
    assert_eq!(numbers, expected);
    let paid = all.last().unwrap();
    assert_eq!(paid["economy"], "guild");
    assert_eq!(paid["kind"], "transfer");
    assert_eq!(paid["outcome"], "applied");
    assert_eq!(paid["idempotency_key"], "pay");
    assert_eq!(paid["request"]["path"], format!("{GUILD}/transfers"));
    assert_eq!(paid["act"]["transfer"]["postings"][0]["amount"], 30);
    assert_eq!(paid["answer"]["seq"], paid["seq"]);
    assert_eq!(paid["answer"]["recorded_at"], paid["recorded_at_ms"]);
    let recorded_at = paid["recorded_at"].as_str().unwrap();
    assert!(
        recorded_at.starts_with("20") && recorded_at.ends_with('Z'),
        "{recorded_at}"
    );
    let movement = json!({
        "part": 0, "from": "user:1", "to": "user:2", "asset": "coin", "amount": 30,
        "from_after": 70, "to_after": 30,
    });
    assert_eq!(paid["movements"], json!([movement]));

    // Without `--economy`, `--after` is a number of the file; with it, a number of the economy.
    let file_after = ["log", text(&file), "--after", "2", "--limit", "3"];
    let numbers: Vec<_> = lines(&stdout_of(&bursar(&file_after)))
        .iter()
        .map(|line| line["number"].clone())
        .collect();
    assert_eq!(numbers, [3, 4, 5]);
    let in_guild = ["log", text(&file), "--economy", "guild", "--after", "4"];
    let seqs: Vec<_> = lines(&stdout_of(&bursar(&in_guild)))
        .iter()
        .map(|line| line["seq"].clone())
        .collect();
    assert_eq!(seqs, [5, 6]);
    let missing = stderr_of(&bursar(&["log", text(&file), "--economy", "other"]));
    assert!(missing.contains("no economy `other`"), "{missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_served_file_is_read_from_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("guild.db");
    let copy = folder.path().join("copy.db");
    let tables = folder.path().join("tables.db");
    let server = ServerProcess::serve(&file);
    for arguments in [
        vec!["log", text(&file)],
        vec!["sql", text(&file), text(&tables)],
    ] {
        let refused = stderr_of(&bursar(&arguments));
        assert!(refused.contains("bursar backup"), "{refused}");
    }
    assert!(!tables.exists());
    stdout_of(&bursar(&["backup", text(&file), text(&copy)]));
    assert!(!stdout_of(&bursar(&["log", text(&copy)])).is_empty());
    assert!(server.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_closes_the_pipe_ends_the_log_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let file = stopped_file(folder.path()).await;
    let mut log = Command::new(binary());
    log.args(["log", text(&file)]);
    log.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut log = log.spawn().unwrap();
    drop(log.stdout.take());
    let output = log.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_of_clients_cannot_control_a_terminal_through_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("guild.db");
    let server = ServerProcess::serve(&file);
    let admin = server.admin_key.clone().unwrap();
    let mut client = Client::new(Address::Tcp(server.address.clone()), &admin);
    create_economy(&mut client).await;
    let nick = "\u{1b}[2J\r\n\u{9b}31m\u{202e}\u{7f}\u{2028}x";
    let body = json!({ "metadata": { "nick": nick } });
    let path = format!("{GUILD}/accounts/user:1");
    assert_eq!(client.put(&path, &body).await.unwrap().status, 200);
    assert!(server.stop());
    let output = stdout_of(&bursar(&["log", text(&file), "--economy", "guild"]));
    let is_inert = |letter: char| prints(letter) || letter == '\n';
    assert!(output.chars().all(is_inert), "{output:?}");
    let all = lines(&output);
    let request = &all.last().unwrap()["request"];
    assert_eq!(request["body"]["metadata"]["nick"], nick);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_written_once_and_say_what_they_hold() {
    let folder = tempfile::tempdir().unwrap();
    let file = stopped_file(folder.path()).await;
    let tables = folder.path().join("tables.db");
    let records = lines(&stdout_of(&bursar(&["log", text(&file)]))).len();
    let output = stdout_of(&bursar(&["sql", text(&file), text(&tables)]));
    assert!(
        output.contains(&format!("{records} records, 2 movements")),
        "{output}"
    );
    assert!(
        std::fs::read(&tables)
            .unwrap()
            .starts_with(b"SQLite format 3\0")
    );
    let again = stderr_of(&bursar(&["sql", text(&file), text(&tables)]));
    assert!(again.contains("exists already"), "{again}");
    // The tables are for other tools: Bursar does not take them for one of its files.
    let served = stderr_of(&bursar(&["audit", text(&tables)]));
    assert!(served.contains("database of another program"), "{served}");
}

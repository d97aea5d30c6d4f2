//! `bursar bench`: short runs of each kind of load, whose sums are compared with the records of the server, and the
//! errors of wrong use.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::server_process::{ServerProcess, binary};
use crate::support::TestServer;

/// The options of a run that takes a second.
const SHORT: [&str; 8] = [
    "--seconds",
    "1",
    "--warm-up",
    "0",
    "--accounts",
    "40",
    "--seed",
    "2",
];

fn bench(options: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.arg("bench").args(options).env_remove("BURSAR_KEY");
    command.stdin(Stdio::null()).output().unwrap()
}

/// Runs a load for a second and returns its document, with the checks that hold for every load.
fn measured(options: &[&str]) -> Value {
    let output = bench(&[&SHORT[..], &["--json"], options].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{options:?}: {stderr}");
    assert!(stderr.is_empty(), "no bar without a terminal: {stderr}");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["bursar_bench"], 1);
    let check = &document["check"];
    assert_eq!(check["ok"], true, "{check}");
    let points = document["points"].as_array().unwrap();
    let records: u64 = points.iter().map(|it| number(&it["work"]["records"])).sum();
    assert_eq!(number(&check["answered"]), records, "{document}");
    assert_eq!(check["recorded"], check["answered"], "{document}");
    for point in points {
        let work = &point["work"];
        assert!(number(&work["operations"]) > 0, "{work}");
        assert_eq!(work["refused"], json!({}));
        let latency = &work["latency_ms"];
        let quantiles = ["p50", "p99", "p99.9", "max"].map(|name| latency[name].as_f64().unwrap());
        assert!(quantiles[0] > 0.0 && quantiles.is_sorted(), "{latency}");
    }
    document
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

fn work(document: &Value) -> &Value {
    &document["points"][0]["work"]
}

#[test]
fn a_closed_loop_counts_what_the_server_records_and_compares_it_with_the_echo() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap();
    let pictures = folder.path().join("pictures");
    let document = measured(&[
        "--connections",
        "1,3",
        "--folder",
        place,
        "--svg",
        pictures.to_str().unwrap(),
    ]);
    assert_eq!(document["server"]["own"], true);
    assert!(
        document["server"]["durability"]["sync_ms"]
            .as_f64()
            .unwrap()
            > 0.0
    );
    assert!(number(&document["kept"]["operations"]) > 0);
    for point in document["points"].as_array().unwrap() {
        let [work, echo] = [&point["work"], &point["echo"]];
        assert_eq!(work["records"], work["operations"]);
        assert_eq!(echo["records"], 0);
        let rate = work["rate"].as_f64().unwrap() / echo["rate"].as_f64().unwrap();
        assert!((point["of_echo"]["rate"].as_f64().unwrap() - rate).abs() < 1e-6);
        if cfg!(target_os = "linux") {
            let processor = &work["processor_us"];
            let parts = processor["parts"].as_object().unwrap();
            let sum: f64 = parts.values().map(|part| part.as_f64().unwrap()).sum();
            assert!(
                (processor["all"].as_f64().unwrap() - sum).abs() < 1e-6,
                "{processor}"
            );
            assert!(
                parts["writer"].as_f64().unwrap() > 0.0 && parts["front"].as_f64().unwrap() > 0.0
            );
            assert!(work["written_bytes"].as_f64().is_some());
        }
    }
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|it| it.unwrap().file_name())
        .collect();
    assert_eq!(left, ["pictures"], "the database was removed");
    for name in ["latency.svg", "rate.svg"] {
        let picture = std::fs::read_to_string(pictures.join(name)).unwrap();
        assert!(
            picture.starts_with("<svg ") && picture.contains("3 conn.") == (name == "latency.svg")
        );
    }
}

#[test]
fn an_open_loop_sends_at_its_rate_and_counts_what_it_could_not_send() {
    let document = measured(&[
        "--rate",
        "200",
        "--connections",
        "2",
        "--unix",
        "--distribution",
        "zipf",
        "--economies",
        "2",
    ]);
    let work = work(&document);
    let requests = number(&work["requests"]) + number(&work["unsent"]);
    assert_eq!(requests, 200, "{work}");
    assert_eq!(document["points"][0]["rate_wanted"], 200);
    assert!(
        document["server"]["address"]
            .as_str()
            .unwrap()
            .starts_with("unix:")
    );
}

#[test]
fn batches_count_each_of_their_transfers() {
    let document = measured(&[
        "--work",
        "batches",
        "--batch",
        "7",
        "--connections",
        "2",
        "--fill",
        "9000",
        "--keys",
        "ordered",
    ]);
    let work = work(&document);
    assert_eq!(number(&work["operations"]), 7 * number(&work["requests"]));
    assert_eq!(work["records"], work["operations"]);
    // The last batch is filled up.
    assert_eq!(document["fill"]["transfers"], 2 * 8_192);
}

#[test]
fn purchases_and_mixed_work_are_measured() {
    let calls = measured(&["--work", "calls", "--connections", "2"]);
    assert_eq!(work(&calls)["records"], work(&calls)["operations"]);
    let mixed = measured(&["--work", "mixed", "--distribution", "hot"]);
    let [records, operations] = ["records", "operations"].map(|it| number(&work(&mixed)[it]));
    assert!(0 < records && records < operations, "{mixed}");
}

#[test]
fn the_table_names_its_terms_and_its_disk() {
    let output = bench(&[&SHORT[..], &["--connections", "1"]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    for part in [
        "transfers: 40 accounts in 1 economies, uniform members, random keys, 1 s after 0 s",
        "each commit is synced to the disk before its answers",
        "p99.9 ms",
        "of echo",
        "kept on disk",
        "recorded: as answered",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert_eq!(
        text.contains("debug build"),
        cfg!(debug_assertions),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_has_as_many_records_as_the_run_reports() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::serve(&folder.path().join("guild.db"));
    let admin = server.admin_key.clone().unwrap();
    let url = format!("http://{}", server.address);
    let document = measured(&["--url", &url, "--key", &admin]);
    assert_eq!(document["points"][0]["echo"], Value::Null);
    assert_eq!(document["kept"], Value::Null);
    let mut client = server.client(&admin);
    let list = client.get("/v1/economies").await.unwrap().json();
    let economies = list["economies"].as_array().unwrap();
    assert_eq!(economies.len(), 1);
    // The economy, its quotas, its asset, an account with all the money, its issue, and for each of the 40 members an
    // account and a payment.
    let set_up = 5 + 2 * 40;
    assert_eq!(
        number(&economies[0]["seq"]),
        set_up + number(&work(&document)["records"])
    );
    let again = measured(&["--url", &url, "--key", &admin]);
    assert!(
        number(&work(&again)["records"]) > 0,
        "a second run has economies of its own"
    );
    let id = economies[0]["id"].as_str().unwrap();
    let audit = client
        .get(&format!("/v1/economies/{id}/audit"))
        .await
        .unwrap();
    assert_eq!(audit.json()["ok"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_name_what_is_wrong_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("guild.db");
    let server = ServerProcess::serve(&file);
    let url = format!("http://{}", server.address);
    let key = key(&file, "transfer");
    let none = folder.path().join("none");
    let none = none.to_str().unwrap();
    for (options, code, part) in [
        (
            vec!["--url", "http://127.0.0.1:1", "--key", "k"],
            1,
            "http://127.0.0.1:1: cannot reach the server",
        ),
        (
            vec!["--socket", none, "--key", "k"],
            1,
            "cannot reach the server",
        ),
        (
            vec!["--url", &url, "--key", "k"],
            1,
            "does not know this key",
        ),
        (
            vec!["--url", &url, "--key", &key],
            1,
            "with the scope admin",
        ),
        (vec!["--url", &url], 2, "--key"),
        (
            vec!["--url", "https://127.0.0.1:1", "--key", "k"],
            2,
            "plain HTTP",
        ),
        (
            vec!["--url", &url, "--socket", none, "--key", "k"],
            2,
            "cannot be used with",
        ),
        (
            vec!["--url", &url, "--key", "k", "--unix"],
            2,
            "cannot be used with",
        ),
        (vec!["--folder", none], 1, "cannot make a folder in"),
        (
            vec!["--work", "payments"],
            2,
            "transfers, batches, calls, mixed",
        ),
        (vec!["--connections", "0"], 2, "--connections"),
        (
            vec!["--accounts", "5", "--economies", "3"],
            1,
            "less than 2 in each",
        ),
        (
            vec!["--connections", "1,2", "--rate", "1,2,3,4,5,6,7,8,9"],
            1,
            "18 points",
        ),
    ] {
        let output = bench(&options);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{options:?}: {stderr}");
        assert!(stderr.contains(part), "{options:?}: {stderr}");
        assert!(output.stdout.is_empty());
    }
}

fn key(file: &Path, scope: &str) -> String {
    let mut command = Command::new(binary());
    let output = command
        .args(["key", "create", "--scope", scope, "--db"])
        .arg(file)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn an_interrupted_run_leaves_no_server_and_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(binary());
    command
        .arg("bench")
        .args(["--accounts", "40", "--seconds", "600", "--folder"])
        .arg(folder.path());
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let count = || std::fs::read_dir(folder.path()).unwrap().count();
    for _ in 0..600 {
        if count() > 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(count(), 1);
    std::thread::sleep(Duration::from_millis(200));
    let process = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(process, Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("stopped by a signal"), "{stderr}");
    assert_eq!(count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_hidden_option_adds_the_echo_route() {
    let body = json!({ "postings": [{ "amount": 1 }], "memo": "x" });
    let server = TestServer::with_setup(|setup| setup.bench_echo = true).await;
    let echoed = server
        .admin()
        .post("/bench/echo", "1", &body)
        .await
        .unwrap();
    assert_eq!(echoed.status, 200);
    assert_eq!(echoed.json(), json!({ "postings": [{ "amount": 1 }] }));
    server.close().await;

    let server = TestServer::new().await;
    let absent = server
        .admin()
        .post("/bench/echo", "1", &body)
        .await
        .unwrap();
    assert_eq!(
        (absent.status.as_u16(), absent.code()),
        (404, "route_not_found".into())
    );
    server.close().await;
    let help = Command::new(binary())
        .args(["serve", "--help"])
        .output()
        .unwrap();
    assert!(!String::from_utf8_lossy(&help.stdout).contains("bench"));
}

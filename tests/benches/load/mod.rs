//! A server process and load on it, for the benchmarks of abuse and of neighbouring economies.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::zombie_processes,
    reason = "a benchmark fails by a panic"
)]
#![allow(dead_code, reason = "each benchmark uses a part of it")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bursar_server::bundled;
use bursar_server::client::{Address, Client};
use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// Members of each economy.
pub(crate) const MEMBERS: u64 = 64;

/// A function that returns a request by the number of its connection and its number there.
pub(crate) type RequestFn = Arc<dyn Fn(u64, u64) -> (String, Value) + Send + Sync>;

/// A server process on a temporary file; both end when the value is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
    pub(crate) key: String,
    folder: TempDir,
}

impl Server {
    /// Serves a new file on a free port without a log.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_bursar-under-test"))
            .args(["serve", "--listen", "127.0.0.1:0", "--db"])
            .arg(folder.path().join("bench.db"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut key = String::new();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in lines.map_while(Result::ok) {
            if let Some(found) = line.strip_prefix("admin key: ") {
                key = found.into();
            }
            if let Some(address) = line.strip_prefix("listening on http://") {
                return Self {
                    child,
                    address: address.into(),
                    key,
                    folder,
                };
            }
        }
        panic!("the server did not start");
    }

    /// Returns a client with the admin key.
    pub(crate) fn client(&self) -> Client {
        Client::new(Address::Tcp(self.address.clone()), self.key.clone())
    }

    /// Returns the size of the database and its write-ahead log in bytes.
    pub(crate) fn file_bytes(&self) -> u64 {
        let files = std::fs::read_dir(self.folder.path()).unwrap();
        files
            .map(|file| file.unwrap().metadata().unwrap().len())
            .sum()
    }

    /// Returns the resident memory of the server in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.unwrap().trim().trim_end_matches(" kB");
        kib.parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).unwrap();
        let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM);
        drop(self.child.wait());
    }
}

/// Returns the path of an economy.
pub(crate) fn economy(name: &str) -> String {
    format!("/v1/economies/{name}")
}

/// Creates an economy: an asset, members with money, a shop with stock, and the malicious plugin.
pub(crate) async fn create_economy(server: &Server, name: &str) {
    let mut client = server.client();
    let base = economy(name);
    put(&mut client, &base, json!({})).await;
    let coin = json!({"kind": "currency", "name": "Coin"});
    put(&mut client, &format!("{base}/assets/coin"), coin).await;
    let potion = json!({"kind": "item", "name": "Potion"});
    put(&mut client, &format!("{base}/assets/potion"), potion).await;
    for member in 0..MEMBERS {
        put(
            &mut client,
            &format!("{base}/accounts/user:{member}"),
            json!({}),
        )
        .await;
        issue(&mut client, &base, &format!("user:{member}"), "coin").await;
    }
    let shop = json!({
        "component": "bundled:shop", "grants": "requested", "enabled": true,
        "config": {"items": [{"item": "potion", "price": {"coin": 1}}]},
    });
    put(&mut client, &format!("{base}/plugins/shop"), shop).await;
    issue(&mut client, &base, "plugin:shop", "potion").await;
    let bytes = Bytes::from_static(bundled::MALICIOUS);
    let mut uploader = server.client().with_patience(Duration::from_mins(5));
    let sent = uploader.send("POST", "/v1/components", None, bytes).await;
    let malicious = json!({
        "component": sent.unwrap().json()["component"], "grants": "requested", "enabled": true,
    });
    put(&mut client, &format!("{base}/plugins/malicious"), malicious).await;
}

/// Sends a `PUT` that must succeed.
pub(crate) async fn put(client: &mut Client, path: &str, body: Value) {
    let made = client.put(path, &body).await.unwrap();
    assert!(made.status.is_success(), "{path}: {}", made.json());
}

async fn issue(client: &mut Client, base: &str, account: &str, asset: &str) {
    let body = json!({ "account": account, "asset": asset, "amount": 1_000_000_000_000_u64 });
    let key = format!("{account} {asset}");
    let path = format!("{base}/issue");
    let issued = client.post(&path, &key, &body).await.unwrap();
    assert_eq!(issued.status, 201, "{}", issued.json());
}

/// Returns transfers of one posting each.
pub(crate) fn transfers(name: &str) -> RequestFn {
    let path = format!("{}/transfers", economy(name));
    Arc::new(move |connection, number| {
        let body = json!({ "postings": [posting(connection * 7 + number, number)] });
        (path.clone(), body)
    })
}

/// Returns a posting of one unit between two members.
pub(crate) fn posting(from: u64, number: u64) -> Value {
    let from = from % MEMBERS;
    let to = (from + 1 + number % 5) % MEMBERS;
    json!({"from": format!("user:{from}"), "to": format!("user:{to}"), "asset": "coin", "amount": 1})
}

/// Returns calls of an action, on behalf of one member per connection.
pub(crate) fn calls(name: &str, action: &str, arguments: Value) -> RequestFn {
    let (plugin, action) = action.split_once('/').unwrap();
    let path = format!("{}/plugins/{plugin}/actions/{action}", economy(name));
    Arc::new(move |connection, _| {
        let caller = format!("user:{}", connection % MEMBERS);
        (
            path.clone(),
            json!({ "caller": caller, "arguments": arguments }),
        )
    })
}

/// The latencies of all requests of a measurement.
pub(crate) struct Measured {
    times: Vec<Duration>,
    span: Duration,
}

impl Measured {
    /// Returns the requests per second.
    #[allow(clippy::cast_precision_loss, reason = "printed with few digits")]
    pub(crate) fn per_second(&self) -> f64 {
        self.times.len() as f64 / self.span.as_secs_f64()
    }

    /// Returns a quantile of the latencies in milliseconds, given in thousandths.
    pub(crate) fn at(&self, per_mille: usize) -> f64 {
        let place = (self.times.len() * per_mille / 1000).min(self.times.len() - 1);
        self.times[place].as_secs_f64() * 1e3
    }
}

/// Sends requests on several connections, each waiting for its response. All must succeed.
pub(crate) async fn measure(
    server: &Server,
    connections: u64,
    span: Duration,
    request: &RequestFn,
) -> Measured {
    let began = Instant::now();
    let mut load = JoinSet::new();
    for connection in 0..connections {
        let mut client = server.client();
        let request = Arc::clone(request);
        load.spawn(async move {
            let mut times = Vec::new();
            let mut number = 0;
            while began.elapsed() < span {
                let (path, body) = request(connection, number);
                let id = uuid::Uuid::now_v7().to_string();
                let sent = Instant::now();
                let answer = client.post(&path, &id, &body).await.unwrap();
                times.push(sent.elapsed());
                assert!(answer.status.is_success(), "{path}: {}", answer.json());
                number += 1;
            }
            times
        });
    }
    let mut times: Vec<Duration> = load.join_all().await.into_iter().flatten().collect();
    let span = began.elapsed();
    times.sort_unstable();
    Measured { times, span }
}

/// Load that continues until stopped, whatever the responses are.
pub(crate) struct Background {
    stop: Arc<AtomicBool>,
    good: Arc<AtomicU64>,
    all: Arc<AtomicU64>,
    running: JoinSet<()>,
}

impl Background {
    /// Sends requests on several connections.
    pub(crate) fn start(server: &Server, connections: u64, request: &RequestFn) -> Self {
        let mut background = Self {
            stop: Arc::default(),
            good: Arc::default(),
            all: Arc::default(),
            running: JoinSet::new(),
        };
        for connection in 0..connections {
            let mut client = server.client();
            let request = Arc::clone(request);
            let stop = Arc::clone(&background.stop);
            let good = Arc::clone(&background.good);
            let all = Arc::clone(&background.all);
            background.running.spawn(async move {
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    let (path, body) = request(connection, number);
                    let id = uuid::Uuid::now_v7().to_string();
                    let answer = client.post(&path, &id, &body).await;
                    all.fetch_add(1, Ordering::Relaxed);
                    if answer.is_ok_and(|answer| answer.status.is_success()) {
                        good.fetch_add(1, Ordering::Relaxed);
                    }
                    number += 1;
                }
            });
        }
        background
    }

    /// Stops the load and returns the number of successful and of all requests.
    pub(crate) async fn stop(self) -> (u64, u64) {
        self.stop.store(true, Ordering::Relaxed);
        self.running.join_all().await;
        (
            self.good.load(Ordering::Relaxed),
            self.all.load(Ordering::Relaxed),
        )
    }
}

/// Returns the median.
pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_unstable_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// Returns a runtime for the clients.
pub(crate) fn clients() -> Runtime {
    Runtime::new().unwrap()
}

/// Reads a number from the environment.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number"))
    })
}

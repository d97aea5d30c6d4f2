//! Memory after abuse: each kind of abuse at full rate for a minute, then a minute without requests, compared
//! with the memory before. Also prints the use of quotas.
//!
//! `BURSAR_ABUSE_SECONDS` is the length of each minute (60), `BURSAR_ABUSE_ONLY` names one kind.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::too_many_lines,
    reason = "a benchmark prints, and fails by a panic"
)]

mod load;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use load::{
    RequestFn, Server, calls, clients, create_economy, economy, measure, posting, setting,
    transfers,
};

/// Connections of each kind of abuse.
const CONNECTIONS: u64 = 12;

/// The file size in bytes at which the database's page cache (64 MiB) is full.
const WARM_BYTES: u64 = 160 << 20;

/// The duration of ordinary load between two checks of the file size.
const WARM_SLICE: Duration = Duration::from_secs(2);

/// A function that returns a raw request by the number of its connection and its number there.
type RawRequestFn = Arc<dyn Fn(u64, u64) -> Raw + Send + Sync>;

struct Raw {
    method: &'static str,
    path: String,
    body: Bytes,
    /// The idempotency key; a new one if none.
    key: Option<String>,
    /// True if the client disconnects before the response.
    leaves: bool,
}

/// A kind of abuse.
struct Abuse {
    name: &'static str,
    request: RawRequestFn,
}

fn post(path: String, body: &Value) -> Raw {
    Raw {
        method: "POST",
        path,
        body: body.to_string().into(),
        key: None,
        leaves: false,
    }
}

fn kind(name: &'static str, request: impl Fn(u64, u64) -> Raw + Send + Sync + 'static) -> Abuse {
    Abuse {
        name,
        request: Arc::new(request),
    }
}

/// Calls an action of the malicious plugin, by the members in turn.
fn call(name: &'static str, action: &'static str, arguments: &Value) -> Abuse {
    let request: RequestFn = calls("bad", &format!("malicious/{action}"), arguments.clone());
    kind(name, move |connection, number| {
        let (path, body) = request(connection + number, number);
        post(path, &body)
    })
}

fn kinds() -> Vec<Abuse> {
    let bad = economy("bad");
    let path = |rest: &str| format!("{bad}{rest}");
    let batch = path("/transfers/batch");
    let malformed = batch.clone();
    let account = path("/accounts/user:");
    let events = path("/events?limit=500");
    let audit = path("/audit");
    let statement = path("/accounts/user:1/statement?limit=200");
    let transfers = path("/transfers");
    let buy = path("/plugins/shop/actions/buy");
    vec![
        kind("batches of 8,000", move |connection, number| {
            let transfer = |place: u64| {
                let key = format!("{connection}-{number}-{place}-{}", uuid::Uuid::now_v7());
                json!({"idempotency_key": key, "postings": [posting(place, number)]})
            };
            let transfers: Vec<Value> = (0..8_000).map(transfer).collect();
            post(
                batch.clone(),
                &json!({"mode": "independent", "transfers": transfers}),
            )
        }),
        kind("malformed JSON", move |_, _| Raw {
            method: "POST",
            path: malformed.clone(),
            body: Bytes::from(vec![b'['; 7 << 20]),
            key: None,
            leaves: false,
        }),
        kind("accounts with metadata", move |connection, number| Raw {
            method: "PUT",
            path: format!("{account}{connection}-{number}"),
            body: json!({"metadata": {"text": "m".repeat(15_000)}})
                .to_string()
                .into(),
            key: None,
            leaves: false,
        }),
        kind("large arguments", move |connection, _| {
            let arguments = json!({"item": "x".repeat(30_000)});
            let caller = format!("user:{connection}");
            post(
                buy.clone(),
                &json!({"caller": caller, "arguments": arguments}),
            )
        }),
        kind("one key repeatedly", move |_, number| {
            let body = json!({"postings": [posting(1, number)]});
            Raw {
                key: Some("repeated".into()),
                ..post(transfers.clone(), &body)
            }
        }),
        kind("pages of events", move |_, _| Raw {
            method: "GET",
            path: events.clone(),
            body: Bytes::new(),
            key: None,
            leaves: false,
        }),
        kind("pages of a statement", move |_, _| Raw {
            method: "GET",
            path: statement.clone(),
            body: Bytes::new(),
            key: None,
            leaves: false,
        }),
        kind("abandoned audits", move |_, _| Raw {
            method: "GET",
            path: audit.clone(),
            body: Bytes::new(),
            key: None,
            leaves: true,
        }),
        kind("refused components", move |connection, number| Raw {
            method: "POST",
            path: "/v1/components".into(),
            body: format!("\0asm{connection}{number}{}", "x".repeat(1 << 20)).into(),
            key: None,
            leaves: false,
        }),
        call("endless calls", "spin", &json!({})),
        call("calls that use much memory", "eat", &json!({})),
        call("calls that log", "flood_log", &json!({})),
        call("calls with a huge reply", "huge_reply", &json!({})),
        call(
            "calls that use much time",
            "toil",
            &json!({"kind": "grow_by_nothing", "turns": 100_000}),
        ),
    ]
}

/// Sends one kind of request on all connections for a time. Returns the number of sent and of successful
/// requests.
async fn abuse(server: &Server, request: &RawRequestFn, span: Duration) -> (u64, u64) {
    let until = Instant::now() + span;
    let mut load = JoinSet::new();
    for connection in 0..CONNECTIONS {
        let mut client = server.client();
        let request = Arc::clone(request);
        let address = server.address.clone();
        let key = server.key.clone();
        load.spawn(async move {
            let mut sent = 0_u64;
            let mut succeeded = 0_u64;
            let mut number = 0_u64;
            while Instant::now() < until {
                let Raw {
                    method,
                    path,
                    body,
                    key: known,
                    leaves,
                } = request(connection, number);
                number += 1;
                sent += 1;
                if leaves {
                    let mut stream = TcpStream::connect(&address).await.unwrap();
                    let head = format!(
                        "{method} {path} HTTP/1.1\r\nhost: bursar\r\nauthorization: Bearer {key}\r\n\r\n"
                    );
                    drop(stream.write_all(head.as_bytes()).await);
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
                let id = known.unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
                let answer = client.send(method, &path, Some(&id), body).await;
                succeeded += u64::from(answer.is_ok_and(|answer| answer.status.is_success()));
            }
            (sent, succeeded)
        });
    }
    let counts = load.join_all().await;
    let sent = counts.iter().map(|(sent, _)| sent).sum();
    (sent, counts.iter().map(|(_, succeeded)| succeeded).sum())
}

/// Returns the quota use of the abused economy, if the server returns it.
async fn stored(server: &Server) -> String {
    let path = format!("{}/quotas", economy("bad"));
    let answer = server.client().get(&path).await.unwrap();
    if answer.status.is_success() {
        answer.json().to_string()
    } else {
        String::new()
    }
}

#[allow(clippy::cast_precision_loss, reason = "printed with few digits")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn main() {
    let span = Duration::from_secs(setting("BURSAR_ABUSE_SECONDS", 60));
    let only = std::env::var("BURSAR_ABUSE_ONLY").unwrap_or_default();
    println!(
        "resident memory in MiB: before, after {span:?} of abuse, after {span:?} without requests"
    );
    let clients = clients();
    for kind in kinds() {
        if !only.is_empty() && kind.name != only {
            continue;
        }
        let server = Server::start();
        clients.block_on(async {
            create_economy(&server, "bad").await;
            // Ordinary load fills the caches before anything is measured.
            let pay = transfers("bad");
            let buy = calls("bad", "shop/buy", json!({"item": "potion"}));
            while server.file_bytes() < WARM_BYTES {
                measure(&server, 64, WARM_SLICE, &pay).await;
            }
            measure(&server, 64, span / 6, &buy).await;
            tokio::time::sleep(Duration::from_secs(2)).await;
            let before = server.resident_bytes();
            let (sent, succeeded) = abuse(&server, &kind.request, span).await;
            let loaded = server.resident_bytes();
            tokio::time::sleep(span).await;
            let after = server.resident_bytes();
            println!(
                "  {:<30} {:>6.0} → {:>6.0} → {:>6.0}  ratio {:.2}; {succeeded} of {sent} requests succeeded {}",
                kind.name,
                mib(before),
                mib(loaded),
                mib(after),
                mib(after) / mib(before),
                stored(&server).await
            );
        });
    }
}

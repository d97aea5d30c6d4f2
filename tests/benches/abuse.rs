//! Memory after abuse: each kind at full rate for a minute, then a minute of quiet, against the memory
//! before. What quotas let be stored is told beside it.
//!
//! `BURSAR_ABUSE_SECONDS` is the span of each minute (60), `BURSAR_ABUSE_ONLY` names one kind.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::too_many_lines,
    reason = "a benchmark prints, and has failed where it cannot go on"
)]

mod load;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use load::{Ask, Server, calls, clients, economy, furnish, measure, posting, setting, transfers};

/// Connections of each abuse.
const CONNECTIONS: u64 = 12;

/// The size of the file, in bytes, at which the database's cache of pages (64 MiB) is full.
const WARM_BYTES: u64 = 160 << 20;

/// The span of honest work between two looks at the size of the file.
const WARM_SLICE: Duration = Duration::from_secs(2);

/// A request as raw parts, by the number of its connection and its own number there.
type RawAsk = Arc<dyn Fn(u64, u64) -> Raw + Send + Sync>;

struct Raw {
    method: &'static str,
    path: String,
    body: Bytes,
    /// The idempotency key; a new one if none.
    key: Option<String>,
    /// True if the client leaves before the answer.
    leaves: bool,
}

/// A kind of abuse.
struct Abuse {
    name: &'static str,
    ask: RawAsk,
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

fn of(name: &'static str, ask: impl Fn(u64, u64) -> Raw + Send + Sync + 'static) -> Abuse {
    Abuse {
        name,
        ask: Arc::new(ask),
    }
}

/// A call of the hostile plugin, by many members in turn.
fn call(name: &'static str, action: &'static str, arguments: &Value) -> Abuse {
    let ask: Ask = calls("bad", &format!("malicious/{action}"), arguments.clone());
    of(name, move |connection, number| {
        let (path, body) = ask(connection + number, number);
        post(path, &body)
    })
}

fn kinds() -> Vec<Abuse> {
    let bad = economy("bad");
    let path = |rest: &str| format!("{bad}{rest}");
    let (batch, account, events) = (
        path("/transfers/batch"),
        path("/accounts/user:"),
        path("/events?limit=500"),
    );
    let (audit, statement, replayed) = (
        path("/audit"),
        path("/accounts/user:1/statement?limit=200"),
        path("/transfers"),
    );
    let (broken, unknown) = (path("/transfers/batch"), path("/plugins/shop/actions/buy"));
    vec![
        of("batches of 8,000", move |connection, number| {
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
        of("bodies that are no JSON", move |_, _| Raw {
            method: "POST",
            path: broken.clone(),
            body: Bytes::from(vec![b'['; 7 << 20]),
            key: None,
            leaves: false,
        }),
        of("accounts with metadata", move |connection, number| Raw {
            method: "PUT",
            path: format!("{account}{connection}-{number}"),
            body: json!({"metadata": {"text": "m".repeat(15_000)}})
                .to_string()
                .into(),
            key: None,
            leaves: false,
        }),
        of("large arguments", move |connection, _| {
            let arguments = json!({"item": "x".repeat(30_000)});
            let caller = format!("user:{connection}");
            post(
                unknown.clone(),
                &json!({"caller": caller, "arguments": arguments}),
            )
        }),
        of("one key again and again", move |_, number| {
            let body = json!({"postings": [posting(1, number)]});
            Raw {
                key: Some("again".into()),
                ..post(replayed.clone(), &body)
            }
        }),
        of("pages of events", move |_, _| Raw {
            method: "GET",
            path: events.clone(),
            body: Bytes::new(),
            key: None,
            leaves: false,
        }),
        of("pages of a statement", move |_, _| Raw {
            method: "GET",
            path: statement.clone(),
            body: Bytes::new(),
            key: None,
            leaves: false,
        }),
        of("audits that nobody waits for", move |_, _| Raw {
            method: "GET",
            path: audit.clone(),
            body: Bytes::new(),
            key: None,
            leaves: true,
        }),
        of("components that are refused", move |connection, number| {
            Raw {
                method: "POST",
                path: "/v1/components".into(),
                body: format!("\0asm{connection}{number}{}", "x".repeat(1 << 20)).into(),
                key: None,
                leaves: false,
            }
        }),
        call("calls that loop for ever", "spin", &json!({})),
        call("calls that eat memory", "eat", &json!({})),
        call("calls that log", "flood_log", &json!({})),
        call("calls with a huge reply", "huge_reply", &json!({})),
        call(
            "calls that work hard",
            "toil",
            &json!({"kind": "grow_by_nothing", "turns": 100_000}),
        ),
    ]
}

/// Sends one kind of request over all connections until the time is over; says how many were sent and how
/// many went well.
async fn abuse(server: &Server, ask: &RawAsk, span: Duration) -> (u64, u64) {
    let until = Instant::now() + span;
    let mut load = JoinSet::new();
    for connection in 0..CONNECTIONS {
        let (mut client, ask) = (server.client(), Arc::clone(ask));
        let (address, key) = (server.address.clone(), server.key.clone());
        load.spawn(async move {
            let (mut sent, mut well, mut number) = (0_u64, 0_u64, 0_u64);
            while Instant::now() < until {
                let Raw {
                    method,
                    path,
                    body,
                    key: known,
                    leaves,
                } = ask(connection, number);
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
                well += u64::from(answer.is_ok_and(|answer| answer.status.is_success()));
            }
            (sent, well)
        });
    }
    let counts = load.join_all().await;
    let sent = counts.iter().map(|(sent, _)| sent).sum();
    (sent, counts.iter().map(|(_, well)| well).sum())
}

/// Returns the use that the quotas of the abused economy show, if the server tells.
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
        "resident memory in MiB: before, at the end of {span:?} of abuse, after {span:?} of quiet"
    );
    let clients = clients();
    for kind in kinds() {
        if !only.is_empty() && kind.name != only {
            continue;
        }
        let server = Server::start();
        clients.block_on(async {
            furnish(&server, "bad").await;
            // Caches fill with honest work before anything is measured.
            let (pay, buy) = (
                transfers("bad"),
                calls("bad", "shop/buy", json!({"item": "potion"})),
            );
            while server.file_bytes() < WARM_BYTES {
                measure(&server, 64, WARM_SLICE, &pay).await;
            }
            measure(&server, 64, span / 6, &buy).await;
            tokio::time::sleep(Duration::from_secs(2)).await;
            let before = server.resident_bytes();
            let (sent, well) = abuse(&server, &kind.ask, span).await;
            let loaded = server.resident_bytes();
            tokio::time::sleep(span).await;
            let after = server.resident_bytes();
            println!(
                "  {:<30} {:>6.0} → {:>6.0} → {:>6.0}  ratio {:.2}; {well} of {sent} requests went well {}",
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

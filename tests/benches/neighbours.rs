//! The effect of one economy on another, as ratios within one run: a plugin that uses all its fuel, idle
//! event streams, and bulk batches, each together with ordinary load of another economy.
//!
//! `BURSAR_BENCH_SECONDS` is the duration of each measurement (3), `BURSAR_BENCH_ROUNDS` the number of rounds
//! of each measurement in turn with the one without the load (5).
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::too_many_lines,
    clippy::similar_names,
    reason = "a benchmark prints, and fails by a panic"
)]

mod load;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use load::{
    Background, RequestFn, Server, calls, clients, create_economy, economy, measure, median,
    posting, put, setting, transfers,
};

/// Callers of the plugin that uses all its fuel.
const CALLERS: u64 = 20;
/// Open event streams, and the economies they belong to.
const STREAMS: u64 = 256;
const SILENT_ECONOMIES: u64 = 8;
/// Transfers of a bulk batch, and of one whose transfers have many postings.
const BULK_TRANSFERS: u64 = 8_000;
const WIDE_TRANSFERS: u64 = 1_900;
const WIDE_POSTINGS: u64 = 64;

struct Bench {
    server: Server,
    span: Duration,
    rounds: u64,
}

impl Bench {
    async fn rate(&self, connections: u64, request: &RequestFn) -> f64 {
        measure(&self.server, connections, self.span, request)
            .await
            .per_second()
    }

    async fn p99(&self, connections: u64, request: &RequestFn) -> f64 {
        measure(&self.server, connections, self.span, request)
            .await
            .at(990)
    }

    /// Measures purchases and transfers of one economy with and without callers of an expensive plugin of
    /// another one.
    async fn beside_hard_work(&self) {
        println!("{CALLERS} callers of a plugin that burns its budget, in another economy");
        let buy = calls("good", "shop/buy", json!({"item": "potion"}));
        let pay = transfers("good");
        // The number of turns keeps each call within its fuel.
        for kind in ["count", "grow_by_nothing", "fill", "log"] {
            let turns = self.turns_within_budget(kind).await;
            let toil = calls(
                "bad",
                "malicious/toil",
                json!({"kind": kind, "turns": turns}),
            );
            let mut alone = Vec::new();
            let mut beside = Vec::new();
            let mut quiet = Vec::new();
            let mut loud = Vec::new();
            let mut good = 0;
            let mut all = 0;
            for _ in 0..self.rounds {
                alone.push(self.rate(16, &buy).await);
                quiet.push(self.p99(8, &pay).await);
                let load = Background::start(&self.server, CALLERS, &toil);
                beside.push(self.rate(16, &buy).await);
                loud.push(self.p99(8, &pay).await);
                let (well, sent) = load.stop().await;
                good += well;
                all += sent;
            }
            let alone = median(alone);
            let beside = median(beside);
            let quiet = median(quiet);
            let loud = median(loud);
            println!(
                "  {kind:<16} {turns:>9} turns: purchases {alone:>6.0} → {beside:>6.0} /s = {:.2}; \
                 p99 of transfers {quiet:>6.2} → {loud:>6.2} ms = {:.2}; {good} of {all} calls replied",
                beside / alone,
                loud / quiet
            );
        }
    }

    /// Finds the largest number of turns, within a tenth, that still ends in a reply.
    async fn turns_within_budget(&self, kind: &str) -> u64 {
        let mut client = self.server.client();
        let path = format!("{}/plugins/malicious/actions/toil", economy("bad"));
        let mut works = 1_u64;
        let mut fails = 1_u64 << 31;
        while fails - works > (works / 10).max(1) {
            let turns = (works.checked_mul(fails).unwrap())
                .isqrt()
                .clamp(works + 1, fails - 1);
            // A preview is not recorded and does not count towards disabling the plugin.
            let body = json!({
                "caller": "user:1", "preview": true, "arguments": {"kind": kind, "turns": turns},
            });
            let id = uuid::Uuid::now_v7().to_string();
            let answer = client.post(&path, &id, &body).await.unwrap();
            if answer.status.is_success() {
                works = turns;
            } else {
                fails = turns;
            }
        }
        works
    }

    /// Measures transfers of one economy with and without idle event streams of others.
    async fn beside_idle_streams(&self) {
        println!("{STREAMS} idle event streams of other economies");
        for number in 0..SILENT_ECONOMIES {
            put(
                &mut self.server.client(),
                &economy(&format!("silent{number}")),
                json!({}),
            )
            .await;
        }
        let pay = transfers("good");
        let mut alone = Vec::new();
        let mut beside = Vec::new();
        for _ in 0..self.rounds {
            alone.push(self.rate(64, &pay).await);
            let mut streams = Vec::new();
            for number in 0..STREAMS {
                let name = format!("silent{}", number % SILENT_ECONOMIES);
                streams.push(self.open_stream(&name).await);
            }
            beside.push(self.rate(64, &pay).await);
            drop(streams);
        }
        let alone = median(alone);
        let beside = median(beside);
        println!(
            "  transfers {alone:.0} → {beside:.0} /s = {:.2}",
            beside / alone
        );
    }

    async fn open_stream(&self, name: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.server.address).await.unwrap();
        let path = economy(name);
        let key = &self.server.key;
        let request = format!(
            "GET {path}/events HTTP/1.1\r\nhost: bursar\r\nauthorization: Bearer {key}\r\n\
             accept: text/event-stream\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200", "the stream is open");
        stream
    }

    /// Measures the slowest transfers of one economy while another one sends bulk batches.
    async fn beside_bulk(&self) {
        println!("p99 of a transfer beside one client that sends bulk batches in another economy");
        let pay = transfers("good");
        let bulk: [(&str, RequestFn); 3] = [
            ("independent", batches("independent", BULK_TRANSFERS, 1)),
            ("atomic", batches("atomic", BULK_TRANSFERS, 1)),
            (
                "64 postings each",
                batches("independent", WIDE_TRANSFERS, WIDE_POSTINGS),
            ),
        ];
        for (name, request) in bulk {
            let mut quiet = Vec::new();
            let mut loud = Vec::new();
            let mut single = Vec::new();
            let mut good = 0;
            let mut all = 0;
            for _ in 0..self.rounds {
                quiet.push(self.p99(8, &pay).await);
                let (path, body) = request(0, 0);
                let id = uuid::Uuid::now_v7().to_string();
                let sent = Instant::now();
                let mut client = self.server.client();
                let answer = client.post(&path, &id, &body).await.unwrap();
                assert!(answer.status.is_success(), "{}", answer.json());
                single.push(sent.elapsed().as_secs_f64() * 1e3);
                let load = Background::start(&self.server, 1, &request);
                loud.push(self.p99(8, &pay).await);
                let (well, sent) = load.stop().await;
                good += well;
                all += sent;
            }
            let quiet = median(quiet);
            let loud = median(loud);
            let single = median(single);
            println!(
                "  {name:<16} {quiet:>7.2} → {loud:>7.2} ms = {:>5.1}; one batch alone {single:.0} ms; \
                 {good} of {all} batches succeeded",
                loud / quiet
            );
        }
    }
}

/// Returns bulk batches of this many transfers with this many postings each.
fn batches(mode: &'static str, transfers: u64, postings: u64) -> RequestFn {
    let path = format!("{}/transfers/batch", economy("bad"));
    Arc::new(move |connection, number| {
        let transfer = |place: u64| {
            let postings: Vec<Value> = (0..postings).map(|at| posting(place + at, at)).collect();
            let mut transfer = json!({ "postings": postings });
            if mode == "independent" {
                let id = uuid::Uuid::now_v7();
                transfer["idempotency_key"] = format!("{connection}-{number}-{id}").into();
            }
            transfer
        };
        let transfers: Vec<Value> = (0..transfers).map(transfer).collect();
        (
            path.clone(),
            json!({ "mode": mode, "transfers": transfers }),
        )
    })
}

fn main() {
    let bench = Bench {
        server: Server::start(),
        span: Duration::from_secs(setting("BURSAR_BENCH_SECONDS", 3)),
        rounds: setting("BURSAR_BENCH_ROUNDS", 5).max(1),
    };
    clients().block_on(async {
        create_economy(&bench.server, "good").await;
        create_economy(&bench.server, "bad").await;
        let only = std::env::var("BURSAR_BENCH_ONLY").unwrap_or_default();
        if only.is_empty() || only == "work" {
            bench.beside_hard_work().await;
        }
        if only.is_empty() || only == "streams" {
            bench.beside_idle_streams().await;
        }
        if only.is_empty() || only == "bulk" {
            bench.beside_bulk().await;
        }
    });
}

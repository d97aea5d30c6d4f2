//! The cost of one economy to another, as ratios within one run: a plugin that works as hard as it may,
//! idle event streams, and bulk batches, each beside an economy that goes about its business.
//!
//! `BURSAR_BENCH_SECONDS` is the span of each measurement (3), `BURSAR_BENCH_ROUNDS` how often each is
//! taken in turn with its quiet twin (5).
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::too_many_lines,
    clippy::similar_names,
    reason = "a benchmark prints, and has failed where it cannot go on"
)]

mod load;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use load::{
    Ask, Background, Server, calls, clients, economy, furnish, measure, median, posting, put,
    setting, transfers,
};

/// Callers of the plugin that works as hard as it may.
const CALLERS: u64 = 20;
/// Event streams that are open, and the economies that they belong to.
const STREAMS: u64 = 256;
const SILENT_ECONOMIES: u64 = 8;
/// Transfers of a bulk batch, and those of one in which each transfer has many postings.
const BULK_TRANSFERS: u64 = 8_000;
const WIDE_TRANSFERS: u64 = 1_900;
const WIDE_POSTINGS: u64 = 64;

struct Bench {
    server: Server,
    span: Duration,
    rounds: u64,
}

impl Bench {
    async fn rate(&self, connections: u64, ask: &Ask) -> f64 {
        measure(&self.server, connections, self.span, ask)
            .await
            .per_second()
    }

    async fn p99(&self, connections: u64, ask: &Ask) -> f64 {
        measure(&self.server, connections, self.span, ask)
            .await
            .at(990)
    }

    /// Purchases and transfers of one economy, alone and beside callers of a hard-working plugin of
    /// another one.
    async fn beside_hard_work(&self) {
        println!("{CALLERS} callers of a plugin that burns its budget, in another economy");
        let (buy, pay) = (
            calls("good", "shop/buy", json!({"item": "potion"})),
            transfers("good"),
        );
        // So many turns that each call ends within its fuel, as the first try tells.
        for kind in ["count", "grow_by_nothing", "fill", "log"] {
            let turns = self.turns_within_budget(kind).await;
            let toil = calls(
                "bad",
                "malicious/toil",
                json!({"kind": kind, "turns": turns}),
            );
            let (mut alone, mut beside) = (Vec::new(), Vec::new());
            let (mut quiet, mut loud) = (Vec::new(), Vec::new());
            let (mut good, mut all) = (0, 0);
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
            let (alone, beside) = (median(alone), median(beside));
            let (quiet, loud) = (median(quiet), median(loud));
            println!(
                "  {kind:<16} {turns:>9} turns: purchases {alone:>6.0} → {beside:>6.0} /s = {:.2}; \
                 p99 of transfers {quiet:>6.2} → {loud:>6.2} ms = {:.2}; {good} of {all} calls replied",
                beside / alone,
                loud / quiet
            );
        }
    }

    /// The most turns of a kind of work that still end in a reply, to within a tenth.
    async fn turns_within_budget(&self, kind: &str) -> u64 {
        let mut client = self.server.client();
        let path = format!("{}/plugins/malicious/actions/toil", economy("bad"));
        let (mut works, mut fails) = (1_u64, 1_u64 << 31);
        while fails - works > (works / 10).max(1) {
            let turns = (works.checked_mul(fails).unwrap())
                .isqrt()
                .clamp(works + 1, fails - 1);
            // A preview leaves no record and counts for no switch.
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

    /// Transfers of one economy, with and without idle event streams of silent ones.
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
        let (mut alone, mut beside) = (Vec::new(), Vec::new());
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
        let (alone, beside) = (median(alone), median(beside));
        println!(
            "  transfers {alone:.0} → {beside:.0} /s = {:.2}",
            beside / alone
        );
    }

    async fn open_stream(&self, name: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.server.address).await.unwrap();
        let (path, key) = (economy(name), &self.server.key);
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

    /// The slowest transfers of one economy, beside another one that sends bulk batches.
    async fn beside_bulk(&self) {
        println!("p99 of a transfer beside one client that sends bulk batches in another economy");
        let pay = transfers("good");
        let bulk: [(&str, Ask); 3] = [
            ("independent", batches("independent", BULK_TRANSFERS, 1)),
            ("atomic", batches("atomic", BULK_TRANSFERS, 1)),
            (
                "64 postings each",
                batches("independent", WIDE_TRANSFERS, WIDE_POSTINGS),
            ),
        ];
        for (name, ask) in bulk {
            let (mut quiet, mut loud, mut single) = (Vec::new(), Vec::new(), Vec::new());
            let (mut good, mut all) = (0, 0);
            for _ in 0..self.rounds {
                quiet.push(self.p99(8, &pay).await);
                let (path, body) = ask(0, 0);
                let id = uuid::Uuid::now_v7().to_string();
                let sent = Instant::now();
                let mut client = self.server.client();
                let answer = client.post(&path, &id, &body).await.unwrap();
                assert!(answer.status.is_success(), "{}", answer.json());
                single.push(sent.elapsed().as_secs_f64() * 1e3);
                let load = Background::start(&self.server, 1, &ask);
                loud.push(self.p99(8, &pay).await);
                let (well, sent) = load.stop().await;
                good += well;
                all += sent;
            }
            let (quiet, loud, single) = (median(quiet), median(loud), median(single));
            println!(
                "  {name:<16} {quiet:>7.2} → {loud:>7.2} ms = {:>5.1}; one batch alone {single:.0} ms; \
                 {good} of {all} batches went well",
                loud / quiet
            );
        }
    }
}

/// Bulk batches of one economy: so many transfers with so many postings each.
fn batches(mode: &'static str, transfers: u64, postings: u64) -> Ask {
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
        furnish(&bench.server, "good").await;
        furnish(&bench.server, "bad").await;
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

//! Throughput and latency as ratios within one run, because machines and their other load differ.
//!
//! * A durable transfer per request, compared with a handler that parses the same body and responds.
//! * A shop purchase and a coinflip, compared with a plain transfer; and both without HTTP and disk: opened,
//!   run, decided and applied in memory.
//! * The latency of a transfer while a malicious plugin uses its whole fuel in every call, compared with the
//!   latency without it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark prints, and fails by a panic"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Json;
use axum::routing::post;
use bursar_host::Limits;
use bursar_server::bodies::{BodyBounds, BodyLimiter};
use bursar_server::client::{Address, Client};
use bursar_server::serve::{Server, Setup};
use bursar_server::service::CallBounds;
use bursar_server::webhooks::WebhookSetup;
use bursar_server::{bundled, clock};
use bursar_storage::MaintenanceConfig;
use bursar_testkit::Economy;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

const GUILD: &str = "/v1/economies/guild";
const MEMBERS: u64 = 64;
/// The duration of each measurement.
const SPAN: Duration = Duration::from_secs(3);
/// The rounds of each measurement, in turn with the others.
const ROUNDS: usize = 5;

/// A function that returns a request by the number of its connection and its number there.
type RequestFn = Arc<dyn Fn(u64, u64) -> (String, Value) + Send + Sync>;

/// The latencies of all requests of a measurement.
struct Measured {
    times: Vec<Duration>,
    span: Duration,
}

impl Measured {
    fn per_second(&self) -> f64 {
        self.times.len() as f64 / self.span.as_secs_f64()
    }

    fn at(&self, per_mille: usize) -> f64 {
        let place = (self.times.len() * per_mille / 1000).min(self.times.len() - 1);
        self.times[place].as_secs_f64() * 1e3
    }
}

async fn measure(address: &str, key: &str, connections: u64, request: &RequestFn) -> Measured {
    let began = Instant::now();
    let mut load = JoinSet::new();
    for connection in 0..connections {
        let mut client = Client::new(Address::Tcp(address.into()), key);
        let request = Arc::clone(request);
        load.spawn(async move {
            let mut times = Vec::new();
            let mut number = 0;
            while began.elapsed() < SPAN {
                let (path, body) = request(connection, number);
                let id = uuid::Uuid::now_v7().to_string();
                let sent = Instant::now();
                let answer = client.post(&path, &id, &body).await.unwrap();
                times.push(sent.elapsed());
                assert!(answer.status.is_success(), "{}", answer.json());
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

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_unstable_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn transfers() -> RequestFn {
    Arc::new(|connection, number| {
        let from = (connection * 7 + number) % MEMBERS;
        let posting = json!({
            "from": format!("user:{from}"),
            "to": format!("user:{}", (from + 1 + number % 5) % MEMBERS),
            "asset": "coin",
            "amount": 1,
        });
        (
            format!("{GUILD}/transfers"),
            json!({ "postings": [posting] }),
        )
    })
}

fn calls(action: &'static str, arguments: Value) -> RequestFn {
    Arc::new(move |connection, _| {
        let caller = format!("user:{}", connection % MEMBERS);
        let body = json!({ "caller": caller, "arguments": arguments });
        (format!("{GUILD}/plugins/{action}"), body)
    })
}

/// Serves a handler that parses the same body and responds.
async fn echo(listener: TcpListener) {
    let handler =
        |Json(body): Json<Value>| async move { Json(json!({ "postings": body["postings"] })) };
    let router = axum::Router::new().route(&format!("{GUILD}/transfers"), post(handler));
    axum::serve(listener, router).await.unwrap();
}

/// Creates the economy: members with money, a shop with stock, and the malicious plugin.
async fn create_economy(client: &mut Client) {
    let put = async |client: &mut Client, path: &str, body: Value| {
        let made = client.put(path, &body).await.unwrap();
        assert!(made.status.is_success(), "{path}: {}", made.json());
    };
    let issue = async |client: &mut Client, account: &str, asset: &str| {
        let body = json!({ "account": account, "asset": asset, "amount": 1_000_000_000 });
        let key = format!("{account} {asset}");
        let issued = client
            .post(&format!("{GUILD}/issue"), &key, &body)
            .await
            .unwrap();
        assert_eq!(issued.status, 201);
    };
    put(client, GUILD, json!({})).await;
    put(
        client,
        &format!("{GUILD}/assets/coin"),
        json!({"kind": "currency", "name": "Coin"}),
    )
    .await;
    put(
        client,
        &format!("{GUILD}/assets/potion"),
        json!({"kind": "item", "name": "Potion"}),
    )
    .await;
    for member in 0..MEMBERS {
        put(
            client,
            &format!("{GUILD}/accounts/user:{member}"),
            json!({}),
        )
        .await;
        issue(client, &format!("user:{member}"), "coin").await;
    }
    let config = json!({"items": [{"item": "potion", "price": {"coin": 1}}]});
    let shop = json!({
        "component": "bundled:shop", "grants": "requested", "config": config, "enabled": true,
    });
    put(client, &format!("{GUILD}/plugins/shop"), shop).await;
    issue(client, "plugin:shop", "potion").await;
    let coinflip = json!({
        "component": "bundled:coinflip", "grants": "requested", "enabled": true,
        "config": {"asset": "coin"},
    });
    put(client, &format!("{GUILD}/plugins/coinflip"), coinflip).await;
    issue(client, "plugin:coinflip", "coin").await;
    let bytes = bytes::Bytes::from_static(bundled::MALICIOUS);
    let uploaded = client
        .send("POST", "/v1/components", None, bytes)
        .await
        .unwrap()
        .json();
    let malicious = json!({
        "component": uploaded["component"], "grants": "requested", "enabled": true,
    });
    put(client, &format!("{GUILD}/plugins/malicious"), malicious).await;
}

/// Calls the malicious plugin until stopped. Returns the number of calls.
async fn call_malicious(address: String, key: String, stop: Arc<AtomicBool>) -> u64 {
    let mut client = Client::new(Address::Tcp(address), key);
    let mut calls = 0;
    while !stop.load(Ordering::Relaxed) {
        let body = json!({ "caller": "user:1", "arguments": {} });
        let path = format!("{GUILD}/plugins/malicious/actions/spin");
        let answer = client
            .post(&path, &uuid::Uuid::now_v7().to_string(), &body)
            .await
            .unwrap();
        assert_eq!(answer.code(), "plugin_fault");
        calls += 1;
    }
    calls
}

fn start(runtime: &Runtime, file: std::path::PathBuf) -> (String, String, oneshot::Sender<()>) {
    let setup = Setup {
        database: file,
        listen: Some("127.0.0.1:0".parse().unwrap()),
        socket: None,
        allow_plain_http: false,
        clock: clock::system(),
        ticks: clock::running(),
        maintenance: MaintenanceConfig::standard(),
        limits: Limits::standard(),
        compiler: bursar_host::Compiler::InProcess,
        calls: CallBounds::standard(),
        bodies: Arc::new(BodyLimiter::new(BodyBounds::standard())),
        schedules: Some(Duration::from_secs(1)),
        webhooks: WebhookSetup::standard(),
        stop_patience: bursar_server::serve::STOP_PATIENCE,
        bench_echo: false,
    };
    let server = runtime.block_on(Server::start(setup)).unwrap();
    let address = server.address().unwrap().to_string();
    let key = server.admin_key().unwrap().into();
    let (stop, stopped) = oneshot::channel();
    runtime.spawn(server.run(async { drop(stopped.await) }));
    (address, key, stop)
}

/// Measures single calls in memory, one after the other.
fn in_memory(name: &str, action: &str, config: Value, arguments: &Value) {
    let mut economy = Economy::new("bench");
    economy.asset("coin");
    economy.asset("item:potion");
    economy.member("user:1", &[("coin", 1_000_000_000)]);
    let component = bundled::PLUGINS.iter().find(|it| it.name == name).unwrap();
    economy.install(component.bytes, config);
    let own = format!("plugin:{name}");
    economy.issue(&own, "coin", 1_000_000_000);
    economy.issue(&own, "item:potion", 1_000_000_000);
    let began = Instant::now();
    let mut times = Vec::new();
    while began.elapsed() < SPAN {
        let called = Instant::now();
        economy.call("user:1", action, arguments.clone()).reply();
        times.push(called.elapsed());
    }
    let span = began.elapsed();
    times.sort_unstable();
    let measured = Measured { times, span };
    println!(
        "  {action:<16} p50 {:>6.1} µs, p99 {:>6.1} µs",
        measured.at(500) * 1e3,
        measured.at(990) * 1e3
    );
}

fn main() {
    let bet = json!({"stake": 1, "side": "heads"});
    let potion = json!({"item": "item:potion"});
    println!("one call in memory, on one thread");
    let offers = json!({"items": [{"item": "item:potion", "price": {"coin": 1}}]});
    in_memory("shop", "shop/buy", offers, &potion);
    in_memory("coinflip", "coinflip/flip", json!({"asset": "coin"}), &bet);
    // Server and clients have separate threads, as in two processes.
    let service = Runtime::new().unwrap();
    let clients = Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (address, key, _stop) = start(&service, folder.path().join("bench.db"));
    let listener = service.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let echo_address = listener.local_addr().unwrap().to_string();
    service.spawn(echo(listener));
    clients.block_on(create_economy(&mut Client::new(
        Address::Tcp(address.clone()),
        key.clone(),
    )));
    measure_throughput(&clients, &address, &echo_address, &key, &bet);
    measure_latency(&clients, &address, &key);
}

/// Measures transfers, purchases and flips per second, and the handler that only parses.
fn measure_throughput(
    clients: &Runtime,
    address: &str,
    echo_address: &str,
    key: &str,
    bet: &Value,
) {
    let buy = calls("shop/actions/buy", json!({ "item": "potion" }));
    let flip = calls("coinflip/actions/flip", bet.clone());
    let mut parses = Vec::new();
    let mut pays = Vec::new();
    let mut buys = Vec::new();
    let mut flips = Vec::new();
    for _ in 0..ROUNDS {
        clients.block_on(async {
            parses.push(
                measure(echo_address, key, 64, &transfers())
                    .await
                    .per_second(),
            );
            pays.push(measure(address, key, 64, &transfers()).await.per_second());
            buys.push(measure(address, key, 64, &buy).await.per_second());
            flips.push(measure(address, key, 64, &flip).await.per_second());
        });
    }
    let parses = median(parses);
    let pays = median(pays);
    let buys = median(buys);
    let flips = median(flips);
    println!("64 connections, median of {ROUNDS} rounds of {SPAN:?}, taking turns");
    println!("  parse and respond {parses:>8.0} /s");
    println!(
        "  durable transfer  {pays:>8.0} /s   {:.2} of parse and respond",
        pays / parses
    );
    println!(
        "  shop purchase     {buys:>8.0} /s   {:.2} of a transfer",
        buys / pays
    );
    println!(
        "  coinflip          {flips:>8.0} /s   {:.2} of a transfer",
        flips / pays
    );
}

/// Measures the latency of transfers with and without calls of the malicious plugin.
fn measure_latency(clients: &Runtime, address: &str, key: &str) {
    let mut quiet = Vec::new();
    let mut attacked = Vec::new();
    let mut stopped = 0;
    for _ in 0..ROUNDS {
        clients.block_on(async {
            quiet.push(measure(address, key, 8, &transfers()).await.at(990));
            let stop = Arc::new(AtomicBool::new(false));
            let mut attackers = JoinSet::new();
            for _ in 0..8 {
                attackers.spawn(call_malicious(
                    address.to_owned(),
                    key.to_owned(),
                    Arc::clone(&stop),
                ));
            }
            attacked.push(measure(address, key, 8, &transfers()).await.at(990));
            stop.store(true, Ordering::Relaxed);
            stopped += attackers.join_all().await.iter().sum::<u64>();
        });
    }
    let quiet = median(quiet);
    let attacked = median(attacked);
    println!("8 connections that transfer, 8 that call a plugin with an endless loop");
    println!("  p99 of a transfer without it {quiet:.2} ms, with it {attacked:.2} ms");
    println!(
        "  ratio {:.2}; {stopped} calls were stopped",
        attacked / quiet
    );
}

//! Speed, as ratios within one run: machines differ, and so do their neighbours.
//!
//! * A durable transfer per request against a handler that parses the same body and answers.
//! * A shop purchase and a coinflip against a plain transfer; and what either takes without HTTP and
//!   without a disk: opened, run, decided and applied in memory.
//! * The time of a transfer while a hostile plugin burns its whole budget in every call, against
//!   the time without it.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark prints, and has failed where it cannot go on"
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
use bursar_testkit::Economy;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

const GUILD: &str = "/v1/economies/guild";
const MEMBERS: u64 = 64;
/// How long each measurement takes.
const SPAN: Duration = Duration::from_secs(3);
/// How often each is repeated, taking turns.
const ROUNDS: usize = 5;

/// What is asked, again and again, by one of the connections.
type Ask = Arc<dyn Fn(u64, u64) -> (String, Value) + Send + Sync>;

/// How long each request took, over all connections.
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

async fn measure(address: &str, key: &str, connections: u64, ask: &Ask) -> Measured {
    let began = Instant::now();
    let mut load = JoinSet::new();
    for connection in 0..connections {
        let mut client = Client::new(Address::Tcp(address.into()), key);
        let ask = Arc::clone(ask);
        load.spawn(async move {
            let mut times = Vec::new();
            let mut number = 0;
            while began.elapsed() < SPAN {
                let (path, body) = ask(connection, number);
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

fn transfers() -> Ask {
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

fn calls(action: &'static str, arguments: Value) -> Ask {
    Arc::new(move |connection, _| {
        let caller = format!("user:{}", connection % MEMBERS);
        let body = json!({ "caller": caller, "arguments": arguments });
        (format!("{GUILD}/plugins/{action}"), body)
    })
}

/// Parses the same body and answers.
async fn echo(listener: TcpListener) {
    let handler =
        |Json(body): Json<Value>| async move { Json(json!({ "postings": body["postings"] })) };
    let router = axum::Router::new().route(&format!("{GUILD}/transfers"), post(handler));
    axum::serve(listener, router).await.unwrap();
}

/// Opens the guild: members with purses, a shop with stock, a malicious plugin.
async fn furnish(client: &mut Client) {
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

/// Calls the malicious plugin until told to stop; says how many calls it was given.
async fn torment(address: String, key: String, stop: Arc<AtomicBool>) -> u64 {
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
        limits: Limits::standard(),
        compiler: bursar_host::Compiler::Here,
        calls: CallBounds::standard(),
        bodies: Arc::new(BodyLimiter::new(BodyBounds::standard())),
        schedules: Some(Duration::from_secs(1)),
        webhooks: WebhookSetup::standard(),
        stop_patience: bursar_server::serve::STOP_PATIENCE,
    };
    let server = runtime.block_on(Server::start(setup)).unwrap();
    let (address, key) = (
        server.address().unwrap().to_string(),
        server.admin_key().unwrap().into(),
    );
    let (stop, stopped) = oneshot::channel();
    runtime.spawn(server.run(async { drop(stopped.await) }));
    (address, key, stop)
}

/// How long single calls take in memory, one after the other.
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
    // Server and clients have threads of their own, as they would in two processes.
    let (service, clients) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let (address, key, _stop) = start(&service, folder.path().join("bench.db"));
    let listener = service.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let echo_address = listener.local_addr().unwrap().to_string();
    service.spawn(echo(listener));
    clients.block_on(furnish(&mut Client::new(
        Address::Tcp(address.clone()),
        key.clone(),
    )));

    let buy = calls("shop/actions/buy", json!({ "item": "potion" }));
    let flip = calls("coinflip/actions/flip", bet);
    let (mut parses, mut pays) = (Vec::new(), Vec::new());
    let (mut buys, mut flips) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        clients.block_on(async {
            parses.push(
                measure(&echo_address, &key, 64, &transfers())
                    .await
                    .per_second(),
            );
            pays.push(measure(&address, &key, 64, &transfers()).await.per_second());
            buys.push(measure(&address, &key, 64, &buy).await.per_second());
            flips.push(measure(&address, &key, 64, &flip).await.per_second());
        });
    }
    let (parses, pays) = (median(parses), median(pays));
    let (buys, flips) = (median(buys), median(flips));
    println!("64 connections, median of {ROUNDS} rounds of {SPAN:?}, taking turns");
    println!("  parse and answer  {parses:>8.0} /s");
    println!(
        "  durable transfer  {pays:>8.0} /s   {:.2} of parse and answer",
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

    let (mut quiet, mut tormented, mut suffered) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        clients.block_on(async {
            quiet.push(measure(&address, &key, 8, &transfers()).await.at(990));
            let stop = Arc::new(AtomicBool::new(false));
            let mut attackers = JoinSet::new();
            for _ in 0..8 {
                attackers.spawn(torment(address.clone(), key.clone(), Arc::clone(&stop)));
            }
            tormented.push(measure(&address, &key, 8, &transfers()).await.at(990));
            stop.store(true, Ordering::Relaxed);
            suffered += attackers.join_all().await.iter().sum::<u64>();
        });
    }
    let (quiet, tormented) = (median(quiet), median(tormented));
    println!("8 connections that transfer, 8 that call a plugin which loops for ever");
    println!("  p99 of a transfer without it {quiet:.2} ms, with it {tormented:.2} ms");
    println!(
        "  ratio {:.2}; {suffered} calls were stopped",
        tormented / quiet
    );
}

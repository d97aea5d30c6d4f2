//! Single transfers through HTTP, on 64 connections to a server in this process.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bursar_host::Limits;
use bursar_server::bodies::{BodyBounds, BodyLimiter};
use bursar_server::client::{Address, Client};
use bursar_server::clock;
use bursar_server::serve::{Server, Setup};
use bursar_server::service::CallBounds;
use bursar_server::webhooks::WebhookSetup;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::commit::{Measured, WARM_UP};
use crate::files::Files;
use crate::load::{Latencies, runtime};
use crate::opening::remove;
use crate::options::Options;
use crate::submissions::{Random, TRANSFERS};
use crate::table::{Column, Table};

const CONNECTIONS: usize = 64;

const COLUMNS: &[Column] = &[
    ("per_second", "/s", 0),
    ("p50_ms", "p50 ms", 2),
    ("p99_ms", "p99 ms", 2),
    ("writer_us", "writer µs", 1),
    ("service_us", "service µs", 1),
    ("process_us", "process µs", 1),
    ("written_bytes", "written B", 0),
    ("kept_bytes", "kept B", 0),
];

/// A server on a file, with threads of its own.
pub(crate) struct Service {
    runtime: Runtime,
    address: String,
    key: String,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Service {
    /// Serves a file that no server has used before.
    pub(crate) fn start(database: PathBuf) -> Self {
        let setup = Setup {
            database,
            listen: Some("127.0.0.1:0".parse().unwrap()),
            socket: None,
            allow_plain_http: false,
            clock: clock::system(),
            ticks: clock::running(),
            limits: Limits::standard(),
            compiler: bursar_host::Compiler::InProcess,
            calls: CallBounds::standard(),
            bodies: Arc::new(BodyLimiter::new(BodyBounds::standard())),
            schedules: Some(Duration::from_secs(1)),
            webhooks: WebhookSetup::standard(),
            maintenance: bursar_storage::MaintenanceConfig::standard(),
            stop_patience: bursar_server::serve::STOP_PATIENCE,
            bench_echo: false,
        };
        let runtime = runtime("service");
        let server = runtime.block_on(Server::start(setup)).unwrap();
        let address = server.address().unwrap().to_string();
        let key = server.admin_key().unwrap().into();
        let (stop, stopped) = oneshot::channel();
        let running = async { drop(server.run(async { drop(stopped.await) }).await) };
        let running = runtime.spawn(running);
        Self {
            runtime,
            address,
            key,
            stop,
            running,
        }
    }

    /// Returns a client with the admin key.
    pub(crate) fn client(&self) -> Client {
        Client::new(Address::Tcp(self.address.clone()), self.key.clone())
    }

    /// Stops the server and closes its file.
    pub(crate) fn stop(self) {
        self.stop.send(()).unwrap();
        self.runtime.block_on(self.running).unwrap();
    }
}

/// Sends transfers on all connections, each of which waits for its response before the next request.
async fn closed_loop(service: &Service, accounts: usize, span: Duration) -> Latencies {
    let began = Instant::now();
    let mut load = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let mut client = service.client();
        load.spawn(async move {
            let mut random = Random::new();
            let mut times = Vec::new();
            while began.elapsed() < span {
                let key = random.key();
                let body = item(random.pair(accounts), None);
                let sent = Instant::now();
                let sending = client.send("POST", TRANSFERS, Some(&key), body.into());
                let answer = sending.await.unwrap();
                times.push(sent.elapsed());
                assert_eq!(answer.status, 201, "{}", answer.json());
            }
            times
        });
    }
    Latencies::new(load.join_all().await.into_iter().flatten().collect())
}

/// Returns the body of a transfer between two accounts, with a key if it is part of a batch.
pub(crate) fn item((from, to): (usize, usize), key: Option<&str>) -> String {
    let key = key.map_or_else(String::new, |key| format!(r#""idempotency_key":"{key}","#));
    format!(
        r#"{{{key}"postings":[{{"from":"user:{from}","to":"user:{to}","asset":"coin","amount":1}}]}}"#
    )
}

pub(crate) fn run(options: &Options, files: &mut Files) {
    let path = files.copy("http");
    let service = Service::start(path.clone());
    let clients = runtime("clients");
    clients.block_on(closed_loop(&service, options.accounts, WARM_UP));
    let title = "single transfers through HTTP, by connections; the process contains the clients";
    let table = Table::begin("http", title, COLUMNS, options.json);
    let span = options.span();
    for _ in 0..options.rounds {
        let load = || clients.block_on(closed_loop(&service, options.accounts, span));
        let measured = Measured::of(&path, load);
        let count = measured.latencies.count();
        let figures = [
            measured.per_second(),
            measured.latencies.at(500),
            measured.latencies.at(990),
            measured.usage.writer_us(count),
            measured.usage.thread_us("service", count),
            measured.usage.process_us(count),
            measured.usage.written_bytes(count),
            measured.kept_bytes(),
        ];
        table.row(&CONNECTIONS.to_string(), &figures);
    }
    service.stop();
    remove(&path);
}

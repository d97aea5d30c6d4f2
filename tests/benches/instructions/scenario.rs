//! The scenario that is measured: transfers on one connection to a server in this process, with real storage.

use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::routing::post;
use bursar_host::Limits;
use bursar_server::bodies::{BodyBounds, BodyLimiter};
use bursar_server::serve::{Server, Setup};
use bursar_server::service::CallBounds;
use bursar_server::webhooks::WebhookSetup;
use bursar_storage::{MaintenanceConfig, Reading, TimeSource};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};

use crate::pipe::{Pipe, PollConnection, poll_connection, poll_echo, poll_preparation, request};

/// The number of measured transfers. Each is a commit of its own.
pub(crate) const TRANSFERS: u64 = 256;

/// The number of transfers before the measured ones. After them caches and buffers have their final size.
const WARM_UP: u64 = 32;

/// The time of all clocks. Valgrind does not support the way in which those of the machine are read.
const TIME: Duration = Duration::from_hours(500_000);

const GUILD: &str = "/v1/economies/guild";

fn setup(database: PathBuf) -> Setup {
    Setup {
        database,
        listen: None,
        socket: None,
        allow_plain_http: false,
        clock: TimeSource::new("measured", || Reading {
            wall: TIME,
            elapsed: TIME,
        }),
        ticks: Arc::new(|| TIME),
        maintenance: MaintenanceConfig::standard(),
        // The sandbox reserves addresses for each slot, and valgrind has few.
        limits: Limits {
            slots: 2,
            ..Limits::standard()
        },
        compiler: bursar_host::Compiler::InProcess,
        calls: CallBounds::standard(),
        bodies: Arc::new(BodyLimiter::new(BodyBounds::standard())),
        schedules: None,
        webhooks: WebhookSetup::standard(),
        stop_patience: bursar_server::serve::STOP_PATIENCE,
        bench_echo: false,
    }
}

/// Runs the scenario. Each phase polls the connection through a function of its own, whose name is in the profile.
pub(crate) fn run() {
    // One thread, so that the order of events is the same each time.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    runtime.block_on(async {
        let server = Server::start(setup(folder.path().join("measured.db")));
        let server = server.await.unwrap();
        let key = server.admin_key().unwrap().to_owned();
        let pipe = Pipe::default();
        let mut connection = pin!(server.serve_stream(pipe.clone()));
        prepare(&pipe, connection.as_mut(), &key).await;
        let mut transfers = Transfers::new(&pipe, &key);
        transfers
            .send(connection.as_mut(), WARM_UP, poll_preparation)
            .await;
        transfers.send(connection, TRANSFERS, poll_connection).await;
        echo(&key).await;
    });
}

/// Creates the economy of the scenario.
async fn prepare(pipe: &Pipe, mut connection: Pin<&mut impl Future<Output = ()>>, key: &str) {
    let coin = json!({ "kind": "currency", "name": "Coin" });
    let money = json!({ "account": "user:1", "asset": "coin", "amount": 1_000_000 });
    for (method, path, body) in [
        ("PUT", "", json!({})),
        ("PUT", "/assets/coin", coin),
        ("PUT", "/accounts/user:1", json!({})),
        ("PUT", "/accounts/user:2", json!({})),
        ("POST", "/issue", money),
    ] {
        let path = format!("{GUILD}{path}");
        let bytes = request(method, &path, key, &path, &body);
        let response = pipe
            .exchange(connection.as_mut(), &bytes, poll_preparation)
            .await;
        assert!(response.starts_with("HTTP/1.1 20"), "{path}: {response}");
    }
}

/// Transfers with consecutive keys.
struct Transfers<'a> {
    pipe: &'a Pipe,
    key: &'a str,
    sent: u64,
}

impl<'a> Transfers<'a> {
    fn new(pipe: &'a Pipe, key: &'a str) -> Self {
        Self { pipe, key, sent: 0 }
    }

    /// Sends transfers, one after the other.
    async fn send(
        &mut self,
        mut connection: Pin<&mut impl Future<Output = ()>>,
        count: u64,
        poll: PollConnection,
    ) {
        let posting = json!({ "from": "user:1", "to": "user:2", "asset": "coin", "amount": 1 });
        let body = json!({ "postings": [posting] });
        let path = format!("{GUILD}/transfers");
        for _ in 0..count {
            let idempotency_key = format!("0198c0de-0000-7000-8000-{:012}", self.sent);
            self.sent += 1;
            let bytes = request("POST", &path, self.key, &idempotency_key, &body);
            let response = self.pipe.exchange(connection.as_mut(), &bytes, poll).await;
            assert!(response.starts_with("HTTP/1.1 20"), "{response}");
        }
    }
}

/// Sends the same requests to a handler that parses the body and responds.
async fn echo(key: &str) {
    let handler =
        |Json(body): Json<Value>| async move { Json(json!({ "postings": body["postings"] })) };
    let router = axum::Router::new().route(&format!("{GUILD}/transfers"), post(handler));
    let pipe = Pipe::default();
    let service = TowerToHyperService::new(router);
    let mut connection = pin!(async {
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(pipe.clone()), service);
        connection.await.unwrap();
    });
    let mut transfers = Transfers::new(&pipe, key);
    transfers
        .send(connection.as_mut(), WARM_UP, poll_preparation)
        .await;
    transfers.send(connection, TRANSFERS, poll_echo).await;
}

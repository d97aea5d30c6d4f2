//! Support for the stories: a real server on its own port, a real file and a client.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bursar_host::{Compiler, Limits};
use bursar_server::bodies::{BodyBounds, BodyLimiter};
use bursar_server::client::{Address, Client, Response};
use bursar_server::clock;
use bursar_server::http::render;
use bursar_server::serve::{STOP_PATIENCE, Server, Setup, ShutdownOutcome, SocketAccess};
use bursar_server::service::CallBounds;
use bursar_server::webhooks::WebhookSetup;
use bursar_storage::{AuditReport, MaintenanceConfig, Storage, audit_file};
use bytes::Bytes;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::openapi_check;
use crate::server_process::binary;

/// The path of the economy that most tests use.
pub(crate) const GUILD: &str = "/v1/economies/guild";

/// The coins that each member of a new economy has.
pub(crate) const STARTING_BALANCE: u64 = 1000;

/// A running server in this process.
pub(crate) struct TestServer {
    folder: TempDir,
    setup: Option<Setup>,
    address: String,
    pub(crate) admin_key: String,
    /// The storage of the served file, for what the HTTP API does not offer.
    pub(crate) storage: Storage,
    stop: oneshot::Sender<()>,
    running: JoinHandle<ShutdownOutcome>,
}

impl TestServer {
    /// Starts a server on a new file.
    pub(crate) async fn new() -> Self {
        Self::with_setup(|_| {}).await
    }

    /// Starts a server on a new file with a changed setup.
    pub(crate) async fn with_setup(change: impl FnOnce(&mut Setup)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::on_folder(folder, String::new(), change).await
    }

    /// Starts a server in a folder. If a previous server left a file there, the new server opens it and keeps
    /// `admin_key`.
    pub(crate) async fn on_folder(
        folder: TempDir,
        admin_key: String,
        change: impl FnOnce(&mut Setup),
    ) -> Self {
        let setup = Self::setup(&folder.path().join("test.db"), change);
        let mut server = Self::open(folder, setup.clone()).await;
        server.setup = Some(setup);
        if server.admin_key.is_empty() {
            server.admin_key = admin_key;
        }
        server
    }

    /// Returns the setup of a server on a file.
    pub(crate) fn setup(database: &Path, change: impl FnOnce(&mut Setup)) -> Setup {
        let mut setup = Setup {
            database: database.to_owned(),
            listen: Some("127.0.0.1:0".parse().unwrap()),
            socket: Some((
                database.with_file_name("bots.sock"),
                SocketAccess::default(),
            )),
            allow_plain_http: false,
            clock: clock::system(),
            ticks: clock::running(),
            maintenance: MaintenanceConfig::standard(),
            limits: Limits::standard(),
            compiler: compiler(),
            calls: CallBounds {
                // The tests do not depend on the speed of the machine.
                wait: Duration::from_mins(10),
                ..CallBounds::standard()
            },
            bodies: Arc::new(BodyLimiter::new(BodyBounds::standard())),
            schedules: Some(Duration::from_secs(1)),
            webhooks: WebhookSetup::standard(),
            stop_patience: STOP_PATIENCE,
            bench_echo: false,
        };
        change(&mut setup);
        setup
    }

    async fn open(folder: TempDir, setup: Setup) -> Self {
        let server = Server::start(setup).await.expect("the server starts");
        let address = server.address().unwrap().to_string();
        let admin_key = server.admin_key().unwrap_or_default().to_owned();
        let storage = server.storage().clone();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(server.run(async { drop(stopped.await) }));
        Self {
            folder,
            setup: None,
            address,
            admin_key,
            storage,
            stop,
            running,
        }
    }

    /// Stops the server in order and starts another one on the same file.
    pub(crate) async fn restart(self) -> Self {
        self.restart_after(|| {}).await
    }

    /// Stops the server in order, runs `meanwhile`, and starts another server on the same file.
    pub(crate) async fn restart_after(self, meanwhile: impl FnOnce()) -> Self {
        let setup = self
            .setup
            .clone()
            .expect("the setup of a started server is stored");
        let admin_key = self.admin_key.clone();
        let folder = self.into_folder().await;
        meanwhile();
        let mut server = Self::open(folder, setup.clone()).await;
        server.setup = Some(setup);
        server.admin_key = admin_key;
        server
    }

    /// Starts a server with an economy: a currency and `members` members with [`STARTING_BALANCE`] coins
    /// each.
    pub(crate) async fn with_guild(members: u64) -> (Self, GuildClient) {
        Self::new().await.with_members(members).await
    }

    /// Creates the economy of the tests with its members.
    pub(crate) async fn with_members(self, members: u64) -> (Self, GuildClient) {
        let server = self;
        let mut guild = GuildClient {
            client: server.client(&server.admin_key),
        };
        guild.create(members).await;
        (server, guild)
    }

    /// Returns a client with this key.
    pub(crate) fn client(&self, key: &str) -> Client {
        Client::new(Address::Tcp(self.address.clone()), key)
    }

    /// Sends many `POST` requests at the same time, each on its own connection. A request is a path in the
    /// economy, an idempotency key and a body. Returns the responses in the order of the requests.
    pub(crate) async fn post_concurrently(
        &self,
        requests: Vec<(String, String, Value)>,
    ) -> Vec<Response> {
        let mut running = JoinSet::new();
        for (place, (path, key, body)) in requests.into_iter().enumerate() {
            let mut client = self.admin();
            running.spawn(async move {
                let response = client.post(&format!("{GUILD}/{path}"), &key, &body).await;
                (place, response.expect("a response"))
            });
        }
        let mut responses = running.join_all().await;
        responses.sort_by_key(|(place, _)| *place);
        responses
            .into_iter()
            .map(|(_, response)| response)
            .collect()
    }

    /// Returns a client with the admin key.
    pub(crate) fn admin(&self) -> Client {
        self.client(&self.admin_key)
    }

    /// Returns a client with the admin key on the Unix socket.
    pub(crate) fn unix_client(&self) -> Client {
        Client::new(
            Address::Unix(self.folder.path().join("bots.sock")),
            &self.admin_key,
        )
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("test.db")
    }

    /// Stops the server in order and returns its folder.
    pub(crate) async fn into_folder(self) -> TempDir {
        let (folder, ended) = self.stop().await;
        assert_eq!(ended, ShutdownOutcome::InOrder);
        folder
    }

    /// Stops the server and returns its folder and how it ended.
    pub(crate) async fn stop(self) -> (TempDir, ShutdownOutcome) {
        self.stop.send(()).expect("the server runs");
        (
            self.folder,
            self.running.await.expect("the server does not panic"),
        )
    }

    /// Waits up to a minute for a server that ends without being stopped, and returns how it ended.
    pub(crate) async fn wait_for_end(self) -> ShutdownOutcome {
        let ended = tokio::time::timeout(Duration::from_mins(1), self.running).await;
        ended
            .expect("the server ends within a minute")
            .expect("the server does not panic")
    }

    /// Stops the server in order and asserts that the audit of its file finds nothing.
    pub(crate) async fn close(self) -> AuditReport {
        let folder = self.into_folder().await;
        assert_audit_passes(&folder.path().join("test.db"))
    }
}

/// Audits a file and asserts that every promise holds.
pub(crate) fn assert_audit_passes(file: &Path) -> AuditReport {
    let report = audit_file(file, &[], render, &mut |_, _| {}).expect("the audit runs");
    assert!(report.ok, "{report:#?}");
    report
}

pub(crate) fn currency() -> Value {
    json!({ "kind": "currency", "name": "Coin" })
}

pub(crate) fn posting(from: &str, to: &str, amount: u64) -> Value {
    json!({ "postings": [{ "from": from, "to": to, "asset": "coin", "amount": amount }] })
}

/// Uploads a component. Waits longer than a bot does, because other uploads may be queued.
pub(crate) async fn upload(client: Client, bytes: impl Into<Bytes>) -> Response {
    let mut client = client.with_patience(Duration::from_mins(10));
    let path = "/v1/components";
    let response = client.send("POST", path, None, bytes.into()).await;
    let response = response.expect("a response");
    openapi_check::check("POST", path, &response);
    response
}

/// Uploads the malicious test plugin and installs it with the permissions it requests, which are none.
pub(crate) async fn install_malicious(guild: &mut GuildClient) {
    let bytes = Bytes::from_static(bursar_server::bundled::MALICIOUS);
    let uploaded = guild
        .client
        .send("POST", "/v1/components", None, bytes)
        .await;
    let uploaded = uploaded.unwrap();
    assert_eq!(uploaded.status, 201, "{}", uploaded.json());
    let digest = uploaded.json()["component"].as_str().unwrap().to_owned();
    guild.install("malicious", &digest, json!({})).await;
}

/// Makes the first member's calls of the malicious plugin trap after their draws, `times` times.
pub(crate) async fn trap_after_draws(guild: &mut GuildClient, times: usize) {
    for number in 0..times {
        let bet = json!({"asset": "coin", "amount": 1});
        let key = format!("k{number}");
        guild
            .call("malicious/trap_after_draw", &key, "user:1", bet)
            .await;
    }
}

/// Returns the plugin's own code of a declined call; empty if the call was not declined.
pub(crate) fn decline_code(response: &Response) -> String {
    response.json()["decline"]["code"]
        .as_str()
        .unwrap_or_default()
        .into()
}

/// A client of one economy, as a bot uses it. Checks responses against the API's description.
pub(crate) struct GuildClient {
    pub(crate) client: Client,
}

impl GuildClient {
    pub(crate) async fn put(&mut self, path: &str, body: Value) -> Response {
        let response = self.client.put(path, &body).await.expect("a response");
        openapi_check::check("PUT", path, &response);
        response
    }

    pub(crate) async fn put_ok(&mut self, path: &str, body: Value) {
        let created = self.put(path, body).await;
        assert!(
            created.status.is_success(),
            "{path}: {} {}",
            created.status,
            created.json()
        );
    }

    pub(crate) async fn post(&mut self, path: &str, key: &str, body: Value) -> Response {
        let path = format!("{GUILD}/{path}");
        let response = self.client.post(&path, key, &body).await;
        let response = response.expect("a response");
        openapi_check::check("POST", &path, &response);
        response
    }

    pub(crate) async fn get(&mut self, path: &str) -> Response {
        let response = self.client.get(path).await.expect("a response");
        openapi_check::check("GET", path, &response);
        response
    }

    /// Creates the economy: a currency and members with a starting balance.
    pub(crate) async fn create(&mut self, members: u64) {
        self.put_ok(GUILD, json!({})).await;
        self.put_ok(&format!("{GUILD}/assets/coin"), currency())
            .await;
        for number in 1..=members {
            self.add_member(number).await;
        }
    }

    /// Opens an account and issues its starting balance.
    pub(crate) async fn add_member(&mut self, number: u64) {
        let path = format!("{GUILD}/accounts/user:{number}");
        self.put_ok(&path, json!({})).await;
        self.issue(&format!("user:{number}"), "coin", STARTING_BALANCE)
            .await;
    }

    pub(crate) async fn issue(&mut self, account: &str, asset: &str, amount: u64) {
        let body = json!({ "account": account, "asset": asset, "amount": amount });
        let issued = self
            .post("issue", &format!("issue {account} {asset} {amount}"), body)
            .await;
        assert_eq!(issued.status, 201, "{}", issued.json());
    }

    pub(crate) async fn transfer(&mut self, key: &str, from: &str, to: &str, n: u64) -> Response {
        self.post("transfers", key, posting(from, to, n)).await
    }

    pub(crate) async fn call(
        &mut self,
        action: &str,
        key: &str,
        caller: &str,
        arguments: Value,
    ) -> Response {
        let (plugin, action) = action.split_once('/').unwrap();
        let path = format!("plugins/{plugin}/actions/{action}");
        self.post(
            &path,
            key,
            json!({ "caller": caller, "arguments": arguments }),
        )
        .await
    }

    /// Creates an API key and returns a client with it.
    pub(crate) async fn create_key(
        &mut self,
        server: &TestServer,
        name: &str,
        body: Value,
    ) -> Client {
        let created = self.put(&format!("/v1/keys/{name}"), body).await;
        assert!(created.status.is_success(), "{}", created.json());
        server.client(created.json()["key"].as_str().expect("a secret"))
    }

    /// Asserts that a call was refused for want of room, and that no answer is stored under its key.
    pub(crate) async fn assert_overloaded(&mut self, response: &Response, key: &str) {
        assert_eq!(
            (response.status.as_u16(), response.retry_after),
            (503, Some(1))
        );
        let outcome = self.get(&format!("{GUILD}/outcomes/{key}")).await;
        assert_eq!(outcome.code(), "outcome_not_found");
    }

    pub(crate) async fn install(&mut self, plugin: &str, component: &str, config: Value) {
        let body = json!({
            "component": component, "grants": "requested", "config": config, "enabled": true,
        });
        self.put_ok(&format!("{GUILD}/plugins/{plugin}"), body)
            .await;
    }

    /// Returns an account's posted balance of an asset.
    pub(crate) async fn posted(&mut self, account: &str, asset: &str) -> i64 {
        let account = self
            .get(&format!("{GUILD}/accounts/{account}"))
            .await
            .json();
        account["balances"][asset]["posted"].as_i64().unwrap_or(0)
    }

    /// Returns all events of the economy in order.
    pub(crate) async fn events(&mut self) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let after = events.last().map_or(0, |event: &Value| {
                event["seq"]
                    .as_u64()
                    .expect("events have a sequence number")
            });
            let path = format!("{GUILD}/events?limit=500&after={after}");
            let page = self.get(&path).await.json();
            match page["events"].as_array().expect("a page").as_slice() {
                [] => return events,
                page => events.extend_from_slice(page),
            }
        }
    }

    /// Returns the coins of the members 1 to `members`.
    pub(crate) async fn coin_balances(&mut self, members: u64) -> Vec<i64> {
        let mut coins = Vec::new();
        for number in 1..=members {
            coins.push(self.posted(&format!("user:{number}"), "coin").await);
        }
        coins
    }
}

/// Returns the compiler of production, a child process. Its program is the binary built for the tests.
fn compiler() -> Compiler {
    Compiler::child(binary().to_owned(), vec!["compile-component".into()])
}

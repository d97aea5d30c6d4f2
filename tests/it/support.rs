//! A guild to play stories in: a real server on a port of its own, a real file, a client.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bursar_host::{Compiler, Limits};
use bursar_server::bodies::{BodyBounds, BodyLimiter};
use bursar_server::client::{Address, Client, Response};
use bursar_server::clock;
use bursar_server::http::render;
use bursar_server::serve::{Ended, STOP_PATIENCE, Server, Setup, SocketAccess};
use bursar_server::service::CallBounds;
use bursar_server::webhooks::WebhookSetup;
use bursar_storage::{AuditReport, Storage, audit_file};
use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::described;

/// The economy of most stories.
pub(crate) const GUILD: &str = "/v1/economies/guild";

/// What each member of a new guild has.
pub(crate) const PURSE: u64 = 1000;

/// A running server.
pub(crate) struct House {
    folder: TempDir,
    setup: Option<Setup>,
    address: String,
    pub(crate) admin_key: String,
    /// The file that is served, for what cannot be asked over HTTP.
    pub(crate) storage: Storage,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Ended>,
}

impl House {
    /// A server on a new file.
    pub(crate) async fn new() -> Self {
        Self::set_up(|_| {}).await
    }

    /// A server on a new file, set up as the story needs it.
    pub(crate) async fn set_up(change: impl FnOnce(&mut Setup)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::again(folder, String::new(), change).await
    }

    /// A server on the file that another one has left behind, if there is one.
    pub(crate) async fn again(
        folder: TempDir,
        admin_key: String,
        change: impl FnOnce(&mut Setup),
    ) -> Self {
        let setup = Self::setup(&folder.path().join("test.db"), change);
        let mut house = Self::open(folder, setup.clone()).await;
        house.setup = Some(setup);
        if house.admin_key.is_empty() {
            house.admin_key = admin_key;
        }
        house
    }

    /// How a server on a file is set up.
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
            limits: Limits::standard(),
            compiler: compiler(),
            calls: CallBounds {
                // Stories do not depend on how fast the machine is.
                wait: Duration::from_mins(10),
                ..CallBounds::standard()
            },
            bodies: Arc::new(BodyLimiter::new(BodyBounds::standard())),
            schedules: Some(Duration::from_secs(1)),
            webhooks: WebhookSetup::standard(),
            stop_patience: STOP_PATIENCE,
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
    pub(crate) async fn restarted(self) -> Self {
        self.restarted_after(|| {}).await
    }

    /// Stops the server in order, and starts another one on the same file after something has happened.
    pub(crate) async fn restarted_after(self, meanwhile: impl FnOnce()) -> Self {
        let setup = self.setup.clone().expect("how it was set up");
        let admin_key = self.admin_key.clone();
        let folder = self.left_behind().await;
        meanwhile();
        let mut house = Self::open(folder, setup.clone()).await;
        house.setup = Some(setup);
        house.admin_key = admin_key;
        house
    }

    /// A server with a guild: a currency, a few members with a purse each.
    pub(crate) async fn with_guild(members: u64) -> (Self, Guild) {
        Self::new().await.furnished(members).await
    }

    /// Opens the guild in a server.
    pub(crate) async fn furnished(self, members: u64) -> (Self, Guild) {
        let house = self;
        let mut guild = Guild {
            client: house.client(&house.admin_key),
        };
        guild.found(members).await;
        (house, guild)
    }

    /// A connection with some key.
    pub(crate) fn client(&self, key: &str) -> Client {
        Client::new(Address::Tcp(self.address.clone()), key)
    }

    /// Sends the same kind of `POST` many times at the same moment, each from a connection of its
    /// own: a path in the guild, an idempotency key and a body.
    pub(crate) async fn at_once(&self, asks: Vec<(String, String, Value)>) -> Vec<Response> {
        let mut running = JoinSet::new();
        for (place, (path, key, body)) in asks.into_iter().enumerate() {
            let mut client = self.admin();
            running.spawn(async move {
                let answer = client.post(&format!("{GUILD}/{path}"), &key, &body).await;
                (place, answer.expect("an answer"))
            });
        }
        let mut answers = running.join_all().await;
        answers.sort_by_key(|(place, _)| *place);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    /// A connection with the admin key.
    pub(crate) fn admin(&self) -> Client {
        self.client(&self.admin_key)
    }

    /// A connection over the Unix socket.
    pub(crate) fn over_unix(&self) -> Client {
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

    /// Stops the server in order and leaves the file behind, for a process of its own.
    pub(crate) async fn left_behind(self) -> TempDir {
        let (folder, ended) = self.stopped().await;
        assert_eq!(ended, Ended::InOrder);
        folder
    }

    /// Stops the server, and says how it ended.
    pub(crate) async fn stopped(self) -> (TempDir, Ended) {
        self.stop.send(()).expect("the server runs");
        (self.folder, self.running.await.expect("the server ends"))
    }

    /// Returns how a server ended that was not asked to; waits for up to a minute.
    pub(crate) async fn ended_by_itself(self) -> Ended {
        let ended = tokio::time::timeout(Duration::from_mins(1), self.running).await;
        ended.expect("it ends").expect("the server ends")
    }

    /// Stops the server in order and audits the file: every story ends with every promise kept.
    pub(crate) async fn close(self) -> AuditReport {
        let folder = self.left_behind().await;
        audited(&folder.path().join("test.db"))
    }
}

/// Audits a file and insists on every promise.
pub(crate) fn audited(file: &Path) -> AuditReport {
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

/// Uploads bytes as a component, with more patience than a bot has: others may come first.
pub(crate) async fn upload(client: Client, bytes: impl Into<Bytes>) -> Response {
    let mut client = client.with_patience(Duration::from_mins(10));
    let path = "/v1/components";
    let answer = client.send("POST", path, None, bytes.into()).await;
    let answer = answer.expect("an answer");
    described::check("POST", path, &answer);
    answer
}

/// Uploads the malicious plugin and installs it with all that it asks for, which is nothing.
pub(crate) async fn install_malicious(guild: &mut Guild) {
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

/// Has the malicious plugin break off so many of the first member's calls after their draws.
pub(crate) async fn break_off_after_draws(guild: &mut Guild, times: usize) {
    for number in 0..times {
        let bet = json!({"asset": "coin", "amount": 1});
        let key = format!("k{number}");
        guild
            .call("malicious/trap_after_draw", &key, "user:1", bet)
            .await;
    }
}

/// The plugin's own code in a decline; empty if it is none.
pub(crate) fn decline_code(answer: &Response) -> String {
    answer.json()["decline"]["code"]
        .as_str()
        .unwrap_or_default()
        .into()
}

/// A guild, through the eyes of a bot.
pub(crate) struct Guild {
    pub(crate) client: Client,
}

impl Guild {
    pub(crate) async fn put(&mut self, path: &str, body: Value) -> Response {
        let answer = self.client.put(path, &body).await.expect("an answer");
        described::check("PUT", path, &answer);
        answer
    }

    pub(crate) async fn made(&mut self, path: &str, body: Value) {
        let made = self.put(path, body).await;
        assert!(
            made.status.is_success(),
            "{path}: {} {}",
            made.status,
            made.json()
        );
    }

    pub(crate) async fn post(&mut self, path: &str, key: &str, body: Value) -> Response {
        let path = format!("{GUILD}/{path}");
        let answer = self.client.post(&path, key, &body).await;
        let answer = answer.expect("an answer");
        described::check("POST", &path, &answer);
        answer
    }

    pub(crate) async fn get(&mut self, path: &str) -> Response {
        let answer = self.client.get(path).await.expect("an answer");
        described::check("GET", path, &answer);
        answer
    }

    /// Opens the guild: a currency, a few members with a purse each.
    pub(crate) async fn found(&mut self, members: u64) {
        self.made(GUILD, json!({})).await;
        self.made(&format!("{GUILD}/assets/coin"), currency()).await;
        for number in 1..=members {
            self.welcome(number).await;
        }
    }

    /// A new member, with a purse.
    pub(crate) async fn welcome(&mut self, number: u64) {
        let path = format!("{GUILD}/accounts/user:{number}");
        self.made(&path, json!({})).await;
        self.issue(&format!("user:{number}"), "coin", PURSE).await;
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

    pub(crate) async fn install(&mut self, plugin: &str, component: &str, config: Value) {
        let body = json!({
            "component": component, "grants": "requested", "config": config, "enabled": true,
        });
        self.made(&format!("{GUILD}/plugins/{plugin}"), body).await;
    }

    /// What an account has posted of an asset.
    pub(crate) async fn posted(&mut self, account: &str, asset: &str) -> i64 {
        let account = self
            .get(&format!("{GUILD}/accounts/{account}"))
            .await
            .json();
        account["balances"][asset]["posted"].as_i64().unwrap_or(0)
    }

    /// The guild's records, all of them in order.
    pub(crate) async fn events(&mut self) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let after = events.last().map_or(0, |event: &Value| {
                event["seq"].as_u64().expect("records have a number")
            });
            let path = format!("{GUILD}/events?limit=500&after={after}");
            let page = self.get(&path).await.json();
            match page["events"].as_array().expect("a page").as_slice() {
                [] => return events,
                more => events.extend_from_slice(more),
            }
        }
    }

    /// Everything that the guild's books say, as one value.
    pub(crate) async fn coins(&mut self, members: u64) -> Vec<i64> {
        let mut coins = Vec::new();
        for number in 1..=members {
            coins.push(self.posted(&format!("user:{number}"), "coin").await);
        }
        coins
    }
}

/// Components are compiled by a child, as always: here it is the binary that is built beside.
fn compiler() -> Compiler {
    Compiler::child(binary().to_owned(), vec!["compile-component".into()])
}

/// The binary, built beside these tests.
pub(crate) fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_bursar-under-test"))
}

/// A server in a process of its own, which can be killed.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: String,
    /// The admin key, if this start has made the file.
    pub(crate) admin_key: Option<String>,
}

impl Process {
    /// Serves a file on a free port.
    pub(crate) fn serve(file: &Path) -> Self {
        Self::run(binary(), file)
    }

    /// The same, by a program that starts the binary.
    pub(crate) fn run(program: &Path, file: &Path) -> Self {
        Self::start(program, file, Stdio::null(), &[])
    }

    /// The same, with further options, and with its log in a file.
    pub(crate) fn logging(file: &Path, log: File, options: &[&str]) -> Self {
        Self::start(binary(), file, log.into(), options)
    }

    fn start(program: &Path, file: &Path, log: Stdio, options: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--db"])
            .arg(file)
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut admin_key = None;
        let words = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in words.map_while(Result::ok) {
            if let Some(key) = line.strip_prefix("admin key: ") {
                admin_key = Some(key.to_owned());
            }
            if let Some(address) = line.strip_prefix("listening on http://") {
                let address = address.to_owned();
                return Self {
                    child,
                    address,
                    admin_key,
                };
            }
        }
        panic!("the server did not come up: {:?}", child.wait());
    }

    /// A connection with some key.
    pub(crate) fn client(&self, key: &str) -> Client {
        Client::new(Address::Tcp(self.address.clone()), key)
    }

    /// Bytes of memory that it holds at the moment.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: u64 = { line.unwrap().trim().trim_end_matches(" kB") }
            .parse()
            .unwrap();
        kib * 1024
    }

    /// Ends it by SIGKILL, in the middle of whatever it does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop. True if it ended in order.
    pub(crate) fn stop(mut self) -> bool {
        self.terminate();
        self.child.wait().unwrap().success()
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
    }

    /// The process.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap()
    }

    /// Its exit code, once it ends by itself; waited for up to a minute.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        for _ in 0..1_200 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the process goes on");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A test that failed leaves nothing running.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

//! `bursar serve`: a server until it is stopped.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bursar_host::Limits;
use bursar_storage::{MaintenanceConfig, StorageError};
use clap::Args;
use tokio::sync::oneshot;

use super::error::{CommandError, CommandResult};
use super::listen::address;
use super::runtime::{LAST_PATIENCE, block_on, compiler};
use super::style;
use crate::bodies::{BodyBounds, BodyLimiter};
use crate::clock;
use crate::config::start_logs;
use crate::logs::{DROP_REPORT_INTERVAL, LogFormat, LogRation};
use crate::serve::{
    STOP_PATIENCE, Server, Setup, ShutdownOutcome, SocketAccess, SocketMode, StartError, group_id,
};
use crate::service::CallBounds;
use crate::webhooks::WebhookSetup;

/// The interval at which the server looks for due schedules.
const SCHEDULES_SWEEP: Duration = Duration::from_secs(1);

/// Serve the API from a database file.
#[derive(Args, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub(super) struct Serve {
    /// The database file; created if it does not exist
    #[arg(long, value_name = "FILE", default_value = "bursar.db")]
    db: PathBuf,
    /// The address to listen on: an address with a port, or a port alone, which only this machine can reach; port 0
    /// picks a free port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7777", value_parser = address)]
    listen: SocketAddr,
    /// A Unix socket to listen on in addition
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Permissions of the Unix socket, in octal; users with write permission can connect
    #[arg(long, value_name = "MODE", default_value_t, requires = "socket")]
    socket_mode: SocketMode,
    /// Group of the Unix socket, as a name in /etc/group or a number
    #[arg(long, value_name = "GROUP", requires = "socket")]
    socket_group: Option<String>,
    /// Do not listen on TCP
    #[arg(long, requires = "socket")]
    no_tcp: bool,
    /// Accept connections from other machines, although the protocol is plain HTTP
    #[arg(long)]
    allow_plain_http: bool,
    /// Allow webhooks to private and reserved addresses
    #[arg(long)]
    allow_private_webhooks: bool,
    /// Maximum seconds for the orderly shutdown after a stop signal
    #[arg(long, value_name = "SECONDS", default_value_t = STOP_PATIENCE.as_secs(),
          value_parser = clap::value_parser!(u64).range(1..=STOP_SECONDS_MAX))]
    stop_deadline: u64,
    /// Format of the logs on standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Serve a route that returns what it receives, for `bursar bench`
    #[arg(long, hide = true)]
    bench_echo: bool,
}

/// The largest value of `--stop-deadline`, in seconds.
const STOP_SECONDS_MAX: u64 = 3_600;

/// The exit code after the writer gave the file up: an operator should check the file and its disk.
const GAVE_UP: u8 = 70;

/// The exit code of a shutdown that did not end within its deadline.
const LATE: u8 = 75;

impl Serve {
    pub(super) fn run(self, maintenance: MaintenanceConfig) -> CommandResult {
        let logs = start_logs(self.log_format);
        block_on(async {
            let result = tokio::select! {
                result = self.serve(maintenance) => result,
                never = report_dropped_lines(&logs) => match never {},
            };
            logs.report_dropped();
            result
        })?
    }

    async fn serve(self, maintenance: MaintenanceConfig) -> CommandResult {
        let socket = self.socket.clone();
        let access = SocketAccess {
            mode: self.socket_mode,
            group: self.socket_group.as_deref().map(group).transpose()?,
        };
        let stop_patience = Duration::from_secs(self.stop_deadline);
        let setup = Setup {
            database: self.db.clone(),
            listen: (!self.no_tcp).then_some(self.listen),
            socket: self.socket.map(|path| (path, access)),
            allow_plain_http: self.allow_plain_http,
            clock: clock::system(),
            ticks: clock::running(),
            maintenance,
            limits: Limits::standard(),
            compiler: compiler()?,
            calls: CallBounds::standard(),
            bodies: Arc::new(BodyLimiter::new(BodyBounds::standard())),
            schedules: Some(SCHEDULES_SWEEP),
            stop_patience,
            bench_echo: self.bench_echo,
            webhooks: WebhookSetup {
                allow_private: self.allow_private_webhooks,
                ..WebhookSetup::standard()
            },
        };
        // The handlers are installed before the address is printed: a supervisor that has read it may stop the server
        // at once.
        let stop = stop_signal(stop_patience).map_err(CommandError::new)?;
        let server = Server::start(setup).await.map_err(explain)?;
        if let Some(key) = server.admin_key() {
            style::remark("This file is new. Store its admin key, which is not shown again:");
            style::say(format!("admin key: {key}"));
        }
        if let Some(socket) = socket {
            style::say(format!("listening on unix:{}", socket.display()));
        }
        if let Some(address) = server.address() {
            style::say(format!("listening on http://{address}"));
        }
        Ok(match server.run(stop).await {
            ShutdownOutcome::InOrder => ExitCode::SUCCESS,
            ShutdownOutcome::GaveUp => {
                style::error(
                    "the writer gave the file up; the reason is in the log. Check the file and its disk, then start the \
                     server again",
                );
                ExitCode::from(GAVE_UP)
            }
            ShutdownOutcome::Late { left } => {
                style::error(late(&left.join(", ")));
                ExitCode::from(LATE)
            }
        })
    }
}

/// Returns the number of a group of this machine.
fn group(name: &str) -> Result<u32, CommandError> {
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    group_id(name, &groups).map_err(CommandError::new)
}

/// Returns the error of a shutdown that did not end within its deadline.
fn late(left: &str) -> String {
    format!(
        "the stop deadline has passed before these ended: {left}. No acknowledged request is lost; start the \
         server again"
    )
}

fn explain(error: StartError) -> CommandError {
    match error {
        StartError::Storage(StorageError::Busy { path, pid, .. }) => CommandError::new(format!(
            "{} is being served by process {pid}; stop that process first, or use another file",
            path.display()
        )),
        other => CommandError::new(other),
    }
}

/// Reports dropped log lines at an interval, without an end.
async fn report_dropped_lines(logs: &LogRation) -> Infallible {
    let mut interval = tokio::time::interval(DROP_REPORT_INTERVAL);
    loop {
        interval.tick().await;
        logs.report_dropped();
    }
}

/// Returns a future that completes when the process receives SIGINT or SIGTERM.
///
/// Both signals have handlers from the return of this function on. After a signal the process ends by itself if the
/// shutdown takes longer than its deadline.
#[expect(
    clippy::disallowed_methods,
    reason = "main cannot end a process whose threads it waits for"
)]
fn stop_signal(patience: Duration) -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    // A thread with a runtime of its own waits for the signals and enforces the deadline, because the threads of the
    // server may all be blocked by then. The signals must be registered within that runtime, whose driver wakes the
    // listeners (https://docs.rs/tokio/latest/tokio/signal/unix/fn.signal.html).
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let entered = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    drop(entered);
    let (sender, receiver) = oneshot::channel();
    let wait = move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            sender.send(()).ok();
            // The margin lets the command itself report what has not ended.
            tokio::time::sleep(patience + LAST_PATIENCE * 2).await;
        });
        style::error(late("the server itself"));
        std::process::exit(LATE.into());
    };
    std::thread::Builder::new()
        .name("stop".into())
        .spawn(wait)?;
    Ok(async move {
        // The sender is dropped only if the thread has panicked; the server then runs without these signals.
        if receiver.await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

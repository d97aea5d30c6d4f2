//! `bursar serve`

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bursar_host::Limits;
use bursar_storage::StorageError;
use clap::Args;
use tokio::sync::oneshot;

use super::listen::address;
use super::{CommandError, Done, LAST_PATIENCE, block_on, style};
use crate::bodies::{BodyBounds, BodyLimiter};
use crate::clock;
use crate::config::{LogFormat, start_logs};
use crate::logs::{DROPS_TOLD_EVERY, LogRation};
use crate::serve::{
    Ended, STOP_PATIENCE, Server, Setup, SocketAccess, SocketMode, StartError, group_id,
};
use crate::service::CallBounds;
use crate::webhooks::WebhookSetup;

/// The time between two looks for due times of schedules.
const SCHEDULES_SWEEP: Duration = Duration::from_secs(1);

/// Serve the API from a database file.
#[derive(Args, Debug)]
pub(super) struct Serve {
    /// The database file; made with its first start
    #[arg(long, value_name = "FILE", default_value = "bursar.db")]
    db: PathBuf,
    /// Where to listen: an address with a port, or a port, which is listened on for this machine alone; port
    /// 0 picks a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7777", value_parser = address)]
    listen: SocketAddr,
    /// A Unix socket to listen on as well
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Permissions of that socket, in octal: whoever may write to it may connect
    #[arg(long, value_name = "MODE", default_value_t, requires = "socket")]
    socket_mode: SocketMode,
    /// The group of that socket, by its name in /etc/group or its number
    #[arg(long, value_name = "GROUP", requires = "socket")]
    socket_group: Option<String>,
    /// Do not listen on TCP
    #[arg(long, requires = "socket")]
    no_tcp: bool,
    /// Listen beyond this machine although this is plain HTTP
    #[arg(long)]
    allow_plain_http: bool,
    /// Let webhooks lead to private and reserved addresses
    #[arg(long)]
    allow_private_webhooks: bool,
    /// Seconds that the server has to end in order once it is asked to stop
    #[arg(long, value_name = "SECONDS", default_value_t = STOP_PATIENCE.as_secs(),
          value_parser = clap::value_parser!(u64).range(1..=STOP_SECONDS_MAX))]
    stop_deadline: u64,
    /// How logs are written, to standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

/// The longest time that a server may be given to end in order, in seconds: an hour.
const STOP_SECONDS_MAX: u64 = 3_600;

/// The exit code of a process whose writer gave the file up: somebody should look at it.
const GAVE_UP: u8 = 70;

/// The exit code of a process that was asked to stop and did not end in time.
const LATE: u8 = 75;

impl Serve {
    pub(super) fn run(self) -> Done {
        let logs = start_logs(self.log_format);
        block_on(async {
            let done = tokio::select! {
                done = self.serve() => done,
                never = tell_drops(&logs) => match never {},
            };
            logs.tell_dropped();
            done
        })?
    }

    async fn serve(self) -> Done {
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
            limits: Limits::standard(),
            compiler: super::compiler()?,
            calls: CallBounds::standard(),
            bodies: Arc::new(BodyLimiter::new(BodyBounds::standard())),
            schedules: Some(SCHEDULES_SWEEP),
            stop_patience,
            webhooks: WebhookSetup {
                allow_private: self.allow_private_webhooks,
                ..WebhookSetup::standard()
            },
        };
        // Before anybody is told that it listens: whoever heard that may ask it to stop.
        let stop = asked_to_stop(stop_patience).map_err(CommandError::new)?;
        let server = Server::start(setup).await.map_err(explain)?;
        if let Some(key) = server.admin_key() {
            style::remark("This file is new. Its admin key is shown once, now:");
            style::say(format!("admin key: {key}"));
        }
        if let Some(socket) = socket {
            style::say(format!("listening on unix:{}", socket.display()));
        }
        if let Some(address) = server.address() {
            style::say(format!("listening on http://{address}"));
        }
        Ok(match server.run(stop).await {
            Ended::InOrder => ExitCode::SUCCESS,
            Ended::GaveUp => {
                style::complain(
                    "the writer gave the file up; the log says why. Look at the file and its disk, \
                     then start again",
                );
                ExitCode::from(GAVE_UP)
            }
            Ended::Late { left } => {
                style::complain(late(&left.join(", ")));
                ExitCode::from(LATE)
            }
        })
    }
}

/// A group of this machine.
fn group(name: &str) -> Result<u32, CommandError> {
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    group_id(name, &groups).map_err(CommandError::new)
}

fn late(left: &str) -> String {
    format!(
        "the stop deadline is over, and this had not ended: {left}. Nothing acknowledged is lost; \
         start again"
    )
}

fn explain(error: StartError) -> CommandError {
    match error {
        StartError::Storage(StorageError::Busy { path, pid, .. }) => CommandError::new(format!(
            "{} is being served by process {pid}; stop that one first, or use another file",
            path.display()
        )),
        other => CommandError::new(other),
    }
}

/// Tells now and then which lines were dropped.
async fn tell_drops(logs: &LogRation) -> Infallible {
    let mut rounds = tokio::time::interval(DROPS_TOLD_EVERY);
    loop {
        rounds.tick().await;
        logs.tell_dropped();
    }
}

/// Done when the process is asked to stop, by Ctrl-C or by a supervisor.
///
/// The signals are waited for on a thread with a runtime of its own, which also ends the process
/// when the time to stop is over and some more: whatever holds up the threads of the server does not
/// hold up this one.
#[expect(
    clippy::disallowed_methods,
    reason = "main cannot end a process whose threads it waits for"
)]
fn asked_to_stop(patience: Duration) -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut interrupt, mut terminate) = {
        let _entered = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        )
    };
    let (ask, asked) = oneshot::channel();
    let wait = move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            ask.send(()).ok();
            tokio::time::sleep(patience + LAST_PATIENCE * 2).await;
        });
        style::complain(late("the server itself"));
        std::process::exit(LATE.into());
    };
    std::thread::Builder::new()
        .name("stop".into())
        .spawn(wait)?;
    Ok(async move {
        // The thread waits for ever; without it nobody could ask.
        if asked.await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

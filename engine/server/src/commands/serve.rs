//! `bursar serve`

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bursar_host::Limits;
use bursar_storage::StorageError;
use clap::Args;

use super::{CommandError, Done, block_on, style};
use crate::clock;
use crate::config::{LogFormat, start_logs};
use crate::economy::CallBounds;
use crate::logs::{DROPS_TOLD_EVERY, LogRation};
use crate::serve::{Server, Setup, StartError};
use crate::webhooks::WebhookSetup;

/// How often the server looks for due times of schedules.
const SCHEDULES_SWEEP: Duration = Duration::from_secs(1);

/// Serve the API from a database file.
#[derive(Args, Debug)]
pub(super) struct Serve {
    /// The database file; made with its first start
    #[arg(long, value_name = "FILE", default_value = "bursar.db")]
    db: PathBuf,
    /// Where to listen; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7777")]
    listen: SocketAddr,
    /// A Unix socket to listen on as well
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Do not listen on TCP
    #[arg(long, requires = "socket")]
    no_tcp: bool,
    /// Listen beyond this machine although this is plain HTTP
    #[arg(long)]
    allow_plain_http: bool,
    /// Let webhooks lead to private and reserved addresses
    #[arg(long)]
    allow_private_webhooks: bool,
    /// How logs are written, to standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

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
        let setup = Setup {
            database: self.db.clone(),
            listen: (!self.no_tcp).then_some(self.listen),
            socket: self.socket,
            allow_plain_http: self.allow_plain_http,
            clock: clock::system(),
            ticks: clock::running(),
            limits: Limits::standard(),
            compiler: super::compiler()?,
            calls: CallBounds::standard(),
            schedules: Some(SCHEDULES_SWEEP),
            webhooks: WebhookSetup {
                allow_private: self.allow_private_webhooks,
                ..WebhookSetup::standard()
            },
        };
        // Before anybody is told that it listens: whoever heard that may ask it to stop.
        let stop = asked_to_stop().map_err(CommandError::new)?;
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
        let closed = server.run(stop).await;
        Ok(if closed {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
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
fn asked_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

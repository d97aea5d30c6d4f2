//! `bursar import`: an economy out of another file, or opening balances out of a list.

mod balances;
mod fields;
mod list;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use bursar_host::Limits;
use bursar_ledger::EconomyId;
use bursar_storage::{ImportContext, OfflineFile, State, import_file};
use clap::Args;
use serde_json::Value;
use tokio::sync::oneshot;

use super::owner::{Access, LONG_PATIENCE, access, check_there};
use super::progress::progress;
use super::{CommandError, Done, block_on, style};
use crate::bodies::{BodyBounds, BodyLimiter};
use crate::client::{Client, Response};
use crate::http::render;
use crate::serve::{Ended, STOP_PATIENCE, Server, Setup};
use crate::service::{CallBounds, SYSTEM};
use crate::webhooks::WebhookSetup;
use crate::{clock, random};
use balances::{Checked, Meant, Opening, issue, plan};
use list::Row;

/// Bring an economy into a file, or opening balances into an economy.
///
/// Without --balances, an export is read from standard input, and its economy is there afterwards
/// with all its history, or not at all.
#[derive(Args, Debug)]
pub(super) struct Import {
    /// The database file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A list of balances to issue: account,asset,amount and, if you like, date and memo
    #[arg(long, value_name = "LIST.csv", requires = "economy")]
    balances: Option<PathBuf>,
    /// The economy that the balances are for
    #[arg(long, requires = "balances")]
    economy: Option<EconomyId>,
    /// The name of the list, by which it is known when it comes again; the file's name where absent
    #[arg(long, value_name = "NAME", requires = "balances")]
    list: Option<String>,
    /// Say what would be issued, and issue nothing
    #[arg(long, requires = "balances")]
    dry_run: bool,
    /// Sum the rows of one account and asset, which is a mistake otherwise
    #[arg(long, requires = "balances")]
    sum: bool,
    /// Issue also where another list has issued something for the same account and asset
    #[arg(long, requires = "balances")]
    force: bool,
}

impl Import {
    pub(super) fn run(self) -> Done {
        match (self.balances, self.economy) {
            (Some(list), Some(economy)) => {
                let meant = Meant {
                    name: self.list,
                    sum: self.sum,
                    force: self.force,
                    dry_run: self.dry_run,
                };
                import_balances(self.file, &list, economy, meant)
            }
            _ => import_economy(&self.file),
        }
    }
}

fn import_economy(file: &std::path::Path) -> Done {
    let input = io::stdin();
    if input.is_terminal() {
        let what = "give it the lines of an export: bursar import FILE < guild.jsonl";
        return Err(CommandError::new(what));
    }
    match access(file)? {
        // The import takes the lock again itself, for as long as it writes.
        Access::Ours(lock) => drop(lock),
        Access::Theirs(_) => {
            let path = file.display();
            return Err(CommandError::new(format!(
                "{path} is being served, and an economy is imported into a file that nobody \
                 serves: stop the server first"
            )));
        }
    }
    let importing = ImportContext {
        time: clock::system(),
        system: SYSTEM.parse().map_err(CommandError::new)?,
        seed: random::seed(),
        actor: "owner".into(),
        render,
    };
    let mut shown = progress("imported");
    let report = import_file(file, &importing, &mut input.lock(), &mut shown);
    let report = report.map_err(CommandError::new)?;
    let (economy, head, records) = (report.economy, report.head, report.records);
    style::say(format!("{economy}:{head} record {records}"));
    let path = file.display();
    style::remark(format!(
        "All of it is there. To decide it all again: bursar audit {path}"
    ));
    Ok(ExitCode::SUCCESS)
}

fn import_balances(
    file: PathBuf,
    list: &std::path::Path,
    economy: EconomyId,
    meant: Meant,
) -> Done {
    check_there(&file)?;
    let opening = Opening::read(list, economy, meant, clock::wall())?;
    block_on(async {
        let mut checked = match access(&file)? {
            Access::Theirs(client) => {
                let mut client = client.with_patience(LONG_PATIENCE);
                check_open(&mut client, &opening).await?;
                Checked::Served(client)
            }
            Access::Ours(lock) => {
                let closed = OfflineFile::open(lock).map_err(CommandError::new)?;
                check_file(closed.state(), &opening)?;
                Checked::Closed(closed)
            }
        };
        let plan = plan(&mut checked, &opening).await?;
        if opening.dry_run {
            return Ok(());
        }
        match checked {
            _ if plan.ahead.is_empty() => {}
            Checked::Served(mut client) => issue(&mut client, &opening, &plan.ahead).await?,
            Checked::Closed(closed) => {
                drop(closed);
                served_meanwhile(file, &opening, &plan.ahead).await?;
            }
        }
        let (rows, accounts) = (plan.ahead.len(), plan.accounts);
        style::say(format!("{rows} rows issued, {accounts} accounts made"));
        Ok::<_, CommandError>(())
    })??;
    Ok(ExitCode::SUCCESS)
}

/// Makes sure that the economy is there and takes something in.
fn check_file(state: &State, opening: &Opening) -> Result<(), CommandError> {
    let Some(books) = state.books(&opening.economy) else {
        return Err(CommandError::new(format!(
            "there is no economy `{}` in this file; open it with PUT",
            opening.economy
        )));
    };
    let status = serde_json::to_value(books.status()).unwrap_or_default();
    takes_something_in(opening, status.as_str().unwrap_or_default())
}

/// The same of a file that is served.
async fn check_open(client: &mut Client, opening: &Opening) -> Result<(), CommandError> {
    let path = format!("/v1/economies/{}", opening.economy);
    let found = asked(client, &path).await?;
    if !found.status.is_success() {
        return Err(CommandError::new(detail(&found)));
    }
    let found = found.json();
    let status = found.get("status").and_then(Value::as_str);
    takes_something_in(opening, status.unwrap_or_default())
}

fn takes_something_in(opening: &Opening, status: &str) -> Result<(), CommandError> {
    if status == "open" {
        return Ok(());
    }
    let economy = &opening.economy;
    Err(CommandError::new(format!(
        "`{economy}` is {status}, and nothing is issued in it; nothing of the list is kept, so bring it in \
         once the economy is open"
    )))
}

/// A file that nobody serves is served for this, to nobody else: so that the balances come in on the
/// same way as any request.
async fn served_meanwhile(
    file: PathBuf,
    opening: &Opening,
    rows: &[Row],
) -> Result<(), CommandError> {
    let setup = Setup {
        database: file.clone(),
        listen: None,
        socket: None,
        allow_plain_http: false,
        clock: clock::system(),
        ticks: clock::running(),
        limits: Limits::standard(),
        compiler: super::compiler()?,
        calls: CallBounds::standard(),
        bodies: Arc::new(BodyLimiter::new(BodyBounds::standard())),
        schedules: None,
        webhooks: WebhookSetup::silent(),
        stop_patience: STOP_PATIENCE,
    };
    let server = Server::start(setup).await.map_err(CommandError::new)?;
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async { drop(stopped.await) }));
    let done = match access(&file) {
        Ok(Access::Theirs(mut client)) => issue(&mut client, opening, rows).await,
        Ok(Access::Ours(_)) => Err(CommandError::new("the file was given up; try again")),
        Err(error) => Err(error),
    };
    drop(stop);
    let closed = matches!(running.await, Ok(Ended::InOrder));
    done?;
    if closed {
        return Ok(());
    }
    Err(CommandError::new(
        "the file was not closed in order; run `bursar audit` on it",
    ))
}

/// Asks the owner of the file, who may say no, and must say something.
async fn asked(client: &mut Client, path: &str) -> Result<Response, CommandError> {
    let answer = client.get(path).await.map_err(CommandError::new)?;
    if answer.status.is_server_error() {
        return Err(CommandError::new(detail(&answer)));
    }
    Ok(answer)
}

/// Why the owner of the file said no.
fn detail(answer: &Response) -> String {
    let body = answer.json();
    let detail = body.get("detail").and_then(Value::as_str);
    detail.map_or_else(
        || format!("the owner answered {}", answer.status),
        Into::into,
    )
}

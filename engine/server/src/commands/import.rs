//! `bursar import`: an economy from an export, or opening balances from a list.

mod balances;
mod fields;
mod list;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use bursar_host::Limits;
use bursar_ledger::EconomyId;
use bursar_storage::{ImportContext, MaintenanceConfig, OfflineFile, State, import_file};
use clap::Args;
use serde_json::Value;
use tokio::sync::oneshot;

use super::error::{CommandError, CommandResult};
use super::owner::{FileAccess, LONG_PATIENCE, access, check_exists, detail};
use super::progress::progress;
use super::runtime::{block_on, compiler};
use super::style;
use crate::bodies::{BodyBounds, BodyLimiter};
use crate::client::Client;
use crate::http::render;
use crate::serve::{STOP_PATIENCE, Server, Setup, ShutdownOutcome};
use crate::service::{CallBounds, SYSTEM};
use crate::webhooks::WebhookSetup;
use crate::{clock, random};
use balances::{ImportOptions, ImportTarget, OpeningImport, issue, plan};
use list::Row;

/// Import an economy into a database file, or opening balances into an economy.
///
/// Without --balances, the command reads an export from standard input and imports its economy with the whole
/// history, or nothing.
#[derive(Args, Debug)]
pub(super) struct Import {
    /// The database file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A list of balances to issue, with the columns account,asset,amount and optionally date and memo
    #[arg(long, value_name = "LIST.csv", requires = "economy")]
    balances: Option<PathBuf>,
    /// The economy that receives the balances
    #[arg(long, requires = "balances")]
    economy: Option<EconomyId>,
    /// The name that identifies the list when it is imported again; the file's name by default
    #[arg(long, value_name = "NAME", requires = "balances")]
    list: Option<String>,
    /// Check the list and print what would be issued, without issuing it
    #[arg(long, requires = "balances")]
    dry_run: bool,
    /// Sum rows with the same account and asset, which are rejected otherwise
    #[arg(long, requires = "balances")]
    sum: bool,
    /// Issue a row even if another list has issued one for the same account and asset
    #[arg(long, requires = "balances")]
    force: bool,
}

impl Import {
    pub(super) fn run(self) -> CommandResult {
        match (self.balances, self.economy) {
            (Some(list), Some(economy)) => {
                let options = ImportOptions {
                    name: self.list,
                    sum: self.sum,
                    force: self.force,
                    dry_run: self.dry_run,
                };
                import_balances(self.file, &list, economy, options)
            }
            _ => import_economy(&self.file),
        }
    }
}

fn import_economy(file: &std::path::Path) -> CommandResult {
    let input = io::stdin();
    if input.is_terminal() {
        let sentence = "pass an export on standard input: bursar import FILE < guild.jsonl";
        return Err(CommandError::new(sentence));
    }
    match access(file)? {
        // The import itself takes the lock while it writes.
        FileAccess::Free(lock) => drop(lock),
        FileAccess::Served(_) => {
            let path = file.display();
            return Err(CommandError::new(format!(
                "{path} is being served: stop the server first, then import the economy"
            )));
        }
    }
    let context = ImportContext {
        time: clock::system(),
        system: SYSTEM.parse().map_err(CommandError::new)?,
        seed: random::seed(),
        actor: "owner".into(),
        render,
    };
    let mut progress = progress("imported");
    let report = import_file(file, &context, &mut input.lock(), &mut progress);
    let report = report.map_err(CommandError::new)?;
    style::say(format!(
        "{}:{} record {}",
        report.economy, report.head, report.records
    ));
    let path = file.display();
    style::remark(format!(
        "All records are imported. To verify them: bursar audit {path}"
    ));
    Ok(ExitCode::SUCCESS)
}

fn import_balances(
    file: PathBuf,
    list: &std::path::Path,
    economy: EconomyId,
    options: ImportOptions,
) -> CommandResult {
    check_exists(&file)?;
    let opening = OpeningImport::read(list, economy, options, clock::wall())?;
    block_on(async {
        let mut target = match access(&file)? {
            FileAccess::Served(client) => {
                let mut client = client.with_patience(LONG_PATIENCE);
                check_open_served(&mut client, &opening).await?;
                ImportTarget::Served(client)
            }
            FileAccess::Free(lock) => {
                let offline = OfflineFile::open(lock).map_err(CommandError::new)?;
                check_open_offline(offline.state(), &opening)?;
                ImportTarget::Offline(offline)
            }
        };
        let plan = plan(&mut target, &opening).await?;
        if opening.dry_run {
            return Ok(());
        }
        match target {
            _ if plan.pending.is_empty() => {}
            ImportTarget::Served(mut client) => issue(&mut client, &opening, &plan.pending).await?,
            ImportTarget::Offline(offline) => {
                drop(offline);
                issue_with_own_server(file, &opening, &plan.pending).await?;
            }
        }
        let rows = plan.pending.len();
        let accounts = plan.accounts;
        style::say(format!("{rows} rows issued, {accounts} accounts created"));
        Ok::<_, CommandError>(())
    })??;
    Ok(ExitCode::SUCCESS)
}

/// Fails if the economy does not exist in a file that no server uses, or is not open.
fn check_open_offline(state: &State, opening: &OpeningImport) -> Result<(), CommandError> {
    let Some(books) = state.books(&opening.economy) else {
        return Err(CommandError::new(format!(
            "there is no economy `{}` in this file; open it with PUT",
            opening.economy
        )));
    };
    let status = serde_json::to_value(books.status()).unwrap_or_default();
    check_status(opening, status.as_str().unwrap_or_default())
}

/// Fails if the economy does not exist in the file of a server, or is not open.
async fn check_open_served(
    client: &mut Client,
    opening: &OpeningImport,
) -> Result<(), CommandError> {
    let path = format!("/v1/economies/{}", opening.economy);
    let response = client.get(&path).await.map_err(CommandError::new)?;
    if !response.status.is_success() {
        return Err(CommandError::new(detail(&response)));
    }
    let economy = response.json();
    let status = economy.get("status").and_then(Value::as_str);
    check_status(opening, status.unwrap_or_default())
}

fn check_status(opening: &OpeningImport, status: &str) -> Result<(), CommandError> {
    if status == "open" {
        return Ok(());
    }
    let economy = &opening.economy;
    Err(CommandError::new(format!(
        "the economy `{economy}` is {status}: no row was issued; import the list once the economy is open"
    )))
}

/// Starts a server that listens only on the owner's socket, and issues rows through it. So the rows take the same
/// path as the requests of any client.
async fn issue_with_own_server(
    file: PathBuf,
    opening: &OpeningImport,
    rows: &[Row],
) -> Result<(), CommandError> {
    let setup = Setup {
        database: file.clone(),
        listen: None,
        socket: None,
        allow_plain_http: false,
        clock: clock::system(),
        ticks: clock::running(),
        maintenance: MaintenanceConfig::standard(),
        limits: Limits::standard(),
        compiler: compiler()?,
        calls: CallBounds::standard(),
        bodies: Arc::new(BodyLimiter::new(BodyBounds::standard())),
        schedules: None,
        webhooks: WebhookSetup::silent(),
        stop_patience: STOP_PATIENCE,
        bench_echo: false,
    };
    let server = Server::start(setup).await.map_err(CommandError::new)?;
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async { drop(stopped.await) }));
    let result = match access(&file) {
        Ok(FileAccess::Served(mut client)) => issue(&mut client, opening, rows).await,
        Ok(FileAccess::Free(_)) => Err(CommandError::new(
            "the server for the import closed the file; try again",
        )),
        Err(error) => Err(error),
    };
    drop(stop);
    let closed = matches!(running.await, Ok(ShutdownOutcome::InOrder));
    result?;
    if closed {
        return Ok(());
    }
    Err(CommandError::new(
        "the file was not closed in order; run `bursar audit` on it",
    ))
}

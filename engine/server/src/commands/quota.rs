//! `bursar quota`: the quotas of an economy.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use bursar_ledger::{EconomyId, Quota, QuotaPatch};
use bursar_storage::{FileLock, Request, State, Storage, load_file};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::error::{CommandError, CommandResult};
use super::owner::{FileAccess, access, check_exists, into_body};
use super::runtime::{block_on, host};
use super::style;
use crate::clock;
use crate::http::{quotas, render};
use crate::service::{CallBounds, SYSTEM, Service};

#[derive(Subcommand, Debug)]
pub(super) enum QuotaCommand {
    /// Show the quotas of an economy and their usage.
    Show(EconomyOptions),
    /// Raise or lower quotas of an economy. Existing data is never removed.
    Set(SetOptions),
}

/// The options that name an economy of a database file.
#[derive(Args, Debug)]
pub(super) struct EconomyOptions {
    /// The database file
    #[arg(long, value_name = "FILE", default_value = "bursar.db")]
    db: PathBuf,
    /// The economy
    #[arg(long)]
    economy: EconomyId,
}

/// The options of `bursar quota set`.
#[derive(Args, Debug)]
pub(super) struct SetOptions {
    #[command(flatten)]
    economy: EconomyOptions,
    /// The quotas with their new limits, such as accounts=500000; `default` restores the default
    #[arg(required = true, value_parser = limit, value_name = "QUOTA=LIMIT")]
    limits: Vec<(Quota, Option<u64>)>,
}

/// Parses `QUOTA=LIMIT`.
fn limit(text: &str) -> Result<(Quota, Option<u64>), String> {
    let malformed = || "write a quota and its limit, as in accounts=500000".to_owned();
    let (name, limit) = text.split_once('=').ok_or_else(malformed)?;
    let quota = quotas::named(name)?;
    let limit = match limit {
        "default" => None,
        number => Some(number.parse().map_err(|_| {
            format!("the limit of `{quota}` must be a whole number or `default`, not `{number}`")
        })?),
    };
    Ok((quota, quotas::check(quota, limit)?))
}

impl QuotaCommand {
    pub(super) fn run(self) -> CommandResult {
        let view = match self {
            Self::Show(economy) => block_on(economy.view_after(None))??,
            Self::Set(SetOptions { economy, limits }) => {
                let patch = patch(limits)?;
                block_on(economy.view_after(Some(patch)))??
            }
        };
        for line in table(&view) {
            style::say(line);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Combines limits into one change. Fails if a quota is named twice, because it is unclear which limit is meant.
fn patch(limits: Vec<(Quota, Option<u64>)>) -> Result<BTreeMap<Quota, Option<u64>>, CommandError> {
    let mut patch = BTreeMap::new();
    for (quota, limit) in limits {
        if patch.insert(quota, limit).is_some() {
            let sentence = format!("`{quota}` is named twice; name each quota once");
            return Err(CommandError::new(sentence));
        }
    }
    Ok(patch)
}

impl EconomyOptions {
    /// Applies a change, if there is one, and returns the quotas.
    async fn view_after(
        &self,
        patch: Option<BTreeMap<Quota, Option<u64>>>,
    ) -> Result<Value, CommandError> {
        check_exists(&self.db)?;
        if self.economy.as_str() == SYSTEM {
            let sentence =
                "the economy `system` is reserved for the server's own records and has no quotas";
            return Err(CommandError::new(sentence));
        }
        match access(&self.db)? {
            FileAccess::Free(lock) => self.view_after_offline(lock, patch).await,
            FileAccess::Served(mut client) => {
                let route = format!("/v1/economies/{}/quotas", self.economy);
                if let Some(patch) = patch {
                    let response = client.put(&route, &json!(patch)).await;
                    into_body(&response.map_err(CommandError::new)?)?;
                }
                let response = client.get(&route).await;
                into_body(&response.map_err(CommandError::new)?)
            }
        }
    }

    /// Applies a change to a file that no server uses, and returns the quotas.
    async fn view_after_offline(
        &self,
        lock: FileLock,
        patch: Option<BTreeMap<Quota, Option<u64>>>,
    ) -> Result<Value, CommandError> {
        let state = load_file(&lock).map_err(CommandError::new)?;
        // Opening the storage writes to the file, so an unknown economy is rejected before that.
        let view = self.view(&state)?;
        let Some(patch) = patch else {
            return Ok(view);
        };
        let storage = Storage::open(&self.db, lock, &clock::system(), render);
        let storage = storage.map_err(CommandError::new)?;
        let service = Service::new(storage, host()?, render, CallBounds::standard()).await;
        let service = service.map_err(CommandError::new)?;
        let body = json!(patch);
        let patch = QuotaPatch::try_from(patch).map_err(CommandError::new)?;
        let answer = quotas::write(&service, "owner", self.economy.clone(), patch, |route| {
            Request::new("PUT", route, &body)
        })
        .await;
        let view = self.view(&service.state());
        service.stop();
        let answer = answer.map_err(CommandError::new)?;
        if answer.status < 300 {
            return view;
        }
        let problem: Value = serde_json::from_slice(&answer.body).map_err(CommandError::new)?;
        let detail = problem.get("detail").and_then(Value::as_str);
        Err(CommandError::new(
            detail.unwrap_or("the change was rejected"),
        ))
    }

    fn view(&self, state: &State) -> Result<Value, CommandError> {
        let books = state.books(&self.economy).ok_or_else(|| {
            CommandError::new(format!(
                "there is no economy `{}` in this file",
                self.economy
            ))
        })?;
        Ok(quotas::shown(books, clock::wall()))
    }
}

/// Formats quotas as lines of a table, in the order of [`Quota::ALL`].
fn table(quotas: &Value) -> Vec<String> {
    let row = |quota: &str, [used, limit, most]: [&str; 3]| {
        format!("{quota:<16} {used:>14} {limit:>14}  {most}")
    };
    let mut lines = vec![row("quota", ["used", "limit", "max"])];
    lines.extend(Quota::ALL.into_iter().filter_map(|quota| {
        let view = quotas.get("quotas")?.get(quota.name())?;
        let number = |member: &str| view.get(member).map_or("-".into(), Value::to_string);
        let limit = number("limit");
        let most = number("max");
        let most = if view.get("limit") == view.get("default") {
            format!("{most}  (default)")
        } else {
            most
        };
        Some(row(quota.name(), [&number("used"), &limit, &most]))
    }));
    lines
}

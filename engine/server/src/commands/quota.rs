//! `bursar quota`: how much an economy may keep, also while its file is being served.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use bursar_ledger::{EconomyId, Quota, QuotaPatch};
use bursar_storage::{FileLock, Request, State, Storage, load_file};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::owner::{Access, access, check_there, owner_says};
use super::{CommandError, Done, block_on, host, style};
use crate::clock;
use crate::http::{quotas, render};
use crate::service::{CallBounds, SYSTEM, Service};

#[derive(Subcommand, Debug)]
pub(super) enum Quotas {
    /// Show the quotas of an economy, with what is in use.
    Show(Economy),
    /// Raise or lower quotas of an economy. Nothing that is there is taken away.
    Set(Set),
}

/// An economy of a database file.
#[derive(Args, Debug)]
pub(super) struct Economy {
    /// The database file
    #[arg(long, value_name = "FILE", default_value = "bursar.db")]
    db: PathBuf,
    /// The economy
    #[arg(long)]
    economy: EconomyId,
}

#[derive(Args, Debug)]
pub(super) struct Set {
    #[command(flatten)]
    economy: Economy,
    /// The quotas with their new limits, such as accounts=500000; `default` brings the default back
    #[arg(required = true, value_parser = limit, value_name = "QUOTA=LIMIT")]
    limits: Vec<(Quota, Option<u64>)>,
}

fn limit(text: &str) -> Result<(Quota, Option<u64>), String> {
    let wrong = || "a quota and its limit are needed, as in accounts=500000".to_owned();
    let (name, limit) = text.split_once('=').ok_or_else(wrong)?;
    let quota = quotas::named(name)?;
    let limit = match limit {
        "default" => None,
        number => Some(number.parse().map_err(|_| {
            format!("the limit of `{quota}` is a whole number or `default`, not `{number}`")
        })?),
    };
    Ok((quota, quotas::check(quota, limit)?))
}

impl Quotas {
    pub(super) fn run(self) -> Done {
        let shown = match self {
            Self::Show(economy) => block_on(economy.ask(None))??,
            Self::Set(Set { economy, limits }) => {
                let patch = patch(limits)?;
                block_on(economy.ask(Some(patch)))??
            }
        };
        for line in table(&shown) {
            style::say(line);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Several limits as one change. A quota that is named twice would leave open which limit is meant.
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

impl Economy {
    /// The quotas after a change, if there is one.
    async fn ask(
        &self,
        patch: Option<BTreeMap<Quota, Option<u64>>>,
    ) -> Result<Value, CommandError> {
        check_there(&self.db)?;
        if self.economy.as_str() == SYSTEM {
            let sentence = "`system` is kept for the server's own records and has no quotas";
            return Err(CommandError::new(sentence));
        }
        match access(&self.db)? {
            Access::Ours(lock) => self.ask_here(lock, patch).await,
            Access::Theirs(mut client) => {
                let route = format!("/v1/economies/{}/quotas", self.economy);
                if let Some(patch) = patch {
                    let set = client.put(&route, &json!(patch)).await;
                    owner_says(&set.map_err(CommandError::new)?)?;
                }
                let shown = client.get(&route).await;
                owner_says(&shown.map_err(CommandError::new)?)
            }
        }
    }

    async fn ask_here(
        &self,
        lock: FileLock,
        patch: Option<BTreeMap<Quota, Option<u64>>>,
    ) -> Result<Value, CommandError> {
        let state = load_file(&lock).map_err(CommandError::new)?;
        // An economy that is not there is refused before anything is written.
        let shown = self.shown(&state)?;
        let Some(patch) = patch else {
            return Ok(shown);
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
        let shown = self.shown(&service.state());
        service.stop();
        let answer = answer.map_err(CommandError::new)?;
        if answer.status < 300 {
            return shown;
        }
        let problem: Value = serde_json::from_slice(&answer.body).map_err(CommandError::new)?;
        let detail = problem.get("detail").and_then(Value::as_str);
        Err(CommandError::new(detail.unwrap_or("it was refused")))
    }

    fn shown(&self, state: &State) -> Result<Value, CommandError> {
        let books = state.books(&self.economy).ok_or_else(|| {
            CommandError::new(format!(
                "there is no economy `{}` in this file",
                self.economy
            ))
        })?;
        Ok(quotas::shown(books, clock::wall()))
    }
}

/// The quotas as lines, in the order in which they are listed everywhere.
fn table(shown: &Value) -> Vec<String> {
    let row = |quota: &str, [used, limit, most]: [&str; 3]| {
        format!("{quota:<16} {used:>14} {limit:>14}  {most}")
    };
    let mut lines = vec![row("quota", ["used", "limit", "at most"])];
    lines.extend(Quota::ALL.into_iter().filter_map(|quota| {
        let view = shown.get("quotas")?.get(quota.name())?;
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

//! `bursar key create`

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use bursar_host::{Limits, PluginHost};
use bursar_ledger::{EconomyId, KeyDefinition, KeyId, Scope};
use bursar_storage::{FileLock, Storage};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::owner::{Access, access};
use super::{CommandError, Done, block_on, style};
use crate::client::Client;
use crate::economy::{Bursar, CallBounds};
use crate::http::{make_key, render};
use crate::{clock, random};

#[derive(Subcommand, Debug)]
pub(super) enum Key {
    /// Make an API key and print it, alone on standard output. It is shown once.
    Create(Create),
}

/// Make an API key and print it, alone on standard output. It is shown once.
#[derive(Args, Debug)]
pub(super) struct Create {
    /// The database file
    #[arg(long, value_name = "FILE", default_value = "bursar.db")]
    db: PathBuf,
    /// What it allows: read, transfer, call, issue, admin; several with commas
    #[arg(long, value_delimiter = ',', required = true, value_parser = scope)]
    scope: Vec<Scope>,
    /// The economies that it sees; all of them where absent
    #[arg(long, value_delimiter = ',')]
    economy: Vec<EconomyId>,
    /// A name for it, as it will stand in the journal
    #[arg(long)]
    name: Option<KeyId>,
}

fn scope(text: &str) -> Result<Scope, String> {
    let found = Scope::ALL.into_iter().find(|scope| scope.as_str() == text);
    found.ok_or_else(|| "a scope is read, transfer, call, issue or admin".into())
}

impl Key {
    pub(super) fn run(self) -> Done {
        let Self::Create(create) = self;
        let key = block_on(create.make())??;
        style::say(key);
        Ok(ExitCode::SUCCESS)
    }
}

impl Create {
    async fn make(self) -> Result<String, CommandError> {
        let id = match self.name.clone() {
            Some(id) => id,
            None => format!("k{}", &hex::encode(random::bytes())[..12])
                .parse()
                .map_err(CommandError::new)?,
        };
        let economies: BTreeSet<EconomyId> = self.economy.iter().cloned().collect();
        let definition = KeyDefinition {
            scopes: self.scope.iter().copied().collect(),
            economies: (!economies.is_empty()).then_some(economies),
        };
        let made = match access(&self.db)? {
            Access::Ours(lock) => self.make_here(lock, id, definition).await?,
            Access::Theirs(client) => ask(*client, &id, &definition).await?,
        };
        let key = made.get("key").and_then(Value::as_str);
        key.map(Into::into).ok_or_else(|| {
            CommandError::new("a key of this name is there already; choose another --name")
        })
    }

    async fn make_here(
        &self,
        lock: FileLock,
        id: KeyId,
        definition: KeyDefinition,
    ) -> Result<Value, CommandError> {
        let clock = clock::system();
        let storage = Storage::open(&self.db, lock, clock.clone(), render);
        let storage = storage.map_err(CommandError::new)?;
        let host = PluginHost::new(Limits::standard()).map_err(CommandError::new)?;
        let bursar = Bursar::new(storage.clone(), host, clock, CallBounds::standard())
            .await
            .map_err(CommandError::new)?;
        let answer = make_key(&bursar, "owner", id, definition)
            .await
            .map_err(CommandError::new)?;
        storage.close();
        serde_json::from_slice(&answer.body).map_err(CommandError::new)
    }
}

async fn ask(
    mut client: Client,
    id: &KeyId,
    definition: &KeyDefinition,
) -> Result<Value, CommandError> {
    let mut body = json!({ "scopes": definition.scopes });
    if let (Some(economies), Some(body)) = (&definition.economies, body.as_object_mut()) {
        body.insert("economies".into(), json!(economies));
    }
    let answer = client
        .put(&format!("/v1/keys/{id}"), &body)
        .await
        .map_err(CommandError::new)?;
    if answer.status.is_success() {
        return Ok(answer.json());
    }
    Err(CommandError::new(format!(
        "the owner answered {}: {}",
        answer.status,
        answer.json()
    )))
}

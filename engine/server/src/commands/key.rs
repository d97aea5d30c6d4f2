//! `bursar key`: the API keys of a database file.

mod names;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use bursar_ledger::{
    AccountPattern, AssetId, CallerAdmission, EconomyId, KeyId, KeyMode, KeyPatch, Limit, Patch,
    RateLimit, Scope, TransferCap,
};
use bursar_storage::{Answer, FileLock, Storage, load_file};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::error::{CommandError, CommandResult};
use super::owner::{FileAccess, access, check_exists, into_body};
use super::runtime::{block_on, host};
use super::style;
use crate::client::Client;
use crate::http::{is_reserved, keys_of, render, write_key};
use crate::service::error::ServiceError;
use crate::service::{CallBounds, Service};
use crate::{clock, random};
use names::ExistingNames;

#[derive(Subcommand, Debug)]
pub(super) enum Key {
    /// Create an API key and print it to standard output. It is not shown again.
    Create(Create),
    /// Replace the secret of a key and print the new key. The old one is no longer valid.
    Rotate(NamedKey),
    /// Revoke a key. Records keep its name.
    Revoke(Revoke),
    /// List all keys, with their scopes, economies and limits.
    List(DatabaseFile),
}

/// Create an API key and print it to standard output. It is not shown again.
#[derive(Args, Debug)]
pub(super) struct Create {
    #[command(flatten)]
    file: DatabaseFile,
    /// Scopes, separated by commas: read, transfer, call, issue, admin
    #[arg(long, value_delimiter = ',', required = true, value_parser = scope)]
    scope: Vec<Scope>,
    /// Economies that the key can use, separated by commas; all by default
    #[arg(long, value_delimiter = ',')]
    economy: Vec<EconomyId>,
    /// The most that one request may move of each asset, separated by commas; other assets cannot be moved
    #[arg(long, value_delimiter = ',', value_parser = asset_cap, value_name = "ASSET=AMOUNT")]
    transfer_cap: Vec<(AssetId, Limit)>,
    /// The most requests in a number of seconds, such as 100/60
    #[arg(long, value_parser = rate, value_name = "REQUESTS/SECONDS")]
    rate_limit: Option<RateLimit>,
    /// Pattern of the accounts that calls of the key may open, such as user:*; opened accounts have no limits
    #[arg(long, value_name = "PATTERN")]
    admits: Option<AccountPattern>,
    /// Allow calls of the key to set metadata of the accounts that they open
    #[arg(long, requires = "admits")]
    admits_metadata: bool,
    /// Name of the key, as the log shows it; random by default
    #[arg(long)]
    name: Option<KeyId>,
}

/// An existing key, by its name.
#[derive(Args, Debug)]
pub(super) struct NamedKey {
    /// Name of the key: the part between `bursar_` and the secret
    name: KeyId,
    #[command(flatten)]
    file: DatabaseFile,
}

/// Revoke a key. Records keep its name.
#[derive(Args, Debug)]
pub(super) struct Revoke {
    #[command(flatten)]
    key: NamedKey,
    /// Revoke the key even if it is the last admin key of every economy
    #[arg(long)]
    force: bool,
}

/// The option that names a database file.
#[derive(Args, Debug)]
pub(super) struct DatabaseFile {
    /// The database file
    #[arg(long, value_name = "FILE", default_value = "bursar.db")]
    db: PathBuf,
}

/// Parses a scope.
fn scope(text: &str) -> Result<Scope, String> {
    let found = Scope::ALL.into_iter().find(|scope| scope.as_str() == text);
    found.ok_or_else(|| "a scope is read, transfer, call, issue or admin".into())
}

/// Parses `ASSET=AMOUNT`.
fn asset_cap(text: &str) -> Result<(AssetId, Limit), String> {
    let malformed = || "write an asset and its maximum amount, as in coin=100".to_owned();
    let (asset, most) = text.split_once('=').ok_or_else(malformed)?;
    let most = most.parse().ok().and_then(Limit::new);
    let most = most.ok_or_else(malformed)?;
    Ok((asset.parse().map_err(|_| malformed())?, most))
}

/// Combines caps into one. Fails if an asset is named twice, because it is unclear which amount is meant.
fn cap(caps: Vec<(AssetId, Limit)>) -> Result<TransferCap, CommandError> {
    let mut by_asset = BTreeMap::new();
    for (asset, most) in caps {
        if by_asset.insert(asset.clone(), most).is_some() {
            let sentence = format!("--transfer-cap names {asset} twice; name each asset once");
            return Err(CommandError::new(sentence));
        }
    }
    TransferCap::try_from(by_asset).map_err(CommandError::new)
}

/// Parses `REQUESTS/SECONDS`.
fn rate(text: &str) -> Result<RateLimit, String> {
    let malformed = || "write a number of requests and of seconds, as in 100/60".to_owned();
    let (requests, seconds) = text.split_once('/').ok_or_else(malformed)?;
    let number = |text: &str| text.parse().map_err(|_| malformed());
    RateLimit::new(number(requests)?, number(seconds)?).map_err(|error| error.to_string())
}

impl Key {
    pub(super) fn run(self) -> CommandResult {
        match self {
            Self::Create(create) => style::say(block_on(create.create())??),
            Self::Rotate(NamedKey { name, file }) => {
                let rotated = block_on(file.apply(KeyChange::Rotate(name)))??;
                style::say(secret(&rotated)?);
            }
            Self::Revoke(Revoke { key, force }) => {
                let NamedKey { name: key, file } = key;
                let message = format!("{key} is revoked");
                block_on(file.apply(KeyChange::Revoke { key, force }))??;
                style::say(message);
            }
            Self::List(file) => {
                for key in file.list()?.as_array().into_iter().flatten() {
                    style::say(line(key));
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Returns the key with its secret, from the response to its creation or rotation.
fn secret(body: &Value) -> Result<&str, CommandError> {
    let key = body.get("key").and_then(Value::as_str);
    key.ok_or_else(|| CommandError::new("internal error: the response has no secret"))
}

/// Formats a key as a line for people.
fn line(key: &Value) -> String {
    let list = |name: &str| {
        let values = key.get(name).and_then(Value::as_array);
        values.map(|values| {
            let names: Vec<_> = values.iter().filter_map(Value::as_str).collect();
            names.join(",")
        })
    };
    let id = key.get("id").and_then(Value::as_str).unwrap_or_default();
    let limits = ["transfer_cap", "rate_limit", "admits"].map(|name| {
        let limit = key.get(name);
        limit.map_or(String::new(), |limit| format!("  {name} {limit}"))
    });
    let revoked = key.get("revoked").and_then(Value::as_bool).unwrap_or(false);
    format!(
        "{id:<20} {:<28} {}{}{}",
        list("scopes").unwrap_or_default(),
        list("economies").unwrap_or_else(|| "every economy".into()),
        limits.concat(),
        if revoked { "  revoked" } else { "" }
    )
}

impl Create {
    async fn create(self) -> Result<String, CommandError> {
        let id = match self.name {
            Some(id) => id,
            None => format!("k{}", &hex::encode(random::bytes())[..12])
                .parse()
                .map_err(CommandError::new)?,
        };
        let patch = KeyPatch {
            scopes: Some(self.scope.into_iter().collect()),
            economies: if self.economy.is_empty() {
                Patch::Keep
            } else {
                Patch::Set(self.economy.into_iter().collect())
            },
            transfer_cap: if self.transfer_cap.is_empty() {
                Patch::Keep
            } else {
                Patch::Set(cap(self.transfer_cap)?)
            },
            rate_limit: self.rate_limit.map_or(Patch::Keep, Patch::Set),
            admits: self.admits.map_or(Patch::Keep, |accounts| {
                let metadata = self.admits_metadata;
                Patch::Set(CallerAdmission { accounts, metadata })
            }),
            revoked: None,
            force: false,
        };
        let created = self.file.apply(KeyChange::Create(id, patch)).await?;
        Ok(secret(&created)?.into())
    }
}

/// A change of a key.
enum KeyChange {
    Create(KeyId, KeyPatch),
    Rotate(KeyId),
    Revoke {
        key: KeyId,
        /// True to revoke even the last admin key.
        force: bool,
    },
}

impl DatabaseFile {
    /// Makes a change, in the file or through the server that uses it, and returns the key.
    async fn apply(&self, change: KeyChange) -> Result<Value, CommandError> {
        check_exists(&self.db)?;
        match access(&self.db)? {
            FileAccess::Free(lock) => self.apply_offline(lock, change).await,
            FileAccess::Served(client) => apply_served(*client, change).await,
        }
    }

    /// Makes a change in a file that no server uses.
    async fn apply_offline(
        &self,
        lock: FileLock,
        change: KeyChange,
    ) -> Result<Value, CommandError> {
        let state = load_file(&lock).map_err(CommandError::new)?;
        // Opening the storage writes to the file, so a change is checked before that.
        match &change {
            KeyChange::Create(key, _) if find(&keys_of(&state), key).is_some() => {
                return Err(CommandError::new(KEY_EXISTS));
            }
            KeyChange::Create(key, _) if is_reserved(key) => {
                return Err(CommandError::new(ServiceError::ReservedKey(key.clone())));
            }
            KeyChange::Create(_, patch) => ExistingNames::of(&state).check(patch)?,
            KeyChange::Rotate(key) => check_key_exists(&keys_of(&state), key)?,
            KeyChange::Revoke { key, force } => check_revocable(&keys_of(&state), key, *force)?,
        }
        let storage = Storage::open(&self.db, lock, &clock::system(), render);
        let storage = storage.map_err(CommandError::new)?;
        let service = Service::new(storage, host()?, render, CallBounds::standard()).await;
        let service = service.map_err(CommandError::new)?;
        let answer = write(&service, change).await;
        service.stop();
        body_of(&answer.map_err(CommandError::new)?)
    }

    fn list(&self) -> Result<Value, CommandError> {
        check_exists(&self.db)?;
        match access(&self.db)? {
            FileAccess::Free(lock) => {
                let state = load_file(&lock).map_err(CommandError::new)?;
                Ok(keys_of(&state).get("keys").cloned().unwrap_or_default())
            }
            FileAccess::Served(mut client) => {
                let keys = block_on(async move { fetch_keys(&mut client).await })??;
                Ok(keys.get("keys").cloned().unwrap_or_default())
            }
        }
    }
}

/// Requests all keys from the server that uses the file.
async fn fetch_keys(client: &mut Client) -> Result<Value, CommandError> {
    let response = client.get("/v1/keys").await.map_err(CommandError::new)?;
    into_body(&response)
}

/// Finds a key in a list of keys by its name.
fn find<'a>(listed: &'a Value, name: &KeyId) -> Option<&'a Value> {
    let mut keys = listed.get("keys")?.as_array()?.iter();
    keys.find(|key| key.get("id").and_then(Value::as_str) == Some(name.as_str()))
}

fn check_key_exists(listed: &Value, name: &KeyId) -> Result<(), CommandError> {
    let found = find(listed, name).map(drop);
    found.ok_or_else(|| CommandError::new(format!("there is no key `{name}`")))
}

/// Returns true for a valid key with the scope `admin` in every economy.
fn is_admin(key: &Value) -> bool {
    let scopes = key.get("scopes").and_then(Value::as_array);
    let is_admin = |scope: &Value| scope.as_str() == Some(Scope::Admin.as_str());
    scopes.is_some_and(|scopes| scopes.iter().any(is_admin))
        && key.get("economies").is_none_or(Value::is_null)
        && key.get("revoked").and_then(Value::as_bool) != Some(true)
}

/// Fails if a key does not exist, or is the last admin key of every economy and `force` is false.
fn check_revocable(listed: &Value, name: &KeyId, force: bool) -> Result<(), CommandError> {
    check_key_exists(listed, name)?;
    let keys = listed.get("keys").and_then(Value::as_array);
    let admins = keys
        .into_iter()
        .flatten()
        .filter(|key| is_admin(key))
        .count();
    if force || admins > 1 || !find(listed, name).is_some_and(is_admin) {
        return Ok(());
    }
    Err(CommandError::new(format!(
        "`{name}` is the last admin key of every economy: create another one first with `bursar key create \
         --scope admin`, or pass --force"
    )))
}

async fn write(service: &Service, change: KeyChange) -> Result<Answer, ServiceError> {
    let (id, patch, mode) = match change {
        KeyChange::Create(id, patch) => (id, patch, KeyMode::Create),
        KeyChange::Rotate(id) => (id, KeyPatch::default(), KeyMode::Rotate),
        KeyChange::Revoke { key, force } => {
            let patch = KeyPatch {
                revoked: Some(true),
                force,
                ..KeyPatch::default()
            };
            (key, patch, KeyMode::Put)
        }
    };
    write_key(service, "owner", id, patch, mode).await
}

/// Returns the body of a successful answer, or the error of a rejection.
fn body_of(answer: &Answer) -> Result<Value, CommandError> {
    let body: Value = serde_json::from_slice(&answer.body).map_err(CommandError::new)?;
    if answer.status < 300 {
        return Ok(body);
    }
    Err(rejection(&body))
}

/// Makes a change through the server that uses the file.
async fn apply_served(mut client: Client, change: KeyChange) -> Result<Value, CommandError> {
    match &change {
        KeyChange::Create(_, patch) => {
            ExistingNames::fetch(&mut client, patch)
                .await?
                .check(patch)?;
        }
        KeyChange::Rotate(_) => {}
        KeyChange::Revoke { key, force } => {
            check_revocable(&fetch_keys(&mut client).await?, key, *force)?;
        }
    }
    let (method, route, body) = match change {
        KeyChange::Create(id, patch) => ("POST", format!("/v1/keys/{id}"), json!(patch)),
        KeyChange::Rotate(id) => ("PUT", format!("/v1/keys/{id}/secret"), json!({})),
        KeyChange::Revoke { key, force } => {
            let body = json!({ "revoked": true, "force": force });
            ("PUT", format!("/v1/keys/{key}"), body)
        }
    };
    let response = client.send(method, &route, None, body.to_string().into());
    let response = response.await.map_err(CommandError::new)?;
    if response.status.is_success() {
        return Ok(response.json());
    }
    Err(rejection(&response.json()))
}

const KEY_EXISTS: &str = "a key with this name exists already; choose another --name";

/// Returns the error for a problem of the API.
fn rejection(problem: &Value) -> CommandError {
    if problem.get("code").and_then(Value::as_str) == Some("key_exists") {
        return CommandError::new(KEY_EXISTS);
    }
    let detail = problem.get("detail").and_then(Value::as_str);
    CommandError::new(detail.unwrap_or("the server rejected the change and gave no reason"))
}

//! `bursar key`: the keys of a file, also while it is being served.

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

use super::owner::{Access, access, check_there, owner_says};
use super::{CommandError, Done, block_on, host, style};
use crate::client::Client;
use crate::http::{is_reserved, keys_of, render, write_key};
use crate::service::error::ServiceError;
use crate::service::{CallBounds, Service};
use crate::{clock, random};
use names::Names;

#[derive(Subcommand, Debug)]
pub(super) enum Key {
    /// Make an API key and print it, alone on standard output. It is shown once.
    Create(Create),
    /// Give a key another secret and print it. The one before is good for nothing then.
    Rotate(Named),
    /// End a key. Records go on naming it.
    Revoke(Revoke),
    /// List the keys: what each allows, and where.
    List(File),
}

/// Make an API key and print it, alone on standard output. It is shown once.
#[derive(Args, Debug)]
pub(super) struct Create {
    #[command(flatten)]
    file: File,
    /// What it allows: read, transfer, call, issue, admin; several with commas
    #[arg(long, value_delimiter = ',', required = true, value_parser = scope)]
    scope: Vec<Scope>,
    /// The economies that it sees; all of them where absent
    #[arg(long, value_delimiter = ',')]
    economy: Vec<EconomyId>,
    /// The most that one request may move, as ASSET=AMOUNT; several with commas, and no other asset
    #[arg(long, value_delimiter = ',', value_parser = asset_cap, value_name = "ASSET=AMOUNT")]
    transfer_cap: Vec<(AssetId, Limit)>,
    /// How often it may ask, as REQUESTS/SECONDS
    #[arg(long, value_parser = rate, value_name = "REQUESTS/SECONDS")]
    rate_limit: Option<RateLimit>,
    /// The accounts that it may open with the scope call, as in user:*; new ones, without limits
    #[arg(long, value_name = "PATTERN")]
    admits: Option<AccountPattern>,
    /// Lets it give the accounts that it opens metadata
    #[arg(long, requires = "admits")]
    admits_metadata: bool,
    /// A name for it, as it will stand in the journal
    #[arg(long)]
    name: Option<KeyId>,
}

/// A key that is there.
#[derive(Args, Debug)]
pub(super) struct Named {
    /// The key's name: what stands between `bursar_` and the secret
    name: KeyId,
    #[command(flatten)]
    file: File,
}

/// End a key. Records go on naming it.
#[derive(Args, Debug)]
pub(super) struct Revoke {
    #[command(flatten)]
    named: Named,
    /// Also where no admin key of every economy is left then
    #[arg(long)]
    force: bool,
}

/// A database file.
#[derive(Args, Debug)]
pub(super) struct File {
    /// The database file
    #[arg(long, value_name = "FILE", default_value = "bursar.db")]
    db: PathBuf,
}

fn scope(text: &str) -> Result<Scope, String> {
    let found = Scope::ALL.into_iter().find(|scope| scope.as_str() == text);
    found.ok_or_else(|| "a scope is read, transfer, call, issue or admin".into())
}

fn asset_cap(text: &str) -> Result<(AssetId, Limit), String> {
    let wrong = || "a cap is an asset and the most of it, as in coin=100".to_owned();
    let (asset, most) = text.split_once('=').ok_or_else(wrong)?;
    let most = most.parse().ok().and_then(Limit::new).ok_or_else(wrong)?;
    Ok((asset.parse().map_err(|_| wrong())?, most))
}

/// Several caps as one. An asset that is named twice would leave it open which of the two is meant.
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

fn rate(text: &str) -> Result<RateLimit, String> {
    let wrong = || "a rate limit is requests and seconds, as in 100/60".to_owned();
    let (requests, seconds) = text.split_once('/').ok_or_else(wrong)?;
    let number = |text: &str| text.parse().map_err(|_| wrong());
    RateLimit::new(number(requests)?, number(seconds)?).map_err(|error| error.to_string())
}

impl Key {
    pub(super) fn run(self) -> Done {
        match self {
            Self::Create(create) => style::say(block_on(create.make())??),
            Self::Rotate(Named { name, file }) => {
                let renewed = block_on(file.ask(Asked::Renew(name)))??;
                style::say(secret(&renewed)?);
            }
            Self::Revoke(Revoke { named, force }) => {
                let Named { name: key, file } = named;
                let said = format!("{key} is revoked");
                block_on(file.ask(Asked::Revoke { key, force }))??;
                style::say(said);
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

fn secret(answer: &Value) -> Result<&str, CommandError> {
    let key = answer.get("key").and_then(Value::as_str);
    key.ok_or_else(|| CommandError::new("the answer has no secret in it"))
}

/// A key, for people.
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
    async fn make(self) -> Result<String, CommandError> {
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
        let made = self.file.ask(Asked::Make(id, patch)).await?;
        Ok(secret(&made)?.into())
    }
}

/// What is asked about keys, of the file itself or of whoever serves it.
enum Asked {
    Make(KeyId, KeyPatch),
    Renew(KeyId),
    Revoke {
        key: KeyId,
        /// Whether it may be the last admin key.
        force: bool,
    },
}

impl File {
    async fn ask(&self, asked: Asked) -> Result<Value, CommandError> {
        check_there(&self.db)?;
        match access(&self.db)? {
            Access::Ours(lock) => self.ask_here(lock, asked).await,
            Access::Theirs(client) => ask_owner(*client, asked).await,
        }
    }

    async fn ask_here(&self, lock: FileLock, asked: Asked) -> Result<Value, CommandError> {
        let state = load_file(&lock).map_err(CommandError::new)?;
        // What is refused here has changed nothing of the file.
        match &asked {
            Asked::Make(key, _) if find(&keys_of(&state), key).is_some() => {
                return Err(CommandError::new(KEY_EXISTS));
            }
            Asked::Make(key, _) if is_reserved(key) => {
                return Err(CommandError::new(ServiceError::ReservedKey(key.clone())));
            }
            Asked::Make(_, patch) => Names::of(&state).check(patch)?,
            Asked::Renew(key) => is_there(&keys_of(&state), key)?,
            Asked::Revoke { key, force } => may_revoke(&keys_of(&state), key, *force)?,
        }
        let storage = Storage::open(&self.db, lock, &clock::system(), render);
        let storage = storage.map_err(CommandError::new)?;
        let service = Service::new(storage, host()?, render, CallBounds::standard()).await;
        let service = service.map_err(CommandError::new)?;
        let answer = answer_here(&service, asked).await;
        service.stop();
        understood(&answer.map_err(CommandError::new)?)
    }

    fn list(&self) -> Result<Value, CommandError> {
        check_there(&self.db)?;
        match access(&self.db)? {
            Access::Ours(lock) => {
                let state = load_file(&lock).map_err(CommandError::new)?;
                Ok(keys_of(&state).get("keys").cloned().unwrap_or_default())
            }
            Access::Theirs(mut client) => {
                let keys = block_on(async move { keys_of_owner(&mut client).await })??;
                Ok(keys.get("keys").cloned().unwrap_or_default())
            }
        }
    }
}

async fn keys_of_owner(client: &mut Client) -> Result<Value, CommandError> {
    let answer = client.get("/v1/keys").await.map_err(CommandError::new)?;
    owner_says(&answer)
}

/// The key of a name in a list of keys.
fn find<'a>(listed: &'a Value, name: &KeyId) -> Option<&'a Value> {
    let mut keys = listed.get("keys")?.as_array()?.iter();
    keys.find(|key| key.get("id").and_then(Value::as_str) == Some(name.as_str()))
}

fn is_there(listed: &Value, name: &KeyId) -> Result<(), CommandError> {
    let found = find(listed, name).map(drop);
    found.ok_or_else(|| CommandError::new(format!("there is no key `{name}`")))
}

/// Returns whether a key may do everything everywhere.
fn is_admin(key: &Value) -> bool {
    let scopes = key.get("scopes").and_then(Value::as_array);
    let is_admin = |scope: &Value| scope.as_str() == Some(Scope::Admin.as_str());
    scopes.is_some_and(|scopes| scopes.iter().any(is_admin))
        && key.get("economies").is_none_or(Value::is_null)
        && key.get("revoked").and_then(Value::as_bool) != Some(true)
}

/// Refuses to end the last key that may do everything, unless that is forced.
fn may_revoke(listed: &Value, name: &KeyId, force: bool) -> Result<(), CommandError> {
    is_there(listed, name)?;
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
        "`{name}` is the last admin key of every economy: make another one first, with `bursar key create \
         --scope admin`, or say --force"
    )))
}

async fn answer_here(service: &Service, asked: Asked) -> Result<Answer, ServiceError> {
    let (id, patch, mode) = match asked {
        Asked::Make(id, patch) => (id, patch, KeyMode::Create),
        Asked::Renew(id) => (id, KeyPatch::default(), KeyMode::Rotate),
        Asked::Revoke { key, force } => {
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

fn understood(answer: &Answer) -> Result<Value, CommandError> {
    let body: Value = serde_json::from_slice(&answer.body).map_err(CommandError::new)?;
    if answer.status < 300 {
        return Ok(body);
    }
    Err(refused(&body))
}

async fn ask_owner(mut client: Client, asked: Asked) -> Result<Value, CommandError> {
    match &asked {
        Asked::Make(_, patch) => Names::ask(&mut client, patch).await?.check(patch)?,
        Asked::Renew(_) => {}
        Asked::Revoke { key, force } => {
            may_revoke(&keys_of_owner(&mut client).await?, key, *force)?;
        }
    }
    let (method, route, body) = match asked {
        Asked::Make(id, patch) => ("POST", format!("/v1/keys/{id}"), json!(patch)),
        Asked::Renew(id) => ("PUT", format!("/v1/keys/{id}/secret"), json!({})),
        Asked::Revoke { key, force } => {
            let body = json!({ "revoked": true, "force": force });
            ("PUT", format!("/v1/keys/{key}"), body)
        }
    };
    let sent = client.send(method, &route, None, body.to_string().into());
    let answer = sent.await.map_err(CommandError::new)?;
    if answer.status.is_success() {
        return Ok(answer.json());
    }
    Err(refused(&answer.json()))
}

const KEY_EXISTS: &str = "a key of this name is there already; choose another --name";

fn refused(problem: &Value) -> CommandError {
    if problem.get("code").and_then(Value::as_str) == Some("key_exists") {
        return CommandError::new(KEY_EXISTS);
    }
    let detail = problem.get("detail").and_then(Value::as_str);
    CommandError::new(detail.unwrap_or("the owner of the file refused it"))
}

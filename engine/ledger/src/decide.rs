//! The one place where requests become effects.
//!
//! `decide` reads and never writes. Each act has a ladder of checks in the order in which
//! [`Rejection`] lists its reasons; the rungs about money are climbed once for each posting, in the
//! order given. After the last rung nothing may fail, and what comes out is a [`Decision`] that only
//! [`Books::apply`] can spend.

use std::sync::Arc;

use crate::access::{ApiKey, KeyDefinition};
use crate::account::AccountPatch;
use crate::act::{Act, AssetPatch, Authority, IssueRequest, TransferRequest};
use crate::amount::Limit;
use crate::asset::Asset;
use crate::books::Books;
use crate::call::{CallResult, Ending};
use crate::decision::{Change, Decision};
use crate::digest::Digest;
use crate::draft::Draft;
use crate::draw::Seed;
use crate::id::{AccountId, AccountKind, AssetId, KeyId, PluginId};
use crate::movement::{Movement, Posting};
use crate::plugin::{Component, GrantChoice, Grants, PluginPatch};
use crate::rejection::Rejection;
use crate::time::Timestamp;

/// What follows from an act.
#[derive(Clone, PartialEq, Debug)]
pub enum Verdict {
    /// This is to happen.
    Applied(Decision),
    /// A PUT asks for what is already so.
    Unchanged,
    /// The ledger says no.
    Rejected(Rejection),
    /// The plugin said no.
    Declined,
    /// The plugin misbehaved.
    Faulted,
    /// What a call learned is no longer true: it is to run again.
    Stale,
    /// There is no such economy.
    NoEconomy,
}

/// Decides an act against the books, or against the absence of an economy.
pub fn decide(books: Option<&Books>, at: Timestamp, act: &Act) -> Verdict {
    let verdict = match (books, act) {
        (None, Act::OpenEconomy { seed }) => Ok(open_economy(*seed)),
        (Some(_), Act::OpenEconomy { .. }) => Ok(Verdict::Unchanged),
        (None, _) => Ok(Verdict::NoEconomy),
        (Some(books), Act::SetAsset { asset, patch }) => set_asset(books, asset, patch),
        (Some(books), Act::SetAccount { account, patch }) => set_account(books, account, patch),
        (Some(books), Act::Transfer(request)) => transfer(books, request),
        (Some(books), Act::Issue(request)) => issue(books, request),
        (Some(books), Act::Burn(request)) => burn(books, request),
        (Some(books), Act::SetPlugin { plugin, patch }) => set_plugin(books, plugin, patch),
        (Some(books), Act::Call(result)) => call(books, result),
        (
            Some(books),
            Act::SetKey {
                key,
                definition,
                secret_hash,
            },
        ) => Ok(set_key(books, at, key, definition, *secret_hash)),
        (
            Some(books),
            Act::AddComponent {
                digest,
                bytes,
                name,
                version,
            },
        ) => {
            let (bytes, name, version) = (*bytes, name.clone(), version.clone());
            let component = Component {
                bytes,
                name,
                version,
                added_at: at,
            };
            Ok(add_component(books, *digest, component))
        }
    };
    verdict.unwrap_or_else(Verdict::Rejected)
}

fn open_economy(seed: Seed) -> Verdict {
    Verdict::Applied(Decision::change(Change::EconomyOpened { seed }, true))
}

fn set_asset(books: &Books, asset: &AssetId, patch: &AssetPatch) -> Result<Verdict, Rejection> {
    let present = books.asset(asset);
    let definition = match present {
        None => new_asset(patch)?,
        Some(present) => changed_asset(present, patch)?,
    };
    let (supply, max_supply) = (books.supply(asset), definition.supply_limit());
    if supply > max_supply.signed() {
        let amount = crate::amount::Amount::ONE;
        return Err(Rejection::SupplyLimit {
            asset: asset.clone(),
            max_supply,
            supply,
            amount,
        });
    }
    if present.is_some_and(|present| **present == definition) {
        return Ok(Verdict::Unchanged);
    }
    let change = Change::AssetSet {
        asset: asset.clone(),
        definition,
    };
    Ok(Verdict::Applied(Decision::change(
        change,
        present.is_none(),
    )))
}

fn new_asset(patch: &AssetPatch) -> Result<Asset, Rejection> {
    let missing = |name: &'static str| Rejection::AssetIncomplete {
        missing: name.into(),
    };
    Ok(Asset {
        kind: patch.kind.ok_or(missing("kind"))?,
        name: patch.name.clone().ok_or(missing("name"))?,
        symbol: patch.symbol.clone().over(None),
        decimals: patch.decimals.unwrap_or(0),
        max_supply: patch.max_supply.clone().over(None),
    })
}

fn changed_asset(present: &Asset, patch: &AssetPatch) -> Result<Asset, Rejection> {
    if patch.kind.is_some_and(|kind| kind != present.kind) {
        return Err(Rejection::AssetFixed {
            member: "kind".into(),
        });
    }
    if patch
        .decimals
        .is_some_and(|decimals| decimals != present.decimals)
    {
        return Err(Rejection::AssetFixed {
            member: "decimals".into(),
        });
    }
    Ok(Asset {
        kind: present.kind,
        name: patch.name.clone().unwrap_or_else(|| present.name.clone()),
        symbol: patch.symbol.clone().over(present.symbol.clone()),
        decimals: present.decimals,
        max_supply: patch.max_supply.clone().over(present.max_supply),
    })
}

fn set_account(
    books: &Books,
    account: &AccountId,
    patch: &AccountPatch,
) -> Result<Verdict, Rejection> {
    match account.kind() {
        AccountKind::Open => {}
        AccountKind::Issuer | AccountKind::Plugin(_) => {
            return Err(Rejection::ReservedAccount {
                account: account.clone(),
            });
        }
    }
    let present = books.account(account);
    let credit_limit = present.map(|account| account.credit_limit);
    let ceiling = present.and_then(|account| account.ceiling);
    let metadata = present.and_then(|account| account.metadata.clone());
    let change = Change::AccountSet {
        account: account.clone(),
        credit_limit: patch
            .credit_limit
            .clone()
            .over(credit_limit)
            .unwrap_or_default(),
        ceiling: patch.ceiling.clone().over(ceiling),
        metadata: patch.metadata.clone().over(metadata.clone()),
    };
    let as_is = Change::AccountSet {
        account: account.clone(),
        credit_limit: credit_limit.unwrap_or_default(),
        ceiling,
        metadata,
    };
    if present.is_some() && change == as_is {
        return Ok(Verdict::Unchanged);
    }
    Ok(Verdict::Applied(Decision::change(
        change,
        present.is_none(),
    )))
}

fn transfer(books: &Books, request: &TransferRequest) -> Result<Verdict, Rejection> {
    let postings = request.postings.as_slice();
    check_authority(postings, request.authority)?;
    post_all(books, postings, Vec::new())
}

fn accounts(postings: &[Posting]) -> impl Iterator<Item = &AccountId> {
    let both = |posting| {
        let Posting {
            source,
            destination,
            ..
        }: &Posting = posting;
        [source, destination]
    };
    postings.iter().flat_map(both)
}

/// Transfers never name an issuer, and debit a plugin's account only for an admin.
fn check_authority(postings: &[Posting], authority: Authority) -> Result<(), Rejection> {
    if let Some(issuer) = accounts(postings).find(|account| account.is_issuer()) {
        return Err(Rejection::IssuerAccount {
            account: issuer.clone(),
        });
    }
    let mut sources = postings.iter().map(|posting| &posting.source);
    let of_plugin = |source: &&AccountId| matches!(source.kind(), AccountKind::Plugin(_));
    match (sources.find(of_plugin), authority) {
        (Some(account), Authority::Bot) => Err(Rejection::PluginAccount {
            account: account.clone(),
        }),
        (Some(_), Authority::Admin) | (None, Authority::Bot | Authority::Admin) => Ok(()),
    }
}

fn issue(books: &Books, request: &IssueRequest) -> Result<Verdict, Rejection> {
    let source = AccountId::issuer(&request.asset);
    post_one(books, request, source, request.account.clone())
}

fn burn(books: &Books, request: &IssueRequest) -> Result<Verdict, Rejection> {
    let destination = AccountId::issuer(&request.asset);
    post_one(books, request, request.account.clone(), destination)
}

fn post_one(
    books: &Books,
    request: &IssueRequest,
    source: AccountId,
    destination: AccountId,
) -> Result<Verdict, Rejection> {
    if request.account.is_issuer() {
        return Err(Rejection::IssuerAccount {
            account: request.account.clone(),
        });
    }
    let (asset, amount) = (request.asset.clone(), request.amount);
    post_all(
        books,
        &[Posting {
            source,
            destination,
            asset,
            amount,
        }],
        Vec::new(),
    )
}

/// The money rungs, the same for everyone: assets, accounts, then each posting in the order given.
fn post_all(
    books: &Books,
    postings: &[Posting],
    changes: Vec<Change>,
) -> Result<Verdict, Rejection> {
    for posting in postings {
        if books.asset(&posting.asset).is_none() {
            return Err(Rejection::AssetNotFound {
                asset: posting.asset.clone(),
            });
        }
    }
    for account in accounts(postings) {
        if books.account(account).is_none() {
            return Err(Rejection::AccountNotFound {
                account: account.clone(),
            });
        }
    }
    let mut scratch = Scratch {
        books,
        posted: Vec::new(),
    };
    let movements = postings
        .iter()
        .map(|posting| scratch.post(posting))
        .collect::<Result<Vec<_>, _>>()?;
    // From here on nothing may fail.
    Ok(Verdict::Applied(Decision::new(movements, changes, true)))
}

/// Balances as they are after the postings so far.
struct Scratch<'a> {
    books: &'a Books,
    posted: Vec<(AccountId, AssetId, i64)>,
}

impl Scratch<'_> {
    fn post(&mut self, posting: &Posting) -> Result<Movement, Rejection> {
        let source_after = self.debit(posting)?;
        let destination_after = self.credit(posting)?;
        self.set(&posting.source, &posting.asset, source_after);
        self.set(&posting.destination, &posting.asset, destination_after);
        Ok(Movement {
            posting: posting.clone(),
            source_after,
            destination_after,
        })
    }

    fn posted(&self, account: &AccountId, asset: &AssetId) -> i64 {
        let touched = self
            .posted
            .iter()
            .find(|(a, s, _)| a == account && s == asset);
        touched.map_or_else(
            || {
                self.books
                    .account(account)
                    .map_or(0, |found| found.balance(asset).posted)
            },
            |(_, _, posted)| *posted,
        )
    }

    fn set(&mut self, account: &AccountId, asset: &AssetId, after: i64) {
        match self
            .posted
            .iter_mut()
            .find(|(a, s, _)| a == account && s == asset)
        {
            Some((_, _, posted)) => *posted = after,
            None => self.posted.push((account.clone(), asset.clone(), after)),
        }
    }

    fn debit(&self, posting: &Posting) -> Result<i64, Rejection> {
        let Posting {
            source,
            asset,
            amount,
            ..
        } = posting;
        let before = self.posted(source, asset);
        let after = before.saturating_sub(amount.signed());
        if source.is_issuer() {
            let max_supply = self
                .books
                .asset(asset)
                .map_or(Limit::MAX, |a| a.supply_limit());
            let supply = before.saturating_neg();
            if after < max_supply.signed().saturating_neg() {
                let (asset, amount) = (asset.clone(), *amount);
                return Err(Rejection::SupplyLimit {
                    asset,
                    max_supply,
                    supply,
                    amount,
                });
            }
            return Ok(after);
        }
        let account = self
            .books
            .account(source)
            .expect("accounts were found a rung above");
        let delta = before.saturating_sub(account.balance(asset).posted);
        let available = account.spendable_after(asset, delta);
        if amount.get() > available {
            return Err(Rejection::InsufficientFunds {
                account: source.clone(),
                asset: asset.clone(),
                available,
                required: *amount,
            });
        }
        Ok(after)
    }

    fn credit(&self, posting: &Posting) -> Result<i64, Rejection> {
        let Posting {
            destination,
            asset,
            amount,
            ..
        } = posting;
        let posted = self.posted(destination, asset);
        let after = posted.saturating_add(amount.signed());
        // An issuer takes back at most what it has given.
        let ceiling = if destination.is_issuer() {
            Limit::ZERO
        } else {
            self.books
                .account(destination)
                .map_or(Limit::MAX, |account| account.ceiling())
        };
        if after > ceiling.signed() {
            return Err(Rejection::CeilingExceeded {
                account: destination.clone(),
                asset: asset.clone(),
                ceiling,
                posted,
                amount: *amount,
            });
        }
        Ok(after)
    }
}

fn set_plugin(books: &Books, plugin: &PluginId, patch: &PluginPatch) -> Result<Verdict, Rejection> {
    let present = books.plugin(plugin);
    let (component, requested, renewed) = match (&patch.component, present) {
        (Some(choice), present) => {
            let same = present.is_some_and(|present| present.component == choice.digest);
            (choice.digest, choice.requested.clone(), !same)
        }
        (None, Some(present)) => (present.component, present.requested.clone(), false),
        (None, None) => {
            return Err(Rejection::ComponentMissing {
                plugin: plugin.clone(),
            });
        }
    };
    // Grants and the switch belong to the component that they were given to.
    let kept = present.filter(|_| !renewed);
    let grants = match &patch.grants {
        Some(GrantChoice::Requested) => requested.clone(),
        Some(GrantChoice::Exactly(grants)) => grants.clone().capped_as(&requested),
        None => kept
            .map(|present| present.grants.clone())
            .unwrap_or_default(),
    };
    if !grants.narrows(&requested) {
        return Err(Rejection::GrantTooWide);
    }
    let config = match (&patch.config, present) {
        (Some(config), _) => Arc::new(config.clone()),
        (None, Some(present)) => Arc::clone(&present.config),
        (None, None) => Arc::new(serde_json::json!({})),
    };
    let enabled = patch
        .enabled
        .unwrap_or_else(|| kept.is_some_and(|present| present.enabled));
    let unchanged = present.is_some_and(|present| {
        present.component == component
            && present.grants == grants
            && present.config == config
            && present.enabled == enabled
    });
    if unchanged {
        return Ok(Verdict::Unchanged);
    }
    let mut changes = own_accounts(books, plugin, patch);
    let plugin = plugin.clone();
    changes.push(Change::PluginSet {
        plugin,
        component,
        requested,
        grants,
        config,
        enabled,
    });
    let creates = present.is_none();
    Ok(Verdict::Applied(Decision::new(
        Vec::new(),
        changes,
        creates,
    )))
}

/// The accounts that come with an installation and are not there yet.
fn own_accounts(books: &Books, plugin: &PluginId, patch: &PluginPatch) -> Vec<Change> {
    let Some(choice) = &patch.component else {
        return Vec::new();
    };
    let first = AccountId::of_plugin(plugin);
    std::iter::once(&first)
        .chain(&choice.accounts)
        .filter(|account| books.account(account).is_none())
        .map(|account| Change::AccountSet {
            account: account.clone(),
            credit_limit: Limit::ZERO,
            ceiling: None,
            metadata: None,
        })
        .collect()
}

/// A call commits only if everything that it learned is still true, whatever it ended in.
fn call(books: &Books, result: &CallResult) -> Result<Verdict, Rejection> {
    let mut draft = match (Draft::open(books, &result.request), &result.ending) {
        (Err(now), Ending::NotRun(then)) if now == *then => return Err(now),
        (Err(_), _) | (Ok(_), Ending::NotRun(_)) => return Ok(Verdict::Stale),
        (Ok(draft), Ending::Replied { .. } | Ending::Declined { .. } | Ending::Faulted { .. }) => {
            draft
        }
    };
    if draft.component() != result.component || !draft.repeats(&result.transcript) {
        return Ok(Verdict::Stale);
    }
    match &result.ending {
        // The host takes a decline after a draw for a fault; what says otherwise is never committed.
        Ending::Declined { .. } if draft.has_drawn() => Ok(Verdict::Stale),
        Ending::Declined { .. } => Ok(Verdict::Declined),
        Ending::Faulted { .. } | Ending::NotRun(_) => Ok(Verdict::Faulted),
        Ending::Replied { .. } => {
            let fits = draft.check_quota();
            let (postings, changes) = draft.into_effects();
            let verdict = post_all(books, &postings, changes)?;
            fits.map(|()| verdict)
        }
    }
}

fn set_key(
    books: &Books,
    at: Timestamp,
    key: &KeyId,
    definition: &KeyDefinition,
    secret_hash: Digest,
) -> Verdict {
    let present = books.key(key);
    if present.is_some_and(|present| present.definition == *definition) {
        return Verdict::Unchanged;
    }
    // Scopes can change; the secret stays until it is rotated.
    let (secret_hash, created_at) = present.map_or((secret_hash, at), |present| {
        (present.secret_hash, present.created_at)
    });
    let definition = ApiKey {
        definition: definition.clone(),
        secret_hash,
        created_at,
    };
    let change = Change::KeySet {
        key: key.clone(),
        definition,
    };
    Verdict::Applied(Decision::change(change, present.is_none()))
}

fn add_component(books: &Books, digest: Digest, component: Component) -> Verdict {
    if books.components().contains_key(&digest) {
        return Verdict::Unchanged;
    }
    Verdict::Applied(Decision::change(
        Change::ComponentAdded { digest, component },
        true,
    ))
}

/// What a plugin may ask for at most, for a manifest that asks for too much.
impl Grants {
    /// Whether every account in here could be granted.
    pub fn is_grantable(&self) -> bool {
        self.credit.iter().all(AccountId::is_issuer)
    }
}

//! Decisions on the settings of an economy, its assets and its API keys.

use serde_json::Value;

use crate::act::AssetPatch;
use crate::amount::Amount;
use crate::asset::Asset;
use crate::books::Books;
use crate::decision::{Change, Decision};
use crate::digest::Digest;
use crate::document::Document;
use crate::draw::Seed;
use crate::economy::EconomyStatus;
use crate::id::{AssetId, KeyId};
use crate::key::definition::{ApiKey, KeyDefinition, KeyMode, KeyPatch};
use crate::patch::Patch;
use crate::quota::Quota;
use crate::rejection::Rejection;
use crate::time::Timestamp;

use super::verdict::Verdict;

pub(super) fn open_economy(seed: Seed) -> Verdict {
    Verdict::Applied(Decision::change(Change::EconomyOpened { seed }, true))
}

/// Decides a new status. A closed economy stays closed, and one with open holds cannot be closed.
pub(super) fn set_economy(books: &Books, status: EconomyStatus) -> Result<Verdict, Rejection> {
    if books.status() == status {
        return Ok(Verdict::Unchanged);
    }
    match (books.status(), status) {
        (EconomyStatus::Closed, _) => return Err(Rejection::EconomyClosed),
        (_, EconomyStatus::Closed) if books.holds_open() > 0 => {
            let open = books.holds_open();
            return Err(Rejection::HoldsOpen { open });
        }
        (EconomyStatus::Open | EconomyStatus::Frozen, _) => {}
    }
    let change = Change::EconomyStatusSet { status };
    Ok(Verdict::Applied(Decision::change(change, false)))
}

pub(super) fn set_asset(
    books: &Books,
    asset: &AssetId,
    patch: &AssetPatch,
) -> Result<Verdict, Rejection> {
    let present = books.asset(asset);
    let definition = match present {
        None => new_asset(patch)?,
        Some(present) => changed_asset(present, patch)?,
    };
    let supply = books.supply(asset);
    let max_supply = definition.supply_limit();
    if supply > max_supply.signed() {
        let amount = Amount::ONE;
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
    let creates = present.is_none();
    books.check_more(Quota::Assets, books.assets().len(), usize::from(creates))?;
    // Each asset comes with its issuer account.
    books.check_more(
        Quota::Accounts,
        books.accounts().len(),
        usize::from(creates),
    )?;
    let before = present.and_then(|present| present.metadata.as_ref());
    books.check_metadata(before, definition.metadata.as_ref())?;
    let change = Change::AssetSet {
        asset: asset.clone(),
        definition,
    };
    Ok(Verdict::Applied(Decision::change(change, creates)))
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
        metadata: document(&patch.metadata, None),
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
        metadata: document(&patch.metadata, present.metadata.as_ref()),
    })
}

/// Returns metadata after a patch.
pub(super) fn document(patch: &Patch<Value>, before: Option<&Document>) -> Option<Document> {
    match patch {
        Patch::Keep => before.cloned(),
        Patch::Clear => None,
        Patch::Set(value) => Some(Document::new(value)),
    }
}

pub(super) fn set_key(
    books: &Books,
    at: Timestamp,
    key: &KeyId,
    patch: &KeyPatch,
    new_secret: NewSecret,
) -> Result<Verdict, Rejection> {
    let present = books.key(key);
    match (present, new_secret.mode) {
        (Some(_), KeyMode::Create) => return Err(Rejection::KeyExists { key: key.clone() }),
        (Some(present), KeyMode::Rotate) if present.definition.revoked => {
            return Err(Rejection::KeyRevoked { key: key.clone() });
        }
        (Some(_) | None, KeyMode::Put | KeyMode::Rotate) | (None, KeyMode::Create) => {}
    }
    let before = present.map(|present| present.definition.clone());
    let scopes = patch.scopes.clone();
    let scopes = scopes.or_else(|| before.as_ref().map(|before| before.scopes.clone()));
    let missing = Rejection::KeyIncomplete {
        missing: "scopes".into(),
    };
    let before = before.unwrap_or_default();
    let definition = KeyDefinition {
        scopes: scopes.ok_or(missing)?,
        economies: patch.economies.clone().over(before.economies),
        transfer_cap: patch.transfer_cap.clone().over(before.transfer_cap),
        rate_limit: patch.rate_limit.clone().over(before.rate_limit),
        admits: patch.admits.clone().over(before.admits),
        revoked: patch.revoked.unwrap_or(before.revoked),
    };
    if !patch.force && !definition.is_admin() {
        check_admin_left(books, key)?;
    }
    let (secret_hash, created_at) = match present {
        Some(present) if new_secret.mode != KeyMode::Rotate => {
            if present.definition == definition {
                return Ok(Verdict::Unchanged);
            }
            (present.secret_hash, present.created_at)
        }
        Some(present) => (new_secret.hash, present.created_at),
        None => (new_secret.hash, at),
    };
    let definition = ApiKey {
        definition,
        secret_hash,
        created_at,
    };
    let change = Change::KeySet {
        key: key.clone(),
        definition,
    };
    Ok(Verdict::Applied(Decision::change(
        change,
        present.is_none(),
    )))
}

/// Checks that another admin key of every economy is left. Without one, only the server's owner could
/// create keys.
fn check_admin_left(books: &Books, key: &KeyId) -> Result<(), Rejection> {
    let mut admins = books
        .keys()
        .iter()
        .filter(|(_, key)| key.definition.is_admin());
    match (admins.next(), admins.next()) {
        (Some((admin, _)), None) if admin == key => {
            Err(Rejection::LastAdminKey { key: key.clone() })
        }
        (_, _) => Ok(()),
    }
}

/// The secret that a key gets if the key is new or its secret is replaced.
#[derive(Clone, Copy)]
pub(super) struct NewSecret {
    pub(super) hash: Digest,
    pub(super) mode: KeyMode,
}

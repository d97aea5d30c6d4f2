//! What answers look like. Nothing below this room is shaped for the wire.

use std::collections::BTreeMap;

use bursar_ledger::{
    Account, AccountId, ApiKey, Asset, AssetId, Balance, Books, Component, Day, Delivery, Digest,
    EconomyId, Flow, Hold, HoldId, KeyId, Movement, Plugin, PluginId, Webhook, WebhookId,
};
use serde_json::{Map, Value, json};

/// Adds to an object.
pub(super) fn extend(mut object: Value, more: Value) -> Value {
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
        object.extend(more);
    }
    object
}

pub(super) fn economy(id: &EconomyId, books: &Books) -> Value {
    json!({
        "id": id,
        "status": books.status(),
        "opened_at": books.opened_at(),
        "seq": books.seq(),
        "head": books.head(),
    })
}

pub(super) fn asset(id: &AssetId, asset: &Asset, books: &Books) -> Value {
    let known = json!({ "id": id, "supply": books.supply(id) });
    extend(known, serde_json::to_value(asset).unwrap_or_default())
}

fn balance(balance: &Balance) -> Value {
    json!({
        "posted": balance.posted,
        "held": balance.held,
        "available": balance.available(),
    })
}

pub(super) fn account(id: &AccountId, account: &Account) -> Value {
    let balances: Map<String, Value> = account
        .balances
        .iter()
        .map(|(asset, amounts)| (asset.to_string(), balance(amounts)))
        .collect();
    let mut view = json!({
        "id": id,
        "status": account.status,
        "credit_limit": account.credit_limit,
        "balances": balances,
    });
    if let Some(object) = view.as_object_mut() {
        object.extend(
            account
                .ceiling
                .map(|ceiling| ("ceiling".into(), json!(ceiling))),
        );
        let metadata = account.metadata.clone();
        object.extend(metadata.map(|metadata| ("metadata".into(), metadata)));
    }
    view
}

/// The movements of one transfer: what moved, and what every account touched has posted after it.
pub(super) fn movements(movements: &[Movement]) -> Value {
    let mut balances: BTreeMap<&AccountId, BTreeMap<&AssetId, i64>> = BTreeMap::new();
    for movement in movements {
        let posting = &movement.posting;
        let sides = [
            (&posting.source, movement.source_after),
            (&posting.destination, movement.destination_after),
        ];
        for (account, after) in sides {
            balances
                .entry(account)
                .or_default()
                .insert(&posting.asset, after);
        }
    }
    let postings: Vec<_> = movements.iter().map(|movement| &movement.posting).collect();
    json!({ "postings": postings, "balances": balances })
}

/// An open hold.
pub(super) fn hold(id: HoldId, hold: &Hold) -> Value {
    let posting = hold.reservation.posting();
    let captured = posting.amount.get().saturating_sub(hold.remaining.get());
    json!({
        "id": id,
        "status": "open",
        "from": posting.source,
        "to": posting.destination,
        "asset": posting.asset,
        "amount": posting.amount,
        "captured": captured,
        "remaining": hold.remaining,
        "placed_at": hold.placed_at,
        "expires_at": hold.expires_at,
        "on_expiry": hold.on_expiry,
    })
}

/// A day of an asset's circulation.
pub(super) fn flow(day: Day, plugin: Option<&PluginId>, flow: Flow) -> Value {
    json!({
        "day_starts_at": day.starts_at(),
        "plugin": plugin,
        "issued": flow.issued,
        "burned": flow.burned,
    })
}

pub(super) fn plugin(id: &PluginId, plugin: &Plugin) -> Value {
    json!({
        "id": id,
        "component": plugin.component,
        "enabled": plugin.enabled,
        "requested": plugin.requested,
        "grants": plugin.grants,
        "config": plugin.config,
        "state_bytes": plugin.state_bytes,
    })
}

pub(super) fn key(id: &KeyId, key: &ApiKey) -> Value {
    extend(
        json!({ "id": id, "created_at": key.created_at }),
        serde_json::to_value(&key.definition).unwrap_or_default(),
    )
}

/// A webhook as everybody may see it who may read: without its secret, and without its URL.
pub(super) fn webhook(id: &WebhookId, webhook: &Webhook) -> Value {
    let definition = &webhook.definition;
    let mut view = json!({
        "id": id,
        "enabled": definition.enabled,
        "created_at": webhook.created_at,
    });
    if let Some(kinds) = &definition.kinds {
        view["kinds"] = json!(kinds);
    }
    view
}

/// How far a webhook has come.
pub(super) fn delivery(delivery: &Delivery) -> Value {
    json!({
        "next_seq": delivery.done.saturating_add(1),
        "failures": delivery.failures,
        "last_success": delivery.last_success,
        "last_error": delivery.last_error,
        "dead_letters": delivery.dead.len(),
    })
}

pub(super) fn component(digest: &Digest, component: &Component) -> Value {
    json!({
        "component": digest,
        "plugin": component.name,
        "version": component.version,
        "bytes": component.bytes,
        "added_at": component.added_at,
    })
}

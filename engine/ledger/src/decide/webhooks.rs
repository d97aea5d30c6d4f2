//! What webhooks are, and how far they have come.

use crate::books::Books;
use crate::decision::{Change, Decision};
use crate::delivery::{DeliveryNote, ForgottenDelivery};
use crate::id::WebhookId;
use crate::limits::WEBHOOKS_MAX;
use crate::rejection::Rejection;
use crate::webhook::{WebhookDefinition, WebhookRequest};

use super::Verdict;

pub(super) fn set_webhook(books: &Books, request: &WebhookRequest) -> Result<Verdict, Rejection> {
    let WebhookRequest {
        webhook,
        patch,
        secret,
        rotate,
    } = request;
    let present = books.webhook(webhook).map(|present| &present.definition);
    if present.is_none() && books.webhooks().len() >= WEBHOOKS_MAX {
        return Err(Rejection::WebhooksFull { most: WEBHOOKS_MAX });
    }
    let url = patch.url.clone();
    let url = url.or_else(|| present.map(|present| present.url.clone()));
    let missing = Rejection::WebhookIncomplete {
        missing: "url".into(),
    };
    let kinds = present.and_then(|present| present.kinds.clone());
    let enabled = present.is_none_or(|present| present.enabled);
    let kept = present.filter(|_| !*rotate);
    let definition = WebhookDefinition {
        url: url.ok_or(missing)?,
        kinds: patch.kinds.clone().over(kinds),
        enabled: patch.enabled.unwrap_or(enabled),
        secret: kept.map_or(*secret, |present| present.secret),
    };
    if present == Some(&definition) {
        return Ok(Verdict::Unchanged);
    }
    let creates = present.is_none();
    let webhook = webhook.clone();
    let change = Change::WebhookSet {
        webhook,
        definition,
    };
    Ok(Verdict::Applied(Decision::change(change, creates)))
}

pub(super) fn remove(books: &Books, webhook: &WebhookId) -> Verdict {
    if books.webhook(webhook).is_none() {
        return Verdict::Unchanged;
    }
    let webhook = webhook.clone();
    Verdict::Applied(Decision::change(Change::WebhookRemoved { webhook }, false))
}

/// A note of a webhook that has had a successor of the same name since is of no interest.
pub(super) fn note_delivery(books: &Books, note: &DeliveryNote) -> Verdict {
    let present = books.delivery(&note.economy, &note.webhook);
    if present.is_some_and(|present| present.born > note.delivery.born) {
        return Verdict::Unchanged;
    }
    let present = present.map(|present| &**present);
    if present == Some(&note.added_to(present)) {
        return Verdict::Unchanged;
    }
    let change = Change::DeliveryNoted(note.clone());
    Verdict::Applied(Decision::change(change, present.is_none()))
}

pub(super) fn forget_delivery(books: &Books, gone: &ForgottenDelivery) -> Verdict {
    let present = books.delivery(&gone.economy, &gone.webhook);
    if present.is_none_or(|present| present.born != gone.born) {
        return Verdict::Unchanged;
    }
    let change = Change::DeliveryForgotten(gone.clone());
    Verdict::Applied(Decision::change(change, false))
}

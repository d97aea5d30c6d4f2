//! Decisions on webhooks.

use crate::books::Books;
use crate::decision::{Change, Decision};
use crate::id::WebhookId;
use crate::quota::Quota;
use crate::rejection::Rejection;
use crate::webhook::{WebhookDefinition, WebhookRequest};

use super::verdict::Verdict;

pub(super) fn set_webhook(books: &Books, request: &WebhookRequest) -> Result<Verdict, Rejection> {
    let WebhookRequest {
        webhook,
        patch,
        secret,
        rotate,
    } = request;
    let present = books.webhook(webhook).map(|present| &present.definition);
    let url = patch.url.clone();
    let url = url.or_else(|| present.map(|present| present.url.clone()));
    let missing = Rejection::WebhookIncomplete {
        missing: "url".into(),
    };
    let kinds = present.and_then(|present| present.kinds.clone());
    let enabled = present.is_none_or(|present| present.enabled);
    let unrotated = present.filter(|_| !*rotate);
    let definition = WebhookDefinition {
        url: url.ok_or(missing)?,
        kinds: patch.kinds.clone().over(kinds),
        enabled: patch.enabled.unwrap_or(enabled),
        secret: unrotated.map_or(*secret, |present| present.secret),
    };
    if present == Some(&definition) {
        return Ok(Verdict::Unchanged);
    }
    let creates = present.is_none();
    books.check_more(
        Quota::Webhooks,
        books.webhooks().len(),
        usize::from(creates),
    )?;
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

/// Decides the event after which a webhook continues. It cannot be later than the newest event.
pub(super) fn replay(books: &Books, webhook: &WebhookId, after: u64) -> Verdict {
    if books.webhook(webhook).is_none() {
        return Verdict::Unchanged;
    }
    let change = Change::WebhookReplayed {
        webhook: webhook.clone(),
        after: after.min(books.seq()),
    };
    Verdict::Applied(Decision::change(change, false))
}

//! Changes of an economy's webhooks.

use std::sync::Arc;

use super::Books;
use crate::id::WebhookId;
use crate::time::Timestamp;
use crate::webhook::{Webhook, WebhookDefinition, WebhookReplay};

impl Books {
    pub(super) fn replay_webhook(&mut self, webhook: &WebhookId, seq: u64, after: u64) {
        if let Some(present) = self.webhooks.get_mut(webhook) {
            Arc::make_mut(present).replay = Some(WebhookReplay { seq, after });
        }
    }

    pub(super) fn set_webhook(
        &mut self,
        webhook: &WebhookId,
        definition: &WebhookDefinition,
        seq: u64,
        at: Timestamp,
    ) {
        let present = self.webhooks.get(webhook);
        let next = Webhook {
            definition: definition.clone(),
            born: present.map_or(seq, |present| present.born),
            created_at: present.map_or(at, |present| present.created_at),
            replay: present.and_then(|present| present.replay),
        };
        self.webhooks.insert(webhook.clone(), Arc::new(next));
    }
}

//! A plugin's own keys and values, with what the call has written laid over them.

use std::sync::Arc;

use super::Draft;
use crate::fact::Page;
use crate::limits::STATE_PAGE_KEYS_MAX;
use crate::plugin::entry_bytes;
use crate::rejection::Rejection;

impl Draft {
    pub(super) fn value(&self, key: &str) -> Option<Arc<str>> {
        match self.writes.get(key) {
            Some(written) => written.clone(),
            None => self.plugin.state.get(key).cloned(),
        }
    }

    pub(super) fn page(&self, prefix: &str, cursor: Option<&str>) -> Page {
        let from: Arc<str> = cursor
            .filter(|cursor| *cursor > prefix)
            .unwrap_or(prefix)
            .into();
        let wanted = STATE_PAGE_KEYS_MAX.saturating_add(1);
        // Of the stored keys at most as many can be hidden by a delete as were written.
        let stored = self
            .plugin
            .state
            .range(Arc::clone(&from)..)
            .map(|(key, _)| key);
        let mut keys: Vec<Arc<str>> = stored
            .take_while(|key| key.starts_with(prefix))
            .filter(|key| !self.writes.contains_key(*key))
            .take(wanted)
            .cloned()
            .collect();
        let written = self
            .writes
            .range(from..)
            .filter(|(_, value)| value.is_some());
        keys.extend(
            written
                .map(|(key, _)| key)
                .filter(|key| key.starts_with(prefix))
                .cloned(),
        );
        keys.sort_unstable();
        let next = keys.get(STATE_PAGE_KEYS_MAX).cloned();
        keys.truncate(STATE_PAGE_KEYS_MAX);
        Page { keys, next }
    }

    /// Whether what the call writes fits beside what the plugin keeps.
    pub(super) fn check_quota(&self) -> Result<(), Rejection> {
        let bytes = self
            .writes
            .iter()
            .fold(self.plugin.state_bytes, |bytes, (key, value)| {
                bytes
                    .saturating_sub(entry_bytes(key, self.plugin.state.get(key)))
                    .saturating_add(entry_bytes(key, value.as_ref()))
            });
        let quota = self.plugin.installation.grants.state_quota();
        let most = usize::try_from(quota).unwrap_or(usize::MAX);
        // A plugin that is over its quota may still shrink.
        if bytes > most && bytes > self.plugin.state_bytes {
            let plugin = self.call.plugin.clone();
            return Err(Rejection::StateQuota {
                plugin,
                bytes,
                most,
            });
        }
        Ok(())
    }
}

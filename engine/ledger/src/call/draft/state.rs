//! Requests for the plugin's state, with the call's own writes applied.

use std::borrow::Borrow;
use std::sync::Arc;

use super::Draft;
use crate::books::Books;
use crate::call::request::CallRequest;
use crate::call::transcript::StatePage;
use crate::limits::{
    CALL_WRITES_MAX, STATE_AFTER_DRAW_BYTES, STATE_ENTRY_BYTES, STATE_KEY_BYTES_MAX,
    STATE_PAGE_KEYS_MAX, STATE_VALUE_BYTES_MAX,
};
use crate::plugin::installation::{entry_bytes, entry_cost};
use crate::quota::Quota;
use crate::rejection::Rejection;

/// The most by which one call can enlarge the state of an economy, in bytes.
const CALL_STATE_BYTES: u64 = CALL_WRITES_MAX as u64
    * (STATE_KEY_BYTES_MAX as u64 + STATE_VALUE_BYTES_MAX as u64 + STATE_ENTRY_BYTES);

impl<B: Borrow<Books>, R: Borrow<CallRequest>> Draft<B, R> {
    pub(super) fn value(&self, key: &str) -> Option<Arc<str>> {
        match self.writes.get(key) {
            Some(written) => written.clone(),
            None => self.plugin.state.get(key).cloned(),
        }
    }

    pub(super) fn page(&self, prefix: &str, cursor: Option<&str>) -> StatePage {
        let from: Arc<str> = cursor
            .filter(|cursor| *cursor > prefix)
            .unwrap_or(prefix)
            .into();
        let wanted = STATE_PAGE_KEYS_MAX.saturating_add(1);
        // One key more than the page shows the key at which the next page starts.
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
        StatePage { keys, next }
    }

    /// Checks that the call's writes fit into the plugin's own quota and into the economy's. After a draw
    /// the economy's quota was checked already, by `check_state_after_draw`.
    pub(super) fn check_state(&self) -> Result<(), Rejection> {
        self.check_granted_state()?;
        if self.has_drawn() {
            return Ok(());
        }
        let used = self.books().usage.state_bytes;
        self.books()
            .check_room(Quota::StateBytes, used, self.state_growth())
    }

    /// Checks that the largest possible writes after a draw fit. All plugins share the economy's quota: if
    /// it were checked after the draw, other plugins could make a round void.
    pub(super) fn check_state_after_draw(&self) -> Result<(), Rejection> {
        let used = self.books().usage.state_bytes;
        let limit = self.books().quota(Quota::StateBytes);
        let most = used
            .saturating_add(self.state_growth())
            .saturating_add(CALL_STATE_BYTES);
        if most > limit.saturating_add(STATE_AFTER_DRAW_BYTES) {
            let quota = Quota::StateBytes;
            return Err(Rejection::QuotaReached { quota, limit, used });
        }
        Ok(())
    }

    /// Returns the bytes by which the call enlarges the state of the economy.
    fn state_growth(&self) -> u64 {
        let mut before = 0_u64;
        let mut after = 0_u64;
        for (key, value) in &self.writes {
            before = before.saturating_add(entry_cost(key, self.plugin.state.get(key)));
            after = after.saturating_add(entry_cost(key, value.as_ref()));
        }
        after.saturating_sub(before)
    }

    fn check_granted_state(&self) -> Result<(), Rejection> {
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
        // A plugin that is above its quota may still shrink.
        if bytes > most && bytes > self.plugin.state_bytes {
            let plugin = self.call().plugin.clone();
            return Err(Rejection::StateQuota {
                plugin,
                bytes,
                most,
            });
        }
        Ok(())
    }
}

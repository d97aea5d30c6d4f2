//! Nonces: handed out in order when a call first draws, and remembered until its record is there.
//!
//! The journal says which nonces are used up; here is only what is between a draw and its commit, and
//! what is lost with the process was never told to anybody. A further try of a call, also one with
//! the same key later on, draws from where the first did.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bursar_ledger::{Books, CallRequest, DrawOrigin, EconomyId};

/// Origins that are remembered in an economy before those are looked through that have a record.
const REMEMBERED: usize = 1_024;

/// Where calls draw from that have no record yet.
#[derive(Default)]
pub(super) struct Nonces {
    economies: Mutex<HashMap<EconomyId, HandedOut>>,
}

#[derive(Default)]
struct HandedOut {
    next: u64,
    by_key: HashMap<String, DrawOrigin>,
}

impl Nonces {
    /// Where a call draws from: where it did before, or from a nonce that nobody has.
    pub(super) fn origin(
        &self,
        economy: &EconomyId,
        books: &Books,
        request: &CallRequest,
    ) -> DrawOrigin {
        if let Some(bound) = books.bound_origin(&request.key) {
            return bound.clone();
        }
        let mut economies = self.open();
        let handed_out = economies.entry(economy.clone()).or_default();
        // From a seed that is public by now nothing can be drawn any more; nobody was told of it.
        let hidden = books.first_hidden_seed();
        let known = handed_out.by_key.get(&request.key);
        if let Some(origin) = known.filter(|origin| origin.seed >= hidden) {
            return origin.clone();
        }
        handed_out.forget_recorded(books);
        let nonce = handed_out.next.max(books.next_nonce());
        handed_out.next = nonce.saturating_add(1);
        let origin = books.draw_origin(&request.caller, nonce);
        handed_out
            .by_key
            .insert(request.key.clone(), origin.clone());
        origin
    }

    /// What was drawn under this key is on record.
    pub(super) fn recorded(&self, economy: &EconomyId, key: &str) {
        if let Some(handed_out) = self.open().get_mut(economy) {
            handed_out.by_key.remove(key);
        }
    }

    /// The first server seed from which something was drawn that is not on record.
    pub(super) fn first_seed(&self, economy: &EconomyId) -> Option<u64> {
        let economies = self.open();
        let origins = economies.get(economy)?.by_key.values();
        origins.map(|origin| origin.seed).min()
    }

    fn open(&self) -> MutexGuard<'_, HashMap<EconomyId, HandedOut>> {
        // What is kept here is whole at any time.
        self.economies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl HandedOut {
    /// What was committed without anybody hearing of it needs no remembering.
    fn forget_recorded(&mut self, books: &Books) {
        if self.by_key.len() < REMEMBERED {
            return;
        }
        let open: std::collections::HashSet<u64> = books.open_nonces().collect();
        let next = books.next_nonce();
        self.by_key
            .retain(|_, origin| origin.nonce >= next || open.contains(&origin.nonce));
    }
}

//! Server seeds, nonces and client seeds of an economy.

use std::sync::Arc;

use super::{ApplyError, Books};
use crate::call::request::CallRequest;
use crate::draw::DrawOrigin;
use crate::draw::book::{ActiveSeed, ClientSeed, DrawBook, ServerSeed};
use crate::draw::change::{DrawChange, DrawUse};
use crate::id::{AccountId, PluginName};
use crate::limits::{BOUND_NONCES_MAX, NONCES_AHEAD_MAX};
use crate::time::Timestamp;

impl Books {
    /// Returns the server seed that new draws use.
    pub fn active_seed(&self) -> ActiveSeed {
        ActiveSeed {
            number: self.draws.active,
            since: self.draws.active_since.max(self.opened_at),
            draws: self.draws.active_draws,
        }
    }

    /// Returns a server seed that was committed to.
    pub fn server_seed(&self, number: u64) -> Option<ServerSeed> {
        if number == 0 || number > self.draws.active.saturating_add(1) {
            return None;
        }
        let seed = self.seed.server_seed(number);
        Some(ServerSeed {
            number,
            commitment: seed.commitment(),
            revealed: (number < self.draws.first_hidden()).then_some(seed),
        })
    }

    /// Returns the number of the first server seed that is not revealed.
    pub fn first_hidden_seed(&self) -> u64 {
        self.draws.first_hidden()
    }

    /// Returns the number of the first server seed from which an open game has drawn.
    pub fn first_seed_in_use(&self) -> Option<u64> {
        let holds = self.holds_after(None, None);
        holds.filter_map(|(_, hold)| hold.seed).min()
    }

    /// Returns the number of server seeds that are committed to and not revealed.
    pub(crate) fn seeds_hidden(&self) -> usize {
        self.draws.committed.len()
    }

    /// Returns the client seed of a member: the account's name by default.
    pub fn client_seed(&self, account: &AccountId) -> Arc<str> {
        let set = self.client_seeds.get(account);
        set.map_or_else(|| account.as_str().into(), |seed| Arc::clone(&seed.text))
    }

    /// Returns the origin of a call's draws, if the call draws now with this nonce.
    pub fn draw_origin(&self, caller: &AccountId, nonce: u64) -> DrawOrigin {
        let seed = self.draws.active;
        let set = self.client_seeds.get(caller);
        self.origin_of(caller, seed, nonce, set.map(|set| (&set.text, set.set_at)))
    }

    fn origin_of(
        &self,
        caller: &AccountId,
        seed: u64,
        nonce: u64,
        client_seed: Option<(&Arc<str>, u64)>,
    ) -> DrawOrigin {
        let committed = self.draws.committed.get(&seed).copied();
        let by_member = match (client_seed, committed) {
            (Some((_, set_at)), Some(committed)) => set_at > committed,
            (Some(_) | None, Some(_) | None) => false,
        };
        let text = client_seed.map_or_else(|| caller.as_str().into(), |(text, _)| Arc::clone(text));
        DrawOrigin {
            seed,
            nonce,
            client_seed: text,
            by_member,
        }
    }

    /// Returns the lowest nonce that no record has used or skipped.
    pub fn next_nonce(&self) -> u64 {
        self.draws.next_nonce
    }

    /// Returns the nonces of calls without a record. After a start these calls no longer run, so the nonces
    /// can be burned.
    pub fn open_nonces(&self) -> impl Iterator<Item = u64> + '_ {
        self.draws.open_nonces.iter().copied()
    }

    /// Returns the origin from which an earlier attempt of the request has drawn, if the call did not
    /// complete. A later attempt draws the same.
    pub fn bound_origin(&self, request: &CallRequest) -> Option<&DrawOrigin> {
        self.bound_origins.get(&request.draw_key())
    }

    /// Returns true if a call may draw from an origin: its nonce is unused, its seed is secret, and its
    /// client seed is the member's.
    ///
    /// The previous client seed is allowed as well, because a call may have started before it was replaced.
    pub fn may_draw(&self, request: &CallRequest, origin: &DrawOrigin) -> bool {
        if self.bound_origin(request) == Some(origin) {
            return true;
        }
        let caller = &request.caller;
        let nonce = origin.nonce;
        let next = self.draws.next_nonce;
        let near = nonce < next.saturating_add(NONCES_AHEAD_MAX);
        let set = self.client_seeds.get(caller);
        let now = set.map(|set| (&set.text, set.set_at));
        let before = set.and_then(|set| set.before.as_ref());
        let before = before.map(|(text, set_at)| (text, *set_at));
        let fits = [now, before]
            .iter()
            .any(|seed| self.origin_of(caller, origin.seed, nonce, *seed) == *origin);
        self.is_unused(origin) && near && fits
    }

    /// Returns true if no record has drawn with the origin's nonce, and its server seed is committed to and
    /// secret.
    pub fn is_unused(&self, origin: &DrawOrigin) -> bool {
        let DrawBook {
            active,
            next_nonce,
            open_nonces,
            ..
        } = &self.draws;
        let unused = origin.nonce >= *next_nonce || open_nonces.contains(&origin.nonce);
        unused && (self.draws.first_hidden()..=*active).contains(&origin.seed)
    }

    pub(super) fn apply_draws(
        &mut self,
        change: &DrawChange,
        seq: u64,
        at: Timestamp,
    ) -> Result<(), ApplyError> {
        match change {
            DrawChange::HoldDrew { hold, seed } => self.mark_hold(*hold, *seed)?,
            DrawChange::Drew { key, drew } => self.record_draws(key, drew),
            DrawChange::NoncesBurned { nonces } => {
                for nonce in nonces {
                    self.spend_nonce(*nonce);
                }
            }
            DrawChange::SeedRotated { active } => self.rotate_seed(*active, seq, at),
            DrawChange::SeedsRevealed { below } => self.reveal_seeds(*below),
            DrawChange::ClientSeedSet {
                account,
                client_seed,
            } => self.set_client_seed(account, client_seed, seq),
            DrawChange::DrawBroken { plugin, paused } => {
                self.count_failed_draws(plugin, *paused, seq)?;
            }
        }
        Ok(())
    }

    /// Counts a call that has drawn and then failed. `paused` switches the plugin off.
    fn count_failed_draws(
        &mut self,
        id: &PluginName,
        paused: bool,
        seq: u64,
    ) -> Result<(), ApplyError> {
        let plugin = self.plugin_mut(id)?;
        plugin.broken_draws = plugin.broken_draws.saturating_add(1);
        if paused {
            Arc::make_mut(&mut plugin.installation).enabled = false;
            plugin.history = plugin.revised(seq, false);
        }
        Ok(())
    }

    /// Marks a nonce as used. Lower nonces that were skipped become open.
    fn spend_nonce(&mut self, nonce: u64) {
        let draws = &mut self.draws;
        if nonce < draws.next_nonce {
            draws.open_nonces.remove(&nonce);
            return;
        }
        // Calls commit in another order than they take nonces. `may_draw` bounds the gap.
        draws.open_nonces.extend(draws.next_nonce..nonce);
        draws.next_nonce = nonce.saturating_add(1);
    }

    fn record_draws(&mut self, key: &Arc<str>, drew: &DrawUse) {
        self.spend_nonce(drew.origin.nonce);
        if drew.origin.seed == self.draws.active {
            let made = self.draws.active_draws;
            self.draws.active_draws = made.saturating_add(u64::from(drew.draws));
        }
        if !drew.bound {
            self.bound_origins.remove(key);
            return;
        }
        self.bound_origins
            .insert(Arc::clone(key), drew.origin.clone());
        // Clients choose the keys, so their number needs a bound. The client of the oldest has most likely
        // given up.
        if self.bound_origins.len() > BOUND_NONCES_MAX {
            let oldest = self.bound_origins.iter();
            let oldest = oldest.min_by_key(|(_, origin)| origin.nonce);
            if let Some(key) = oldest.map(|(key, _)| Arc::clone(key)) {
                self.bound_origins.remove(&key);
            }
        }
    }

    fn rotate_seed(&mut self, active: u64, seq: u64, at: Timestamp) {
        self.draws.active = active;
        self.draws.active_since = at;
        self.draws.active_draws = 0;
        self.draws.committed.insert(active.saturating_add(1), seq);
    }

    /// Removes the server seeds below a number from the secret ones. Unfinished calls that drew from them
    /// lose their origins: a seed that is public would let the member predict the next attempt.
    fn reveal_seeds(&mut self, below: u64) {
        let committed = self.draws.committed.iter();
        let committed = committed.filter(|(seed, _)| **seed >= below);
        self.draws.committed = committed.map(|(seed, seq)| (*seed, *seq)).collect();
        let hidden = self.bound_origins.iter();
        let hidden = hidden.filter(|(_, origin)| origin.seed >= below);
        self.bound_origins = hidden
            .map(|(key, origin)| (Arc::clone(key), origin.clone()))
            .collect();
    }

    fn set_client_seed(&mut self, account: &AccountId, text: &Arc<str>, set_at: u64) {
        let before = self.client_seeds.get(account);
        let before = before.map(|seed| (Arc::clone(&seed.text), seed.set_at));
        let seed = ClientSeed {
            text: Arc::clone(text),
            set_at,
            before,
        };
        self.client_seeds.insert(account.clone(), seed);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::draw::Seed;
    use crate::id::CallId;

    fn request() -> CallRequest {
        CallRequest {
            id: CallId(Uuid::nil()),
            plugin: "game".parse().expect("a name"),
            action: "play".into(),
            caller: member(),
            arguments: json!({}),
            roles: Vec::new(),
            due: None,
            spend_limit: None,
            cap: None,
            key: "key".into(),
            now: Timestamp(0),
        }
    }

    fn books() -> Books {
        Books::new(Seed::new([1; 32]), Timestamp(0))
    }

    fn member() -> AccountId {
        "user:1".parse().expect("a name")
    }

    #[test]
    fn nonces_are_accepted_up_to_a_bound_ahead() {
        let books = books();
        let request = request();
        let origin = |nonce: u64| books.draw_origin(&member(), nonce);
        let next = books.next_nonce();
        assert!(books.may_draw(&request, &origin(next)));
        assert!(books.may_draw(&request, &origin(next + NONCES_AHEAD_MAX - 1)));
        assert!(!books.may_draw(&request, &origin(next + NONCES_AHEAD_MAX)));
    }

    #[test]
    fn origins_are_kept_up_to_a_limit_and_the_oldest_is_removed() {
        let mut books = books();
        let most = BOUND_NONCES_MAX as u64;
        for nonce in 1..=most + 1 {
            let key: Arc<str> = nonce.to_string().into();
            let origin = books.draw_origin(&member(), nonce);
            let drew = DrawUse {
                origin,
                draws: 1,
                bound: true,
            };
            if nonce == most + 1 {
                assert_eq!(books.bound_origins.len(), BOUND_NONCES_MAX);
                assert!(books.bound_origins.contains_key("1"));
            }
            books.record_draws(&key, &drew);
        }
        assert_eq!(books.bound_origins.len(), BOUND_NONCES_MAX);
        assert!(!books.bound_origins.contains_key("1"));
        assert!(books.bound_origins.contains_key("2"));
    }
}

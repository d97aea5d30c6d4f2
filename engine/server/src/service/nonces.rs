//! Nonces: a call is assigned the next one at its first draw, and keeps it until its record is committed.
//!
//! The log records used nonces. This file holds only those between a draw and its commit. They are lost with the
//! process, which is safe because no data that depends on them has left it. Another attempt of a call, also by a later
//! request with the same key, draws from the same origin as the first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bursar_ledger::{Books, CallRequest, DrawOrigin, EconomyId};

/// The number of origins of an economy at which those with a record are removed.
const REMEMBERED: usize = 1_024;

/// The origins of draws of calls without a record.
#[derive(Default)]
pub(super) struct Nonces {
    economies: Mutex<HashMap<EconomyId, AssignedNonces>>,
}

/// The assigned nonces of one economy.
#[derive(Default)]
struct AssignedNonces {
    next: u64,
    by_key: HashMap<Arc<str>, DrawOrigin>,
}

impl Nonces {
    /// Returns the origin of the draws of a call: the one that it has, or one with the next nonce.
    pub(super) fn origin(
        &self,
        economy: &EconomyId,
        books: &Books,
        request: &CallRequest,
    ) -> DrawOrigin {
        if let Some(bound) = books.bound_origin(request) {
            return bound.clone();
        }
        let mut economies = self.open();
        let assigned = economies.entry(economy.clone()).or_default();
        // An origin that can no longer be committed, because its seed is public or the member has changed the client seed
        // twice, is replaced. No data that depends on it has left the process.
        let known = assigned.by_key.get(&request.draw_key());
        if let Some(origin) = known.filter(|origin| books.may_draw(request, origin)) {
            return origin.clone();
        }
        assigned.forget_recorded(books);
        let nonce = assigned.next.max(books.next_nonce());
        assigned.next = nonce.saturating_add(1);
        let origin = books.draw_origin(&request.caller, nonce);
        assigned.by_key.insert(request.draw_key(), origin.clone());
        origin
    }

    /// Removes the origin of a call, because its draws are on record or can never be.
    pub(super) fn forget(&self, economy: &EconomyId, request: &CallRequest) {
        // The key is a hash of the request, and most calls draw nothing.
        if let Some(assigned) = self.open().get_mut(economy)
            && !assigned.by_key.is_empty()
        {
            assigned.by_key.remove(&request.draw_key());
        }
    }

    /// Returns the number of the first server seed with draws that are not on record and may still be committed.
    pub(super) fn first_seed(&self, economy: &EconomyId, books: &Books) -> Option<u64> {
        let economies = self.open();
        let origins = economies.get(economy)?.by_key.values();
        let open = origins.filter(|origin| books.is_unused(origin));
        open.map(|origin| origin.seed).min()
    }

    fn open(&self) -> MutexGuard<'_, HashMap<EconomyId, AssignedNonces>> {
        // A panic cannot leave the map half changed, so a poisoned lock is still valid.
        self.economies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl AssignedNonces {
    /// Removes origins with a record, if there are many. These are of calls whose commit the service did not learn of.
    fn forget_recorded(&mut self, books: &Books) {
        if self.by_key.len() < REMEMBERED {
            return;
        }
        self.by_key.retain(|_, origin| books.is_unused(origin));
    }
}

#[cfg(test)]
mod tests {
    use bursar_ledger::{
        AccountPatch, Act, CallId, ClientSeedText, PluginName, Seed, Timestamp, Verdict,
    };
    use bursar_workbench::Workbench;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn request(key: &str) -> CallRequest {
        let plugin: PluginName = "game".parse().expect("a name");
        CallRequest {
            id: CallId(Uuid::nil()),
            plugin,
            action: "play".into(),
            caller: "user:1".parse().expect("a name"),
            arguments: json!({}),
            roles: Vec::new(),
            due: None,
            spend_limit: None,
            cap: None,
            key: key.into(),
            now: Timestamp(0),
        }
    }

    fn act(bench: &mut Workbench, act: &Act) {
        let verdict = bench.act(act);
        assert!(matches!(verdict, Verdict::Applied(_)), "{verdict:?}");
    }

    /// Returns an economy with a member.
    fn economy() -> (EconomyId, Workbench) {
        let mut bench = Workbench::new(Seed::new([1; 32]), Timestamp(1));
        let member = Act::SetAccount {
            account: "user:1".parse().expect("a name"),
            patch: AccountPatch::default(),
            admission: None,
        };
        act(&mut bench, &member);
        ("guild".parse().expect("a name"), bench)
    }

    fn set_client_seed(bench: &mut Workbench, text: &str) {
        let client_seed = ClientSeedText::try_from(text.to_owned()).expect("a client seed");
        let account = "user:1".parse().expect("a name");
        act(
            bench,
            &Act::SetClientSeed {
                account,
                client_seed,
            },
        );
    }

    #[test]
    fn a_key_keeps_its_origin_of_draws_until_it_is_removed() {
        let (economy, bench) = economy();
        let nonces = Nonces::default();
        let origin = |key: &str| nonces.origin(&economy, bench.books(), &request(key)).nonce;
        assert_eq!([origin("a"), origin("b"), origin("a")], [1, 2, 1]);
        assert_eq!(nonces.first_seed(&economy, bench.books()), Some(1));
        nonces.forget(&economy, &request("a"));
        assert_eq!(origin("a"), 3);
    }

    /// Otherwise its key would be rejected until the next start, and no seed would become public.
    #[test]
    fn draws_that_can_never_commit_are_replaced_and_delay_no_seed() {
        let (economy, mut bench) = economy();
        let nonces = Nonces::default();
        let origin = |bench: &Workbench| nonces.origin(&economy, bench.books(), &request("a"));
        let first = origin(&bench);
        set_client_seed(&mut bench, "second");
        assert_eq!(
            origin(&bench),
            first,
            "the client seed before the last change is valid"
        );
        set_client_seed(&mut bench, "third");
        let second = origin(&bench);
        assert_eq!((second.nonce, &*second.client_seed), (2, "third"));
        act(&mut bench, &Act::RotateSeed);
        act(&mut bench, &Act::RevealSeeds { below: 2 });
        assert_eq!(nonces.first_seed(&economy, bench.books()), None);
        assert_eq!(origin(&bench).seed, 2);
    }
}

//! Nonces: handed out in order when a call first draws, and remembered until its record is there.
//!
//! The journal says which nonces are used up; here is only what is between a draw and its commit, and
//! what is lost with the process was never told to anybody. A further try of a call, also one with
//! the same key later on, draws from where the first did.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    by_key: HashMap<Arc<str>, DrawOrigin>,
}

impl Nonces {
    /// Where a call draws from: where it did before, or from a nonce that nobody has.
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
        let handed_out = economies.entry(economy.clone()).or_default();
        // What can no longer be committed, since its seed is public or the member has put something else
        // in twice, was never told to anybody.
        let known = handed_out.by_key.get(&request.draw_key());
        if let Some(origin) = known.filter(|origin| books.may_draw(request, origin)) {
            return origin.clone();
        }
        handed_out.forget_recorded(books);
        let nonce = handed_out.next.max(books.next_nonce());
        handed_out.next = nonce.saturating_add(1);
        let origin = books.draw_origin(&request.caller, nonce);
        handed_out.by_key.insert(request.draw_key(), origin.clone());
        origin
    }

    /// What this call has drawn is on record, or never will be.
    pub(super) fn forget(&self, economy: &EconomyId, request: &CallRequest) {
        if let Some(handed_out) = self.open().get_mut(economy) {
            handed_out.by_key.remove(&request.draw_key());
        }
    }

    /// The first server seed from which something was drawn that is not on record and may still come to
    /// be.
    pub(super) fn first_seed(&self, economy: &EconomyId, books: &Books) -> Option<u64> {
        let economies = self.open();
        let origins = economies.get(economy)?.by_key.values();
        let open = origins.filter(|origin| books.is_unused(origin));
        open.map(|origin| origin.seed).min()
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

    /// An economy with a member in it.
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

    fn put_in(bench: &mut Workbench, text: &str) {
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
    fn a_key_draws_from_where_it_did_until_that_is_forgotten() {
        let (economy, bench) = economy();
        let nonces = Nonces::default();
        let origin = |key: &str| nonces.origin(&economy, bench.books(), &request(key)).nonce;
        assert_eq!([origin("a"), origin("b"), origin("a")], [1, 2, 1]);
        assert_eq!(nonces.first_seed(&economy, bench.books()), Some(1));
        nonces.forget(&economy, &request("a"));
        assert_eq!(origin("a"), 3);
    }

    /// Else its key would be refused until the next start, and no seed be made public.
    #[test]
    fn what_can_never_commit_is_drawn_anew_and_holds_no_seed_back() {
        let (economy, mut bench) = economy();
        let nonces = Nonces::default();
        let origin = |bench: &Workbench| nonces.origin(&economy, bench.books(), &request("a"));
        let first = origin(&bench);
        put_in(&mut bench, "second");
        assert_eq!(origin(&bench), first, "what it put in before counts still");
        put_in(&mut bench, "third");
        let second = origin(&bench);
        assert_eq!((second.nonce, &*second.client_seed), (2, "third"));
        act(&mut bench, &Act::RotateSeed);
        act(&mut bench, &Act::RevealSeeds { below: 2 });
        assert_eq!(nonces.first_seed(&economy, bench.books()), None);
        assert_eq!(origin(&bench).seed, 2);
    }
}

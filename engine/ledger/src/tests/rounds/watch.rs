//! The checks of a history of games: seeds, nonces, budgets and grants, counted from the records.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::counted::Seen;
use super::super::script::id;
use super::DAY_MS;
use crate::{
    AccountId, AssetId, Books, CallRequest, Caps, Change, Decision, DrawChange, DrawOrigin, Grants,
    Plugin, Timestamp, TransferCap, check,
};

/// The use of a nonce.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Used {
    Up,
    /// By an aborted call: another attempt under its key gets the same draws.
    Bound(Arc<str>, DrawOrigin),
}

/// The history so far, counted from the records.
#[derive(Default)]
pub(super) struct Watch {
    pub(super) nonces: BTreeMap<u64, Used>,
    spent: BTreeMap<(u64, AccountId, AssetId), u64>,
    issued: BTreeMap<(u64, AssetId), u64>,
    due: BTreeMap<String, Timestamp>,
}

pub(super) fn shop(books: &Books) -> Option<&Arc<Plugin>> {
    books.plugin(&id("shop"))
}

pub(super) fn within(caps: Option<&Caps>, asset: &AssetId, amount: u64) -> bool {
    let most = |caps: &Caps| caps.get(asset).copied().unwrap_or_default().get();
    caps.is_none_or(|caps| amount <= most(caps))
}

impl Watch {
    /// Checks the changes of a record.
    pub(super) fn look(
        &mut self,
        before: &Books,
        decision: &Decision,
        at: Timestamp,
        seen: &mut Seen,
    ) {
        for change in decision.changes() {
            if let Change::Draws(change) = change {
                self.look_at_draws(before, change, seen);
            }
            if let Change::DueMoved {
                schedule,
                due,
                next_due,
                ..
            } = change
            {
                assert!(
                    *due <= at && due < next_due,
                    "{schedule} ran before its time"
                );
                let last = self.due.insert(schedule.clone(), *due);
                assert!(
                    last.is_none_or(|last| last < *due),
                    "{schedule} ran twice at {due:?}"
                );
            }
        }
    }

    pub(super) fn look_at_draws(&mut self, before: &Books, change: &DrawChange, seen: &mut Seen) {
        match change {
            DrawChange::Drew { key, drew } => {
                self.look_at_draw(before, key, &drew.origin, drew.bound, seen);
            }
            DrawChange::NoncesBurned { nonces } => {
                for nonce in nonces {
                    let used = self.nonces.insert(*nonce, Used::Up);
                    assert_eq!(used, None, "nonce {nonce} was burned after its use");
                    seen.count("nonces burned");
                }
            }
            DrawChange::SeedRotated { .. } => seen.count("rotations"),
            DrawChange::SeedsRevealed { below } => {
                seen.count("seeds revealed");
                for used in self.nonces.values_mut() {
                    if matches!(used, Used::Bound(_, origin) if origin.seed < *below) {
                        *used = Used::Up;
                        seen.count("broken calls whose seed became public");
                    }
                }
            }
            DrawChange::HoldDrew { .. }
            | DrawChange::ClientSeedSet { .. }
            | DrawChange::DrawBroken { .. } => {}
        }
    }

    pub(super) fn look_at_draw(
        &mut self,
        before: &Books,
        key: &Arc<str>,
        origin: &DrawOrigin,
        bound: bool,
        seen: &mut Seen,
    ) {
        seen.count("draws recorded");
        let server_seed = before
            .server_seed(origin.seed)
            .expect("it was committed to");
        assert_eq!(
            server_seed.revealed, None,
            "a draw from a public seed: {origin:?}"
        );
        assert!(
            origin.seed <= before.active_seed().number,
            "a draw from a later seed"
        );
        match self.nonces.get(&origin.nonce) {
            None => {}
            Some(Used::Bound(by, from)) if (by, from) == (key, origin) => {
                seen.count("draws made again under their key");
            }
            Some(used) => panic!("nonce {} twice: {used:?}, and by {key}", origin.nonce),
        }
        let used = if bound {
            Used::Bound(Arc::clone(key), origin.clone())
        } else {
            Used::Up
        };
        self.nonces.insert(origin.nonce, used);
    }

    /// Checks the amounts that a call has spent and issued against all their limits.
    pub(super) fn look_at_money(
        &mut self,
        before: &Books,
        request: &CallRequest,
        decision: &Decision,
        at: Timestamp,
        seen: &mut Seen,
    ) {
        let plugin = shop(before).expect("it ran");
        let grants = &plugin.installation.grants;
        let day = at.0 / DAY_MS;
        for (asset, amount) in issued(decision) {
            let sum = self.issued.entry((day, asset.clone())).or_default();
            *sum += amount;
            assert!(
                within(grants.issue_per_day.as_ref(), &asset, *sum),
                "{sum} {asset} issued"
            );
            seen.count("issued within a budget");
        }
        if request.due.is_some() {
            return;
        }
        for (asset, amount) in spent(before, &request.caller, decision) {
            let cap = request.cap.as_ref().map(TransferCap::caps);
            for caps in [
                request.spend_limit.as_ref(),
                cap,
                grants.spend_per_call.as_ref(),
            ] {
                assert!(
                    within(caps, &asset, amount),
                    "{amount} {asset} in one call: {caps:?}"
                );
            }
            let place = (day, request.caller.clone(), asset.clone());
            let sum = self.spent.entry(place).or_default();
            *sum += amount;
            let daily = grants.spend_per_member_per_day.as_ref();
            assert!(
                within(daily, &asset, *sum),
                "{sum} {asset} in a day: {daily:?}"
            );
            seen.count(if asset == id("gem") {
                "gems spent within a budget"
            } else {
                "coins spent within a budget"
            });
        }
    }
}

pub(super) fn issued(decision: &Decision) -> BTreeMap<AssetId, u64> {
    let mut sums = BTreeMap::new();
    for movement in decision.movements() {
        if movement.posting.source.is_issuer() {
            let sum = sums.entry(movement.posting.asset.clone()).or_insert(0);
            *sum += movement.posting.amount.get();
        }
    }
    sums
}

/// Returns the amounts that left a member or were newly held. Captures do not count again.
pub(super) fn spent(
    before: &Books,
    caller: &AccountId,
    decision: &Decision,
) -> BTreeMap<AssetId, u64> {
    let mut sums: BTreeMap<AssetId, u64> = BTreeMap::new();
    let mut placed = BTreeMap::new();
    for movement in decision.movements() {
        if movement.posting.source == *caller {
            *sums.entry(movement.posting.asset.clone()).or_default() +=
                movement.posting.amount.get();
        }
    }
    let mut captured: BTreeMap<AssetId, u64> = BTreeMap::new();
    for change in decision.changes() {
        if let Change::HoldPlaced { hold, placed: new } = change {
            let posting = new.reservation.posting().clone();
            if posting.source == *caller {
                *sums.entry(posting.asset.clone()).or_default() += posting.amount.get();
            }
            placed.insert(*hold, posting);
        }
        if let Change::HoldCaptured { hold, amount } = change {
            let known = before.hold(*hold);
            let known = known.map(|hold| hold.reservation.posting().clone());
            let posting = known.or_else(|| placed.get(hold).cloned());
            let posting = posting.expect("what is captured was placed");
            if posting.source == *caller {
                *captured.entry(posting.asset).or_default() += amount.get();
            }
        }
    }
    for (asset, amount) in captured {
        let sum = sums.get_mut(&asset).expect("what is captured moves");
        *sum -= amount;
    }
    sums.retain(|_, sum| *sum > 0);
    sums
}

/// Checks seeds, nonces and grants after a step.
pub(super) fn check_now(books: &Books, watch: &Watch) {
    assert_eq!(check(books), [], "the books are well");
    let hidden = books.first_hidden_seed();
    for (key, origin) in &books.bound_origins {
        assert!(
            origin.seed >= hidden,
            "{key} is bound to a public seed: {origin:?}"
        );
    }
    for (hold, open) in books.holds_after(None, None) {
        assert!(
            open.seed.is_none_or(|seed| seed >= hidden),
            "{hold} is open, and its seed public"
        );
    }
    for nonce in books.open_nonces() {
        assert_eq!(
            watch.nonces.get(&nonce),
            None,
            "nonce {nonce} is used and open"
        );
    }
    assert!(watch.nonces.keys().all(|nonce| *nonce < books.next_nonce()));
    if let Some(plugin) = shop(books) {
        let Grants {
            state_bytes, fuel, ..
        } = &plugin.installation.grants;
        let requested = &plugin.installation.requested;
        assert!(*fuel <= requested.fuel, "more fuel than it asks for");
        let most = requested.state_bytes.expect("it asks for a quota");
        assert!(
            state_bytes.is_some_and(|bytes| bytes <= most),
            "more state than it asks for"
        );
        let kept = plugin
            .state
            .iter()
            .map(|(key, value)| key.len() + value.len());
        assert!(kept.sum::<usize>() as u64 <= most);
    }
}

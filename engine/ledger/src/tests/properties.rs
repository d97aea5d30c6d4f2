//! Properties over random histories.

use std::collections::BTreeMap;
use std::fmt::Debug;

use proptest::collection::vec;
use proptest::prelude::*;

use super::history::{
    Plan, SETUP, ask, draw, history, money, plan, play, replied, request, reuses_an_id, secure,
};
use super::model::Model;
use super::script::{World, call_request, id};
use crate::{
    AccountId, AccountKind, AccountPatch, Act, AssetId, Books, CallRequest, Change,
    CheckpointEntry, Decision, DrawOrigin, Hold, HoldId, HostRequest, Limit, LimitsPatch, Patch,
    PluginName, Posting, Quota, SpendLimit, Timestamp, Verdict, Violation, check, decide,
};

type Place = (AccountId, AssetId);

/// Returns the distance of each balance outside its limits. Fails at any other violation.
fn outside(books: &Books) -> BTreeMap<Place, i64> {
    let available = |account: &AccountId, asset: &AssetId| {
        let account = books.account(account).expect("it has a balance");
        account.balance(asset).available()
    };
    let distance = |violation| match violation {
        Violation::BelowFloor {
            account,
            asset,
            floor,
            ..
        }
        | Violation::OverHeld {
            account,
            asset,
            floor,
            ..
        } => {
            let distance = floor - available(&account, &asset);
            ((account, asset), distance)
        }
        Violation::AboveCeiling {
            account,
            asset,
            posted,
            ceiling,
        } => ((account, asset), posted - ceiling),
        wrong @ (Violation::NotConserved { .. }
        | Violation::UnknownAsset { .. }
        | Violation::OutOfRange { .. }
        | Violation::CreditOnItem { .. }
        | Violation::LimitWithoutBalance { .. }
        | Violation::ForeignIssuer { .. }
        | Violation::HeldMiscounted { .. }
        | Violation::LooseReversal { .. }
        | Violation::ClosedWithHolds { .. }
        | Violation::SwitchedOffAndOn { .. }
        | Violation::NameOfAnother { .. }
        | Violation::UsageMiscounted { .. }
        | Violation::StateMiscounted { .. }
        | Violation::AccountMisnumbered { .. }
        | Violation::AssetMisnumbered { .. }
        | Violation::AccountNumbersMiscounted { .. }
        | Violation::AssetNumbersMiscounted { .. }) => panic!("{wrong}"),
    };
    check(books).into_iter().map(distance).collect()
}

fn through_json<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    let json = serde_json::to_string(value).expect("it is JSON");
    serde_json::from_str(&json).expect("JSON reads back")
}

/// Returns a decision as a log keeps it: movements in columns, changes as JSON.
fn recorded(decision: &Decision) -> Decision {
    let changes: Vec<Change> = decision.changes().iter().map(through_json).collect();
    Decision::recorded(decision.movements().to_vec(), changes)
}

proptest! {
    /// Sums are zero, counts are right, and a balance is outside its limits only if the limits have
    /// changed; it then only moves towards them.
    #[test]
    fn no_random_history_breaks_an_invariant(steps in history()) {
        let mut known = BTreeMap::new();
        play(&steps, |_, act, _, world| {
            let now = outside(&world.books);
            let forced = |account: &AccountId| match act {
                Act::SetAccount { account: set, .. } => set == account,
                Act::Reverse(request) => request.force.is_some(),
                Act::OpenEconomy { .. }
                | Act::SetEconomy { .. }
                | Act::SetQuotas { .. }
                | Act::SetAsset { .. }
                | Act::Transfer(_)
                | Act::Batch(_)
                | Act::PlaceHold(_)
                | Act::CaptureHold(_)
                | Act::ReleaseHold { .. }
                | Act::ExpireHold { .. }
                | Act::Issue(_)
                | Act::Burn(_)
                | Act::SetPlugin { .. }
                | Act::RemovePlugin { .. }
                | Act::RollBackPlugin { .. }
                | Act::SwitchOffPlugin { .. }
                | Act::SkipDue { .. }
                | Act::Call(_)
                | Act::SetClientSeed { .. }
                | Act::RotateSeed
                | Act::RevealSeeds { .. }
                | Act::BurnNonces { .. }
                | Act::SetClock { .. }
                | Act::ExtendHolds { .. }
                | Act::SetKey { .. }
                | Act::AddComponent { .. }
                | Act::SetWebhook(_)
                | Act::RemoveWebhook { .. }
                | Act::ReplayWebhook { .. } => false,
            };
            for (place, distance) in &now {
                let was = known.get(place).copied().unwrap_or(0);
                assert!(
                    forced(&place.0) || *distance <= was,
                    "{place:?} moved from {was} to {distance} outside its limits",
                );
            }
            known = now;
        });
    }

    /// Members and plugins together have as many items as were issued, and no balance of an item is
    /// negative, with any limits and any forced reversals.
    #[test]
    fn a_unique_item_is_never_in_two_places(steps in history()) {
        let crown: AssetId = id("item:crown");
        play(&steps, |_, _, _, world| {
            let balances = world.books.accounts().iter();
            let members = balances.filter(|(account, _)| !account.is_issuer());
            let had = members.map(|(_, account)| account.balance(&crown).posted.max(0));
            assert_eq!(had.sum::<i64>(), world.books.supply(&crown));
        });
    }

    /// Of two installations of one component, calls of one change neither the state, the holds and the
    /// counters of the other, nor its money.
    #[test]
    fn names_of_one_component_leave_each_other_alone(steps in history()) {
        play(&steps, |before, act, _, world| {
            let Some(name) = plugin_of(act) else {
                return;
            };
            for other in before.plugins().keys().filter(|other| *other != name) {
                assert_eq!(own(before, other), own(&world.books, other), "{act:?}");
                let is_call = matches!(act, Act::Call(_));
                for (account, balances) in before.accounts().iter() {
                    if !account.belongs_to(other) || !is_call {
                        continue;
                    }
                    let after = world.books.account(account).expect("accounts stay");
                    for (asset, had) in balances.balances.iter() {
                        assert!(after.balance(asset).posted >= had.posted, "{account} {act:?}");
                    }
                }
            }
        });
    }

    /// A name stays bound to the plugin that was first installed under it.
    #[test]
    fn a_name_stands_for_one_plugin_for_ever(steps in history()) {
        play(&steps, |before, _, _, world| {
            for (name, id) in &before.bound_names {
                assert_eq!(world.books.bound_id(name), Some(id));
            }
            for (name, plugin) in world.books.plugins() {
                assert_eq!(world.books.bound_id(name), Some(&plugin.installation.id));
            }
        });
    }

    /// Limits in one asset change no decision about another.
    #[test]
    fn a_limit_says_nothing_of_other_assets(
        steps in history(),
        credit in 0..100_u64,
        ceiling in 0..100_u64,
    ) {
        play(&steps, |before, act, verdict, _| {
            let named = format!("{act:?} {verdict:?}").contains("gem");
            if named || matches!(act, Act::SetAccount { .. }) {
                return;
            }
            if let Some(limited) = with_limits_in_gems(before, credit, ceiling) {
                let at = Timestamp(1_000 + before.seq());
                assert_eq!(decide(Some(&limited), at, act), *verdict);
            }
        });
    }

    #[test]
    fn the_bookkeeper_agrees_on_every_act(acts in vec(money(), 1..60)) {
        let mut world = World::after(SETUP);
        let mut model = Model::after_setup();
        for act in &acts {
            if reuses_an_id(&world.books, act) {
                continue;
            }
            model.at = world.at().0;
            let expected = match act {
                Act::Transfer(request) => model.transfer(request),
                Act::Batch(request) => model.batch(request),
                Act::Reverse(request) => model.reverse(request),
                Act::PlaceHold(request) => model.place(request),
                Act::CaptureHold(request) => model.capture(request),
                Act::ReleaseHold { hold, .. } => model.release(*hold),
                Act::ExpireHold { hold } => model.expire(*hold),
                Act::Issue(request) => model.issue(request, true),
                Act::Burn(request) => model.issue(request, false),
                Act::SetAccount { account, patch, .. } => model.set_account(account.as_str(), patch),
                Act::OpenEconomy { .. }
                | Act::SetEconomy { .. }
                | Act::SetQuotas { .. }
                | Act::SetAsset { .. }
                | Act::SetPlugin { .. }
                | Act::RemovePlugin { .. }
                | Act::RollBackPlugin { .. }
                | Act::SwitchOffPlugin { .. }
                | Act::SkipDue { .. }
                | Act::Call(_)
                | Act::SetClientSeed { .. }
                | Act::RotateSeed
                | Act::RevealSeeds { .. }
                | Act::BurnNonces { .. }
                | Act::SetClock { .. }
                | Act::ExtendHolds { .. }
                | Act::SetKey { .. }
                | Act::AddComponent { .. }
                | Act::SetWebhook(_)
                | Act::RemoveWebhook { .. }
                | Act::ReplayWebhook { .. } => unreachable!("money moves in other acts"),
            };
            let verdict = world.act(act);
            let accepted = matches!(verdict, Verdict::Applied(_) | Verdict::Unchanged);
            prop_assert_eq!(accepted, expected, "{:?}: {:?}", act, verdict);
            for (id, account) in world.books.accounts().iter() {
                for (asset, balance) in account.balances.iter() {
                    let kept = model.balance(id.as_str(), asset.as_str());
                    prop_assert_eq!(i128::from(balance.posted), kept, "{} {}", id, asset);
                    let held = model.held(id.as_str(), asset.as_str());
                    prop_assert_eq!(i128::from(balance.held.get()), held, "{} {}", id, asset);
                }
            }
        }
    }

    #[test]
    fn only_what_is_applied_changes_the_books(steps in history()) {
        play(&steps, |before, act, verdict, world| {
            match verdict.decision() {
                Some(decision) => {
                    let after = world.decisions.last();
                    assert_eq!(Some(decision), after);
                    assert_eq!(world.books.seq(), before.seq() + 1);
                }
                None => assert_eq!(*before, world.books),
            }
            // A decision depends on the books, the time and the act only.
            let again = decide(Some(before), Timestamp(1_000 + before.seq()), act);
            assert_eq!(again, *verdict);
        });
    }

    #[test]
    fn recorded_effects_rebuild_the_books(steps in history()) {
        let world = play(&steps, |_, _, _, _| {});
        let mut rebuilt = World::blank();
        for decision in &world.decisions {
            let kept = recorded(decision);
            prop_assert_eq!(kept.changes(), decision.changes());
            rebuilt.apply(kept);
        }
        prop_assert_eq!(rebuilt.books, world.books);
    }

    #[test]
    fn checkpoint_entries_rebuild_the_books(steps in history()) {
        let books = play(&steps, |_, _, _, _| {}).books;
        let mut rebuilt = None;
        for entry in books.clone().into_entries() {
            let entry: CheckpointEntry = through_json(&entry);
            prop_assert!(Books::restore(&mut rebuilt, entry));
        }
        prop_assert_eq!(rebuilt, Some(books));
    }

    #[test]
    fn an_act_is_decided_the_same_after_json(steps in history()) {
        play(&steps, |before, act, verdict, _| {
            let kept: Act = through_json(act);
            assert_eq!(kept, *act);
            let again = decide(Some(before), Timestamp(1_000 + before.seq()), &kept);
            assert_eq!(again, *verdict);
        });
    }

    /// A call that ran on an older snapshot either runs again or ends as if it had run just now.
    #[test]
    fn late_call_ends_as_a_fresh_one(steps in history(), plan in plan()) {
        let mut snapshots = vec![World::after(SETUP).books];
        let world = play(&steps, |_, _, _, world| snapshots.push(world.books.clone()));
        let fresh = decide(Some(&world.books), world.books.recorded_at(), &plan.act(&world.books));
        prop_assert_ne!(&fresh, &Verdict::Stale, "a call on the present is never stale");
        for snapshot in &snapshots {
            let act = plan.act(snapshot);
            let late = decide(Some(&world.books), world.books.recorded_at(), &act);
            // A client seed that was set in the meantime does not change the origin of the draws.
            if late != Verdict::Stale && origin(&act) == origin(&plan.act(&world.books)) {
                prop_assert_eq!(&late, &fresh);
            }
        }
    }

    /// The caller never pays more than the spend limit of the call.
    #[test]
    fn spend_limit_holds_whatever_is_asked(
        most in 0..60_u64,
        asks in vec(ask(), 1..12),
    ) {
        let books = World::after(SETUP).books;
        let caller: AccountId = id("user:1");
        let coin: AssetId = id("coin");
        let limit = Limit::new(most).expect("a limit");
        let request = CallRequest {
            spend_limit: Some(SpendLimit::from([(coin.clone(), limit)])),
            ..call_request("key", "shop", caller.as_str())
        };
        let plan = Plan { request, asks, ending: replied(), late: false };
        let verdict = decide(Some(&books), books.recorded_at(), &plan.act(&books));
        if let Verdict::Applied(decision) = verdict {
            let postings = decision.movements().iter().map(|movement| &movement.posting);
            let left: Vec<&Posting> = postings.filter(|posting| posting.source == caller).collect();
            prop_assert!(left.iter().all(|posting| posting.asset == coin));
            prop_assert!(left.iter().map(|posting| posting.amount.get()).sum::<u64>() <= most);
        }
    }

    /// A bet commits regardless of its draws: the call can pay out everything that was secured and can keep
    /// everything, or it can do neither.
    #[test]
    fn win_commits_where_a_loss_commits(
        steps in history(),
        request in request(),
        stakes in vec(ask(), 0..4),
        secures in vec(secure(), 1..4),
        later in vec(ask(), 0..3),
    ) {
        let mut world = play(&steps, |_, _, _, _| {});
        world.run("plugin shop enabled=true");
        let books = &world.books;
                let before = |asks: Vec<HostRequest>| asks.into_iter().filter(|ask| !ask.is_draw());
        let lost: Vec<HostRequest> = before(stakes)
            .chain(secures.clone())
            .chain(before(later))
            .chain([draw(2)])
            .collect();
        let payouts = secures.into_iter().filter_map(|secure| payout(&secure, &request.caller));
        let won = lost.iter().cloned().chain(payouts).collect();
        let verdict = |asks| {
            let request = request.clone();
            let ending = replied();
            let plan = Plan { request, asks, ending, late: false };
            decide(Some(books), books.recorded_at(), &plan.act(books))
        };
        match (verdict(lost), verdict(won)) {
            (Verdict::Applied(_), Verdict::Applied(_)) => {}
            (lost, won) => prop_assert_eq!(lost, won),
        }
    }
}

/// Returns the name of the plugin that an act concerns.
fn plugin_of(act: &Act) -> Option<&PluginName> {
    match act {
        Act::Call(result) => Some(&result.request.plugin),
        Act::SetPlugin { plugin, .. }
        | Act::RemovePlugin { plugin }
        | Act::RollBackPlugin { plugin, .. }
        | Act::SwitchOffPlugin { plugin, .. }
        | Act::SkipDue { plugin, .. } => Some(plugin),
        Act::OpenEconomy { .. }
        | Act::SetEconomy { .. }
        | Act::SetQuotas { .. }
        | Act::SetAsset { .. }
        | Act::SetAccount { .. }
        | Act::Transfer(_)
        | Act::Batch(_)
        | Act::Reverse(_)
        | Act::PlaceHold(_)
        | Act::CaptureHold(_)
        | Act::ReleaseHold { .. }
        | Act::ExpireHold { .. }
        | Act::Issue(_)
        | Act::Burn(_)
        | Act::SetClientSeed { .. }
        | Act::RotateSeed
        | Act::RevealSeeds { .. }
        | Act::BurnNonces { .. }
        | Act::SetClock { .. }
        | Act::ExtendHolds { .. }
        | Act::SetKey { .. }
        | Act::AddComponent { .. }
        | Act::SetWebhook(_)
        | Act::RemoveWebhook { .. }
        | Act::ReplayWebhook { .. } => None,
    }
}

/// Returns the installation, the state, the holds and the counters of a plugin.
fn own(books: &Books, name: &PluginName) -> impl PartialEq + Debug + use<> {
    let holds = books.holds_after(None, None);
    let holds = holds.filter(|(_, hold)| hold.plugin.as_ref() == Some(name));
    let holds: Vec<(HoldId, Hold)> = holds.map(|(id, hold)| (id, Hold::clone(hold))).collect();
    let issued = books.flows.iter();
    let issued = issued.filter(|((_, _, by), _)| by.as_ref() == Some(name));
    let issued: Vec<_> = issued.map(|(key, flow)| (key.clone(), *flow)).collect();
    (books.plugin(name).cloned(), holds, issued)
}

/// Returns the books with other limits in gems, or `None` if these could change a decision: if gems are
/// held, or a quota of balances is set.
fn with_limits_in_gems(books: &Books, credit: u64, ceiling: u64) -> Option<Books> {
    let gem: AssetId = id("gem");
    let mut holds = books.holds_after(None, None);
    let is_held = holds.any(|(_, hold)| hold.reservation.posting().asset == gem);
    if is_held || books.quotas().set(Quota::Balances).is_some() {
        return None;
    }
    let limits = |most| {
        let most = Limit::new(most).expect("a limit");
        Patch::Set(LimitsPatch::from([(gem.clone(), Some(most))]))
    };
    let mut limited = books.clone();
    let users = books.accounts().keys();
    for account in users.filter(|account| account.kind() == AccountKind::Open) {
        let act = Act::SetAccount {
            account: account.clone(),
            patch: AccountPatch {
                credit_limit: limits(credit),
                ceiling: limits(ceiling),
                ..AccountPatch::default()
            },
            admission: None,
        };
        let verdict = decide(Some(&limited), books.recorded_at(), &act);
        let applied = |decision| limited.apply(decision, books.seq(), books.recorded_at());
        verdict
            .decision()
            .map(applied)?
            .expect("it was decided on these books");
    }
    Some(limited)
}

/// Returns the origin of a call's draws.
fn origin(act: &Act) -> Option<&DrawOrigin> {
    let Act::Call(result) = act else {
        return None;
    };
    result.origin.as_ref()
}

/// Pays to the caller what was secured.
fn payout(secure: &HostRequest, caller: &AccountId) -> Option<HostRequest> {
    let HostRequest::Secure {
        account,
        asset,
        amount,
    } = secure
    else {
        return None;
    };
    Some(HostRequest::Transfer(Posting {
        source: account.clone(),
        destination: caller.clone(),
        asset: asset.clone(),
        amount: *amount,
    }))
}

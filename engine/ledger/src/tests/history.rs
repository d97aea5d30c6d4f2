//! Random histories: acts and calls over a few accounts, many of which are refused.

mod acts;

use proptest::prelude::*;
use std::fmt::Debug;
use std::sync::Arc;

pub(super) use acts::money;
use acts::{account, amount, asset, caller, limit, named, other, posting, set_asset, set_plugin};
use proptest::collection::vec;
use proptest::option::of;
use proptest::sample::select;

use super::script::{World, call_id, call_request, id};
use crate::{
    Act, Books, CallEnding, CallRequest, CallResult, Digest, Draft, HoldId, HostRequest,
    HostResponse, PluginName, RollbackTarget, SpendLimit, Timestamp, Transcript, Verdict,
};

/// The idempotency keys of calls, from which the ids of their holds derive.
const KEYS: [&str; 6] = ["k0", "k1", "k2", "k3", "k4", "k5"];

/// The setup of every history.
pub(super) const SETUP: &str = "
    asset coin
    asset gem max_supply=50
    asset item:crown kind=item max_supply=2
    account user:1
    account user:2 credit_limit=coin/30
    account user:3 ceiling=coin/60
    plugin shop component=a accounts=till grants=requested enabled=true holds=stake/5/capture \
        requests=read/user:2,debit/user:2,debit/issuer:coin,credit/issuer:coin
    plugin market of=shop component=a accounts=till grants=requested enabled=true \
        holds=stake/5/capture requests=read/user:2,debit/user:2,debit/issuer:coin,credit/issuer:coin
    issue user:1 coin 40
    issue user:1 item:crown 1
    issue user:2 coin 40
    issue user:2 gem 10
    issue user:3 gem 10
    issue plugin:shop coin 40
    issue plugin:market coin 40";

/// A step of a history. A call is only planned: its result depends on the books.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Act(Act),
    Call(Box<Plan>),
}

#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) request: CallRequest,
    pub(super) asks: Vec<HostRequest>,
    pub(super) ending: CallEnding,
    /// True if the call ran on the books before the last change.
    pub(super) late: bool,
}

impl Plan {
    /// Runs the plan on a snapshot, as a host would.
    fn run(&self, snapshot: &Books) -> CallResult {
        let at = Timestamp(1_000 + snapshot.seq());
        let result = |component, transcript, ending, origin| CallResult {
            request: self.request.clone(),
            component,
            transcript,
            ending,
            fuel: 0,
            origin,
        };
        let mut draft = match Draft::open(snapshot, &self.request, at) {
            Ok(draft) => draft,
            Err(no) => {
                let ending = CallEnding::NotRun(no);
                return result(Digest::ZERO, Transcript::default(), ending, None);
            }
        };
        let mut stopped = None;
        for ask in &self.asks {
            if ask.is_draw() && draft.awaits_origin() {
                let fresh = || snapshot.draw_origin(&self.request.caller, snapshot.next_nonce());
                let bound = snapshot.bound_origin(&self.request).cloned();
                draft.draw_from(bound.unwrap_or_else(fresh));
            }
            if let HostResponse::Ends(rejection) = draft.answer(ask.clone()) {
                stopped = Some(CallEnding::Stopped(rejection));
                break;
            }
        }
        let declined = matches!(self.ending, CallEnding::Declined { .. });
        let ending = stopped.unwrap_or_else(|| {
            let broken = matches!(self.ending, CallEnding::Broken { .. });
            if declined && draft.has_drawn() {
                let fault = "it declined after a draw".into();
                CallEnding::Faulted { fault }
            } else if broken && draft.origin().is_none() {
                // A call that has not drawn leaves no record when it aborts.
                replied()
            } else {
                self.ending.clone()
            }
        });
        let component = draft.component();
        let origin = draft.origin().cloned();
        result(component, draft.close(), ending, origin)
    }

    pub(super) fn act(&self, snapshot: &Books) -> Act {
        Act::Call(Box::new(self.run(snapshot)))
    }
}

/// Plays a history and shows every act with its verdict and the books before it.
pub(super) fn play(steps: &[Step], mut see: impl FnMut(&Books, &Act, &Verdict, &World)) -> World {
    let mut world = World::after(SETUP);
    let mut earlier = world.books.clone();
    for step in steps {
        let act = match step {
            Step::Act(act) => act.clone(),
            Step::Call(plan) if plan.late => plan.act(&earlier),
            Step::Call(plan) => plan.act(&world.books),
        };
        if reuses_an_id(&world.books, &act) {
            continue;
        }
        let before = world.books.clone();
        let verdict = world.act(&act);
        see(&before, &act, &verdict, &world);
        if before != world.books {
            earlier = before;
        }
    }
    world
}

/// Returns true if an act carries a used id. Real ids are created for each request.
pub(super) fn reuses_an_id(books: &Books, act: &Act) -> bool {
    match act {
        Act::PlaceHold(request) => books.hold(request.id).is_some(),
        Act::Reverse(request) => books.reversal(request.id).is_some(),
        Act::Call(result) => {
            let mut facts = result.transcript.exchanges().iter();
            facts.any(
                |fact| matches!(fact.response, HostResponse::Placed(hold) if books.hold(hold).is_some()),
            )
        }
        Act::OpenEconomy { .. }
        | Act::SetEconomy { .. }
        | Act::SetQuotas { .. }
        | Act::SetAsset { .. }
        | Act::SetAccount { .. }
        | Act::Transfer(_)
        | Act::Batch(_)
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
    }
}

pub(super) fn ask() -> impl Strategy<Value = HostRequest> + Clone {
    let key = || select(["a", "ab", "b"].map(Arc::<str>::from).to_vec());
    prop_oneof![
        2 => (account(), asset()).prop_map(|(account, asset)| HostRequest::Balance { account, asset }),
        2 => (account(), asset(), amount())
            .prop_map(|(account, asset, amount)| HostRequest::HasAtLeast { account, asset, amount }),
        4 => posting().prop_map(HostRequest::Transfer),
        1 => secure(),
        1 => (1..=6_u32).prop_map(draw),
        1 => (1..=6_u32).prop_map(|count| HostRequest::Shuffle { count, label: "deck".into() }),
        3 => posting().prop_map(|posting| HostRequest::PlaceHold { rule: "stake".into(), posting }),
        2 => (placed(), of(amount()))
            .prop_map(|(hold, amount)| HostRequest::CaptureHold { hold, amount }),
        1 => placed().prop_map(|hold| HostRequest::ReleaseHold { hold }),
        1 => placed().prop_map(|hold| HostRequest::SecureHold { hold }),
        1 => placed().prop_map(|hold| HostRequest::HoldLeft { hold }),
        1 => Just(HostRequest::ClientSeed),
        1 => key().prop_map(|key| HostRequest::Get { key }),
        2 => (key(), "[x-z]{0,4}")
            .prop_map(|(key, value)| HostRequest::Set { key, value: value.into() }),
        1 => key().prop_map(|key| HostRequest::Delete { key }),
        1 => key().prop_map(|prefix| HostRequest::List { prefix, cursor: None }),
        1 => (select(["draw", "none"].map(String::from).to_vec()), 0..200_000_u64)
            .prop_map(|(schedule, from)| HostRequest::Wake { schedule, from: Timestamp(from) }),
    ]
}

/// Returns a hold that some call may have placed.
fn placed() -> impl Strategy<Value = HoldId> + Clone {
    (select(KEYS.to_vec()), 0..2_u8).prop_map(|(key, index)| call_id(key).hold(index))
}

pub(super) fn secure() -> impl Strategy<Value = HostRequest> + Clone {
    let own = named(&[(2, "plugin:shop"), (1, "plugin:shop:till")]);
    (own, asset(), amount()).prop_map(|(account, asset, amount)| HostRequest::Secure {
        account,
        asset,
        amount,
    })
}

pub(super) fn draw(range: u32) -> HostRequest {
    HostRequest::Draw {
        range,
        label: "draw".into(),
    }
}

pub(super) fn request() -> impl Strategy<Value = CallRequest> + Clone {
    let spend = of(limit().prop_map(|most| SpendLimit::from([(id("coin"), most)])));
    let key = select(KEYS.to_vec());
    let plugin = named::<PluginName>(&[(4, "shop"), (1, "market")]);
    let parts = (key, plugin, caller(), spend);
    parts.prop_map(|(key, plugin, caller, spend_limit)| CallRequest {
        spend_limit,
        ..call_request(key, plugin.as_str(), caller.as_str())
    })
}

pub(super) fn replied() -> CallEnding {
    CallEnding::Replied {
        reply: serde_json::json!({"ok": true}),
    }
}

pub(super) fn declined() -> CallEnding {
    CallEnding::Declined {
        code: "no".into(),
        message: "no".into(),
    }
}

pub(super) fn faulted() -> CallEnding {
    CallEnding::Faulted {
        fault: "trap".into(),
    }
}

pub(super) fn broken(by_plugin: bool) -> CallEnding {
    CallEnding::Broken {
        failure: "busy".into(),
        by_plugin,
    }
}

fn ending() -> impl Strategy<Value = CallEnding> + Clone {
    prop_oneof![
        12 => Just(replied()),
        2 => Just(declined()),
        2 => Just(faulted()),
        1 => Just(broken(true)),
    ]
}

pub(super) fn plan() -> impl Strategy<Value = Plan> + Clone {
    let parts = (request(), vec(ask(), 0..6), ending(), any::<bool>());
    parts.prop_map(|(request, asks, ending, late)| Plan {
        request,
        asks,
        ending,
        late,
    })
}

pub(super) fn history() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        10 => money().prop_map(Step::Act),
        8 => plan().prop_map(|plan| Step::Call(Box::new(plan))),
        1 => set_asset().prop_map(Step::Act),
        1 => set_plugin().prop_map(Step::Act),
        2 => other().prop_map(Step::Act),
        1 => select(vec![
            Act::RemovePlugin { plugin: id("shop") },
            Act::RollBackPlugin {
                plugin: id("shop"),
                what: RollbackTarget::Component,
            },
            Act::RemovePlugin { plugin: id("market") },
        ])
        .prop_map(Step::Act),
    ];
    vec(step, 1..40)
}

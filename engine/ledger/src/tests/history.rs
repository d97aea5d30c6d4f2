//! Random histories: acts and calls over a few accounts, many of which are refused.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::str::FromStr;
use std::sync::Arc;

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use uuid::Uuid;

use super::script::{World, call_id, call_request, id};
use super::words::Words;
use crate::{
    AMOUNT_MAX, AccountId, AccountPatch, AccountStatus, Act, Amount, AssetId, AssetPatch,
    Authority, BatchRequest, Books, CallEnding, CallRequest, CallResult, CaptureRequest,
    ComponentChoice, Digest, Document, Draft, Force, GrantChoice, HoldId, HoldRequest, HostRequest,
    HostResponse, IssueRequest, KeyMode, KeyPatch, Limit, LimitsPatch, OnExpiry, Patch, PluginName,
    PluginPatch, Posting, Postings, Quota, ReversalRequest, RollbackTarget, Scope, Scopes,
    SpendLimit, Timestamp, Transcript, TransferCap, TransferId, TransferRequest, Transfers,
    Verdict,
};

/// Keys of calls; from them follow the ids of the holds that they place.
const KEYS: [&str; 6] = ["k0", "k1", "k2", "k3", "k4", "k5"];

/// Where histories begin.
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

/// One step of a history. A call is a plan: what comes of it depends on the books.
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
    /// Whether it ran on books from before the last change.
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
            if let HostResponse::Ends(rejection) = draft.perform(ask.clone()) {
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
                // What has drawn nothing leaves no record.
                replied()
            } else {
                self.ending.clone()
            }
        });
        let (component, origin) = (draft.component(), draft.origin().cloned());
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

/// Whether an act brings an id that was used before. Ids are made new for each request.
pub(super) fn reuses_an_id(books: &Books, act: &Act) -> bool {
    match act {
        Act::PlaceHold(request) => books.hold(request.id).is_some(),
        Act::Reverse(request) => books.reversal(request.id).is_some(),
        Act::Call(result) => {
            let mut facts = result.transcript.facts().iter();
            facts.any(
                |fact| matches!(fact.answer, HostResponse::Placed(hold) if books.hold(hold).is_some()),
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

/// One of some names, each as often as its weight says.
fn named<T: FromStr<Err: Debug> + Clone + Debug + 'static>(
    weighted: &[(usize, &str)],
) -> impl Strategy<Value = T> + Clone + use<T> {
    let names = weighted
        .iter()
        .flat_map(|(weight, name)| std::iter::repeat_n(id(name), *weight));
    select(names.collect::<Vec<T>>())
}

fn account() -> impl Strategy<Value = AccountId> + Clone {
    named(&[
        (5, "user:1"),
        (5, "user:2"),
        (5, "user:3"),
        (1, "user:4"),
        (4, "plugin:shop"),
        (2, "plugin:shop:till"),
        (2, "plugin:market"),
        (1, "plugin:market:till"),
        (1, "issuer:coin"),
        (1, "issuer:gem"),
    ])
}

fn caller() -> impl Strategy<Value = AccountId> + Clone {
    named(&[
        (6, "user:1"),
        (6, "user:2"),
        (6, "user:3"),
        (1, "user:4"),
        (1, "plugin:shop"),
    ])
}

fn asset() -> impl Strategy<Value = AssetId> + Clone {
    named(&[(9, "coin"), (4, "gem"), (2, "item:crown"), (1, "none")])
}

fn amount() -> impl Strategy<Value = Amount> + Clone {
    let units = prop_oneof![1 => Just(1_u64), 8 => 1..=20_u64, 3 => 20..=100_u64, 1 => AMOUNT_MAX - 60..=AMOUNT_MAX];
    units.prop_map(|units| Amount::new(units).expect("an amount"))
}

fn limit() -> impl Strategy<Value = Limit> + Clone {
    let units = prop_oneof![4 => 0..=100_u64, 1 => Just(AMOUNT_MAX)];
    units.prop_map(|units| Limit::new(units).expect("a limit"))
}

fn patch<T: Clone + Debug>(
    values: impl Strategy<Value = T> + Clone,
) -> impl Strategy<Value = Patch<T>> + Clone {
    prop_oneof![
        2 => Just(Patch::Keep),
        1 => Just(Patch::Clear),
        3 => values.prop_map(Patch::Set),
    ]
}

/// Limits in several assets, some of them removed.
fn limits() -> impl Strategy<Value = Patch<LimitsPatch>> + Clone {
    let limited = named(&[(12, "coin"), (6, "gem"), (2, "item:crown"), (1, "none")]);
    patch(btree_map(limited, of(limit()), 0..3))
}

/// Half of them are likely to be possible: little, between accounts that have some.
fn posting() -> impl Strategy<Value = Posting> + Clone {
    let well_off = || named(&[(3, "user:1"), (3, "user:2"), (1, "user:3")]);
    let likely = (
        well_off(),
        well_off(),
        named(&[(4, "coin"), (1, "gem")]),
        1..=8_u64,
    );
    let likely = likely.prop_map(|(from, to, asset, units)| {
        let amount = Amount::new(units).expect("an amount");
        (from, to, asset, amount)
    });
    let any = (account(), account(), asset(), amount());
    let posting = prop_oneof![likely, any];
    let posting = posting.prop_filter("a posting has two accounts", |(from, to, ..)| from != to);
    posting.prop_map(|(source, destination, asset, amount)| Posting {
        source,
        destination,
        asset,
        amount,
    })
}

/// What the key that asks may move: of coins, and of nothing else; mostly anything.
fn cap() -> impl Strategy<Value = Option<TransferCap>> + Clone {
    let capped = amount().prop_map(|most| {
        let most = Limit::new(most.get()).expect("an amount is a limit");
        let caps = BTreeMap::from([(id("coin"), most)]);
        Some(TransferCap::try_from(caps).expect("one asset is not too many"))
    });
    prop_oneof![3 => Just(None), 1 => capped]
}

fn transfer() -> impl Strategy<Value = Act> + Clone {
    let authority = select(vec![Authority::Bot, Authority::Admin]);
    (vec(posting(), 1..4), authority, cap()).prop_map(|(postings, authority, cap)| {
        Act::Transfer(TransferRequest {
            id: TransferId(Uuid::nil()),
            postings: Postings::new(postings).expect("postings of two accounts each"),
            authority,
            cap,
        })
    })
}

fn issue_or_burn() -> impl Strategy<Value = Act> + Clone {
    let asked = (account(), asset(), amount(), cap(), any::<bool>());
    asked.prop_map(|(account, asset, amount, cap, issues)| {
        let request = IssueRequest {
            id: TransferId(Uuid::nil()),
            account,
            asset,
            amount,
            cap,
        };
        if issues {
            Act::Issue(request)
        } else {
            Act::Burn(request)
        }
    })
}

fn set_account() -> impl Strategy<Value = Act> + Clone {
    let metadata = select(vec![
        serde_json::json!("Ada"),
        serde_json::json!({"name": ["ä", 1, null, AMOUNT_MAX]}),
    ]);
    // Mostly open: on other accounts little happens.
    let status = select(vec![
        None,
        None,
        Some(AccountStatus::Open),
        Some(AccountStatus::Open),
        Some(AccountStatus::Frozen),
        Some(AccountStatus::Closed),
    ]);
    let patch = (status, limits(), limits(), patch(metadata));
    (account(), patch).prop_map(|(account, (status, credit_limit, ceiling, metadata))| {
        Act::SetAccount {
            account,
            patch: AccountPatch {
                status,
                credit_limit,
                ceiling,
                metadata,
            },
            admission: None,
        }
    })
}

fn batch() -> impl Strategy<Value = Act> + Clone {
    let authority = select(vec![Authority::Bot, Authority::Admin]);
    let transfer = (vec(posting(), 1..3), authority).prop_map(|(postings, authority)| {
        let postings = Postings::new(postings).expect("postings of two accounts each");
        TransferRequest {
            id: TransferId(Uuid::nil()),
            postings,
            authority,
            cap: None,
        }
    });
    (vec(transfer, 1..4), cap()).prop_map(|(transfers, cap)| {
        let transfers = Transfers::new(transfers).expect("a batch");
        Act::Batch(BatchRequest { transfers, cap })
    })
}

fn hold_id() -> impl Strategy<Value = HoldId> + Clone {
    (0..2_u128).prop_map(|number| HoldId(Uuid::from_u128(number)))
}

fn hold() -> impl Strategy<Value = Act> + Clone {
    // A hold of no time is due at once and never captured.
    let time = select(vec![0, 1000, 1000]);
    let on_expiry = select(vec![OnExpiry::Release, OnExpiry::Capture]);
    let parts = (hold_id(), posting(), time, on_expiry, cap());
    let place = parts.prop_map(|(id, posting, expires_in_s, on_expiry, cap)| {
        Act::PlaceHold(Box::new(HoldRequest {
            id,
            reservation: posting.try_into().expect("two accounts"),
            expires_in_s,
            on_expiry,
            authority: Authority::Bot,
            cap,
        }))
    });
    let part = of(prop_oneof![
        2 => (1..=8_u64).prop_map(|units| Amount::new(units).expect("an amount")),
        1 => amount(),
    ]);
    let capture = (hold_id(), part, cap()).prop_map(|(hold, amount, cap)| {
        Act::CaptureHold(CaptureRequest {
            id: TransferId(Uuid::nil()),
            hold,
            amount,
            ended: None,
            authority: Authority::Bot,
            cap,
        })
    });
    let release = hold_id().prop_map(|hold| Act::ReleaseHold {
        hold,
        ended: None,
        authority: Authority::Bot,
    });
    let expire = hold_id().prop_map(|hold| Act::ExpireHold { hold });
    prop_oneof![6 => place, 10 => capture, 1 => release, 3 => expire]
}

fn reversal() -> impl Strategy<Value = Act> + Clone {
    let transfer = || (0..6_u128).prop_map(|number| TransferId(Uuid::from_u128(number)));
    let authority = select(vec![Authority::Bot, Authority::Admin]);
    let force = of(Just(Force {
        reason: "theft".into(),
    }));
    let parts = (transfer(), transfer(), posting(), authority, force, cap());
    let parts = parts.prop_filter("no transfer reverses itself", |(id, original, ..)| {
        id != original
    });
    parts.prop_map(|(id, original, posting, authority, force, cap)| {
        Act::Reverse(Box::new(ReversalRequest {
            id,
            original,
            postings: Postings::new(vec![posting]).expect("two accounts"),
            authority,
            force,
            cap,
        }))
    })
}

/// What only moves money or limits: what the bookkeeper of the model understands.
pub(super) fn money() -> impl Strategy<Value = Act> + Clone {
    prop_oneof![
        6 => transfer(),
        2 => batch(),
        9 => hold(),
        2 => reversal(),
        4 => issue_or_burn(),
        1 => set_account(),
    ]
}

fn set_asset() -> impl Strategy<Value = Act> + Clone {
    let name = of(Just("Name".to_owned()));
    (asset(), patch(limit()), name).prop_map(|(asset, max_supply, name)| Act::SetAsset {
        asset,
        patch: AssetPatch {
            name,
            max_supply,
            ..AssetPatch::default()
        },
    })
}

fn set_plugin() -> impl Strategy<Value = Act> + Clone {
    let config = |price: u8| Document::new(&serde_json::json!({ "price": price }));
    let config = (0..3_u8).prop_map(config);
    let grants = select(vec![
        GrantChoice::Requested,
        GrantChoice::Requested,
        GrantChoice::Exactly(Box::default()),
    ]);
    let enabled = proptest::bool::weighted(0.8);
    let component = proptest::option::weighted(0.2, component());
    let parts = (installed(), component, of(config), of(grants), of(enabled));
    parts.prop_map(|(plugin, component, config, grants, enabled)| {
        let patch = PluginPatch {
            component,
            grants,
            config,
            enabled,
            ..PluginPatch::default()
        };
        Act::SetPlugin {
            plugin,
            patch: Box::new(patch),
        }
    })
}

/// A name under which a plugin is, or may be.
fn installed() -> impl Strategy<Value = PluginName> + Clone {
    named(&[(6, "shop"), (3, "market"), (1, "stall")])
}

/// A version of the component that is there, or of another plugin.
fn component() -> impl Strategy<Value = ComponentChoice> + Clone {
    let digest = select(vec![Digest::of(b"a"), Digest::of(b"b")]);
    let of = named(&[(3, "shop"), (1, "bank")]);
    let fixed = proptest::bool::weighted(0.1);
    (digest, of, fixed).prop_map(|(digest, of, name_is_fixed)| {
        let first = SETUP.lines().find(|line| line.contains("plugin shop"));
        let words = Words::of(first.expect("a shop is there"));
        let choice = words.plugin_patch().component;
        ComponentChoice {
            digest,
            id: of,
            name_is_fixed,
            ..choice.expect("it has a component")
        }
    })
}

fn other() -> impl Strategy<Value = Act> + Clone {
    let key = select(Scope::ALL.to_vec()).prop_map(|scope| Act::SetKey {
        key: id("bot"),
        patch: Box::new(KeyPatch {
            scopes: Some(Scopes::from([scope])),
            ..KeyPatch::default()
        }),
        secret_hash: Digest::of(b"secret"),
        mode: KeyMode::Put,
    });
    let component = (0..3_u64).prop_map(|bytes| Act::AddComponent {
        digest: Digest::of(&bytes.to_be_bytes()),
        bytes,
        name: "shop".into(),
        version: "1.0.0".into(),
    });
    let seed = (caller(), "[a-c]{1,2}").prop_map(|(account, seed)| Act::SetClientSeed {
        account,
        client_seed: seed.try_into().expect("a client seed"),
    });
    // Low enough to be reached, and sometimes at their defaults.
    let limit = proptest::option::weighted(0.8, 0..4_u64);
    let quota = (select(Quota::ALL.to_vec()), limit).prop_map(|(quota, limit)| {
        // What there is of it in the beginning, and a little more.
        let (base, scale) = match quota {
            Quota::MetadataBytes => (0, 10),
            Quota::StateBytes => (0, 150),
            Quota::Accounts | Quota::Balances => (9, 1),
            Quota::Assets
            | Quota::Plugins
            | Quota::Holds
            | Quota::Reversals
            | Quota::BudgetCounters
            | Quota::Webhooks
            | Quota::Streams => (0, 1),
        };
        let limits = BTreeMap::from([(quota, limit.map(|limit| base + limit * scale))]);
        Act::SetQuotas {
            patch: limits.try_into().expect("no limit is too high"),
        }
    });
    let reveal = (1..4_u64).prop_map(|below| Act::RevealSeeds { below });
    let burn = vec(1..4_u64, 0..3).prop_map(|nonces| Act::BurnNonces { nonces });
    prop_oneof![
        1 => key,
        1 => component,
        1 => seed,
        1 => Just(Act::RotateSeed),
        1 => reveal,
        1 => burn,
        4 => quota,
    ]
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

/// A hold that some call may have placed.
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

//! Random acts.

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::str::FromStr;

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::sample::select;
use uuid::Uuid;

use super::super::script::id;
use super::super::words::Words;
use super::SETUP;
use crate::{
    AMOUNT_MAX, AccountId, AccountPatch, AccountStatus, Act, Amount, AssetId, AssetPatch,
    Authority, BatchRequest, CaptureRequest, ComponentChoice, Digest, Document, Force, GrantChoice,
    HoldId, HoldRequest, IssueRequest, KeyMode, KeyPatch, Limit, LimitsPatch, OnExpiry, Patch,
    PluginName, PluginPatch, Posting, Postings, Quota, ReversalRequest, Scope, Scopes, TransferCap,
    TransferId, TransferRequest, Transfers,
};

/// Generates one of several names, with their weights.
pub(super) fn named<T: FromStr<Err: Debug> + Clone + Debug + 'static>(
    weighted: &[(usize, &str)],
) -> impl Strategy<Value = T> + Clone + use<T> {
    let names = weighted
        .iter()
        .flat_map(|(weight, name)| std::iter::repeat_n(id(name), *weight));
    select(names.collect::<Vec<T>>())
}

pub(super) fn account() -> impl Strategy<Value = AccountId> + Clone {
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

pub(super) fn caller() -> impl Strategy<Value = AccountId> + Clone {
    named(&[
        (6, "user:1"),
        (6, "user:2"),
        (6, "user:3"),
        (1, "user:4"),
        (1, "plugin:shop"),
    ])
}

pub(super) fn asset() -> impl Strategy<Value = AssetId> + Clone {
    named(&[(9, "coin"), (4, "gem"), (2, "item:crown"), (1, "none")])
}

pub(super) fn amount() -> impl Strategy<Value = Amount> + Clone {
    let units = prop_oneof![1 => Just(1_u64), 8 => 1..=20_u64, 3 => 20..=100_u64, 1 => AMOUNT_MAX - 60..=AMOUNT_MAX];
    units.prop_map(|units| Amount::new(units).expect("an amount"))
}

pub(super) fn limit() -> impl Strategy<Value = Limit> + Clone {
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

/// Generates limits in several assets. Some remove an earlier limit.
fn limits() -> impl Strategy<Value = Patch<LimitsPatch>> + Clone {
    let limited = named(&[(12, "coin"), (6, "gem"), (2, "item:crown"), (1, "none")]);
    patch(btree_map(limited, of(limit()), 0..3))
}

/// Generates postings. Half of them are likely to be accepted: small amounts from accounts that have more.
pub(super) fn posting() -> impl Strategy<Value = Posting> + Clone {
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

/// Generates the transfer cap of an API key, in coins; mostly none.
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
    // Mostly open, because most acts on other accounts are rejected.
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

pub(super) fn hold() -> impl Strategy<Value = Act> + Clone {
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

/// Generates acts that only move money or set limits, which the model understands.
pub(in crate::tests) fn money() -> impl Strategy<Value = Act> + Clone {
    prop_oneof![
        6 => transfer(),
        2 => batch(),
        9 => hold(),
        2 => reversal(),
        4 => issue_or_burn(),
        1 => set_account(),
    ]
}

pub(super) fn set_asset() -> impl Strategy<Value = Act> + Clone {
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

pub(super) fn set_plugin() -> impl Strategy<Value = Act> + Clone {
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

/// Generates the name of an installation, which may be absent.
fn installed() -> impl Strategy<Value = PluginName> + Clone {
    named(&[(6, "shop"), (3, "market"), (1, "stall")])
}

/// Generates a version of the installed component, or of another plugin.
pub(super) fn component() -> impl Strategy<Value = ComponentChoice> + Clone {
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

pub(super) fn other() -> impl Strategy<Value = Act> + Clone {
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
        // The usage at the start, and a little more.
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

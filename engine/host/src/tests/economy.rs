//! An economy with one plugin, and calls of that plugin.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bursar_ledger::{
    AccountId, AccountPatch, Act, Amount, AssetKind, AssetPatch, Books, CallEnding, CallRequest,
    ComponentChoice, Digest, Document, Draft, DrawOrigin, FuelClass, GrantChoice, Grants, HoldRule,
    IssueRequest, OnExpiry, PluginPatch, Seed, Timestamp, Verdict, decide,
};
use serde_json::{Value, json};

use super::guest::Guest;
use crate::run::call;
use crate::{
    CallFailure, CallOutcome, CheckedComponent, Compiler, Limits, LoadedPlugin, PluginHost,
};

/// The time of every call.
pub(super) const NOW: u64 = 1_700_000_000_000;

/// Returns the limits of a server with a longer deadline, which no test reaches even on a busy machine.
pub(super) fn patient() -> Limits {
    Limits {
        deadline: Duration::from_mins(2),
        ..Limits::standard()
    }
}

/// Returns the host of this test thread, with the limits of a server. Threads do not share a host, because on a machine with
/// many cores they would use up its instance slots.
pub(super) fn host() -> PluginHost {
    thread_local! {
        static HOST: PluginHost = PluginHost::new(patient(), Compiler::InProcess, None).unwrap();
    }
    HOST.with(PluginHost::clone)
}

/// Parses an id of any kind.
fn id<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_json::from_value(json!(text)).unwrap()
}

/// Returns an economy in which a member and the plugin have 1,000 coins each.
fn books() -> &'static Books {
    static BOOKS: OnceLock<Books> = OnceLock::new();
    BOOKS.get_or_init(|| books_granting(Grants::default()))
}

/// Returns an economy with a plugin that requests grants and has them.
fn books_granting(requested: Grants) -> Books {
    let mut books = Books::new(Seed::new([7; 32]), Timestamp(1));
    let coin = AssetPatch {
        kind: Some(AssetKind::Currency),
        name: Some("Coin".into()),
        ..AssetPatch::default()
    };
    let plugin = PluginPatch {
        component: Some(ComponentChoice {
            digest: Digest::ZERO,
            id: id("tester"),
            name_is_fixed: false,
            requested,
            accounts: Vec::new(),
            holds: [("stake".into(), stake())].into(),
            schedules: [].into(),
        }),
        grants: Some(GrantChoice::Requested),
        config: Some(Document::new(&json!({"greeting": "Hi"}))),
        enabled: Some(true),
        ..PluginPatch::default()
    };
    let issue = |account: &str| {
        Act::Issue(IssueRequest {
            id: id("01890000-0000-7000-8000-000000000001"),
            account: account.parse().unwrap(),
            asset: id("coin"),
            amount: Amount::new(1_000).unwrap(),
            cap: None,
        })
    };
    let acts = [
        Act::SetAsset {
            asset: id("coin"),
            patch: coin,
        },
        Act::SetAccount {
            account: member(),
            patch: AccountPatch::default(),
            admission: None,
        },
        Act::SetPlugin {
            plugin: id("tester"),
            patch: Box::new(plugin),
        },
        issue("user:1"),
        issue("plugin:tester"),
    ];
    for (seq, act) in (1..).zip(acts) {
        let Verdict::Applied(decision) = decide(Some(&books), Timestamp(seq), &act) else {
            panic!("an act was not applied: {act:?}");
        };
        books.apply(&decision, seq, Timestamp(seq)).unwrap();
        books.seal(seq, Timestamp(seq), Digest::ZERO);
    }
    books
}

fn member() -> AccountId {
    "user:1".parse().unwrap()
}

/// Opens a call of the action `act`.
pub(super) fn draft_with(arguments: Value) -> Draft {
    open(books(), arguments)
}

/// Opens a call of a plugin with another fuel class.
pub(super) fn draft_with_fuel(fuel: FuelClass) -> Draft {
    let requested = Grants {
        fuel,
        ..Grants::default()
    };
    open(&books_granting(requested), json!({}))
}

fn open(books: &Books, arguments: Value) -> Draft {
    let request = CallRequest {
        id: id("01890000-0000-7000-8000-00000000000a"),
        plugin: id("tester"),
        action: "act".into(),
        caller: member(),
        arguments,
        roles: vec!["vip".into()],
        due: None,
        spend_limit: None,
        cap: None,
        key: "k".into(),
        now: Timestamp(NOW),
    };
    Draft::open(Arc::new(books.clone()), request, Timestamp(NOW)).unwrap()
}

/// Opens a call without arguments.
pub(super) fn draft() -> Draft {
    draft_with(json!({}))
}

/// Checks a guest, which must pass.
pub(super) fn checked(guest: &Guest) -> CheckedComponent {
    let checked = host().check(&guest.bytes());
    checked.unwrap_or_else(|report| panic!("{report}"))
}

/// Loads a guest.
pub(super) fn load(host: &PluginHost, guest: &Guest) -> Arc<LoadedPlugin> {
    let bytes = guest.bytes();
    let loaded = host.load(Digest::of(&bytes), &bytes);
    loaded.unwrap_or_else(|report| panic!("{report}"))
}

/// Runs a call of a checked guest.
pub(super) fn run(checked: &CheckedComponent, limits: &Limits) -> Result<CallOutcome, CallFailure> {
    run_draft(checked, limits, draft())
}

/// Runs a draft with a checked guest.
pub(super) fn run_draft(
    checked: &CheckedComponent,
    limits: &Limits,
    draft: Draft,
) -> Result<CallOutcome, CallFailure> {
    let result = call::run(checked, limits, draft, Box::new(origin));
    result.map(untimed).map_err(|failed| failed.failure)
}

/// Removes the processor time from an outcome. Two runs of a call differ in nothing else.
pub(super) fn untimed(outcome: CallOutcome) -> CallOutcome {
    CallOutcome {
        cpu: Duration::ZERO,
        ..outcome
    }
}

/// Returns the origin of a call's draws.
pub(super) fn origin(request: &CallRequest) -> DrawOrigin {
    books().draw_origin(&request.caller, 1)
}

/// Returns the rule of holds of the kind `stake`, which expire after an hour.
fn stake() -> HoldRule {
    HoldRule {
        expires_in_s: 3_600,
        on_expiry: OnExpiry::Capture,
    }
}

/// Checks a guest and runs one call.
pub(super) fn finish(guest: &Guest) -> CallOutcome {
    run(&checked(guest), &patient()).unwrap()
}

/// Returns the ending of one call of a guest.
pub(super) fn ending(guest: &Guest) -> CallEnding {
    finish(guest).ending
}

/// Returns the fault of one call of a guest.
pub(super) fn fault(guest: &Guest) -> String {
    fault_of(ending(guest))
}

/// Returns the fault of an ending.
pub(super) fn fault_of(ending: CallEnding) -> String {
    match ending {
        CallEnding::Faulted { fault } => fault,
        other => panic!("not a fault: {other:?}"),
    }
}

/// Returns true if a call replied.
pub(super) fn replied(ending: &CallEnding) -> bool {
    matches!(ending, CallEnding::Replied { .. })
}

//! An economy with one plugin in it, and calls of that plugin.

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

/// The moment of every call.
pub(super) const NOW: u64 = 1_700_000_000_000;

/// The limits of a server, with a deadline that no test meets on a busy machine: calls end by what they do.
pub(super) fn patient() -> Limits {
    Limits {
        deadline: Duration::from_mins(2),
        ..Limits::standard()
    }
}

/// The host of this test, with the limits of a server. Tests do not share one: on a machine with
/// many cores they would take the room from each other.
pub(super) fn host() -> PluginHost {
    thread_local! {
        static HOST: PluginHost = PluginHost::new(patient(), Compiler::Here, None).unwrap();
    }
    HOST.with(PluginHost::clone)
}

/// An id of any kind.
fn id<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_json::from_value(json!(text)).unwrap()
}

/// An economy in which a member and the plugin have 1,000 coins each.
fn books() -> &'static Books {
    static BOOKS: OnceLock<Books> = OnceLock::new();
    BOOKS.get_or_init(|| books_granting(Grants::default()))
}

/// The same with a plugin that asks for something and has it.
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
        books.apply(&decision, seq, Timestamp(seq), seq).unwrap();
        books.seal(seq, Timestamp(seq), Digest::ZERO);
    }
    books
}

fn member() -> AccountId {
    "user:1".parse().unwrap()
}

/// A call of the action `act` that is about to begin.
pub(super) fn draft_with(arguments: Value) -> Draft {
    begin(books(), arguments)
}

/// A call of a plugin that was granted another class of fuel.
pub(super) fn draft_granted(fuel: FuelClass) -> Draft {
    let requested = Grants {
        fuel,
        ..Grants::default()
    };
    begin(&books_granting(requested), json!({}))
}

fn begin(books: &Books, arguments: Value) -> Draft {
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
    Draft::open(books, &request, Timestamp(NOW)).unwrap()
}

/// A call without arguments that is about to begin.
pub(super) fn draft() -> Draft {
    draft_with(json!({}))
}

/// A guest that has passed the check.
pub(super) fn checked(guest: &Guest) -> CheckedComponent {
    let checked = host().check(&guest.bytes());
    checked.unwrap_or_else(|report| panic!("{report}"))
}

/// Makes a guest ready to run.
pub(super) fn load(host: &PluginHost, guest: &Guest) -> Arc<LoadedPlugin> {
    let bytes = guest.bytes();
    let loaded = host.load(Digest::of(&bytes), &bytes);
    loaded.unwrap_or_else(|report| panic!("{report}"))
}

/// Calls a checked guest within these limits.
pub(super) fn run(checked: &CheckedComponent, limits: &Limits) -> Result<CallOutcome, CallFailure> {
    run_draft(checked, limits, draft())
}

/// Has a checked guest do a call within these limits.
pub(super) fn run_draft(
    checked: &CheckedComponent,
    limits: &Limits,
    draft: Draft,
) -> Result<CallOutcome, CallFailure> {
    let ran = call::run(checked, limits, draft, Box::new(origin));
    ran.map(untimed).map_err(|unfinished| unfinished.failure)
}

/// A call without the time that it took: in nothing else do two runs of it differ.
pub(super) fn untimed(finished: CallOutcome) -> CallOutcome {
    CallOutcome {
        cpu: Duration::ZERO,
        ..finished
    }
}

/// Where a call draws from.
pub(super) fn origin(request: &CallRequest) -> DrawOrigin {
    books().draw_origin(&request.caller, 1)
}

/// Holds of the kind `stake` live an hour.
fn stake() -> HoldRule {
    HoldRule {
        expires_in_s: 3_600,
        on_expiry: OnExpiry::Capture,
    }
}

/// Calls a guest once, to its end.
pub(super) fn finish(guest: &Guest) -> CallOutcome {
    run(&checked(guest), &patient()).unwrap()
}

/// How one call of a guest ends.
pub(super) fn ending(guest: &Guest) -> CallEnding {
    finish(guest).ending
}

/// The fault that one call of a guest ends in.
pub(super) fn fault(guest: &Guest) -> String {
    fault_of(ending(guest))
}

/// The fault that an ending is.
pub(super) fn fault_of(ending: CallEnding) -> String {
    match ending {
        CallEnding::Faulted { fault } => fault,
        other => panic!("not a fault: {other:?}"),
    }
}

/// Whether a call replied.
pub(super) fn replied(ending: &CallEnding) -> bool {
    matches!(ending, CallEnding::Replied { .. })
}

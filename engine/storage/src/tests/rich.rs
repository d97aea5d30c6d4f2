//! A file with every kind of record: transfers, settings, keys, a component, a plugin and its calls.

use bursar_ledger::{
    BatchRequest, CallEnding, CallRequest, CallResult, CaptureRequest, Document, Draft,
    GrantChoice, HoldId, HoldRequest, HostRequest, KeyMode, KeyPatch, OnExpiry, Patch, PluginPatch,
    ReversalRequest, Scope, Transfers,
};
use bytes::Bytes;

use super::*;

const COMPONENT: &[u8] = b"the bytes of a component";

/// Returns the reserved economy.
pub(super) fn system() -> EconomyId {
    name("system")
}

/// Creates the guild with an act of each kind.
pub(super) fn furnish(storage: &Storage) {
    found(storage);
    in_system(storage);
    let money = [
        ("pay", transfer("user:1", "user:2", 30)),
        ("two", two_postings()),
        ("poor", transfer("user:2", "user:1", 5_000)),
        ("burn", Act::Burn(coins("user:1", 5))),
    ];
    for (key, act) in money {
        answered(ask(storage, Some(key), act));
    }
    hold_and_reverse(storage);
    // U+FFFD replaces bytes that are not text, and is also a valid character of a text.
    let patch = AccountPatch {
        metadata: Patch::Set(json!({ "nick": "a \u{fffd} b" })),
        ..AccountPatch::default()
    };
    let account = name("user:2");
    answered(ask(
        storage,
        None,
        Act::SetAccount {
            account,
            patch,
            admission: None,
        },
    ));
    answered(ask(storage, None, install()));
    answered(ask(storage, Some("stock"), issue("plugin:shop", 40)));
    let reply = CallEnding::Replied {
        reply: json!({ "won": true }),
    };
    let decline = CallEnding::Declined {
        code: "sold_out".into(),
        message: "none left".into(),
    };
    let fault = CallEnding::Faulted {
        fault: "out of fuel".into(),
    };
    for (key, ending) in [("call", reply), ("no", decline), ("bad", fault)] {
        let call = call(&storage.state(), key, ending);
        answered(ask(storage, Some(key), call));
    }
}

/// Captures a hold in part and releases it, sends a batch, and reverses a transfer.
fn hold_and_reverse(storage: &Storage) {
    let transfer_id = |number| TransferId(uuid::Uuid::from_u128(number));
    let request = |from, to, amount, id| match transfer(from, to, amount) {
        Act::Transfer(request) => TransferRequest {
            id: transfer_id(id),
            ..request
        },
        other => panic!("no transfer: {other:?}"),
    };
    let pay = request("user:1", "user:2", 6, 20);
    let posting = pay.postings.as_slice().first().expect("one").clone();
    let hold = HoldId(uuid::Uuid::from_u128(30));
    let place = Act::PlaceHold(Box::new(HoldRequest {
        id: hold,
        reservation: posting.try_into().expect("two accounts"),
        expires_in_s: 60,
        on_expiry: OnExpiry::Release,
        authority: Authority::Bot,
        cap: None,
    }));
    let capture = Act::CaptureHold(CaptureRequest {
        id: transfer_id(31),
        hold,
        amount: Amount::new(2),
        ended: None,
        authority: Authority::Bot,
        cap: None,
    });
    let release = Act::ReleaseHold {
        hold,
        ended: None,
        authority: Authority::Bot,
    };
    let batch = vec![
        request("user:1", "user:2", 1, 40),
        request("user:2", "user:1", 2, 41),
    ];
    let batch = Act::Batch(BatchRequest {
        transfers: Transfers::new(batch).expect("a batch"),
        cap: None,
    });
    let back = Act::Reverse(Box::new(ReversalRequest {
        id: transfer_id(21),
        original: transfer_id(20),
        postings: pay.postings.reversed(),
        authority: Authority::Bot,
        force: None,
        cap: None,
    }));
    for (key, path, act) in [
        ("hold", hold.to_string(), place),
        ("capture", hold.to_string(), capture),
        ("release", hold.to_string(), release),
        ("batch", String::new(), batch),
        ("paid", String::new(), Act::Transfer(pay)),
        ("back", transfer_id(20).to_string(), back),
    ] {
        let asked = submission_at(&format!("/test/{path}"), Some(key), act);
        let receiver = storage.submit(asked).expect("room");
        answered(receiver.blocking_recv().expect("an answer").expect("ok"));
    }
}

fn in_system(storage: &Storage) {
    let key = Act::SetKey {
        key: name("bot"),
        patch: Box::new(KeyPatch {
            scopes: Some([Scope::Read].into()),
            ..KeyPatch::default()
        }),
        secret_hash: Digest::of(b"a secret"),
        mode: KeyMode::Put,
    };
    let component = Act::AddComponent {
        digest: Digest::of(COMPONENT),
        bytes: COMPONENT.len() as u64,
        name: "shop".into(),
        version: "1.0.0".into(),
    };
    let open = Act::OpenEconomy {
        seed: Seed::new([8; 32]),
    };
    for act in [open, key, component] {
        let is_component = matches!(act, Act::AddComponent { .. });
        let bytes = (Digest::of(COMPONENT), Bytes::from_static(COMPONENT));
        let submission = Submission {
            economy: system(),
            component: is_component.then_some(bytes),
            ..submission(None, act)
        };
        let receiver = storage.submit(submission).expect("room");
        answered(receiver.blocking_recv().expect("an answer").expect("ok"));
    }
}

fn two_postings() -> Act {
    let posting = |from, to, amount| match transfer(from, to, amount) {
        Act::Transfer(request) => request.postings.as_slice().to_vec(),
        other => panic!("no transfer: {other:?}"),
    };
    let both = [
        posting("user:1", "user:2", 3),
        posting("user:2", "user:1", 4),
    ]
    .concat();
    Act::Transfer(TransferRequest {
        id: TransferId(uuid::Uuid::from_u128(7)),
        postings: Postings::new(both).expect("postings"),
        authority: Authority::Bot,
        cap: None,
    })
}

fn install() -> Act {
    let choice = component(COMPONENT, "shop");
    Act::SetPlugin {
        plugin: name("shop"),
        patch: Box::new(PluginPatch {
            component: Some(choice),
            grants: Some(GrantChoice::Requested),
            config: Some(Document::new(&json!({ "price": 2 }))),
            enabled: Some(true),
            ..PluginPatch::default()
        }),
    }
}

/// Returns a call as the host ends it: it takes a price, writes, secures and draws.
pub(super) fn call(state: &State, key: &str, ending: CallEnding) -> Act {
    let request = json!({
        "id": "00000000-0000-0000-0000-000000000000",
        "plugin": "shop", "action": "buy", "caller": "user:1", "arguments": { "item": "potion" },
        "key": key, "now": 1,
    });
    let request: CallRequest = serde_json::from_value(request).expect("a call");
    let books = state.books(&guild()).expect("the economy");
    let mut draft =
        Draft::open(&**books, request.clone(), books.recorded_at()).expect("the call begins");
    let price = match transfer("user:1", "plugin:shop", 2) {
        Act::Transfer(request) => request.postings.as_slice().to_vec(),
        other => panic!("no transfer: {other:?}"),
    };
    draft.answer(HostRequest::Transfer(price.first().expect("one").clone()));
    draft.answer(HostRequest::Set {
        key: "sold".into(),
        value: key.into(),
    });
    if matches!(ending, CallEnding::Replied { .. }) {
        let amount = Amount::new(1).expect("an amount");
        draft.answer(HostRequest::Secure {
            account: name("plugin:shop"),
            asset: name("coin"),
            amount,
        });
        draft.draw_from(books.draw_origin(&request.caller, books.next_nonce()));
        draft.answer(HostRequest::Draw {
            range: 6,
            label: "die".into(),
        });
    }
    Act::Call(Box::new(CallResult {
        request,
        component: draft.component(),
        origin: draft.origin().cloned(),
        transcript: draft.close(),
        ending,
        fuel: 9,
    }))
}

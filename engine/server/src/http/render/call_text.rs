//! The text of a committed call, written without a view in between.
//!
//! It is rendered on the writer's thread. The text is the one that a [`CallView`](super::CallView) has as a
//! [`Value`], with the members of each object in the order of their names.

use std::fmt::Write;

use bursar_ledger::{CallEnding, CallResult, Movement};
use bursar_storage::ActOutcome;
use serde_json::Value;

use super::transfer_text::{number, write_last_balances};
use super::{CallOutcomeView, views};

/// An upper bound for the bytes of the answer to a call with few postings and a short reply.
const CALL_BYTES: usize = 640;

/// Returns the text of a committed call.
pub(super) fn call_text(
    recorded: &ActOutcome<'_>,
    movements: &[Movement],
    result: &CallResult,
) -> String {
    let mut text = String::with_capacity(CALL_BYTES);
    text.push_str(r#"{"call":""#);
    let id = result.request.id.0.hyphenated();
    text.push_str(id.encode_lower(&mut [0; 36]));
    text.push('"');
    if let Some((origin, books)) = result.origin.as_ref().zip(recorded.books) {
        text.push_str(r#","draws":"#);
        value(&mut text, &views::to_json(views::origin(origin, books)));
    }
    text.push_str(r#","fuel":"#);
    number(&mut text, result.fuel);
    text.push_str(r#","outcome":""#);
    text.push_str(CallOutcomeView::Committed.as_str());
    text.push_str(r#"","recorded_at":"#);
    number(&mut text, recorded.recorded_at.0);
    text.push_str(r#","reply":"#);
    match &result.ending {
        CallEnding::Replied { reply } => value(&mut text, reply),
        CallEnding::Declined { .. }
        | CallEnding::Faulted { .. }
        | CallEnding::NotRun(_)
        | CallEnding::Stopped(_)
        | CallEnding::Broken { .. } => value(&mut text, &Value::Null),
    }
    text.push_str(r#","seq":"#);
    number(&mut text, recorded.seq);
    text.push_str(r#","transfer":{"balances":{"#);
    write_last_balances(&mut text, movements);
    text.push_str(r#"},"postings":["#);
    for (index, movement) in movements.iter().enumerate() {
        let posting = &movement.posting;
        // Names consist of characters that JSON does not escape.
        text.push_str(if index == 0 {
            r#"{"amount":"#
        } else {
            r#",{"amount":"#
        });
        number(&mut text, posting.amount.get());
        text.push_str(r#","asset":""#);
        text.push_str(posting.asset.as_str());
        text.push_str(r#"","from":""#);
        text.push_str(posting.source.as_str());
        text.push_str(r#"","to":""#);
        text.push_str(posting.destination.as_str());
        text.push_str(r#""}"#);
    }
    text.push_str("]}}");
    text
}

fn value(text: &mut String, value: &Value) {
    // Writing to a text does not fail.
    let _written = write!(text, "{value}");
}

#[cfg(test)]
mod tests {
    use bursar_ledger::{
        Act, CallId, CallRequest, Digest, EconomyId, Timestamp, Transcript, Verdict,
    };
    use proptest::prelude::*;
    use serde_json::json;
    use uuid::Uuid;

    use super::super::transfer_text::tests::movements;
    use super::super::{CallResultView, CallView};
    use super::*;

    fn result(bytes: [u8; 16], fuel: u64, reply: Value) -> CallResult {
        let request = CallRequest {
            id: CallId(Uuid::from_bytes(bytes)),
            plugin: "shop".parse().expect("a name"),
            action: "buy".into(),
            caller: "user:1".parse().expect("a name"),
            arguments: json!({}),
            roles: Vec::new(),
            due: None,
            spend_limit: None,
            cap: None,
            key: "k".into(),
            now: Timestamp(0),
        };
        CallResult {
            request,
            component: Digest::ZERO,
            transcript: Transcript::default(),
            ending: CallEnding::Replied { reply },
            fuel,
            origin: None,
        }
    }

    proptest! {
        #[test]
        fn the_text_of_a_call_is_that_of_its_view(
            bytes in any::<[u8; 16]>(),
            seq in any::<u64>(),
            at in any::<u64>(),
            fuel in any::<u64>(),
            word in any::<String>(),
            made in movements(),
        ) {
            let reply = json!({ "word": word, "list": [1, -2, 0.5, null, true], "an": { "object": {} } });
            let result = result(bytes, fuel, reply.clone());
            let economy: EconomyId = "guild".parse().expect("a name");
            let act = Act::Call(Box::new(result.clone()));
            let recorded = ActOutcome {
                economy: &economy,
                books: None,
                seq,
                recorded_at: Timestamp(at),
                act: &act,
                verdict: &Verdict::Unchanged,
            };
            let view = CallView {
                call: result.request.id,
                seq,
                recorded_at: recorded.recorded_at,
                result: CallResultView {
                    outcome: CallOutcomeView::Committed,
                    reply: &reply,
                    transfer: views::movements(&made),
                    draws: None,
                    fuel,
                },
            };
            prop_assert_eq!(
                call_text(&recorded, &made, &result),
                views::to_json(view).to_string()
            );
        }
    }
}

//! Tests of reading batches.

use bursar_ledger::TransferId;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::super::json::spellings::Choices;
use super::*;

fn context() -> BatchContext {
    BatchContext {
        economy: "guild".parse().expect("a name"),
        caller: Caller::owner(),
        now: Timestamp(1_800_000_000_000),
    }
}

/// Returns all parts of a batch but the ids, which are new each time.
fn parts(batch: ParsedBatch) -> String {
    let without_id = |request: &TransferRequest| TransferRequest {
        id: TransferId(Uuid::nil()),
        ..request.clone()
    };
    match batch {
        ParsedBatch::Independent(requests) => {
            let requests = requests.iter().map(|(context, act)| match act {
                Act::Transfer(request) => format!("{context:?} {:?}", without_id(request)),
                _ => panic!("an independent batch has transfers only"),
            });
            requests.collect::<Vec<_>>().join("\n")
        }
        ParsedBatch::Atomic(submission) => match submission.act {
            Act::Batch(request) => {
                let transfers = request.transfers.as_slice().iter().map(without_id);
                let transfers: Vec<_> = transfers.collect();
                let path = submission.path;
                let canonical = submission.canonical;
                format!("{path} {canonical:?} {transfers:?} {:?}", request.cap)
            }
            _ => panic!("an atomic batch is one act"),
        },
    }
}

/// Checks that a batch that is read in one pass is read alike when it is parsed as a whole. Returns true if it is read.
fn agrees(text: &[u8]) -> bool {
    let context = context();
    let Ok(read) = context.read_valid(text) else {
        return false;
    };
    let shown = String::from_utf8_lossy(text);
    match context.read_any(text) {
        Ok(parsed) => assert_eq!(parts(read), parts(parsed), "{shown}"),
        Err(problem) => panic!("{shown}: {}", problem.body()),
    }
    true
}

/// Returns valid batches of both modes.
fn batches() -> [Value; 2] {
    let posting = json!({"from": "user:1", "to": "user:2", "asset": "coin", "amount": 5});
    let item = |key: &str| {
        json!({
            "idempotency_key": key, "postings": [posting], "memo": "m", "reference": "r",
            "metadata": {"b": 1, "a": [null]}, "effective_at": 1,
        })
    };
    let bare = json!({"postings": [posting, posting]});
    let independent =
        json!({"mode": "independent", "transfers": [item("a"), item("b"), item("c")]});
    let atomic =
        json!({"mode": "atomic", "transfers": [bare, {"memo": "m", "postings": [posting]}]});
    [independent, atomic]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_batch_that_is_read_in_one_pass_is_read_as_if_parsed(choices in vec(any::<u8>(), 0..300)) {
        for batch in batches() {
            agrees(&Choices(&choices).text(&batch));
        }
    }
}

#[test]
fn a_batch_is_read_in_one_pass_in_any_order_of_its_members() {
    for batch in batches() {
        // The first choice changes nothing, the second one takes a member.
        for choices in [[0; 4], [0, 0, 0, 1]] {
            let text = Choices(&choices).text(&batch);
            assert!(agrees(&text), "{}", String::from_utf8_lossy(&text));
        }
    }
}

#[test]
fn results_are_written_as_they_were_stored() {
    let answer = |status, body: &'static str, replayed| {
        Ok(Answer {
            status,
            body: body.into(),
            replayed,
        })
    };
    let mut results = Results::new(2);
    results.add(&answer(201, "{}", false));
    results.add(&answer(422, r#"{"code":"x"}"#, true));
    let text = String::from_utf8(results.0).expect("text");
    assert_eq!(
        text,
        r#"{"results":[{"status":201,"body":{},"replayed":false},{"status":422,"body":{"code":"x"},"replayed":true}"#
    );
}

//! Answers: where they end, and how many operations succeeded.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::requests::RequestKind;

/// The most headers of an answer.
const HEADERS_MAX: usize = 32;

/// The longest answer, in bytes. An answer to 8,192 transfers has less than 4 MiB.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// The characters of an answer that an error repeats.
const SHOWN_CHARS_MAX: usize = 400;

/// The mark of a transfer of a batch that was committed.
const COMMITTED: &[u8] = br#"{"status":201,"#;

/// The error of bytes that are not an answer that the driver can read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum AnswerError {
    /// The head is not HTTP/1.1.
    #[error("the answer is not HTTP/1.1")]
    Malformed,
    /// The head has no length, or one that is too large.
    #[error(
        "the answer has no content-length up to {ANSWER_BYTES_MAX}; measure the server itself, not a proxy"
    )]
    Length,
}

/// A complete answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct HttpAnswer<'a> {
    pub(super) status: u16,
    pub(super) body: &'a [u8],
    /// True if the server closes the connection after it.
    pub(super) closes: bool,
}

/// Reads an answer. Returns none if more bytes are needed.
pub(super) fn read(bytes: &[u8]) -> Result<Option<HttpAnswer<'_>>, AnswerError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Response::new(&mut headers);
    let begin = match head.parse(bytes) {
        Ok(httparse::Status::Complete(begin)) => begin,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(AnswerError::Malformed),
    };
    let header = |name: &str| {
        let found = head
            .headers
            .iter()
            .find(|it| it.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(found.value).ok()
    };
    let length: Option<usize> = header("content-length").and_then(|it| it.trim().parse().ok());
    let length = length
        .filter(|it| *it <= ANSWER_BYTES_MAX)
        .ok_or(AnswerError::Length)?;
    let end = begin.saturating_add(length);
    let closes = header("connection").is_some_and(|it| it.eq_ignore_ascii_case("close"));
    let status = head.code.ok_or(AnswerError::Malformed)?;
    Ok(bytes.get(begin..end).map(|body| HttpAnswer {
        status,
        body,
        closes,
    }))
}

/// The outcome of a request.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct RequestOutcome {
    /// Operations that succeeded.
    pub(super) succeeded: u64,
    /// Operations of these that left a record.
    pub(super) records: u64,
    /// Operations that did not, by the code of their problem.
    pub(super) refused: BTreeMap<String, u64>,
    /// The answer of those, for people.
    pub(super) detail: String,
}

/// A transfer of a batch in an answer.
#[derive(Deserialize)]
struct TransferAnswer {
    status: u16,
    body: AnswerBody,
}

#[derive(Deserialize)]
struct AnswerBody {
    #[serde(default)]
    code: Option<String>,
}

#[derive(Deserialize)]
struct TransferAnswers {
    results: Vec<TransferAnswer>,
}

impl RequestOutcome {
    /// Returns the outcome of operations that all succeeded.
    pub(super) fn success(succeeded: u64, records: u64) -> Self {
        Self {
            succeeded,
            records,
            ..Self::default()
        }
    }

    /// Returns the outcome of an answer to a request of this kind.
    pub(super) fn of(kind: RequestKind, answer: HttpAnswer<'_>) -> Self {
        let is_success = (200..300).contains(&answer.status);
        match kind {
            RequestKind::Move if is_success => Self::success(1, 1),
            RequestKind::Read if is_success => Self::success(1, 0),
            // Parsing megabytes would use processor time of the measured machine. The requests have no texts, so the
            // mark occurs nowhere else.
            RequestKind::Batch(size) if is_success && committed(answer.body) == size => {
                Self::success(size, size)
            }
            RequestKind::Batch(size) if is_success => Self::of_batch(size, answer),
            RequestKind::Batch(size) => Self::refusal(size, answer),
            RequestKind::Move | RequestKind::Read => Self::refusal(1, answer),
        }
    }

    fn refusal(operations: u64, answer: HttpAnswer<'_>) -> Self {
        let problem: Option<AnswerBody> = serde_json::from_slice(answer.body).ok();
        let code = problem.and_then(|it| it.code);
        let code = code.unwrap_or_else(|| format!("status_{}", answer.status));
        Self {
            refused: BTreeMap::from([(code, operations)]),
            detail: shown(answer),
            ..Self::default()
        }
    }

    fn of_batch(size: u64, answer: HttpAnswer<'_>) -> Self {
        let Ok(TransferAnswers { results }) = serde_json::from_slice(answer.body) else {
            return Self::refusal(size, answer);
        };
        let mut outcome = Self::default();
        for result in results {
            if (200..300).contains(&result.status) {
                outcome.succeeded = outcome.succeeded.saturating_add(1);
                continue;
            }
            let code = result.body.code;
            let code = code.unwrap_or_else(|| format!("status_{}", result.status));
            let counted = outcome.refused.entry(code).or_default();
            *counted = counted.saturating_add(1);
        }
        outcome.records = outcome.succeeded;
        outcome.detail = format!("of a batch of {size}: {:?}", outcome.refused);
        outcome
    }
}

fn committed(body: &[u8]) -> u64 {
    let found = memchr::memmem::find_iter(body, COMMITTED).count();
    u64::try_from(found).unwrap_or(u64::MAX)
}

fn shown(answer: HttpAnswer<'_>) -> String {
    let text = String::from_utf8_lossy(answer.body);
    let text: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    format!("{} {text}", answer.status)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[u8] =
        b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nconnection: close\r\n\r\n{}";

    #[test]
    fn an_answer_is_read_once_it_is_complete() {
        for length in 0..WHOLE.len() {
            assert_eq!(read(&WHOLE[..length]), Ok(None), "{length}");
        }
        let answer = HttpAnswer {
            status: 201,
            body: b"{}",
            closes: true,
        };
        assert_eq!(read(WHOLE), Ok(Some(answer)));
    }

    #[test]
    fn answers_without_a_length_are_errors() {
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
        assert_eq!(read(chunked), Err(AnswerError::Length));
        let length = |bytes: usize| format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n");
        assert_eq!(read(length(ANSWER_BYTES_MAX).as_bytes()), Ok(None));
        assert_eq!(
            read(length(ANSWER_BYTES_MAX + 1).as_bytes()),
            Err(AnswerError::Length)
        );
        assert_eq!(read(b"SSH-2.0-OpenSSH\r\n"), Err(AnswerError::Malformed));
    }

    #[test]
    fn headers_end_at_their_limit() {
        let answer = |headers: usize| {
            let more = "x: y\r\n".repeat(headers - 1);
            format!("HTTP/1.1 200 OK\r\n{more}content-length: 0\r\n\r\n")
        };
        assert!(read(answer(HEADERS_MAX).as_bytes()).is_ok());
        assert_eq!(
            read(answer(HEADERS_MAX + 1).as_bytes()),
            Err(AnswerError::Malformed)
        );
    }

    fn answer(status: u16, body: &str) -> HttpAnswer<'_> {
        HttpAnswer {
            status,
            body: body.as_bytes(),
            closes: false,
        }
    }

    #[test]
    fn outcomes_are_counted_by_code() {
        let moved = RequestOutcome::of(RequestKind::Move, answer(201, "{}"));
        assert_eq!(moved, RequestOutcome::success(1, 1));
        let read = RequestOutcome::of(RequestKind::Read, answer(200, "{}"));
        assert_eq!(read, RequestOutcome::success(1, 0));
        let busy = RequestOutcome::of(RequestKind::Move, answer(503, r#"{"code":"overloaded"}"#));
        assert_eq!(busy.refused, BTreeMap::from([("overloaded".into(), 1)]));
        let proxy = RequestOutcome::of(RequestKind::Move, answer(502, "<html>"));
        assert_eq!(proxy.refused, BTreeMap::from([("status_502".into(), 1)]));
        assert!(proxy.detail.contains("502 <html>"));
    }

    #[test]
    fn the_transfers_of_a_batch_are_counted_one_by_one() {
        let all = r#"{"results":[{"status":201,"body":{}},{"status":201,"body":{}}]}"#;
        let kind = RequestKind::Batch(2);
        assert_eq!(
            RequestOutcome::of(kind, answer(200, all)),
            RequestOutcome::success(2, 2)
        );
        let some = r#"{"results":[{"status":201,"body":{}},{"status":422,"body":{"code":"insufficient_funds"}}]}"#;
        let outcome = RequestOutcome::of(kind, answer(200, some));
        assert_eq!((outcome.succeeded, outcome.records), (1, 1));
        assert_eq!(
            outcome.refused,
            BTreeMap::from([("insufficient_funds".into(), 1)])
        );
        let refused = RequestOutcome::of(kind, answer(413, r#"{"code":"too_large"}"#));
        assert_eq!(refused.refused, BTreeMap::from([("too_large".into(), 2)]));
    }

    #[test]
    fn long_answers_are_cut_in_errors() {
        let text = "é".repeat(SHOWN_CHARS_MAX + 1);
        let outcome = RequestOutcome::of(RequestKind::Move, answer(500, &text));
        assert_eq!(
            outcome.detail.chars().count(),
            "500 ".len() + SHOWN_CHARS_MAX
        );
    }
}

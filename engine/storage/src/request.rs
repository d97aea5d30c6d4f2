//! Canonical requests and idempotency keys.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

/// The maximum length of an idempotency key in characters.
pub const KEY_CHARS_MAX: usize = 128;

/// An idempotency key: the client's name for a request, which it identifies in its economy for ever. It has 1 to
/// [`KEY_CHARS_MAX`] printable ASCII characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct IdempotencyKey(Arc<str>);

impl IdempotencyKey {
    /// Returns the key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The error for a text that is not an idempotency key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("an idempotency key has 1 to {KEY_CHARS_MAX} printable ASCII characters")]
pub struct KeyError;

impl FromStr for IdempotencyKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if text.trim().is_empty() || text.len() > KEY_CHARS_MAX || !printable {
            return Err(KeyError);
        }
        Ok(Self(text.into()))
    }
}

/// A request as one canonical text of method, path and body. Members are sorted, and absent members stay absent.
///
/// The log stores the request itself and not a digest, so that a repeated key can be answered with the first
/// difference, and so that people can read the request later.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request(Arc<str>);

/// The members of a request, in the order of their names.
#[derive(Serialize)]
struct Envelope<'a, B> {
    body: &'a B,
    method: &'a str,
    path: &'a str,
}

/// The text of a request before its body.
const REQUEST_BEGIN: &str = r#"{"body":"#;

/// The text of a request between its body and its method.
const METHOD_BEGIN: &str = r#","method":"#;

/// The text of a request between its method and its path.
const PATH_BEGIN: &str = r#","path":"#;

/// The texts of requests before and after their bodies. Requests of one batch share them.
#[derive(Debug)]
pub struct RequestFrame {
    /// A buffer for the text of one request.
    text: String,
    end: String,
}

impl RequestFrame {
    /// Creates the frame of requests with a method and a path.
    pub fn new(method: &str, path: &str) -> Self {
        let envelope = Envelope {
            body: &(),
            method,
            path,
        };
        let whole = Request::new_text(&envelope);
        let end = whole.strip_prefix(r#"{"body":null"#).unwrap_or_default();
        Self {
            text: String::new(),
            end: end.into(),
        }
    }

    /// Creates the canonical text of a request whose body is canonical JSON already.
    pub fn with_body(&mut self, body: &str) -> Request {
        self.text.clear();
        self.text
            .reserve(body.len().saturating_add(self.end.len()).saturating_add(8));
        self.text.push_str(REQUEST_BEGIN);
        self.text.push_str(body);
        self.text.push_str(&self.end);
        Request(self.text.as_str().into())
    }
}

impl Request {
    fn new_text(envelope: &Envelope<'_, impl Serialize>) -> String {
        serde_json::to_string(envelope).expect("what was read as JSON can be written")
    }

    /// Creates the canonical text of a request. The members of all objects in the body are sorted by name.
    pub fn new(method: &str, path: &str, body: &impl Serialize) -> Self {
        Self(Self::new_text(&Envelope { body, method, path }).into())
    }

    /// Creates the canonical text of a request whose body is canonical JSON already.
    pub fn with_body(method: &str, path: &str, body: &str) -> Self {
        let lengths = [REQUEST_BEGIN, METHOD_BEGIN, PATH_BEGIN, body, method, path].map(str::len);
        // The sum starts at 16 for the closing characters, and for a few characters of the path that need an escape.
        let length = lengths
            .iter()
            .fold(16, |sum: usize, length| sum.saturating_add(*length));
        let mut text = Vec::with_capacity(length);
        text.extend_from_slice(REQUEST_BEGIN.as_bytes());
        text.extend_from_slice(body.as_bytes());
        for (begin, value) in [(METHOD_BEGIN, method), (PATH_BEGIN, path)] {
            text.extend_from_slice(begin.as_bytes());
            serde_json::to_writer(&mut text, value).expect("a text can be written as JSON");
        }
        text.push(b'}');
        let text = String::from_utf8(text).expect("JSON is written in UTF-8");
        Self(text.into())
    }

    /// Returns the canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the first difference from a stored request: a JSON pointer into the body (RFC 6901), or `method` or
    /// `path`. Returns `None` if they are equal.
    pub fn difference(&self, kept: &str) -> Option<String> {
        if *self.0 == *kept {
            return None;
        }
        let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        let here = parse(&self.0);
        let there = parse(kept);
        for name in ["method", "path"] {
            if here.get(name) != there.get(name) {
                return Some(name.into());
            }
        }
        let body = |value: &Value| value.get("body").and_then(Value::as_object).cloned();
        let here = body(&here).unwrap_or_default();
        let there = body(&there).unwrap_or_default();
        let names = here.keys().chain(there.keys());
        let mut different = names.filter(|name| here.get(*name) != there.get(*name));
        Some(
            different
                .next()
                .map_or_else(|| "body".into(), |name| format!("/{name}")),
        )
    }
}

/// Returns the client's texts about one transfer. For a batch, these are the texts of that part.
pub(crate) fn words<'a>(request: &'a Value, kind: &str, part: u32) -> Option<&'a Value> {
    let body = request.get("body")?;
    if kind == "batch" {
        let part = usize::try_from(part).ok()?;
        return body.get("transfers")?.get(part);
    }
    Some(body)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_has_one_text_however_it_is_made() {
        let body = json!({ "b": 1, "a": { "é": "\"", "c": null } });
        let made = Request::new("PUT", "/a\"b", &body);
        let with = Request::with_body("PUT", "/a\"b", &body.to_string());
        assert_eq!(made, with);
        let kept = json!({ "method": "PUT", "path": "/a\"b", "body": body }).to_string();
        assert_eq!(made.as_str(), kept);
    }

    #[test]
    fn a_key_has_1_to_128_printable_characters() {
        assert!("k".repeat(KEY_CHARS_MAX).parse::<IdempotencyKey>().is_ok());
        for wrong in ["", " ", "a\nb", "ä", &"k".repeat(KEY_CHARS_MAX + 1)] {
            assert_eq!(wrong.parse::<IdempotencyKey>(), Err(KeyError), "{wrong:?}");
        }
    }

    #[test]
    fn the_member_that_differs_is_named() {
        let ask = |path, body| Request::new("POST", path, &body);
        let first = ask("/a", json!({ "amount": 1, "memo": "x" }));
        let difference = |other: Request| other.difference(first.as_str());
        assert_eq!(
            difference(ask("/a", json!({ "memo": "x", "amount": 1 }))),
            None
        );
        assert_eq!(
            difference(ask("/b", json!({ "amount": 1 }))),
            Some("path".into())
        );
        assert_eq!(
            difference(ask("/a", json!({ "amount": 2 }))),
            Some("/amount".into())
        );
        assert_eq!(
            difference(ask("/a", json!({ "amount": 1 }))),
            Some("/memo".into())
        );
    }
}

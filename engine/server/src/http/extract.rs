//! From bytes to values: bodies, keys and names, and a clear word for what cannot be read.

use std::error::Error;
use std::str::FromStr;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bursar_ledger::{DOCUMENT_BYTES_MAX, EconomyId, Patch, check_document};
use bursar_storage::{Answer, IdempotencyKey, Request};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Api;
use super::api::codes::Code;
use super::auth::Caller;
use super::intake::Unread;
use super::json;
use super::problem::{PROBLEM_JSON, Problem};
use crate::service::{RequestContext, SYSTEM};

/// Bytes in the body of a request, but for an upload.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1024;

/// The names in the path, decoded. What cannot be decoded is a problem like any other.
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Api> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let axum::extract::Path(names) = axum::extract::Path::from_request_parts(parts, api)
            .await
            .map_err(|rejection| Problem::malformed("", rejection.body_text()))?;
        Ok(Self(names))
    }
}

/// A name in the path.
pub(super) fn name<T: FromStr>(what: &str, text: &str) -> Result<T, Problem>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| {
        Problem::malformed("", format!("the {what} in the path cannot be: {error}"))
    })
}

/// The economy that the path names, unless it is the reserved one.
pub(super) fn economy(text: &str) -> Result<EconomyId, Problem> {
    let economy: EconomyId = name("economy", text)?;
    if economy.as_str() == SYSTEM {
        return Err(Problem::forbidden(
            "`system` is kept for the server's own records",
        ));
    }
    Ok(economy)
}

/// Reads a body, up to a size. Its room and its time are the intake's.
pub(super) async fn read(mut body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| unread(&error, bytes_max))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if data.len() > bytes_max.saturating_sub(bytes.len()) {
            return Err(unread(&Unread::TooLarge, bytes_max));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.into())
}

/// The reason that a body was not read to its end.
fn unread(error: &(dyn Error + 'static), bytes_max: usize) -> Problem {
    let (mut why, mut cause) = (Unread::BrokeOff, Some(error));
    while let Some(error) = cause {
        why = error.downcast_ref().copied().unwrap_or(why);
        cause = error.source();
    }
    let detail = why.to_string();
    match why {
        Unread::NoRoom => Problem::new(Code::Overloaded, detail),
        Unread::TooLarge => {
            let detail = format!("the body may have {bytes_max} bytes");
            Problem::new(Code::TooLarge, detail).with("bytes_max", bytes_max)
        }
        Unread::Slow => Problem::new(Code::BodyTimeout, detail),
        Unread::BrokeOff => Problem::malformed("", detail),
    }
}

/// A body in both its forms: typed, and as the canonical JSON that the key stands for.
pub(super) struct Parsed<T> {
    pub(super) typed: T,
    pub(super) canonical: Canonical,
}

/// The canonical JSON of a body, as text.
pub(super) struct Canonical(String);

impl Canonical {
    /// The text of a value whose members are in order.
    pub(super) fn of(value: &impl Serialize) -> Self {
        Self(serde_json::to_string(value).expect("JSON that was read, or is ours, can be written"))
    }

    /// The text of a body of which each part is canonical by itself.
    pub(super) fn of_parts(text: String) -> Self {
        Self(text)
    }

    /// The request with this body.
    pub(super) fn request(&self, method: &str, path: &str) -> Request {
        Request::with_body(method, path, &self.0)
    }

    /// The text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Its bytes.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Reads a JSON body. What cannot be read is named by a pointer to it. A member that is `null` is as
/// good as absent, for the type and for the idempotency key.
pub(super) async fn json<T: DeserializeOwned>(body: Body) -> Result<Parsed<T>, Problem> {
    parse(&read(body, BODY_BYTES_MAX).await?, Nulls::Absent)
}

/// Reads the JSON of a body that was read under a bound of its own.
pub(super) fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<Parsed<T>, Problem> {
    parse(bytes, Nulls::Absent)
}

/// Reads the JSON body of a PUT, in which `null` takes away what can be taken away.
pub(super) async fn json_patch<T: DeserializeOwned>(body: Body) -> Result<Parsed<T>, Problem> {
    json_patch_of(body, BODY_BYTES_MAX).await
}

/// Reads the JSON body of a PUT of at most so many bytes.
pub(super) async fn json_patch_of<T: DeserializeOwned>(
    body: Body,
    bytes_max: usize,
) -> Result<Parsed<T>, Problem> {
    parse(&read(body, bytes_max).await?, Nulls::Kept)
}

/// Reads the JSON body of a PUT that may be missing.
pub(super) async fn json_patch_or_nothing<T: DeserializeOwned + Default>(
    body: Body,
) -> Result<Parsed<T>, Problem> {
    let bytes = read(body, BODY_BYTES_MAX).await?;
    if bytes.is_empty() {
        let (typed, canonical) = (T::default(), Canonical::of(&Value::Null));
        return Ok(Parsed { typed, canonical });
    }
    parse(&bytes, Nulls::Kept)
}

/// What becomes of the members of a body that are `null`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nulls {
    /// They are as good as absent.
    Absent,
    /// Their types say what they mean.
    Kept,
}

fn parse<T: DeserializeOwned>(bytes: &[u8], nulls: Nulls) -> Result<Parsed<T>, Problem> {
    let mut body = json::parse(bytes)?;
    if nulls == Nulls::Absent {
        body.drop_nulls();
    }
    let typed = json::read(&body)?;
    json::numbers(bytes)?;
    Ok(Parsed {
        typed,
        canonical: Canonical::of(&body),
    })
}

/// What is asked for in the query; parameters that are not known are a problem.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Api> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, api).await;
        match query {
            Ok(axum::extract::Query(asked)) => Ok(Self(asked)),
            Err(rejection) => Err(Problem::malformed("", rejection.body_text())),
        }
    }
}

/// No parameters: what is said in the query is meant, and here it would do nothing.
#[derive(serde::Deserialize, Clone, Copy)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// A parameter of the query that cannot be.
pub(super) fn wrong_query(parameter: &str, detail: &str) -> Problem {
    Problem::malformed("", format!("`{parameter}` in the query: {detail}"))
        .with("parameter", parameter)
}

/// The largest number that a query can ask about: JSON keeps all up to it.
pub(super) const NUMBER_MAX: u64 = (1 << 53) - 1;

/// A moment, or the number of a record, in the query.
pub(super) fn number(parameter: &str, number: u64) -> Result<u64, Problem> {
    if number > NUMBER_MAX {
        return Err(wrong_query(parameter, "at most 2^53 - 1"));
    }
    Ok(number)
}

/// `?preview=true`: what would happen is asked, and nothing is to.
#[derive(serde::Deserialize, schemars::JsonSchema, Clone, Copy, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Preview {
    /// Only say what would happen; nothing is kept, and no idempotency key is needed.
    pub(super) preview: bool,
}

/// Whether metadata in a PUT can be kept: an object, not too large and not too deep.
pub(super) fn check_metadata(metadata: &Patch<Value>) -> Result<(), Problem> {
    let wrong = |detail: String| Err(Problem::malformed("/metadata", detail));
    match metadata {
        Patch::Keep | Patch::Clear => Ok(()),
        Patch::Set(metadata) if !metadata.is_object() => {
            wrong("metadata is a JSON object or null".into())
        }
        Patch::Set(metadata) => {
            check_document(metadata, DOCUMENT_BYTES_MAX).or_else(|error| wrong(error.to_string()))
        }
    }
}

/// The idempotency key that every POST which moves money or state carries.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<IdempotencyKey, Problem> {
    let malformed = |detail: &str| Problem::new(Code::IdempotencyKeyMalformed, detail);
    let mut sent = headers.get_all("idempotency-key").iter();
    let Some(first) = sent.next() else {
        let detail = "send an `Idempotency-Key` header: one for each intent, the same in each try";
        return Err(Problem::new(Code::IdempotencyKeyMissing, detail));
    };
    if sent.next().is_some() {
        return Err(malformed("send one `Idempotency-Key` header, not several"));
    }
    let text = first
        .to_str()
        .map_err(|_| malformed("the key is not printable ASCII"))?;
    unquoted(text)
        .ok_or_else(|| malformed("the quotes around the key do not match"))?
        .parse()
        .map_err(|error: bursar_storage::KeyError| malformed(&error.to_string()))
}

/// A key may come bare, or as a quoted string with `\"` and `\\` (RFC 8941).
fn unquoted(text: &str) -> Option<String> {
    let Some(rest) = text.strip_prefix('"') else {
        return Some(text.into());
    };
    let mut key = String::new();
    let mut characters = rest.chars();
    loop {
        match characters.next()? {
            '"' => return characters.next().is_none().then_some(key),
            '\\' => key.push(characters.next().filter(|c| matches!(c, '"' | '\\'))?),
            other => key.push(other),
        }
    }
}

/// Who asks, for what: the parts of a request that the journal keeps.
pub(super) fn request_context(
    caller: &Caller,
    economy: EconomyId,
    key: Option<IdempotencyKey>,
    method: &str,
    path: &str,
    body: &Canonical,
) -> RequestContext {
    let request = body.request(method, path);
    RequestContext {
        economy,
        actor: caller.actor.clone(),
        key,
        request,
    }
}

/// An answer as a response, byte for byte as it is kept.
pub(super) fn respond(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let is_problem = status.is_client_error() || status.is_server_error();
    let mut response = (status, answer.body).into_response();
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/json");
    headers.insert(
        header::CONTENT_TYPE,
        if is_problem { PROBLEM_JSON } else { json },
    );
    if answer.replayed {
        headers.insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Anything {}

    #[test]
    fn a_body_is_parsed_once_for_both_its_forms() {
        let read = super::super::json::tests::read_meanwhile(|| {
            let parsed =
                parse::<Anything>(br#"{"b":[1],"a":{}}"#, Nulls::Absent).expect("it can be read");
            let request = parsed.canonical.request("POST", "/x");
            let expected = r#"{"body":{"a":{},"b":[1]},"method":"POST","path":"/x"}"#;
            assert_eq!(request.as_str(), expected);
        });
        assert_eq!(read, 1);
    }

    #[test]
    fn keys_come_bare_or_quoted() {
        assert_eq!(unquoted("abc"), Some("abc".into()));
        assert_eq!(unquoted("\"abc\""), Some("abc".into()));
        assert_eq!(unquoted(r#""a\"b\\c""#), Some(r#"a"b\c"#.into()));
        for wrong in ["\"abc", "\"a\"b", r#""a\b""#] {
            assert_eq!(unquoted(wrong), None, "{wrong}");
        }
    }
}

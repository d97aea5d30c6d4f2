//! The extractors of requests: bodies, idempotency keys, names and query parameters, with a problem
//! for each that is invalid.

use std::convert::Infallible;
use std::error::Error;
use std::str::FromStr;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bursar_ledger::{
    CanonicalReader, DOCUMENT_BYTES_MAX, EconomyId, Omissions, Patch, UnreadText, check_document,
};
use bursar_storage::{Answer, IdempotencyKey, Request};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::api::codes::Code;
use super::auth::Caller;
use super::intake::BodyError;
use super::json;
use super::limits::{BODY_BYTES_MAX, NUMBER_MAX};
use super::problem::{PROBLEM_JSON, Problem};
use super::state::Api;
use crate::service::{RequestContext, SYSTEM};

/// The parameters of the path, percent-decoded. Parameters that cannot be decoded are rejected with
/// a problem.
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

/// Parses a name in the path.
pub(super) fn name<T: FromStr>(what: &str, text: &str) -> Result<T, Problem>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| {
        Problem::malformed("", format!("the {what} in the path is invalid: {error}"))
    })
}

/// Parses the economy in the path. The economy `system`, which records API keys, is not accessible.
pub(super) fn economy(text: &str) -> Result<EconomyId, Problem> {
    let economy: EconomyId = name("economy", text)?;
    if economy.as_str() == SYSTEM {
        return Err(Problem::forbidden(
            "the economy `system` is reserved for the server's own records",
        ));
    }
    Ok(economy)
}

/// Reads a body of at most `bytes_max` bytes. The intake limits the memory and the time that it
/// takes.
pub(super) async fn read(mut body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let mut bytes = BodyBytes::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| body_problem(&error, bytes_max))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if data.len() > bytes_max.saturating_sub(bytes.len()) {
            return Err(body_problem(&BodyError::TooLarge, bytes_max));
        }
        bytes.add(data);
    }
    Ok(bytes.join())
}

/// The bytes of a body that have been read.
enum BodyBytes {
    /// The bytes of one frame, which nearly all bodies consist of.
    One(Bytes),
    /// A copy of the bytes of several frames.
    Several(Vec<u8>),
}

impl Default for BodyBytes {
    fn default() -> Self {
        Self::One(Bytes::new())
    }
}

impl BodyBytes {
    fn len(&self) -> usize {
        match self {
            Self::One(bytes) => bytes.len(),
            Self::Several(bytes) => bytes.len(),
        }
    }

    fn add(&mut self, data: Bytes) {
        match self {
            Self::One(bytes) if bytes.is_empty() => *bytes = data,
            Self::One(bytes) => *self = Self::Several([&bytes[..], &data[..]].concat()),
            Self::Several(bytes) => bytes.extend_from_slice(&data),
        }
    }

    fn join(self) -> Bytes {
        match self {
            Self::One(bytes) => bytes,
            Self::Several(bytes) => bytes.into(),
        }
    }
}

/// Converts the error of a body that could not be read to its end.
fn body_problem(error: &(dyn Error + 'static), bytes_max: usize) -> Problem {
    let mut reason = BodyError::Truncated;
    let mut cause = Some(error);
    while let Some(error) = cause {
        reason = error.downcast_ref().copied().unwrap_or(reason);
        cause = error.source();
    }
    let detail = reason.to_string();
    match reason {
        BodyError::NoMemory => Problem::new(Code::Overloaded, detail),
        BodyError::TooLarge => {
            let detail = format!("the body may have at most {bytes_max} bytes");
            Problem::new(Code::TooLarge, detail).with("bytes_max", bytes_max)
        }
        BodyError::Timeout => Problem::new(Code::BodyTimeout, detail),
        BodyError::Truncated => Problem::malformed("", detail),
    }
}

/// A body as a typed value, and as the canonical JSON that is recorded under the idempotency key.
pub(super) struct Parsed<T> {
    pub(super) typed: T,
    pub(super) canonical: Canonical,
}

/// The canonical JSON of a body: its members are sorted and its numbers are normalised.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Canonical(String);

impl Canonical {
    /// Serialises a value whose members are sorted.
    pub(super) fn of(value: &impl Serialize) -> Self {
        Self(serde_json::to_string(value).expect(
            "JSON that was parsed, or built here, can be \
                                                  serialised",
        ))
    }

    /// Wraps the text of a body that is canonical JSON.
    pub(super) fn of_text(text: String) -> Self {
        Self(text)
    }

    /// Returns the request that is recorded.
    pub(super) fn request(&self, method: &str, path: &str) -> Request {
        Request::with_body(method, path, &self.0)
    }

    /// Returns the text.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the length in bytes.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Reads a JSON body. A problem names an invalid place by a JSON pointer. A member that is `null`
/// is treated as absent, in the typed value and in the recorded request.
pub(super) async fn json<T: DeserializeOwned>(body: Body) -> Result<Parsed<T>, Problem> {
    parse(&read(body, BODY_BYTES_MAX).await?, Nulls::Absent)
}

/// Parses a JSON body that was read with a limit of its own.
pub(super) fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<Parsed<T>, Problem> {
    parse(bytes, Nulls::Absent)
}

/// Reads the JSON body of a PUT, in which `null` removes an optional value.
pub(super) async fn json_patch<T: DeserializeOwned>(body: Body) -> Result<Parsed<T>, Problem> {
    json_patch_of(body, BODY_BYTES_MAX).await
}

/// Reads the JSON body of a PUT, of at most `bytes_max` bytes.
pub(super) async fn json_patch_of<T: DeserializeOwned>(
    body: Body,
    bytes_max: usize,
) -> Result<Parsed<T>, Problem> {
    parse(&read(body, bytes_max).await?, Nulls::Kept)
}

/// Reads the JSON body of a PUT, which may be empty.
pub(super) async fn json_patch_or_nothing<T: DeserializeOwned + Default>(
    body: Body,
) -> Result<Parsed<T>, Problem> {
    let bytes = read(body, BODY_BYTES_MAX).await?;
    if bytes.is_empty() {
        return Ok(Parsed {
            typed: T::default(),
            canonical: Canonical::of(&Value::Null),
        });
    }
    parse(&bytes, Nulls::Kept)
}

/// The treatment of members that are `null`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nulls {
    /// They are removed.
    Absent,
    /// They are kept, and their types give them a meaning.
    Kept,
}

fn parse<T: DeserializeOwned>(bytes: &[u8], nulls: Nulls) -> Result<Parsed<T>, Problem> {
    // A body that cannot be read in one pass is parsed again, for the place of its error.
    parse_valid(bytes, nulls).or_else(|UnreadText| parse_any(bytes, nulls))
}

/// Parses a valid body in one pass. Leaves all other bodies, and unusual ones, to [`parse_any`].
fn parse_valid<T: DeserializeOwned>(bytes: &[u8], nulls: Nulls) -> Result<Parsed<T>, UnreadText> {
    let mut reader = CanonicalReader::new(bytes)?;
    let typed = reader.value(Omissions {
        nulls: nulls == Nulls::Absent,
        name: None,
    })?;
    Ok(Parsed {
        typed,
        canonical: Canonical(reader.finish()?),
    })
}

fn parse_any<T: DeserializeOwned>(bytes: &[u8], nulls: Nulls) -> Result<Parsed<T>, Problem> {
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

/// The parameters of the query. Unknown parameters are rejected.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Api> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, api).await;
        match query {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(Problem::malformed("", rejection.body_text())),
        }
    }
}

/// An empty query. A parameter that would have no effect is rejected, because the client expects
/// one.
#[derive(serde::Deserialize, Clone, Copy)]
#[serde(deny_unknown_fields)]
pub(super) struct NoParameters {}

/// Creates the problem of an invalid query parameter.
pub(super) fn wrong_query(parameter: &str, detail: &str) -> Problem {
    Problem::malformed("", format!("query parameter `{parameter}`: {detail}"))
        .with("parameter", parameter)
}

/// Checks a time or a record number in the query.
pub(super) fn number(parameter: &str, number: u64) -> Result<u64, Problem> {
    if number > NUMBER_MAX {
        return Err(wrong_query(parameter, "must be at most 2^53 - 1"));
    }
    Ok(number)
}

/// The query of requests that can be previewed: `?preview=true`.
#[derive(serde::Deserialize, schemars::JsonSchema, Clone, Copy, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Preview {
    /// Returns the result that the request would have, without committing anything. A preview
    /// requires no idempotency key.
    pub(super) preview: bool,
}

/// Checks the metadata of a PUT: it must be an object within the limits of size and depth.
pub(super) fn check_metadata(metadata: &Patch<Value>) -> Result<(), Problem> {
    let wrong = |detail: String| Err(Problem::malformed("/metadata", detail));
    match metadata {
        Patch::Keep | Patch::Clear => Ok(()),
        Patch::Set(metadata) if !metadata.is_object() => {
            wrong("`metadata` must be a JSON object or null".into())
        }
        Patch::Set(metadata) => {
            check_document(metadata, DOCUMENT_BYTES_MAX).or_else(|error| wrong(error.to_string()))
        }
    }
}

/// The idempotency key of a request, or the problem of a request without a valid key.
pub(super) struct KeyHeader(Result<IdempotencyKey, Problem>);

impl KeyHeader {
    /// Returns the key, which every POST that moves money or changes state requires.
    pub(super) fn required(self) -> Result<IdempotencyKey, Problem> {
        self.0
    }
}

impl FromRequestParts<Api> for KeyHeader {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, Infallible> {
        Ok(Self(idempotency_key(&parts.headers)))
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<IdempotencyKey, Problem> {
    let malformed = |detail: &str| Problem::new(Code::IdempotencyKeyMalformed, detail);
    let mut sent = headers.get_all("idempotency-key").iter();
    let Some(first) = sent.next() else {
        let detail = "send the header `Idempotency-Key`: a new value for each intent, the same \
                      value in each attempt";
        return Err(Problem::new(Code::IdempotencyKeyMissing, detail));
    };
    if sent.next().is_some() {
        return Err(malformed("send the header `Idempotency-Key` once only"));
    }
    let text = first
        .to_str()
        .map_err(|_| malformed("the idempotency key must consist of printable ASCII characters"))?;
    unquoted(text)
        .ok_or_else(|| {
            malformed(
                "the idempotency key begins with a quotation mark and is not a \
                                  valid quoted string (RFC 8941)",
            )
        })?
        .parse()
        .map_err(|error: bursar_storage::KeyError| malformed(&error.to_string()))
}

/// Returns the text of a key that is sent as plain text or as a quoted string (RFC 8941, section
/// 3.3.3).
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

/// Builds the context of a request: the parts that the log records.
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

/// Converts JSON text to a response.
pub(super) fn json_text(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// The media type of JSON.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The header of a repeated answer.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Converts a stored answer to a response, byte for byte.
pub(super) fn respond(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let is_problem = status.is_client_error() || status.is_server_error();
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        if is_problem { PROBLEM_JSON } else { JSON },
    );
    if answer.replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

#[cfg(test)]
mod tests;

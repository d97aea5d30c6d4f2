//! The only mapping from outcomes and errors to status, code and words (RFC 9457).

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bursar_ledger::{Class, Rejection, Retry};
use bursar_storage::Failure;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{codes, shapes, wire};
use crate::no_answer::NoAnswer;

/// Seconds after which a client that was turned away may ask again.
const RETRY_AFTER_S: u64 = 1;

/// The same, for a client that finds an audit under way: one takes seconds to minutes.
const AUDIT_RETRY_AFTER_S: u64 = 5;

/// A no, in the words of the API.
#[derive(Clone, PartialEq, Debug)]
pub struct Problem {
    status: StatusCode,
    code: String,
    detail: String,
    retry: Retry,
    /// Seconds after which asking again may help.
    retry_after_s: Option<u64>,
    members: Map<String, Value>,
}

impl Problem {
    /// A problem with a stable code and a sentence that says what to do.
    pub fn new(status: StatusCode, code: &str, retry: Retry, detail: impl Into<String>) -> Self {
        Self {
            status,
            code: code.into(),
            detail: detail.into(),
            retry,
            retry_after_s: (status == StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY_AFTER_S),
            members: Map::new(),
        }
    }

    /// Adds a typed member.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.into(), value.into());
        self
    }

    /// A request that cannot be understood. `pointer` leads to the place (RFC 6901).
    pub fn malformed(pointer: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", Retry::Never, detail)
            .with("pointer", pointer)
    }

    /// The same problem of a part of the body: its pointer leads through `part`.
    #[must_use]
    pub fn within(self, part: &str) -> Self {
        let pointer = self.members.get("pointer").and_then(Value::as_str);
        let pointer = format!("{part}{}", pointer.unwrap_or_default());
        self.with("pointer", pointer)
    }

    /// Something in the path that is not there.
    pub fn not_found(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, Retry::SameKey, detail)
    }

    /// No key, or one that is not known.
    pub fn unauthorized() -> Self {
        let detail = "send `Authorization: Bearer <key>` with a key of this server";
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            Retry::SameKey,
            detail,
        )
    }

    /// A key that does not allow this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", Retry::SameKey, detail)
    }

    /// A request that can be understood and is not granted.
    fn refused(code: &str, retry: Retry, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, retry, detail)
    }

    /// A key that asks too often.
    pub fn rate_limited(wait_s: u64) -> Self {
        let detail = format!("this key asks too often; send the same again in {wait_s} s");
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self {
            retry_after_s: Some(wait_s),
            ..Self::new(status, "rate_limited", Retry::SameKey, detail)
        }
    }

    /// The service cannot answer now; nothing is known to have happened.
    pub fn unavailable(code: &str, detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            code,
            Retry::SameKey,
            detail,
        )
    }

    /// We are wrong; nothing is known to have happened.
    pub fn bug(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            Retry::SameKey,
            detail,
        )
    }

    /// The ledger's no.
    pub fn rejected(rejection: &Rejection) -> Self {
        // What is refused in a batch is refused for its own reason; beside it stands where.
        if let Rejection::InBatch { index, rejection } = rejection {
            return Self::rejected(rejection).with("index", *index);
        }
        let status = match rejection.class() {
            Class::Refused => StatusCode::UNPROCESSABLE_ENTITY,
            Class::Conflict => StatusCode::CONFLICT,
        };
        let mut members = match serde_json::to_value(rejection) {
            Ok(Value::Object(members)) => members,
            Ok(_) | Err(_) => Map::new(),
        };
        let code = members.remove("code");
        let code = code
            .as_ref()
            .and_then(Value::as_str)
            .unwrap_or("rejected")
            .to_owned();
        let (retry, detail) = (rejection.retry(), rejection.to_string());
        Self {
            status,
            code,
            detail,
            retry,
            retry_after_s: None,
            members,
        }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The body.
    pub fn body(&self) -> Value {
        wire::to_json(ProblemBody {
            kind: format!("urn:bursar:problem:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Problem"),
            status: self.status.as_u16(),
            code: &self.code,
            detail: &self.detail,
            retry: self.retry,
            members: &self.members,
        })
    }
}

/// A no (RFC 9457).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(super) struct ProblemBody<'a> {
    /// `urn:bursar:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// The status in words.
    title: &'a str,
    /// The status.
    #[schemars(range(min = 400, max = 599))]
    status: u16,
    #[schemars(with = "Code")]
    code: &'a str,
    /// What is wrong and what to do about it, for people.
    detail: &'a str,
    #[schemars(with = "shapes::Retry")]
    retry: Retry,
    #[serde(flatten)]
    #[schemars(with = "shapes::ProblemMembers")]
    members: &'a Map<String, Value>,
}

/// The schema of a code. It is open: later versions have more.
struct Code;

impl JsonSchema for Code {
    fn schema_name() -> Cow<'static, str> {
        "ProblemCode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let about = format!(
            "What is wrong, for programs; later versions may have more.\n\n{}",
            codes::table()
        );
        let examples: Vec<&str> = codes::CODES.iter().map(|(code, _)| *code).collect();
        json_schema!({
            "description": about, "type": "string", "pattern": "^[a-z_]+$", "examples": examples,
        })
    }
}

impl From<NoAnswer> for Problem {
    fn from(no_answer: NoAnswer) -> Self {
        Self::from(&no_answer)
    }
}

impl From<&NoAnswer> for Problem {
    fn from(no_answer: &NoAnswer) -> Self {
        let detail = no_answer.to_string();
        match no_answer {
            NoAnswer::Writer(Failure::Overloaded)
            | NoAnswer::Busy
            | NoAnswer::CompilerBusy
            | NoAnswer::Compiling
            | NoAnswer::TooManyStreams
            | NoAnswer::TooManyExports => Self::unavailable("overloaded", detail),
            NoAnswer::AuditRunning => Self {
                retry_after_s: Some(AUDIT_RETRY_AFTER_S),
                ..Self::unavailable("audit_running", detail)
            },
            NoAnswer::Writer(Failure::Unknown) => Self::unavailable("outcome_unknown", detail),
            NoAnswer::Writer(Failure::Unavailable)
            | NoAnswer::Unreadable(_)
            | NoAnswer::NoCompiler => Self::unavailable("unavailable", detail),
            NoAnswer::Conflict => Self::unavailable("conflict", detail),
            NoAnswer::CallFailed(_) | NoAnswer::NotLoaded | NoAnswer::NotRun => {
                Self::unavailable("call_failed", detail)
            }
            NoAnswer::KeyReused { field } => {
                Self::refused("idempotency_key_reused", Retry::NewKey, detail)
                    .with("field", field.as_str())
            }
            NoAnswer::NoEconomy => Self::not_found("economy_not_found", detail),
            NoAnswer::NoPlugin(_) => Self::not_found("plugin_not_found", detail),
            NoAnswer::NoAction(_) => Self::not_found("action_not_found", detail),
            // No path names a component, only a body does.
            NoAnswer::NoComponent(_) => Self::refused("component_not_found", Retry::NewKey, detail)
                .with("pointer", "/component"),
            NoAnswer::ReservedKey(_) => Self::malformed("", detail),
            NoAnswer::NotBundled { .. } => Self::malformed("/component", detail),
            NoAnswer::Arguments(error) => {
                Self::malformed(&format!("/arguments{}", error.pointer), detail)
            }
            NoAnswer::Refused(report) => {
                let findings = serde_json::to_value(&report.findings).unwrap_or_default();
                Self::refused("component_refused", Retry::Never, detail).with("findings", findings)
            }
            NoAnswer::Writer(Failure::Bug) | NoAnswer::Bug(_) => Self::bug(detail),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body().to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The media type of a problem.
pub(super) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

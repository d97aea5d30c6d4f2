//! The only mapping from outcomes and errors to status, code and words (RFC 9457).

use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bursar_ledger::{Rejection, Retry};
use bursar_storage::SubmitError;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Map, Value};

use super::api::codes::{self, Code, Terms};
use super::api::{schemas, views};
use crate::service::error::ServiceError;

/// Seconds after which a client that was turned away may ask again.
const RETRY_AFTER_S: u64 = 1;

/// The same, for a client that finds an audit under way: one takes seconds to minutes.
const AUDIT_RETRY_AFTER_S: u64 = 5;

/// A no, in the words of the API.
#[derive(Clone, PartialEq, Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    retry: Retry,
    /// Seconds after which asking again may help.
    retry_after_s: Option<u64>,
    members: Map<String, Value>,
}

impl Problem {
    /// A problem with a stable code and a sentence that says what to do.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let Terms {
            code,
            status,
            retry,
            ..
        } = code.terms();
        Self {
            status,
            code,
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
        Self::new(Code::Malformed, detail).with("pointer", pointer)
    }

    /// The same problem of a part of the body: its pointer leads through `part`.
    #[must_use]
    pub fn within(self, part: &str) -> Self {
        let pointer = self.members.get("pointer").and_then(Value::as_str);
        let pointer = format!("{part}{}", pointer.unwrap_or_default());
        self.with("pointer", pointer)
    }

    /// No key, or one that is not known.
    pub fn unauthorized() -> Self {
        let detail = "send `Authorization: Bearer <key>` with a key of this server";
        Self::new(Code::Unauthorized, detail)
    }

    /// A key that does not allow this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(Code::Forbidden, detail)
    }

    /// A key that asks too often.
    pub fn rate_limited(wait_s: u64) -> Self {
        let detail = format!("this key asks too often; send the same again in {wait_s} s");
        Self {
            retry_after_s: Some(wait_s),
            ..Self::new(Code::RateLimited, detail)
        }
    }

    /// We are wrong; nothing is known to have happened.
    pub fn bug(detail: impl Into<String>) -> Self {
        Self::new(Code::Internal, detail)
    }

    /// The ledger's no.
    pub fn rejected(rejection: &Rejection) -> Self {
        // What is refused in a batch is refused for its own reason; beside it stands where.
        if let Rejection::InBatch { index, rejection } = rejection {
            return Self::rejected(rejection).with("index", *index);
        }
        let mut members = match serde_json::to_value(rejection) {
            Ok(Value::Object(members)) => members,
            Ok(_) | Err(_) => Map::new(),
        };
        members.remove("code");
        Self {
            status: codes::status(rejection.class()),
            code: rejection.kind().code(),
            detail: rejection.to_string(),
            retry: rejection.retry(),
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
        self.code
    }

    /// The body.
    pub fn body(&self) -> Value {
        views::to_json(ProblemBody {
            kind: format!("urn:bursar:problem:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Problem"),
            status: self.status.as_u16(),
            code: self.code,
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
    #[schemars(with = "ProblemCode")]
    code: &'a str,
    /// What is wrong and what to do about it, for people.
    detail: &'a str,
    #[schemars(with = "schemas::Retry")]
    retry: Retry,
    #[serde(flatten)]
    #[schemars(with = "schemas::ProblemMembers")]
    members: &'a Map<String, Value>,
}

/// The schema of a code. It is open: later versions have more.
struct ProblemCode;

impl JsonSchema for ProblemCode {
    fn schema_name() -> Cow<'static, str> {
        "ProblemCode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let about = format!(
            "What is wrong, for programs; later versions may have more.\n\n{}",
            codes::table()
        );
        json_schema!({
            "description": about, "type": "string", "pattern": "^[a-z_]+$",
            "x-codes": codes::listed(),
        })
    }
}

impl From<ServiceError> for Problem {
    fn from(no_answer: ServiceError) -> Self {
        Self::from(&no_answer)
    }
}

impl From<&ServiceError> for Problem {
    fn from(no_answer: &ServiceError) -> Self {
        let detail = no_answer.to_string();
        match no_answer {
            ServiceError::Writer(SubmitError::Overloaded)
            | ServiceError::Busy
            | ServiceError::CompilerBusy
            | ServiceError::Compiling
            | ServiceError::TooManyStreams
            | ServiceError::TooManyExports => Self::new(Code::Overloaded, detail),
            ServiceError::AuditRunning => Self {
                retry_after_s: Some(AUDIT_RETRY_AFTER_S),
                ..Self::new(Code::AuditRunning, detail)
            },
            ServiceError::Writer(SubmitError::Unknown) => Self::new(Code::OutcomeUnknown, detail),
            ServiceError::Writer(SubmitError::Unavailable)
            | ServiceError::Unreadable(_)
            | ServiceError::NoCompiler => Self::new(Code::Unavailable, detail),
            ServiceError::Conflict => Self::new(Code::Conflict, detail),
            ServiceError::CallFailed(_)
            | ServiceError::CheckFailed(_)
            | ServiceError::NotLoaded
            | ServiceError::NotRun => Self::new(Code::CallFailed, detail),
            ServiceError::ConfigurationRefused(findings) => {
                let findings = serde_json::to_value(findings).unwrap_or_default();
                Self::new(Code::ConfigurationRefused, detail).with("findings", findings)
            }
            ServiceError::KeyReused { field } => {
                Self::new(Code::IdempotencyKeyReused, detail).with("field", field.as_str())
            }
            ServiceError::NoEconomy => Self::new(Code::EconomyNotFound, detail),
            ServiceError::NoPlugin(_) => Self::new(Code::PluginNotFound, detail),
            ServiceError::NoAction(_) => Self::new(Code::ActionNotFound, detail),
            // No path names a component, only a body does.
            ServiceError::NoComponent(_) => {
                Self::new(Code::ComponentNotFound, detail).with("pointer", "/component")
            }
            ServiceError::ReservedKey(_) => Self::malformed("", detail),
            ServiceError::NotBundled { .. } => Self::malformed("/component", detail),
            ServiceError::Arguments(error) => {
                Self::malformed(&format!("/arguments{}", error.pointer), detail)
            }
            ServiceError::Refused(report) => {
                let findings = serde_json::to_value(&report.findings).unwrap_or_default();
                Self::new(Code::ComponentRefused, detail).with("findings", findings)
            }
            ServiceError::Writer(SubmitError::Bug) | ServiceError::Bug(_) => Self::bug(detail),
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

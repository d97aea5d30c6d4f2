//! Problems (RFC 9457): the only mapping from rejections and errors to statuses, codes and
//! messages.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bursar_ledger::{AccountId, AssetId, Rejection, Retry};
use bursar_storage::SubmitError;
use serde_json::{Map, Value};

use super::api::codes::{self, Code, Terms};
use super::api::views::{self, PROBLEM, ProblemBody};
use crate::service::error::ServiceError;

/// The seconds after which a client may send a request again that was not processed.
const RETRY_AFTER_S: u64 = 1;

/// The seconds after which a client may ask for an audit again: an audit takes seconds to minutes.
const AUDIT_RETRY_AFTER_S: u64 = 5;

/// An error response of the API.
#[derive(Clone, PartialEq, Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    retry: Retry,
    /// The seconds after which the request may be sent again.
    retry_after_s: Option<u64>,
    members: Map<String, Value>,
}

impl Problem {
    /// Creates a problem with a stable code and a sentence that says what happened and what to do.
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
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

    /// Adds a member with details for programs.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.into(), value.into());
        self
    }

    /// Creates the problem of an invalid request. `pointer` names the place in the body (RFC 6901).
    pub fn malformed(pointer: &str, detail: impl Into<String>) -> Self {
        Self::new(Code::Malformed, detail).with("pointer", pointer)
    }

    /// Returns the problem of a part of the body: its pointer is prefixed with the pointer of the
    /// part.
    #[must_use]
    pub fn within(self, part: &str) -> Self {
        let pointer = self.members.get("pointer").and_then(Value::as_str);
        let pointer = format!("{part}{}", pointer.unwrap_or_default());
        self.with("pointer", pointer)
    }

    /// Creates the problem of a request without a valid key.
    pub fn unauthorized() -> Self {
        let detail = "send `Authorization: Bearer KEY` with a valid key of this server";
        Self::new(Code::Unauthorized, detail)
    }

    /// Creates the problem of a key that lacks a permission.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(Code::Forbidden, detail)
    }

    /// Creates the problem of a key that exceeds its rate limit.
    pub fn rate_limited(wait_s: u64) -> Self {
        let detail = format!(
            "the rate limit of this key is exceeded; send the same request again \
                              in {wait_s} s"
        );
        Self {
            retry_after_s: Some(wait_s),
            ..Self::new(Code::RateLimited, detail)
        }
    }

    /// Creates the problem of an account in the path that does not exist.
    pub fn no_account(id: &AccountId) -> Self {
        let detail = format!("the economy has no account `{id}`; open it with PUT");
        Self::new(Code::AccountNotFound, detail)
    }

    /// Creates the problem of an asset in the path that does not exist.
    pub fn no_asset(id: &AssetId) -> Self {
        let detail = format!("the economy has no asset `{id}`; create it with PUT");
        Self::new(Code::AssetNotFound, detail)
    }

    /// Creates the problem of an internal error. Nothing is known to have happened.
    pub fn internal(detail: impl Into<String>) -> Self {
        Self::new(Code::Internal, detail)
    }

    /// Creates the problem of a rejection by the ledger.
    pub fn rejected(rejection: &Rejection) -> Self {
        // A rejection in a batch is reported by its own reason, with the index of its transfer.
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

    /// Returns the status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the stable code.
    pub fn code(&self) -> &str {
        self.code
    }

    /// Returns the body.
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

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        Self::from(&error)
    }
}

impl From<&ServiceError> for Problem {
    fn from(error: &ServiceError) -> Self {
        let detail = error.to_string();
        match error {
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
            // A component is named by a body only, never by a path.
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
            ServiceError::Writer(SubmitError::Bug) | ServiceError::Bug(_) => Self::internal(detail),
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

/// The media type of a problem (RFC 9457, section 3).
pub(super) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static(PROBLEM);

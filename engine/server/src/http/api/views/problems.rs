//! The body of a problem.

use std::borrow::Cow;

use bursar_ledger::Retry;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::http::api::codes;
use crate::http::api::schemas;

/// The media type of a problem (RFC 9457, section 3).
pub(crate) const PROBLEM: &str = "application/problem+json";

/// An error response (RFC 9457).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(crate) struct ProblemBody<'a> {
    /// `urn:bursar:problem:` and the code.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The name of the status.
    pub(crate) title: &'a str,
    /// The status.
    #[schemars(range(min = 400, max = 599))]
    pub(crate) status: u16,
    #[schemars(with = "ProblemCode")]
    pub(crate) code: &'a str,
    /// A sentence for people: what happened, and what to do about it.
    pub(crate) detail: &'a str,
    #[schemars(with = "schemas::Retry")]
    pub(crate) retry: Retry,
    #[serde(flatten)]
    #[schemars(with = "schemas::ProblemMembers")]
    pub(crate) members: &'a Map<String, Value>,
}

/// The schema of a code. It allows unknown codes, because later versions may add some.
struct ProblemCode;

impl JsonSchema for ProblemCode {
    fn schema_name() -> Cow<'static, str> {
        "ProblemCode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let about = format!(
            "The code of the problem, for programs. Later versions may add codes.\n\n{}",
            codes::table()
        );
        json_schema!({
            "description": about, "type": "string", "pattern": "^[a-z_]+$",
            "x-codes": codes::listed(),
        })
    }
}

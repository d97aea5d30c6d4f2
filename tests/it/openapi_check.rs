//! Checks responses of the tests against the API's description: status, code and schema.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};

use bursar_server::client::Response;
use jsonschema::Validator;
use serde_json::Value;

static DOCUMENT: LazyLock<Value> = LazyLock::new(bursar_server::http::openapi);

/// Compiled response schemas by their place in the document.
static VALIDATORS: Mutex<BTreeMap<String, Arc<Validator>>> = Mutex::new(BTreeMap::new());

/// Compiles a schema of the document.
pub(crate) fn validator(document: &Value, schema: &Value) -> Validator {
    let mut schema = schema.clone();
    schema["components"] = document["components"].clone();
    jsonschema::draft202012::new(&schema).unwrap()
}

/// Returns the path template of the document for a request path.
fn template(path: &str) -> Option<&'static String> {
    let (path, _) = path.split_once('?').unwrap_or((path, ""));
    let requested: Vec<&str> = path.split('/').collect();
    let fits = |template: &&String| {
        let parts: Vec<&str> = template.split('/').collect();
        let pairs = parts.iter().zip(&requested);
        parts.len() == requested.len()
            && pairs.fold(true, |fits, (part, segment)| {
                fits && (part == segment || part.starts_with('{'))
            })
    };
    // A literal segment takes precedence over a parameter: `batch` is no transfer id.
    let paths = DOCUMENT["paths"].as_object().unwrap().keys();
    paths
        .filter(fits)
        .min_by_key(|template| template.matches('{').count())
}

/// Asserts that a problem's `retry` member equals the table of codes.
fn check_retry(response: &Response) {
    let code = response.code();
    let status = response.status.as_u16();
    let body = response.json();
    if code.is_empty() {
        return;
    }
    let rows = DOCUMENT["components"]["schemas"]["ProblemCode"]["x-codes"].as_array();
    let mut rows = rows.unwrap().iter();
    let row = rows.find(|row| row["code"] == code && row["status"] == status);
    let row = row.unwrap_or_else(|| panic!("{code} {status} is not in the table: {body}"));
    assert_eq!(body["retry"], row["retry"], "{code} {status}");
}

/// Asserts that a response is one that the description allows.
pub(crate) fn check(method: &str, path: &str, response: &Response) {
    let cache_control = response.cache_control.as_deref();
    assert_eq!(
        cache_control,
        Some("no-store"),
        "{method} {path} may be cached"
    );
    check_retry(response);
    let Some(template) = template(path) else {
        assert_eq!(
            response.code(),
            "route_not_found",
            "{method} {path} is not described"
        );
        return;
    };
    let operation = &DOCUMENT["paths"][template][method.to_lowercase()];
    let status = response.status.as_str();
    let body = response.json();
    if response.status == 405 {
        assert!(operation.is_null(), "{method} {path}");
        return;
    }
    let described = &operation["responses"][status];
    let place = format!("{method} {template} {status}");
    assert!(described.is_object(), "{place} is not described: {body}");
    let is_problem = response.status.is_client_error() || response.status.is_server_error();
    if is_problem {
        let codes = described["x-codes"].as_array().unwrap();
        let code = response.code();
        assert!(
            codes.iter().any(|one| *one == code),
            "{place} has no code `{code}`"
        );
    }
    let media = if is_problem {
        "application/problem+json"
    } else {
        "application/json"
    };
    let content = &described["content"];
    if !is_problem && content["application/x-ndjson"].is_object() {
        // The lines are checked where they are imported.
        assert!(response.body.ends_with(b"}\n"), "{place}: {body}");
        return;
    }
    let schema = &content[media]["schema"];
    assert!(schema.is_object(), "{place} has no {media}");
    let validator = Arc::clone(
        VALIDATORS
            .lock()
            .unwrap()
            .entry(place.clone())
            .or_insert_with(|| Arc::new(validator(&DOCUMENT, schema))),
    );
    if let Err(error) = validator.validate(&body) {
        panic!(
            "{place} is not as described: {error} at {}: {body}",
            error.instance_path()
        );
    }
}

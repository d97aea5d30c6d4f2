//! Holds answers of the stories against the API's description: status, code and shape.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};

use bursar_server::client::Response;
use jsonschema::Validator;
use serde_json::Value;

static DOCUMENT: LazyLock<Value> = LazyLock::new(bursar_server::http::openapi);

/// Schemas of answers that were needed before, by their place in the document.
static VALIDATORS: Mutex<BTreeMap<String, Arc<Validator>>> = Mutex::new(BTreeMap::new());

/// A schema of the document, ready to check with.
pub(crate) fn validator(document: &Value, schema: &Value) -> Validator {
    let mut schema = schema.clone();
    schema["components"] = document["components"].clone();
    jsonschema::draft202012::new(&schema).unwrap()
}

/// The path of the document that a request has asked for.
fn template(path: &str) -> Option<&'static String> {
    let (path, _) = path.split_once('?').unwrap_or((path, ""));
    let asked: Vec<&str> = path.split('/').collect();
    let fits = |template: &&String| {
        let parts: Vec<&str> = template.split('/').collect();
        let pairs = parts.iter().zip(&asked);
        parts.len() == asked.len()
            && pairs.fold(true, |fits, (part, asked)| {
                fits && (part == asked || part.starts_with('{'))
            })
    };
    // A word of its own comes before a name: `batch` is no id of a transfer.
    let paths = DOCUMENT["paths"].as_object().unwrap().keys();
    paths
        .filter(fits)
        .min_by_key(|template| template.matches('{').count())
}

/// Insists that a problem says of asking again what the table of codes says.
fn check_retry(answer: &Response) {
    let (code, status, body) = (answer.code(), answer.status.as_u16(), answer.json());
    if code.is_empty() {
        return;
    }
    let rows = DOCUMENT["components"]["schemas"]["ProblemCode"]["x-codes"].as_array();
    let mut rows = rows.unwrap().iter();
    let row = rows.find(|row| row["code"] == code && row["status"] == status);
    let row = row.unwrap_or_else(|| panic!("{code} {status} is not in the table: {body}"));
    assert_eq!(body["retry"], row["retry"], "{code} {status}");
}

/// Insists that an answer is one of those that the description has.
pub(crate) fn check(method: &str, path: &str, answer: &Response) {
    let kept = answer.cache_control.as_deref();
    assert_eq!(
        kept,
        Some("no-store"),
        "{method} {path} may be kept by a cache"
    );
    check_retry(answer);
    let Some(template) = template(path) else {
        assert_eq!(
            answer.code(),
            "route_not_found",
            "{method} {path} is not described"
        );
        return;
    };
    let operation = &DOCUMENT["paths"][template][method.to_lowercase()];
    let (status, body) = (answer.status.as_str(), answer.json());
    if answer.status == 405 {
        assert!(operation.is_null(), "{method} {path}");
        return;
    }
    let described = &operation["responses"][status];
    let place = format!("{method} {template} {status}");
    assert!(described.is_object(), "{place} is not described: {body}");
    let is_problem = answer.status.is_client_error() || answer.status.is_server_error();
    if is_problem {
        let codes = described["x-codes"].as_array().unwrap();
        let code = answer.code();
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
        // Its lines are read where they are imported.
        assert!(answer.body.ends_with(b"}\n"), "{place}: {body}");
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

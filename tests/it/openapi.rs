//! The API's description matches the API, and its page needs no other resources.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

use crate::openapi_check::validator;
use crate::server_process::binary;
use crate::support::TestServer;
use crate::workspace;

fn document() -> Value {
    bursar_server::http::openapi()
}

/// Returns every operation as method, path and operation.
pub(crate) fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, operation)| {
            (method.to_uppercase(), path.clone(), operation.clone())
        })
    });
    operations.collect()
}

/// Returns the path with its example parameters.
pub(crate) fn with_example_parameters(path: &str, operation: &Value) -> String {
    let parameters = operation["parameters"].as_array().unwrap();
    parameters.iter().fold(path.to_owned(), |path, parameter| {
        let name = parameter["name"].as_str().unwrap();
        let example = parameter["example"].as_str().unwrap_or_default();
        path.replace(&format!("{{{name}}}"), example)
    })
}

#[test]
fn the_golden_file_matches_the_generated_description() {
    let golden = workspace::root().join("engine/server/openapi.json");
    let stored = std::fs::read_to_string(&golden).unwrap_or_default();
    let generated = serde_json::to_string_pretty(&document()).unwrap() + "\n";
    assert!(
        stored == generated,
        "the API's description has changed: run `make openapi` (that is, `bursar openapi > \
         engine/server/openapi.json`) and review the difference"
    );
}

#[test]
fn the_command_prints_the_same_document() {
    let printed = Command::new(binary()).arg("openapi").output().unwrap();
    assert!(printed.status.success());
    let printed: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(printed, document());
}

/// A route and its description are made by one call. No description is missing as long as no other code adds
/// routes, except the one for the hidden echo route of `bursar bench`.
#[test]
fn no_route_exists_without_its_description() {
    let mut makers = Vec::new();
    for source in workspace::read("engine/server/src", |_| true) {
        for maker in [
            ".route(",
            ".route_service(",
            ".nest(",
            ".nest_service(",
            ".merge(",
        ] {
            if source.text.contains(maker) {
                let (_, name) = source.path.rsplit_once('/').unwrap();
                makers.push((name.to_owned(), maker));
            }
        }
    }
    let expected = ["route.rs", "api_router.rs"].map(|name| (name.to_owned(), ".route("));
    assert_eq!(makers, expected);
    let sources = workspace::read("engine/server/src", |_| true);
    let adds = sources
        .iter()
        .filter(|source| source.text.contains(".with_route("));
    let adds: Vec<&str> = adds.map(|source| source.path.as_str()).collect();
    assert_eq!(adds, ["engine/server/src/serve/echo.rs"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_described_operation_is_served_and_no_other_method() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let document = document();
    let operations = operations(&document);
    assert!(operations.len() >= 50, "{}", operations.len());
    for (method, path, operation) in &operations {
        let path = with_example_parameters(path, operation);
        let body = json!({}).to_string();
        let response = guild.client.send(method, &path, None, body.into()).await;
        let response = response.unwrap();
        let cache_control = response.cache_control.as_deref();
        assert_eq!(cache_control, Some("no-store"), "{method} {path}");
        let unknown = ["route_not_found", "method_not_allowed"];
        assert!(
            !unknown.contains(&response.code().as_str()),
            "{method} {path}"
        );
        let status = response.status.as_str();
        let described = &operation["responses"][status];
        assert!(described.is_object(), "{method} {path} answers {status}");
    }
    for (_, path, operation) in &operations {
        for method in ["GET", "PUT", "POST", "DELETE", "PATCH"] {
            if document["paths"][path][method.to_lowercase()].is_object() {
                continue;
            }
            let filled = with_example_parameters(path, operation);
            let response = guild.client.send(method, &filled, None, "{}".into()).await;
            let response = response.unwrap();
            assert_eq!(response.status, 405, "{method} {filled}");
            assert_eq!(response.cache_control.as_deref(), Some("no-store"));
        }
    }
    server.close().await;
}

#[test]
fn every_operation_has_a_unique_id_and_a_summary() {
    let document = document();
    let mut names = Vec::new();
    for (method, path, operation) in operations(&document) {
        let place = format!("{method} {path}");
        let name = operation["operationId"].as_str().unwrap().to_owned();
        let is_valid = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        assert!(is_valid && !name.is_empty(), "{place}: {name}");
        assert!(!names.contains(&name), "{name} occurs twice");
        names.push(name);
        assert!(
            !operation["summary"].as_str().unwrap().is_empty(),
            "{place}"
        );
        let responses = operation["responses"].as_object().unwrap();
        assert!(
            responses.keys().any(|status| status.starts_with('2')),
            "{place}"
        );
    }
}

#[test]
fn every_operation_with_a_key_describes_its_rate_limit() {
    for (method, path, operation) in operations(&document()) {
        let keyed = operation["security"] != json!([]);
        let limited = &operation["responses"]["429"];
        assert_eq!(limited.is_object(), keyed, "{method} {path}");
        for header in ["Retry-After", "RateLimit", "RateLimit-Policy"] {
            assert_eq!(
                limited["headers"][header].is_object(),
                keyed,
                "{method} {path}"
            );
        }
    }
}

#[test]
fn every_example_matches_its_schema() {
    let document = document();
    let mut checked = 0;
    for (method, path, operation) in operations(&document) {
        let body = &operation["requestBody"]["content"]["application/json"];
        let requests = body["examples"].as_object().into_iter().flatten();
        let mut examples: Vec<(Value, Value)> = requests
            .map(|(_, example)| (body["schema"].clone(), example["value"].clone()))
            .collect();
        for response in operation["responses"].as_object().unwrap().values() {
            let content = &response["content"]["application/json"];
            if let Some(example) = content.get("example") {
                examples.push((content["schema"].clone(), example.clone()));
            }
        }
        for parameter in operation["parameters"].as_array().unwrap() {
            if let Some(example) = parameter.get("example") {
                examples.push((parameter["schema"].clone(), example.clone()));
            }
        }
        for (schema, example) in examples {
            let found = validator(&document, &schema).validate(&example).err();
            assert!(found.is_none(), "{method} {path}: {example}: {found:?}");
            checked += 1;
        }
    }
    assert!(checked > 50, "{checked}");
}

#[test]
fn every_code_is_in_the_table_and_used_by_an_operation() {
    let document = document();
    let known = &document["components"]["schemas"]["ProblemCode"]["x-codes"];
    let place = |row: &Value| format!("{} {}", row["code"].as_str().unwrap(), row["status"]);
    let known: BTreeSet<String> = known.as_array().unwrap().iter().map(place).collect();
    // Operations do not describe these two.
    let mut met: BTreeSet<String> = ["route_not_found 404", "method_not_allowed 405"]
        .map(Into::into)
        .into();
    for (method, path, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            for code in response["x-codes"].as_array().into_iter().flatten() {
                let code = format!("{} {status}", code.as_str().unwrap());
                assert!(
                    known.contains(&code),
                    "{method} {path}: `{code}` is not in codes.rs"
                );
                met.insert(code);
            }
        }
    }
    assert_eq!(met, known, "the codes of operations and of the table");
}

#[test]
fn names_and_amounts_are_bounded_as_in_the_ledger() {
    use bursar_ledger::{AccountId, AssetId, EconomyId};
    let document = document();
    let accepts = |name: &str, value: Value| {
        let schema = document["components"]["schemas"][name].clone();
        validator(&document, &schema).is_valid(&value)
    };
    let segment = "a".repeat(64);
    let longest = format!("{segment}:{}", "b".repeat(63));
    let names = [
        "",
        "a",
        "A",
        "a b",
        "a:",
        ":a",
        "a::b",
        "-a",
        "a.b_c-d",
        "a:b:c:d",
        "a:b:c:d:e",
        "issuer",
        "plugin",
        "issuer:",
        "issuer:coin",
        "issuer:a:b:c:d",
        "issuer:a:b:c:d:e",
        "plugin:shop",
        "issuers",
        "a\n",
        &segment,
        &format!("{segment}a"),
        &longest,
        &format!("{longest}b"),
        &format!("issuer:{longest}"),
        &format!("issuer:{longest}b"),
    ];
    for name in names {
        let right = name.parse::<AccountId>().is_ok();
        assert_eq!(
            accepts("AccountName", name.into()),
            right,
            "account {name:?}"
        );
        let right = name.parse::<AssetId>().is_ok();
        assert_eq!(accepts("AssetName", name.into()), right, "asset {name:?}");
        let right = name.parse::<EconomyId>().is_ok();
        assert_eq!(
            accepts("EconomyName", name.into()),
            right,
            "economy {name:?}"
        );
    }
    let most = bursar_ledger::AMOUNT_MAX;
    for (units, right) in [(0, false), (1, true), (most, true), (most + 1, false)] {
        assert_eq!(accepts("Amount", units.into()), right, "{units}");
        assert_eq!(
            serde_json::from_value::<bursar_ledger::Amount>(units.into()).is_ok(),
            right
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn document_and_page_need_no_key_and_the_page_needs_no_network() {
    let server = TestServer::new().await;
    let mut anonymous = server.client("");
    let description = anonymous.get("/openapi.json").await.unwrap();
    assert_eq!(
        (description.status.as_u16(), description.json()),
        (200, document())
    );
    let page = anonymous.get("/docs").await.unwrap();
    assert_eq!(page.status, 200);
    let page = String::from_utf8(page.body.to_vec()).unwrap();
    for (_, _, operation) in operations(&document()) {
        let id = operation["operationId"].as_str().unwrap();
        assert!(page.contains(&format!("<article id=\"{id}\">")), "{id}");
    }
    for foreign in [
        "<script", "<link", "<img", "@import", "url(", "style=", "onload=", "src=",
    ] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert!(page.len() < 400_000, "{} bytes", page.len());
    server.close().await;
}

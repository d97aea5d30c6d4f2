//! The API's description: that it is of this API, and that its page needs nothing else.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::described::validator;
use crate::support::{House, binary};

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap().to_owned()
}

fn document() -> Value {
    bursar_server::http::openapi()
}

/// Every operation, as (method, path, operation).
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

/// The path with the examples of its names in it.
pub(crate) fn filled(path: &str, operation: &Value) -> String {
    let parameters = operation["parameters"].as_array().unwrap();
    parameters.iter().fold(path.to_owned(), |path, parameter| {
        let name = parameter["name"].as_str().unwrap();
        let example = parameter["example"].as_str().unwrap_or_default();
        path.replace(&format!("{{{name}}}"), example)
    })
}

#[test]
fn the_golden_file_is_what_the_code_says() {
    let golden = root().join("engine/server/openapi.json");
    let kept = std::fs::read_to_string(&golden).unwrap_or_default();
    let made = serde_json::to_string_pretty(&document()).unwrap() + "\n";
    assert!(
        kept == made,
        "the API's description has changed: keep it with `make openapi` (that is, `bursar openapi > \
         engine/server/openapi.json`), and look at the difference"
    );
}

#[test]
fn the_command_prints_the_same_document() {
    let printed = Command::new(binary()).arg("openapi").output().unwrap();
    assert!(printed.status.success());
    let printed: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(printed, document());
}

/// Routes and their descriptions are one statement, so none is missing as long as there is no other
/// way to make a route.
#[test]
fn no_route_is_made_without_its_description() {
    let http = root().join("engine/server/src");
    let mut files = vec![http];
    let mut makers = Vec::new();
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(
                std::fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap_or_default();
        for maker in [
            ".route(",
            ".route_service(",
            ".nest(",
            ".nest_service(",
            ".merge(",
        ] {
            if source.contains(maker) {
                makers.push((path.file_name().unwrap().to_owned(), maker));
            }
        }
    }
    assert_eq!(makers, [("route.rs".into(), ".route(")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_of_the_document_is_served_and_no_other_method() {
    let (house, mut guild) = House::with_guild(1).await;
    let document = document();
    let operations = operations(&document);
    assert!(operations.len() >= 50, "{}", operations.len());
    for (method, path, operation) in &operations {
        let path = filled(path, operation);
        let body = json!({}).to_string();
        let answer = guild.client.send(method, &path, None, body.into()).await;
        let answer = answer.unwrap();
        let kept = answer.cache_control.as_deref();
        assert_eq!(kept, Some("no-store"), "{method} {path}");
        let unknown = ["route_not_found", "method_not_allowed"];
        assert!(
            !unknown.contains(&answer.code().as_str()),
            "{method} {path}"
        );
        let status = answer.status.as_str();
        let described = &operation["responses"][status];
        assert!(described.is_object(), "{method} {path} answers {status}");
    }
    for (_, path, operation) in &operations {
        for method in ["GET", "PUT", "POST", "DELETE", "PATCH"] {
            if document["paths"][path][method.to_lowercase()].is_object() {
                continue;
            }
            let filled = filled(path, operation);
            let answer = guild.client.send(method, &filled, None, "{}".into()).await;
            let answer = answer.unwrap();
            assert_eq!(answer.status, 405, "{method} {filled}");
            assert_eq!(answer.cache_control.as_deref(), Some("no-store"));
        }
    }
    house.close().await;
}

#[test]
fn every_operation_has_a_name_of_its_own_and_something_to_say() {
    let document = document();
    let mut names = Vec::new();
    for (method, path, operation) in operations(&document) {
        let place = format!("{method} {path}");
        let name = operation["operationId"].as_str().unwrap().to_owned();
        let speaks = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        assert!(speaks && !name.is_empty(), "{place}: {name}");
        assert!(!names.contains(&name), "{name} is there twice");
        names.push(name);
        assert!(
            !operation["summary"].as_str().unwrap().is_empty(),
            "{place}"
        );
        let answers = operation["responses"].as_object().unwrap();
        assert!(
            answers.keys().any(|status| status.starts_with('2')),
            "{place}"
        );
    }
}

#[test]
fn whoever_asks_with_a_key_is_told_of_its_limits() {
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
fn every_example_is_what_its_schema_says() {
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
fn every_code_is_in_the_table_and_every_code_of_the_table_can_be_met() {
    let document = document();
    let known = &document["components"]["schemas"]["ProblemCode"]["x-codes"];
    let place = |row: &Value| format!("{} {}", row["code"].as_str().unwrap(), row["status"]);
    let known: BTreeSet<String> = known.as_array().unwrap().iter().map(place).collect();
    // No operation answers what is not described.
    let mut met: BTreeSet<String> = ["route_not_found 404", "method_not_allowed 405"]
        .map(Into::into)
        .into();
    for (method, path, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            for code in response["x-codes"].as_array().into_iter().flatten() {
                let said = format!("{} {status}", code.as_str().unwrap());
                assert!(
                    known.contains(&said),
                    "{method} {path}: `{said}` is not in codes.rs"
                );
                met.insert(said);
            }
        }
    }
    assert_eq!(met, known, "what routes answer, and what is in the table");
}

#[test]
fn names_and_amounts_in_the_document_end_where_they_end_in_the_ledger() {
    use bursar_ledger::{AccountId, AssetId, EconomyId};
    let document = document();
    let says = |name: &str, value: Value| {
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
        assert_eq!(says("AccountName", name.into()), right, "account {name:?}");
        let right = name.parse::<AssetId>().is_ok();
        assert_eq!(says("AssetName", name.into()), right, "asset {name:?}");
        let right = name.parse::<EconomyId>().is_ok();
        assert_eq!(says("EconomyName", name.into()), right, "economy {name:?}");
    }
    let most = bursar_ledger::AMOUNT_MAX;
    for (units, right) in [(0, false), (1, true), (most, true), (most + 1, false)] {
        assert_eq!(says("Amount", units.into()), right, "{units}");
        assert_eq!(
            serde_json::from_value::<bursar_ledger::Amount>(units.into()).is_ok(),
            right
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn document_and_page_need_no_key_and_the_page_needs_no_network() {
    let house = House::new().await;
    let mut stranger = house.client("");
    let served = stranger.get("/openapi.json").await.unwrap();
    assert_eq!((served.status.as_u16(), served.json()), (200, document()));
    let page = stranger.get("/docs").await.unwrap();
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
    house.close().await;
}

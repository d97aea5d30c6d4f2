//! The JSON of all request bodies: ambiguous JSON is refused, no body causes a server error, and under an
//! idempotency key equal bodies replay and different ones are refused.
//!
//! The routes come from the API's description, so new ones are tested as well.

use serde_json::{Value, json};

use crate::json_bodies::{
    BodyRoute, RandomJson, client, pointers, routes, server_with_examples, with_duplicate_member,
    write,
};
use crate::long_runs;
use crate::support::{GUILD, posting};

/// Returns the number of rounds of each route: 48, or `PROPTEST_CASES`.
#[allow(
    clippy::disallowed_methods,
    reason = "tests have no configuration of their own"
)]
fn rounds() -> usize {
    let cases = std::env::var("PROPTEST_CASES").ok();
    cases.and_then(|cases| cases.parse().ok()).unwrap_or(48)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_member_is_refused_in_every_body_at_every_depth() {
    for seed in long_runs::seeds() {
        check_members_twice(RandomJson::new(seed)).await;
    }
}

async fn check_members_twice(mut random: RandomJson) {
    let server = server_with_examples().await;
    for route in routes() {
        let mut client = client(&server, &route);
        for round in 0..rounds() {
            let mut body = random.pick(&route.examples).clone();
            for name in route.documents() {
                body[name] = json!({ "deep": [random.value(2), { "deeper": random.value(2) }] });
            }
            let text = with_duplicate_member(&mut random, &body);
            let refused = route
                .send(&mut client, &format!("twice {round}"), &text)
                .await;
            let place = format!("{} {}: {text}", route.method, route.path);
            assert_eq!(
                (refused.status.as_u16(), refused.code()),
                (400, "malformed".into()),
                "{place}"
            );
            let detail = refused.json()["detail"].to_string();
            assert!(detail.contains("duplicate field"), "{place}: {detail}");
        }
    }
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_body_causes_a_server_error() {
    for seed in long_runs::seeds() {
        check_broken_bodies(RandomJson::new(seed)).await;
    }
}

async fn check_broken_bodies(mut random: RandomJson) {
    let server = server_with_examples().await;
    for route in routes().iter().filter(|route| !route.is_for_owner) {
        let mut client = client(&server, route);
        for round in 0..rounds() {
            let mut body = random.pick(&route.examples).clone();
            let all = pointers(&body, &|_| true);
            for _ in 0..random.below(3) {
                let place = random.pick(&all).clone();
                if let Some(value) = body.pointer_mut(&place) {
                    *value = random.value(3);
                }
            }
            let mut text = write(&mut random, &body, false);
            if random.below(4) == 0 {
                // Sometimes the text is no JSON at all.
                let cut = random.below(text.len() + 1);
                text = String::from_utf8_lossy(&text.as_bytes()[..cut]).into_owned();
                let end: &&str = random.pick(&["", "}", "]", "\"", ",", "1e", "\u{0}", "nul"]);
                text.push_str(end);
            }
            let response = route
                .send(&mut client, &format!("{} {round}", route.path), &text)
                .await;
            let place = format!("{} {}: {text}", route.method, route.path);
            assert!(
                !response.status.is_server_error() || response.status == 502,
                "{place}: {}",
                response.json()
            );
        }
    }
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_json_readers_would_change_are_refused_in_free_documents() {
    let server = server_with_examples().await;
    let mut tried = 0;
    for route in routes() {
        let mut client = client(&server, &route);
        for name in route.documents() {
            for (number, is_kept) in [
                ("9007199254740991", true),
                ("-9007199254740991", true),
                ("0.1", true),
                ("1.0", true),
                ("9007199254740992", false),
                ("-9007199254740993", false),
                ("18446744073709551616", false),
                ("1e16", false),
                ("1e400", false),
                ("0.1e-400", false),
                ("0.10000000000000001", false),
            ] {
                let mut body = route.examples[0].clone();
                body[name] = json!({ "n": [0, "NUMBER"] });
                let text = body.to_string().replace("\"NUMBER\"", number);
                let response = route.send(&mut client, number, &text).await;
                let pointer = format!("/{name}/n/1");
                let is_named = response.status == 400 && response.json()["pointer"] == *pointer;
                assert_eq!(
                    is_named,
                    !is_kept,
                    "{} {text}: {}",
                    route.path,
                    response.json()
                );
                tried += 1;
            }
        }
    }
    assert!(tried > 50, "{tried}");
    // Errors about amounts name the allowed range.
    let mut client = server.admin();
    let path = format!("{GUILD}/transfers");
    for amount in [
        "1.0",
        "1e0",
        "9007199254740992",
        "18446744073709551616",
        "0",
    ] {
        let body = posting("user:1", "user:2", 7)
            .to_string()
            .replace('7', amount);
        let refused = client
            .send("POST", &path, Some("k"), body.into())
            .await
            .unwrap();
        assert_eq!(refused.json()["pointer"], "/postings/0/amount", "{amount}");
        let detail = refused.json()["detail"].to_string();
        assert!(
            detail.contains("a whole number from 1 to 9007199254740991"),
            "{detail}"
        );
    }
    server.close().await;
}

/// Returns an example body with a memo and metadata if the route has them.
fn body_with_texts(random: &mut RandomJson, route: &BodyRoute) -> Value {
    let mut body = random.pick(&route.examples).clone();
    if route.properties.contains_key("memo") {
        body["memo"] = json!("a memo");
    }
    if route.properties.contains_key("metadata") {
        let own = json!({ "n": 12, "list": [1, 2, null], "text": "ä\"\\/", "inner": { "x": null, "y": -3 } });
        body["metadata"] = own;
    }
    body
}

/// Returns a body with another meaning, if the route has one.
fn altered(random: &mut RandomJson, route: &BodyRoute, body: &Value) -> Option<Value> {
    let mut changes: Vec<(String, Value)> = Vec::new();
    if route.properties.contains_key("memo") {
        changes.push(("/memo".into(), json!("another memo")));
        changes.push(("/memo".into(), Value::Null));
    }
    if route.properties.contains_key("metadata") {
        changes.push(("/metadata/list".into(), json!([2, 1, null])));
        changes.push(("/metadata/list".into(), json!([1, 2])));
        changes.push(("/metadata/n".into(), json!("12")));
        changes.push(("/metadata/n".into(), json!(12.5)));
        changes.push(("/metadata/inner".into(), json!({ "y": -3 })));
        changes.push(("/metadata/text".into(), json!("ä\"\\/ ")));
    }
    if body.pointer("/arguments/quantity").is_some() {
        changes.push(("/arguments/quantity".into(), json!(3)));
        changes.push(("/caller".into(), json!("user:2")));
    }
    if changes.is_empty() {
        return None;
    }
    let (place, value) = random.pick(&changes).clone();
    let mut other = body.clone();
    *other.pointer_mut(&place)? = value;
    Some(other)
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_bodies_replay_and_different_bodies_never_do() {
    for seed in long_runs::seeds() {
        check_meanings(RandomJson::new(seed)).await;
    }
}

async fn check_meanings(mut random: RandomJson) {
    let server = server_with_examples().await;
    let mut same = 0;
    let mut other = 0;
    for route in routes().iter().filter(|route| route.is_keyed) {
        let mut client = client(&server, route);
        for round in 0..rounds() {
            let key = format!("{} meaning {round}", route.path);
            let body = body_with_texts(&mut random, route);
            if body["mode"] == "independent" {
                // Its transfers have their own keys.
                continue;
            }
            let first = write(&mut random, &body, false);
            let first = route.send(&mut client, &key, &first).await;
            // Responses that are not stored under the key are decided again each time.
            if matches!(first.status.as_u16(), 400..=408 | 503) {
                continue;
            }
            for _ in 0..2 {
                let mut again = body.clone();
                for name in route.properties.keys() {
                    let is_absent =
                        again.get(name).is_none() && !route.required.contains(&json!(name));
                    if is_absent && name != "idempotency_key" && random.flip() {
                        again[name] = Value::Null;
                    }
                }
                let text = write(&mut random, &again, false);
                let again = route.send(&mut client, &key, &text).await;
                assert_eq!(
                    (again.status, &again.body),
                    (first.status, &first.body),
                    "{text}"
                );
                assert!(again.replayed, "{} {text}", route.path);
                same += 1;
            }
            if let Some(body) = altered(&mut random, route, &body) {
                let text = write(&mut random, &body, false);
                let refused = route.send(&mut client, &key, &text).await;
                assert_eq!(
                    refused.code(),
                    "idempotency_key_reused",
                    "{} {text}",
                    route.path
                );
                other += 1;
            }
        }
    }
    assert!(same > 200 && other > 100, "{same} {other}");
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_replays_in_a_batch_as_it_does_alone() {
    let server = server_with_examples().await;
    let mut client = server.admin();
    let mut alone = posting("user:1", "user:2", 1);
    alone["metadata"] = json!({ "n": 1 });
    let single = client
        .post(&format!("{GUILD}/transfers"), "k", &alone)
        .await
        .unwrap();
    assert_eq!(single.status, 201);
    let mut item = alone.clone();
    item["idempotency_key"] = json!("k");
    item["memo"] = Value::Null;
    let text = json!({ "mode": "independent", "transfers": [item] }).to_string();
    let text = text.replace(r#"{"n":1}"#, r#"{"n":1.0}"#);
    let path = format!("{GUILD}/transfers/batch");
    let batch = client
        .send("POST", &path, None, text.into())
        .await
        .unwrap()
        .json();
    assert_eq!(batch["results"][0]["replayed"], true, "{batch}");
    assert_eq!(batch["results"][0]["body"], single.json());
    server.close().await;
}

//! The JSON of every body, whatever it is: what is not clear is refused, nothing breaks, and under an
//! idempotency key the same meaning is the same request and another meaning is another.
//!
//! The routes are those of the API's description, so that a new one is tried as well.

use std::fmt::Write as _;

use bursar_server::client::{Client, Response};
use proptest::prelude::{Strategy, any};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

use crate::described;
use crate::long;
use crate::openapi::{filled, operations};
use crate::support::{GUILD, House, posting};

/// Rounds of each route; a few more with `PROPTEST_CASES`.
#[allow(
    clippy::disallowed_methods,
    reason = "tests have no configuration of their own"
)]
fn rounds() -> usize {
    let cases = std::env::var("PROPTEST_CASES").ok();
    cases.and_then(|cases| cases.parse().ok()).unwrap_or(48)
}

/// The same chances in each run with the same seed.
struct Dice(TestRunner);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(long::runner(seed, 0))
    }

    fn of<T>(&mut self, strategy: impl Strategy<Value = T>) -> T {
        strategy.new_tree(&mut self.0).unwrap().current()
    }

    fn below(&mut self, count: usize) -> usize {
        self.of(0..count)
    }

    fn flip(&mut self) -> bool {
        self.of(any::<bool>())
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// Any value, not deep.
    fn value(&mut self, levels: usize) -> Value {
        match self.below(if levels == 0 { 6 } else { 8 }) {
            0 => Value::Null,
            1 => json!(self.flip()),
            2 => json!(self.of(any::<i32>())),
            3 => json!(self.of(any::<f64>().prop_filter("JSON has no others", |n| n.is_finite()))),
            4 => json!(self.of("[a-z:0-9]{0,12}")),
            5 => json!(self.of(any::<String>())),
            6 => (0..self.below(3)).map(|_| self.value(levels - 1)).collect(),
            _ => {
                let members =
                    (0..self.below(3)).map(|_| (self.of("[a-z_]{0,8}"), self.value(levels - 1)));
                Value::Object(members.collect::<Map<_, _>>())
            }
        }
    }
}

/// A route that takes a body of JSON.
struct Taker {
    method: String,
    path: String,
    examples: Vec<Value>,
    properties: Map<String, Value>,
    required: Vec<Value>,
    is_keyed: bool,
    /// Whether it asks for the token of whoever runs the server.
    is_for_owner: bool,
}

fn takers() -> Vec<Taker> {
    let document = bursar_server::http::openapi();
    let resolved = |schema: &Value| match schema["$ref"].as_str() {
        Some(place) => document
            .pointer(place.trim_start_matches('#'))
            .unwrap()
            .clone(),
        None => schema.clone(),
    };
    let taker = |(method, path, operation): (String, String, Value)| {
        let body = operation["requestBody"]["content"]["application/json"].as_object()?;
        let examples = body["examples"].as_object().unwrap().values();
        let schema = resolved(&body["schema"]);
        let parameters = operation["parameters"].as_array().unwrap();
        Some(Taker {
            path: filled(&path, &operation),
            examples: examples.map(|example| example["value"].clone()).collect(),
            properties: schema["properties"]
                .as_object()
                .cloned()
                .unwrap_or_default(),
            required: schema["required"].as_array().cloned().unwrap_or_default(),
            is_keyed: parameters
                .iter()
                .any(|parameter| parameter["name"] == "Idempotency-Key"),
            is_for_owner: operation["description"]
                .as_str()
                .is_some_and(|about| about.contains("the token of whoever runs the server")),
            method,
        })
    };
    let takers: Vec<Taker> = operations(&document)
        .into_iter()
        .filter_map(taker)
        .collect();
    assert!(takers.len() >= 20, "{}", takers.len());
    takers
}

/// A guild with everything that the paths of the description name.
async fn furnished() -> House {
    let (house, mut guild) = House::with_guild(3).await;
    let item = json!({"item": "item:potion", "price": {"coin": 50}});
    guild
        .made(
            &format!("{GUILD}/assets/item:potion"),
            json!({"kind": "item", "name": "Potion"}),
        )
        .await;
    guild
        .made(
            &format!("{GUILD}/assets/item:arrow"),
            json!({"kind": "item", "name": "Arrow"}),
        )
        .await;
    guild
        .install("shop", "bundled:shop", json!({"items": [item]}))
        .await;
    let hook = json!({"url": "https://receiver.invalid/"});
    guild.made(&format!("{GUILD}/webhooks/ledger"), hook).await;
    house
}

/// A connection with what the route asks for: a key, or the token of whoever runs the server.
fn client(house: &House, taker: &Taker) -> Client {
    if !taker.is_for_owner {
        return house.admin();
    }
    let note = std::fs::read(house.file().with_extension("db.lock")).unwrap();
    let note: Value = serde_json::from_slice(&note).unwrap();
    house.client(note["token"].as_str().unwrap())
}

impl Taker {
    /// The members that are the client's own, and no part of what the API knows.
    fn documents(&self) -> Vec<&'static str> {
        let known = ["metadata", "arguments", "config"];
        let there = |name: &&str| self.properties.contains_key(*name);
        known.into_iter().filter(there).collect()
    }

    async fn send(&self, client: &mut Client, key: &str, body: &str) -> Response {
        let body = body.to_owned().into();
        let answer = client.send(&self.method, &self.path, Some(key), body).await;
        let answer = answer.expect("an answer");
        described::check(&self.method, &self.path, &answer);
        answer
    }
}

/// Writes a value as somebody else would: members in another order, blanks, escapes, whole numbers
/// with decimals where they are somebody's own.
fn write(dice: &mut Dice, value: &Value, is_document: bool) -> String {
    let blank = *dice.pick(&["", " ", "\n\t", "\r\n "]);
    let text = match value {
        Value::Null | Value::Bool(_) => value.to_string(),
        Value::Number(number) => match number.as_i64().filter(|_| is_document && dice.flip()) {
            Some(whole) => format!("{whole}{}", dice.pick(&[".0", "e0", ".00E+0"])),
            None => number.to_string(),
        },
        Value::String(text) => write_text(dice, text),
        Value::Array(items) => {
            let items = items.iter().map(|item| write(dice, item, is_document));
            format!("[{}]", items.collect::<Vec<_>>().join(","))
        }
        Value::Object(members) => {
            let mut texts = Vec::new();
            for (name, value) in members {
                let is_document = is_document || ["metadata", "arguments"].contains(&name.as_str());
                let text = format!(
                    "{}{blank}:{}",
                    write_text(dice, name),
                    write(dice, value, is_document)
                );
                let place = dice.below(texts.len() + 1);
                texts.insert(place, text);
            }
            format!("{{{}}}", texts.join(","))
        }
    };
    format!("{blank}{text}{blank}")
}

fn write_text(dice: &mut Dice, text: &str) -> String {
    let mut written = String::from("\"");
    for unit in text.encode_utf16().collect::<Vec<_>>() {
        match char::from_u32(unit.into()).filter(|c| *c >= ' ' && !"\"\\".contains(*c)) {
            Some(plain) if dice.flip() => written.push(plain),
            _ => write!(written, "\\u{unit:04x}").expect("a text takes more"),
        }
    }
    written + "\""
}

/// The text of a value in one of whose objects a member stands twice.
fn doubled(dice: &mut Dice, value: &Value) -> String {
    let objects = places(value, &|value| value.is_object());
    let place = dice.pick(&objects).clone();
    let mark = "\u{1}";
    let mut marked = value.clone();
    let object = marked.pointer_mut(&place).unwrap();
    let members = object.as_object().unwrap().clone();
    let (name, first) = match members.iter().nth(dice.below(members.len().max(1))) {
        Some((name, value)) => (name.clone(), value.clone()),
        None => ("memo".into(), dice.value(1)),
    };
    let second = if dice.flip() {
        first.clone()
    } else {
        dice.value(2)
    };
    let mut texts = vec![
        format!("{}:{}", write_text(dice, &name), first),
        format!("{}:{}", write_text(dice, &name), second),
    ];
    for (other, value) in members.iter().filter(|(other, _)| **other != name) {
        let place = dice.below(texts.len() + 1);
        texts.insert(place, format!("{}:{value}", json!(other)));
    }
    *object = json!(mark);
    marked.to_string().replace(
        &json!(mark).to_string(),
        &format!("{{{}}}", texts.join(",")),
    )
}

/// The pointers to the values of which something is so.
fn places(value: &Value, is_so: &dyn Fn(&Value) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    if is_so(value) {
        found.push(String::new());
    }
    let below: Vec<(String, &Value)> = match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.replace('~', "~0").replace('/', "~1"), value))
            .collect(),
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items
                .map(|(index, item)| (index.to_string(), item))
                .collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    for (name, value) in below {
        let inner = places(value, is_so).into_iter();
        found.extend(inner.map(|place| format!("/{name}{place}")));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_stands_twice_is_refused_in_every_body_at_every_depth() {
    for seed in long::seeds() {
        check_members_twice(Dice::new(seed)).await;
    }
}

async fn check_members_twice(mut dice: Dice) {
    let house = furnished().await;
    for taker in takers() {
        let mut client = client(&house, &taker);
        for round in 0..rounds() {
            let mut body = dice.pick(&taker.examples).clone();
            for name in taker.documents() {
                body[name] = json!({ "deep": [dice.value(2), { "deeper": dice.value(2) }] });
            }
            let text = doubled(&mut dice, &body);
            let refused = taker
                .send(&mut client, &format!("twice {round}"), &text)
                .await;
            let place = format!("{} {}: {text}", taker.method, taker.path);
            assert_eq!(
                (refused.status.as_u16(), refused.code()),
                (400, "malformed".into()),
                "{place}"
            );
            let detail = refused.json()["detail"].to_string();
            assert!(detail.contains("duplicate field"), "{place}: {detail}");
        }
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_body_breaks_anything() {
    for seed in long::seeds() {
        check_broken_bodies(Dice::new(seed)).await;
    }
}

async fn check_broken_bodies(mut dice: Dice) {
    let house = furnished().await;
    for taker in takers().iter().filter(|taker| !taker.is_for_owner) {
        let mut client = client(&house, taker);
        for round in 0..rounds() {
            let mut body = dice.pick(&taker.examples).clone();
            let all = places(&body, &|_| true);
            for _ in 0..dice.below(3) {
                let place = dice.pick(&all).clone();
                if let Some(value) = body.pointer_mut(&place) {
                    *value = dice.value(3);
                }
            }
            let mut text = write(&mut dice, &body, false);
            if dice.below(4) == 0 {
                // And now and then it is no JSON at all.
                let cut = dice.below(text.len() + 1);
                text = String::from_utf8_lossy(&text.as_bytes()[..cut]).into_owned();
                let end: &&str = dice.pick(&["", "}", "]", "\"", ",", "1e", "\u{0}", "nul"]);
                text.push_str(end);
            }
            let answer = taker
                .send(&mut client, &format!("{} {round}", taker.path), &text)
                .await;
            let place = format!("{} {}: {text}", taker.method, taker.path);
            assert!(
                !answer.status.is_server_error() || answer.status == 502,
                "{place}: {}",
                answer.json()
            );
        }
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_that_readers_change_are_refused_where_they_are_no_amounts() {
    let house = furnished().await;
    let mut tried = 0;
    for taker in takers() {
        let mut client = client(&house, &taker);
        for name in taker.documents() {
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
                let mut body = taker.examples[0].clone();
                body[name] = json!({ "n": [0, "NUMBER"] });
                let text = body.to_string().replace("\"NUMBER\"", number);
                let answer = taker.send(&mut client, number, &text).await;
                let pointer = format!("/{name}/n/1");
                let is_named = answer.status == 400 && answer.json()["pointer"] == *pointer;
                assert_eq!(
                    is_named,
                    !is_kept,
                    "{} {text}: {}",
                    taker.path,
                    answer.json()
                );
                tried += 1;
            }
        }
    }
    assert!(tried > 50, "{tried}");
    // Amounts say more of themselves.
    let mut client = house.admin();
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
    house.close().await;
}

/// A body with something more to say, where the route lets it.
fn spoken(dice: &mut Dice, taker: &Taker) -> Value {
    let mut body = dice.pick(&taker.examples).clone();
    if taker.properties.contains_key("memo") {
        body["memo"] = json!("a memo");
    }
    if taker.properties.contains_key("metadata") {
        let own = json!({ "n": 12, "list": [1, 2, null], "text": "ä\"\\/", "inner": { "x": null, "y": -3 } });
        body["metadata"] = own;
    }
    body
}

/// Another body that means something else, if the route has one.
fn altered(dice: &mut Dice, taker: &Taker, body: &Value) -> Option<Value> {
    let mut changes: Vec<(String, Value)> = Vec::new();
    if taker.properties.contains_key("memo") {
        changes.push(("/memo".into(), json!("another memo")));
        changes.push(("/memo".into(), Value::Null));
    }
    if taker.properties.contains_key("metadata") {
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
    let (place, value) = dice.pick(&changes).clone();
    let mut other = body.clone();
    *other.pointer_mut(&place)? = value;
    Some(other)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_meaning_replays_and_another_meaning_never_does() {
    for seed in long::seeds() {
        check_meanings(Dice::new(seed)).await;
    }
}

async fn check_meanings(mut dice: Dice) {
    let house = furnished().await;
    let (mut same, mut other) = (0, 0);
    for taker in takers().iter().filter(|taker| taker.is_keyed) {
        let mut client = client(&house, taker);
        for round in 0..rounds() {
            let key = format!("{} meaning {round}", taker.path);
            let body = spoken(&mut dice, taker);
            if body["mode"] == "independent" {
                // Its transfers have keys of their own.
                continue;
            }
            let first = write(&mut dice, &body, false);
            let first = taker.send(&mut client, &key, &first).await;
            // What is not kept under the key is decided anew each time.
            if matches!(first.status.as_u16(), 400..=408 | 503) {
                continue;
            }
            for _ in 0..2 {
                let mut again = body.clone();
                for name in taker.properties.keys() {
                    let is_absent =
                        again.get(name).is_none() && !taker.required.contains(&json!(name));
                    if is_absent && name != "idempotency_key" && dice.flip() {
                        again[name] = Value::Null;
                    }
                }
                let text = write(&mut dice, &again, false);
                let again = taker.send(&mut client, &key, &text).await;
                assert_eq!(
                    (again.status, &again.body),
                    (first.status, &first.body),
                    "{text}"
                );
                assert!(again.replayed, "{} {text}", taker.path);
                same += 1;
            }
            if let Some(body) = altered(&mut dice, taker, &body) {
                let text = write(&mut dice, &body, false);
                let refused = taker.send(&mut client, &key, &text).await;
                assert_eq!(
                    refused.code(),
                    "idempotency_key_reused",
                    "{} {text}",
                    taker.path
                );
                other += 1;
            }
        }
    }
    assert!(same > 200 && other > 100, "{same} {other}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_of_a_batch_means_what_it_means_alone() {
    let house = furnished().await;
    let mut client = house.admin();
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
    house.close().await;
}

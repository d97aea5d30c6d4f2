//! Routes with a JSON body from the API's description, and random JSON bodies for them.

use std::fmt::Write as _;

use bursar_server::client::{Client, Response};
use proptest::prelude::{Strategy, any};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

use crate::long_runs;
use crate::openapi::{operations, with_example_parameters};
use crate::openapi_check;
use crate::support::{GUILD, TestServer};

/// Random values that depend only on the seed.
pub(crate) struct RandomJson(TestRunner);

impl RandomJson {
    pub(crate) fn new(seed: u64) -> Self {
        Self(long_runs::runner(seed, 0))
    }

    fn of<T>(&mut self, strategy: impl Strategy<Value = T>) -> T {
        strategy.new_tree(&mut self.0).unwrap().current()
    }

    pub(crate) fn below(&mut self, count: usize) -> usize {
        self.of(0..count)
    }

    pub(crate) fn flip(&mut self) -> bool {
        self.of(any::<bool>())
    }

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// Returns a random value of limited depth.
    pub(crate) fn value(&mut self, levels: usize) -> Value {
        match self.below(if levels == 0 { 6 } else { 8 }) {
            0 => Value::Null,
            1 => json!(self.flip()),
            2 => json!(self.of(any::<i32>())),
            3 => {
                json!(self.of(
                    any::<f64>().prop_filter("JSON has only finite numbers", |n| n.is_finite())
                ))
            }
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

/// A route with a JSON body.
pub(crate) struct BodyRoute {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) examples: Vec<Value>,
    pub(crate) properties: Map<String, Value>,
    pub(crate) required: Vec<Value>,
    pub(crate) is_keyed: bool,
    /// True if the route requires the owner's token.
    pub(crate) is_for_owner: bool,
}

pub(crate) fn routes() -> Vec<BodyRoute> {
    let document = bursar_server::http::openapi();
    let resolved = |schema: &Value| match schema["$ref"].as_str() {
        Some(place) => document
            .pointer(place.trim_start_matches('#'))
            .unwrap()
            .clone(),
        None => schema.clone(),
    };
    let route = |(method, path, operation): (String, String, Value)| {
        let body = operation["requestBody"]["content"]["application/json"].as_object()?;
        let examples = body["examples"].as_object().unwrap().values();
        let schema = resolved(&body["schema"]);
        let parameters = operation["parameters"].as_array().unwrap();
        Some(BodyRoute {
            path: with_example_parameters(&path, &operation),
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
                .is_some_and(|about| about.contains("the owner's token")),
            method,
        })
    };
    let routes: Vec<BodyRoute> = operations(&document)
        .into_iter()
        .filter_map(route)
        .collect();
    assert!(routes.len() >= 20, "{}", routes.len());
    routes
}

/// Creates an economy with everything that the example paths name.
pub(crate) async fn server_with_examples() -> TestServer {
    let (server, mut guild) = TestServer::with_guild(3).await;
    let item = json!({"item": "item:potion", "price": {"coin": 50}});
    guild
        .put_ok(
            &format!("{GUILD}/assets/item:potion"),
            json!({"kind": "item", "name": "Potion"}),
        )
        .await;
    guild
        .put_ok(
            &format!("{GUILD}/assets/item:arrow"),
            json!({"kind": "item", "name": "Arrow"}),
        )
        .await;
    guild
        .install("shop", "bundled:shop", json!({"items": [item]}))
        .await;
    let hook = json!({"url": "https://receiver.invalid/"});
    guild
        .put_ok(&format!("{GUILD}/webhooks/ledger"), hook)
        .await;
    server
}

/// Returns a client with the key or the owner's token that a route requires.
pub(crate) fn client(server: &TestServer, route: &BodyRoute) -> Client {
    if !route.is_for_owner {
        return server.admin();
    }
    let note = std::fs::read(server.file().with_extension("db.lock")).unwrap();
    let note: Value = serde_json::from_slice(&note).unwrap();
    server.client(note["token"].as_str().unwrap())
}

impl BodyRoute {
    /// Returns the members that are free documents of the client.
    pub(crate) fn documents(&self) -> Vec<&'static str> {
        let known = ["metadata", "arguments", "config"];
        let there = |name: &&str| self.properties.contains_key(*name);
        known.into_iter().filter(there).collect()
    }

    pub(crate) async fn send(&self, client: &mut Client, key: &str, body: &str) -> Response {
        let body = body.to_owned().into();
        let response = client.send(&self.method, &self.path, Some(key), body).await;
        let response = response.expect("a response");
        openapi_check::check(&self.method, &self.path, &response);
        response
    }
}

/// Writes a value in another form: shuffled members, spaces, escapes, and whole numbers with decimals in free
/// documents.
pub(crate) fn write(random: &mut RandomJson, value: &Value, is_document: bool) -> String {
    let blank = *random.pick(&["", " ", "\n\t", "\r\n "]);
    let text = match value {
        Value::Null | Value::Bool(_) => value.to_string(),
        Value::Number(number) => match number.as_i64().filter(|_| is_document && random.flip()) {
            Some(whole) => format!("{whole}{}", random.pick(&[".0", "e0", ".00E+0"])),
            None => number.to_string(),
        },
        Value::String(text) => write_text(random, text),
        Value::Array(items) => {
            let items = items.iter().map(|item| write(random, item, is_document));
            format!("[{}]", items.collect::<Vec<_>>().join(","))
        }
        Value::Object(members) => {
            let mut texts = Vec::new();
            for (name, value) in members {
                let is_document = is_document || ["metadata", "arguments"].contains(&name.as_str());
                let text = format!(
                    "{}{blank}:{}",
                    write_text(random, name),
                    write(random, value, is_document)
                );
                let place = random.below(texts.len() + 1);
                texts.insert(place, text);
            }
            format!("{{{}}}", texts.join(","))
        }
    };
    format!("{blank}{text}{blank}")
}

fn write_text(random: &mut RandomJson, text: &str) -> String {
    let mut written = String::from("\"");
    for unit in text.encode_utf16().collect::<Vec<_>>() {
        match char::from_u32(unit.into()).filter(|c| *c >= ' ' && !"\"\\".contains(*c)) {
            Some(plain) if random.flip() => written.push(plain),
            _ => write!(written, "\\u{unit:04x}").expect("writing to a string succeeds"),
        }
    }
    written + "\""
}

/// Returns a value's text in which one object has a duplicate member.
pub(crate) fn with_duplicate_member(random: &mut RandomJson, value: &Value) -> String {
    let objects = pointers(value, &|value| value.is_object());
    let place = random.pick(&objects).clone();
    let mark = "\u{1}";
    let mut marked = value.clone();
    let object = marked.pointer_mut(&place).unwrap();
    let members = object.as_object().unwrap().clone();
    let (name, first) = match members.iter().nth(random.below(members.len().max(1))) {
        Some((name, value)) => (name.clone(), value.clone()),
        None => ("memo".into(), random.value(1)),
    };
    let second = if random.flip() {
        first.clone()
    } else {
        random.value(2)
    };
    let mut texts = vec![
        format!("{}:{}", write_text(random, &name), first),
        format!("{}:{}", write_text(random, &name), second),
    ];
    for (other, value) in members.iter().filter(|(other, _)| **other != name) {
        let place = random.below(texts.len() + 1);
        texts.insert(place, format!("{}:{value}", json!(other)));
    }
    *object = json!(mark);
    marked.to_string().replace(
        &json!(mark).to_string(),
        &format!("{{{}}}", texts.join(",")),
    )
}

/// Returns the pointers to all values that satisfy a condition.
pub(crate) fn pointers(value: &Value, matches: &dyn Fn(&Value) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    if matches(value) {
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
        let inner = pointers(value, matches).into_iter();
        found.extend(inner.map(|place| format!("/{name}{place}")));
    }
    found
}

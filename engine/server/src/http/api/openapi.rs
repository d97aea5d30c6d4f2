//! The API's description, as OpenAPI 3.1: made of the routes, and of the very types that are read
//! and written.
//!
//! What follows from a word of a route is put into words here: which answers a missing key, a name
//! in the path or a body of some size can have.

mod answers;

use bursar_ledger::Scope;
use schemars::Schema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::{Map, Value, json};

use super::route::{Access, Describe, KEY, Operation, RequestBody, Resource, Route};
use super::schemas;
use crate::http::problem::ProblemBody;
use crate::http::resources;
use answers::responses;

const ABOUT: &str = include_str!("openapi.md");

/// The media type of a problem.
const PROBLEM: &str = "application/problem+json";

/// Makes schemas: what is read and what is written differ in which members must be there.
struct Schemas {
    read: SchemaGenerator,
    written: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
                settings
                    .transforms
                    .push(Box::new(RecursiveTransform(plain)));
            })
        };
        Self {
            read: settings().into_generator(),
            written: settings().for_serialize().into_generator(),
        }
    }

    /// All schemas that have a name. No type is read and written at once.
    fn take(mut self) -> Map<String, Value> {
        let mut schemas = self.written.take_definitions(true);
        schemas.extend(self.read.take_definitions(true));
        schemas
    }
}

/// Says of numbers only what JSON knows, and of an absent member nothing that it is not: what is
/// absent in a PUT stays, and `null` clears.
fn plain(schema: &mut Schema) {
    let format = schema.get("format").and_then(Value::as_str);
    if format.is_some_and(|format| format.starts_with("uint")) {
        schema.insert("format".into(), "int64".into());
    }
    if schema.get("default") == Some(&Value::Null) {
        schema.remove("default");
    }
}

/// The description of the API that this program serves.
pub fn document() -> Value {
    let mut schemas = Schemas::new();
    let (mut tags, mut paths) = (Vec::new(), Map::new());
    for Resource {
        name,
        about,
        routes,
    } in &resources()
    {
        tags.push(json!({ "name": name, "description": about }));
        for route in routes {
            let described = operation(&mut schemas, name, route);
            let path = paths.entry(route.path).or_insert_with(|| json!({}));
            path[route.method.as_str().to_ascii_lowercase()] = described;
        }
    }
    let problem = schemas.written.subschema_for::<ProblemBody<'static>>();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Bursar",
            "summary": "An economy engine for bots, games and communities.",
            "description": ABOUT,
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
        },
        "servers": [{ "url": "/", "description": "The server that this comes from." }],
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": { "key": {
                "type": "http", "scheme": "bearer",
                "description": "An API key, `bursar_…`. `bursar key create` makes one.",
            }},
            "headers": headers(),
            "responses": { "Problem": {
                "description": "A no.",
                "content": { PROBLEM: { "schema": problem } },
            }},
            "schemas": schemas.take(),
        },
    })
}

fn headers() -> Value {
    json!({
        "IdempotencyReplayed": {
            "description": "`true` if this answer was given before: status and body are the same, \
                            byte for byte. Absent the first time.",
            "required": false, "schema": { "type": "string", "enum": ["true"] },
        },
        "RetryAfter": {
            "description": "Seconds after which the same may be asked again.",
            "required": true, "schema": { "type": "integer", "minimum": 0 },
        },
        "RateLimitPolicy": {
            "description": "The key's limit: `\"key\";q=REQUESTS;w=SECONDS`. It is on every answer \
                            to a key that has one.",
            "required": true, "schema": { "type": "string" },
        },
        "RateLimit": {
            "description": "What is left of it: `\"key\";r=REQUESTS;t=SECONDS`.",
            "required": true, "schema": { "type": "string" },
        },
        "WwwAuthenticate": {
            "description": "How to send a key.",
            "required": true, "schema": { "type": "string", "enum": ["Bearer"] },
        },
    })
}

fn operation(schemas: &mut Schemas, tag: &str, route: &Route) -> Value {
    let Operation {
        id,
        summary,
        description,
        ..
    } = route.operation;
    let mut described = json!({
        "tags": [tag],
        "operationId": id,
        "summary": summary,
        "description": with_access(description, route.operation.access),
        "parameters": parameters(&mut schemas.read, route),
        "responses": responses(&mut schemas.written, route),
        "security": match route.operation.access {
            Access::Anybody => json!([]),
            Access::AnyKey | Access::Key(_) | Access::Everywhere(_) | Access::Owner => {
                json!([{ "key": [] }])
            }
        },
    });
    if let Some(body) = &route.operation.body {
        described["requestBody"] = request_body(&mut schemas.read, body);
    }
    described
}

fn with_access(description: &str, access: Access) -> String {
    let needs = |scope: Scope| format!("Needs a key with the scope `{}`", scope.as_str());
    let access = match access {
        Access::Anybody => "Needs no key.".into(),
        Access::AnyKey => "Needs a key.".into(),
        Access::Key(scope) => needs(scope) + ".",
        Access::Everywhere(scope) => needs(scope) + " that is not bound to economies.",
        Access::Owner => {
            "Needs the token of whoever runs the server, which stands beside the file.".into()
        }
    };
    format!("{description}\n\n{access}").trim_start().into()
}

/// The names in a path, in order.
fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// What a name in a path stands for.
fn name(generator: &mut SchemaGenerator, name: &str) -> Option<(Schema, &'static str, Value)> {
    let schema = match name {
        "economy" => (
            generator.subschema_for::<schemas::EconomyName>(),
            "The economy.",
            "guild",
        ),
        "asset" => (
            generator.subschema_for::<schemas::AssetName>(),
            "The asset.",
            "coin",
        ),
        "account" => (
            generator.subschema_for::<schemas::AccountName>(),
            "The account.",
            "user:1",
        ),
        "plugin" => (
            generator.subschema_for::<schemas::PluginName>(),
            "The plugin.",
            "shop",
        ),
        "action" => (
            generator.subschema_for::<schemas::ActionName>(),
            "The action.",
            "buy",
        ),
        "key" => (
            generator.subschema_for::<schemas::KeyName>(),
            "The API key.",
            "my-bot",
        ),
        "hold" => {
            let schema = generator.subschema_for::<schemas::Uuid>();
            (schema, "The hold.", "0199d0a0-5b7e-7c1d-8f00-3f6f2d1f9a11")
        }
        "transfer" => {
            let schema = generator.subschema_for::<schemas::Uuid>();
            (
                schema,
                "The transfer.",
                "0199d0a0-5b7e-7c1d-8f00-3f6f2d1f9a0f",
            )
        }
        "call" => {
            let schema = generator.subschema_for::<schemas::Uuid>();
            (schema, "The call.", "0199d0a0-5b7e-7c1d-8f00-3f6f2d1f9a10")
        }
        "webhook" => (
            generator.subschema_for::<schemas::WebhookName>(),
            "The webhook.",
            "ledger",
        ),
        "idempotency_key" => {
            let schema = generator.subschema_for::<schemas::IdempotencyKey>();
            (schema, "The key under which something was asked.", "pay-1")
        }
        _ => return None,
    };
    let (schema, description, example) = schema;
    Some((schema, description, example.into()))
}

fn parameters(generator: &mut SchemaGenerator, route: &Route) -> Vec<Value> {
    let mut parameters = Vec::new();
    for named in names(route.path) {
        let (schema, description, example) =
            name(generator, named).expect("the names in paths are listed above");
        parameters.push(json!({
            "name": named, "in": "path", "required": true, "description": description,
            "schema": schema, "example": example,
        }));
    }
    if route.operation.keyed {
        parameters.push(json!({
            "name": KEY, "in": "header",
            // A preview ignores it. A client that forgets it in earnest would be worse off.
            "required": true,
            "description": "One for each intent, the same in each try. Asking again under the same \
                            key is always safe. A preview needs none and ignores it.",
            "schema": generator.subschema_for::<schemas::IdempotencyHeader>(),
            "examples": keys_for(route.operation.body.as_ref()),
        }));
    }
    for (name, description, schema) in &route.operation.headers {
        parameters.push(json!({
            "name": name, "in": "header", "required": false, "description": description,
            "schema": schema(generator),
        }));
    }
    if let Some(query) = route.operation.query {
        parameters.extend(query_parameters(generator, query));
    }
    parameters
}

/// An idempotency key for each example of a body, under the same name.
fn keys_for(body: Option<&RequestBody>) -> Map<String, Value> {
    let bodies = body.into_iter().flat_map(|body| &body.examples);
    let key = |name: &str| json!({ "value": format!("{name}-1") });
    bodies
        .map(|(name, _)| ((*name).into(), key(name)))
        .collect()
}

/// Each member of a query's type is a parameter.
fn query_parameters(generator: &mut SchemaGenerator, query: Describe) -> Vec<Value> {
    let mut schema = query(generator);
    // The generator transforms what it names itself, and a query has no name.
    RecursiveTransform(plain).transform(&mut schema);
    let members = schema.get("properties").and_then(Value::as_object);
    let required = schema.get("required").and_then(Value::as_array);
    let required = |name: &String| required.is_some_and(|all| all.iter().any(|one| one == name));
    let parameter = |(name, schema): (&String, &Value)| {
        let mut schema = schema.clone();
        let description = schema
            .as_object_mut()
            .and_then(|schema| schema.remove("description"));
        let description = description.unwrap_or_default();
        json!({
            "name": name, "in": "query", "required": required(name), "description": description,
            "schema": schema,
        })
    };
    members.into_iter().flatten().map(parameter).collect()
}

fn request_body(generator: &mut SchemaGenerator, body: &RequestBody) -> Value {
    let mut content = json!({ "schema": (body.schema)(generator) });
    if !body.examples.is_empty() {
        let examples = body.examples.iter();
        let examples = examples.map(|(name, value)| ((*name).into(), json!({ "value": value })));
        content["examples"] = examples.collect::<Map<String, Value>>().into();
    }
    let most = body.bytes_max;
    json!({
        "required": body.required,
        "description": format!("At most {most} bytes. Members that are not known are refused."),
        "content": { body.media: content },
    })
}

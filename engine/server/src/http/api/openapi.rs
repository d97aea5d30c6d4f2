//! The OpenAPI 3.1 document, generated from the routes and from the types that handlers read and
//! write.
//!
//! Responses that follow from other properties of a route (a missing key, a name in the path, a
//! body that is too large) are added here, so that a route does not list them.

mod responses;

use bursar_ledger::Scope;
use schemars::Schema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::{Map, Value, json};

use super::route::{Access, Describe, KEY, Operation, RequestBody, Resource, Route};
use super::schemas;
use super::views::{PROBLEM, ProblemBody};
use responses::responses;

const ABOUT: &str = include_str!("openapi.md");

/// Schema generators for request types and for response types. They differ in the members that are
/// required.
struct Schemas {
    requests: SchemaGenerator,
    responses: SchemaGenerator,
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
            requests: settings().into_generator(),
            responses: settings().for_serialize().into_generator(),
        }
    }

    /// Returns all named schemas. No type is used both in requests and in responses.
    fn take(mut self) -> Map<String, Value> {
        let mut schemas = self.responses.take_definitions(true);
        schemas.extend(self.requests.take_definitions(true));
        schemas
    }
}

/// Adapts a schema to JSON and to the rules of this API: JSON has no unsigned formats, and an
/// absent member of a PUT has no default, because it leaves the present value as it is.
fn plain(schema: &mut Schema) {
    let format = schema.get("format").and_then(Value::as_str);
    if format.is_some_and(|format| format.starts_with("uint")) {
        schema.insert("format".into(), "int64".into());
    }
    if schema.get("default") == Some(&Value::Null) {
        schema.remove("default");
    }
}

/// Returns the OpenAPI document of this server's API.
pub(crate) fn document(resources: &[Resource]) -> Value {
    let mut schemas = Schemas::new();
    let mut tags = Vec::new();
    let mut paths = Map::new();
    for Resource {
        name,
        about,
        routes,
    } in resources
    {
        tags.push(json!({ "name": name, "description": about }));
        for route in routes {
            let described = operation(&mut schemas, name, route);
            let path = paths.entry(route.path).or_insert_with(|| json!({}));
            path[route.method.as_str().to_ascii_lowercase()] = described;
        }
    }
    let problem = schemas.responses.subschema_for::<ProblemBody<'static>>();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Bursar",
            "summary": "An economy engine for bots, games and communities.",
            "description": ABOUT,
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
        },
        "servers": [{ "url": "/", "description": "The server that sent this document." }],
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": { "key": {
                "type": "http", "scheme": "bearer",
                "description": "An API key, `bursar_…`. `bursar key create` creates one.",
            }},
            "headers": headers(),
            "responses": { "Problem": {
                "description": "A problem.",
                "content": { PROBLEM: { "schema": problem } },
            }},
            "schemas": schemas.take(),
        },
    })
}

fn headers() -> Value {
    json!({
        "IdempotencyReplayed": {
            "description": "`true` if this response repeats an earlier one: status and body are \
                            the same, byte for byte. Absent in the first response.",
            "required": false, "schema": { "type": "string", "enum": ["true"] },
        },
        "RetryAfter": {
            "description": "Seconds to wait before the same request is sent again.",
            "required": true, "schema": { "type": "integer", "minimum": 0 },
        },
        "RateLimitPolicy": {
            "description": "The rate limit of the key: `\"key\";q=REQUESTS;w=SECONDS`. Sent with \
                            every response to a key that has a rate limit.",
            "required": true, "schema": { "type": "string" },
        },
        "RateLimit": {
            "description": "The requests that remain: `\"key\";r=REQUESTS;t=SECONDS`.",
            "required": true, "schema": { "type": "string" },
        },
        "WwwAuthenticate": {
            "description": "The authentication scheme to use.",
            "required": true, "schema": { "type": "string", "enum": ["Bearer"] },
        },
    })
}

fn operation(schemas: &mut Schemas, tag: &str, route: &Route) -> Value {
    let Operation {
        id,
        summary,
        description,
        listing,
        ..
    } = route.operation;
    let description = match listing {
        Some(listing) => format!("{description} {}", listing.sentence()),
        None => description.into(),
    };
    let mut described = json!({
        "tags": [tag],
        "operationId": id,
        "summary": summary,
        "description": with_access(&description, route.operation.access),
        "parameters": parameters(&mut schemas.requests, route),
        "responses": responses(&mut schemas.responses, route),
        "security": match route.operation.access {
            Access::Public => json!([]),
            Access::AnyKey | Access::Key(_) | Access::Everywhere(_) | Access::Owner => {
                json!([{ "key": [] }])
            }
        },
    });
    if let Some(body) = &route.operation.body {
        described["requestBody"] = request_body(&mut schemas.requests, body);
    }
    described
}

fn with_access(description: &str, access: Access) -> String {
    let needs = |scope: Scope| format!("Requires a key with the scope `{}`", scope.as_str());
    let access = match access {
        Access::Public => "Requires no key.".into(),
        Access::AnyKey => "Requires a key of any scope.".into(),
        Access::Key(scope) => needs(scope) + ".",
        Access::Everywhere(scope) => needs(scope) + " that is not bound to single economies.",
        Access::Owner => {
            "Requires the owner's token of the server, which the server stores in a file next to \
             its database."
                .into()
        }
    };
    format!("{description}\n\n{access}").trim_start().into()
}

/// Returns the schema, the description and an example of a path parameter.
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn name(generator: &mut SchemaGenerator, name: &str) -> Option<(Schema, &'static str, Value)> {
    let schema = match name {
        "economy" => (
            generator.subschema_for::<schemas::EconomyName>(),
            "The name of the economy.",
            "guild",
        ),
        "asset" => (
            generator.subschema_for::<schemas::AssetName>(),
            "The name of the asset.",
            "coin",
        ),
        "account" => (
            generator.subschema_for::<schemas::AccountName>(),
            "The name of the account.",
            "user:1",
        ),
        "plugin" => (
            generator.subschema_for::<schemas::PluginName>(),
            "The name under which the plugin is installed.",
            "shop",
        ),
        "action" => (
            generator.subschema_for::<schemas::ActionName>(),
            "The name of the action.",
            "buy",
        ),
        "key" => (
            generator.subschema_for::<schemas::KeyName>(),
            "The name of the API key.",
            "my-bot",
        ),
        "hold" => {
            let schema = generator.subschema_for::<schemas::Uuid>();
            (
                schema,
                "The id of the hold.",
                "0199d0a0-5b7e-7c1d-8f00-3f6f2d1f9a11",
            )
        }
        "transfer" => {
            let schema = generator.subschema_for::<schemas::Uuid>();
            (
                schema,
                "The id of the transfer.",
                "0199d0a0-5b7e-7c1d-8f00-3f6f2d1f9a0f",
            )
        }
        "call" => {
            let schema = generator.subschema_for::<schemas::Uuid>();
            (
                schema,
                "The id of the call.",
                "0199d0a0-5b7e-7c1d-8f00-3f6f2d1f9a10",
            )
        }
        "webhook" => (
            generator.subschema_for::<schemas::WebhookName>(),
            "The name of the webhook.",
            "ledger",
        ),
        "idempotency_key" => {
            let schema = generator.subschema_for::<schemas::IdempotencyKey>();
            (
                schema,
                "The idempotency key of an earlier request.",
                "pay-1",
            )
        }
        _ => return None,
    };
    let (schema, description, example) = schema;
    Some((schema, description, example.into()))
}

fn parameters(generator: &mut SchemaGenerator, route: &Route) -> Vec<Value> {
    let mut parameters = Vec::new();
    for named in route.parameters() {
        let (schema, description, example) =
            name(generator, named).expect("`name` lists every path parameter");
        parameters.push(json!({
            "name": named, "in": "path", "required": true, "description": description,
            "schema": schema, "example": example,
        }));
    }
    if route.operation.keyed {
        parameters.push(json!({
            "name": KEY, "in": "header",
            // A preview ignores the header. It is described as required nevertheless: a generated
            // client that omits it in a real request would do more harm.
            "required": true,
            "description": "Identifies one intent: the same value in every attempt, a new value \
                            for each intent. Sending a request again under the same key is always \
                            safe. A preview ignores this header and may omit it.",
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

/// Returns one example of an idempotency key for each example body, under the same name.
fn keys_for(body: Option<&RequestBody>) -> Map<String, Value> {
    let bodies = body.into_iter().flat_map(|body| &body.examples);
    let key = |name: &str| json!({ "value": format!("{name}-1") });
    bodies
        .map(|(name, _)| ((*name).into(), key(name)))
        .collect()
}

/// Describes each member of a query's type as a parameter.
fn query_parameters(generator: &mut SchemaGenerator, query: Describe) -> Vec<Value> {
    let mut schema = query(generator);
    // The generator applies its transforms to named schemas only, and the schema of a query has no
    // name.
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
        "description": format!("At most {most} bytes. Unknown members are rejected."),
        "content": { body.media: content },
    })
}

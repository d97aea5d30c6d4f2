//! How the words of the ledger look in JSON, as schemas of the API's description.
//!
//! The ledger knows no schema, so its types are described here; fields name these descriptions with
//! `#[schemars(with = "…")]`. The tests hold every answer of theirs against them.

use std::borrow::Cow;

use bursar_ledger::{AMOUNT_MAX, NAME_CHARS_MAX, POSTINGS_MAX};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::http::extract::NUMBER_MAX;

/// One segment of a name.
const SEGMENT: &str = "[a-z0-9][a-z0-9._-]{0,63}";

/// Characters of an issuer's name: that of its asset, with `issuer:` before it.
const ISSUER_CHARS_MAX: usize = NAME_CHARS_MAX + "issuer:".len();

/// Declares a description: a type without values, its name in the document, and its schema.
macro_rules! shape {
    ($name:ident, |$generator:ident| $schema:expr) => {
        pub(crate) struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

mod books;
mod plugins;
mod reports;

pub(crate) use books::*;
pub(crate) use plugins::*;
pub(crate) use reports::*;

shape!(Amount, |_generator| json_schema!({
    "description": "What moves: a whole number in the asset's smallest unit.",
    "type": "integer", "format": "int64", "minimum": 1, "maximum": AMOUNT_MAX,
}));

shape!(Limit, |_generator| json_schema!({
    "description": "A bound on a balance or on spending, in the asset's smallest unit.",
    "type": "integer", "format": "int64", "minimum": 0, "maximum": AMOUNT_MAX,
}));

shape!(Units, |_generator| json_schema!({
    "description": "A balance, or how it changed, in the asset's smallest unit.",
    "type": "integer", "format": "int64",
    "minimum": -i128::from(AMOUNT_MAX), "maximum": AMOUNT_MAX,
}));

shape!(Timestamp, |_generator| json_schema!({
    "description": "Milliseconds since 1970-01-01 UTC.",
    "type": "integer", "format": "int64", "minimum": 0, "maximum": NUMBER_MAX,
}));

shape!(Number, |_generator| json_schema!({
    "description": "The number of a record in an economy's journal.",
    "type": "integer", "format": "int64", "minimum": 0, "maximum": NUMBER_MAX,
}));

shape!(Position, |_generator| json_schema!({
    "description": "A place in an economy's journal: the number of a record and the first 16 digits \
                    of its hash. With the hash it shows if that record is another one by now, since \
                    the file was restored from a backup; a number alone is taken, too.",
    "type": "string", "pattern": "^[0-9]{1,16}(-[0-9a-f]{16})?$",
}));

shape!(EconomyName, |_generator| segment(
    "An economy: one community's books."
));

shape!(PluginName, |_generator| segment(
    "A plugin, as it is installed in an economy."
));

shape!(PluginId, |_generator| segment(
    "A plugin, as its manifest names it."
));

shape!(KeyName, |_generator| segment("The name of an API key."));

shape!(WebhookName, |_generator| segment(
    "A webhook of an economy."
));

fn segment(description: &str) -> Schema {
    json_schema!({
        "description": description,
        "type": "string", "pattern": format!("^{SEGMENT}$"), "maxLength": 64,
    })
}

shape!(ActionName, |_generator| json_schema!({
    "description": "An action, as the plugin's manifest names it.",
    "type": "string", "pattern": "^[a-z0-9_-]{1,64}$",
}));

shape!(AssetName, |_generator| json_schema!({
    "description": "What an amount counts: a currency such as `coin`, or an item such as \
                    `item:potion`. One to four segments joined by colons.",
    "type": "string", "pattern": format!("^{SEGMENT}(:{SEGMENT}){{0,3}}$"),
    "maxLength": NAME_CHARS_MAX,
}));

shape!(AccountName, |_generator| json_schema!({
    "description": "An account: one to four segments joined by colons. `issuer:{asset}` and \
                    `plugin:{plugin}…` are made by the server, with the asset or the plugin.",
    "type": "string",
    // A name that is no issuer's is shorter.
    "pattern": format!(
        "^(issuer:{SEGMENT}(:{SEGMENT}){{0,3}}|\
         (?!(issuer|plugin)$)(?!.{{{}}}){SEGMENT}(:{SEGMENT}){{0,3}})$",
        NAME_CHARS_MAX + 1,
    ),
    "maxLength": ISSUER_CHARS_MAX,
}));

shape!(PatternName, |_generator| json_schema!({
    "description": "All accounts beneath a name: one to three segments as they are, and a last `*` for one or \
                    more further ones. Accounts of issuers and plugins are beneath none.",
    "type": "string",
    "pattern": format!("^(?!(issuer|plugin):)(?!.{{{}}}){SEGMENT}(:{SEGMENT}){{0,2}}:\\*$", NAME_CHARS_MAX + 3),
    "maxLength": NAME_CHARS_MAX + 2,
}));

shape!(IdempotencyKey, |_generator| json_schema!({
    "description": "Names one intent: the same in each try, another for each intent. A UUID, or \
                    the id of a Discord interaction.",
    "type": "string", "pattern": "^[!-~]([ -~]*[!-~])?$", "minLength": 1, "maxLength": 128,
}));

shape!(IdempotencyHeader, |_generator| json_schema!({
    "description": "An idempotency key, bare or as a quoted string (RFC 8941).",
    "type": "string", "pattern": "^[!#-~]([ -~]*[!-~])?$", "minLength": 1, "maxLength": 128,
}));

shape!(Bytes, |_generator| json_schema!({
    "description": "The bytes of a component.",
    "type": "string", "format": "binary",
}));

shape!(Stream, |_generator| json_schema!({
    "description": "Server-sent events. Each has the event's position as its `id`, its kind as its \
                    `event` and an `Event` as its `data`; lines that begin with `:` keep the \
                    connection open.",
    "type": "string", "contentMediaType": "text/event-stream",
}));

shape!(Lines, |_generator| json_schema!({
    "description": "Lines of JSON: an economy's journal from its first record, with a first and a \
                    last line around it.",
    "type": "string", "contentMediaType": "application/x-ndjson",
}));

shape!(
    Uuid,
    |_generator| json_schema!({ "type": "string", "format": "uuid" })
);

shape!(Digest, |_generator| json_schema!({
    "description": "SHA-256, as hexadecimal digits.",
    "type": "string", "pattern": "^[0-9a-f]{64}$",
}));

shape!(Document, |_generator| json_schema!({
    "description": "Anything that you want to keep here, as a JSON object of at most 32 levels.",
    "type": "object", "additionalProperties": true,
}));

shape!(Retry, |_generator| json_schema!({
    "description": "Whether asking again can help. `same_key`: nothing was decided, or it is not \
                    known what; send the same again. `new_key`: final for this key; a new intent \
                    may fare better. `never`: the same request does not succeed by being sent again.",
    "type": "string", "enum": ["same_key", "new_key", "never"],
}));

shape!(Posting, |generator| json_schema!({
    "description": "One movement: an amount of one asset, from one account to another.",
    "type": "object",
    "properties": {
        "from": generator.subschema_for::<AccountName>(),
        "to": generator.subschema_for::<AccountName>(),
        "asset": generator.subschema_for::<AssetName>(),
        "amount": generator.subschema_for::<Amount>(),
    },
    "required": ["from", "to", "asset", "amount"],
    "additionalProperties": false,
}));

/// The postings of one transfer.
pub(crate) struct Postings;

impl JsonSchema for Postings {
    fn schema_name() -> Cow<'static, str> {
        "Postings".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "array", "items": generator.subschema_for::<Posting>(),
            "minItems": 1, "maxItems": POSTINGS_MAX,
        })
    }
}

shape!(ConfigurationFinding, |_generator| json_schema!({
    "description": "Something in a configuration that is wrong.",
    "type": "object",
    "properties": {
        "pointer": {
            "description": "The place, as a JSON pointer into the configuration (RFC 6901); empty for \
                            all of it.",
            "type": "string",
        },
        "message": { "description": "What is wrong, for the operator.", "type": "string" },
    },
    "required": ["pointer", "message"],
    "additionalProperties": false,
}));

shape!(ProblemMembers, |generator| {
    let mut members = problem_members(generator);
    let properties = members.ensure_object().get_mut("properties");
    if let Some(Value::Object(properties)) = properties {
        properties.extend(grant_members(generator));
    }
    members
});

/// What problems about grants and revisions have more.
fn grant_members(generator: &mut SchemaGenerator) -> [(String, Value); 5] {
    let text = |description: &str| json!({ "description": description, "type": "string" });
    let accounts = generator.subschema_for::<PatternName>().to_value();
    let revision = generator.subschema_for::<Number>().to_value();
    [
        ("revision", revision),
        (
            "budget",
            text("The member of the grants that sets a budget which is used up."),
        ),
        ("accounts", accounts),
        (
            "member",
            text("The member that never changes, or that is wider than what is asked for."),
        ),
        (
            "asks",
            text("What the manifest asks for of that member of the grants."),
        ),
    ]
    .map(|(name, schema)| (name.to_owned(), schema))
}

fn problem_members(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            "pointer": {
                "description": "Leads to what cannot be read in the body (RFC 6901).",
                "type": "string",
            },
            "parameter": { "description": "The parameter of the query.", "type": "string" },
            "scope": generator.subschema_for::<KeyScope>(),
            "field": {
                "description": "Where two requests of one key differ: a pointer into the body, \
                                `method` or `path`.",
                "type": "string",
            },
            "missing": { "description": "What something new needs.", "type": "string" },
            "account": generator.subschema_for::<AccountName>(),
            "asset": generator.subschema_for::<AssetName>(),
            "available": {
                "description": "What the account can spend, its credit included.",
                "type": "integer", "format": "int64", "minimum": 0,
            },
            "required": generator.subschema_for::<Amount>(),
            "amount": generator.subschema_for::<Amount>(),
            "posted": generator.subschema_for::<Units>(),
            "ceiling": generator.subschema_for::<Limit>(),
            "supply": generator.subschema_for::<Units>(),
            "max_supply": generator.subschema_for::<Limit>(),
            "cap": generator.subschema_for::<Limit>(),
            "asked": generator.subschema_for::<Limit>(),
            "index": {
                "description": "Which transfer of an atomic batch is refused, counted from 0.",
                "type": "integer", "minimum": 0,
            },
            "hold": generator.subschema_for::<Uuid>(),
            "remaining": generator.subschema_for::<Amount>(),
            "ended": { "description": "How a hold ended, if that is known.", "type": "string" },
            "open": { "description": "How many holds are open.", "type": "integer", "minimum": 0 },
            "most": { "description": "How many there may be.", "type": "integer", "minimum": 0 },
            "transfer": generator.subschema_for::<Uuid>(),
            "by": generator.subschema_for::<Uuid>(),
            "of": generator.subschema_for::<Uuid>(),
            "plugin": generator.subschema_for::<PluginName>(),
            "id": generator.subschema_for::<PluginId>(),
            "bound": generator.subschema_for::<PluginId>(),
            "call": {
                "description": "The call that came to this: `GET …/calls/{call}` is its receipt.",
                "type": "string", "format": "uuid",
            },
            "fuel": { "description": "What the call used up.", "type": "integer", "format": "int64" },
            "decline": {
                "description": "The plugin's no, in its own words.",
                "type": "object",
                "properties": { "code": { "type": "string" }, "message": { "type": "string" } },
                "required": ["code", "message"],
            },
            "fault": { "description": "How the plugin misbehaved.", "type": "string" },
            "findings": {
                "type": "array",
                "items": { "anyOf": [
                    generator.subschema_for::<Finding>(),
                    generator.subschema_for::<ConfigurationFinding>(),
                ]},
            },
            "position": generator.subschema_for::<Position>(),
            "head": generator.subschema_for::<Position>(),
        },
        "additionalProperties": true,
    })
}

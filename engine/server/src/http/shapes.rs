//! How the words of the ledger look in JSON, as schemas of the API's description.
//!
//! The ledger knows no schema, so its types are described here; fields name these descriptions with
//! `#[schemars(with = "…")]`. The tests hold every answer of theirs against them.

use std::borrow::Cow;

use bursar_ledger::{AMOUNT_MAX, NAME_CHARS_MAX, POSTINGS_MAX, Scope};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::json;

use super::extract::NUMBER_MAX;

/// One segment of a name.
const SEGMENT: &str = "[a-z0-9][a-z0-9._-]{0,63}";

/// Characters of an issuer's name: that of its asset, with `issuer:` before it.
const ISSUER_CHARS_MAX: usize = NAME_CHARS_MAX + "issuer:".len();

/// Declares a description: a type without values, its name in the document, and its schema.
macro_rules! shape {
    ($name:ident, |$generator:ident| $schema:expr) => {
        pub(super) struct $name;

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

shape!(EconomyName, |_generator| segment(
    "An economy: one community's books."
));

shape!(PluginName, |_generator| segment(
    "A plugin, as it is installed in an economy."
));

shape!(KeyName, |_generator| segment("The name of an API key."));

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
    "description": "Server-sent events. Each has the event's number as its `id`, its kind as its \
                    `event` and an `Event` as its `data`; lines that begin with `:` keep the \
                    connection open.",
    "type": "string", "contentMediaType": "text/event-stream",
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

shape!(AccountStatus, |_generator| json_schema!({
    "description": "`frozen`: nothing moves, until it is `open` again. `closed`: the same, and \
                    there is nothing on it.",
    "type": "string", "enum": ["open", "frozen", "closed"],
}));

shape!(AssetKind, |_generator| json_schema!({
    "description": "Money or a thing. Both follow the same rules; a bot shows them differently.",
    "type": "string", "enum": ["currency", "item"],
}));

shape!(KeyScope, |_generator| json_schema!({
    "description": "What a key allows. `admin` allows everything.",
    "type": "string", "enum": Scope::ALL.map(Scope::as_str),
}));

shape!(Retry, |_generator| json_schema!({
    "description": "Whether asking again can help. `same_key`: nothing was decided, or it is not \
                    known what; send the same again. `new_key`: final for this key; a new intent \
                    may fare better. `never`: the same request can never succeed.",
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
pub(super) struct Postings;

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

shape!(Grants, |generator| {
    let accounts = json!({
        "type": "array", "uniqueItems": true, "items": generator.subschema_for::<AccountName>(),
    });
    let described = |description: &str| {
        let mut accounts = accounts.clone();
        accounts["description"] = description.into();
        accounts
    };
    let read = described("Accounts whose balances the plugin may read.");
    let credit = described("Issuers that it may credit, that is, burn on.");
    let debit = described("Accounts that it may debit; an issuer here means that it may issue.");
    json_schema!({
        "description": "What a plugin may do beyond its own accounts and the caller's.",
        "type": "object",
        "properties": {
            "read": read, "credit": credit, "debit": debit,
            "spend_per_call": {
                "description": "The most that may leave the caller in one call, for each asset; \
                                of one that is not named, nothing. Absent: no such cap.",
                "type": ["object", "null"],
                "additionalProperties": generator.subschema_for::<Limit>(),
            },
        },
        "additionalProperties": false,
    })
});

shape!(Manifest, |generator| json_schema!({
    "description": "What a plugin says of itself: enough to build slash commands from.",
    "type": "object",
    "properties": {
        "id": generator.subschema_for::<PluginName>(),
        "version": { "type": "string" },
        "description": { "type": "string" },
        "license": { "type": "string" },
        "accounts": {
            "description": "Its own accounts beside `plugin:{id}`.",
            "type": "array", "items": { "type": "string" },
        },
        "actions": { "type": "array", "items": generator.subschema_for::<Action>() },
        "configuration": {
            "description": "JSON Schema of its configuration.",
            "type": ["object", "boolean"],
        },
        "permissions": generator.subschema_for::<Grants>(),
    },
    "required": [
        "id", "version", "description", "license", "accounts", "actions", "configuration",
        "permissions",
    ],
}));

shape!(Action, |generator| json_schema!({
    "description": "What a plugin can be asked to do.",
    "type": "object",
    "properties": {
        "name": generator.subschema_for::<ActionName>(),
        "description": { "type": "string" },
        "arguments": { "description": "JSON Schema of its arguments.", "type": ["object", "boolean"] },
        "reply": { "description": "JSON Schema of its reply.", "type": ["object", "boolean"] },
    },
    "required": ["name", "description", "arguments", "reply"],
}));

shape!(Finding, |_generator| json_schema!({
    "description": "One thing that is wrong with a component.",
    "type": "object",
    "properties": {
        "code": { "type": "string" },
        "message": { "type": "string" },
        "hint": { "description": "What to do about it.", "type": "string" },
    },
    "required": ["code", "message"],
}));

shape!(ProblemMembers, |generator| json_schema!({
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
        "plugin": generator.subschema_for::<PluginName>(),
        "call": { "type": "string", "format": "uuid" },
        "fuel": { "description": "What the call used up.", "type": "integer", "format": "int64" },
        "decline": {
            "description": "The plugin's no, in its own words.",
            "type": "object",
            "properties": { "code": { "type": "string" }, "message": { "type": "string" } },
            "required": ["code", "message"],
        },
        "fault": { "description": "How the plugin misbehaved.", "type": "string" },
        "findings": { "type": "array", "items": generator.subschema_for::<Finding>() },
    },
    "additionalProperties": true,
}));

shape!(AuditReport, |generator| json_schema!({
    "description": "What an audit found.",
    "type": "object",
    "properties": {
        "ok": { "description": "Whether every promise holds.", "type": "boolean" },
        "records": { "type": "integer", "format": "int64", "minimum": 0 },
        "movements": { "type": "integer", "format": "int64", "minimum": 0 },
        "promises": { "type": "array", "items": generator.subschema_for::<Promise>() },
        "economies": { "type": "array", "items": generator.subschema_for::<EconomyHead>() },
        "outside": {
            "description": "Accounts outside of their limits since an operator changed these.",
            "type": "array", "items": generator.subschema_for::<Outside>(),
        },
    },
    "required": ["ok", "records", "movements", "promises", "economies", "outside"],
}));

shape!(Promise, |_generator| json_schema!({
    "description": "One promise of the README.",
    "type": "object",
    "properties": {
        "number": { "type": "integer", "minimum": 1 },
        "name": { "type": "string" },
        "ok": { "type": "boolean" },
        "checked": { "description": "What was checked.", "type": "string" },
        "findings": {
            "description": "What was found, the first 20.",
            "type": "array", "items": { "type": "string" },
        },
    },
    "required": ["number", "name", "ok", "checked", "findings"],
}));

shape!(EconomyHead, |generator| json_schema!({
    "description": "An economy at the end of its journal.",
    "type": "object",
    "properties": {
        "economy": generator.subschema_for::<EconomyName>(),
        "seq": { "description": "Its records.", "type": "integer", "format": "int64", "minimum": 0 },
        "head": generator.subschema_for::<Digest>(),
    },
    "required": ["economy", "seq", "head"],
}));

shape!(Outside, |generator| json_schema!({
    "description": "An account outside of its limits, and why that may be.",
    "type": "object",
    "properties": {
        "economy": generator.subschema_for::<EconomyName>(),
        "what": { "type": "string" },
        "explained_by_seq": {
            "description": "The record that last changed the account's limits.",
            "type": "integer", "format": "int64", "minimum": 0,
        },
    },
    "required": ["economy", "what", "explained_by_seq"],
}));

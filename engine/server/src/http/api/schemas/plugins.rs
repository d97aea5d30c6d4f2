//! Schemas of plugins: manifests, grants and findings.

use std::borrow::Cow;

use bursar_ledger::{GRANT_PATTERNS_MAX, SCHEDULE_SECONDS_MAX, STATE_BYTES_GRANTED_MAX};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::values::{AccountName, ActionName, Limit, PatternName, PluginId};

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
    let credit = described("Issuers that the plugin may credit, which burns the asset.");
    let debit = described(
        "Accounts that the plugin may debit. An issuer in this list lets the \
                           plugin issue its asset.",
    );
    json_schema!({
        "description": "The permissions of a plugin beyond its own accounts and the caller's \
                        account.",
        "type": "object",
        "properties": {
            "read": read, "credit": credit, "debit": debit,
            "patterns": {
                "description": "Patterns of member accounts that the plugin may read or debit. \
                                Only patterns that are listed here are granted; `\"requested\"` \
                                grants none of them.",
                "type": "array", "maxItems": GRANT_PATTERNS_MAX,
                "items": generator.subschema_for::<PatternGrant>(),
            },
            "spend_per_call": {
                "description": "The most that may leave the caller's account in one call, by \
                                asset; assets that are not listed cannot leave it. Without this \
                                member there is no such limit.",
                "type": ["object", "null"],
                "additionalProperties": generator.subschema_for::<Limit>(),
            },
            "spend_per_member_per_day": caps(
                generator,
                "The most that may leave one member's accounts in a UTC day, by asset, held \
                 amounts included; assets that are not listed cannot leave them. Without this \
                 member there is no such limit.",
            ),
            "issue_per_day": caps(
                generator,
                "The most that the plugin may issue in a UTC day, by asset; assets that are not \
                 listed cannot be issued. Without this member there is no such limit.",
            ),
            "state_bytes": {
                "description": "The most bytes that the plugin's keys and values may occupy. \
                                Default 1 MiB.",
                "type": ["integer", "null"], "minimum": 0, "maximum": STATE_BYTES_GRANTED_MAX,
            },
            "fuel": {
                "description": "The fuel of one call: 10 million units for `small`, 50 million for \
                                `standard`, 500 million for `large`.",
                "type": "string", "enum": ["small", "standard", "large"],
            },
        },
        "additionalProperties": false,
    })
});

shape!(PatternGrant, |generator| json_schema!({
    "description": "The permissions of a plugin on all accounts that match a pattern. At least one \
                    of `read` and `debit` is required.",
    "type": "object",
    "properties": {
        "accounts": generator.subschema_for::<PatternName>(),
        "read": { "description": "Allows the plugin to read their balances.", "type": "boolean" },
        "debit": generator.subschema_for::<PatternCaps>(),
    },
    "required": ["accounts"],
    "additionalProperties": false,
}));

shape!(Admission, |generator| json_schema!({
    "description": "The accounts that a key with the scope `call` may open, for bots that only \
                    call plugins. The key can only open new accounts, without limits.",
    "type": "object",
    "properties": {
        "accounts": generator.subschema_for::<PatternName>(),
        "metadata": { "description": "Allows metadata on the new accounts.", "type": "boolean" },
    },
    "required": ["accounts"],
    "additionalProperties": false,
}));

shape!(AssetCaps, |generator| json_schema!({
    "description": "The most that may move, by asset.",
    "type": "object",
    "additionalProperties": generator.subschema_for::<Limit>(),
}));

shape!(PatternCaps, |generator| {
    let caps = generator.subschema_for::<AssetCaps>();
    let capped = |about: &str| {
        let mut caps = caps.clone();
        caps.insert("description".into(), json!(about));
        caps
    };
    let per_call = capped(
        "The most that may leave all accounts of the pattern together in one \
                           call, by asset.",
    );
    let per_member_per_day = capped(
        "The most that may leave one account of the pattern in a UTC \
                                     day, by asset.",
    );
    let per_day = capped(
        "The most that may leave all accounts of the pattern together in a UTC \
                          day, by asset.",
    );
    json_schema!({
        "description": "Limits on debits of the accounts of a pattern, by asset; assets that are \
                        not listed cannot be debited. Debits by a pattern never use credit and \
                        never place holds.",
        "type": ["object", "null"],
        "properties": {
            "per_call": per_call, "per_member_per_day": per_member_per_day, "per_day": per_day,
        },
        "required": ["per_call", "per_member_per_day", "per_day"],
        "additionalProperties": false,
    })
});

shape!(PatternWish, |generator| json_schema!({
    "description": "A pattern that a plugin requests. It is granted only if the operator lists it \
                    in `grants.patterns`, with limits.",
    "type": "object",
    "properties": {
        "accounts": generator.subschema_for::<PatternName>(),
        "read": { "type": "boolean" },
        "debit": { "type": "boolean", "const": true },
    },
    "required": ["accounts"],
}));

shape!(Permissions, |generator| json_schema!({
    "description": "The permissions that a manifest requests beyond the plugin's own accounts and \
                    the caller's account: the members of `Grants`, and `patterns`, which are never \
                    granted automatically.",
    "type": "object",
    "properties": {
        "patterns": {
            "type": "array", "maxItems": GRANT_PATTERNS_MAX,
            "items": generator.subschema_for::<PatternWish>(),
        },
    },
    "additionalProperties": true,
}));

fn caps(generator: &mut SchemaGenerator, about: &str) -> Value {
    json!({
        "description": about, "type": ["object", "null"],
        "additionalProperties": generator.subschema_for::<Limit>(),
    })
}

shape!(Missed, |_generator| json_schema!({
    "description": "The treatment of due times that the server missed. `catch_up`: each has its \
                    run. `skip`: they are left out.",
    "type": "string", "enum": ["catch_up", "skip"],
}));

shape!(Times, |_generator| json_schema!({
    "description": "The due times of a schedule: each multiple of `every_s` seconds since \
                    1970-01-01 UTC, plus `offset_s` seconds.",
    "type": "object",
    "properties": {
        "every_s": { "type": "integer", "minimum": 1, "maximum": SCHEDULE_SECONDS_MAX },
        "offset_s": { "type": "integer", "minimum": 0, "maximum": SCHEDULE_SECONDS_MAX },
    },
    "required": ["every_s"],
    "additionalProperties": false,
}));

shape!(Manifest, |generator| json_schema!({
    "description": "The manifest of a plugin. It has enough information to build slash commands.",
    "type": "object",
    "properties": {
        "id": generator.subschema_for::<PluginId>(),
        "version": { "type": "string" },
        "description": { "type": "string" },
        "license": { "type": "string" },
        "accounts": {
            "description": "The plugin's own accounts in addition to `plugin:{name}`.",
            "type": "array", "items": { "type": "string" },
        },
        "actions": { "type": "array", "items": generator.subschema_for::<Action>() },
        "configuration": {
            "description": "A JSON Schema of the configuration.",
            "type": ["object", "boolean"],
        },
        "permissions": generator.subschema_for::<Permissions>(),
        "holds": { "description": "The rules for the plugin's holds, by name.", "type": "object" },
        "schedules": {
            "description": "The actions that the plugin runs by itself, and their due times.",
            "type": "array", "items": { "type": "object", "additionalProperties": true },
        },
        "odds": {
            "description": "The average return of the plugin's games.",
            "type": "array", "items": { "type": "object", "additionalProperties": true },
        },
    },
    "required": [
        "id", "version", "description", "license", "accounts", "actions", "configuration",
        "permissions",
    ],
}));

shape!(Action, |generator| json_schema!({
    "description": "An action of a plugin.",
    "type": "object",
    "properties": {
        "name": generator.subschema_for::<ActionName>(),
        "description": { "type": "string" },
        "arguments": { "description": "A JSON Schema of the arguments.", "type": ["object", "boolean"] },
        "reply": { "description": "A JSON Schema of the reply.", "type": ["object", "boolean"] },
    },
    "required": ["name", "description", "arguments", "reply"],
}));

shape!(Finding, |generator| json_schema!({
    "description": "An error in a component.",
    "type": "object",
    "properties": {
        "code": { "type": "string" },
        "message": { "type": "string" },
        "hint": { "description": "Advice on how to correct the error.", "type": "string" },
        "pointer": {
            "description": "The place of the error in the manifest, as a JSON pointer (RFC 6901).",
            "type": "string",
        },
        "place": generator.subschema_for::<Place>(),
        "expected": {
            "description": "The expected type in WIT, or the expected version of the contract.",
            "type": "string",
        },
        "found": { "description": "The type or version found in the component.", "type": "string" },
        "nearest": {
            "description": "The most similar known name, which may be the intended one.",
            "type": "string",
        },
    },
    "required": ["code", "message"],
}));

shape!(Place, |_generator| json_schema!({
    "description": "A position in an uploaded component.",
    "type": "object",
    "properties": {
        "byte": {
            "description": "The offset in bytes.",
            "type": "integer",
            "minimum": 0,
        },
        "function": {
            "description": "The index of the enclosing function in its module.",
            "type": "integer",
            "minimum": 0,
        },
        "name": {
            "description": "The name of that function, if the module contains names.",
            "type": "string",
        },
    },
    "required": ["byte"],
}));

//! What plugins say of themselves and may do.

use std::borrow::Cow;

use bursar_ledger::{GRANT_PATTERNS_MAX, SCHEDULE_SECONDS_MAX, STATE_BYTES_GRANTED_MAX};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::{AccountName, ActionName, Limit, PatternName, PluginId};

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
            "patterns": {
                "description": "Accounts of members that it may read and debit by patterns. They are granted \
                                only where they are written out, whatever the manifest asks for.",
                "type": "array", "maxItems": GRANT_PATTERNS_MAX,
                "items": generator.subschema_for::<PatternGrant>(),
            },
            "spend_per_call": {
                "description": "The most that may leave the caller in one call, for each asset; \
                                of one that is not named, nothing. Absent: no such cap.",
                "type": ["object", "null"],
                "additionalProperties": generator.subschema_for::<Limit>(),
            },
            "spend_per_member_per_day": caps(
                generator,
                "The most that may leave one member in a day (of UTC), held amounts included; as above.",
            ),
            "issue_per_day": caps(
                generator,
                "The most that may be issued in a day (of UTC); as above.",
            ),
            "state_bytes": {
                "description": "Bytes of keys and values that the plugin may keep; 1 MiB where absent.",
                "type": ["integer", "null"], "minimum": 0, "maximum": STATE_BYTES_GRANTED_MAX,
            },
            "fuel": {
                "description": "How much it may compute in one call: 10, 50 or 500 million units.",
                "type": "string", "enum": ["small", "standard", "large"],
            },
        },
        "additionalProperties": false,
    })
});

shape!(PatternGrant, |generator| json_schema!({
    "description": "What a plugin may do with all accounts of a pattern: one of `read` and `debit` at least.",
    "type": "object",
    "properties": {
        "accounts": generator.subschema_for::<PatternName>(),
        "read": { "description": "Whether it may read their balances.", "type": "boolean" },
        "debit": generator.subschema_for::<PatternCaps>(),
    },
    "required": ["accounts"],
    "additionalProperties": false,
}));

shape!(Admission, |generator| json_schema!({
    "description": "The accounts that a key with the scope `call` may open, so that a bot which only calls plugins \
                    can admit members: new ones, without limits.",
    "type": "object",
    "properties": {
        "accounts": generator.subschema_for::<PatternName>(),
        "metadata": { "description": "Whether they may have metadata.", "type": "boolean" },
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
    let per_call = capped("The most in one call, of all of them together.");
    let per_member_per_day = capped("The most of one of them in a day (of UTC).");
    let per_day = capped("The most in a day (of UTC), of all of them together.");
    json_schema!({
        "description": "The most that a plugin may take of the accounts of a pattern, for each asset; of one \
                        that is not named, nothing. It takes no credit and places no holds.",
        "type": ["object", "null"],
        "properties": {
            "per_call": per_call, "per_member_per_day": per_member_per_day, "per_day": per_day,
        },
        "required": ["per_call", "per_member_per_day", "per_day"],
        "additionalProperties": false,
    })
});

shape!(PatternWish, |generator| json_schema!({
    "description": "A pattern that a plugin would like to be granted. The operator writes it out, with caps.",
    "type": "object",
    "properties": {
        "accounts": generator.subschema_for::<PatternName>(),
        "read": { "type": "boolean" },
        "debit": { "type": "boolean", "const": true },
    },
    "required": ["accounts"],
}));

shape!(Permissions, |generator| json_schema!({
    "description": "What a manifest asks for beyond the plugin's own accounts and the caller's: members as of \
                    grants, and patterns that are only wished for.",
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
    "description": "What becomes of due times that were missed: each has its run, or they are left out.",
    "type": "string", "enum": ["catch_up", "skip"],
}));

shape!(Times, |_generator| json_schema!({
    "description": "When a schedule is due: at each multiple of `every_s` since 1970 UTC, and \
                    `offset_s` later.",
    "type": "object",
    "properties": {
        "every_s": { "type": "integer", "minimum": 1, "maximum": SCHEDULE_SECONDS_MAX },
        "offset_s": { "type": "integer", "minimum": 0, "maximum": SCHEDULE_SECONDS_MAX },
    },
    "required": ["every_s"],
    "additionalProperties": false,
}));

shape!(Manifest, |generator| json_schema!({
    "description": "What a plugin says of itself: enough to build slash commands from.",
    "type": "object",
    "properties": {
        "id": generator.subschema_for::<PluginId>(),
        "version": { "type": "string" },
        "description": { "type": "string" },
        "license": { "type": "string" },
        "accounts": {
            "description": "Its own accounts beside `plugin:{name}`.",
            "type": "array", "items": { "type": "string" },
        },
        "actions": { "type": "array", "items": generator.subschema_for::<Action>() },
        "configuration": {
            "description": "JSON Schema of its configuration.",
            "type": ["object", "boolean"],
        },
        "permissions": generator.subschema_for::<Permissions>(),
        "holds": { "description": "How its holds end, by kind.", "type": "object" },
        "schedules": {
            "description": "What it does by itself, and when.",
            "type": "array", "items": { "type": "object", "additionalProperties": true },
        },
        "odds": {
            "description": "What its games return on average.",
            "type": "array", "items": { "type": "object", "additionalProperties": true },
        },
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

shape!(Finding, |generator| json_schema!({
    "description": "One thing that is wrong with a component.",
    "type": "object",
    "properties": {
        "code": { "type": "string" },
        "message": { "type": "string" },
        "hint": { "description": "What to do about it.", "type": "string" },
        "pointer": {
            "description": "Where it stands in the manifest, as a JSON pointer.",
            "type": "string",
        },
        "place": generator.subschema_for::<Place>(),
        "expected": {
            "description": "What the contract has there: a type in WIT, or a version.",
            "type": "string",
        },
        "found": { "description": "What the component has instead.", "type": "string" },
        "nearest": {
            "description": "What may have been meant: the name that comes nearest.",
            "type": "string",
        },
    },
    "required": ["code", "message"],
}));

shape!(Place, |_generator| json_schema!({
    "description": "A place in an upload.",
    "type": "object",
    "properties": {
        "byte": {
            "description": "How many bytes are before it.",
            "type": "integer",
            "minimum": 0,
        },
        "function": {
            "description": "The index of the function that it is in, in its module.",
            "type": "integer",
            "minimum": 0,
        },
        "name": {
            "description": "That function's name, if the module keeps names.",
            "type": "string",
        },
    },
    "required": ["byte"],
}));

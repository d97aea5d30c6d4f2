//! Schemas of the members of problems.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::books::KeyScope;
use super::plugins::Finding;
use super::values::{
    AccountName, Amount, AssetName, Limit, Number, PatternName, PluginId, PluginName, Position,
    Units, Uuid,
};

shape!(ConfigurationFinding, |_generator| json_schema!({
    "description": "An error in a configuration.",
    "type": "object",
    "properties": {
        "pointer": {
            "description": "The place of the error, as a JSON pointer into the configuration (RFC \
                            6901); empty for the whole configuration.",
            "type": "string",
        },
        "message": { "description": "A sentence for the operator: what is wrong.", "type": "string" },
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

/// Returns the members of problems that concern grants and revisions.
fn grant_members(generator: &mut SchemaGenerator) -> [(String, Value); 5] {
    let text = |description: &str| json!({ "description": description, "type": "string" });
    let accounts = generator.subschema_for::<PatternName>().to_value();
    let revision = generator.subschema_for::<Number>().to_value();
    [
        ("revision", revision),
        (
            "budget",
            text("The member of the grants whose budget is used up."),
        ),
        ("accounts", accounts),
        (
            "member",
            text("The member that cannot change, or the grant that is wider than requested."),
        ),
        (
            "asks",
            text("The value that the manifest requests for that member of the grants."),
        ),
    ]
    .map(|(name, schema)| (name.to_owned(), schema))
}

#[expect(clippy::too_many_lines, reason = "it is a table")]
fn problem_members(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            "pointer": {
                "description": "A JSON pointer to the invalid place in the body (RFC 6901).",
                "type": "string",
            },
            "parameter": { "description": "The invalid query parameter.", "type": "string" },
            "scope": generator.subschema_for::<KeyScope>(),
            "field": {
                "description": "The first difference between the two requests: a JSON pointer into \
                                the body, `method` or `path`.",
                "type": "string",
            },
            "missing": { "description": "The required member that is absent.", "type": "string" },
            "account": generator.subschema_for::<AccountName>(),
            "asset": generator.subschema_for::<AssetName>(),
            "available": {
                "description": "The amount that the account can spend, its credit limit included.",
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
                "description": "The index of the rejected transfer in an atomic batch, counted \
                                from 0.",
                "type": "integer", "minimum": 0,
            },
            "hold": generator.subschema_for::<Uuid>(),
            "remaining": generator.subschema_for::<Amount>(),
            "ended": { "description": "The way in which the hold ended; absent if it ended a \
                                       moment ago.", "type": "string" },
            "open": { "description": "The number of open holds.", "type": "integer", "minimum": 0 },
            "most": { "description": "The greatest number allowed.", "type": "integer", "minimum": 0 },
            "transfer": generator.subschema_for::<Uuid>(),
            "by": generator.subschema_for::<Uuid>(),
            "of": generator.subschema_for::<Uuid>(),
            "plugin": generator.subschema_for::<PluginName>(),
            "id": generator.subschema_for::<PluginId>(),
            "bound": generator.subschema_for::<PluginId>(),
            "call": {
                "description": "The id of the call. `GET …/calls/{call}` returns its receipt.",
                "type": "string", "format": "uuid",
            },
            "fuel": { "description": "The fuel that the call used.", "type": "integer", "format": "int64" },
            "decline": {
                "description": "The plugin's own reason for declining: a code for programs and a \
                                sentence for the member.",
                "type": "object",
                "properties": { "code": { "type": "string" }, "message": { "type": "string" } },
                "required": ["code", "message"],
            },
            "fault": { "description": "The fault of the plugin.", "type": "string" },
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

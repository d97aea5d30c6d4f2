//! Schemas of the reports about audits and backups.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::values::{Digest, EconomyName, SEGMENT, Timestamp};

shape!(AuditReport, |generator| json_schema!({
    "description": "The result of an audit.",
    "type": "object",
    "properties": {
        "ok": { "description": "True if every promise holds.", "type": "boolean" },
        "records": { "type": "integer", "format": "int64", "minimum": 0 },
        "movements": { "type": "integer", "format": "int64", "minimum": 0 },
        "promises": { "type": "array", "items": generator.subschema_for::<Promise>() },
        "economies": { "type": "array", "items": generator.subschema_for::<EconomyHead>() },
        "outside": {
            "description": "Accounts that are outside of their limits because an operator changed \
                            the limits or forced a reversal. They are not errors.",
            "type": "array", "items": generator.subschema_for::<Outside>(),
        },
        "clock": generator.subschema_for::<ClockView>(),
        "heads": {
            "description": "The results of the search for the given heads; absent if the request \
                            names none.",
            "type": "array", "items": generator.subschema_for::<FoundHead>(),
        },
    },
    "required": ["ok", "records", "movements", "promises", "economies", "outside"],
}));

shape!(ClockView, |generator| json_schema!({
    "description": "The time of the server, which stamps records, compared with the clock of the \
                    machine.",
    "type": "object",
    "properties": {
        "kept": generator.subschema_for::<Timestamp>(),
        "wall": generator.subschema_for::<Timestamp>(),
        "difference_ms": {
            "description": "The milliseconds by which the machine's clock is ahead of the server's \
                            time; negative if it is behind.",
            "type": "integer", "format": "int64",
        },
        "followed": {
            "description": "True if the difference is small enough for the server to follow the \
                            machine's clock by itself.",
            "type": "boolean",
        },
    },
    "required": ["kept", "wall", "difference_ms", "followed"],
}));

shape!(Promise, |_generator| json_schema!({
    "description": "The result of the check of one promise in `docs/promises.md`.",
    "type": "object",
    "properties": {
        "number": { "type": "integer", "minimum": 1 },
        "name": { "type": "string" },
        "ok": { "type": "boolean" },
        "checked": { "description": "A summary of the check.", "type": "string" },
        "findings": {
            "description": "The first 20 violations.",
            "type": "array", "items": { "type": "string" },
        },
    },
    "required": ["number", "name", "ok", "checked", "findings"],
}));

shape!(EconomyHead, |generator| json_schema!({
    "description": "The newest record of an economy.",
    "type": "object",
    "properties": {
        "economy": generator.subschema_for::<EconomyName>(),
        "seq": { "description": "The number of records in the log.", "type": "integer", "format": "int64", "minimum": 0 },
        "head": generator.subschema_for::<Digest>(),
    },
    "required": ["economy", "seq", "head"],
}));

shape!(Outside, |generator| json_schema!({
    "description": "An account that is outside of its limits, with the record that explains it.",
    "type": "object",
    "properties": {
        "economy": generator.subschema_for::<EconomyName>(),
        "what": { "type": "string" },
        "explained_by_seq": {
            "description": "The record that last changed the account's limits, or that was forced \
                            on it.",
            "type": "integer", "format": "int64", "minimum": 0,
        },
    },
    "required": ["economy", "what", "explained_by_seq"],
}));

shape!(SeenHead, |_generator| json_schema!({
    "description": "The hash of a record that a client has seen before, optionally with its \
                    economy: `HASH` or `ECONOMY:HASH`.",
    "type": "string", "pattern": format!("^({SEGMENT}:)?[0-9a-f]{{64}}$"),
}));

shape!(FoundHead, |generator| json_schema!({
    "description": "The result of the search for a head.",
    "type": "object",
    "properties": {
        "economy": {
            "description": "The economy that contains the head, or the economy of the request if \
                            no record has this hash.",
            "anyOf": [generator.subschema_for::<EconomyName>(), { "type": "null" }],
        },
        "head": generator.subschema_for::<Digest>(),
        "seq": {
            "description": "The number of the record with this hash; null if there is none.",
            "type": ["integer", "null"], "format": "int64", "minimum": 0,
        },
    },
    "required": ["economy", "head", "seq"],
}));

shape!(BackupReport, |generator| json_schema!({
    "description": "The result of a backup: a complete and verified copy of the database file.",
    "type": "object",
    "properties": {
        "path": { "description": "The path of the copy on the server.", "type": "string" },
        "bytes": { "description": "The size of the copy, in bytes.", "type": "integer", "format": "int64", "minimum": 0 },
        "records": { "type": "integer", "format": "int64", "minimum": 0 },
        "audited": { "description": "True if every record was replayed against the rules of the \
                                     ledger.", "type": "boolean" },
        "economies": { "type": "array", "items": generator.subschema_for::<EconomyHead>() },
    },
    "required": ["path", "bytes", "records", "audited", "economies"],
}));

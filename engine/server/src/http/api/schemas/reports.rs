//! What was found when the file was checked or copied.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{Digest, EconomyName, SEGMENT, Timestamp};

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
            "description": "Accounts outside of their limits, since an operator changed these or forced a reversal.",
            "type": "array", "items": generator.subschema_for::<Outside>(),
        },
        "clock": generator.subschema_for::<ClockView>(),
        "heads": {
            "description": "The heads that were looked for; absent if none was.",
            "type": "array", "items": generator.subschema_for::<FoundHead>(),
        },
    },
    "required": ["ok", "records", "movements", "promises", "economies", "outside"],
}));

shape!(ClockView, |generator| json_schema!({
    "description": "The time that records are stamped with, beside the clock of the machine.",
    "type": "object",
    "properties": {
        "kept": generator.subschema_for::<Timestamp>(),
        "wall": generator.subschema_for::<Timestamp>(),
        "difference_ms": {
            "description": "Milliseconds by which the machine is ahead; negative where it is behind.",
            "type": "integer", "format": "int64",
        },
        "followed": {
            "description": "Whether the difference is small enough to be made up for by itself.",
            "type": "boolean",
        },
    },
    "required": ["kept", "wall", "difference_ms", "followed"],
}));

shape!(Promise, |_generator| json_schema!({
    "description": "A promise of `docs/promises.md`.",
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
            "description": "The record that last changed the account's limits, or was forced on it.",
            "type": "integer", "format": "int64", "minimum": 0,
        },
    },
    "required": ["economy", "what", "explained_by_seq"],
}));

shape!(SeenHead, |_generator| json_schema!({
    "description": "The hash of a record that was seen before, alone or after its economy.",
    "type": "string", "pattern": format!("^({SEGMENT}:)?[0-9a-f]{{64}}$"),
}));

shape!(FoundHead, |generator| json_schema!({
    "description": "A head that was looked for.",
    "type": "object",
    "properties": {
        "economy": {
            "description": "Whose it was found to be, or was said to be.",
            "anyOf": [generator.subschema_for::<EconomyName>(), { "type": "null" }],
        },
        "head": generator.subschema_for::<Digest>(),
        "seq": {
            "description": "The record that has it; null if there is none.",
            "type": ["integer", "null"], "format": "int64", "minimum": 0,
        },
    },
    "required": ["economy", "head", "seq"],
}));

shape!(BackupReport, |generator| json_schema!({
    "description": "A copy that is there and verified.",
    "type": "object",
    "properties": {
        "path": { "description": "Where it is.", "type": "string" },
        "bytes": { "description": "Its size.", "type": "integer", "format": "int64", "minimum": 0 },
        "records": { "type": "integer", "format": "int64", "minimum": 0 },
        "audited": { "description": "Whether each record was decided again.", "type": "boolean" },
        "economies": { "type": "array", "items": generator.subschema_for::<EconomyHead>() },
    },
    "required": ["path", "bytes", "records", "audited", "economies"],
}));

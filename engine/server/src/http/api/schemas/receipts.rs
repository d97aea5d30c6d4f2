//! The schema of [`Receipt`](crate::receipt::Receipt), the receipt of a call.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::values::{Digest, EconomyName, IdempotencyKey, Posting, Timestamp, Uuid};

shape!(Receipt, |generator| {
    let mut hash = generator.subschema_for::<Digest>();
    let about = "The hash of the record. It covers all earlier records.";
    hash.insert("description".into(), about.into());
    json_schema!({
        "description": "The receipt of a call.",
        "type": "object",
        "properties": {
            "economy": generator.subschema_for::<EconomyName>(),
            "seq": {
                "description": "The number of the record in the economy's log.",
                "type": "integer", "format": "int64", "minimum": 0,
            },
            "version": {
                "description": "The version of Bursar that ran the call.", "type": "string",
            },
            "recorded_at": generator.subschema_for::<Timestamp>(),
            "hash": hash,
            "actor": {
                "description": "The name of the API key that sent the request.", "type": "string",
            },
            "idempotency_key": generator.subschema_for::<IdempotencyKey>(),
            "outcome": {
                "description": "The outcome of the call.",
                "type": "string",
                "enum": ["applied", "rejected", "declined", "faulted", "broken"],
            },
            "call": {
                "description": "The request to the plugin, all of the plugin's requests to the \
                                host with their responses, and the end of the call.",
                "type": "object", "additionalProperties": true,
            },
            "installation": {
                "description": "The installation of the plugin when it ran; absent if it did not \
                                run.",
                "type": "object", "additionalProperties": true,
            },
            "holds": {
                "description": "The holds of earlier calls that the call captured, released or \
                                secured; absent if there are none.",
                "type": "array", "items": generator.subschema_for::<ReceiptHold>(),
            },
            "postings": {
                "description": "The postings of the call.",
                "type": "array", "items": generator.subschema_for::<Posting>(),
            },
            "changes": {
                "description": "The other changes: holds, the plugin's keys and values, draws.",
                "type": "array", "items": { "type": "object", "additionalProperties": true },
            },
            "seed": {
                "description": "The commitment to the server seed, and the seed once it is \
                                revealed; absent if nothing was drawn.",
                "type": "object", "additionalProperties": true,
            },
        },
        "required": [
            "economy", "seq", "version", "recorded_at", "hash", "actor", "outcome", "call",
            "postings", "changes",
        ],
    })
});

shape!(ReceiptHold, |generator| {
    let mut left = generator.subschema_for::<Posting>();
    let about = "The posting that would capture the remaining amount.";
    left.insert("description".into(), about.into());
    json_schema!({
        "description": "A hold of an earlier call, in its state before this call.",
        "type": "object",
        "properties": { "hold": generator.subschema_for::<Uuid>(), "left": left },
        "required": ["hold", "left"],
    })
});

//! Schemas of names, amounts, times and other values that many objects contain.

use std::borrow::Cow;

use bursar_ledger::{AMOUNT_MAX, NAME_CHARS_MAX, POSTINGS_MAX};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::http::limits::NUMBER_MAX;

/// The pattern of one segment of a name.
pub(super) const SEGMENT: &str = "[a-z0-9][a-z0-9._-]{0,63}";

/// The greatest length of an issuer's name, in characters: `issuer:` and the name of the asset.
const ISSUER_CHARS_MAX: usize = NAME_CHARS_MAX + "issuer:".len();

shape!(Amount, |_generator| json_schema!({
    "description": "A positive amount: a whole number in the asset's smallest unit.",
    "type": "integer", "format": "int64", "minimum": 1, "maximum": AMOUNT_MAX,
}));

shape!(Limit, |_generator| json_schema!({
    "description": "A limit of a balance or of spending, in the asset's smallest unit.",
    "type": "integer", "format": "int64", "minimum": 0, "maximum": AMOUNT_MAX,
}));

shape!(Units, |_generator| json_schema!({
    "description": "A balance, or a change of one, in the asset's smallest unit.",
    "type": "integer", "format": "int64",
    "minimum": -i128::from(AMOUNT_MAX), "maximum": AMOUNT_MAX,
}));

shape!(Timestamp, |_generator| json_schema!({
    "description": "Milliseconds since 1970-01-01 UTC.",
    "type": "integer", "format": "int64", "minimum": 0, "maximum": NUMBER_MAX,
}));

shape!(Number, |_generator| json_schema!({
    "description": "The number of a record in the economy's log. The first record is number 1.",
    "type": "integer", "format": "int64", "minimum": 0, "maximum": NUMBER_MAX,
}));

shape!(Position, |_generator| json_schema!({
    "description": "A position in an economy's log: the number of a record and the first 16 \
                    hexadecimal digits of its hash. The hash detects that the history was \
                    replaced, for example because the file was restored from a backup. A number \
                    without a hash is accepted, too.",
    "type": "string", "pattern": "^[0-9]{1,16}(-[0-9a-f]{16})?$",
}));

shape!(EconomyName, |_generator| segment(
    "The name of an economy: the books of one community."
));

shape!(PluginName, |_generator| segment(
    "The name under which a plugin is installed in an economy."
));

shape!(PluginId, |_generator| segment(
    "The id of a plugin in its manifest."
));

shape!(KeyName, |_generator| segment("The name of an API key."));

shape!(WebhookName, |_generator| segment(
    "The name of a webhook of an economy."
));

fn segment(description: &str) -> Schema {
    json_schema!({
        "description": description,
        "type": "string", "pattern": format!("^{SEGMENT}$"), "maxLength": 64,
    })
}

shape!(ActionName, |_generator| json_schema!({
    "description": "The name of an action in the plugin's manifest.",
    "type": "string", "pattern": "^[a-z0-9_-]{1,64}$",
}));

shape!(AssetName, |_generator| json_schema!({
    "description": "The name of an asset: a currency such as `coin`, or an item such as \
                    `item:potion`. One to four segments joined by colons.",
    "type": "string", "pattern": format!("^{SEGMENT}(:{SEGMENT}){{0,3}}$"),
    "maxLength": NAME_CHARS_MAX,
}));

shape!(AccountName, |_generator| json_schema!({
    "description": "The name of an account: one to four segments joined by colons. The server \
                    creates the accounts `issuer:{asset}` with an asset and `plugin:{plugin}…` \
                    with a plugin.",
    "type": "string",
    // Names of accounts that are not issuers have a lower limit than `maxLength`.
    "pattern": format!(
        "^(issuer:{SEGMENT}(:{SEGMENT}){{0,3}}|\
         (?!(issuer|plugin)$)(?!.{{{}}}){SEGMENT}(:{SEGMENT}){{0,3}})$",
        NAME_CHARS_MAX + 1,
    ),
    "maxLength": ISSUER_CHARS_MAX,
}));

shape!(PatternName, |_generator| json_schema!({
    "description": "A pattern of accounts: one to three fixed segments, and a last `*` for one or \
                    more further segments. No pattern matches accounts of issuers or plugins.",
    "type": "string",
    "pattern": format!("^(?!(issuer|plugin):)(?!.{{{}}}){SEGMENT}(:{SEGMENT}){{0,2}}:\\*$", NAME_CHARS_MAX + 3),
    "maxLength": NAME_CHARS_MAX + 2,
}));

shape!(IdempotencyKey, |_generator| json_schema!({
    "description": "Identifies one intent: the same value in every attempt, a new value for each \
                    intent. For example a UUID, or the id of a Discord interaction.",
    "type": "string", "pattern": "^[!-~]([ -~]*[!-~])?$", "minLength": 1, "maxLength": 128,
}));

shape!(IdempotencyHeader, |_generator| json_schema!({
    "description": "An idempotency key, as plain text or as a quoted string (RFC 8941).",
    "type": "string", "pattern": "^[!#-~]([ -~]*[!-~])?$", "minLength": 1, "maxLength": 128,
}));

shape!(Bytes, |_generator| json_schema!({
    "description": "The bytes of a WebAssembly component.",
    "type": "string", "format": "binary",
}));

shape!(Stream, |_generator| json_schema!({
    "description": "Server-sent events. Each event has its position as `id`, the kind of its \
                    record as `event` and an `Event` as `data`. Lines that begin with `:` are \
                    comments that keep the connection open.",
    "type": "string", "contentMediaType": "text/event-stream",
}));

shape!(Lines, |_generator| json_schema!({
    "description": "Lines of JSON: a header, the economy's log from its first record, and a \
                    footer. A stream without a footer is incomplete.",
    "type": "string", "contentMediaType": "application/x-ndjson",
}));

shape!(
    Uuid,
    |_generator| json_schema!({ "type": "string", "format": "uuid" })
);

shape!(Digest, |_generator| json_schema!({
    "description": "A SHA-256 hash in hexadecimal digits.",
    "type": "string", "pattern": "^[0-9a-f]{64}$",
}));

shape!(Document, |_generator| json_schema!({
    "description": "Your own data: a JSON object of at most 32 levels. Bursar stores it and does \
                    not interpret it.",
    "type": "object", "additionalProperties": true,
}));

shape!(Retry, |_generator| json_schema!({
    "description": "Says if sending the request again can help. `same_key`: nothing was decided, \
                    or the result is not known; send the same request again under the same key. \
                    `new_key`: the result is final for this key, but a new request under a new key \
                    may succeed later. `never`: the same request fails again until something else \
                    changes.",
    "type": "string", "enum": ["same_key", "new_key", "never"],
}));

shape!(Posting, |generator| json_schema!({
    "description": "One movement: an amount of one asset from one account to another.",
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
pub(crate) struct PostingList;

impl JsonSchema for PostingList {
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

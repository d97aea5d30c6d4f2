//! What economies, accounts, assets, holds, keys and webhooks can be.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bursar_ledger::{
    ACCOUNT_LIMITS_MAX, Act, HOLD_SECONDS_MAX, Quota, RATE_PERIOD_S_MAX, RATE_REQUESTS_MAX, Scope,
    TRANSFER_CAP_ASSETS_MAX, WEBHOOK_URL_BYTES_MAX,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{AssetName, Limit};

shape!(EconomyStatus, |_generator| json_schema!({
    "description": "`frozen`: it is read and nothing moves but what ends, until it is `open` again. \
                    `closed`: the same, for ever.",
    "type": "string", "enum": ["open", "frozen", "closed"],
}));

shape!(AccountStatus, |_generator| json_schema!({
    "description": "`frozen`: nothing moves, until it is `open` again. `closed`: the same, and \
                    there is nothing on it.",
    "type": "string", "enum": ["open", "frozen", "closed"],
}));

shape!(AssetKind, |_generator| json_schema!({
    "description": "Money or a thing. Only money can be owed: of a thing no account has less than \
                    nothing. Else both follow the same rules; a bot shows them differently.",
    "type": "string", "enum": ["currency", "item"],
}));

shape!(KeyScope, |_generator| json_schema!({
    "description": "What a key allows. `admin` allows everything.",
    "type": "string", "enum": Scope::ALL.map(Scope::as_str),
}));

shape!(HoldSeconds, |_generator| json_schema!({
    "description": "For how long an amount is reserved, in seconds.",
    "type": "integer", "format": "int64", "minimum": 1, "maximum": HOLD_SECONDS_MAX,
}));

shape!(OnExpiry, |_generator| json_schema!({
    "description": "What becomes of what is left when the time is over. `release`: it can be spent \
                    again. `capture`: it goes where it was meant to go.",
    "type": "string", "enum": ["release", "capture"],
}));

shape!(Limits, |generator| json_schema!({
    "description": "Limits of an account, by asset.",
    "type": "object", "additionalProperties": generator.subschema_for::<Limit>(),
    "propertyNames": generator.subschema_for::<AssetName>(),
    "maxProperties": ACCOUNT_LIMITS_MAX,
}));

shape!(LimitsPatch, |generator| json_schema!({
    "description": "Limits of an account, by asset. An asset that is absent keeps its limit, `null` \
                    removes it.",
    "type": "object",
    "additionalProperties": {
        "anyOf": [generator.subschema_for::<Limit>(), { "type": "null" }],
    },
    "propertyNames": generator.subschema_for::<AssetName>(),
}));

shape!(TransferCap, |generator| json_schema!({
    "description": "The most that one request may move, by asset; of one that is not named, \
                    nothing.",
    "type": "object", "additionalProperties": generator.subschema_for::<Limit>(),
    "propertyNames": generator.subschema_for::<AssetName>(),
    "maxProperties": TRANSFER_CAP_ASSETS_MAX,
}));

shape!(QuotaLimits, |_generator| {
    let limits = Quota::ALL.map(|quota| {
        let limit = json_schema!({
            "description": format!(
                "The most {} of the economy; {} where none was set.",
                quota.counts(), quota.default_limit(),
            ),
            "type": ["integer", "null"], "format": "int64",
            "minimum": 0, "maximum": quota.max_limit(),
        });
        (quota.name(), limit)
    });
    json_schema!({
        "description": "The limits to change, by quota.",
        "type": "object",
        "properties": BTreeMap::from(limits),
        "additionalProperties": false,
    })
});

shape!(RateLimit, |_generator| json_schema!({
    "description": "How often a key may ask: so many requests at once, which come back evenly over \
                    the period.",
    "type": "object",
    "properties": {
        "requests": { "type": "integer", "minimum": 1, "maximum": RATE_REQUESTS_MAX },
        "per_s": {
            "description": "The period, in seconds.",
            "type": "integer", "minimum": 1, "maximum": RATE_PERIOD_S_MAX,
        },
    },
    "required": ["requests", "per_s"],
    "additionalProperties": false,
}));

shape!(WebhookUrl, |_generator| json_schema!({
    "description": "Where events are sent: `https://HOST[:PORT]/PATH`, without user, password or \
                    fragment, to an address of the internet at large; `http://` leads to this \
                    machine only.",
    "type": "string", "pattern": "^https?://[!-~]+$", "maxLength": WEBHOOK_URL_BYTES_MAX,
}));

shape!(EventKind, |_generator| json_schema!({
    "description": "What kind of act an event is about.",
    "type": "string", "enum": Act::KINDS,
}));

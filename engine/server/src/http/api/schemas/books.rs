//! Schemas of economies, accounts, assets, holds, keys and webhooks.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bursar_ledger::{
    ACCOUNT_LIMITS_MAX, Act, HOLD_SECONDS_MAX, Quota, RATE_PERIOD_S_MAX, RATE_REQUESTS_MAX, Scope,
    TRANSFER_CAP_ASSETS_MAX, WEBHOOK_URL_BYTES_MAX,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::values::{AssetName, Limit};

shape!(EconomyStatus, |_generator| json_schema!({
    "description": "`open`: everything is allowed. `frozen`: the economy can be read, holds can \
                    end, and nothing else moves until it is `open` again. `closed`: like `frozen`, \
                    and final.",
    "type": "string", "enum": ["open", "frozen", "closed"],
}));

shape!(AccountStatus, |_generator| json_schema!({
    "description": "`open`: everything is allowed. `frozen`: nothing moves on the account until it \
                    is `open` again. `closed`: nothing moves on the account, and its balances are \
                    zero.",
    "type": "string", "enum": ["open", "frozen", "closed"],
}));

shape!(AssetKind, |_generator| json_schema!({
    "description": "A currency or an item. Only a currency can have a negative balance within a \
                    credit limit; an item cannot. Otherwise both follow the same rules, and a bot \
                    may display them differently.",
    "type": "string", "enum": ["currency", "item"],
}));

shape!(KeyScope, |_generator| json_schema!({
    "description": "A permission of an API key. `admin` includes all others.",
    "type": "string", "enum": Scope::ALL.map(Scope::as_str),
}));

shape!(HoldSeconds, |_generator| json_schema!({
    "description": "The lifetime of a hold, in seconds.",
    "type": "integer", "format": "int64", "minimum": 1, "maximum": HOLD_SECONDS_MAX,
}));

shape!(OnExpiry, |_generator| json_schema!({
    "description": "The fate of the remaining amount when the hold expires. `release`: it can be \
                    spent again. `capture`: it moves to the hold's destination.",
    "type": "string", "enum": ["release", "capture"],
}));

shape!(Limits, |generator| json_schema!({
    "description": "Limits of an account, by asset.",
    "type": "object", "additionalProperties": generator.subschema_for::<Limit>(),
    "propertyNames": generator.subschema_for::<AssetName>(),
    "maxProperties": ACCOUNT_LIMITS_MAX,
}));

shape!(LimitsPatch, |generator| json_schema!({
    "description": "Limits of an account, by asset. An absent asset keeps its limit; `null` \
                    removes the limit.",
    "type": "object",
    "additionalProperties": {
        "anyOf": [generator.subschema_for::<Limit>(), { "type": "null" }],
    },
    "propertyNames": generator.subschema_for::<AssetName>(),
}));

shape!(TransferCap, |generator| json_schema!({
    "description": "The most that one request may move, by asset. Assets that are not listed \
                    cannot be moved.",
    "type": "object", "additionalProperties": generator.subschema_for::<Limit>(),
    "propertyNames": generator.subschema_for::<AssetName>(),
    "maxProperties": TRANSFER_CAP_ASSETS_MAX,
}));

shape!(QuotaLimits, |_generator| {
    let limits = Quota::ALL.map(|quota| {
        let limit = json_schema!({
            "description": format!(
                "The limit of {} in the economy. Default {}.",
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
    "description": "A rate limit: at most this many requests at once, replenished evenly over the \
                    period.",
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
    "description": "The URL to which events are sent: `https://HOST[:PORT]/PATH` without user, \
                    password or fragment. The host must have a public address; `http://` is \
                    allowed for the loopback address only.",
    "type": "string", "pattern": "^https?://[!-~]+$", "maxLength": WEBHOOK_URL_BYTES_MAX,
}));

shape!(EventKind, |_generator| json_schema!({
    "description": "The kind of an event: the kind of act that its record contains.",
    "type": "string", "enum": Act::KINDS,
}));

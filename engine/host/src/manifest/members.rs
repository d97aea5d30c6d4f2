//! The members of a manifest: their names, their shapes, and what each is for.

use bursar_ledger::{
    AMOUNT_MAX, AccountId, AccountPattern, AssetId, GRANT_PATTERNS_MAX, HOLD_RULES_MAX,
    HOLD_SECONDS_MAX, PLUGIN_ACCOUNTS_MAX, PluginId, SCHEDULE_SECONDS_MAX, SCHEDULES_MAX,
    STATE_BYTES_GRANTED_MAX,
};

use super::shape::{List, Member, Name, Names, Object, Shape, is_word};
use crate::limits::{ACTIONS_MAX, ODDS_MAX};

const fn required(name: &'static str, shape: &'static Shape, about: &'static str) -> Member {
    Member {
        name,
        required: true,
        about,
        shape,
    }
}

const fn optional(name: &'static str, shape: &'static Shape, about: &'static str) -> Member {
    Member {
        name,
        required: false,
        about,
        shape,
    }
}

const SEGMENT: &str = "^[a-z0-9][a-z0-9._-]{0,63}$";
const WORD: &str = "^[a-z0-9_-]{1,64}$";
const ASSET_RULE: &str = "^[a-z0-9][a-z0-9._-]{0,63}(:[a-z0-9][a-z0-9._-]{0,63}){0,3}$";
const ACCOUNT_RULE: &str = "^(issuer:)?[a-z0-9][a-z0-9._-]{0,63}(:[a-z0-9][a-z0-9._-]{0,63}){0,3}$";
const ISSUER_RULE: &str = "^issuer:[a-z0-9][a-z0-9._-]{0,63}(:[a-z0-9][a-z0-9._-]{0,63}){0,3}$";
const PATTERN_RULE: &str = r"^[a-z0-9][a-z0-9._-]{0,63}(:[a-z0-9][a-z0-9._-]{0,63}){0,2}:\*$";

/// A manifest.
pub(super) static MANIFEST: Shape = Shape::Object(Object {
    what: "the manifest",
    members: &[
        required(
            "id",
            &Shape::Name(&ID),
            "The plugin's id, by which its versions are told from other plugins.",
        ),
        required("version", &Shape::Text, "Its version."),
        required("description", &Shape::Text, "What it is, for people."),
        required("license", &Shape::Text, "Its licence."),
        required(
            "accounts",
            &ACCOUNTS,
            "Its own accounts beside `plugin:NAME`, of the name that it is installed under: `till` means `plugin:NAME:till`.",
        ),
        required("actions", &ACTIONS, "What it offers."),
        required(
            "configuration",
            &Shape::Schema,
            "JSON Schema of its configuration.",
        ),
        required(
            "permissions",
            &PERMISSIONS,
            "What it asks for beside its own accounts and the caller's.",
        ),
        optional("holds", &HOLDS, "How its holds end, by kind."),
        optional("schedules", &SCHEDULES, "What it does by itself."),
        optional("odds", &ODDS, "What its games return."),
    ],
});

static ACCOUNTS: Shape = Shape::List(List {
    what: "accounts",
    item: &Shape::Name(&OWN_ACCOUNT),
    least: 0,
    most: Some(PLUGIN_ACCOUNTS_MAX),
});

static ACTIONS: Shape = Shape::List(List {
    what: "actions",
    item: &Shape::Object(Object {
        what: "an action",
        members: &[
            required("name", &Shape::Name(&ACTION), "Its name in paths."),
            required("description", &Shape::Text, "What it does, for people."),
            required("arguments", &Shape::Schema, "JSON Schema of its arguments."),
            required("reply", &Shape::Schema, "JSON Schema of its reply."),
        ],
    }),
    least: 1,
    most: Some(ACTIONS_MAX),
});

static PERMISSIONS: Shape = Shape::Object(Object {
    what: "the permissions",
    members: &[
        optional("read", &NAMED_ACCOUNTS, "Accounts whose balances it reads."),
        optional(
            "credit",
            &ISSUERS,
            "Issuer accounts that it credits, that is, burns on. Any other account needs no permission.",
        ),
        optional(
            "debit",
            &NAMED_ACCOUNTS,
            "Accounts that it debits; an issuer here means that it issues.",
        ),
        optional(
            "patterns",
            &PATTERNS,
            "Accounts of members that it would read and debit by patterns: a wish, which only the operator's own words grant.",
        ),
        optional(
            "spend_per_call",
            &CAPS,
            "The most that leaves the caller in one call, per asset; an asset that is not named does not leave at all.",
        ),
        optional(
            "spend_per_member_per_day",
            &CAPS,
            "The most that leaves one member in a day (of UTC), per asset; as above.",
        ),
        optional(
            "issue_per_day",
            &CAPS,
            "The most that is issued in a day (of UTC), per asset; as above.",
        ),
        optional(
            "state_bytes",
            &Shape::Number {
                least: 0,
                most: STATE_BYTES_GRANTED_MAX,
            },
            "Bytes of state that it keeps; 1 MiB where absent.",
        ),
        optional(
            "fuel",
            &Shape::Word(&["small", "standard", "large"]),
            "How much it computes in one call.",
        ),
    ],
});

static NAMED_ACCOUNTS: Shape = Shape::List(List {
    what: "accounts",
    item: &Shape::Name(&ACCOUNT),
    least: 0,
    most: None,
});

static ISSUERS: Shape = Shape::List(List {
    what: "issuers",
    item: &Shape::Name(&ISSUER),
    least: 0,
    most: None,
});

static PATTERNS: Shape = Shape::List(List {
    what: "patterns",
    item: &Shape::Object(Object {
        what: "a pattern",
        members: &[
            required(
                "accounts",
                &Shape::Name(&PATTERN),
                "The accounts, such as `user:*`.",
            ),
            optional(
                "read",
                &Shape::Flag,
                "Whether it would read their balances.",
            ),
            optional(
                "debit",
                &Shape::True,
                "That it would debit them. The caps are the operator's.",
            ),
        ],
    }),
    least: 0,
    most: Some(GRANT_PATTERNS_MAX),
});

static CAPS: Shape = Shape::Names(Names {
    what: "assets",
    name: &ASSET,
    value: &Shape::Number {
        least: 0,
        most: AMOUNT_MAX,
    },
    most: None,
});

static HOLDS: Shape = Shape::Names(Names {
    what: "kinds of holds",
    name: &KIND,
    value: &Shape::Object(Object {
        what: "a kind of hold",
        members: &[
            required(
                "expires_in_s",
                &Shape::Number {
                    least: 1,
                    most: HOLD_SECONDS_MAX,
                },
                "Seconds until they end by themselves.",
            ),
            required(
                "on_expiry",
                &Shape::Word(&["release", "capture"]),
                "What becomes of them then.",
            ),
        ],
    }),
    most: Some(HOLD_RULES_MAX),
});

static SCHEDULES: Shape = Shape::List(List {
    what: "schedules",
    item: &Shape::Object(Object {
        what: "a schedule",
        members: &[
            required("name", &Shape::Name(&SCHEDULE), "Its name."),
            required("description", &Shape::Text, "What it does, for people."),
            optional(
                "reply",
                &Shape::Schema,
                "JSON Schema of its reply. Without one, it replies any JSON.",
            ),
            required(
                "every_s",
                &Shape::Number {
                    least: 1,
                    most: SCHEDULE_SECONDS_MAX,
                },
                "Seconds from one due time to the next.",
            ),
            optional(
                "offset_s",
                &Shape::Number {
                    least: 0,
                    most: SCHEDULE_SECONDS_MAX - 1,
                },
                "Seconds after each multiple of `every_s` since 1970-01-01 UTC; less than `every_s`.",
            ),
            required(
                "missed",
                &Shape::Word(&["catch_up", "skip"]),
                "What becomes of due times that were missed.",
            ),
        ],
    }),
    least: 0,
    most: Some(SCHEDULES_MAX),
});

static ODDS: Shape = Shape::List(List {
    what: "odds",
    item: &Shape::Object(Object {
        what: "stated odds",
        members: &[
            required("action", &Shape::Text, "The action that begins a round."),
            required("description", &Shape::Text, "What it is about, for people."),
            required("arguments", &Shape::Any, "Its arguments."),
            required("config", &Shape::Any, "The configuration."),
            required("stake", &STAKE, "What a member puts at stake."),
            required(
                "returns_ppm",
                &Shape::Number {
                    least: 0,
                    most: AMOUNT_MAX,
                },
                "What comes back on average, in millionths of the stake.",
            ),
            optional(
                "follow",
                &Shape::Text,
                "Where a reply says how the round goes on: a JSON pointer to an object of `action` and `arguments`.",
            ),
        ],
    }),
    least: 0,
    most: Some(ODDS_MAX),
});

static STAKE: Shape = Shape::Object(Object {
    what: "a stake",
    members: &[
        required("asset", &Shape::Name(&ASSET), "Which asset."),
        required(
            "amount",
            &Shape::Number {
                least: 1,
                most: AMOUNT_MAX,
            },
            "How much of it.",
        ),
    ],
});

static ID: Name = Name {
    what: "the id of a plugin",
    pattern: SEGMENT,
    check: |text| reason(text.parse::<PluginId>()),
};

static OWN_ACCOUNT: Name = Name {
    what: "the name of an account of the plugin's own",
    pattern: SEGMENT,
    // One segment, as an id.
    check: |text| reason(text.parse::<PluginId>()),
};

static ACTION: Name = Name {
    what: "the name of an action",
    pattern: WORD,
    check: word,
};

static SCHEDULE: Name = Name {
    what: "the name of a schedule",
    pattern: WORD,
    check: word,
};

static KIND: Name = Name {
    what: "the name of a kind of hold",
    pattern: WORD,
    check: word,
};

static ACCOUNT: Name = Name {
    what: "the name of an account",
    pattern: ACCOUNT_RULE,
    check: |text| reason(text.parse::<AccountId>()),
};

static ISSUER: Name = Name {
    what: "the name of an issuer",
    pattern: ISSUER_RULE,
    check: |text| {
        let account = text
            .parse::<AccountId>()
            .map_err(|error| error.to_string())?;
        if account.is_issuer() {
            return Ok(());
        }
        Err("crediting any other account needs no permission".into())
    },
};

static ASSET: Name = Name {
    what: "the name of an asset",
    pattern: ASSET_RULE,
    check: |text| reason(text.parse::<AssetId>()),
};

static PATTERN: Name = Name {
    what: "a pattern of accounts",
    pattern: PATTERN_RULE,
    check: |text| reason(text.parse::<AccountPattern>()),
};

fn word(text: &str) -> Result<(), String> {
    if is_word(text) {
        return Ok(());
    }
    Err("it has 1 to 64 of [a-z0-9_-]".into())
}

fn reason<T, E: ToString>(parsed: Result<T, E>) -> Result<(), String> {
    parsed.map(drop).map_err(|error| error.to_string())
}

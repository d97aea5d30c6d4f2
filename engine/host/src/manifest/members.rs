//! The members of a manifest: their names, shapes and descriptions.

use bursar_ledger::{
    AMOUNT_MAX, AccountId, AccountPattern, AssetId, GRANT_PATTERNS_MAX, HOLD_RULES_MAX,
    HOLD_SECONDS_MAX, PLUGIN_ACCOUNTS_MAX, PluginId, SCHEDULE_SECONDS_MAX, SCHEDULES_MAX,
    STATE_BYTES_GRANTED_MAX,
};

use super::shape::{ListShape, MapShape, MemberShape, NameRule, ObjectShape, Shape, is_word};
use crate::limits::{ACTIONS_MAX, ODDS_MAX};

const fn required(name: &'static str, shape: &'static Shape, about: &'static str) -> MemberShape {
    MemberShape {
        name,
        required: true,
        about,
        shape,
    }
}

const fn optional(name: &'static str, shape: &'static Shape, about: &'static str) -> MemberShape {
    MemberShape {
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

/// The shape of a manifest.
pub(super) static MANIFEST: Shape = Shape::Object(ObjectShape {
    noun: "the manifest",
    members: &[
        required(
            "id",
            &Shape::Name(&ID),
            "The plugin's id, which all its versions share.",
        ),
        required("version", &Shape::Text, "Its version."),
        required("description", &Shape::Text, "A description for people."),
        required("license", &Shape::Text, "Its licence."),
        required(
            "accounts",
            &ACCOUNTS,
            "Its accounts in addition to `plugin:NAME`, where NAME is the name of the installation: `till` means `plugin:NAME:till`.",
        ),
        required("actions", &ACTIONS, "Its actions."),
        required(
            "configuration",
            &Shape::Schema,
            "JSON Schema of its configuration.",
        ),
        required(
            "permissions",
            &PERMISSIONS,
            "The permissions that it requests beyond its own accounts and the caller's.",
        ),
        optional(
            "holds",
            &HOLDS,
            "The rules by which its holds end, by kind.",
        ),
        optional("schedules", &SCHEDULES, "Its schedules."),
        optional("odds", &ODDS, "The average returns of its games."),
    ],
});

static ACCOUNTS: Shape = Shape::List(ListShape {
    noun: "accounts",
    item: &Shape::Name(&OWN_ACCOUNT),
    least: 0,
    most: Some(PLUGIN_ACCOUNTS_MAX),
});

static ACTIONS: Shape = Shape::List(ListShape {
    noun: "actions",
    item: &Shape::Object(ObjectShape {
        noun: "an action",
        members: &[
            required("name", &Shape::Name(&ACTION), "Its name in paths."),
            required("description", &Shape::Text, "A description for people."),
            required("arguments", &Shape::Schema, "JSON Schema of its arguments."),
            required("reply", &Shape::Schema, "JSON Schema of its reply."),
        ],
    }),
    least: 1,
    most: Some(ACTIONS_MAX),
});

static PERMISSIONS: Shape = Shape::Object(ObjectShape {
    noun: "the permissions",
    members: &[
        optional("read", &NAMED_ACCOUNTS, "Accounts whose balances it reads."),
        optional(
            "credit",
            &ISSUERS,
            "Issuer accounts that it credits, which burns the amount. Crediting any other account needs no permission.",
        ),
        optional(
            "debit",
            &NAMED_ACCOUNTS,
            "Accounts that it debits. Debiting an issuer account issues the amount.",
        ),
        optional(
            "patterns",
            &PATTERNS,
            "Patterns of member accounts that it would read and debit. They are granted only if the operator writes them explicitly.",
        ),
        optional(
            "spend_per_call",
            &CAPS,
            "The maximum amount that one call debits from the caller, per asset. Other assets of the caller cannot be debited.",
        ),
        optional(
            "spend_per_member_per_day",
            &CAPS,
            "The maximum amount that is debited from one member in a UTC day, per asset. Other assets cannot be debited.",
        ),
        optional(
            "issue_per_day",
            &CAPS,
            "The maximum amount that is issued in a UTC day, per asset. Other assets cannot be issued.",
        ),
        optional(
            "state_bytes",
            &Shape::Number {
                least: 0,
                most: STATE_BYTES_GRANTED_MAX,
            },
            "Bytes of state that it may store; 1 MiB by default.",
        ),
        optional(
            "fuel",
            &Shape::Word(&["small", "standard", "large"]),
            "The class of fuel for one call.",
        ),
    ],
});

static NAMED_ACCOUNTS: Shape = Shape::List(ListShape {
    noun: "accounts",
    item: &Shape::Name(&ACCOUNT),
    least: 0,
    most: None,
});

static ISSUERS: Shape = Shape::List(ListShape {
    noun: "issuers",
    item: &Shape::Name(&ISSUER),
    least: 0,
    most: None,
});

static PATTERNS: Shape = Shape::List(ListShape {
    noun: "patterns",
    item: &Shape::Object(ObjectShape {
        noun: "a pattern",
        members: &[
            required(
                "accounts",
                &Shape::Name(&PATTERN),
                "The accounts, such as `user:*`.",
            ),
            optional(
                "read",
                &Shape::Flag,
                "True if it would read their balances.",
            ),
            optional(
                "debit",
                &Shape::True,
                "Present if it would debit them. The operator sets the caps.",
            ),
        ],
    }),
    least: 0,
    most: Some(GRANT_PATTERNS_MAX),
});

static CAPS: Shape = Shape::Map(MapShape {
    noun: "assets",
    name: &ASSET,
    value: &Shape::Number {
        least: 0,
        most: AMOUNT_MAX,
    },
    most: None,
});

static HOLDS: Shape = Shape::Map(MapShape {
    noun: "kinds of holds",
    name: &KIND,
    value: &Shape::Object(ObjectShape {
        noun: "a kind of hold",
        members: &[
            required(
                "expires_in_s",
                &Shape::Number {
                    least: 1,
                    most: HOLD_SECONDS_MAX,
                },
                "Seconds until they expire.",
            ),
            required(
                "on_expiry",
                &Shape::Word(&["release", "capture"]),
                "The effect of their expiry.",
            ),
        ],
    }),
    most: Some(HOLD_RULES_MAX),
});

static SCHEDULES: Shape = Shape::List(ListShape {
    noun: "schedules",
    item: &Shape::Object(ObjectShape {
        noun: "a schedule",
        members: &[
            required("name", &Shape::Name(&SCHEDULE), "Its name."),
            required("description", &Shape::Text, "A description for people."),
            optional(
                "reply",
                &Shape::Schema,
                "JSON Schema of its reply. Without one, a reply may be any JSON.",
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
                "The rule for due times that were missed.",
            ),
        ],
    }),
    least: 0,
    most: Some(SCHEDULES_MAX),
});

static ODDS: Shape = Shape::List(ListShape {
    noun: "odds",
    item: &Shape::Object(ObjectShape {
        noun: "stated odds",
        members: &[
            required("action", &Shape::Text, "The action that begins a round."),
            required("description", &Shape::Text, "A description for people."),
            required("arguments", &Shape::Any, "Its arguments."),
            required("config", &Shape::Any, "The configuration."),
            required("stake", &STAKE, "The stake of the member."),
            required(
                "returns_ppm",
                &Shape::Number {
                    least: 0,
                    most: AMOUNT_MAX,
                },
                "The average return in millionths of the stake.",
            ),
            optional(
                "follow",
                &Shape::Text,
                "A JSON pointer into a reply, to an object with the `action` and `arguments` that continue the round.",
            ),
        ],
    }),
    least: 0,
    most: Some(ODDS_MAX),
});

static STAKE: Shape = Shape::Object(ObjectShape {
    noun: "a stake",
    members: &[
        required("asset", &Shape::Name(&ASSET), "The asset."),
        required(
            "amount",
            &Shape::Number {
                least: 1,
                most: AMOUNT_MAX,
            },
            "The amount.",
        ),
    ],
});

static ID: NameRule = NameRule {
    noun: "the id of a plugin",
    pattern: SEGMENT,
    check: |text| reason(text.parse::<PluginId>()),
};

static OWN_ACCOUNT: NameRule = NameRule {
    noun: "the name of an account of the plugin",
    pattern: SEGMENT,
    // An own account's name is one segment, like an id.
    check: |text| reason(text.parse::<PluginId>()),
};

static ACTION: NameRule = NameRule {
    noun: "the name of an action",
    pattern: WORD,
    check: word,
};

static SCHEDULE: NameRule = NameRule {
    noun: "the name of a schedule",
    pattern: WORD,
    check: word,
};

static KIND: NameRule = NameRule {
    noun: "the name of a kind of hold",
    pattern: WORD,
    check: word,
};

static ACCOUNT: NameRule = NameRule {
    noun: "the name of an account",
    pattern: ACCOUNT_RULE,
    check: |text| reason(text.parse::<AccountId>()),
};

static ISSUER: NameRule = NameRule {
    noun: "the name of an issuer",
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

static ASSET: NameRule = NameRule {
    noun: "the name of an asset",
    pattern: ASSET_RULE,
    check: |text| reason(text.parse::<AssetId>()),
};

static PATTERN: NameRule = NameRule {
    noun: "a pattern of accounts",
    pattern: PATTERN_RULE,
    check: |text| reason(text.parse::<AccountPattern>()),
};

fn word(text: &str) -> Result<(), String> {
    if is_word(text) {
        return Ok(());
    }
    Err("it must be 1 to 64 of [a-z0-9_-]".into())
}

fn reason<T, E: ToString>(parsed: Result<T, E>) -> Result<(), String> {
    parsed.map(drop).map_err(|error| error.to_string())
}

//! Every reason for a no, in the order in which the ledger looks for them.

use expect_test::expect;

use super::script::World;
use crate::Rejection;

/// An economy in which each of the lines below is refused.
const SETUP: &str = "
    asset coin max_supply=1000
    account user:1
    account user:2 ceiling=50
    account user:7 status=frozen
    account user:8 status=closed
    key old scopes=read
    key dead scopes=read revoked=true
    issue user:1 coin 100
    plugin shop component=a enabled=true
    plugin off component=a
    webhook first url=https://bot.example";

/// One line for each rejection, in the order of the enum.
const LADDER: [&str; 23] = [
    "transfer issuer:coin -> user:1 coin 1",
    "transfer plugin:shop -> user:1 coin 1",
    "transfer user:1 -> user:2 coin 6 cap=coin/5",
    "account plugin:shop credit_limit=50",
    "call A off user:1; A reply",
    "plugin new enabled=true",
    "plugin shop grants=debit/user:2",
    "key old mode=create",
    "key dead mode=rotate",
    "key bot",
    "webhooks 15; webhook more url=https://bot.example",
    "webhook new",
    "transfer user:1 -> user:2 gem 1",
    "patch gem kind=item",
    "patch coin decimals=2",
    "transfer user:1 -> user:9 coin 1",
    "transfer user:1 -> user:7 coin 1",
    "transfer user:8 -> user:1 coin 1",
    "account user:1 status=closed",
    "transfer user:1 -> user:2 coin 101",
    "issue user:1 coin 901",
    "transfer user:1 -> user:2 coin 51",
    "call A shop user:1; A set stock x*1048576; A reply",
];

fn refuse(script: &str) -> Rejection {
    let mut world = World::after(SETUP);
    assert_eq!(world.said, "", "the setup goes through");
    world.run(script);
    let refused = world.rejections.pop();
    refused.unwrap_or_else(|| panic!("not refused: {script}\n{}", world.said))
}

fn code(rejection: &Rejection) -> String {
    let json = serde_json::to_value(rejection).expect("a rejection is JSON");
    json["code"]
        .as_str()
        .expect("a rejection has a code")
        .into()
}

/// The codes of all variants in the order of the enum, which serde lists when it meets another.
fn codes() -> Vec<String> {
    let unknown = serde_json::from_str::<Rejection>(r#"{"code":""}"#);
    let message = unknown.expect_err("no rejection has this code").to_string();
    let (_, listed) = message
        .split_once("expected one of")
        .expect("a list of codes");
    let quoted = listed.split('`').skip(1).step_by(2);
    quoted.map(Into::into).collect()
}

#[test]
fn every_rejection_can_be_provoked() {
    let rejections = LADDER.map(refuse);
    assert_eq!(rejections.each_ref().map(code).as_slice(), codes());

    let describe = |no: &Rejection| {
        let (class, retry) = (no.class(), no.retry());
        format!("{} ({class:?}, {retry:?}): {no}\n", code(no))
    };
    let described: String = rejections.iter().map(describe).collect();
    expect![[r#"
        issuer_account (Refused, Never): `issuer:coin` is an issuer: use issue or burn
        plugin_account (Refused, Never): `plugin:shop` belongs to a plugin: debiting it needs the scope `admin`
        transfer_cap (Refused, NewKey): this key moves at most 5 coin in one request, and 6 were asked
        reserved_account (Refused, Never): `plugin:shop` is made by the server, with the asset or the plugin
        plugin_disabled (Conflict, NewKey): the plugin `off` is disabled
        component_missing (Refused, NewKey): the plugin `new` is not installed yet: say which `component`
        grant_too_wide (Refused, Never): a grant can narrow what the manifest asks for, not widen it
        key_exists (Conflict, NewKey): there is a key `old` already
        key_revoked (Conflict, NewKey): the key `dead` is revoked
        key_incomplete (Refused, Never): a new key needs `scopes`
        webhooks_full (Refused, NewKey): an economy has at most 16 webhooks: remove one first
        webhook_incomplete (Refused, Never): a new webhook needs `url`
        asset_not_found (Refused, NewKey): the economy has no asset `gem`
        asset_incomplete (Refused, Never): a new asset needs `name`
        asset_fixed (Conflict, Never): `decimals` of an asset never changes
        account_not_found (Refused, NewKey): the economy has no account `user:9`
        account_frozen (Refused, NewKey): `user:7` is frozen
        account_closed (Refused, NewKey): `user:8` is closed
        account_not_empty (Conflict, NewKey): `user:1` has 100 coin: an account is closed when it has nothing
        insufficient_funds (Refused, NewKey): `user:1` can spend 100 coin, and 101 are required
        supply_limit (Refused, NewKey): 100 of at most 1000 coin are in circulation; 901 more are too many
        ceiling_exceeded (Refused, NewKey): `user:2` may hold 50 coin, has 0, and was to get 51
        state_quota (Refused, NewKey): the plugin `shop` would keep 1048581 bytes of state, of at most 1048576
    "#]].assert_eq(&described);
}

#[test]
fn rejection_survives_json() {
    for rejection in LADDER.map(refuse) {
        let json = serde_json::to_string(&rejection).expect("a rejection is JSON");
        let back = serde_json::from_str::<Rejection>(&json);
        assert_eq!(back.expect("JSON is a rejection"), rejection);
    }
}

/// Each line breaks the rule that is named and at least one that stands below it.
#[test]
fn first_broken_rule_is_the_answer() {
    for (expected, script) in [
        ("issuer_account", "transfer issuer:gem -> plugin:no gem 1"),
        ("issuer_account", "transfer plugin:no -> issuer:gem gem 1"),
        ("issuer_account", "issue issuer:gem gem max"),
        (
            "issuer_account",
            "transfer plugin:shop -> user:1 coin 1, issuer:coin -> user:1 coin 1",
        ),
        ("plugin_account", "transfer plugin:no -> user:9 gem 1"),
        ("plugin_account", "transfer plugin:shop -> user:2 coin 51"),
        (
            "plugin_account",
            "transfer plugin:shop -> user:1 coin 6 cap=coin/5",
        ),
        ("issuer_account", "burn issuer:coin coin 6 cap=coin/5"),
        ("transfer_cap", "transfer user:9 -> user:8 gem 6 cap=gem/5"),
        ("transfer_cap", "issue user:9 coin 901 cap=none"),
        ("reserved_account", "call A shop plugin:no; A reply"),
        ("reserved_account", "call A off plugin:no; A reply"),
        ("plugin_disabled", "call A off user:9; A reply"),
        ("component_missing", "plugin new grants=debit/user:2"),
        ("webhooks_full", "webhooks 16; webhook new"),
        ("asset_not_found", "issue user:9 gem 1"),
        (
            "asset_not_found",
            "transfer user:9 -> user:2 coin 1, user:1 -> user:2 gem 1",
        ),
        (
            "asset_not_found",
            "transfer user:1 -> user:2 coin 101, user:1 -> user:2 gem 1",
        ),
        ("asset_incomplete", "patch gem decimals=2"),
        ("asset_fixed", "patch coin kind=item max_supply=1"),
        ("account_not_found", "transfer user:1 -> user:9 coin 101"),
        (
            "account_not_found",
            "transfer user:1 -> user:2 coin 51, user:2 -> user:9 coin 1",
        ),
        ("account_not_found", "issue user:9 coin 901"),
        ("account_not_found", "transfer user:7 -> user:9 coin 1"),
        ("account_frozen", "transfer user:7 -> user:2 coin 101"),
        ("account_frozen", "call A shop user:7; A reply"),
        ("account_closed", "issue user:8 coin 901"),
        ("insufficient_funds", "transfer user:1 -> user:2 coin 101"),
        (
            "insufficient_funds",
            "call A shop user:1; A pay user:1 -> user:2 coin 101; A set stock x*1048576; A reply",
        ),
        ("supply_limit", "issue user:2 coin 901"),
        // Within one transfer the rules of money are asked posting by posting.
        (
            "ceiling_exceeded",
            "transfer user:1 -> user:2 coin 51, user:2 -> user:1 coin 999",
        ),
    ] {
        assert_eq!(code(&refuse(script)), expected, "{script}");
    }
}

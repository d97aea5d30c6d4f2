//! Every rejection, in the order in which the ledger looks for them.

use expect_test::expect;

use super::account_limits::with_most_limits;
use super::script::World;
use crate::{Rejection, SEEDS_HIDDEN_MAX};

/// An economy in which each of the lines below is refused.
const SETUP: &str = "
    asset coin max_supply=1000
    account user:1
    account user:2 ceiling=coin/50
    account user:7 status=frozen
    account user:8 status=closed
    key old scopes=read
    key dead scopes=read revoked=true
    issue user:1 coin 100
    plugin shop component=a enabled=true holds=stake/60/release
    plugin off component=a
    webhook first url=https://bot.example";

/// One line for each rejection, in the order of the enum.
const LADDER: [&str; 44] = [
    "economy frozen; transfer user:1 -> user:2 coin 1",
    "economy closed; issue user:1 coin 1",
    "hold 1 user:1 -> user:2 coin 1; economy closed",
    "transfer issuer:coin -> user:1 coin 1",
    "transfer plugin:shop -> user:1 coin 1",
    "call A shop user:1; A hold stake user:1 -> user:2 coin 1; A reply; release A/0",
    "transfer user:1 -> user:2 coin 6 cap=coin/5",
    "account plugin:shop credit_limit=coin/50",
    "account user:2 ceiling=coin/9 admits=user:*",
    "call A off user:1; A reply",
    "plugin new enabled=true",
    "plugin shop component=b of=bank",
    "plugin market component=a of=shop fixed=true",
    "roll_back shop",
    "roll_back shop to=9 config={}",
    "plugin shop config={} checked=b",
    "plugin shop times=none/60",
    "plugin shop grants=debit/user:2",
    "MOST SEEDS; rotate",
    "key old mode=create",
    "key dead mode=rotate",
    "key boss scopes=admin; key boss revoked=true",
    "key bot",
    "webhook new",
    "transfer user:1 -> user:2 gem 1",
    "patch gem kind=item",
    "patch coin decimals=2",
    "asset item:crown kind=item; account user:1 credit_limit=item:crown/1",
    "transfer user:1 -> user:9 coin 1",
    "transfer user:1 -> user:7 coin 1",
    "transfer user:8 -> user:1 coin 1",
    "account user:1 status=closed",
    "MOST LIMITS; account user:1 ceiling=coin/100",
    "reverse 2 of=1 user:1 -> user:2 coin 1; reverse 3 of=1 user:1 -> user:2 coin 1",
    "reverse 2 of=1 user:1 -> user:2 coin 1; reverse 3 of=2 user:2 -> user:1 coin 1",
    "capture 1 5",
    "hold 1 user:1 -> user:2 coin 9; capture 1 10",
    "quota holds=0; hold 1 user:1 -> user:2 coin 1",
    "transfer user:1 -> user:2 coin 101",
    "issue user:1 coin 901",
    "transfer user:1 -> user:2 coin 51",
    "call A shop user:1; A set stock x*1048576; A reply",
    "plugin shop component=b requests=daily/coin/9 grants=requested enabled=true; \
     call A shop user:1; A pay user:1 -> user:2 coin 10; A reply",
    "batch user:1 -> user:2 coin 1, user:1 -> user:2 coin 100",
];

fn refuse(script: &str) -> Rejection {
    let mut world = World::after(SETUP);
    assert_eq!(world.output, "", "the setup goes through");
    for line in script.split(';') {
        match line.trim() {
            "MOST LIMITS" => with_most_limits(&mut world),
            "MOST SEEDS" => world.run(&"rotate;".repeat(SEEDS_HIDDEN_MAX - 2)),
            line => world.run(line),
        }
    }
    let refused = world.rejections.pop();
    refused.unwrap_or_else(|| panic!("not refused: {script}\n{}", world.output))
}

fn code(rejection: &Rejection) -> String {
    let json = serde_json::to_value(rejection).expect("a rejection is JSON");
    json["code"]
        .as_str()
        .expect("a rejection has a code")
        .into()
}

/// Returns the codes of all variants in the order of the enum, which serde lists when it meets another.
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
        let class = no.class();
        let retry = no.retry();
        format!("{} ({class:?}, {retry:?}): {no}\n", code(no))
    };
    let described: String = rejections.iter().map(describe).collect();
    expect![[r#"
        economy_frozen (Refused, NewKey): the economy is frozen
        economy_closed (Refused, Never): the economy is closed
        holds_open (Conflict, NewKey): 1 holds are open: end them before the economy is closed
        issuer_account (Refused, Never): `issuer:coin` is an issuer: use issue or burn
        plugin_account (Refused, Never): `plugin:shop` belongs to a plugin: debiting it needs the scope `admin`
        plugin_hold (Refused, Never): the hold 559aead0-8264-d579-5d39-09718cdd05aa belongs to the plugin `shop`: ending it needs the scope `admin`
        transfer_cap (Refused, NewKey): this key moves at most 5 coin in one request, and 6 were requested
        reserved_account (Refused, Never): `plugin:shop` is created by the server, with the asset or the plugin
        not_admitted (Forbidden, Never): this key may only create accounts that match `user:*`, and not set `user:2` like this: changing an account needs the scope `transfer`, and `admin` for limits
        plugin_disabled (Conflict, NewKey): the plugin `off` is disabled
        component_missing (Refused, Never): the plugin `new` is not installed yet: `component` is required
        name_taken (Conflict, Never): the name `shop` is bound to the plugin `shop`, whose accounts are kept even if it is uninstalled: install `bank` under another name
        name_is_fixed (Conflict, Never): this component derives its accounts from its own id, `shop`, and cannot be installed as `market`: install it as `shop`, or build it against version 0.2.0 of the contract
        nothing_before (Conflict, NewKey): the plugin `shop` has no earlier component or configuration to restore
        revision_unknown (Refused, Never): the plugin `shop` has no revision 9, or it is too old: GET …/plugins/shop/revisions lists the available ones
        plugin_changed (Conflict, NewKey): the plugin `shop` was changed in the meantime: read it again and repeat the request
        schedule_unknown (Refused, Never): the plugin `shop` has no schedule `none`
        grant_too_wide (Refused, Never): `grants.debit` exceeds what the manifest requests: it does not request `user:2`; {"accounts": "user:*", "debit": {"per_call": {…}, "per_member_per_day": {…}, "per_day": {…}}} in `grants.patterns` needs no request
        seeds_hidden (Conflict, NewKey): 64 server seeds are not revealed yet: games that have drawn from them are open
        key_exists (Conflict, Never): the key `old` exists already
        key_revoked (Conflict, NewKey): the key `dead` is revoked
        last_admin_key (Conflict, NewKey): `boss` is the last admin key of every economy: create another one first, or set `"force": true`
        key_incomplete (Refused, Never): a new key needs `scopes`
        webhook_incomplete (Refused, Never): a new webhook needs `url`
        asset_not_found (Refused, NewKey): the economy has no asset `gem`
        asset_incomplete (Refused, Never): a new asset needs `name`
        asset_fixed (Conflict, Never): `decimals` of an asset never changes
        credit_on_item (Refused, Never): `item:crown` is an item: an account can owe money, and no items
        account_not_found (Refused, NewKey): the economy has no account `user:9`
        account_frozen (Refused, NewKey): `user:7` is frozen
        account_closed (Refused, NewKey): `user:8` is closed
        account_not_empty (Conflict, NewKey): `user:1` has 100 coin: an account is closed only when it is empty
        too_many_limits (Refused, NewKey): `user:1` may have a credit limit in 1024 assets and a ceiling in as many
        already_reversed (Conflict, Never): the transfer 00000000-0000-0000-0000-000000000001 was reversed by 00000000-0000-0000-0000-000000000002
        reversal_final (Conflict, Never): 00000000-0000-0000-0000-000000000002 is the reversal of 00000000-0000-0000-0000-000000000001: make a new transfer instead
        hold_closed (Conflict, Never): the hold 00000000-0000-0000-0000-000000000001 has ended
        hold_exceeded (Refused, Never): 9 are left of the hold 00000000-0000-0000-0000-000000000001, and 10 were requested
        quota_reached (Refused, NewKey): the economy has 0 open holds of at most 0, and this needs more: free some, or ask the operator to raise the quota `holds`
        insufficient_funds (Refused, NewKey): `user:1` can spend 100 coin, and 101 are required
        supply_limit (Refused, NewKey): 100 of at most 1000 coin are in circulation; 901 more are too many
        ceiling_exceeded (Refused, NewKey): `user:2` may hold 50 coin, has 0, and would receive 51
        state_quota (Refused, NewKey): the plugin `shop` would keep 1048581 bytes of state, of at most 1048576
        budget_exceeded (Refused, NewKey): `shop` may move 9 coin a day by `spend_per_member_per_day`, and this would make 10
        in_batch (Refused, NewKey): transfer 1: `user:1` can spend 99 coin, and 100 are required
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

/// Each line breaks the named rule and at least one later rule.
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
        ("webhook_incomplete", "webhooks 16; webhook new"),
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
        (
            "account_not_found",
            "quota holds=0; hold 1 user:1 -> user:9 coin 1",
        ),
        (
            "quota_reached",
            "quota holds=0; hold 1 user:1 -> user:2 coin 101",
        ),
        (
            "quota_reached",
            "account user:3; quota balances=0; transfer user:1 -> user:3 coin 101",
        ),
        ("insufficient_funds", "transfer user:1 -> user:2 coin 101"),
        (
            "insufficient_funds",
            "call A shop user:1; A pay user:1 -> user:2 coin 101; A set stock x*1048576; A reply",
        ),
        ("supply_limit", "issue user:2 coin 901"),
        // Within one transfer the rules of money are checked posting by posting.
        (
            "ceiling_exceeded",
            "transfer user:1 -> user:2 coin 51, user:2 -> user:1 coin 999",
        ),
    ] {
        assert_eq!(code(&refuse(script)), expected, "{script}");
    }
}

//! Transfer caps and rate limits of keys, at each limit and one beyond.

use std::collections::BTreeMap;

use expect_test::expect;

use super::calls::check_shop;
use super::script::{World, check, id};
use crate::{
    AMOUNT_MAX, Act, AssetId, Digest, KeyMode, KeyPatch, Limit, Patch, RATE_PERIOD_S_MAX,
    RATE_REQUESTS_MAX, RateLimit, RateLimitError, Rejection, Scope, TRANSFER_CAP_ASSETS_MAX,
    TransferCap, TransferCapError, Verdict,
};

#[test]
fn a_key_moves_no_more_than_its_cap() {
    check(
        "asset coin
         asset gem
         account user:1
         account user:2
         issue user:1 coin 100 cap=coin/100
         issue user:1 coin 101 cap=coin/100
         issue user:1 gem 1 cap=coin/100
         transfer user:1 -> user:2 coin 6, user:1 -> user:2 coin 4 cap=coin/10
         transfer user:1 -> user:2 coin 6, user:1 -> user:2 coin 5 cap=coin/10
         transfer user:1 -> user:2 coin 6, user:2 -> user:1 coin 5 cap=coin/10
         transfer user:1 -> user:2 coin 1, user:1 -> user:2 gem 1 cap=coin/10
         transfer user:1 -> user:2 coin 1 cap=none
         admin_transfer user:1 -> user:2 coin 11 cap=coin/10
         burn user:1 coin 10 cap=coin/10
         burn user:1 coin 11 cap=coin/10
         balance user:1 coin
         balance user:2 coin",
        &expect![[r#"
            issue user:1 coin 101 cap=coin/100: this key moves at most 100 coin in one request, and 101 were requested
            issue user:1 gem 1 cap=coin/100: this key moves at most 0 gem in one request, and 1 were requested
            transfer user:1 -> user:2 coin 6, user:1 -> user:2 coin 5 cap=coin/10: this key moves at most 10 coin in one request, and 11 were requested
            transfer user:1 -> user:2 coin 6, user:2 -> user:1 coin 5 cap=coin/10: this key moves at most 10 coin in one request, and 11 were requested
            transfer user:1 -> user:2 coin 1, user:1 -> user:2 gem 1 cap=coin/10: this key moves at most 0 gem in one request, and 1 were requested
            transfer user:1 -> user:2 coin 1 cap=none: this key moves at most 0 coin in one request, and 1 were requested
            admin_transfer user:1 -> user:2 coin 11 cap=coin/10: this key moves at most 10 coin in one request, and 11 were requested
            burn user:1 coin 11 cap=coin/10: this key moves at most 10 coin in one request, and 11 were requested
            balance user:1 coin: 80
            balance user:2 coin: 10
        "#]],
    );
}

#[test]
fn smallest_of_cap_limit_and_grant_holds_in_a_call() {
    let install = "plugin shop component=c grants=requested enabled=true requests=spend/coin/10";
    check_shop(
        &format!(
            "call A shop user:1 cap=coin/8
             A pay user:1 -> plugin:shop coin 9
             A pay user:1 -> plugin:shop gem 1
             A pay plugin:shop -> user:2 coin 50
             A pay user:1 -> plugin:shop coin 8
             A reply
             call B shop user:1 spend=coin/5,gem/5 cap=coin/8
             B pay user:1 -> plugin:shop coin 6
             B pay user:1 -> plugin:shop gem 1
             B pay user:1 -> plugin:shop coin 5
             {install}
             call C shop user:1 spend=coin/50 cap=coin/11
             C pay user:1 -> plugin:shop coin 11
             C pay user:1 -> plugin:shop coin 10"
        ),
        &expect![[r#"
            A pay user:1 -> plugin:shop coin 9: refused, 9 coin would leave the caller, and at most 8 may
            A pay user:1 -> plugin:shop gem 1: refused, 1 gem would leave the caller, and at most 0 may
            A reply: committed
            B pay user:1 -> plugin:shop coin 6: refused, 6 coin would leave the caller, and at most 5 may
            B pay user:1 -> plugin:shop gem 1: refused, 1 gem would leave the caller, and at most 0 may
            plugin shop component=c grants=requested enabled=true requests=spend/coin/10: changed
            C pay user:1 -> plugin:shop coin 11: refused, 11 coin would leave the caller, and at most 10 may
        "#]],
    );
}

/// An atomic batch is one request: the cap is for all of its transfers together.
#[test]
fn the_cap_of_a_key_bounds_a_batch_as_a_whole() {
    check(
        "asset coin
         account user:1
         account user:2
         issue user:1 coin 100
         batch user:1 -> user:2 coin 5, user:1 -> user:2 coin 6 cap=coin/10
         batch user:1 -> user:2 coin 5, user:2 -> user:1 coin 6 cap=coin/10
         batch user:1 -> user:2 coin 11, user:1 -> user:2 coin 1 cap=coin/10
         batch user:1 -> user:2 coin 5, user:1 -> user:2 coin 5 cap=coin/10
         balance user:2 coin",
        &expect![[r#"
            batch user:1 -> user:2 coin 5, user:1 -> user:2 coin 6 cap=coin/10: transfer 1: this key moves at most 10 coin in one request, and 11 were requested
            batch user:1 -> user:2 coin 5, user:2 -> user:1 coin 6 cap=coin/10: transfer 1: this key moves at most 10 coin in one request, and 11 were requested
            batch user:1 -> user:2 coin 11, user:1 -> user:2 coin 1 cap=coin/10: transfer 0: this key moves at most 10 coin in one request, and 11 were requested
            balance user:2 coin: 10
        "#]],
    );
}

#[test]
fn a_key_reverses_no_more_than_its_cap() {
    check(
        "asset coin
         account user:1
         account user:2
         issue user:1 coin 100
         reverse 2 of=1 user:1 -> user:2 coin 10 cap=coin/9
         reverse 2 of=1 user:1 -> user:2 coin 10 cap=coin/10
         balance user:2 coin",
        &expect![[r#"
            reverse 2 of=1 user:1 -> user:2 coin 10 cap=coin/9: this key moves at most 9 coin in one request, and 10 were requested
            balance user:2 coin: 10
        "#]],
    );
}

#[test]
fn a_sum_beyond_the_largest_amount_is_reported_as_the_largest() {
    let mut world = World::after("asset coin; account user:1; account user:2; account user:3");
    world.run("transfer user:1 -> user:2 coin max, user:2 -> user:3 coin max cap=coin/max");
    let Some(Rejection::TransferCap { cap, asked, .. }) = world.rejections.pop() else {
        panic!("{}", world.output);
    };
    assert_eq!((cap, asked), (Limit::MAX, Limit::MAX));
}

#[test]
fn a_key_keeps_its_limits_until_a_patch_changes_them() {
    let mut world = World::after("");
    let mut put = |patch: KeyPatch| {
        let act = Act::SetKey {
            key: id("bot"),
            patch: Box::new(patch),
            secret_hash: Digest::of(b"secret"),
            mode: KeyMode::Put,
        };
        let verdict = world.act(&act);
        let key = world.books.key(&id("bot")).expect("the key");
        let definition = key.definition.clone();
        (verdict, definition.transfer_cap, definition.rate_limit)
    };
    let cap = cap_of(1).expect("a cap");
    let rate = RateLimit::new(5, 10).expect("a rate");
    let (_, capped, limited) = put(KeyPatch {
        scopes: Some([Scope::Transfer].into()),
        transfer_cap: Patch::Set(cap.clone()),
        rate_limit: Patch::Set(rate),
        ..KeyPatch::default()
    });
    assert_eq!((capped, limited), (Some(cap.clone()), Some(rate)));
    let (verdict, capped, limited) = put(KeyPatch::default());
    assert_eq!(verdict, Verdict::Unchanged);
    assert_eq!((capped, limited), (Some(cap.clone()), Some(rate)));
    let (_, capped, limited) = put(KeyPatch {
        rate_limit: Patch::Clear,
        ..KeyPatch::default()
    });
    assert_eq!((capped, limited), (Some(cap), None));
    let (_, capped, _) = put(KeyPatch {
        transfer_cap: Patch::Clear,
        ..KeyPatch::default()
    });
    assert_eq!(capped, None);
}

fn cap_of(assets: usize) -> Result<TransferCap, TransferCapError> {
    let caps = (0..assets).map(|number| (id::<AssetId>(&format!("a{number}")), Limit::MAX));
    TransferCap::try_from(caps.collect::<BTreeMap<_, _>>())
}

#[test]
fn a_cap_names_up_to_64_assets_with_valid_amounts() {
    assert!(cap_of(TRANSFER_CAP_ASSETS_MAX).is_ok());
    assert_eq!(cap_of(TRANSFER_CAP_ASSETS_MAX + 1), Err(TransferCapError));
    let read = |text: &str| serde_json::from_str::<TransferCap>(text);
    assert!(read(&format!(r#"{{"coin":{AMOUNT_MAX}}}"#)).is_ok());
    for wrong in [
        r#"{"coin":9007199254740992}"#,
        r#"{"coin":-1}"#,
        r#"{"a b":1}"#,
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn rate_has_bounds_on_either_side() {
    let requests = RATE_REQUESTS_MAX;
    let seconds = RATE_PERIOD_S_MAX;
    assert!(RateLimit::new(1, 1).is_ok());
    let rate = RateLimit::new(5, 10).expect("a rate");
    assert_eq!((rate.requests(), rate.per_s()), (5, 10));
    assert!(RateLimit::new(requests, seconds).is_ok());
    for (requests, per_s) in [(0, 1), (1, 0), (requests + 1, 1), (1, seconds + 1)] {
        assert_eq!(RateLimit::new(requests, per_s), Err(RateLimitError));
        let text = format!(r#"{{"requests":{requests},"per_s":{per_s}}}"#);
        assert!(serde_json::from_str::<RateLimit>(&text).is_err(), "{text}");
    }
}

//! Postings: their order, and the bounds of every balance.

use expect_test::expect;
use uuid::Uuid;

use super::script::{World, check, id};
use crate::{
    Act, Amount, Authority, POSTINGS_MAX, Posting, Postings, PostingsError, Reservation,
    TransferId, TransferRequest, Verdict,
};

#[test]
fn a_posting_can_spend_the_amount_of_an_earlier_one() {
    check(
        "asset coin
         account user:1
         account user:2
         account user:3
         issue user:1 coin 100
         transfer user:1 -> user:2 coin 30, user:2 -> user:3 coin 5
         balance user:1 coin
         balance user:2 coin
         balance user:3 coin
         balance issuer:coin coin
         transfer user:3 -> user:2 coin 6, user:1 -> user:3 coin 6
         violations",
        &expect![[r#"
            balance user:1 coin: 70
            balance user:2 coin: 25
            balance user:3 coin: 5
            balance issuer:coin coin: -100
            transfer user:3 -> user:2 coin 6, user:1 -> user:3 coin 6: `user:3` can spend 5 coin, and 6 are required
            violations: none
        "#]],
    );
}

#[test]
fn refused_posting_undoes_those_before_it() {
    check(
        "asset coin
         account user:1
         account user:2
         issue user:1 coin 10
         transfer user:1 -> user:2 coin 10, user:2 -> user:1 coin 11
         balance user:1 coin
         balance user:2 coin",
        &expect![[r#"
            transfer user:1 -> user:2 coin 10, user:2 -> user:1 coin 11: `user:2` can spend 10 coin, and 11 are required
            balance user:1 coin: 10
            balance user:2 coin: 0
        "#]],
    );
}

#[test]
fn the_ceiling_holds_after_each_posting() {
    check(
        "asset coin
         account user:1
         account user:2 ceiling=coin/10
         issue user:1 coin 5
         issue user:2 coin 10
         transfer user:1 -> user:2 coin 5, user:2 -> user:1 coin 5
         transfer user:2 -> user:1 coin 5, user:1 -> user:2 coin 5
         balance user:2 coin",
        &expect![[r#"
            transfer user:1 -> user:2 coin 5, user:2 -> user:1 coin 5: `user:2` may hold 10 coin, has 10, and would receive 5
            balance user:2 coin: 10
        "#]],
    );
}

#[test]
fn the_balance_of_one_asset_never_pays_for_another() {
    check(
        "asset coin
         asset item:potion
         account user:1
         account user:2
         issue user:1 coin 10
         issue user:2 item:potion 1
         transfer user:1 -> user:2 item:potion 1
         transfer user:1 -> user:2 coin 10, user:2 -> user:1 item:potion 1
         balance user:1 coin
         balance user:1 item:potion
         balance user:2 coin
         balance user:2 item:potion",
        &expect![[r#"
            transfer user:1 -> user:2 item:potion 1: `user:1` can spend 0 item:potion, and 1 are required
            balance user:1 coin: 0
            balance user:1 item:potion: 1
            balance user:2 coin: 10
            balance user:2 item:potion: 0
        "#]],
    );
}

#[test]
fn the_floor_is_zero_or_the_credit_limit() {
    check(
        "asset coin
         account user:1
         account user:2 credit_limit=coin/50
         issue user:1 coin 10
         transfer user:1 -> user:2 coin 11
         transfer user:1 -> user:2 coin 10
         transfer user:2 -> user:1 coin 61
         transfer user:2 -> user:1 coin 60
         balance user:2 coin
         transfer user:2 -> user:1 coin 1
         violations",
        &expect![[r#"
            transfer user:1 -> user:2 coin 11: `user:1` can spend 10 coin, and 11 are required
            transfer user:2 -> user:1 coin 61: `user:2` can spend 60 coin, and 61 are required
            balance user:2 coin: -50
            transfer user:2 -> user:1 coin 1: `user:2` can spend 0 coin, and 1 are required
            violations: none
        "#]],
    );
}

#[test]
fn a_ceiling_is_reached_and_not_exceeded() {
    check(
        "asset coin
         account user:1 ceiling=coin/100
         issue user:1 coin 101
         issue user:1 coin 100
         issue user:1 coin 1
         account user:2 ceiling=coin/0
         transfer user:1 -> user:2 coin 1
         violations",
        &expect![[r#"
            issue user:1 coin 101: `user:1` may hold 100 coin, has 0, and would receive 101
            issue user:1 coin 1: `user:1` may hold 100 coin, has 100, and would receive 1
            transfer user:1 -> user:2 coin 1: `user:2` may hold 0 coin, has 0, and would receive 1
            violations: none
        "#]],
    );
}

#[test]
fn an_account_outside_its_limits_can_only_move_towards_them() {
    check(
        "asset coin
         account user:1
         account user:2 credit_limit=coin/50
         issue user:1 coin 100
         transfer user:2 -> user:1 coin 50
         account user:1 ceiling=coin/20
         account user:2 credit_limit=coin/10
         violations
         issue user:1 coin 1
         transfer user:2 -> user:1 coin 1
         transfer user:1 -> user:2 coin 30
         violations
         transfer user:2 -> user:1 coin 1
         transfer user:1 -> user:2 coin 100
         violations",
        &expect![[r#"
            account user:1 ceiling=coin/20: changed
            account user:2 credit_limit=coin/10: changed
            violations: user:1 has 150 coin, above its ceiling of 20; user:2 has -50 coin, below its floor of -10
            issue user:1 coin 1: `user:1` may hold 20 coin, has 150, and would receive 1
            transfer user:2 -> user:1 coin 1: `user:2` can spend 0 coin, and 1 are required
            violations: user:1 has 120 coin, above its ceiling of 20; user:2 has -20 coin, below its floor of -10
            transfer user:2 -> user:1 coin 1: `user:2` can spend 0 coin, and 1 are required
            violations: none
        "#]],
    );
}

#[test]
fn supply_ends_at_the_assets_maximum() {
    check(
        "asset coin max_supply=100
         account user:1
         issue user:1 coin 101
         issue user:1 coin 100
         issue user:1 coin 1
         burn user:1 coin 1
         issue user:1 coin 1
         balance issuer:coin coin
         patch coin max_supply=99
         patch coin max_supply=100
         patch coin max_supply=null
         issue user:1 coin 1",
        &expect![[r#"
            issue user:1 coin 101: 0 of at most 100 coin are in circulation; 101 more are too many
            issue user:1 coin 1: 100 of at most 100 coin are in circulation; 1 more are too many
            balance issuer:coin coin: -100
            patch coin max_supply=99: 100 of at most 99 coin are in circulation; 1 more are too many
            patch coin max_supply=100: unchanged
            patch coin max_supply=null: changed
        "#]],
    );
}

#[test]
fn the_supply_ends_at_the_largest_exact_json_number() {
    check(
        "asset coin
         account user:1
         account user:2
         issue user:1 coin max
         issue user:2 coin 1
         burn user:1 coin 1
         issue user:2 coin 2
         issue user:2 coin 1
         balance issuer:coin coin
         violations",
        &expect![[r#"
            issue user:2 coin 1: 9007199254740991 of at most 9007199254740991 coin are in circulation; 1 more are too many
            issue user:2 coin 2: 9007199254740990 of at most 9007199254740991 coin are in circulation; 2 more are too many
            balance issuer:coin coin: -9007199254740991
            violations: none
        "#]],
    );
}

#[test]
fn a_credit_limit_lifts_no_balance_over_the_maximum() {
    check(
        "asset coin
         account user:1
         account user:2 credit_limit=coin/max
         issue user:1 coin max-1
         transfer user:2 -> user:1 coin 2
         transfer user:2 -> user:1 coin 1
         transfer user:2 -> user:1 coin 1
         balance user:1 coin
         violations",
        &expect![[r#"
            transfer user:2 -> user:1 coin 2: `user:1` may hold 9007199254740991 coin, has 9007199254740990, and would receive 2
            transfer user:2 -> user:1 coin 1: `user:1` may hold 9007199254740991 coin, has 9007199254740991, and would receive 1
            balance user:1 coin: 9007199254740991
            violations: none
        "#]],
    );
}

#[test]
fn a_credit_limit_lowers_no_balance_below_the_minimum() {
    check(
        "asset coin
         account user:1
         account user:2 credit_limit=coin/max
         account user:3
         transfer user:2 -> user:1 coin max
         balance user:2 coin
         transfer user:2 -> user:3 coin 1
         violations",
        &expect![[r#"
            balance user:2 coin: -9007199254740991
            transfer user:2 -> user:3 coin 1: `user:2` can spend 0 coin, and 1 are required
            violations: none
        "#]],
    );
}

#[test]
fn burning_ends_at_what_was_issued() {
    check(
        "asset coin
         account user:1 credit_limit=coin/50
         issue user:1 coin 10
         burn user:1 coin 11
         burn user:1 coin 10
         burn user:1 coin 1
         account user:2
         burn user:2 coin 1",
        &expect![[r#"
            burn user:1 coin 11: `issuer:coin` may hold 0 coin, has -10, and would receive 11
            burn user:1 coin 1: `issuer:coin` may hold 0 coin, has 0, and would receive 1
            burn user:2 coin 1: `user:2` can spend 0 coin, and 1 are required
        "#]],
    );
}

#[test]
fn plugin_accounts_are_debited_only_by_admins() {
    check(
        "asset coin
         account user:1
         plugin shop component=a accounts=till
         issue plugin:shop:till coin 10
         transfer plugin:shop:till -> user:1 coin 4
         admin_transfer plugin:shop:till -> user:1 coin 4
         transfer user:1 -> plugin:shop coin 1
         admin_transfer issuer:coin -> user:1 coin 1
         admin_transfer user:1 -> issuer:coin coin 1
         balance plugin:shop:till coin
         balance user:1 coin",
        &expect![[r#"
            transfer plugin:shop:till -> user:1 coin 4: `plugin:shop:till` belongs to a plugin: debiting it needs the scope `admin`
            admin_transfer issuer:coin -> user:1 coin 1: `issuer:coin` is an issuer: use issue or burn
            admin_transfer user:1 -> issuer:coin coin 1: `issuer:coin` is an issuer: use issue or burn
            balance plugin:shop:till coin: 6
            balance user:1 coin: 3
        "#]],
    );
}

#[test]
fn transfer_takes_as_many_postings_as_allowed() {
    let mut world = World::after(
        "asset coin
         account user:1
         account user:2
         issue user:1 coin 64",
    );
    let posting = Posting {
        source: id("user:1"),
        destination: id("user:2"),
        asset: id("coin"),
        amount: Amount::ONE,
    };
    let most = Postings::new(vec![posting.clone(); POSTINGS_MAX]).expect("the most postings");
    let act = Act::Transfer(TransferRequest {
        id: TransferId(Uuid::nil()),
        postings: most,
        authority: Authority::Bot,
        cap: None,
    });
    let Verdict::Applied(decision) = world.act(&act) else {
        panic!("the transfer was refused: {:?}", world.rejections);
    };
    let last = decision.movements().last().expect("64 movements");
    assert_eq!((last.source_after, last.destination_after), (0, 64));

    let too_many = Postings::new(vec![posting; POSTINGS_MAX + 1]);
    assert_eq!(too_many, Err(PostingsError::TooMany));
}

#[test]
fn postings_are_not_empty_and_join_two_accounts() {
    assert_eq!(Postings::new(Vec::new()), Err(PostingsError::Empty));
    let posting = |source: &str| Posting {
        source: id(source),
        destination: id("user:2"),
        asset: id("coin"),
        amount: Amount::ONE,
    };
    let to_itself = vec![posting("user:1"), posting("user:2")];
    assert_eq!(
        Postings::new(to_itself.clone()),
        Err(PostingsError::SameAccount { index: 1 })
    );
    // The same rule applies to JSON.
    let json = serde_json::to_string(&to_itself).expect("postings are JSON");
    let error = serde_json::from_str::<Postings>(&json).expect_err("not a transfer");
    expect!["`from` and `to` of posting 1 are the same account"].assert_eq(&error.to_string());
}

#[test]
fn a_reservation_is_between_two_accounts() {
    let same = Posting {
        source: id("user:1"),
        destination: id("user:1"),
        asset: id("coin"),
        amount: Amount::ONE,
    };
    let refused = Reservation::try_from(same).err();
    assert_eq!(refused, Some(PostingsError::SameAccount { index: 0 }));
}

#[test]
fn the_spendable_amount_excludes_holds_and_includes_credit() {
    let world = World::after(
        "asset coin
         account user:1 credit_limit=coin/5
         account user:2
         issue user:1 coin 100
         hold 1 user:1 -> user:2 coin 30",
    );
    let account = world.books.account(&id("user:1")).expect("an account");
    assert_eq!(account.spendable(&id("coin")), 75);
}

//! The check of the invariants finds each kind of violation.

use std::sync::Arc;

use expect_test::{Expect, expect};
use uuid::Uuid;

use super::script::{World, id};
use crate::{
    Account, Amount, AssetId, Balance, Books, EconomyStatus, Hold, HoldId, Limit, OnExpiry,
    PluginName, Posting, Reversal, Timestamp, TransferId, check,
};

/// Creates valid books, breaks them, and compares the violations.
fn check_broken(break_: impl FnOnce(&mut Books), expected: &Expect) {
    let mut books = World::after(
        "asset coin max_supply=1000
         account user:1 credit_limit=coin/50 ceiling=coin/100
         account user:2
         plugin shop component=a enabled=true
         issue user:1 coin 90
         call A shop user:1
         A set stock 3
         A reply",
    )
    .books;
    assert_eq!(check(&books), [], "the books are well before");
    break_(&mut books);
    let found = check(&books);
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    expected.assert_eq(&lines.join("\n"));
}

fn account<'a>(books: &'a mut Books, account: &str) -> &'a mut Account {
    books.accounts.get_mut_or_add(&id(account))
}

/// Sets the balance of one account, without a counterpart.
fn set(books: &mut Books, of: &str, asset: &str, posted: i64, held: u64) {
    let held = Limit::new(held).expect("a limit");
    let before = account(books, of)
        .balances
        .insert(id(asset), Balance { posted, held });
    books.usage.balances += u64::from(before.is_none());
}

#[test]
fn balances_that_do_not_sum_to_zero_are_found() {
    check_broken(
        |books| set(books, "user:2", "coin", 1, 0),
        &expect!["the balances of coin sum to 1, not to zero"],
    );
    check_broken(
        |books| set(books, "user:1", "coin", 89, 0),
        &expect!["the balances of coin sum to -1, not to zero"],
    );
    check_broken(
        |books| set(books, "issuer:coin", "coin", 0, 0),
        &expect!["the balances of coin sum to 90, not to zero"],
    );
}

#[test]
fn balances_of_unknown_assets_are_found() {
    check_broken(
        |books| set(books, "user:1", "gem", 0, 0),
        &expect!["user:1 has a balance in gem, which does not exist"],
    );
    check_broken(
        |books| drop(books.assets.remove(&id::<AssetId>("coin"))),
        &expect![[r#"
            issuer:coin has a balance in coin, which does not exist
            user:1 has a balance in coin, which does not exist
            there are 1 asset numbers and 0 assets
            user:1 has a credit limit in coin, which is no currency"#]],
    );
}

#[test]
fn issuers_of_other_assets_are_found() {
    check_broken(
        |books| {
            let gem = World::after("asset gem").books.assets;
            books.assets.extend(gem);
            books.numbers.number_asset(&id("gem"));
            set(books, "issuer:coin", "gem", -5, 0);
            set(books, "user:2", "gem", 5, 0);
        },
        &expect!["issuer:coin has a balance in gem, which it does not issue"],
    );
}

#[test]
fn balances_beyond_the_largest_amount_are_found() {
    let most = (1 << 53) - 1;
    check_broken(
        |books| {
            set(books, "user:2", "coin", most, 0);
            set(books, "user:3", "coin", -most, 0);
        },
        &expect!["user:3 has -9007199254740991 coin, below its floor of 0"],
    );
    check_broken(
        |books| {
            set(books, "user:2", "coin", most + 1, 0);
            set(books, "user:3", "coin", -most - 1, 0);
        },
        &expect![[r#"
            user:2 has 9007199254740992 coin, beyond ±(2^53 - 1)
            user:3 has -9007199254740992 coin, beyond ±(2^53 - 1)"#]],
    );
}

#[test]
fn balances_below_their_floor_are_found() {
    check_broken(
        |books| {
            set(books, "user:1", "coin", -50, 0);
            set(books, "user:2", "coin", 140, 0);
        },
        &expect![[""]],
    );
    check_broken(
        |books| {
            set(books, "user:1", "coin", -51, 0);
            set(books, "user:2", "coin", 141, 0);
        },
        &expect!["user:1 has -51 coin, below its floor of -50"],
    );
    check_broken(
        |books| {
            set(books, "issuer:coin", "coin", -1_001, 0);
            set(books, "user:2", "coin", 911, 0);
        },
        &expect!["issuer:coin has -1001 coin, below its floor of -1000"],
    );
}

#[test]
fn balances_above_their_ceiling_are_found() {
    check_broken(
        |books| {
            set(books, "user:1", "coin", 100, 0);
            set(books, "issuer:coin", "coin", -100, 0);
        },
        &expect![[""]],
    );
    check_broken(
        |books| {
            set(books, "user:1", "coin", 101, 0);
            set(books, "issuer:coin", "coin", -101, 0);
        },
        &expect!["user:1 has 101 coin, above its ceiling of 100"],
    );
    check_broken(
        |books| {
            set(books, "user:1", "coin", -1, 0);
            set(books, "issuer:coin", "coin", 1, 0);
        },
        &expect!["issuer:coin has 1 coin, above its ceiling of 0"],
    );
}

#[test]
fn holds_that_exceed_a_balance_are_found() {
    let hold = |books: &mut Books, amount: u64| {
        set(books, "user:1", "coin", 90, amount);
        let posting = Posting {
            source: id("user:1"),
            destination: id("user:2"),
            asset: id("coin"),
            amount: Amount::new(amount).expect("an amount"),
        };
        let hold = Hold {
            remaining: posting.amount,
            reservation: posting.try_into().expect("two accounts"),
            placed_at: Timestamp(1),
            expires_at: Timestamp(2),
            due_at: Timestamp(2),
            on_expiry: OnExpiry::Release,
            plugin: None,
            seed: None,
            outage_until: None,
        };
        assert!(books.holds.insert(HoldId(Uuid::nil()), Arc::new(hold)));
    };
    check_broken(|books| hold(books, 140), &expect![[""]]);
    check_broken(
        |books| hold(books, 141),
        &expect!["user:1 holds 141 of 90 coin"],
    );
}

#[test]
fn held_amounts_without_their_hold_are_found() {
    check_broken(
        |books| set(books, "user:1", "coin", 90, 40),
        &expect!["user:1 holds 40 coin, and its open holds sum to 0"],
    );
}

#[test]
fn holds_in_a_closed_economy_are_found() {
    check_broken(
        |books| {
            let mut world =
                World::after("asset coin; account user:1; account user:2; issue user:1 coin 5");
            world.run("hold 1 user:1 -> user:2 coin 1");
            *books = world.books;
            books.status = EconomyStatus::Closed;
        },
        &expect!["the economy is closed, and 1 holds are open"],
    );
}

#[test]
fn reversals_tied_on_one_side_only_are_found() {
    let transfer = |number| TransferId(Uuid::from_u128(number));
    check_broken(
        |books| {
            books
                .reversals
                .insert(transfer(1), Reversal::By(transfer(2)));
        },
        &expect![
            "the transfer 00000000-0000-0000-0000-000000000001 is linked to a reversal, but not the reversal to it"
        ],
    );
}

#[test]
fn a_name_bound_to_another_plugin_is_found() {
    check_broken(
        |books| {
            books.bound_names.insert(id("shop"), id("bank"));
        },
        &expect!["the name shop is bound to `bank`, and `shop` is installed under it"],
    );
    check_broken(
        |books| {
            books.bound_names.remove(&id::<PluginName>("shop"));
        },
        &expect!["the name shop is bound to no plugin, and `shop` is installed under it"],
    );
}

#[test]
fn numbers_of_other_accounts_are_found() {
    check_broken(
        |books| {
            account(books, "user:1").number.0 += 1;
        },
        &expect!["user:1 has the number 2, which stands for `user:2`"],
    );
    check_broken(
        |books| {
            account(books, "user:1").number.0 = 99;
        },
        &expect!["user:1 has the number 99, which stands for no account"],
    );
}

#[test]
fn numbers_without_an_account_are_found() {
    check_broken(
        |books| books.accounts.remove(&id("user:2")),
        &expect!["there are 4 account numbers and 3 accounts"],
    );
}

#[test]
fn assets_without_a_number_are_found() {
    check_broken(
        |books| {
            let gem = World::after("asset gem").books;
            books.assets.extend(gem.assets);
        },
        &expect![[r#"
            the number of gem stands for no asset
            there are 1 asset numbers and 2 assets"#]],
    );
}

#[test]
fn a_wrong_count_of_state_bytes_is_found() {
    let plugin = |books: &mut Books, bytes: usize| {
        let plugin = books
            .plugins
            .get_mut(&id::<PluginName>("shop"))
            .expect("it is installed");
        Arc::make_mut(plugin).state_bytes = bytes;
    };
    check_broken(|books| plugin(books, 6), &expect![[""]]);
    check_broken(
        |books| plugin(books, 5),
        &expect!["the state of plugin shop is 6 bytes, not 5"],
    );
}

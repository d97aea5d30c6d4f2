//! The fuel of slow operators.

use super::economy::{finish, replied};
use super::guest::{Guest, times};

/// The fields of a guest for the operators below.
const FIELDS: &str = "(table $t 64 funcref) (func $f) (global $x (mut f64) (f64.const 1))
    (global $n (mut i64) (i64.const 9)) (elem $e func $f $f $f $f)";

/// Returns the fuel of an expression.
fn price(expression: &str) -> u64 {
    const TIMES: usize = 100;
    let fuel = |body: &str| {
        let mut guest = Guest::doing(&times(TIMES, body));
        guest.fields = FIELDS.into();
        let outcome = finish(&guest);
        assert!(replied(&outcome.ending), "{:?}", outcome.ending);
        outcome.fuel
    };
    (fuel(expression) - fuel("")) / TIMES as u64
}

/// These operators take a hundred times as long as an addition.
#[test]
fn slow_operators_cost_more_fuel() {
    let addition = price("(drop (i32.add (local.get $i) (i32.const 1)))");
    assert!(addition < 5, "{addition}");
    for slow in [
        "(drop (memory.grow (i32.const 0)))",
        "(drop (table.grow $t (ref.null func) (i32.const 0)))",
        "(drop (ref.func $f))",
    ] {
        assert!(price(slow) >= 200, "{slow}: {}", price(slow));
    }
    for call in [
        "(memory.fill (i32.const 512) (i32.const 0) (i32.const 0))",
        "(table.init $t $e (i32.const 0) (i32.const 0) (i32.const 0))",
        "(elem.drop $e)",
    ] {
        assert!(price(call) >= 40, "{call}: {}", price(call));
    }
}

#[test]
fn each_page_and_element_has_its_price() {
    let page = "(drop (memory.grow (i32.const 1)))";
    assert!(price(page) >= 200 + 255, "{}", price(page));
    let difference = |expression: &str| {
        let by = |count: &str| price(&expression.replace("COUNT", count));
        by("3") - by("1")
    };
    for (expression, each) in [
        (
            "(drop (table.grow $t (ref.null func) (i32.const COUNT)))",
            5,
        ),
        (
            "(table.copy $t $t (i32.const 0) (i32.const 9) (i32.const COUNT))",
            5,
        ),
        (
            "(table.init $t $e (i32.const 0) (i32.const 0) (i32.const COUNT))",
            5,
        ),
        (
            "(table.fill $t (i32.const 0) (ref.null func) (i32.const COUNT))",
            2,
        ),
        (
            "(memory.copy (i32.const 512) (i32.const 9) (i32.const COUNT))",
            1,
        ),
        (
            "(memory.fill (i32.const 512) (i32.const 9) (i32.const COUNT))",
            1,
        ),
    ] {
        assert_eq!(difference(expression), 2 * each, "{expression}");
    }
}

#[test]
fn divisions_and_roots_cost_more_than_sums() {
    for (expression, least) in [
        (
            "(global.set $n (i64.div_u (i64.const -1) (i64.or (global.get $n) (i64.const 7))))",
            5,
        ),
        (
            "(global.set $n (i64.rem_s (i64.const -1) (i64.or (global.get $n) (i64.const 7))))",
            5,
        ),
        ("(global.set $x (f64.div (f64.const 1) (global.get $x)))", 8),
        ("(global.set $x (f64.sqrt (global.get $x)))", 12),
        ("(global.set $x (f64.nearest (global.get $x)))", 5),
    ] {
        assert!(
            price(expression) >= least,
            "{expression}: {}",
            price(expression)
        );
    }
}

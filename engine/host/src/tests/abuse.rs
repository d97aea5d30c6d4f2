//! Guests that use as much as the limits allow, and more.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::economy::{checked, draft, fault, fault_of, finish, host, load, patient, replied};
use super::guest::{Guest, times};
use crate::Limits;
use crate::limits::{LOG_BYTES_MAX, REPLY_BYTES_MAX};

/// Pages of 64 KiB in the memory of a call.
const PAGES: usize = Limits::standard().memory_bytes / 65_536;

#[test]
fn two_memories_are_each_bounded() {
    let both = |first: usize, second: usize| {
        let mut guest = Guest::doing(&format!(
            "(drop (memory.grow 0 (i32.const {first}))) (drop (memory.grow 1 (i32.const {second})))"
        ));
        guest.fields = "(memory 1)".into();
        guest
    };
    assert!(replied(&finish(&both(PAGES - 16, PAGES - 1)).ending));
    for beyond in [both(PAGES - 15, 0), both(PAGES - 16, PAGES)] {
        let fault = fault(&beyond);
        assert!(fault.contains("growing memory"), "{fault}");
    }
}

/// Returns a guest that replies a list of empty texts.
fn empty_texts(count: usize) -> Guest {
    let mut guest = Guest::new();
    let length = 3 * count + 1;
    // The guest writes the reply itself, because a data segment cannot have a megabyte of texts.
    let write = times(
        count,
        "(i32.store8 (i32.add (i32.const 4194304) (i32.mul (local.get $i) (i32.const 3))) (i32.const 44))
         (i32.store16 (i32.add (i32.const 4194305) (i32.mul (local.get $i) (i32.const 3)))
           (i32.const 8738))",
    );
    guest.memory = "128".into();
    guest.handle = format!(
        "{write} (i32.store8 (i32.const 4194304) (i32.const 91))
         (i32.store8 (i32.const {}) (i32.const 93))
         (call $reply (i32.const 4194304) (i32.const {length}))",
        4_194_304 + length - 1
    );
    guest
}

#[test]
fn reply_of_nothing_but_empty_texts_ends_at_its_limit() {
    let max = (REPLY_BYTES_MAX - 1) / 3;
    assert!(replied(&finish(&empty_texts(max)).ending));
    let beyond = fault(&empty_texts(max + 1));
    assert_eq!(beyond, "its reply has 16387 bytes, of at most 16384");
    let million = fault(&empty_texts(1_000_000));
    assert!(million.starts_with("it was stopped: "), "{million}");
}

#[test]
fn flood_of_terminal_codes_is_cut_and_escaped() {
    let mut guest = Guest::new();
    let line = guest.text("\u{1b}[31m\u{1b}]0;owned\u{7}\r".repeat(600));
    guest.does(&times(
        1_000,
        &format!("(call $host-log-write (i32.const 3) {line})"),
    ));
    let outcome = finish(&guest);
    let bytes: usize = outcome.log.iter().map(|line| line.message.len()).sum();
    assert!(bytes > 0 && bytes <= LOG_BYTES_MAX, "{bytes} bytes");
    let texts = outcome.log.iter().flat_map(|line| line.message.chars());
    assert_eq!(texts.filter(|one| one.is_control()).count(), 0);
}

#[test]
fn ten_million_cheap_requests_use_up_the_fuel() {
    let guest = Guest::doing(&times(10_000_000, "(drop (call $host-call-now))"));
    let outcome = finish(&guest);
    assert_eq!(
        fault_of(outcome.ending),
        "its requests to the host have used up its fuel"
    );
}

#[test]
fn time_does_not_pass_within_a_call() {
    let mut guest = Guest::doing(&times(
        1_000,
        "(if (i64.ne (call $host-call-now) (global.get $first)) (then unreachable))",
    ));
    guest.fields = "(global $first (mut i64) (i64.const 0))".into();
    guest.handle = format!("(global.set $first (call $host-call-now)) {}", guest.handle);
    assert!(replied(&finish(&guest).ending));
}

#[test]
fn nothing_of_one_call_is_left_for_the_next_guest() {
    let host = host();
    // One guest fills its memory with a mark. The other one, in the same slot, looks for any data behind its own
    // arguments.
    let mark = Guest::doing("(memory.fill (i32.const 524288) (i32.const 171) (i32.const 500000))");
    let look = Guest::doing(
        "(local.set $i (i32.const 528384))
        (loop $again
          (if (i64.ne (i64.load (local.get $i)) (i64.const 0)) (then unreachable))
          (local.set $i (i32.add (local.get $i) (i32.const 4096)))
          (br_if $again (i32.lt_u (local.get $i) (i32.const 1024000))))",
    );
    let mark = load(&host, &mark);
    let look = load(&host, &look);
    for _ in 0..50 {
        let marked = mark.run(draft(), super::economy::origin).unwrap();
        assert!(replied(&marked.ending));
        let looked = look.run(draft(), super::economy::origin).unwrap();
        assert!(replied(&looked.ending), "{:?}", looked.ending);
    }
}

#[test]
fn not_a_number_has_the_same_bits_in_every_run() {
    let canonical = "(i64.const 0x7ff8000000000000)";
    let odd = [
        "(f64.div (f64.const 0) (f64.const 0))",
        "(f64.sqrt (f64.const -1))",
        "(f64.add (f64.const nan:0x4000000000123) (f64.const 1))",
        "(f64.mul (f64.const -nan) (f64.const 1))",
        "(f64.sub (f64.const inf) (f64.const inf))",
        "(f64.min (f64.const nan:0x8000000000007) (f64.const 1))",
        "(f64.promote_f32 (f32.const nan:0x200001))",
    ];
    let checks = odd.map(|value| {
        format!("(if (i64.ne (i64.reinterpret_f64 {value}) {canonical}) (then unreachable))")
    });
    let guest = Guest::doing(&checks.join("\n"));
    let once = finish(&guest);
    assert!(replied(&once.ending), "{:?}", once.ending);
    assert_eq!(finish(&guest), once);
}

#[test]
fn panic_of_the_host_within_an_import_ends_only_its_own_call() {
    let draws = checked(&Guest::doing(
        "(drop (call $host-fair-below (i32.const 6) (i32.const 0) (i32.const 0)))",
    ));
    // The origin of draws is requested within the first draw, on the guest's stack.
    let run = |origin: crate::run::guest::DrawOriginFn| {
        let call = || crate::run::call::run(&draws, &patient(), draft(), origin);
        catch_unwind(AssertUnwindSafe(call))
    };
    assert!(run(Box::new(|_| panic!("a panic in the host"))).is_err());
    let next = run(Box::new(super::economy::origin)).expect("the thread continues");
    assert!(replied(&next.unwrap().ending));
}

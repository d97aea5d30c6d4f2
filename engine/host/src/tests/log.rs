//! The log of a guest: its limits and its fuel.

use super::economy::{fault_of, finish, replied};
use super::guest::{Guest, times};
use crate::limits::{
    FUEL_PER_LOG_BYTE, FUEL_PER_LOG_LINE, LOG_BYTES_MAX, LOG_LINE_OVERHEAD_BYTES, LOG_LINES_MAX,
};
use crate::{CallOutcome, Limits, LogLevel};

/// Returns a guest that writes a line at a level.
fn logging(level: u8, message: impl AsRef<[u8]>) -> Guest {
    let mut guest = Guest::new();
    let message = guest.text(message);
    guest.does(&format!(
        "(call $host-log-write (i32.const {level}) {message})"
    ));
    guest
}

fn messages(outcome: &CallOutcome) -> Vec<&str> {
    let lines = outcome.log.iter();
    lines.map(|line| line.message.as_str()).collect()
}

#[test]
fn log_lines_have_a_level_and_no_control_characters() {
    let levels = [
        LogLevel::Debug,
        LogLevel::Info,
        LogLevel::Warn,
        LogLevel::Error,
    ];
    for (level, number) in levels.into_iter().zip(0..) {
        let outcome = finish(&logging(number, "a\u{1b}[31m\n\0\u{7f}\u{85}\u{e9}\"\\"));
        assert_eq!(outcome.log[0].level, level);
        let message = "a\\u{1b}[31m\\n\\u{0}\\u{7f}\\u{85}\u{e9}\"\\";
        assert_eq!(messages(&outcome), [message]);
    }
}

/// The length of the longest line that is stored completely.
const LONGEST: usize = LOG_BYTES_MAX - LOG_LINE_OVERHEAD_BYTES;

/// Returns a guest that repeats a line.
fn repeating(count: usize, line: impl AsRef<[u8]>) -> Guest {
    let mut guest = Guest::new();
    let line = guest.text(line);
    guest.does(&times(
        count,
        &format!("(call $host-log-write (i32.const 1) {line})"),
    ));
    guest
}

/// Returns the last line of a log from which lines were dropped.
fn dropped(count: usize) -> String {
    format!(
        "{count} more lines of this call were dropped: a call may write {LOG_LINES_MAX} lines and \
         {LOG_BYTES_MAX} bytes"
    )
}

#[test]
fn log_ends_at_its_bytes() {
    for length in [LONGEST, LONGEST + 1] {
        let outcome = finish(&logging(1, "a".repeat(length)));
        assert_eq!(messages(&outcome), ["a".repeat(LONGEST)]);
        assert!(
            replied(&outcome.ending),
            "the rest is cut off, and the call continues"
        );
    }
    // Each line has 1,000 bytes, and each character two. A character is never cut.
    let outcome = finish(&repeating(10, "\u{e9}".repeat(500)));
    let mut lengths: Vec<_> = messages(&outcome).iter().map(|line| line.len()).collect();
    lengths.pop();
    assert_eq!(lengths, [1000, 1000, 1000, 1000, 1000, 1000, 1000, 168]);
    assert_eq!(messages(&outcome)[8], dropped(2));

    // Escapes count with their written length.
    let outcome = finish(&logging(1, "\u{1b}".repeat(LOG_BYTES_MAX)));
    assert_eq!(messages(&outcome)[0].len(), LONGEST);
}

#[test]
fn log_ends_at_its_lines_and_counts_dropped_ones() {
    for line in ["", "x"] {
        let outcome = finish(&repeating(LOG_LINES_MAX, line));
        assert_eq!(messages(&outcome), [line; LOG_LINES_MAX]);
        for beyond in [1, 1_000] {
            let outcome = finish(&repeating(LOG_LINES_MAX + beyond, line));
            assert!(replied(&outcome.ending), "{:?}", outcome.ending);
            assert_eq!(outcome.log.len(), LOG_LINES_MAX + 1);
            assert_eq!(messages(&outcome)[LOG_LINES_MAX], dropped(beyond));
        }
    }
}

#[test]
fn a_log_line_costs_fuel_even_if_it_is_dropped() {
    let fuel = |count, line: &str| finish(&repeating(count, line)).fuel;
    let bytes = 100;
    let line = "a".repeat(100);
    for count in [1, LOG_LINES_MAX + 10] {
        let price = u64::try_from(count).unwrap() * (FUEL_PER_LOG_LINE + bytes * FUEL_PER_LOG_BYTE);
        assert!(fuel(count, &line) >= price, "{count}");
        assert!(fuel(count, &line) < price + 2_000, "{count}");
    }
    let max = usize::try_from(Limits::standard().fuel / FUEL_PER_LOG_LINE).unwrap();
    assert!(replied(&finish(&repeating(max, "")).ending));
    assert_eq!(
        fault_of(finish(&repeating(max + 1, "")).ending),
        "its requests to the host have used up its fuel"
    );
}

#[test]
fn flood_of_log_lines_uses_up_the_fuel() {
    let mut guest = Guest::new();
    let line = guest.text("a".repeat(50_000));
    guest.does(&format!(
        "(loop (call $host-log-write (i32.const 1) {line}) (br 0))"
    ));
    let outcome = finish(&guest);
    assert_eq!(messages(&outcome)[0].len(), LONGEST);
    assert_eq!(outcome.log.len(), 2);
    assert_eq!(
        fault_of(outcome.ending),
        "its requests to the host have used up its fuel"
    );
}

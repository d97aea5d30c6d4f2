//! The lines that a guest writes for the operator: how much of them is kept, and what they cost.

use super::guest::{Guest, times};
use super::world::{fault_of, finish, replied};
use crate::limits::{
    FUEL_PER_LOG_BYTE, FUEL_PER_LOG_LINE, LOG_BYTES_MAX, LOG_LINE_OVERHEAD_BYTES, LOG_LINES_MAX,
};
use crate::{CallOutcome, Limits, LogLevel};

/// A guest that says this to the log, as it is and at a level.
fn logging(level: u8, message: impl AsRef<[u8]>) -> Guest {
    let mut guest = Guest::new();
    let message = guest.text(message);
    guest.does(&format!(
        "(call $host-log-write (i32.const {level}) {message})"
    ));
    guest
}

fn messages(finished: &CallOutcome) -> Vec<&str> {
    let lines = finished.log.iter();
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
        let finished = finish(&logging(number, "a\u{1b}[31m\n\0\u{7f}\u{85}\u{e9}\"\\"));
        assert_eq!(finished.log[0].level, level);
        let message = "a\\u{1b}[31m\\n\\u{0}\\u{7f}\\u{85}\u{e9}\"\\";
        assert_eq!(messages(&finished), [message]);
    }
}

/// The longest line that is kept whole.
const LONGEST: usize = LOG_BYTES_MAX - LOG_LINE_OVERHEAD_BYTES;

/// A guest that writes a line so many times.
fn repeating(count: usize, line: impl AsRef<[u8]>) -> Guest {
    let mut guest = Guest::new();
    let line = guest.text(line);
    guest.does(&times(
        count,
        &format!("(call $host-log-write (i32.const 1) {line})"),
    ));
    guest
}

/// Returns what the last line of a log says of lines that are not in it.
fn dropped(count: usize) -> String {
    format!(
        "{count} more lines of this call were dropped: a call may write {LOG_LINES_MAX} lines and \
         {LOG_BYTES_MAX} bytes"
    )
}

#[test]
fn log_is_kept_up_to_its_bytes() {
    for length in [LONGEST, LONGEST + 1] {
        let finished = finish(&logging(1, "a".repeat(length)));
        assert_eq!(messages(&finished), ["a".repeat(LONGEST)]);
        assert!(
            replied(&finished.ending),
            "the rest is cut off, and the call goes on"
        );
    }
    // Of 1,000 bytes each, and of two each: a character is kept whole or not at all.
    let finished = finish(&repeating(10, "\u{e9}".repeat(500)));
    let mut lengths: Vec<_> = messages(&finished).iter().map(|line| line.len()).collect();
    lengths.pop();
    assert_eq!(lengths, [1000, 1000, 1000, 1000, 1000, 1000, 1000, 168]);
    assert_eq!(messages(&finished)[8], dropped(2));

    // Escapes count as they are kept.
    let finished = finish(&logging(1, "\u{1b}".repeat(LOG_BYTES_MAX)));
    assert_eq!(messages(&finished)[0].len(), LONGEST);
}

#[test]
fn log_is_kept_up_to_its_lines_and_says_how_many_were_dropped() {
    for line in ["", "x"] {
        let finished = finish(&repeating(LOG_LINES_MAX, line));
        assert_eq!(messages(&finished), [line; LOG_LINES_MAX]);
        for beyond in [1, 1_000] {
            let finished = finish(&repeating(LOG_LINES_MAX + beyond, line));
            assert!(replied(&finished.ending), "{:?}", finished.ending);
            assert_eq!(finished.log.len(), LOG_LINES_MAX + 1);
            assert_eq!(messages(&finished)[LOG_LINES_MAX], dropped(beyond));
        }
    }
}

#[test]
fn a_log_line_costs_fuel_whether_it_is_kept_or_not() {
    let fuel = |count, line: &str| finish(&repeating(count, line)).fuel;
    let (line, bytes) = ("a".repeat(100), 100);
    for count in [1, LOG_LINES_MAX + 10] {
        let price = u64::try_from(count).unwrap() * (FUEL_PER_LOG_LINE + bytes * FUEL_PER_LOG_BYTE);
        assert!(fuel(count, &line) >= price, "{count}");
        assert!(fuel(count, &line) < price + 2_000, "{count}");
    }
    let most = usize::try_from(Limits::standard().fuel / FUEL_PER_LOG_LINE).unwrap();
    assert!(replied(&finish(&repeating(most, "")).ending));
    assert_eq!(
        fault_of(finish(&repeating(most + 1, "")).ending),
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
    let finished = finish(&guest);
    assert_eq!(messages(&finished)[0].len(), LONGEST);
    assert_eq!(finished.log.len(), 2);
    assert_eq!(
        fault_of(finished.ending),
        "its requests to the host have used up its fuel"
    );
}

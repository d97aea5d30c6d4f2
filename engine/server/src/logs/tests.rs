//! Tests of logs through the subscriber of a server.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bursar_ledger::prints;
use proptest::prelude::*;
use tracing_subscriber::filter::EnvFilter;

use super::ration::{
    ALL_BURST_BYTES, BURST_BYTES, BYTES_PER_S, DROPS_NAMED_MAX, DropCount, KINDS_MAX,
    LINE_OVERHEAD_BYTES, LineKind, Ration,
};
use super::{LogFormat, LogRation, subscriber};

/// A buffer of written lines. Clones share it.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the lines that `work` logs. The clock stands still.
fn logged(format: LogFormat, colours: bool, work: impl FnOnce(&LogRation)) -> Vec<String> {
    let lines = Lines::default();
    let ration = LogRation::new(Arc::new(|| Duration::ZERO));
    let writer = lines.clone();
    let filter = EnvFilter::new("info");
    let logs = subscriber(format, filter, ration.clone(), colours, move || {
        writer.clone()
    });
    tracing::subscriber::with_default(logs, || work(&ration));
    let bytes = lines.0.lock().unwrap().clone();
    let text = String::from_utf8(bytes).unwrap();
    text.lines().map(Into::into).collect()
}

/// A text with control sequences of terminals, invisible characters, and a forged log line.
const HOSTILE: &str = "a\u{1b}[32m✓\u{1b}]8;;http://x\u{7}b\n  WARN c\r\u{9b}31m\u{85}\u{202e}d\u{200b}\u{2028}\u{7f}e";

fn log_hostile_texts() {
    let text = HOSTILE;
    let error = io::Error::other(HOSTILE);
    tracing::warn!(%text, ?text, text, %error, ?error, "{HOSTILE}");
    tracing::error!(plugin = %HOSTILE, "{text}");
}

#[test]
fn no_line_contains_unprintable_characters() {
    for format in [LogFormat::Text, LogFormat::Json] {
        let lines = logged(format, false, |_| log_hostile_texts());
        assert_eq!(lines.len(), 2, "{lines:?}");
        for line in &lines {
            assert!(line.chars().all(prints), "{format:?}: {line:?}");
            assert!(line.contains("31m"), "{line}");
        }
    }
}

#[test]
fn only_the_colours_of_the_log_itself_are_shown() {
    let lines = logged(LogFormat::Text, true, |_| log_hostile_texts());
    assert_eq!(lines.len(), 2, "{lines:?}");
    for line in lines {
        // The time, the level and the target are coloured; the message after them has no escape sequence.
        let (_, message) = line.split_once("a\\u{1b}[32m").unwrap();
        assert!(message.chars().all(prints), "{message:?}");
    }
}

#[test]
fn json_lines_contain_what_was_logged() {
    let lines = logged(LogFormat::Json, false, |_| log_hostile_texts());
    for line in lines {
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["fields"]["message"], HOSTILE);
    }
}

/// Logs a line of a plugin as the server does.
fn log_of_plugin(economy: &str, message: &str) {
    tracing::info!(%economy, plugin = "flood", %message, "plugin");
}

#[test]
fn a_flood_of_empty_lines_is_dropped_counted_and_reported() {
    let lines = logged(LogFormat::Text, false, |ration| {
        for _ in 0..8_192 {
            log_of_plugin("guild", "");
        }
        // The plugin of another economy has a ration of its own.
        log_of_plugin("other", "hello");
        ration.report_dropped();
        ration.report_dropped();
    });
    let of = |economy: &str| {
        let about = format!("economy={economy} ");
        lines.iter().filter(|line| line.contains(&about)).count()
    };
    let written = of("guild");
    let most = usize::try_from(BURST_BYTES / LINE_OVERHEAD_BYTES).unwrap();
    assert!((most / 2..=most).contains(&written), "{written}");
    assert_eq!(of("other"), 1);
    let report = format!("{} lines of this kind were dropped", 8_192 - written);
    let reports: Vec<_> = lines.iter().filter(|line| line.contains(&report)).collect();
    assert_eq!(reports.len(), 1, "{lines:?}");
    assert!(
        reports[0].contains("about=\"guild/flood\""),
        "{}",
        reports[0]
    );
}

#[test]
fn long_lines_count_by_their_length() {
    let message = "x".repeat(8 * 1024);
    let lines = logged(LogFormat::Json, false, |_| {
        (0..100).for_each(|_| log_of_plugin("guild", &message));
    });
    let bytes: usize = lines.iter().map(String::len).sum();
    assert!(lines.len() >= 7 && bytes < 80 * 1024, "{bytes} bytes");
}

/// The server logs some lines once for each action of a plugin, a member or a remote server.
#[test]
fn every_kind_of_line_is_rationed() {
    let lines = logged(LogFormat::Text, false, |_| {
        for number in 0..2_000 {
            let fault = "it ran out of fuel";
            tracing::warn!(economy = "guild", plugin = "shop", number, %fault, "plugin fault");
            tracing::info!(
                economy = "guild",
                webhook = "hook",
                number,
                "a delivery failed"
            );
            tracing::warn!(number, "a connection could not be accepted");
        }
    });
    for kind in ["plugin fault", "a delivery failed", "could not be accepted"] {
        let written = lines.iter().filter(|line| line.contains(kind)).count();
        assert!((100..512).contains(&written), "{written} of {kind}");
    }
}

fn kind(number: usize) -> LineKind {
    LineKind {
        callsite: "here",
        subject: format!("guild/{number}"),
    }
}

/// Takes a line that counts `bytes` in total.
fn line(ration: &mut Ration, number: usize, bytes: u64, now: Duration) -> bool {
    ration.take(kind(number), bytes - LINE_OVERHEAD_BYTES, now)
}

#[test]
fn a_ration_ends_at_its_burst_and_refills_over_time() {
    let mut ration = Ration::new();
    let start = Duration::ZERO;
    assert!(line(&mut ration, 0, BURST_BYTES, start));
    assert!(!line(&mut ration, 0, 128, start));
    let second = Duration::from_secs(1);
    assert!(!line(&mut ration, 0, BYTES_PER_S + 1, second));
    assert!(line(&mut ration, 0, BYTES_PER_S, second));
    assert!(!line(&mut ration, 0, 128, second));
    let dropped = DropCount {
        kind: Some(kind(0)),
        lines: 3,
    };
    assert_eq!(ration.take_dropped(), [dropped]);
    assert_eq!(ration.take_dropped(), []);
}

#[test]
fn all_kinds_together_end_at_their_burst() {
    let mut ration = Ration::new();
    let start = Duration::ZERO;
    let kinds = usize::try_from(ALL_BURST_BYTES / BURST_BYTES).unwrap();
    for number in 0..kinds {
        assert!(line(&mut ration, number, BURST_BYTES, start), "{number}");
    }
    assert!(!line(&mut ration, kinds, 128, start));
    // Lines about no plugin or webhook do not count there.
    let own = LineKind {
        callsite: "there",
        subject: String::new(),
    };
    assert!(ration.take(own, 0, start));
}

#[test]
fn kinds_beyond_the_limit_share_one_ration() {
    let mut ration = Ration::new();
    let start = Duration::ZERO;
    for number in 0..KINDS_MAX {
        assert!(line(&mut ration, number, 128, start));
    }
    let beyond = (KINDS_MAX..).take_while(|number| line(&mut ration, *number, 128, start));
    let written = beyond.count();
    assert_eq!(u64::try_from(written).unwrap(), BURST_BYTES / 128);
    let dropped = DropCount {
        kind: None,
        lines: 1,
    };
    assert_eq!(ration.take_dropped(), [dropped]);
    // Kinds without lines for a while are forgotten, so that new kinds have rations of their own.
    let later = Duration::from_mins(1);
    assert!(line(&mut ration, KINDS_MAX + 1, BURST_BYTES, later));
    assert!(line(&mut ration, KINDS_MAX + 2, BURST_BYTES, later));
}

#[test]
fn a_report_names_kinds_up_to_a_limit_and_sums_the_rest() {
    let mut ration = Ration::new();
    let start = Duration::ZERO;
    for number in 0..DROPS_NAMED_MAX + 10 {
        for _ in 0..=BURST_BYTES / 16_384 {
            line(&mut ration, number, 16_384, start);
        }
    }
    let dropped = ration.take_dropped();
    assert_eq!(dropped.len(), DROPS_NAMED_MAX + 1);
    assert_eq!(dropped[DROPS_NAMED_MAX].kind, None);
}

proptest! {
    /// Over any time no kind writes more than its burst and the refill since. Written and dropped lines add up to all
    /// lines.
    #[test]
    fn no_kind_writes_more_than_its_ration(
        lines in prop::collection::vec((0_usize..3, 128_u64..9_000, 0_u64..3_000), 1..400)
    ) {
        let mut ration = Ration::new();
        let mut now = Duration::ZERO;
        let mut written = [0_u64; 3];
        let mut counts = [(0_u64, 0_u64); 3];
        for (number, bytes, passes) in lines {
            now += Duration::from_millis(passes);
            counts[number].0 += 1;
            if line(&mut ration, number, bytes, now) {
                written[number] += bytes;
                counts[number].1 += 1;
            }
        }
        let most = BURST_BYTES + BYTES_PER_S * (u64::try_from(now.as_millis()).unwrap() / 1_000 + 1);
        let dropped = ration.take_dropped();
        for number in 0..3 {
            prop_assert!(written[number] <= most);
            let dropped = dropped.iter().find(|one| one.kind == Some(kind(number)));
            let dropped = dropped.map_or(0, |one| one.lines);
            prop_assert_eq!(counts[number].0, counts[number].1 + dropped);
        }
    }
}

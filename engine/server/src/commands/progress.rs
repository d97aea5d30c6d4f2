//! How far long work is, for whoever waits at a terminal.

use std::io::IsTerminal;

use super::style;

/// Records after which a line says how far the work is.
const RECORDS_A_LINE: u64 = 100_000;

/// Says on a terminal now and then how far the work is; whoever reads standard error from elsewhere
/// is left alone.
pub(super) fn progress(what: &'static str) -> impl FnMut(u64, u64) {
    progress_in("records", what)
}

/// The same, where something else than records is counted.
pub(super) fn progress_in(unit: &'static str, what: &'static str) -> impl FnMut(u64, u64) {
    progress_each(unit, what, RECORDS_A_LINE)
}

/// The same, with a line for each so many.
pub(super) fn progress_each(
    unit: &'static str,
    what: &'static str,
    each: u64,
) -> impl FnMut(u64, u64) {
    let shown = std::io::stderr().is_terminal();
    let mut next = each;
    move |done, all| {
        if shown && done >= next {
            style::remark(line(unit, what, done, all));
            next = done.saturating_add(each);
        }
    }
}

fn line(unit: &str, what: &str, done: u64, all: u64) -> String {
    if all == 0 {
        return format!("{what}: {done} {unit}");
    }
    format!("{what}: {done} of {all} {unit}")
}

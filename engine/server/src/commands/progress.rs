//! Progress lines of long commands, for a terminal.

use std::io::IsTerminal;

use super::style;

/// Number of records between two progress lines.
const RECORDS_A_LINE: u64 = 100_000;

/// Reports progress in records. Prints only if standard error is a terminal.
pub(super) fn progress(what: &'static str) -> impl FnMut(u64, u64) {
    progress_in("records", what)
}

/// Reports progress in a unit of its own. Prints only if standard error is a terminal.
pub(super) fn progress_in(unit: &'static str, what: &'static str) -> impl FnMut(u64, u64) {
    progress_each(unit, what, RECORDS_A_LINE)
}

/// Reports progress in a unit of its own, with a line after every `each` of them. Prints only if standard error
/// is a terminal.
pub(super) fn progress_each(
    unit: &'static str,
    what: &'static str,
    each: u64,
) -> impl FnMut(u64, u64) {
    let is_terminal = std::io::stderr().is_terminal();
    let mut next = each;
    move |done, all| {
        if is_terminal && done >= next {
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

//! Words on a terminal: colours only where one shows them, and no colours but ours.
//!
//! The output of commands may repeat what others wrote: manifests, names, lines of lists, answers of servers,
//! names of files. So every text is shown with escapes for what does not print, line breaks included, and
//! the only escape sequences that reach a terminal are written here.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is what commands print"
)]

use std::fmt::Display;

use anstyle::{AnsiColor, Style};
use bursar_ledger::{Printable, PrintableJson};
use serde_json::Value;

const GOOD: Style = AnsiColor::Green.on_default().bold();
const CAUTION: Style = AnsiColor::Yellow.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const TITLE: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();

/// A line.
pub(super) fn say(text: impl Display) {
    anstream::println!("{}", Printable(text));
}

/// A heading.
pub(super) fn title(text: impl Display) {
    anstream::println!("\n{TITLE}{}{TITLE:#}", Printable(text));
}

/// Something that held, or did not.
pub(super) fn tick(ok: bool, text: impl Display) {
    if ok {
        anstream::println!("  {GOOD}✓{GOOD:#} {}", Printable(text));
    } else {
        anstream::println!("  {BAD}✗{BAD:#} {}", Printable(text));
    }
}

/// Something to look at, though it held.
pub(super) fn warning(text: impl Display) {
    anstream::println!("  {CAUTION}!{CAUTION:#} {}", Printable(text));
}

/// A line that explains the one above it.
pub(super) fn note(text: impl Display) {
    anstream::println!("    {FAINT}{}{FAINT:#}", Printable(text));
}

/// Something to know that is not an answer.
pub(super) fn remark(text: impl Display) {
    anstream::eprintln!("{}", Printable(text));
}

/// Why it did not go well.
pub(super) fn complain(text: impl Display) {
    anstream::eprintln!("{BAD}error:{BAD:#} {}", Printable(text));
}

/// A value, for programs: as JSON on one line, in which what does not print is an escape of JSON's.
pub(super) fn value(value: &Value) {
    anstream::println!("{}", PrintableJson(&value.to_string()));
}

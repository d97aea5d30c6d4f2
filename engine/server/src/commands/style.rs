//! Output of commands on a terminal, with colours if the terminal shows them.
//!
//! The output may repeat untrusted text: manifests, names, rows of lists, responses of servers, file names. Every
//! text is therefore escaped where it has characters that do not print, line breaks included, and only this file
//! writes escape sequences.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is what commands print"
)]

use std::fmt::Display;
use std::io::IsTerminal;

use anstyle::{AnsiColor, Style};
use bursar_ledger::{Printable, PrintableJson};
use serde_json::Value;

const GOOD: Style = AnsiColor::Green.on_default().bold();
const CAUTION: Style = AnsiColor::Yellow.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const TITLE: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();

/// Prints a line.
pub(super) fn say(text: impl Display) {
    anstream::println!("{}", Printable(text));
}

/// Prints a heading.
pub(super) fn title(text: impl Display) {
    anstream::println!("\n{TITLE}{}{TITLE:#}", Printable(text));
}

/// Prints the result of a check.
pub(super) fn tick(ok: bool, text: impl Display) {
    if ok {
        anstream::println!("  {GOOD}✓{GOOD:#} {}", Printable(text));
    } else {
        anstream::println!("  {BAD}✗{BAD:#} {}", Printable(text));
    }
}

/// Prints a warning about something that passed its checks.
pub(super) fn warning(text: impl Display) {
    anstream::println!("  {CAUTION}!{CAUTION:#} {}", Printable(text));
}

/// Prints a line that explains the one above it.
pub(super) fn note(text: impl Display) {
    anstream::println!("    {FAINT}{}{FAINT:#}", Printable(text));
}

/// Prints a hint for the operator to standard error.
pub(super) fn remark(text: impl Display) {
    anstream::eprintln!("{}", Printable(text));
}

/// Returns true if standard error is a terminal, on which a line can be replaced.
pub(super) fn shows_status() -> bool {
    std::io::stderr().is_terminal()
}

/// Replaces the present line of standard error, which has to be a terminal.
pub(super) fn status(text: impl Display) {
    anstream::eprint!("\r{}\x1b[K", Printable(text));
}

/// Removes the present line of standard error, which has to be a terminal.
pub(super) fn clear_status() {
    anstream::eprint!("\r\x1b[K");
}

/// Prints an error to standard error.
pub(super) fn error(text: impl Display) {
    anstream::eprintln!("{BAD}error:{BAD:#} {}", Printable(text));
}

/// Prints a value as one line of JSON. Characters that do not print are JSON escapes.
pub(super) fn value(value: &Value) {
    anstream::println!("{}", PrintableJson(&value.to_string()));
}

//! Words on a terminal: colours only where one shows them.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is what commands print"
)]

use std::fmt::Display;

use anstyle::{AnsiColor, Style};

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const TITLE: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();

/// A line.
pub(super) fn say(text: impl Display) {
    anstream::println!("{text}");
}

/// A heading.
pub(super) fn title(text: impl Display) {
    anstream::println!("\n{TITLE}{text}{TITLE:#}");
}

/// Something that held, or did not.
pub(super) fn tick(ok: bool, text: impl Display) {
    if ok {
        anstream::println!("  {GOOD}✓{GOOD:#} {text}");
    } else {
        anstream::println!("  {BAD}✗{BAD:#} {text}");
    }
}

/// A line that explains the one above it.
pub(super) fn note(text: impl Display) {
    anstream::println!("    {FAINT}{text}{FAINT:#}");
}

/// Something to know that is not an answer.
pub(super) fn remark(text: impl Display) {
    anstream::eprintln!("{text}");
}

/// Why it did not go well.
pub(super) fn complain(text: impl Display) {
    anstream::eprintln!("{BAD}error:{BAD:#} {text}");
}

//! The bar that shows how far a run is, for a terminal.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::commands::style;

/// The number of cells of the bar.
const BAR_CELLS: u64 = 30;

/// The pause between two updates.
const UPDATE_PAUSE: Duration = Duration::from_millis(200);

/// A line on standard error that each update replaces. It is shown on a terminal only.
pub(super) struct Status {
    is_terminal: bool,
    last: Cell<Option<Instant>>,
}

impl Status {
    /// Creates a status for standard error.
    pub(super) fn new() -> Self {
        Self {
            is_terminal: style::shows_status(),
            last: Cell::new(None),
        }
    }

    /// Shows that `done` of `all` are done.
    pub(super) fn show(&self, what: &str, done: u64, all: u64) {
        let is_due = self
            .last
            .get()
            .is_none_or(|last| last.elapsed() >= UPDATE_PAUSE);
        if self.is_terminal && is_due {
            self.last.set(Some(Instant::now()));
            style::status(bar(what, done, all));
        }
    }

    /// Removes the line.
    pub(super) fn clear(&self) {
        if self.is_terminal && self.last.take().is_some() {
            style::clear_status();
        }
    }
}

fn bar(what: &str, done: u64, all: u64) -> String {
    let part = |of: u64| {
        let part = done.min(all).saturating_mul(of).checked_div(all);
        usize::try_from(part.unwrap_or(of)).unwrap_or(0)
    };
    let full = "█".repeat(part(BAR_CELLS));
    let width = usize::try_from(BAR_CELLS).unwrap_or(0);
    format!("{full:░<width$} {:>3} % {what}", part(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fills_with_the_work() {
        let cells = |done, all| bar("x", done, all).matches('█').count();
        assert_eq!(cells(0, 10), 0);
        assert_eq!(cells(5, 10), 15);
        assert_eq!(cells(10, 10), 30);
        assert_eq!(cells(20, 10), 30);
        assert_eq!(
            bar("x", 1, 3),
            format!("{}{}  33 % x", "█".repeat(10), "░".repeat(20))
        );
        assert!(bar("x", 0, 0).contains("100 %"));
    }
}

//! Steps: what a value costs to check. Every step is a small piece of work of bounded size, and a check that
//! would take more steps than there are ends.

/// The reason that a check ends early.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    /// The value does not fit.
    Misfit,
    /// The steps are used up.
    OutOfSteps,
}

/// Steps that are left.
#[derive(Debug)]
pub(super) struct Steps {
    left: usize,
}

impl Steps {
    pub(super) fn new(most: usize) -> Self {
        Self { left: most }
    }

    /// The number of steps that are left.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// Takes steps before the work that they stand for.
    pub(super) fn take(&mut self, steps: usize) -> Result<(), Stop> {
        let Some(left) = self.left.checked_sub(steps) else {
            self.left = 0;
            return Err(Stop::OutOfSteps);
        };
        self.left = left;
        Ok(())
    }
}

/// Steps to read a text once: one, and one more for each 64 bytes.
pub(super) fn of_text(text: &str) -> usize {
    1 + text.len() / 64
}

/// Steps to keep so many bytes until the end of the check: memory is dearer than time.
pub(super) fn of_memory(bytes: usize) -> usize {
    1 + bytes / 8
}

/// Steps to find a name in a sorted list: a comparison for each halving.
pub(super) fn of_lookup(name: &str, among: usize) -> usize {
    let halvings = among.checked_ilog2().unwrap_or(0) as usize;
    of_text(name).saturating_mul(1 + halvings)
}

//! The steps of a check. Each step is a small amount of work, and a check ends when its steps are used up.

/// The reason for which an evaluation stops early.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum EvaluationError {
    /// The value does not match.
    Mismatch,
    /// The steps are used up.
    OutOfSteps,
}

/// The result of a step of an evaluation.
pub(super) type EvaluationResult = Result<(), EvaluationError>;

/// The steps that are left.
#[derive(Debug)]
pub(super) struct Steps {
    left: usize,
}

impl Steps {
    pub(super) fn new(most: usize) -> Self {
        Self { left: most }
    }

    /// Returns the number of steps that are left.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// Takes steps, before the work that they count. An error if too few are left.
    pub(super) fn take(&mut self, steps: usize) -> Result<(), EvaluationError> {
        let Some(left) = self.left.checked_sub(steps) else {
            self.left = 0;
            return Err(EvaluationError::OutOfSteps);
        };
        self.left = left;
        Ok(())
    }
}

/// Returns the steps to read a text once: one, and one more for each 64 bytes.
pub(super) fn of_text(text: &str) -> usize {
    1 + text.len() / 64
}

/// Returns the steps to allocate bytes until the end of the check. They cost more than reading the same bytes.
pub(super) fn of_memory(bytes: usize) -> usize {
    1 + bytes / 8
}

/// Returns the steps to find a name in a sorted list: one comparison for each halving.
pub(super) fn of_lookup(name: &str, among: usize) -> usize {
    let halvings = among.checked_ilog2().unwrap_or(0) as usize;
    of_text(name).saturating_mul(1 + halvings)
}

//! Whose turn it is to be compiled: one component at a time, and few that wait.
//!
//! Strangers get one core of the machine, not all of them, and no more memory than the uploads that
//! wait take up.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bursar_ledger::Digest;

use crate::limits::COMPONENTS_WAITING_MAX;
use crate::report::{LoadError, Report};

/// The queue before the compiler.
#[derive(Default)]
pub(crate) struct CompileQueue {
    /// How many have a place: the one that is compiled, and those that wait.
    places: Mutex<usize>,
    turn: Mutex<()>,
    /// Components that are compiled while nobody waits for them, and what was found in those that
    /// may not run after all: else each call would have them checked again. All of them are in the
    /// books, by an admin's doing, so they are few.
    unattended: Mutex<BTreeMap<Digest, Option<Report>>>,
}

/// A place in the queue; free again when it is dropped.
pub(crate) struct QueuePermit<'a>(&'a CompileQueue);

/// A component's own turn.
pub(crate) struct Turn<'a> {
    _turn: MutexGuard<'a, ()>,
}

impl CompileQueue {
    /// A place in the queue, unless all are taken.
    pub(crate) fn place(&self) -> Result<QueuePermit<'_>, LoadError> {
        let mut places = open(&self.places);
        if *places > COMPONENTS_WAITING_MAX {
            return Err(LoadError::Busy);
        }
        *places += 1;
        Ok(QueuePermit(self))
    }

    /// Waits for the compiler to be free.
    pub(crate) fn turn(&self) -> Turn<'_> {
        Turn {
            _turn: open(&self.turn),
        }
    }

    /// An error if a component is being compiled unattended, or is known not to run here.
    pub(crate) fn look_up(&self, component: &Digest) -> Result<(), LoadError> {
        match open(&self.unattended).get(component) {
            Some(None) => Err(LoadError::Compiling),
            Some(Some(refused)) => Err(refused.clone().into()),
            None => Ok(()),
        }
    }

    /// Notes that a component is compiled unattended, unless too many are. False if it already is.
    pub(crate) fn begin(&self, component: Digest) -> Result<bool, LoadError> {
        let mut unattended = open(&self.unattended);
        match unattended.get(&component) {
            Some(None) => return Ok(false),
            Some(Some(refused)) => return Err(refused.clone().into()),
            None => {}
        }
        let running = unattended.values().filter(|refused| refused.is_none());
        if running.count() >= COMPONENTS_WAITING_MAX {
            return Err(LoadError::Busy);
        }
        unattended.insert(component, None);
        Ok(true)
    }

    /// Notes that it is not any more, and what was found in it.
    pub(crate) fn end(&self, component: Digest, refused: Option<Report>) {
        let mut unattended = open(&self.unattended);
        if refused.is_some() {
            unattended.insert(component, refused);
        } else {
            unattended.remove(&component);
        }
    }
}

impl Drop for QueuePermit<'_> {
    fn drop(&mut self) {
        let mut places = open(&self.0.places);
        *places = places.saturating_sub(1);
    }
}

fn open<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is kept here is whole at any time.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Finding;

    #[test]
    fn one_is_compiled_and_few_wait() {
        let compiling = CompileQueue::default();
        let mut places: Vec<_> = (0..=COMPONENTS_WAITING_MAX)
            .map(|_| compiling.place().expect("there is a place"))
            .collect();
        assert_eq!(compiling.place().err(), Some(LoadError::Busy));
        places.pop();
        assert!(compiling.place().is_ok(), "a place that was left is free");
        let turn = compiling.turn();
        assert!(compiling.turn.try_lock().is_err(), "it has its turn alone");
        drop(turn);
        assert!(compiling.turn.try_lock().is_ok());
    }

    #[test]
    fn what_is_compiled_unattended_is_compiled_once() {
        let (compiling, component) = (CompileQueue::default(), Digest::of(b"component"));
        assert_eq!(compiling.look_up(&component), Ok(()));
        assert_eq!(compiling.begin(component), Ok(true));
        assert_eq!(compiling.begin(component), Ok(false));
        assert_eq!(compiling.look_up(&component), Err(LoadError::Compiling));
        compiling.end(component, None);
        assert_eq!(compiling.begin(component), Ok(true));
        let refused = Report::from(Finding::new("describe_failed", "it will not"));
        compiling.end(component, Some(refused.clone()));
        assert_eq!(compiling.begin(component), Err(refused.clone().into()));
        assert_eq!(compiling.look_up(&component), Err(refused.into()));
    }

    #[test]
    fn few_are_compiled_unattended() {
        let compiling = CompileQueue::default();
        let component = |number: usize| Digest::of(&number.to_be_bytes());
        for number in 0..COMPONENTS_WAITING_MAX {
            assert_eq!(compiling.begin(component(number)), Ok(true));
        }
        let next = component(COMPONENTS_WAITING_MAX);
        assert_eq!(compiling.begin(next), Err(LoadError::Busy));
        compiling.end(component(0), None);
        assert_eq!(compiling.begin(next), Ok(true));
    }
}

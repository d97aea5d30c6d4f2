//! The queue of components that wait for the compiler.
//!
//! One component is compiled at a time, so that uploads use at most one core. The queue is short, so that the uploads
//! that wait use a bounded amount of memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bursar_ledger::Digest;

use crate::limits::COMPONENTS_WAITING_MAX;
use crate::report::{LoadError, Report};

/// The queue of components that wait for the compiler.
#[derive(Default)]
pub(crate) struct CompileQueue {
    /// The number of permits in use: one for the component that is compiled, and one for each that waits.
    permits: Mutex<usize>,
    compiler: Mutex<()>,
    /// Components that are compiled in the background, and the reports on those that were rejected. Without the
    /// reports each call would check a rejected component again. An admin has installed all of them, so they are few.
    background: Mutex<BTreeMap<Digest, Option<Report>>>,
}

/// A permit to wait in the queue. Dropping it makes room for another component.
pub(crate) struct QueuePermit<'a>(&'a CompileQueue);

/// Exclusive use of the compiler, until it is dropped.
pub(crate) struct CompilerLock<'a> {
    _lock: MutexGuard<'a, ()>,
}

impl CompileQueue {
    /// Returns a permit, or an error if the queue is full.
    pub(crate) fn acquire(&self) -> Result<QueuePermit<'_>, LoadError> {
        let mut permits = lock(&self.permits);
        if *permits > COMPONENTS_WAITING_MAX {
            return Err(LoadError::Busy);
        }
        *permits += 1;
        Ok(QueuePermit(self))
    }

    /// Waits until the compiler is free.
    pub(crate) fn lock_compiler(&self) -> CompilerLock<'_> {
        CompilerLock {
            _lock: lock(&self.compiler),
        }
    }

    /// Returns an error if a component is being compiled in the background or was rejected there.
    pub(crate) fn check_background(&self, component: &Digest) -> Result<(), LoadError> {
        match lock(&self.background).get(component) {
            Some(None) => Err(LoadError::Compiling),
            Some(Some(refused)) => Err(refused.clone().into()),
            None => Ok(()),
        }
    }

    /// Notes that a component is compiled in the background. Returns false if it already is, and an error if too many
    /// are.
    pub(crate) fn begin_background(&self, component: Digest) -> Result<bool, LoadError> {
        let mut background = lock(&self.background);
        match background.get(&component) {
            Some(None) => return Ok(false),
            Some(Some(refused)) => return Err(refused.clone().into()),
            None => {}
        }
        let running = background.values().filter(|refused| refused.is_none());
        if running.count() >= COMPONENTS_WAITING_MAX {
            return Err(LoadError::Busy);
        }
        background.insert(component, None);
        Ok(true)
    }

    /// Notes that a component is no longer compiled in the background, and stores the report if it was rejected.
    pub(crate) fn end_background(&self, component: Digest, refused: Option<Report>) {
        let mut background = lock(&self.background);
        if refused.is_some() {
            background.insert(component, refused);
        } else {
            background.remove(&component);
        }
    }
}

impl Drop for QueuePermit<'_> {
    fn drop(&mut self) {
        let mut permits = lock(&self.0.permits);
        *permits = permits.saturating_sub(1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No panic can leave these values half-changed, so a poisoned lock is still valid.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Finding;

    #[test]
    fn one_component_is_compiled_and_few_wait() {
        let queue = CompileQueue::default();
        let mut permits: Vec<_> = (0..=COMPONENTS_WAITING_MAX)
            .map(|_| queue.acquire().expect("a permit"))
            .collect();
        assert_eq!(queue.acquire().err(), Some(LoadError::Busy));
        permits.pop();
        assert!(queue.acquire().is_ok(), "a returned permit is free");
        let compiler = queue.lock_compiler();
        assert!(queue.compiler.try_lock().is_err(), "the compiler is locked");
        drop(compiler);
        assert!(queue.compiler.try_lock().is_ok());
    }

    #[test]
    fn a_component_is_compiled_in_the_background_once() {
        let queue = CompileQueue::default();
        let component = Digest::of(b"component");
        assert_eq!(queue.check_background(&component), Ok(()));
        assert_eq!(queue.begin_background(component), Ok(true));
        assert_eq!(queue.begin_background(component), Ok(false));
        assert_eq!(
            queue.check_background(&component),
            Err(LoadError::Compiling)
        );
        queue.end_background(component, None);
        assert_eq!(queue.begin_background(component), Ok(true));
        let report = Report::from(Finding::new("describe_failed", "it trapped"));
        queue.end_background(component, Some(report.clone()));
        assert_eq!(
            queue.begin_background(component),
            Err(report.clone().into())
        );
        assert_eq!(queue.check_background(&component), Err(report.into()));
    }

    #[test]
    fn few_components_are_compiled_in_the_background() {
        let queue = CompileQueue::default();
        let component = |number: usize| Digest::of(&number.to_be_bytes());
        for number in 0..COMPONENTS_WAITING_MAX {
            assert_eq!(queue.begin_background(component(number)), Ok(true));
        }
        let next = component(COMPONENTS_WAITING_MAX);
        assert_eq!(queue.begin_background(next), Err(LoadError::Busy));
        queue.end_background(component(0), None);
        assert_eq!(queue.begin_background(next), Ok(true));
    }
}

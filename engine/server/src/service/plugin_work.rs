//! The limit on work whose size depends on a plugin.

use std::sync::Arc;

use bursar_host::CONFIGURATION_CHECKS_MAX;
use tokio::sync::Semaphore;

use super::blocking::blocking;
use crate::service::error::ServiceError;

/// Limits the work whose size depends on plugins. Further work waits.
pub(super) struct PluginWork {
    permits: Arc<Semaphore>,
}

impl Default for PluginWork {
    fn default() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(CONFIGURATION_CHECKS_MAX)),
        }
    }
}

impl PluginWork {
    /// Waits for a permit and runs the work. The work holds the permit until it has ended, even if its request was
    /// cancelled.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit
            .map_err(|_| ServiceError::Bug("the semaphore of configuration checks is closed"))?;
        blocking(move || {
            let _permit = permit;
            work()
        })
        .await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn work_is_done_on_another_thread() {
        let checks = PluginWork::default();
        let thread = checks.run(|| thread::current().id()).await.unwrap();
        assert_ne!(thread, thread::current().id());
    }

    #[tokio::test]
    async fn a_few_pieces_of_work_are_done_at_the_same_time() {
        let checks = Arc::new(PluginWork::default());
        let (begun, begins) = mpsc::channel();
        let running = Arc::new(AtomicUsize::new(0));
        let mut ends = Vec::new();
        let mut works = Vec::new();
        for _ in 0..CONFIGURATION_CHECKS_MAX * 3 {
            let (end, ended) = mpsc::channel::<()>();
            ends.push(end);
            let checks = checks.clone();
            let begun = begun.clone();
            let running = running.clone();
            works.push(tokio::spawn(async move {
                let work = move || {
                    let at_once = running.fetch_add(1, Ordering::SeqCst) + 1;
                    begun.send(at_once).unwrap();
                    let _closed = ended.recv();
                    running.fetch_sub(1, Ordering::SeqCst);
                };
                checks.run(work).await.unwrap();
            }));
        }
        let begins = thread::spawn(move || {
            let first: Vec<usize> = begins.iter().take(CONFIGURATION_CHECKS_MAX).collect();
            (first, begins)
        });
        while !begins.is_finished() {
            tokio::task::yield_now().await;
        }
        let (first, begins) = begins.join().unwrap();
        assert_eq!(first.iter().max(), Some(&CONFIGURATION_CHECKS_MAX));
        assert!(begins.try_recv().is_err(), "the others wait for a permit");
        drop(ends);
        for work in works {
            work.await.unwrap();
        }
        let most = begins.try_iter().max();
        assert!(
            most.is_some_and(|most| most <= CONFIGURATION_CHECKS_MAX),
            "{most:?}"
        );
    }
}

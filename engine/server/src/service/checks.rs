//! Work whose size a plugin decides: a configuration held against its schema, manifests written out. It is
//! done on no thread that serves requests, and a little of it at the same time.

use std::sync::Arc;

use bursar_host::{CONFIGURATION_CHECKS_MAX, LoadedPlugin};
use bursar_ledger::{EconomyId, Need, PluginName};
use bursar_workbench::configuration;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::{Service, blocking};
use crate::service::error::ServiceError;

/// The places for such work. What finds none waits, as its request does.
pub(super) struct Checks {
    places: Arc<Semaphore>,
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(CONFIGURATION_CHECKS_MAX)),
        }
    }
}

impl Checks {
    /// Waits for a place and does the work there. A place stays taken until the work has ended, even if
    /// nobody waits for it any more.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place =
            place.map_err(|_| ServiceError::Bug("the places for checks are never closed"))?;
        blocking(move || {
            let _place = place;
            work()
        })
        .await
    }
}

impl Service {
    /// Holds a configuration against a plugin and against the economy; gives what the plugin needs with it.
    pub async fn check_configuration(
        &self,
        economy: &EconomyId,
        name: &PluginName,
        plugin: Arc<LoadedPlugin>,
        config: Value,
    ) -> Result<Vec<Need>, ServiceError> {
        let (state, economy, name) = (self.state(), economy.clone(), name.clone());
        let checked = self.beside(move || {
            let books = state.books(&economy).ok_or(ServiceError::NoEconomy)?;
            let checked = configuration::check(&plugin, books, &name, &config);
            checked.map_err(ServiceError::CheckFailed)
        });
        let checked = checked.await??;
        if checked.findings.is_empty() {
            Ok(checked.needs)
        } else {
            Err(ServiceError::ConfigurationRefused(checked.findings))
        }
    }

    /// Does work whose size plugins decide, beside the threads that serve requests.
    pub async fn beside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        self.parts.checks.run(work).await
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
        let checks = Checks::default();
        let worked_on = checks.run(|| thread::current().id()).await.unwrap();
        assert_ne!(worked_on, thread::current().id());
    }

    #[tokio::test]
    async fn a_few_pieces_of_work_are_done_at_the_same_time() {
        let checks = Arc::new(Checks::default());
        let (begun, begins) = mpsc::channel();
        let running = Arc::new(AtomicUsize::new(0));
        let mut ends = Vec::new();
        let mut works = Vec::new();
        for _ in 0..CONFIGURATION_CHECKS_MAX * 3 {
            let (end, ended) = mpsc::channel::<()>();
            ends.push(end);
            let (checks, begun, running) = (checks.clone(), begun.clone(), running.clone());
            works.push(tokio::spawn(async move {
                let work = move || {
                    let at_once = running.fetch_add(1, Ordering::SeqCst) + 1;
                    begun.send(at_once).unwrap();
                    let _nobody_sends = ended.recv();
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
        assert!(begins.try_recv().is_err(), "the others wait for a place");
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

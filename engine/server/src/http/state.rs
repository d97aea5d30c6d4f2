//! The state that all handlers share.

use std::ops::Deref;
use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

use super::owner_token::OwnerToken;
use super::streams::Streams;
use crate::bodies::BodyLimiter;
use crate::rate::Rates;
use crate::service::Service;
use crate::webhooks::Webhooks;

/// The greatest number of audits that run at the same time.
const AUDITS_MAX: usize = 1;

/// The greatest number of exports at the same time. Each uses a thread and reads the whole log.
const EXPORTS_MAX: usize = 4;

/// State that all handlers share. Each request clones it, so it is one pointer.
#[derive(Clone)]
pub struct Api(Arc<ApiParts>);

/// The parts of the state that all handlers share.
pub struct ApiParts {
    pub(super) service: Service,
    pub(super) owner: OwnerToken,
    pub(super) streams: Streams,
    pub(super) exports: Arc<Semaphore>,
    pub(super) audits: Arc<Semaphore>,
    pub(super) rates: Rates,
    pub(super) webhooks: Webhooks,
    pub(super) bodies: Arc<BodyLimiter>,
    pub(super) ending: watch::Receiver<bool>,
}

impl Api {
    /// Creates the API of a running service. `ending` turns true when the server shuts down.
    pub fn new(
        service: Service,
        owner: OwnerToken,
        rates: Rates,
        webhooks: Webhooks,
        bodies: Arc<BodyLimiter>,
        ending: watch::Receiver<bool>,
    ) -> Self {
        Self(Arc::new(ApiParts {
            service,
            owner,
            streams: Streams::new(),
            exports: Arc::new(Semaphore::new(EXPORTS_MAX)),
            audits: Arc::new(Semaphore::new(AUDITS_MAX)),
            rates,
            webhooks,
            bodies,
            ending,
        }))
    }
}

impl Deref for Api {
    type Target = ApiParts;

    fn deref(&self) -> &ApiParts {
        &self.0
    }
}

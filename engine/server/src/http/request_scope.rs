//! The state of one request that authentication and the body leave for its response.

use std::sync::{Arc, OnceLock};

use axum::http::Extensions;

use crate::bodies::BodyPermit;
use crate::rate::RateStatus;

/// The state of one request. Clones share it.
#[derive(Clone, Default)]
pub(super) struct RequestScope(Arc<ScopeParts>);

#[derive(Default)]
struct ScopeParts {
    rate: OnceLock<RateStatus>,
    body: OnceLock<BodyPermit>,
}

impl RequestScope {
    /// Returns the scope of a request that the router handles, or an unused one.
    pub(super) fn of(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_default()
    }

    /// Returns the status of the key's rate limit, if the key has one.
    pub(super) fn rate(&self) -> Option<&RateStatus> {
        self.0.rate.get()
    }

    /// Stores the status of the key's rate limit. A request is counted once.
    pub(super) fn set_rate(&self, status: RateStatus) {
        let _first = self.0.rate.set(status);
    }

    /// Keeps the memory of the body until the request is answered. A body is admitted once.
    pub(super) fn keep(&self, permit: BodyPermit) {
        let _first = self.0.body.set(permit);
    }
}

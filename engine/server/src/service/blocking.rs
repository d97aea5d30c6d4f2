//! Work that blocks, on threads of its own.

use crate::service::error::ServiceError;

/// Runs work that blocks on a thread of the blocking pool.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ServiceError> {
    let result = tokio::task::spawn_blocking(work).await;
    result.map_err(|_| ServiceError::Bug("the work panicked; nothing has moved"))
}

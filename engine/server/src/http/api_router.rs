//! The router of the API, and the work that each request needs in addition to its handler.

use std::panic::AssertUnwindSafe;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use futures_util::FutureExt;
use tower::Service;

use super::problem::Problem;
use super::rate;
use super::request_scope::RequestScope;

/// Forbids caches to store a response: it is valid only for this moment and for the key of the
/// request (RFC 9111, section 5.2.2.5).
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// The router of the API. Clones share its routes.
#[derive(Clone)]
pub struct ApiRouter {
    routes: Router,
}

impl ApiRouter {
    pub(super) fn new(routes: Router) -> Self {
        Self { routes }
    }

    /// Adds a route that is not part of the API's description.
    pub(crate) fn with_route(self, path: &str, route: MethodRouter) -> Self {
        let routes = self.routes.route(path, route);
        Self { routes }
    }

    /// Answers a request.
    pub async fn answer(&self, mut request: Request<Body>) -> Response {
        // Each layer of a router allocates a service and a future per request, so there is none.
        let scope = RequestScope::default();
        request.extensions_mut().insert(scope.clone());
        let mut routes = self.routes.clone();
        // A router is always ready, and its futures share no state that a panic could leave half
        // changed.
        let answering = AssertUnwindSafe(async move { routes.call(request).await });
        let mut response = match answering.catch_unwind().await {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(_) => panicked(),
        };
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, NO_STORE);
        if let Some(status) = scope.rate() {
            rate::write(headers, status);
        }
        response
    }
}

/// Creates the response to a request whose handler panicked. The panic ends only its own request,
/// and the response reveals nothing about it.
fn panicked() -> Response {
    Problem::internal(
        "internal error: the request was aborted, and the server's log says why. Send it again \
         with the same key",
    )
    .into_response()
}

#[cfg(test)]
mod tests {
    use axum::handler::Handler;
    use axum::http::StatusCode;

    use super::*;

    async fn answer<T: 'static>(handler: impl Handler<T, ()>) -> Response {
        let router = ApiRouter::new(Router::new().fallback(handler));
        router.answer(Request::new(Body::empty())).await
    }

    #[tokio::test]
    async fn a_panic_ends_its_own_request_only() {
        async fn fail() -> &'static str {
            panic!("a handler that fails")
        }
        let response = answer(fail).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    }

    #[tokio::test]
    async fn no_response_is_stored_by_a_cache() {
        let response = answer(|| async { "" }).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    }
}

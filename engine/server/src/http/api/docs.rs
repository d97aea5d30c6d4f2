//! The routes of the API's description: OpenAPI for programs and a page for people.
//!
//! The server renders the page from the OpenAPI document. The page loads nothing else: no script,
//! no font, no other server.

mod page;
mod words;

use std::sync::OnceLock;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::header::HeaderName;
use serde_json::Value;

use super::route::{JSON, Resource, Route};
use super::schemas;
use crate::random;

const HTML: &str = "text/html; charset=utf-8";

static DOCUMENT: OnceLock<Bytes> = OnceLock::new();

static PAGE: OnceLock<String> = OnceLock::new();

/// Returns the routes. `document` builds the OpenAPI document, of which these routes are a part.
pub(crate) fn routes(document: fn() -> Value) -> Resource {
    let json = Route::get(
        "/openapi.json",
        move || async move { document_of_api(document) },
    )
    .operation(
        "get_openapi",
        "Get the OpenAPI document",
        "Describes this API as OpenAPI 3.1. The document is generated from the code of this \
             server.",
    )
    .answers::<schemas::Document>(StatusCode::OK, "The OpenAPI document.");
    let page = Route::get("/docs", move || async move { page_of_api(document) })
        .operation(
            "get_docs",
            "Get the API documentation",
            "Returns this page. It loads nothing from the network.",
        )
        .answers_as::<String>(StatusCode::OK, "text/html", "The page as HTML.");
    Resource {
        name: "description",
        about: "The description of this API.",
        routes: vec![json, page],
    }
}

/// `GET /openapi.json`
fn document_of_api(document: fn() -> Value) -> Response {
    let json = HeaderValue::from_static(JSON);
    let bytes = DOCUMENT.get_or_init(|| document().to_string().into());
    ([(header::CONTENT_TYPE, json)], bytes.clone()).into_response()
}

/// `GET /docs`. The content security policy allows only the page's own style sheet, which a nonce
/// identifies (CSP Level 3, section 7.2).
fn page_of_api(document: fn() -> Value) -> Response {
    let nonce = hex::encode(random::bytes());
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    let headers: [(HeaderName, HeaderValue); 4] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(HTML)),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_str(&policy).expect("the policy is printable ASCII"),
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ),
    ];
    let page = PAGE.get_or_init(|| page::render(&document()));
    (headers, page.replacen(page::NONCE, &nonce, 1)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_page_allows_its_own_style_and_nothing_else() {
        let page = page_of_api(crate::http::openapi);
        let policy = page.headers()[header::CONTENT_SECURITY_POLICY].to_str();
        let policy = policy.expect("a policy").to_owned();
        assert!(policy.starts_with("default-src 'none'; style-src 'nonce-"));
        assert!(!policy.contains("unsafe") && !policy.contains("script"));
        let (_, nonce) = policy.split_once("nonce-").expect("a nonce");
        let (nonce, _) = nonce.split_once('\'').expect("its end");
        let bytes = axum::body::to_bytes(page.into_body(), usize::MAX).await;
        let html = String::from_utf8(bytes.expect("a body").to_vec()).expect("text");
        assert!(html.contains(&format!("<style nonce=\"{nonce}\">")));
        assert!(!html.contains("style=") && !html.contains("<script"));
    }
}

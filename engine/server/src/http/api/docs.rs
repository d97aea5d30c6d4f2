//! The API's description: as a document for programs, and as a page for reading.
//!
//! The page is made here from the document and needs nothing else: no script, no font, no other
//! server.

mod page;
mod words;

use std::sync::LazyLock;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::header::HeaderName;

use super::openapi::document;
use super::route::{JSON, Resource, Route};
use super::schemas;
use crate::random;

const HTML: &str = "text/html; charset=utf-8";

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());

static PAGE: LazyLock<String> = LazyLock::new(|| page::render(&document()));

pub(crate) fn routes() -> Resource {
    let document = Route::get("/openapi.json", document_of_api)
        .operation(
            "get_openapi",
            "This description",
            "The API as OpenAPI 3.1, made of its code.",
        )
        .answers::<schemas::Document>(StatusCode::OK, "The document.");
    let page = Route::get("/docs", page_of_api)
        .operation(
            "get_docs",
            "This description, for reading",
            "A page that needs no network.",
        )
        .answers_as::<String>(StatusCode::OK, "text/html", "The page.");
    Resource {
        name: "description",
        about: "The API says itself what it is.",
        routes: vec![document, page],
    }
}

/// `GET /openapi.json`
async fn document_of_api() -> Response {
    let json = HeaderValue::from_static(JSON);
    ([(header::CONTENT_TYPE, json)], DOCUMENT.clone()).into_response()
}

/// `GET /docs`. Nothing is allowed on the page but its own style, known by a number used once.
async fn page_of_api() -> Response {
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
    (headers, PAGE.replacen(page::NONCE, &nonce, 1)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_page_allows_its_own_style_and_nothing_else() {
        let page = page_of_api().await;
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

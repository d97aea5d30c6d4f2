//! The route of the API's index: its version, limits, pages, quotas and links.
//!
//! The index is the same for every request, so it is built once. It says nothing about the data of
//! the server, so it requires no key.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use axum::http::StatusCode;
use axum::response::Response;
use bursar_ledger::{
    AMOUNT_MAX, BATCH_TRANSFERS_MAX, DOCUMENT_BYTES_MAX, HOLD_SECONDS_MAX, NAME_CHARS_MAX,
    POSTINGS_MAX, Quota,
};
use bursar_storage::KEY_CHARS_MAX;
use schemars::JsonSchema;
use serde::Serialize;

use super::api::listing::Listing;
use super::api::route::{Resource, Route};
use super::batches::BATCH_BYTES_MAX;
use super::extract;
use super::limits::BODY_BYTES_MAX;
use super::transfers::{MEMO_CHARS_MAX, METADATA_BYTES_MAX, REFERENCE_CHARS_MAX};

/// The main routes: names, and paths in which names stand in braces (RFC 6570, level 1).
const LINKS: [(&str, &str); 18] = [
    ("index", INDEX),
    ("economies", "/v1/economies"),
    ("economy", "/v1/economies/{economy}"),
    ("quotas", "/v1/economies/{economy}/quotas"),
    ("assets", "/v1/economies/{economy}/assets"),
    ("account", "/v1/economies/{economy}/accounts/{account}"),
    (
        "statement",
        "/v1/economies/{economy}/accounts/{account}/statement",
    ),
    ("transfers", "/v1/economies/{economy}/transfers"),
    ("holds", "/v1/economies/{economy}/holds"),
    ("plugins", "/v1/economies/{economy}/plugins"),
    ("events", "/v1/economies/{economy}/events"),
    ("webhooks", "/v1/economies/{economy}/webhooks"),
    ("keys", "/v1/keys"),
    ("components", "/v1/components"),
    ("openapi", "/openapi.json"),
    ("docs", "/docs"),
    ("liveness", "/healthz"),
    ("readiness", "/readyz"),
];

const INDEX: &str = "/v1";

static TEXT: OnceLock<String> = OnceLock::new();

/// Returns the resource of the index. `resources` returns all resources, of which this is one.
pub(super) fn routes(resources: fn() -> Vec<Resource>) -> Resource {
    let read = Route::get(INDEX, move || async move { read(resources) })
        .operation(
            "get_index",
            "Get the index",
            "Returns the version of the server, the limits of requests, the sizes of pages, the \
             quotas of economies, and the paths of the main routes. Names in braces stand for names \
             of your own.",
        )
        .answers::<ApiIndex>(StatusCode::OK, "The index.");
    Resource {
        name: "index",
        about: "The index of the API, where a client can begin.",
        routes: vec![read],
    }
}

/// The index of the API.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Index")]
struct ApiIndex {
    /// The version of the server.
    version: &'static str,
    limits: RequestLimits,
    /// The sizes of pages, by the `operationId` of the list.
    #[schemars(with = "BTreeMap<String, PageSizes>")]
    pages: BTreeMap<&'static str, PageSizes>,
    /// The quotas of economies, by name. An operator can change the quotas of each economy.
    #[schemars(with = "BTreeMap<String, QuotaBounds>")]
    quotas: BTreeMap<&'static str, QuotaBounds>,
    /// The paths of the main routes, by name.
    #[schemars(with = "BTreeMap<String, String>")]
    links: BTreeMap<&'static str, &'static str>,
}

/// The limits of requests.
#[derive(Serialize, JsonSchema)]
struct RequestLimits {
    /// The largest body of most requests.
    body_bytes: usize,
    /// The largest body of a batch.
    batch_bytes: usize,
    /// The greatest number of transfers in a batch.
    batch_transfers: usize,
    /// The greatest number of postings in a transfer.
    transfer_postings: usize,
    /// The largest amount, and the largest balance.
    amount: u64,
    /// The greatest length of a name of an account or an asset.
    name_characters: usize,
    /// The greatest length of an idempotency key.
    idempotency_key_characters: usize,
    /// The greatest length of a memo.
    memo_characters: usize,
    /// The greatest length of a reference.
    reference_characters: usize,
    /// The largest metadata of a transfer or a hold, as JSON.
    transfer_metadata_bytes: usize,
    /// The largest metadata of an account or an asset, as JSON.
    metadata_bytes: usize,
    /// The longest time of a hold.
    hold_seconds: u64,
}

/// The sizes of the pages of a list.
#[derive(Serialize, JsonSchema)]
struct PageSizes {
    /// The size if the request names none.
    default: usize,
    /// The greatest size.
    max: usize,
}

/// The default and the maximum of a quota.
#[derive(Serialize, JsonSchema)]
struct QuotaBounds {
    /// The limit if none was set.
    default: u64,
    /// The highest limit that can be set.
    max: u64,
}

/// `GET /v1`
fn read(resources: fn() -> Vec<Resource>) -> Response {
    let text = TEXT.get_or_init(|| {
        let index = index(&resources());
        serde_json::to_string(&index).expect("texts and numbers can be written as JSON")
    });
    extract::json_text(text.clone())
}

fn index(resources: &[Resource]) -> ApiIndex {
    let operations = resources
        .iter()
        .flat_map(|resource| &resource.routes)
        .map(|route| &route.operation);
    let pages = operations.filter_map(|operation| match operation.listing {
        Some(Listing::Pages { default, max, .. }) => {
            Some((operation.id, PageSizes { default, max }))
        }
        Some(Listing::Whole { .. }) | None => None,
    });
    let quotas = Quota::ALL.map(|quota| {
        let default = quota.default_limit();
        let max = quota.max_limit();
        (quota.name(), QuotaBounds { default, max })
    });
    ApiIndex {
        version: env!("CARGO_PKG_VERSION"),
        limits: RequestLimits {
            body_bytes: BODY_BYTES_MAX,
            batch_bytes: BATCH_BYTES_MAX,
            batch_transfers: BATCH_TRANSFERS_MAX,
            transfer_postings: POSTINGS_MAX,
            amount: AMOUNT_MAX,
            name_characters: NAME_CHARS_MAX,
            idempotency_key_characters: KEY_CHARS_MAX,
            memo_characters: MEMO_CHARS_MAX,
            reference_characters: REFERENCE_CHARS_MAX,
            transfer_metadata_bytes: METADATA_BYTES_MAX,
            metadata_bytes: DOCUMENT_BYTES_MAX,
            hold_seconds: HOLD_SECONDS_MAX,
        },
        pages: pages.collect(),
        quotas: BTreeMap::from(quotas),
        links: BTreeMap::from(LINKS),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::resources;
    use super::*;

    #[test]
    fn every_link_is_the_path_of_a_route() {
        let resources = resources();
        let routes = resources.iter().flat_map(|resource| &resource.routes);
        let paths: BTreeSet<&str> = routes.map(|route| route.path).collect();
        for (name, path) in LINKS {
            assert!(paths.contains(path), "{name}: {path}");
        }
        assert_eq!(index(&resources).links.len(), LINKS.len());
    }
}

//! The codes of problems, with their statuses, their `retry` and their meaning. Codes are stable:
//! programs branch on them.
//!
//! A problem is created from a [`Code`] or from a rejection of the ledger only, so the table is
//! complete.

mod rejections;
mod server;

use bursar_ledger::RejectionKind;
use serde_json::{Value, json};

pub(crate) use rejections::status;
pub(crate) use server::{Code, Terms};

/// Returns the terms of all codes: the server's own, then the ledger's. A code occurs twice if it
/// can concern a name in the path (404) and a name in the body (422).
pub(crate) fn all() -> impl Iterator<Item = Terms> {
    let own = Code::ALL.iter().map(|code| code.terms());
    own.chain(RejectionKind::ALL.into_iter().map(rejections::terms))
}

/// Returns the codes as a table in Markdown.
pub(crate) fn table() -> String {
    let row = |terms: Terms| {
        let Terms {
            code,
            status,
            retry,
            meaning,
        } = terms;
        let status = status.as_u16();
        let retry = retry.as_str();
        format!("| `{code}` | {status} | `{retry}` | {meaning} |\n")
    };
    let rows: String = all().map(row).collect();
    format!("| code | status | `retry` | meaning |\n|---|---|---|---|\n{rows}")
}

/// Returns the codes as JSON, for generators of clients.
pub(crate) fn listed() -> Value {
    let row = |terms: Terms| {
        json!({
            "code": terms.code, "status": terms.status.as_u16(), "retry": terms.retry.as_str(),
        })
    };
    all().map(row).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bursar_ledger::Retry;

    use super::*;
    use crate::http::resources;

    #[test]
    fn every_code_is_described_once_for_each_status() {
        let places: BTreeSet<_> = all()
            .map(|terms| (terms.code, terms.status.as_u16()))
            .collect();
        assert_eq!(places.len(), all().count());
        for terms in all() {
            assert!(!terms.meaning.is_empty(), "{}", terms.code);
        }
    }

    #[test]
    fn a_retry_can_help_only_after_conditions_that_pass_by_themselves() {
        for terms in all() {
            let expected: &[Retry] = match terms.status.as_u16() {
                400 | 401 | 403 | 404 | 405 | 413 => &[Retry::Never],
                408 | 429 | 503 | 507 => &[Retry::SameKey],
                409 | 422 => &[Retry::NewKey, Retry::Never],
                500 => &[Retry::SameKey, Retry::Never],
                502 => &[Retry::NewKey],
                other => panic!("{}: {other} is reviewed here first", terms.code),
            };
            assert!(expected.contains(&terms.retry), "{}", terms.code);
        }
    }

    #[test]
    fn problems_of_routes_are_in_the_table() {
        let known: BTreeSet<_> = all().map(|terms| (terms.status, terms.code)).collect();
        for resource in resources() {
            for route in resource.routes {
                for (status, codes) in &route.operation.problems {
                    for code in *codes {
                        let declared = (*status, *code);
                        let id = route.operation.id;
                        assert!(known.contains(&declared), "{id}: {declared:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn docs_codes_md_is_this_table() {
        let page = format!("{}{}", include_str!("codes.md"), table());
        expect_test::expect_file!["../../../../../docs/codes.md"].assert_eq(&page);
    }
}

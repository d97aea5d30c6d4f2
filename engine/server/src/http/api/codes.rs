//! Every code that a problem may have, with its status, whether asking again can help, and what it means.
//! Codes are stable: programs branch on them.
//!
//! A problem is made of a [`Code`] or of a rejection of the ledger, and of nothing else. So what is
//! described here is all that can be answered.

use axum::http::StatusCode;
use bursar_ledger::{RejectionClass, RejectionKind, Retry};
use serde_json::{Value, json};

/// A code of the server's own, from the request itself to the state of the world.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each is described where it says what it means")]
pub enum Code {
    Malformed,
    IdempotencyKeyMissing,
    IdempotencyKeyMalformed,
    Unauthorized,
    Forbidden,
    RouteNotFound,
    MethodNotAllowed,
    EconomyNotFound,
    AccountNotFound,
    AssetNotFound,
    PluginNotFound,
    ActionNotFound,
    KeyNotFound,
    CallNotFound,
    HoldNotFound,
    TransferNotFound,
    WebhookNotFound,
    OutcomeNotFound,
    ComponentNotFound,
    PositionPastHead,
    HistoryChanged,
    BodyTimeout,
    TooLarge,
    RateLimited,
    IdempotencyKeyReused,
    ComponentRefused,
    ConfigurationRefused,
    Declined,
    PluginFault,
    BackupExists,
    AuditRunning,
    NoRoom,
    BackupBehind,
    BackupUnsound,
    BackupFailed,
    Overloaded,
    Conflict,
    OutcomeUnknown,
    Unavailable,
    CallFailed,
    Internal,
}

/// What is said of a code.
pub(crate) struct Terms {
    pub(crate) code: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) retry: Retry,
    meaning: &'static str,
}

impl Code {
    /// All codes of the server's own, in the order of the variants.
    const ALL: [Self; 41] = [
        Self::Malformed,
        Self::IdempotencyKeyMissing,
        Self::IdempotencyKeyMalformed,
        Self::Unauthorized,
        Self::Forbidden,
        Self::RouteNotFound,
        Self::MethodNotAllowed,
        Self::EconomyNotFound,
        Self::AccountNotFound,
        Self::AssetNotFound,
        Self::PluginNotFound,
        Self::ActionNotFound,
        Self::KeyNotFound,
        Self::CallNotFound,
        Self::HoldNotFound,
        Self::TransferNotFound,
        Self::WebhookNotFound,
        Self::OutcomeNotFound,
        Self::ComponentNotFound,
        Self::PositionPastHead,
        Self::HistoryChanged,
        Self::BodyTimeout,
        Self::TooLarge,
        Self::RateLimited,
        Self::IdempotencyKeyReused,
        Self::ComponentRefused,
        Self::ConfigurationRefused,
        Self::Declined,
        Self::PluginFault,
        Self::BackupExists,
        Self::AuditRunning,
        Self::NoRoom,
        Self::BackupBehind,
        Self::BackupUnsound,
        Self::BackupFailed,
        Self::Overloaded,
        Self::Conflict,
        Self::OutcomeUnknown,
        Self::Unavailable,
        Self::CallFailed,
        Self::Internal,
    ];

    /// What is said of it.
    #[expect(clippy::too_many_lines, reason = "it is a table")]
    pub(crate) fn terms(self) -> Terms {
        use Retry::{Never, NewKey, SameKey};
        let (code, status, retry, meaning) = match self {
            Self::Malformed => (
                "malformed",
                StatusCode::BAD_REQUEST,
                Never,
                "The request cannot be read; `pointer` leads to the place in the body (RFC 6901).",
            ),
            Self::IdempotencyKeyMissing => (
                "idempotency_key_missing",
                StatusCode::BAD_REQUEST,
                Never,
                "The request moves something and names no intent.",
            ),
            Self::IdempotencyKeyMalformed => (
                "idempotency_key_malformed",
                StatusCode::BAD_REQUEST,
                Never,
                "The `Idempotency-Key` is not 1 to 128 printable ASCII characters.",
            ),
            Self::Unauthorized => (
                "unauthorized",
                StatusCode::UNAUTHORIZED,
                Never,
                "No key was sent, or one that is not good here.",
            ),
            Self::Forbidden => (
                "forbidden",
                StatusCode::FORBIDDEN,
                Never,
                "The key does not allow this; `scope` says what would.",
            ),
            Self::RouteNotFound => (
                "route_not_found",
                StatusCode::NOT_FOUND,
                Never,
                "The API has no such path.",
            ),
            Self::MethodNotAllowed => (
                "method_not_allowed",
                StatusCode::METHOD_NOT_ALLOWED,
                Never,
                "The path does not take this method.",
            ),
            Self::EconomyNotFound => (
                "economy_not_found",
                StatusCode::NOT_FOUND,
                Never,
                "There is no such economy, or the key may not see it.",
            ),
            Self::AccountNotFound => (
                "account_not_found",
                StatusCode::NOT_FOUND,
                Never,
                "The economy has no such account; open it with PUT.",
            ),
            Self::AssetNotFound => (
                "asset_not_found",
                StatusCode::NOT_FOUND,
                Never,
                "The economy has no such asset; make it with PUT.",
            ),
            Self::PluginNotFound => (
                "plugin_not_found",
                StatusCode::NOT_FOUND,
                Never,
                "The plugin is not installed in this economy.",
            ),
            Self::ActionNotFound => (
                "action_not_found",
                StatusCode::NOT_FOUND,
                Never,
                "The plugin has no such action.",
            ),
            Self::KeyNotFound => (
                "key_not_found",
                StatusCode::NOT_FOUND,
                Never,
                "There is no such API key.",
            ),
            Self::CallNotFound => (
                "call_not_found",
                StatusCode::NOT_FOUND,
                Never,
                "The economy has no call of this id.",
            ),
            Self::HoldNotFound => (
                "hold_not_found",
                StatusCode::NOT_FOUND,
                Never,
                "The economy never had such a hold.",
            ),
            Self::TransferNotFound => (
                "transfer_not_found",
                StatusCode::NOT_FOUND,
                Never,
                "The economy never made such a transfer.",
            ),
            Self::WebhookNotFound => (
                "webhook_not_found",
                StatusCode::NOT_FOUND,
                Never,
                "The economy has no such webhook.",
            ),
            Self::OutcomeNotFound => (
                "outcome_not_found",
                StatusCode::NOT_FOUND,
                Never,
                "No answer is kept under this idempotency key.",
            ),
            Self::ComponentNotFound => (
                "component_not_found",
                StatusCode::UNPROCESSABLE_ENTITY,
                NewKey,
                "No component has this digest; upload it first.",
            ),
            Self::PositionPastHead => (
                "position_past_head",
                StatusCode::CONFLICT,
                Never,
                "`position` comes after the newest record, `head`: read again from the start, and \
                 compare.",
            ),
            Self::HistoryChanged => (
                "history_changed",
                StatusCode::CONFLICT,
                Never,
                "The record at `position` is another one by now: read again from the start, and \
                 compare.",
            ),
            Self::BodyTimeout => (
                "body_timeout",
                StatusCode::REQUEST_TIMEOUT,
                SameKey,
                "The body did not arrive in time.",
            ),
            Self::TooLarge => (
                "too_large",
                StatusCode::PAYLOAD_TOO_LARGE,
                Never,
                "The body has more than `bytes_max` bytes.",
            ),
            Self::RateLimited => (
                "rate_limited",
                StatusCode::TOO_MANY_REQUESTS,
                SameKey,
                "The key asks too often; `Retry-After` says when to come back.",
            ),
            Self::IdempotencyKeyReused => (
                "idempotency_key_reused",
                StatusCode::UNPROCESSABLE_ENTITY,
                NewKey,
                "The key stands for another request; `field` says where they differ.",
            ),
            Self::ComponentRefused => (
                "component_refused",
                StatusCode::UNPROCESSABLE_ENTITY,
                Never,
                "The component may not run here; `findings` say why, with hints.",
            ),
            Self::ConfigurationRefused => (
                "configuration_refused",
                StatusCode::UNPROCESSABLE_ENTITY,
                Never,
                "The configuration is not taken; `findings` name each place in it, and what is wrong.",
            ),
            Self::Declined => (
                "declined",
                StatusCode::UNPROCESSABLE_ENTITY,
                NewKey,
                "The plugin says no; `decline` has its own code and sentence.",
            ),
            Self::PluginFault => (
                "plugin_fault",
                StatusCode::BAD_GATEWAY,
                NewKey,
                "The plugin misbehaved and was stopped; nothing has moved.",
            ),
            Self::BackupExists => (
                "backup_exists",
                StatusCode::CONFLICT,
                Never,
                "There is something at the path, and a backup overwrites nothing.",
            ),
            Self::AuditRunning => (
                "audit_running",
                StatusCode::SERVICE_UNAVAILABLE,
                SameKey,
                "An audit is under way, and one runs at a time; ask again when it has ended.",
            ),
            Self::NoRoom => (
                "no_room",
                StatusCode::INSUFFICIENT_STORAGE,
                SameKey,
                "The disk has no room for the copy.",
            ),
            Self::BackupBehind => (
                "backup_behind",
                StatusCode::SERVICE_UNAVAILABLE,
                SameKey,
                "The copy was slower than what was written meanwhile, and was given up.",
            ),
            Self::BackupUnsound => (
                "backup_unsound",
                StatusCode::INTERNAL_SERVER_ERROR,
                Never,
                "The copy is not sound, and was thrown away: audit the file.",
            ),
            Self::BackupFailed => (
                "backup_failed",
                StatusCode::INTERNAL_SERVER_ERROR,
                SameKey,
                "The copy could not be made; the log of the server says why.",
            ),
            Self::Overloaded => (
                "overloaded",
                StatusCode::SERVICE_UNAVAILABLE,
                SameKey,
                "Too much is waiting; ask again with the same key.",
            ),
            Self::Conflict => (
                "conflict",
                StatusCode::SERVICE_UNAVAILABLE,
                SameKey,
                "Others changed what the call had learned, each time; ask again with the same \
                 key.",
            ),
            Self::OutcomeUnknown => (
                "outcome_unknown",
                StatusCode::SERVICE_UNAVAILABLE,
                SameKey,
                "It is not known whether it was written; the same key tells.",
            ),
            Self::Unavailable => (
                "unavailable",
                StatusCode::SERVICE_UNAVAILABLE,
                SameKey,
                "No requests are taken, the file cannot be read, or nothing can be compiled at \
                 the moment.",
            ),
            Self::CallFailed => (
                "call_failed",
                StatusCode::SERVICE_UNAVAILABLE,
                SameKey,
                "The plugin could not be brought to an end; nothing has moved.",
            ),
            Self::Internal => (
                "internal",
                StatusCode::INTERNAL_SERVER_ERROR,
                SameKey,
                "A bug was met; ask again with the same key.",
            ),
        };
        Terms {
            code,
            status,
            retry,
            meaning,
        }
    }
}

/// The status of a rejection.
pub(crate) fn status(class: RejectionClass) -> StatusCode {
    match class {
        RejectionClass::Refused => StatusCode::UNPROCESSABLE_ENTITY,
        RejectionClass::Conflict => StatusCode::CONFLICT,
        RejectionClass::Forbidden => StatusCode::FORBIDDEN,
    }
}

/// Returns the terms of a kind of rejection.
fn rejection(kind: RejectionKind) -> Terms {
    Terms {
        code: kind.code(),
        status: status(kind.class()),
        retry: kind.retry(),
        meaning: kind.meaning(),
    }
}

/// All that can be answered: the server's own codes, then the ledger's. A code stands twice where it is
/// said of a name in the path and of one in the body.
pub(crate) fn all() -> impl Iterator<Item = Terms> {
    let own = Code::ALL.into_iter().map(Code::terms);
    own.chain(RejectionKind::ALL.into_iter().map(rejection))
}

/// The codes as a table in Markdown.
pub(crate) fn table() -> String {
    let row = |terms: Terms| {
        let Terms {
            code,
            status,
            retry,
            meaning,
        } = terms;
        let (status, retry) = (status.as_u16(), retry.as_str());
        format!("| `{code}` | {status} | `{retry}` | {meaning} |\n")
    };
    let rows: String = all().map(row).collect();
    format!("| code | status | `retry` | meaning |\n|---|---|---|---|\n{rows}")
}

/// The codes for programs that write clients.
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
    fn asking_again_is_said_to_help_only_where_something_passes_by_itself() {
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
    fn what_routes_say_of_their_problems_is_in_the_table() {
        let known: BTreeSet<_> = all().map(|terms| (terms.status, terms.code)).collect();
        for resource in resources() {
            for route in resource.routes {
                for (status, codes) in &route.operation.problems {
                    for code in *codes {
                        let said = (*status, *code);
                        assert!(known.contains(&said), "{}: {said:?}", route.operation.id);
                    }
                }
            }
        }
    }

    #[test]
    fn the_page_of_codes_is_this_table() {
        let page = format!("{}{}", include_str!("codes.md"), table());
        expect_test::expect_file!["../../../../../docs/codes.md"].assert_eq(&page);
    }
}

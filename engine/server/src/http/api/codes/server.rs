//! The server's own codes: invalid requests, unknown names and temporary conditions.

use axum::http::StatusCode;
use bursar_ledger::Retry;

/// The status, the `retry` and the meaning of a code.
pub(crate) struct Terms {
    pub(crate) code: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) retry: Retry,
    pub(super) meaning: &'static str,
}

/// Declares the codes. One table is the source of the variants, their documentation, their list and
/// their terms, so that they cannot diverge.
macro_rules! codes {
    ($($variant:ident: $code:literal, $status:ident, $retry:ident, $meaning:literal;)*) => {
        /// A code of the server, in contrast to the code of a rejection by the ledger.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Code {
            $(#[doc = $meaning] $variant,)*
        }

        impl Code {
            /// All codes of the server.
            pub(super) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Returns the terms of the code.
            pub(crate) fn terms(self) -> Terms {
                match self {
                    $(Self::$variant => Terms {
                        code: $code,
                        status: StatusCode::$status,
                        retry: Retry::$retry,
                        meaning: $meaning,
                    },)*
                }
            }
        }
    };
}

codes! {
    Malformed: "malformed", BAD_REQUEST, Never,
        "The request is invalid. `pointer` names the place in the body (RFC 6901); empty for the \
         path, the query, the headers or the whole body.";
    IdempotencyKeyMissing: "idempotency_key_missing", BAD_REQUEST, Never,
        "The request requires the header `Idempotency-Key`, and it is missing.";
    IdempotencyKeyMalformed: "idempotency_key_malformed", BAD_REQUEST, Never,
        "The `Idempotency-Key` is not 1 to 128 printable ASCII characters.";
    Unauthorized: "unauthorized", UNAUTHORIZED, Never,
        "The request has no key, or a key that is not valid here.";
    Forbidden: "forbidden", FORBIDDEN, Never,
        "The key does not allow this request. `scope` names the missing scope, if there is one.";
    RouteNotFound: "route_not_found", NOT_FOUND, Never,
        "The API has no such path.";
    MethodNotAllowed: "method_not_allowed", METHOD_NOT_ALLOWED, Never,
        "The path does not support this method.";
    EconomyNotFound: "economy_not_found", NOT_FOUND, Never,
        "The economy does not exist, or the key may not see it.";
    AccountNotFound: "account_not_found", NOT_FOUND, Never,
        "The economy has no such account. Open it with PUT.";
    AssetNotFound: "asset_not_found", NOT_FOUND, Never,
        "The economy has no such asset. Create it with PUT.";
    PluginNotFound: "plugin_not_found", NOT_FOUND, Never,
        "The plugin is not installed in this economy.";
    ActionNotFound: "action_not_found", NOT_FOUND, Never,
        "The plugin has no such action.";
    KeyNotFound: "key_not_found", NOT_FOUND, Never,
        "The server has no such API key.";
    CallNotFound: "call_not_found", NOT_FOUND, Never,
        "The economy has no call with this id.";
    HoldNotFound: "hold_not_found", NOT_FOUND, Never,
        "The economy has no hold with this id, neither open nor ended.";
    TransferNotFound: "transfer_not_found", NOT_FOUND, Never,
        "The economy has no transfer with this id.";
    WebhookNotFound: "webhook_not_found", NOT_FOUND, Never,
        "The economy has no such webhook.";
    OutcomeNotFound: "outcome_not_found", NOT_FOUND, Never,
        "No answer is stored under this idempotency key: the request was not decided.";
    ComponentNotFound: "component_not_found", UNPROCESSABLE_ENTITY, NewKey,
        "No component has this hash. Upload it first.";
    PositionPastHead: "position_past_head", CONFLICT, Never,
        "`position` is after the newest record, `head`. Read again from the start, and compare.";
    HistoryChanged: "history_changed", CONFLICT, Never,
        "The record at `position` has another hash now. Read again from the start, and compare.";
    BodyTimeout: "body_timeout", REQUEST_TIMEOUT, SameKey,
        "The body did not arrive in time.";
    TooLarge: "too_large", PAYLOAD_TOO_LARGE, Never,
        "The body is larger than `bytes_max` bytes.";
    RateLimited: "rate_limited", TOO_MANY_REQUESTS, SameKey,
        "The key exceeds its rate limit. `Retry-After` is the time to wait, in seconds.";
    IdempotencyKeyReused: "idempotency_key_reused", UNPROCESSABLE_ENTITY, NewKey,
        "The idempotency key was used for another request. `field` names the first difference.";
    ComponentRefused: "component_refused", UNPROCESSABLE_ENTITY, Never,
        "The component was rejected. `findings` are the errors, with hints.";
    ConfigurationRefused: "configuration_refused", UNPROCESSABLE_ENTITY, Never,
        "The configuration was rejected. `findings` are the errors and their places.";
    Declined: "declined", UNPROCESSABLE_ENTITY, NewKey,
        "The plugin declined the call. `decline` is the plugin's own code and sentence.";
    PluginFault: "plugin_fault", BAD_GATEWAY, NewKey,
        "The plugin broke a rule of its contract or a limit, and was stopped. Nothing has moved.";
    BackupExists: "backup_exists", CONFLICT, Never,
        "The path of the backup exists already. A backup overwrites nothing.";
    AuditRunning: "audit_running", SERVICE_UNAVAILABLE, SameKey,
        "Another audit is running. Send the request again when it has ended.";
    NoRoom: "no_room", INSUFFICIENT_STORAGE, SameKey,
        "The disk has not enough free space for the backup.";
    BackupBehind: "backup_behind", SERVICE_UNAVAILABLE, SameKey,
        "The backup was slower than the new writes, and was aborted. Send the request again when \
         there is less load.";
    BackupUnsound: "backup_unsound", INTERNAL_SERVER_ERROR, Never,
        "The verification of the backup failed, and the copy was deleted. Audit the file.";
    BackupFailed: "backup_failed", INTERNAL_SERVER_ERROR, SameKey,
        "The backup could not be made. The server's log says why.";
    Overloaded: "overloaded", SERVICE_UNAVAILABLE, SameKey,
        "Too many requests are waiting. Send the request again, under the same key.";
    Conflict: "conflict", SERVICE_UNAVAILABLE, SameKey,
        "Other requests changed what the call had read, in every attempt. Send the request again, \
         under the same key.";
    OutcomeUnknown: "outcome_unknown", SERVICE_UNAVAILABLE, SameKey,
        "The request may have been committed. Send it again under the same key to get its answer.";
    Unavailable: "unavailable", SERVICE_UNAVAILABLE, SameKey,
        "The server accepts no requests, the file cannot be read, or components cannot be compiled \
         at the moment.";
    CallFailed: "call_failed", SERVICE_UNAVAILABLE, SameKey,
        "The call could not be completed. Nothing has moved.";
    Internal: "internal", INTERNAL_SERVER_ERROR, SameKey,
        "An internal error occurred; the server's log says more. Send the request again, under the \
         same key.";
}

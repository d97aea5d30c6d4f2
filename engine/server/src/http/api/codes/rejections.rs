//! The codes of rejections by the ledger.

use axum::http::StatusCode;
use bursar_ledger::{RejectionClass, RejectionKind};

use super::server::Terms;

/// Returns the status of a rejection.
pub(crate) fn status(class: RejectionClass) -> StatusCode {
    match class {
        RejectionClass::Refused => StatusCode::UNPROCESSABLE_ENTITY,
        RejectionClass::Conflict => StatusCode::CONFLICT,
        RejectionClass::Forbidden => StatusCode::FORBIDDEN,
    }
}

/// Returns the terms of a rejection's code.
pub(super) fn terms(kind: RejectionKind) -> Terms {
    Terms {
        code: kind.code(),
        status: status(kind.class()),
        retry: kind.retry(),
        meaning: kind.meaning(),
    }
}

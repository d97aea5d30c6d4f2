//! The validation of WebAssembly, with only the features that the engine has.

use wasmparser::{BinaryReaderError, Validator, WasmFeatures};

use crate::report::{Finding, Report, UploadLocation};

/// Validates a component with the features that the engine has.
pub(crate) fn check_validity(bytes: &[u8]) -> Result<(), Report> {
    // The engine in `sandbox.rs` has these features off, and would reject them with a less helpful message.
    let mut features = WasmFeatures::default();
    let absent = WasmFeatures::MEMORY64
        | WasmFeatures::THREADS
        | WasmFeatures::RELAXED_SIMD
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::WIDE_ARITHMETIC
        | WasmFeatures::CUSTOM_PAGE_SIZES
        | WasmFeatures::GC
        | WasmFeatures::GC_TYPES
        | WasmFeatures::EXCEPTIONS
        | WasmFeatures::CM_ASYNC;
    features.remove(absent);
    match Validator::new_with_features(features).validate_all(bytes) {
        Ok(_) => Ok(()),
        Err(error) => Err(invalid(&error).into()),
    }
}

/// Returns the finding about bytes that cannot be parsed or are not valid.
pub(super) fn invalid(error: &BinaryReaderError) -> Finding {
    let message = format!("at byte {:#x}: {}", error.offset(), error.message());
    let hint = "it uses a feature that plugins do not have, or it is damaged";
    Finding::new("invalid", message)
        .hint(hint)
        .at(UploadLocation::byte(error.offset()))
}

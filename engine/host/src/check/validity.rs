//! Whether the bytes are WebAssembly, with the features that the engine has and no other.

use wasmparser::{BinaryReaderError, Validator, WasmFeatures};

use crate::report::{Finding, Report, UploadLocation};

/// Validity, with the features that the engine has.
pub(crate) fn check_validity(bytes: &[u8]) -> Result<(), Report> {
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

/// What the reader of the bytes could not read.
pub(super) fn invalid(error: &BinaryReaderError) -> Finding {
    let message = format!("at byte {:#x}: {}", error.offset(), error.message());
    let hint = "it uses a feature that is off here, or it is damaged";
    Finding::new("invalid", message)
        .hint(hint)
        .at(UploadLocation::byte(error.offset()))
}

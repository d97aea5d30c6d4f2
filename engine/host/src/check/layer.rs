//! The size and the file type of an upload.

use wasmparser::Parser;

use crate::limits::UPLOAD_BYTES_MAX;
use crate::report::{Finding, Report};

/// A hint about how to build a component.
pub(super) const HOW_TO_BUILD: &str =
    "build it as a component: for Rust, target wasm32-unknown-unknown with wasm-component-ld";

/// Checks that an upload is a component and not too large.
pub(crate) fn check_layer(bytes: &[u8]) -> Result<(), Report> {
    if bytes.len() > UPLOAD_BYTES_MAX {
        let message = format!(
            "the upload has {} bytes; at most {UPLOAD_BYTES_MAX} are allowed",
            bytes.len()
        );
        return Err(Finding::new("too_large", message).into());
    }
    if Parser::is_component(bytes) {
        return Ok(());
    }
    let finding = if Parser::is_core_wasm(bytes) {
        Finding::new("core_module", "this is a core module, not a component").hint(HOW_TO_BUILD)
    } else if bytes.starts_with(b"\x7fELF") {
        Finding::new("precompiled", "this is compiled machine code")
            .hint("upload the component itself; machine code is never accepted")
    } else if bytes.starts_with(b"(") {
        Finding::new("text_format", "this is WebAssembly text").hint(HOW_TO_BUILD)
    } else {
        Finding::new("not_wasm", "this is not WebAssembly").hint(HOW_TO_BUILD)
    };
    Err(finding.into())
}

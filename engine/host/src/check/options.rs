//! The canonical options of functions: texts must be UTF-8, and calls must be synchronous.
//!
//! Other string encodings and async calls have had security bugs in engines, and plugins do not need them.

use wasmparser::{BinaryReaderError, CanonicalFunction, CanonicalOption, SectionLimited};

use crate::report::{Finding, Findings, UploadLocation};

/// Checks the options of every lifted or lowered function.
pub(super) fn check_options(
    functions: SectionLimited<'_, CanonicalFunction>,
    findings: &mut Findings,
) -> Result<(), BinaryReaderError> {
    for function in functions.into_iter_with_offsets() {
        let (at, function) = function?;
        let (CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. }) =
            function
        else {
            // The other canonical functions have no options, or the validator rejects them.
            continue;
        };
        let found = options.iter().copied().filter_map(check_option);
        findings.extend(found.map(|finding| finding.at(UploadLocation::byte(at))));
    }
    Ok(())
}

fn check_option(option: CanonicalOption) -> Option<Finding> {
    let encoding = |name: &str| {
        let message = format!("a function passes strings as {name}");
        let hint = "only UTF-8 is allowed: build it with `string-encoding=utf8`";
        Finding::new("string_encoding", message).hint(hint)
    };
    match option {
        CanonicalOption::UTF16 => Some(encoding("UTF-16")),
        CanonicalOption::CompactUTF16 => Some(encoding("latin1+utf16")),
        CanonicalOption::Async | CanonicalOption::Callback(_) => {
            let hint = "calls are synchronous: build it without async; for JavaScript, use --sync";
            Some(Finding::new("async_function", "a function is async").hint(hint))
        }
        _ => None,
    }
}

//! How functions cross the border: texts as UTF-8, and calls that wait for their answer.
//!
//! Other encodings and async calls are where engines have had their worst mistakes, and no plugin needs
//! them.

use wasmparser::{BinaryReaderError, CanonicalFunction, CanonicalOption, SectionLimited};

use crate::report::{Finding, Findings, UploadLocation};

/// Looks at the options of every function that is lifted or lowered.
pub(super) fn check_options(
    functions: SectionLimited<'_, CanonicalFunction>,
    findings: &mut Findings,
) -> Result<(), BinaryReaderError> {
    for function in functions.into_iter_with_offsets() {
        let (at, function) = function?;
        let (CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. }) =
            function
        else {
            // The others are for what the validator refuses, or have no options.
            continue;
        };
        let found = options.iter().copied().filter_map(check_option);
        findings.extend(found.map(|finding| finding.at(UploadLocation::byte(at))));
    }
    Ok(())
}

fn check_option(option: CanonicalOption) -> Option<Finding> {
    let encoding = |name: &str| {
        let message = format!("a function's texts cross the border as {name}");
        let hint = "only UTF-8 does here: build it with `string-encoding=utf8`";
        Finding::new("string_encoding", message).hint(hint)
    };
    match option {
        CanonicalOption::UTF16 => Some(encoding("UTF-16")),
        CanonicalOption::CompactUTF16 => Some(encoding("latin1+utf16")),
        CanonicalOption::Async | CanonicalOption::Callback(_) => {
            let hint =
                "a call waits for its answer here: build it without async; for JavaScript, --sync";
            Some(Finding::new("async_function", "a function is async").hint(hint))
        }
        _ => None,
    }
}

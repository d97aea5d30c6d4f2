//! The tasks of a child process, and the values that it and its parent share.

use crate::limits::{COMPILE_DATA_BYTES, MANIFEST_DATA_BYTES};
use crate::report::Finding;

/// The exit code of a child that failed because of the machine (`EX_TEMPFAIL` of sysexits.h).
pub(super) const MACHINE_FAILURE_CODE: u8 = 75;

/// The prefix of a line on standard error that names a limit of the machine that is lower than the child's own.
pub(super) const LOW_LIMIT_PREFIX: &str = "lowered by the machine: ";

/// A resource that is limited in a child.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LimitKind {
    Memory,
    Time,
}

/// A task of a child. The first byte of its input is the task's tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ChildTask {
    /// Compile a component.
    Component,
    /// Parse a manifest.
    Manifest,
}

impl ChildTask {
    pub(super) fn tag(self) -> u8 {
        match self {
            Self::Component => b'c',
            Self::Manifest => b'm',
        }
    }

    pub(super) fn from_tag(tag: u8) -> Option<Self> {
        [Self::Component, Self::Manifest]
            .into_iter()
            .find(|task| task.tag() == tag)
    }

    /// Returns the memory limit in bytes.
    pub(super) fn data_bytes(self) -> u64 {
        match self {
            Self::Component => COMPILE_DATA_BYTES,
            Self::Manifest => MANIFEST_DATA_BYTES,
        }
    }

    /// Returns the finding about a component on which the child reached a limit.
    pub(super) fn limit_finding(self, limit: LimitKind) -> Finding {
        match (self, limit) {
            (Self::Component, LimitKind::Memory) => {
                let message =
                    format!("compiling it takes more than {COMPILE_DATA_BYTES} bytes of memory");
                Finding::new("compiles_too_large", message)
            }
            (Self::Component, LimitKind::Time) => {
                let hint = "functions with many blocks, locals or branches take long: split them";
                Finding::new(
                    "compiles_too_long",
                    "compiling it takes longer than allowed",
                )
                .hint(hint)
            }
            (Self::Manifest, LimitKind::Memory | LimitKind::Time) => {
                let resource = match limit {
                    LimitKind::Memory => "memory",
                    LimitKind::Time => "time",
                };
                let message = format!("parsing its manifest takes more {resource} than allowed");
                let hint = "use fewer and smaller schemas and patterns";
                Finding::new("manifest_too_costly", message).hint(hint)
            }
        }
    }
}

//! The work that a child is asked to do, and the values on which it and its parent must agree.

use crate::limits::{COMPILE_DATA_BYTES, MANIFEST_DATA_BYTES};
use crate::report::Finding;

/// The exit code of a child that could not do its work for reasons of the machine's.
pub(super) const MACHINE_FAILED: u8 = 75;

/// The beginning of a line of a child that says which limit of the machine's is lower than its own.
pub(super) const LOWERED: &str = "lowered by the machine: ";

/// A bound on what a child may use up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Bound {
    Memory,
    Time,
}

/// The work that a child is to do. It reads this as its first byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Work {
    /// Compile a component.
    Component,
    /// Read a manifest.
    Manifest,
}

impl Work {
    pub(super) fn tag(self) -> u8 {
        match self {
            Self::Component => b'c',
            Self::Manifest => b'm',
        }
    }

    pub(super) fn from_tag(tag: u8) -> Option<Self> {
        [Self::Component, Self::Manifest]
            .into_iter()
            .find(|work| work.tag() == tag)
    }

    /// Bytes of memory that it may take.
    pub(super) fn data_bytes(self) -> u64 {
        match self {
            Self::Component => COMPILE_DATA_BYTES,
            Self::Manifest => MANIFEST_DATA_BYTES,
        }
    }

    /// Returns the finding about a component that met a bound.
    pub(super) fn met(self, bound: Bound) -> Finding {
        match (self, bound) {
            (Self::Component, Bound::Memory) => {
                let message =
                    format!("compiling it takes more than {COMPILE_DATA_BYTES} bytes of memory");
                Finding::new("compiles_too_large", message)
            }
            (Self::Component, Bound::Time) => {
                let hint = "functions with many blocks, locals or branches take long: split them";
                Finding::new(
                    "compiles_too_long",
                    "it takes longer to compile than it may",
                )
                .hint(hint)
            }
            (Self::Manifest, Bound::Memory | Bound::Time) => {
                let of = match bound {
                    Bound::Memory => "memory",
                    Bound::Time => "time",
                };
                let message = format!("reading its manifest takes more {of} than it may");
                let hint = "use fewer and smaller schemas and patterns";
                Finding::new("manifest_too_costly", message).hint(hint)
            }
        }
    }
}

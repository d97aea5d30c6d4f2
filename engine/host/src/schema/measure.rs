//! A compiled schema measured: how many parts it has with every reference written out, and how deep it is.

use std::fmt;

use super::parts::{Part, PartId, Parts};
use crate::limits::{SCHEMA_DEPTH_MAX, SCHEMA_PARTS_MAX};

/// The quantity of which a schema has too much.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TooMuch {
    Parts,
    Depth,
    Recursion,
}

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parts => write!(
                f,
                "it has more than {SCHEMA_PARTS_MAX} parts, counting what it refers to each time"
            ),
            Self::Depth => write!(
                f,
                "it has more than {SCHEMA_DEPTH_MAX} schemas within each other"
            ),
            Self::Recursion => write!(f, "a definition refers to itself"),
        }
    }
}

impl TooMuch {
    pub(super) fn hint(self) -> &'static str {
        match self {
            Self::Parts => "list fewer alternatives, and refer to large definitions less often",
            Self::Depth => "flatten what nests, references included",
            Self::Recursion => "write out as many levels as are needed",
        }
    }
}

/// The state of the measuring of a part.
#[derive(Clone, Copy)]
enum Measured {
    Not,
    Begun,
    Done { size: usize, depth: usize },
}

/// Checks that a schema is small enough and comes to an end.
pub(super) fn measure(parts: &Parts) -> Result<(), TooMuch> {
    let mut known = vec![Measured::Not; parts.list.len()];
    below(parts, parts.root, 1, &mut known)?;
    Ok(())
}

/// The size and the depth of a part that stands at some level. The recursion is no deeper than a schema may
/// be.
fn below(
    parts: &Parts,
    id: PartId,
    level: usize,
    known: &mut [Measured],
) -> Result<(usize, usize), TooMuch> {
    if level > SCHEMA_DEPTH_MAX {
        return Err(TooMuch::Depth);
    }
    match known[id.0] {
        Measured::Done { depth, .. } if level + depth > SCHEMA_DEPTH_MAX + 1 => {
            return Err(TooMuch::Depth);
        }
        Measured::Done { size, depth } => return Ok((size, depth)),
        Measured::Begun => return Err(TooMuch::Recursion),
        Measured::Not => {}
    }
    known[id.0] = Measured::Begun;
    let (mut size, mut depth) = (1_usize, 1);
    if let Part::Checks(checks) = &parts.list[id.0] {
        for check in checks {
            size = size.saturating_add(check.size());
            let mut leads_to = Vec::new();
            check.each_part(|part| leads_to.push(part));
            for part in leads_to {
                let (size_below, depth_below) = below(parts, part, level + 1, known)?;
                size = size.saturating_add(size_below);
                depth = depth.max(1 + depth_below);
                if size > SCHEMA_PARTS_MAX {
                    return Err(TooMuch::Parts);
                }
            }
        }
    }
    if size > SCHEMA_PARTS_MAX {
        return Err(TooMuch::Parts);
    }
    known[id.0] = Measured::Done { size, depth };
    Ok((size, depth))
}

//! The measure of a compiled schema: the number of its parts and its depth, with every reference expanded.

use std::fmt;

use super::parts::{Part, PartId, SchemaParts};
use crate::limits::{SCHEMA_DEPTH_MAX, SCHEMA_PARTS_MAX};

/// The limit that a schema exceeds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SchemaSizeError {
    SchemaParts,
    Depth,
    Recursion,
}

impl fmt::Display for SchemaSizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SchemaParts => write!(
                f,
                "it has more than {SCHEMA_PARTS_MAX} parts, with every reference expanded"
            ),
            Self::Depth => write!(
                f,
                "it has more than {SCHEMA_DEPTH_MAX} levels of nested schemas"
            ),
            Self::Recursion => write!(f, "a definition refers to itself"),
        }
    }
}

impl SchemaSizeError {
    pub(super) fn hint(self) -> &'static str {
        match self {
            Self::SchemaParts => {
                "list fewer alternatives, and refer to large definitions less often"
            }
            Self::Depth => "use fewer levels, including those of references",
            Self::Recursion => "write out the levels that are needed",
        }
    }
}

/// The state of one part while the schema is measured.
#[derive(Clone, Copy)]
enum MeasureState {
    Unvisited,
    InProgress,
    Done { size: usize, depth: usize },
}

/// Checks that a schema is small enough and not recursive.
pub(super) fn measure(parts: &SchemaParts) -> Result<(), SchemaSizeError> {
    let mut states = vec![MeasureState::Unvisited; parts.list.len()];
    measure_part(parts, parts.root, 1, &mut states)?;
    Ok(())
}

/// Measures the size and the depth of a part at a level. The recursion is no deeper than
/// [`SCHEMA_DEPTH_MAX`].
fn measure_part(
    parts: &SchemaParts,
    id: PartId,
    level: usize,
    states: &mut [MeasureState],
) -> Result<(usize, usize), SchemaSizeError> {
    if level > SCHEMA_DEPTH_MAX {
        return Err(SchemaSizeError::Depth);
    }
    match states[id.0] {
        MeasureState::Done { depth, .. } if level + depth > SCHEMA_DEPTH_MAX + 1 => {
            return Err(SchemaSizeError::Depth);
        }
        MeasureState::Done { size, depth } => return Ok((size, depth)),
        MeasureState::InProgress => return Err(SchemaSizeError::Recursion),
        MeasureState::Unvisited => {}
    }
    states[id.0] = MeasureState::InProgress;
    let mut size = 1_usize;
    let mut depth = 1;
    if let Part::Checks(checks) = &parts.list[id.0] {
        for check in checks {
            size = size.saturating_add(check.size());
            let mut children = Vec::new();
            check.each_part(|part| children.push(part));
            for part in children {
                let (child_size, child_depth) = measure_part(parts, part, level + 1, states)?;
                size = size.saturating_add(child_size);
                depth = depth.max(1 + child_depth);
                if size > SCHEMA_PARTS_MAX {
                    return Err(SchemaSizeError::SchemaParts);
                }
            }
        }
    }
    if size > SCHEMA_PARTS_MAX {
        return Err(SchemaSizeError::SchemaParts);
    }
    states[id.0] = MeasureState::Done { size, depth };
    Ok((size, depth))
}

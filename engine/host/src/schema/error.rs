//! The reason that a value does not fit its schema.

use std::fmt;
use std::io;

use bursar_ledger::pointer_segment;
use serde_json::Value;

use crate::limits::SHOWN_VALUE_BYTES_MAX;
use crate::text::excerpt;

/// A value does not fit its schema.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SchemaError {
    /// The place of the misfit, as a JSON pointer into the value.
    pub pointer: String,
    /// A description of what is wrong there.
    pub message: String,
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() {
            "its top"
        } else {
            &self.pointer
        };
        write!(f, "{place}: {}", self.message)
    }
}

/// A way into a value: a chain of names and indices on the stack, which costs nothing until it is written.
#[derive(Clone, Copy)]
pub(super) struct Path<'a> {
    above: Option<&'a Path<'a>>,
    segment: Segment<'a>,
}

#[derive(Clone, Copy)]
enum Segment<'a> {
    Top,
    Name(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    /// The value as a whole.
    pub(super) const TOP: Path<'static> = Path {
        above: None,
        segment: Segment::Top,
    };

    /// Tells whether this is the value as a whole.
    pub(super) fn is_top(&self) -> bool {
        matches!(self.segment, Segment::Top)
    }

    /// A member of the value that this leads to.
    pub(super) fn member(&'a self, name: &'a str) -> Path<'a> {
        Path {
            above: Some(self),
            segment: Segment::Name(name),
        }
    }

    /// An item of the value that this leads to.
    pub(super) fn item(&'a self, index: usize) -> Path<'a> {
        Path {
            above: Some(self),
            segment: Segment::Index(index),
        }
    }

    /// The path as a JSON pointer.
    pub(super) fn pointer(&self) -> String {
        let mut pointer = self.above.map(Self::pointer).unwrap_or_default();
        match self.segment {
            Segment::Top => {}
            Segment::Name(name) => {
                pointer.push_str(&pointer_segment(name));
            }
            Segment::Index(index) => {
                pointer.push('/');
                pointer.push_str(&index.to_string());
            }
        }
        pointer
    }
}

/// The beginning of a value's text, as it may be shown.
pub(super) fn shown(value: &Value) -> String {
    let mut text = Beginning(Vec::new());
    // It stops with an error where it has enough.
    drop(serde_json::to_writer(&mut text, value));
    let cut = text.0.len() >= SHOWN_VALUE_BYTES_MAX;
    let mut text = excerpt(&String::from_utf8_lossy(&text.0));
    if cut && !text.ends_with('…') {
        text.push('…');
    }
    text
}

struct Beginning(Vec<u8>);

impl io::Write for Beginning {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = SHOWN_VALUE_BYTES_MAX.saturating_sub(self.0.len());
        if room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let taken = bytes.len().min(room);
        self.0.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_are_json_pointers() {
        let (top, name) = (Path::TOP, "a/b~c");
        assert_eq!(top.pointer(), "");
        let member = top.member(name);
        assert_eq!(member.item(3).pointer(), "/a~1b~0c/3");
    }

    #[test]
    fn a_value_is_shown_up_to_a_limit() {
        assert_eq!(shown(&json!({"a": [1, "b"]})), r#"{"a":[1,"b"]}"#);
        let most = "m".repeat(SHOWN_VALUE_BYTES_MAX - 3);
        assert_eq!(shown(&json!(most)), format!("\"{most}\""));
        let long = shown(&json!(format!("{most}mmm")));
        assert!(long.ends_with("m…") && long.len() < SHOWN_VALUE_BYTES_MAX + 4);
        assert!(shown(&json!("\u{202e}")).is_ascii());
    }
}

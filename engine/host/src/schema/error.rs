//! The error of a value that does not match its schema.

use std::fmt;
use std::io;

use bursar_ledger::pointer_segment;
use serde_json::Value;

use crate::limits::SHOWN_VALUE_BYTES_MAX;
use crate::text::excerpt;

/// The error of a value that does not match its schema.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SchemaError {
    /// A JSON pointer to the place in the value.
    pub pointer: String,
    /// A description of the problem.
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

/// A path into a value: a linked list of names and indices on the stack, which allocates only if it is written.
#[derive(Clone, Copy)]
pub(super) struct ValuePath<'a> {
    parent: Option<&'a ValuePath<'a>>,
    segment: Segment<'a>,
}

#[derive(Clone, Copy)]
enum Segment<'a> {
    Top,
    Name(&'a str),
    Index(usize),
}

impl<'a> ValuePath<'a> {
    /// The path of the whole value.
    pub(super) const TOP: ValuePath<'static> = ValuePath {
        parent: None,
        segment: Segment::Top,
    };

    /// Returns true if this is the path of the whole value.
    pub(super) fn is_top(&self) -> bool {
        matches!(self.segment, Segment::Top)
    }

    /// Returns the path of a member.
    pub(super) fn member(&'a self, name: &'a str) -> ValuePath<'a> {
        ValuePath {
            parent: Some(self),
            segment: Segment::Name(name),
        }
    }

    /// Returns the path of an item.
    pub(super) fn item(&'a self, index: usize) -> ValuePath<'a> {
        ValuePath {
            parent: Some(self),
            segment: Segment::Index(index),
        }
    }

    /// Returns the path as a JSON pointer (RFC 6901).
    pub(super) fn pointer(&self) -> String {
        let mut pointer = self.parent.map(Self::pointer).unwrap_or_default();
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

/// Returns the beginning of a value as JSON, with unprintable characters escaped.
pub(super) fn shown(value: &Value) -> String {
    let mut text = TruncatingWriter(Vec::new());
    // The writer stops with an error at its limit, so that a large value is not written as a whole.
    drop(serde_json::to_writer(&mut text, value));
    let cut = text.0.len() >= SHOWN_VALUE_BYTES_MAX;
    let mut text = excerpt(&String::from_utf8_lossy(&text.0));
    if cut && !text.ends_with('…') {
        text.push('…');
    }
    text
}

/// A writer that accepts bytes up to a limit and then fails.
struct TruncatingWriter(Vec<u8>);

impl io::Write for TruncatingWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes_left = SHOWN_VALUE_BYTES_MAX.saturating_sub(self.0.len());
        if bytes_left == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let accepted = bytes.len().min(bytes_left);
        self.0.extend_from_slice(&bytes[..accepted]);
        Ok(accepted)
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
        let top = ValuePath::TOP;
        let name = "a/b~c";
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

//! Places in a JSON text, as JSON pointers (RFC 6901). They are only computed for errors.

use std::collections::BTreeSet;

/// An object or a list that is being read, with the current member or item.
enum Container {
    /// An object, with the name of the member as it is written, including quotes and escapes.
    Object(Vec<u8>),
    /// A list, with the index of the item.
    List(usize),
}

/// Returns the pointer to the value at a byte of a text. The text may be invalid from that byte on.
pub(super) fn pointer(text: &[u8], at: usize) -> String {
    let text = text.get(..at).unwrap_or(text);
    let open = walk(text, |_| false);
    open.iter().map(Container::segment).collect()
}

/// Returns the pointer to the first member that occurs twice in its object.
pub(super) fn duplicate(text: &[u8]) -> Option<String> {
    let mut names: Vec<BTreeSet<String>> = Vec::new();
    let mut is_found = false;
    let open = walk(text, |open| {
        names.truncate(open.len());
        names.resize_with(open.len(), BTreeSet::new);
        is_found = names
            .last_mut()
            .zip(open.last())
            .is_some_and(|(names, member)| !names.insert(member.segment()));
        is_found
    });
    is_found.then(|| open.iter().map(Container::segment).collect())
}

/// Walks through a text to the first member for which `is_end` returns true, or to the end, and returns the
/// open objects and lists. `is_end` receives them after each name.
fn walk(text: &[u8], mut is_end: impl FnMut(&[Container]) -> bool) -> Vec<Container> {
    let mut open: Vec<Container> = Vec::new();
    let mut awaits_name = false;
    let mut place = 0;
    while let Some(rest) = text.get(place..).filter(|rest| !rest.is_empty()) {
        let mut length = 1;
        match rest.first().copied().unwrap_or_default() {
            b'{' => {
                open.push(Container::Object(Vec::new()));
                awaits_name = true;
            }
            b'[' => {
                open.push(Container::List(0));
                awaits_name = false;
            }
            b'}' | b']' => {
                open.pop();
                awaits_name = false;
            }
            b',' => match open.last_mut() {
                Some(Container::Object(_)) => awaits_name = true,
                Some(Container::List(item)) => *item = item.saturating_add(1),
                None => {}
            },
            b'"' => {
                length = string_length(rest);
                if let (true, Some(Container::Object(name))) = (awaits_name, open.last_mut()) {
                    *name = rest.get(..length).unwrap_or_default().to_vec();
                    awaits_name = false;
                    if is_end(&open) {
                        return open;
                    }
                }
            }
            _ => {}
        }
        place = place.saturating_add(length);
    }
    open
}

impl Container {
    fn segment(&self) -> String {
        match self {
            // No member has been read yet.
            Self::Object(name) if name.is_empty() => String::new(),
            Self::Object(name) => {
                let read = serde_json::from_slice::<String>(name).unwrap_or_default();
                segment(&read)
            }
            Self::List(item) => format!("/{item}"),
        }
    }
}

/// Returns the name of a member as a segment of a pointer, with its slash.
pub fn segment(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// Returns the length of the string at the start of a text, including its quotes.
pub(super) fn string_length(text: &[u8]) -> usize {
    let mut is_escaped = false;
    let end = text.iter().skip(1).position(|byte| {
        let is_end = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        is_end
    });
    end.map_or(text.len(), |end| end.saturating_add(2))
}

/// Returns the byte position of a line and a column, both counted from 1.
pub(super) fn offset(text: &[u8], line: usize, column: usize) -> usize {
    let before = text.split(|byte| *byte == b'\n');
    let before = before.take(line.saturating_sub(1));
    let lines = before
        .map(|line| line.len().saturating_add(1))
        .sum::<usize>();
    lines.saturating_add(column.saturating_sub(1))
}

//! Shapes of the values in a manifest. A shape finds all that is wrong with a value, where a reader of types
//! stops at the first mistake.

use bursar_ledger::{SEGMENT_CHARS_MAX, pointer_segment};
use serde_json::{Map, Value};

use super::bad;
use crate::limits::TEXT_CHARS_MAX;
use crate::report::Findings;

/// The shape of a value.
pub(super) enum Shape {
    /// Any value.
    Any,
    /// A schema. It is found out elsewhere whether it is one.
    Schema,
    /// `true` or `false`.
    Flag,
    /// `true` alone.
    True,
    /// A text of a bounded length.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A text with a rule.
    Name(&'static Name),
    /// A whole number.
    Number { least: u64, most: u64 },
    /// A list.
    List(List),
    /// An object of these members.
    Object(Object),
    /// An object whose members have names by a rule.
    Names(Names),
}

/// A rule for texts that name something.
pub(super) struct Name {
    /// A name for it, as in "`x` is not …".
    pub(super) what: &'static str,
    /// The rule as a regular expression. It may let through what the rule does not.
    pub(super) pattern: &'static str,
    /// The rule; says what is wrong with a text.
    pub(super) check: fn(&str) -> Result<(), String>,
}

/// A list of values of one shape.
pub(super) struct List {
    /// A name for its items, in the plural.
    pub(super) what: &'static str,
    pub(super) item: &'static Shape,
    pub(super) least: usize,
    /// The most items, where the size of the manifest is not all that bounds them.
    pub(super) most: Option<usize>,
}

/// Members with names by a rule, and values of one shape.
pub(super) struct Names {
    /// A name for its members, in the plural.
    pub(super) what: &'static str,
    pub(super) name: &'static Name,
    pub(super) value: &'static Shape,
    /// The most members, where the size of the manifest is not all that bounds them.
    pub(super) most: Option<usize>,
}

/// An object that has these members and no others.
pub(super) struct Object {
    /// A name for it, as in "… is no member of …".
    pub(super) what: &'static str,
    pub(super) members: &'static [Member],
}

/// A member of an object.
pub(super) struct Member {
    pub(super) name: &'static str,
    pub(super) required: bool,
    /// A description, for people.
    pub(super) about: &'static str,
    pub(super) shape: &'static Shape,
}

/// Returns whether a text is the name of an action, a schedule or a kind of hold.
pub(super) fn is_word(name: &str) -> bool {
    let speaks = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
    !name.is_empty() && name.len() <= 64 && name.bytes().all(speaks)
}

impl Shape {
    /// Finds all that is wrong with a manifest.
    pub(super) fn check(&self, manifest: &Value, findings: &mut Findings) {
        self.find(manifest, "", findings);
    }

    /// Finds all that is wrong with the value at a pointer. Shapes nest a few levels deep.
    fn find(&self, value: &Value, at: &str, findings: &mut Findings) {
        let wrong = match (self, value) {
            (Self::Any | Self::Schema, _)
            | (Self::Flag, Value::Bool(_))
            | (Self::True, Value::Bool(true)) => return,
            (Self::Text, Value::String(text)) => {
                if text.chars().count() <= TEXT_CHARS_MAX {
                    return;
                }
                format!("a text has more than {TEXT_CHARS_MAX} characters")
            }
            (Self::Word(words), Value::String(text)) if words.contains(&text.as_str()) => return,
            (Self::Name(name), Value::String(text)) => match name.refuse(text) {
                None => return,
                Some(wrong) => wrong,
            },
            (Self::Number { least, most }, Value::Number(number))
                if number
                    .as_u64()
                    .is_some_and(|n| (*least..=*most).contains(&n)) =>
            {
                return;
            }
            (Self::List(list), Value::Array(items)) => return list.find(items, at, findings),
            (Self::Object(object), Value::Object(members)) => {
                return object.find(members, at, findings);
            }
            (Self::Names(names), Value::Object(members)) => {
                return names.find(members, at, findings);
            }
            (_, value) => format!("{} is not {}", shown(value), self.expected()),
        };
        findings.add(bad(wrong).pointer(at));
    }

    /// A name for the values of the shape.
    fn expected(&self) -> String {
        match self {
            Self::Any => "any value".into(),
            Self::Schema => "a schema".into(),
            Self::Flag => "`true` or `false`".into(),
            Self::True => "`true`, which is all that this member may be".into(),
            Self::Text => "a text".into(),
            Self::Word(words) => format!("one of `{}`", words.join("`, `")),
            Self::Name(name) => format!("{}, which is a text", name.what),
            Self::Number { least, most } => format!("a whole number from {least} to {most}"),
            Self::List(list) => format!("a list of {}", list.what),
            Self::Object(object) => format!("an object, as {} is", object.what),
            Self::Names(names) => format!("an object with {}", names.what),
        }
    }
}

impl Name {
    fn refuse(&self, text: &str) -> Option<String> {
        let error = (self.check)(text).err()?;
        // The reason is cut off last: so the text, which may be long, is cut before.
        let what = self.what;
        Some(format!("`{}` is not {what}: {error}", beginning(text)))
    }
}

impl List {
    fn find(&self, items: &[Value], at: &str, findings: &mut Findings) {
        check_count(items.len(), self.least, self.most, self.what, at, findings);
        for (index, item) in items.iter().enumerate() {
            self.item.find(item, &format!("{at}/{index}"), findings);
        }
    }
}

impl Names {
    fn find(&self, members: &Map<String, Value>, at: &str, findings: &mut Findings) {
        check_count(members.len(), 0, self.most, self.what, at, findings);
        for (name, value) in members {
            let at = format!("{at}{}", pointer_segment(name));
            if let Some(wrong) = self.name.refuse(name) {
                findings.add(bad(wrong).pointer(&at));
            }
            self.value.find(value, &at, findings);
        }
    }
}

impl Object {
    fn find(&self, members: &Map<String, Value>, at: &str, findings: &mut Findings) {
        for known in self.members {
            let at = format!("{at}/{}", known.name);
            match members.get(known.name) {
                Some(value) => known.shape.find(value, &at, findings),
                None if known.required => {
                    let message = format!("{} has no member `{}`", self.what, known.name);
                    findings.add(bad(message).pointer(&at).hint(known.about));
                }
                None => {}
            }
        }
        let names = || self.members.iter().map(|member| member.name);
        let unknown = members.keys();
        for name in unknown.filter(|name| names().all(|known| known != name.as_str())) {
            let message = format!("`{name}` is not a member of {}", self.what);
            let found = bad(message).pointer(&format!("{at}{}", pointer_segment(name)));
            let known: Vec<&str> = names().collect();
            let hint = format!("its members are `{}`", known.join("`, `"));
            findings.add(found.hint(hint).nearest(name, names()));
        }
    }
}

fn check_count(
    count: usize,
    least: usize,
    most: Option<usize>,
    what: &str,
    at: &str,
    findings: &mut Findings,
) {
    let Some(most) = most.filter(|most| count < least || count > *most) else {
        return;
    };
    let message = if least == 0 {
        format!("a plugin has at most {most} {what}")
    } else {
        format!("a plugin has {least} to {most} {what}")
    };
    findings.add(bad(message).pointer(at));
}

/// A value of the wrong kind, in a few words.
fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".into(),
        Value::Array(_) => "a list".into(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            format!("`{}`", beginning(&value.to_string()))
        }
    }
}

/// The beginning of a text, no longer than a good name.
fn beginning(text: &str) -> String {
    let mut characters = text.chars();
    let mut beginning: String = characters.by_ref().take(SEGMENT_CHARS_MAX).collect();
    if characters.next().is_some() {
        beginning.push('…');
    }
    beginning
}

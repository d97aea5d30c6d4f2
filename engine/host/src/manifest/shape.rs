//! The shapes of values in a manifest.
//!
//! A shape reports all findings about a value, whereas serde stops at the first one.

use bursar_ledger::{SEGMENT_CHARS_MAX, pointer_segment};
use serde_json::{Map, Value};

use super::finding::invalid;
use crate::limits::TEXT_CHARS_MAX;
use crate::report::Findings;

/// The shape of a value.
pub(super) enum Shape {
    /// Any value.
    Any,
    /// A schema. The compiler of schemas checks it.
    Schema,
    /// `true` or `false`.
    Flag,
    /// Only `true`.
    True,
    /// A text of a bounded length.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A text that satisfies a rule.
    Name(&'static NameRule),
    /// A whole number.
    Number { least: u64, most: u64 },
    /// A list.
    List(ListShape),
    /// An object with these members.
    Object(ObjectShape),
    /// An object whose member names satisfy a rule.
    Map(MapShape),
}

/// A rule for texts that name something.
pub(super) struct NameRule {
    /// A noun phrase for the text, as in "`x` is not …".
    pub(super) noun: &'static str,
    /// The rule as a regular expression. It may accept more than the rule.
    pub(super) pattern: &'static str,
    /// The rule. Returns the reason for which a text is rejected.
    pub(super) check: fn(&str) -> Result<(), String>,
}

/// A list of values of one shape.
pub(super) struct ListShape {
    /// A noun for the items, in the plural.
    pub(super) noun: &'static str,
    pub(super) item: &'static Shape,
    pub(super) least: usize,
    /// The maximum number of items. `None` if only the size of the manifest limits them.
    pub(super) most: Option<usize>,
}

/// An object whose member names satisfy a rule and whose values have one shape.
pub(super) struct MapShape {
    /// A noun for the members, in the plural.
    pub(super) noun: &'static str,
    pub(super) name: &'static NameRule,
    pub(super) value: &'static Shape,
    /// The maximum number of members. `None` if only the size of the manifest limits them.
    pub(super) most: Option<usize>,
}

/// An object that has only these members.
pub(super) struct ObjectShape {
    /// A noun phrase for the object, as in "… is not a member of …".
    pub(super) noun: &'static str,
    pub(super) members: &'static [MemberShape],
}

/// A member of an object.
pub(super) struct MemberShape {
    pub(super) name: &'static str,
    pub(super) required: bool,
    /// A description for people.
    pub(super) about: &'static str,
    pub(super) shape: &'static Shape,
}

/// Returns true if a text is the name of an action, a schedule or a kind of hold.
pub(super) fn is_word(name: &str) -> bool {
    let is_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
    !name.is_empty() && name.len() <= 64 && name.bytes().all(is_allowed)
}

impl Shape {
    /// Adds all findings about a manifest.
    pub(super) fn check(&self, manifest: &Value, findings: &mut Findings) {
        self.add_findings(manifest, "", findings);
    }

    /// Adds all findings about the value at a pointer. Shapes nest only a few levels, so the recursion is shallow.
    fn add_findings(&self, value: &Value, at: &str, findings: &mut Findings) {
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
            (Self::Name(name), Value::String(text)) => match name.rejection(text) {
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
            (Self::List(list), Value::Array(items)) => {
                return list.add_findings(items, at, findings);
            }
            (Self::Object(object), Value::Object(members)) => {
                return object.add_findings(members, at, findings);
            }
            (Self::Map(names), Value::Object(members)) => {
                return names.add_findings(members, at, findings);
            }
            (_, value) => format!("{} is not {}", shown(value), self.expected()),
        };
        findings.add(invalid(wrong).pointer(at));
    }

    /// Returns a noun phrase for the values of the shape.
    fn expected(&self) -> String {
        match self {
            Self::Any => "any value".into(),
            Self::Schema => "a schema".into(),
            Self::Flag => "`true` or `false`".into(),
            Self::True => "`true`, the only value of this member".into(),
            Self::Text => "a text".into(),
            Self::Word(words) => format!("one of `{}`", words.join("`, `")),
            Self::Name(name) => format!("{}, as a text", name.noun),
            Self::Number { least, most } => format!("a whole number from {least} to {most}"),
            Self::List(list) => format!("a list of {}", list.noun),
            Self::Object(object) => format!("an object for {}", object.noun),
            Self::Map(names) => format!("an object with {}", names.noun),
        }
    }
}

impl NameRule {
    fn rejection(&self, text: &str) -> Option<String> {
        let error = (self.check)(text).err()?;
        // A long message is cut at its end. The text is cut first, so that the reason stays.
        let noun = self.noun;
        Some(format!("`{}` is not {noun}: {error}", beginning(text)))
    }
}

impl ListShape {
    fn add_findings(&self, items: &[Value], at: &str, findings: &mut Findings) {
        check_count(items.len(), self.least, self.most, self.noun, at, findings);
        for (index, item) in items.iter().enumerate() {
            self.item
                .add_findings(item, &format!("{at}/{index}"), findings);
        }
    }
}

impl MapShape {
    fn add_findings(&self, members: &Map<String, Value>, at: &str, findings: &mut Findings) {
        check_count(members.len(), 0, self.most, self.noun, at, findings);
        for (name, value) in members {
            let at = format!("{at}{}", pointer_segment(name));
            if let Some(wrong) = self.name.rejection(name) {
                findings.add(invalid(wrong).pointer(&at));
            }
            self.value.add_findings(value, &at, findings);
        }
    }
}

impl ObjectShape {
    fn add_findings(&self, members: &Map<String, Value>, at: &str, findings: &mut Findings) {
        for known in self.members {
            let at = format!("{at}/{}", known.name);
            match members.get(known.name) {
                Some(value) => known.shape.add_findings(value, &at, findings),
                None if known.required => {
                    let message = format!("{} has no member `{}`", self.noun, known.name);
                    findings.add(invalid(message).pointer(&at).hint(known.about));
                }
                None => {}
            }
        }
        let names = || self.members.iter().map(|member| member.name);
        let unknown = members.keys();
        for name in unknown.filter(|name| names().all(|known| known != name.as_str())) {
            let message = format!("`{name}` is not a member of {}", self.noun);
            let found = invalid(message).pointer(&format!("{at}{}", pointer_segment(name)));
            let known: Vec<&str> = names().collect();
            let hint = format!("the members are `{}`", known.join("`, `"));
            findings.add(found.hint(hint).nearest(name, names()));
        }
    }
}

fn check_count(
    count: usize,
    least: usize,
    most: Option<usize>,
    noun: &str,
    at: &str,
    findings: &mut Findings,
) {
    let Some(most) = most.filter(|most| count < least || count > *most) else {
        return;
    };
    let message = if least == 0 {
        format!("a plugin can have at most {most} {noun}")
    } else {
        format!("a plugin must have {least} to {most} {noun}")
    };
    findings.add(invalid(message).pointer(at));
}

/// Describes a value of the wrong kind.
fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".into(),
        Value::Array(_) => "a list".into(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            format!("`{}`", beginning(&value.to_string()))
        }
    }
}

/// Returns the beginning of a text, no longer than the longest valid name.
fn beginning(text: &str) -> String {
    let mut characters = text.chars();
    let mut beginning: String = characters.by_ref().take(SEGMENT_CHARS_MAX).collect();
    if characters.next().is_some() {
        beginning.push('…');
    }
    beginning
}

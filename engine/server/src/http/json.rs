//! The JSON of a body, read once: everything else is made from what was read, without looking at the
//! text again. It borrows its texts from the body.
//!
//! It is strict. A member that stands twice is refused at every depth, since readers differ in which
//! of the two counts; and objects are objects: what serde derives for a struct reads a list of its
//! members as well, a form that nobody has promised.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{
    DeserializeOwned, Deserializer, Error as _, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    Visitor,
};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize, forward_to_deserialize_any};
use serde_json::{Error, Number};

use super::problem::Problem;

/// Characters of a member's name that an error repeats.
const NAME_SHOWN_CHARS_MAX: usize = 64;

/// A value, with the members of objects in the order of their names: as text it is canonical.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Json<'t> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'t, str>),
    List(Vec<Self>),
    Object(Vec<Member<'t>>),
}

type Member<'t> = (Cow<'t, str>, Json<'t>);

#[cfg(test)]
thread_local! {
    /// The number of texts that this thread has read.
    static READ: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl<'t> Json<'t> {
    /// Reads a text. This is the one place where the text of a body is looked at.
    pub(super) fn parse(text: &'t [u8]) -> Result<Self, Problem> {
        #[cfg(test)]
        READ.set(READ.get() + 1);
        serde_json::from_slice(text)
            .map_err(|error| Problem::malformed("", format!("the body cannot be read: {error}")))
    }

    /// The value as a type. What does not fit is named by a pointer to it.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        // Where it is wrong is found out only if something is.
        if let Ok(typed) = T::deserialize(self) {
            return Ok(typed);
        }
        serde_path_to_error::deserialize(self)
            .map_err(|error| Problem::malformed(&pointer(error.path()), error.inner().to_string()))
    }

    /// Takes a member out of an object.
    pub(super) fn take(&mut self, name: &str) -> Option<Self> {
        let Self::Object(members) = self else {
            return None;
        };
        let place = members.iter().position(|(found, _)| found == name)?;
        Some(members.remove(place).1)
    }
}

/// A path through a value as a JSON pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        let segment = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
            // An alternative of ours, not a place in the client's text.
            Segment::Enum { .. } | Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.push_str(&segment);
    }
    pointer
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json<'de>, E> {
        Ok(Number::from_f64(value).map_or(Json::Null, Json::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(value.to_owned().into()))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json<'de>, A::Error> {
        let mut members: Vec<Member<'de>> = Vec::new();
        while let Some((Name(name), value)) = entries.next_entry()? {
            members.push((name, value));
        }
        members.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let mut pairs = members.windows(2);
        let twice = pairs.find_map(|pair| match pair {
            [(a, _), (b, _)] if a == b => Some(a),
            _ => None,
        });
        if let Some(name) = twice {
            let shown: String = name.chars().take(NAME_SHOWN_CHARS_MAX).collect();
            return Err(A::Error::custom(format_args!("duplicate field `{shown}`")));
        }
        Ok(Json::Object(members))
    }
}

/// The name of a member.
struct Name<'t>(Cow<'t, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameReader)
    }
}

struct NameReader;

impl<'de> Visitor<'de> for NameReader {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
        Ok(Name(name.to_owned().into()))
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
        Ok(Name(name.into()))
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => items.serialize(serializer),
            Self::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> IntoDeserializer<'de, Error> for &'de Json<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for &'de Json<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Json::Null => visitor.visit_unit(),
            Json::Bool(value) => visitor.visit_bool(*value),
            Json::Number(number) => number.deserialize_any(visitor),
            Json::Text(text) => visitor.visit_borrowed_str(text),
            Json::List(items) => {
                let mut items = SeqDeserializer::new(items.iter());
                let list = visitor.visit_seq(&mut items)?;
                items.end()?;
                Ok(list)
            }
            Json::Object(members) => visitor.visit_map(entries(members)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if matches!(self, Json::List(_)) {
            return Err(Error::invalid_type(Unexpected::Seq, &"an object"));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if matches!(self, Json::Null) {
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let unexpected = match self {
            Json::Text(text) => {
                let variant: StrDeserializer<'_, Error> = text.as_ref().into_deserializer();
                return visitor.visit_enum(variant);
            }
            Json::Object(members) if members.len() == 1 => {
                return visitor.visit_enum(MapAccessDeserializer::new(entries(members)));
            }
            Json::Object(_) => Unexpected::Map,
            Json::Null => Unexpected::Unit,
            Json::Bool(value) => Unexpected::Bool(*value),
            Json::Number(_) => Unexpected::Other("a number"),
            Json::List(_) => Unexpected::Seq,
        };
        let expected = &"a word, or an object with one member";
        Err(Error::invalid_type(unexpected, expected))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

/// The members of an object, as serde reads them.
fn entries<'de>(
    members: &'de [Member<'_>],
) -> MapDeserializer<'de, impl Iterator<Item = (&'de str, &'de Json<'de>)>, Error> {
    let members = members.iter();
    MapDeserializer::new(members.map(|(name, value)| (name.as_ref(), value)))
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Returns the number of texts read meanwhile, by this thread.
    pub(in crate::http) fn read_meanwhile(work: impl FnOnce()) -> usize {
        let before = READ.get();
        work();
        READ.get() - before
    }

    #[test]
    fn its_text_is_the_canonical_one() {
        for text in [
            r#" {"b":[1,-2,3.50,1e3,null,true],"a":{"z":"\u00e9\n\/","y":{}},"":""} "#,
            "[]",
            "18446744073709551615",
            "-9223372036854775808",
            "123456789012345678901234567890",
            "0.1",
            "-0.0",
            "1E-7",
        ] {
            let value: Value = serde_json::from_str(text).expect("JSON");
            let json = Json::parse(text.as_bytes()).expect("JSON");
            let canonical = serde_json::to_string(&json).expect("text");
            assert_eq!(canonical, value.to_string(), "{text}");
            assert_eq!(json.read::<Value>().expect("a value"), value, "{text}");
        }
    }

    #[test]
    fn a_member_that_stands_twice_is_refused_at_every_depth() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":{"b":[{"c":1,"d":2,"c":3}]}}"#,
            r#"{"a":1,"\u0061":2}"#,
        ] {
            let problem = Json::parse(text.as_bytes()).expect_err(text);
            assert!(problem.body()["detail"].to_string().contains("duplicate"));
        }
        assert!(Json::parse(br#"{"a":{"a":1},"b":{"a":1}}"#).is_ok());
    }

    #[derive(Deserialize, PartialEq, Debug)]
    #[serde(rename_all = "snake_case")]
    enum Choice {
        Word,
        Of(u64),
    }

    #[derive(Deserialize, PartialEq, Debug)]
    #[serde(deny_unknown_fields)]
    struct Typed {
        choice: Choice,
        note: Option<String>,
    }

    #[test]
    fn types_are_read_from_it_and_what_is_wrong_is_named() {
        let read = |value: Value| {
            let text = value.to_string();
            Json::parse(text.as_bytes())?.read::<Typed>()
        };
        let typed = |choice, note: Option<&str>| Typed {
            choice,
            note: note.map(Into::into),
        };
        let good = [
            (json!({"choice": "word"}), typed(Choice::Word, None)),
            (
                json!({"choice": {"of": 7}, "note": null}),
                typed(Choice::Of(7), None),
            ),
            (
                json!({"note": "\n", "choice": "word"}),
                typed(Choice::Word, Some("\n")),
            ),
        ];
        for (value, expected) in good {
            assert_eq!(read(value).expect("it fits"), expected);
        }
        for (value, pointer) in [
            (json!(["word", null]), ""),
            (json!({"choice": "other"}), "/choice"),
            (json!({"choice": {"of": -1}}), "/choice"),
            (json!({"choice": {"of": 1, "word": 1}}), "/choice"),
            (json!({"choice": 1}), "/choice"),
            (json!({"choice": "word", "note": 1}), "/note"),
            (json!({"choice": "word", "more": 1}), "/more"),
            (json!({}), ""),
        ] {
            let problem = read(value.clone()).expect_err("it does not fit");
            assert_eq!(problem.body()["pointer"], pointer, "{value}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["", "{", "{}x", "[1,]", "nul", "\"\u{0}\"", &"[".repeat(200)] {
            let problem = Json::parse(text.as_bytes()).expect_err(text);
            assert_eq!(problem.code(), "malformed", "{text}");
        }
    }

    #[test]
    fn a_member_can_be_taken_out() {
        let mut json = Json::parse(br#"{"a":1,"b":2}"#).expect("JSON");
        assert_eq!(json.take("a"), Some(Json::Number(1.into())));
        assert_eq!(json.take("a"), None);
        assert_eq!(serde_json::to_string(&json).expect("text"), r#"{"b":2}"#);
    }
}

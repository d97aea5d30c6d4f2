//! Strict reading of JSON from other parties.
//!
//! A text is parsed once, and everything else is read from the parsed value, which borrows its texts. A
//! member that occurs twice in an object is an error at every depth, because readers disagree on which of
//! the two counts (RFC 8259, section 4). Objects must be objects: a struct with serde's derive would also
//! accept a list of its members.
//!
//! [`CanonicalReader`] reads valid texts faster, without a value of the whole text.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{
    DeserializeOwned, Deserializer, Error as _, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    Visitor,
};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize, forward_to_deserialize_any};
use serde_json::error::Category;
use serde_json::{Error, Number};

mod error;
mod numbers;
mod place;
mod reader;
mod typed;
mod words;

pub use error::JsonError;
pub use numbers::check_numbers;
use numbers::whole;
pub use place::segment as pointer_segment;
pub use reader::{CanonicalReader, Omissions, UnreadText};

/// The characters of a member's name that an error repeats.
const NAME_SHOWN_CHARS_MAX: usize = 64;

/// A JSON value. Objects have their members in the order of their names, so the value's text is canonical.
#[derive(Clone, PartialEq, Debug)]
pub enum Json<'t> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(Cow<'t, str>),
    /// A list.
    List(Vec<Self>),
    /// An object.
    Object(Vec<Member<'t>>),
}

type Member<'t> = (Cow<'t, str>, Json<'t>);

impl<'t> Json<'t> {
    /// Parses a text. Numbers are not checked: see [`check_numbers`].
    pub fn parse(text: &'t [u8]) -> Result<Self, JsonError> {
        serde_json::from_slice(text).map_err(|error| {
            let at = place::offset(text, error.line(), error.column());
            let duplicate = match error.classify() {
                // `Json` accepts every value, so an error of the data can only be a duplicate member.
                Category::Data => place::duplicate(text),
                Category::Io | Category::Syntax | Category::Eof => None,
            };
            JsonError {
                pointer: duplicate.unwrap_or_else(|| place::pointer(text, at)),
                what: error.to_string(),
            }
        })
    }

    /// Removes a member from an object and returns it.
    pub fn take(&mut self, name: &str) -> Option<Self> {
        let Self::Object(members) = self else {
            return None;
        };
        let place = members.iter().position(|(found, _)| found == name)?;
        Some(members.remove(place).1)
    }

    /// Removes all members of an object that are `null`.
    pub fn drop_nulls(&mut self) {
        if let Self::Object(members) = self {
            members.retain(|(_, value)| *value != Self::Null);
        }
    }
}

/// Reads a value from a text without duplicate members, in which every reader reads the same numbers.
pub fn read_strictly<T: DeserializeOwned>(text: &[u8]) -> Result<T, JsonError> {
    let json = Json::parse(text)?;
    check_numbers(text)?;
    T::deserialize(&json).map_err(|error| JsonError {
        pointer: String::new(),
        what: error.to_string(),
    })
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
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
        while let Some((MemberName(name), value)) = entries.next_entry()? {
            members.push((name, value));
        }
        members.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let mut pairs = members.windows(2);
        let duplicate = pairs.find_map(|pair| match pair {
            [(a, _), (b, _)] if a == b => Some(a),
            _ => None,
        });
        if let Some(name) = duplicate {
            let shown: String = name.chars().take(NAME_SHOWN_CHARS_MAX).collect();
            return Err(A::Error::custom(format_args!("duplicate field `{shown}`")));
        }
        Ok(Json::Object(members))
    }
}

/// The name of a member.
struct MemberName<'t>(Cow<'t, str>);

impl<'de> Deserialize<'de> for MemberName<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = MemberName<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<MemberName<'de>, E> {
        Ok(MemberName(name.to_owned().into()))
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<MemberName<'de>, E> {
        Ok(MemberName(name.into()))
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => match whole(number) {
                Some(whole) => serializer.serialize_i64(whole),
                None => number.serialize(serializer),
            },
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

/// Implements methods that read numbers as they are written.
macro_rules! as_written {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self {
                Json::Number(number) => number.deserialize_any(visitor),
                Json::Null | Json::Bool(_) | Json::Text(_) | Json::List(_) | Json::Object(_) => {
                    self.deserialize_any(visitor)
                }
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for &'de Json<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Json::Null => visitor.visit_unit(),
            Json::Bool(value) => visitor.visit_bool(*value),
            // Without a requested type, `1.0` is the whole number 1, as in the canonical text. A number
            // type decides by itself.
            Json::Number(number) => match whole(number) {
                Some(whole) => visitor.visit_i64(whole),
                None => number.deserialize_any(visitor),
            },
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

    as_written! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128 deserialize_u8
        deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32
        deserialize_f64
    }

    forward_to_deserialize_any! {
        bool char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

/// Returns the members of an object for serde.
fn entries<'de>(
    members: &'de [Member<'_>],
) -> MapDeserializer<'de, impl Iterator<Item = (&'de str, &'de Json<'de>)>, Error> {
    let members = members.iter();
    MapDeserializer::new(members.map(|(name, value)| (name.as_ref(), value)))
}

#[cfg(test)]
mod tests;

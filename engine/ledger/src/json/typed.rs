//! Typed values from a [`CanonicalReader`], by serde.
//!
//! Each method gives a visitor what [`Json`](super::Json) gives it, or leaves the text unread.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;

use super::numbers::whole;
use super::reader::{CanonicalReader, NumberToken, Omissions, OpenObject, UnreadText};

impl serde::de::Error for UnreadText {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl<'de> CanonicalReader<'de> {
    /// Reads a typed value, and adds its canonical text.
    pub fn value<T: Deserialize<'de>>(&mut self, omissions: Omissions) -> Result<T, UnreadText> {
        let value = T::deserialize(ValueReader {
            reader: self,
            omissions,
        })?;
        // A visitor may have hidden an error, after which the place in the text is unknown.
        if self.has_failed {
            return Err(UnreadText);
        }
        Ok(value)
    }

    /// Reads a value within another one.
    fn nested<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, UnreadText> {
        let value = seed.deserialize(ValueReader {
            reader: self,
            omissions: Omissions::default(),
        });
        self.has_failed |= value.is_err();
        value
    }
}

/// The next value of a reader.
struct ValueReader<'r, 'de> {
    reader: &'r mut CanonicalReader<'de>,
    omissions: Omissions,
}

impl<'de> ValueReader<'_, 'de> {
    fn object<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, UnreadText> {
        let object = self.reader.begin_object(self.omissions)?;
        let mut members = ObjectMembers {
            reader: self.reader,
            object,
        };
        let value = visitor.visit_map(&mut members)?;
        let ObjectMembers { reader, object } = members;
        reader.end_object(&object)?;
        Ok(value)
    }

    fn list<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, UnreadText> {
        let mut items = ListItems {
            has_items: self.reader.begin_list()?,
            reader: self.reader,
            has_read: false,
        };
        let value = visitor.visit_seq(&mut items)?;
        items.reader.end_list()?;
        Ok(value)
    }
}

/// Implements methods that read numbers as they are written. Numbers that are not whole are left unread.
macro_rules! as_written {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, UnreadText> {
            if !matches!(self.reader.peek(), Some(b'-' | b'0'..=b'9')) {
                return self.deserialize_any(visitor);
            }
            match self.reader.number()? {
                NumberToken::Natural(number) => visitor.visit_u64(number),
                NumberToken::Negative(number) => visitor.visit_i64(number),
                NumberToken::Other(_) => Err(UnreadText),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for ValueReader<'_, 'de> {
    type Error = UnreadText;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, UnreadText> {
        let reader = &mut *self.reader;
        match reader.peek().ok_or(UnreadText)? {
            b'"' => match reader.string()? {
                Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
                Cow::Owned(text) => visitor.visit_string(text),
            },
            b'{' => self.object(visitor),
            b'[' => self.list(visitor),
            b'n' => {
                reader.word("null")?;
                visitor.visit_unit()
            }
            b't' => {
                reader.word("true")?;
                visitor.visit_bool(true)
            }
            b'f' => {
                reader.word("false")?;
                visitor.visit_bool(false)
            }
            _ => match reader.number()? {
                NumberToken::Natural(number) => visitor.visit_u64(number),
                NumberToken::Negative(number) => visitor.visit_i64(number),
                NumberToken::Other(number) => match whole(&number) {
                    Some(whole) => visitor.visit_i64(whole),
                    None => visitor.visit_f64(number.as_f64().ok_or(UnreadText)?),
                },
            },
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, UnreadText> {
        if self.reader.peek() == Some(b'[') {
            return Err(UnreadText);
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, UnreadText> {
        if self.reader.peek() == Some(b'n') {
            self.reader.word("null")?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, UnreadText> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, UnreadText> {
        match self.reader.peek() {
            Some(b'"') => match self.reader.string()? {
                Cow::Borrowed(word) => visitor.visit_enum(BorrowedStrDeserializer::new(word)),
                Cow::Owned(_) => Err(UnreadText),
            },
            Some(b'{') => {
                let object = self.reader.begin_object(Omissions::default())?;
                visitor.visit_enum(Variant {
                    reader: self.reader,
                    object,
                })
            }
            Some(_) | None => Err(UnreadText),
        }
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

/// The members of an object.
struct ObjectMembers<'r, 'de> {
    reader: &'r mut CanonicalReader<'de>,
    object: OpenObject,
}

impl<'de> MapAccess<'de> for &mut ObjectMembers<'_, 'de> {
    type Error = UnreadText;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, UnreadText> {
        let Some(name) = self.reader.begin_member(&mut self.object)? else {
            return Ok(None);
        };
        let name = seed.deserialize(BorrowedStrDeserializer::<UnreadText>::new(name));
        self.reader.has_failed |= name.is_err();
        name.map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, UnreadText> {
        let value = self.reader.nested(seed)?;
        self.reader.end_member(&self.object);
        Ok(value)
    }
}

/// The items of a list.
struct ListItems<'r, 'de> {
    reader: &'r mut CanonicalReader<'de>,
    has_items: bool,
    has_read: bool,
}

impl<'de> SeqAccess<'de> for &mut ListItems<'_, 'de> {
    type Error = UnreadText;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, UnreadText> {
        let is_first = !std::mem::replace(&mut self.has_read, true);
        if !self.reader.begin_item(is_first)? {
            return Ok(None);
        }
        self.reader.nested(seed).map(Some)
    }

    /// Returns the least number of items: most lists have one, and a vector would reserve space for four.
    fn size_hint(&self) -> Option<usize> {
        Some(usize::from(self.has_items))
    }
}

/// A variant of an enum, as an object with one member.
struct Variant<'r, 'de> {
    reader: &'r mut CanonicalReader<'de>,
    object: OpenObject,
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = UnreadText;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(
        mut self,
        seed: S,
    ) -> Result<(S::Value, Self), UnreadText> {
        let name = self
            .reader
            .begin_member(&mut self.object)?
            .ok_or(UnreadText)?;
        let variant = seed.deserialize(BorrowedStrDeserializer::<UnreadText>::new(name))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = UnreadText;

    fn unit_variant(self) -> Result<(), UnreadText> {
        Err(UnreadText)
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<S::Value, UnreadText> {
        let value = self.reader.nested(seed)?;
        self.reader.end_member(&self.object);
        self.reader.end_object(&self.object)?;
        Ok(value)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, UnreadText> {
        Err(UnreadText)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, UnreadText> {
        let value = ValueReader {
            reader: self.reader,
            omissions: Omissions::default(),
        };
        let value = value.deserialize_map(visitor);
        self.reader.has_failed |= value.is_err();
        let value = value?;
        self.reader.end_member(&self.object);
        self.reader.end_object(&self.object)?;
        Ok(value)
    }
}

//! One pass over a JSON text that reads it and writes its canonical text.
//!
//! The reader accepts a part of what [`Json`](super::Json) accepts, and gives the same canonical text: members
//! sorted by name, each once, and whole numbers without a fraction. It explains no error. A text that it leaves
//! unread is read by [`Json`](super::Json), which knows the reason, or accepts the text after all.

use std::borrow::Cow;

use serde_json::Number;

use super::numbers::{is_exact, number_length, whole};
use super::place::string_length;
use super::words::{plain_length, prefix};
use crate::limits::AMOUNT_MAX;

/// The deepest nesting that is read. Deeper texts are rare, and [`Json`](super::Json) reads them.
pub(super) const NESTING_MAX: usize = 64;

/// The error of a text that the reader leaves to [`Json`](super::Json).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the text is invalid or unusual")]
pub struct UnreadText;

/// The members of an object that are missing in its canonical text. The objects within it keep all members.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Omissions {
    /// Leaves out members that are `null`; for the typed value they are absent, too.
    pub nulls: bool,
    /// Leaves out the member of this name, which the typed value has.
    pub name: Option<&'static str>,
}

/// A reader of a JSON text that writes the canonical text of all values that it has read.
#[derive(Debug)]
pub struct CanonicalReader<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    canonical: String,
    /// The members of the objects that are open, those of the innermost last.
    members: Vec<WrittenMember<'t>>,
    /// A buffer for members that are brought into order.
    sorted: String,
    /// True after an error, even if a visitor has hidden it.
    pub(super) has_failed: bool,
}

/// A member of an open object, and its place in the canonical text. A member that is left out has no bytes there.
#[derive(Clone, Copy, Debug)]
struct WrittenMember<'t> {
    /// The first eight bytes of the name, as a number. Numbers are compared much faster than texts.
    prefix: u64,
    name: &'t str,
    start: usize,
    end: usize,
}

impl WrittenMember<'_> {
    fn is_before(&self, other: &Self) -> bool {
        (self.prefix, self.name) < (other.prefix, other.name)
    }
}

/// An object that is being read.
#[derive(Debug)]
pub(super) struct OpenObject {
    omissions: Omissions,
    /// The length of the canonical text before the object.
    start: usize,
    /// The number of members of all objects around it.
    outer: usize,
    has_read: bool,
}

/// A number, which is whole in nearly all cases.
pub(super) enum NumberToken {
    /// A whole number from 0.
    Natural(u64),
    /// A whole number below 0.
    Negative(i64),
    /// A number with a fraction, an exponent or a negative zero.
    Other(Number),
}

impl<'t> CanonicalReader<'t> {
    /// Creates a reader at the beginning of a text.
    pub fn new(text: &'t [u8]) -> Result<Self, UnreadText> {
        Ok(Self {
            text: std::str::from_utf8(text).map_err(|_| UnreadText)?,
            at: 0,
            depth: 0,
            canonical: String::with_capacity(text.len()),
            members: Vec::new(),
            sorted: String::new(),
            has_failed: false,
        })
    }

    /// Returns the canonical texts of the values that were read, one after another. The caller may change it
    /// between two values.
    pub fn canonical(&mut self) -> &mut String {
        &mut self.canonical
    }

    /// Returns the canonical text after the end of the text.
    pub fn finish(mut self) -> Result<String, UnreadText> {
        if self.has_failed || self.peek().is_some() {
            return Err(UnreadText);
        }
        Ok(self.canonical)
    }

    /// Reads an object member by member. `each` reads the value of the member whose name it is given. Neither the
    /// object nor its names become part of the canonical text.
    pub fn each_member(
        &mut self,
        mut each: impl FnMut(&mut Self, &'t str) -> Result<(), UnreadText>,
    ) -> Result<(), UnreadText> {
        self.expect(b'{')?;
        let mut is_first = true;
        while self.has_next(is_first, b'}')? {
            is_first = false;
            let name = self.name()?;
            self.expect(b':')?;
            each(self, name)?;
        }
        Ok(())
    }

    /// Reads a list item by item. `each` reads one item. The list does not become part of the canonical text.
    pub fn each_item(
        &mut self,
        mut each: impl FnMut(&mut Self) -> Result<(), UnreadText>,
    ) -> Result<(), UnreadText> {
        self.expect(b'[')?;
        let mut is_first = true;
        while self.has_next(is_first, b']')? {
            is_first = false;
            each(self)?;
        }
        Ok(())
    }

    /// Returns true before the next member or item, after its comma. Returns false after the end.
    fn has_next(&mut self, is_first: bool, end: u8) -> Result<bool, UnreadText> {
        let next = self.peek();
        if next == Some(end) {
            self.skip(1);
            return Ok(false);
        }
        if !is_first {
            self.expect(b',')?;
        }
        Ok(true)
    }

    fn rest(&self) -> &'t [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn skip(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes);
    }

    /// Returns the bytes of the text since a place, which are whole characters if both ends are ASCII.
    fn since(&self, start: usize) -> Result<&'t str, UnreadText> {
        self.text.get(start..self.at).ok_or(UnreadText)
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Returns the first byte of the next token.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        let byte = self.byte();
        if byte.is_some_and(|byte| byte > b' ') {
            return byte;
        }
        self.peek_after_space()
    }

    fn peek_after_space(&mut self) -> Option<u8> {
        while matches!(self.byte(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.skip(1);
        }
        self.byte()
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Result<(), UnreadText> {
        if self.peek() != Some(byte) {
            return Err(UnreadText);
        }
        self.skip(1);
        Ok(())
    }

    /// Reads a word such as `null` if it is next.
    fn has_word(&mut self, word: &str) -> bool {
        let is_next = self.rest().starts_with(word.as_bytes());
        if is_next {
            self.skip(word.len());
        }
        is_next
    }

    /// Reads a word such as `null`, which must be next.
    pub(super) fn word(&mut self, word: &'static str) -> Result<(), UnreadText> {
        if !self.has_word(word) {
            return Err(UnreadText);
        }
        self.canonical.push_str(word);
        Ok(())
    }

    /// Reads a name and returns it without writing it.
    fn name(&mut self) -> Result<&'t str, UnreadText> {
        self.expect(b'"')?;
        let start = self.at;
        self.skip(plain_length(self.rest()));
        let name = self.since(start)?;
        // An escape may hide that two names are equal.
        if self.byte() != Some(b'"') {
            return Err(UnreadText);
        }
        self.skip(1);
        Ok(name)
    }

    /// Reads a text, which must be next.
    pub(super) fn string(&mut self) -> Result<Cow<'t, str>, UnreadText> {
        let start = self.at;
        self.skip(1);
        self.skip(plain_length(self.rest()));
        let end = self.at;
        if self.byte() == Some(b'"') {
            self.skip(1);
            self.canonical.push_str(self.since(start)?);
            let text = self.text.get(start.saturating_add(1)..end);
            return text.map(Cow::Borrowed).ok_or(UnreadText);
        }
        self.at = start;
        self.skip(string_length(self.rest()));
        let text: String = serde_json::from_str(self.since(start)?).map_err(|_| UnreadText)?;
        self.write(&text)?;
        Ok(Cow::Owned(text))
    }

    /// Reads a number, which must be next.
    pub(super) fn number(&mut self) -> Result<NumberToken, UnreadText> {
        let start = self.at;
        let is_negative = self.has_word("-");
        let digits = self.rest();
        let mut magnitude: u64 = 0;
        let mut length: usize = 0;
        while let Some(byte @ b'0'..=b'9') = digits.get(length).copied() {
            let digit = u64::from(byte.wrapping_sub(b'0'));
            // Saturation leaves the number above the bound.
            magnitude = magnitude.saturating_mul(10).saturating_add(digit);
            length = length.saturating_add(1);
        }
        let has_more = matches!(digits.get(length), Some(b'.' | b'e' | b'E' | b'+' | b'-'));
        let starts_with_zero = length > 1 && digits.first() == Some(&b'0');
        let is_negative_zero = is_negative && magnitude == 0;
        if length == 0 || has_more || starts_with_zero || is_negative_zero || magnitude > AMOUNT_MAX
        {
            self.at = start;
            return self.other_number();
        }
        self.skip(length);
        let token = self.since(start)?;
        self.canonical.push_str(token);
        let signed = i64::try_from(magnitude).map_err(|_| UnreadText)?;
        Ok(if is_negative {
            NumberToken::Negative(signed.saturating_neg())
        } else {
            NumberToken::Natural(magnitude)
        })
    }

    fn other_number(&mut self) -> Result<NumberToken, UnreadText> {
        let start = self.at;
        self.skip(number_length(self.rest()));
        let token = self.since(start)?;
        let number: Number = serde_json::from_str(token).map_err(|_| UnreadText)?;
        if !is_exact(token) {
            return Err(UnreadText);
        }
        match whole(&number) {
            Some(whole) => self.write(&whole)?,
            None => self.write(&number)?,
        }
        Ok(NumberToken::Other(number))
    }

    fn write(&mut self, value: &impl serde::Serialize) -> Result<(), UnreadText> {
        let text = serde_json::to_string(value).map_err(|_| UnreadText)?;
        self.canonical.push_str(&text);
        Ok(())
    }

    fn begin(&mut self, bracket: char) -> Result<(), UnreadText> {
        self.skip(1);
        self.canonical.push(bracket);
        self.depth = self.depth.saturating_add(1);
        if self.depth > NESTING_MAX {
            return Err(UnreadText);
        }
        Ok(())
    }

    /// Begins an object, whose brace must be next.
    pub(super) fn begin_object(&mut self, omissions: Omissions) -> Result<OpenObject, UnreadText> {
        let start = self.canonical.len();
        self.begin('{')?;
        Ok(OpenObject {
            omissions,
            start,
            outer: self.members.len(),
            has_read: false,
        })
    }

    /// Reads the name of the next member up to its value. Returns none at the end of the object.
    pub(super) fn begin_member(
        &mut self,
        object: &mut OpenObject,
    ) -> Result<Option<&'t str>, UnreadText> {
        loop {
            if self.peek() == Some(b'}') {
                return Ok(None);
            }
            if std::mem::replace(&mut object.has_read, true) {
                self.expect(b',')?;
                self.peek();
            }
            let quote = self.at;
            let name = self.name()?;
            let quoted = self.since(quote)?;
            self.expect(b':')?;
            let start = self.canonical.len();
            self.members.push(WrittenMember {
                prefix: prefix(quoted.as_bytes()),
                name,
                start,
                end: start,
            });
            if object.omissions.nulls && self.peek() == Some(b'n') && self.has_word("null") {
                continue;
            }
            if start != object.start.saturating_add(1) {
                self.canonical.push(',');
            }
            self.canonical.push_str(quoted);
            self.canonical.push(':');
            return Ok(Some(name));
        }
    }

    /// Ends a member after its value.
    pub(super) fn end_member(&mut self, object: &OpenObject) {
        if let Some(member) = self.members.last_mut() {
            if object.omissions.name == Some(member.name) {
                self.canonical.truncate(member.start);
            }
            member.end = self.canonical.len();
        }
    }

    /// Ends an object after its last member.
    pub(super) fn end_object(&mut self, object: &OpenObject) -> Result<(), UnreadText> {
        self.expect(b'}')?;
        let members = self.members.get_mut(object.outer..).ok_or(UnreadText)?;
        if !members.is_sorted_by(WrittenMember::is_before) {
            members.sort_unstable_by_key(|member| (member.prefix, member.name));
            if !members.is_sorted_by(WrittenMember::is_before) {
                return Err(UnreadText);
            }
            self.sorted.clear();
            for member in members {
                let text = self
                    .canonical
                    .get(member.start..member.end)
                    .ok_or(UnreadText)?;
                let text = text.strip_prefix(',').unwrap_or(text);
                if !self.sorted.is_empty() && !text.is_empty() {
                    self.sorted.push(',');
                }
                self.sorted.push_str(text);
            }
            self.canonical.truncate(object.start.saturating_add(1));
            self.canonical.push_str(&self.sorted);
        }
        self.members.truncate(object.outer);
        self.canonical.push('}');
        self.depth = self.depth.saturating_sub(1);
        Ok(())
    }

    /// Begins a list, whose bracket must be next. Returns true if it has items.
    pub(super) fn begin_list(&mut self) -> Result<bool, UnreadText> {
        self.begin('[')?;
        Ok(self.peek() != Some(b']'))
    }

    /// Returns true before the next item of a list.
    pub(super) fn begin_item(&mut self, is_first: bool) -> Result<bool, UnreadText> {
        if self.peek() == Some(b']') {
            return Ok(false);
        }
        if !is_first {
            self.expect(b',')?;
            self.canonical.push(',');
        }
        Ok(true)
    }

    /// Ends a list after its last item.
    pub(super) fn end_list(&mut self) -> Result<(), UnreadText> {
        self.expect(b']')?;
        self.canonical.push(']');
        self.depth = self.depth.saturating_sub(1);
        Ok(())
    }
}

//! Texts of JSON values as clients may write them, for tests: members in any order, spaces, escapes, other forms of
//! numbers, changed values and damaged bytes.

use std::fmt::Write;

use serde_json::{Map, Value, json};

/// A source of choices: the given bytes, and then zeros.
pub(in crate::http) struct Choices<'a>(pub(in crate::http) &'a [u8]);

impl Choices<'_> {
    fn next(&mut self) -> usize {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        usize::from(*first)
    }

    /// Returns true for one byte in `rarity`.
    fn is_rare(&mut self, rarity: usize) -> bool {
        self.next() % rarity == rarity - 1
    }

    /// Returns a text of a value, which is rarely another value or damaged.
    pub(in crate::http) fn text(&mut self, value: &Value) -> Vec<u8> {
        let mut value = value.clone();
        while self.is_rare(3) {
            self.change(&mut value);
        }
        let mut text = String::new();
        self.write(&value, &mut text);
        let mut text = Vec::from(text);
        if self.is_rare(8) {
            let at = self.next() * 256 + self.next();
            let at = at % text.len();
            text[at] = u8::try_from(self.next()).expect("a byte");
        }
        text
    }

    /// Changes one value within another one.
    fn change(&mut self, value: &mut Value) {
        let choice = self.next();
        match value {
            Value::Array(items) if !items.is_empty() && !choice.is_multiple_of(4) => {
                let item = self.next() % items.len();
                self.change(&mut items[item]);
            }
            Value::Object(members) if !members.is_empty() && !choice.is_multiple_of(4) => {
                let place = self.next() % members.len();
                self.change(members.values_mut().nth(place).expect("it is there"));
            }
            Value::Object(members) if choice.is_multiple_of(3) => self.change_members(members),
            _ => *value = self.value(),
        }
    }

    fn change_members(&mut self, members: &mut Map<String, Value>) {
        let names = [
            "memo",
            "metadata",
            "amount",
            "idempotency_key",
            "effective_at",
            "other",
        ];
        let name = names[self.next() % names.len()];
        if members.remove(name).is_none() {
            let value = self.value();
            members.insert(name.into(), value);
        }
    }

    fn value(&mut self) -> Value {
        match self.next() % 12 {
            0 | 1 => Value::Null,
            2 => json!(true),
            3 => json!(self.next()),
            4 => json!(-1),
            5 => json!(9_007_199_254_740_991_u64),
            6 => json!(9_007_199_254_740_992_u64),
            7 => json!(0.5),
            8 => json!("user:3"),
            9 => json!("ä \"\\\n\u{1f600}"),
            10 => json!([1, "a"]),
            _ => json!({ "b": null, "a": [1.5, {}] }),
        }
    }

    fn space(&mut self, text: &mut String) {
        if self.is_rare(8) {
            text.push_str([" ", "\n", "\t\r"][self.next() % 3]);
        }
    }

    fn write(&mut self, value: &Value, text: &mut String) {
        self.space(text);
        match value {
            Value::Number(number) if self.is_rare(8) && number.is_u64() => {
                write!(
                    text,
                    "{number}{}",
                    [".0", "e0", "E+0", ".00"][self.next() % 4]
                )
                .expect("it is there");
            }
            Value::String(string) => self.write_string(string, text),
            Value::Array(items) => {
                text.push('[');
                for (index, item) in items.iter().enumerate() {
                    text.push_str(if index == 0 { "" } else { "," });
                    self.write(item, text);
                }
                text.push(']');
            }
            Value::Object(members) => {
                text.push('{');
                let mut members: Vec<_> = members.iter().collect();
                let mut is_first = true;
                while !members.is_empty() {
                    let place = self.next() % members.len();
                    // Rarely a member is written twice.
                    let (name, value) = if self.is_rare(64) {
                        members[place]
                    } else {
                        members.remove(place)
                    };
                    text.push_str(if is_first { "" } else { "," });
                    is_first = false;
                    self.space(text);
                    self.write_string(name, text);
                    self.space(text);
                    text.push(':');
                    self.write(value, text);
                }
                text.push('}');
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => text.push_str(&value.to_string()),
        }
        self.space(text);
    }

    fn write_string(&mut self, string: &str, text: &mut String) {
        let written = Value::from(string).to_string();
        match string.chars().next().filter(|_| self.is_rare(16)) {
            Some(first) if first.is_ascii_alphanumeric() => {
                let rest = written
                    .trim_start_matches('"')
                    .strip_prefix(first)
                    .expect("it is there");
                write!(text, "\"\\u{:04x}{rest}", u32::from(first)).expect("it is there");
            }
            _ => text.push_str(&written),
        }
    }
}

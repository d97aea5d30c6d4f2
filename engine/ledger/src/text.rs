//! Safe display of texts from other parties: on a terminal, in a log, on a page.
//!
//! A name, a fault or a log line may contain any character that its author chose: escape sequences that
//! colour or overwrite the terminal, characters that reverse the direction of reading or have no width. The
//! types here display each of them as an escape.

use std::fmt::{self, Display, Write};

/// Letters without a visible shape: fillers of Hangul, and inherent vowels of Khmer.
const BLANK_LETTERS: [char; 5] = ['\u{115f}', '\u{1160}', '\u{17b4}', '\u{3164}', '\u{ffa0}'];

/// Returns true if a character is displayed as it is: it is no control or format character, no blank other
/// than the space, and does not combine with the character before it.
pub fn prints(character: char) -> bool {
    match character {
        '"' | '\'' | '\\' => true,
        _ if BLANK_LETTERS.contains(&character) => false,
        _ => character.escape_debug().len() == 1,
    }
}

/// Returns a character as it is displayed: itself, or its escape.
pub fn shown(character: char) -> impl Iterator<Item = char> {
    let prints = prints(character);
    let escape = (!prints).then(|| character.escape_default());
    let plain = prints.then_some(character);
    escape.into_iter().flatten().chain(plain)
}

/// A text from another party, displayed on one line.
#[derive(Clone, Copy, Debug)]
pub struct Printable<T>(pub T);

impl<T: Display> Display for Printable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

/// A writer that escapes characters which are not printable.
struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut plain = 0;
        for (at, character) in text.char_indices().filter(|(_, one)| !prints(*one)) {
            self.0.write_str(text.get(plain..at).unwrap_or_default())?;
            write!(self.0, "{}", character.escape_default())?;
            plain = at.saturating_add(character.len_utf8());
        }
        self.0.write_str(text.get(plain..).unwrap_or_default())
    }
}

/// A JSON text whose unprintable characters are displayed as escapes. It is read as the same value.
#[derive(Clone, Copy, Debug)]
pub struct PrintableJson<'a>(pub &'a str);

impl Display for PrintableJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut units = [0; 2];
        for character in self.0.chars() {
            // Line breaks occur only between values; within strings JSON escapes them.
            if prints(character) || character == '\n' {
                f.write_char(character)?;
                continue;
            }
            for unit in character.encode_utf16(&mut units) {
                write!(f, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Characters of each kind that a terminal or a reader interprets instead of showing.
    const KINDS: &str = "\u{1b}\u{7}\u{8}\r\n\t\0\u{7f}\u{85}\u{9b}\u{9d}\u{ad}\u{61c}\u{200b}\u{200d}\u{200e}\
                         \u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\u{feff}\u{fff9}\
                         \u{a0}\u{3000}\u{301}\u{115f}\u{3164}\u{ffa0}\u{e000}\u{e0041}\u{10ffff}";

    #[test]
    fn unprintable_characters_are_escaped() {
        let text = "it's \"fine\" \\ ü 商店 \u{1f600}";
        assert_eq!(Printable(text).to_string(), text);
        assert_eq!(
            Printable("a\u{202e}b\u{1b}[31m\n").to_string(),
            "a\\u{202e}b\\u{1b}[31m\\n"
        );
        for character in KINDS.chars() {
            let shown = Printable(character).to_string();
            assert!(shown.is_ascii() && shown.starts_with('\\'), "{shown}");
            assert_eq!(super::shown(character).collect::<String>(), shown);
        }
    }

    #[test]
    fn pieces_of_a_text_are_escaped_like_the_whole() {
        let whole = format!("a{KINDS}b");
        let pieces: String = whole
            .chars()
            .map(|one| Printable(one).to_string())
            .collect();
        assert_eq!(Printable(&whole).to_string(), pieces);
    }

    #[test]
    fn json_reads_as_the_same_value() {
        let value =
            serde_json::json!({ "text": format!("a{KINDS}b\"\\ü\u{1f600}"), "n": [1, null] });
        let shown = PrintableJson(&value.to_string()).to_string();
        assert!(shown.chars().all(prints), "{shown}");
        let read: serde_json::Value = serde_json::from_str(&shown).expect("it is JSON");
        assert_eq!(read, value);
    }
}

//! The check of the texts in a manifest.
//!
//! Terminals, logs, pages and chats show these texts, so they must not contain invisible characters, control characters
//! or characters that change the direction of writing. See Unicode Technical Report 36, "Unicode Security
//! Considerations".

use bursar_ledger::pointer_segment;
use serde_json::Value;

use crate::limits::MANIFEST_VALUES_MAX;
use crate::report::{Finding, Findings};

/// Checks all texts and names of a manifest, and the number of its values.
pub(super) fn check_texts(manifest: &Value, findings: &mut Findings) {
    let values = walk(manifest, "", false, findings);
    if values > MANIFEST_VALUES_MAX {
        let message = format!("it has more than {MANIFEST_VALUES_MAX} values");
        let hint = "use `$defs` and `$ref` for common parts of schemas";
        findings.add(Finding::new("manifest_invalid", message).hint(hint));
    }
}

/// Checks the value at a pointer and returns the number of values in it. The parser limits the nesting of a manifest, and
/// with it this recursion.
fn walk(value: &Value, pointer: &str, may_have_lines: bool, findings: &mut Findings) -> usize {
    match value {
        Value::String(text) => {
            check(text, pointer, may_have_lines, findings);
            1
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.fold(1, |count, (index, item)| {
                count + walk(item, &format!("{pointer}/{index}"), false, findings)
            })
        }
        Value::Object(members) => members.iter().fold(1, |count, (name, value)| {
            let pointer = format!("{pointer}{}", pointer_segment(name));
            check(name, &pointer, false, findings);
            // Descriptions are Markdown, also those in schemas.
            let has_lines = matches!(name.as_str(), "description" | "$comment");
            count + walk(value, &pointer, has_lines, findings)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
    }
}

fn check(text: &str, pointer: &str, may_have_lines: bool, findings: &mut Findings) {
    let hidden =
        |character: &char| is_hidden(*character) && !(may_have_lines && *character == '\n');
    if let Some(character) = text.chars().find(hidden) {
        let message = format!(
            "a text contains the character U+{:04X}",
            u32::from(character)
        );
        let hint = "texts of a manifest must not contain control characters, invisible characters or characters \
                    that change the direction of writing; only descriptions may have line breaks; in a pattern \
                    write such a character as \\u{X}";
        let found = Finding::new("text_not_allowed", message).pointer(pointer);
        findings.add(found.hint(hint));
    }
}

/// Returns true if a character is invisible or changes how others are shown.
///
/// Joiners (U+200C, U+200D) and variation selectors up to U+FE0F are parts of words and emoji, so they are allowed.
fn is_hidden(character: char) -> bool {
    matches!(
        character,
        // Controls: C0, delete and C1.
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        // The soft hyphen, and line and paragraph separators.
        | '\u{ad}' | '\u{2028}' | '\u{2029}'
        // Directional marks and controls.
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        // Zero-width spaces, invisible operators, shaping controls, annotations.
        | '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
        // Fillers and joiners without a glyph.
        | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}' | '\u{ffa0}'
        // Tags and ideographic variation selectors.
        | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn findings_of(manifest: &Value) -> Vec<(String, String)> {
        let mut findings = Findings::default();
        check_texts(manifest, &mut findings);
        let report = findings.report().err();
        let found = report.into_iter().flat_map(|report| report.findings);
        found
            .map(|finding| (finding.pointer.unwrap_or_default(), finding.message))
            .collect()
    }

    #[test]
    fn a_hidden_character_is_found_in_each_place() {
        for hidden in [
            '\0',
            '\t',
            '\r',
            '\u{1b}',
            '\u{7f}',
            '\u{85}',
            '\u{9b}',
            '\u{ad}',
            '\u{61c}',
            '\u{200b}',
            '\u{200e}',
            '\u{200f}',
            '\u{2028}',
            '\u{202e}',
            '\u{2066}',
            '\u{2069}',
            '\u{2060}',
            '\u{feff}',
            '\u{e0041}',
            '\u{3164}',
        ] {
            let message = format!("a text contains the character U+{:04X}", u32::from(hidden));
            let text = format!("a{hidden}b");
            let value = json!({"description": text, "a": [{"enum": [text]}]});
            assert_eq!(
                findings_of(&value),
                [
                    ("/a/0/enum/0".to_owned(), message.clone()),
                    ("/description".to_owned(), message.clone())
                ]
            );
            let name = findings_of(&json!({ text: 1 }));
            assert_eq!(name[0].1, message);
        }
    }

    #[test]
    fn only_descriptions_may_have_line_breaks() {
        assert_eq!(
            findings_of(&json!({"description": "a\n\nb", "x": {"$comment": "c\nd"}})),
            []
        );
        assert_eq!(findings_of(&json!({"title": "a\nb"})).len(), 1);
        assert_eq!(findings_of(&json!({"description": ["a\nb"]})).len(), 1);
    }

    #[test]
    fn words_of_any_script_and_emoji_pass() {
        let words = "Grüße, שלום, مرحبا, नमस्ते, می‌خواهم, 日本語, 👩‍💻, ❤️, 🏴";
        assert_eq!(findings_of(&json!({ words: words })), []);
    }

    #[test]
    fn values_end_at_their_limit() {
        let list = |count: usize| json!(vec![0; count - 1]);
        assert_eq!(findings_of(&list(MANIFEST_VALUES_MAX)), []);
        assert_eq!(findings_of(&list(MANIFEST_VALUES_MAX + 1)).len(), 1);
    }
}

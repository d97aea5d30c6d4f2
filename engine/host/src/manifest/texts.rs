//! The texts of a manifest. They are shown to people in terminals, logs, pages and chats, so they have no
//! character that is not seen: none that moves the cursor, turns the text around or hides in it.

use bursar_ledger::pointer_segment;
use serde_json::Value;

use crate::limits::MANIFEST_VALUES_MAX;
use crate::report::{Finding, Findings};

/// Checks all texts and names of a manifest, and counts its values.
pub(super) fn check_texts(manifest: &Value, findings: &mut Findings) {
    let values = walk(manifest, "", false, findings);
    if values > MANIFEST_VALUES_MAX {
        let message = format!("it has more than {MANIFEST_VALUES_MAX} values");
        let hint = "use `$defs` and `$ref` for what schemas have in common";
        findings.add(Finding::new("manifest_invalid", message).hint(hint));
    }
}

/// Checks what stands at a pointer; gives how many values there are. Manifests are read with a bound on how
/// deep they nest, so the recursion has one too.
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
            // Descriptions are Markdown, of schemas too.
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
        let message = format!("a text has the character U+{:04X}", u32::from(character));
        let hint = "texts of a manifest have no control characters, none that changes the direction of \
                    writing and none that is not seen; lines end in descriptions only; in patterns such a \
                    character is written \\u{X}";
        let found = Finding::new("text_not_allowed", message).pointer(pointer);
        findings.add(found.hint(hint));
    }
}

/// Tells whether a character is not seen, or changes how others are seen. Joiners (U+200C, U+200D) and the
/// selectors of variants up to U+FE0F are parts of words and of emoji, and stay.
fn is_hidden(character: char) -> bool {
    matches!(
        character,
        // Controls: C0, delete and C1.
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        // The soft hyphen, and separators of lines and paragraphs.
        | '\u{ad}' | '\u{2028}' | '\u{2029}'
        // Marks and controls of direction.
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        // Spaces of no width, invisible operators, shaping controls, annotations.
        | '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}'
        // Letters without a shape.
        | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}' | '\u{ffa0}'
        // Tags, and selectors of ideographic variants.
        | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(manifest: &Value) -> Vec<(String, String)> {
        let mut findings = Findings::default();
        check_texts(manifest, &mut findings);
        let report = findings.report().err();
        let found = report.into_iter().flat_map(|report| report.findings);
        found
            .map(|finding| (finding.pointer.unwrap_or_default(), finding.message))
            .collect()
    }

    #[test]
    fn a_character_that_is_not_seen_is_found_wherever_it_stands() {
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
            let message = format!("a text has the character U+{:04X}", u32::from(hidden));
            let text = format!("a{hidden}b");
            let value = json!({"description": text, "a": [{"enum": [text]}]});
            assert_eq!(
                found(&value),
                [
                    ("/a/0/enum/0".to_owned(), message.clone()),
                    ("/description".to_owned(), message.clone())
                ]
            );
            let name = found(&json!({ text: 1 }));
            assert_eq!(name[0].1, message);
        }
    }

    #[test]
    fn lines_end_in_descriptions_alone() {
        assert_eq!(
            found(&json!({"description": "a\n\nb", "x": {"$comment": "c\nd"}})),
            []
        );
        assert_eq!(found(&json!({"title": "a\nb"})).len(), 1);
        assert_eq!(found(&json!({"description": ["a\nb"]})).len(), 1);
    }

    #[test]
    fn words_of_any_script_and_emoji_pass() {
        let words = "Grüße, שלום, مرحبا, नमस्ते, می‌خواهم, 日本語, 👩‍💻, ❤️, 🏴";
        assert_eq!(found(&json!({ words: words })), []);
    }

    #[test]
    fn values_end_at_their_limit() {
        let list = |count: usize| json!(vec![0; count - 1]);
        assert_eq!(found(&list(MANIFEST_VALUES_MAX)), []);
        assert_eq!(found(&list(MANIFEST_VALUES_MAX + 1)).len(), 1);
    }
}

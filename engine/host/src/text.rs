//! Excerpts of untrusted texts that are safe to show.

use bursar_ledger::shown;

use crate::limits::EXCERPT_CHARS_MAX;

/// Returns the beginning of a text with unprintable characters escaped.
///
/// An excerpt can end up in a record that is stored forever, so its length is limited.
pub(crate) fn excerpt(text: &str) -> String {
    let mut characters = text.chars().flat_map(shown);
    let mut excerpt: String = characters.by_ref().take(EXCERPT_CHARS_MAX).collect();
    if characters.next().is_some() {
        excerpt.push('…');
    }
    excerpt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_escapes_unprintable_characters() {
        assert_eq!(excerpt("it's \"fine\" \\ ü"), "it's \"fine\" \\ ü");
        assert_eq!(
            excerpt("a\u{202e}b\u{1b}[31m\n"),
            "a\\u{202e}b\\u{1b}[31m\\n"
        );
    }

    #[test]
    fn an_excerpt_ends_at_its_limit() {
        let longest = "m".repeat(EXCERPT_CHARS_MAX);
        assert_eq!(excerpt(&longest), longest);
        assert_eq!(excerpt(&format!("{longest}m")), format!("{longest}…"));
    }
}

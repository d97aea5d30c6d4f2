//! What strangers wrote, made fit to be shown.

use bursar_ledger::shown;

use crate::limits::EXCERPT_CHARS_MAX;

/// The beginning of a text, as it may be shown. What is repeated of a stranger's may be kept for ever: so
/// it is short.
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
    fn an_excerpt_shows_what_does_not_print_as_an_escape() {
        assert_eq!(excerpt("it's \"fine\" \\ ü"), "it's \"fine\" \\ ü");
        assert_eq!(
            excerpt("a\u{202e}b\u{1b}[31m\n"),
            "a\\u{202e}b\\u{1b}[31m\\n"
        );
    }

    #[test]
    fn an_excerpt_ends_at_its_limit() {
        let most = "m".repeat(EXCERPT_CHARS_MAX);
        assert_eq!(excerpt(&most), most);
        assert_eq!(excerpt(&format!("{most}m")), format!("{most}…"));
    }
}

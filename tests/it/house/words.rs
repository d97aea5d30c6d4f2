//! Words that no text of the workspace contains, each with the plain words to use instead.

use super::source::Source;
use super::{ratchet, source};

/// Words and phrases that make a sentence hard to read. A space stands for any space, line break or underscore.
const WORDS: [(&str, &str); 48] = [
    ("a bug", "an internal error"),
    ("a no", "a rejection"),
    ("a yes", "a success"),
    ("afresh", "again"),
    ("anew", "again, or rebuilt"),
    ("anybody", "anyone"),
    ("as good as", "equal to, or nearly"),
    ("asks of", "requests from"),
    ("at hand", "available"),
    ("believed", "trusted, or accepted"),
    ("believes", "trusts"),
    ("beneath", "below"),
    ("bombs", "compile limits"),
    ("break off", "abort"),
    ("breaking off", "aborting"),
    ("breaks off", "aborts"),
    ("broke off", "aborted, or was truncated"),
    ("broken off", "aborted, or truncated"),
    ("came to nothing", "had no effect"),
    ("come of", "the result of"),
    ("come to nothing", "have no effect"),
    ("comes of", "the result of"),
    ("comes to", "becomes, or results in"),
    ("everybody", "everyone, or all"),
    ("furnished", "with members"),
    ("goes by", "follows"),
    ("gone back", "returned"),
    ("good faith", "valid"),
    ("good for nothing", "no longer valid"),
    ("held against", "compared with"),
    ("in the making", "that is being built"),
    ("in the way", "blocking"),
    ("museum", "compatibility"),
    ("nobody", "no one"),
    ("not one more", "at most"),
    ("purse", "balance"),
    ("said", "by default, recorded, or output"),
    ("siege", "soak test"),
    ("somebody", "someone"),
    ("stranger", "an untrusted party"),
    ("strangers", "untrusted parties"),
    ("thinks", "runs"),
    ("thrown away", "discarded"),
    ("told", "receives, is notified, or is reported"),
    ("villain", "malicious"),
    ("way back", "return, or rollback"),
    ("whoever", "the one who, or anyone who"),
    ("wishes", "requests"),
];

/// Files that contain such words for a reason: this list, an example of how not to write, and texts of others.
const EXEMPT: [&str; 3] = [
    "tests/it/house/words.rs",
    "CONTRIBUTING.md",
    "THIRD-PARTY.md",
];

fn files() -> Vec<Source> {
    let fits = |path: &str| {
        let is_text = [
            ".rs",
            ".md",
            ".py",
            ".toml",
            "Makefile",
            "/run",
            "wit/plugin.wit",
        ]
        .iter()
        .any(|end| path.ends_with(end));
        is_text && !EXEMPT.contains(&path)
    };
    source::read("", fits)
}

/// Returns a text in one line and in lower case, without comment marks.
fn plain(text: &str) -> String {
    let line = |line: &str| {
        line.trim_start()
            .trim_start_matches(['/', '!', '#', '*', ';', '>'])
            .to_lowercase()
    };
    let lines: Vec<String> = text.lines().map(line).collect();
    let words = lines.join(" ").replace('_', " ");
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Counts a word or a phrase in a plain text. Parts of other words do not count.
fn count(text: &str, word: &str) -> usize {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '-';
    text.match_indices(word)
        .filter(|(start, _)| {
            let before = text[..*start].chars().next_back();
            let after = text[start + word.len()..].chars().next();
            !before.is_some_and(is_part) && !after.is_some_and(is_part)
        })
        .count()
}

#[test]
fn texts_are_in_plain_words() {
    let files = files();
    assert!(files.len() > 400, "{} files", files.len());
    let mut found = Vec::new();
    for file in &files {
        let text = plain(&file.text);
        for (word, instead) in WORDS {
            let times = count(&text, word);
            if times > 0 {
                println!("{}: {times} × {word:?}; say: {instead}", file.path);
                found.push((source::crate_of(&file.path), times));
            }
        }
    }
    ratchet::check("words", &source::sum(found));
}

#[test]
fn words_are_found_where_they_stand_alone() {
    let text = plain(
        "/// Nobody is told: it comes\n    /// to  nothing.\n# a\n# no\nfn nobody_waits() {}\n\
         // renobody a no-op, a novel; Banew, anew.\n",
    );
    for (word, times) in [
        ("nobody", 2),
        ("told", 1),
        ("comes to", 1),
        ("a no", 1),
        ("anew", 1),
        ("purse", 0),
    ] {
        assert_eq!(count(&text, word), times, "{word}: {text}");
    }
    assert!(WORDS.is_sorted());
    assert!(WORDS.iter().all(|(word, _)| plain(word) == *word));
}

//! The pages for readers and their blocks of code.

use std::path::Path;

use crate::workspace;

/// The state of the server while a block runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ServerState {
    Serving,
    Stopped,
    Killed,
    DiskFull,
}

/// A page and its shell blocks in order.
pub(super) struct Page {
    /// The path from the root of the repository.
    pub(super) path: String,
    pub(super) blocks: Vec<Block>,
}

/// A shell block.
pub(super) struct Block {
    /// The state of the server in which the block runs.
    pub(super) state: ServerState,
    /// The line of the page at which the block begins.
    pub(super) line: usize,
    pub(super) script: String,
    /// The output that the page shows directly below the block.
    pub(super) shown: Option<Shown>,
}

/// Output that a page shows.
pub(super) enum Shown {
    Json(String),
    Text(String),
}

/// Returns the README and every page in `docs/`.
pub(super) fn all() -> (Page, Vec<Page>) {
    let is_page = |path: &str| Path::new(path).extension().is_some_and(|end| end == "md");
    let page = |path: String, text: &str| {
        let blocks = blocks(&path, text);
        Page { path, blocks }
    };
    let pages = workspace::read("docs", is_page);
    let pages = pages.into_iter().map(|file| page(file.path, &file.text));
    let readme = std::fs::read_to_string(workspace::root().join("README.md")).unwrap();
    (page("README.md".to_owned(), &readme), pages.collect())
}

/// Reads the shell blocks of a page. Code in any other form than a fenced block of a known language fails,
/// because a command in it would not be run.
fn blocks(path: &str, text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    // The fenced block that is open: its language, its first line and its text.
    let mut open: Option<(String, usize, String)> = None;
    // True while nothing but empty lines has followed a shell block.
    let mut below_shell = false;
    let mut after_empty_line = true;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if let Some((language, begin, mut body)) = open.take() {
            if line != "```" {
                body.push_str(line);
                body.push('\n');
                open = Some((language, begin, body));
                continue;
            }
            let last = blocks.last_mut().filter(|_| below_shell);
            below_shell = false;
            match (language.as_str(), last) {
                ("json", Some(block)) => block.shown = Some(Shown::Json(body)),
                ("text", Some(block)) => block.shown = Some(Shown::Text(body)),
                ("json" | "text" | "rust", _) => {}
                (shell, _) => {
                    let state = state(shell)
                        .unwrap_or_else(|| panic!("{path}, line {begin}: `{shell}` is not run"));
                    blocks.push(Block {
                        state,
                        line: begin,
                        script: body,
                        shown: None,
                    });
                    below_shell = true;
                }
            }
        } else if let Some(language) = line.strip_prefix("```") {
            open = Some((language.to_owned(), number, String::new()));
        } else {
            let hides_code = line.trim_start().starts_with("```")
                || line.contains("~~~")
                || line.contains("<pre")
                || after_empty_line && (line.starts_with("    ") || line.starts_with('\t'));
            assert!(
                !hides_code,
                "{path}, line {number}: write code as a fenced block that begins a line"
            );
            below_shell &= line.is_empty();
        }
        after_empty_line = line.is_empty();
    }
    assert!(open.is_none(), "{path} ends in a block");
    blocks
}

/// Returns the state of the server that a shell block names.
fn state(language: &str) -> Option<ServerState> {
    match language {
        "sh" => Some(ServerState::Serving),
        "sh stopped" => Some(ServerState::Stopped),
        "sh killed" => Some(ServerState::Killed),
        "sh full" => Some(ServerState::DiskFull),
        _ => None,
    }
}

#[test]
fn blocks_have_their_state_and_the_output_that_is_shown_below() {
    let text = "# A\n\n```sh\none\n```\n\n```json\n{}\n```\n\n```sh stopped\ntwo\n```\ntext\n```text\nx\n```\n";
    let blocks = blocks("a.md", text);
    let summary: Vec<_> = blocks
        .iter()
        .map(|block| (block.line, block.script.as_str(), block.shown.is_some()))
        .collect();
    assert_eq!(summary, [(3, "one\n", true), (11, "two\n", false)]);
    assert_eq!(blocks[1].state, ServerState::Stopped);
}

#[test]
fn code_that_would_not_be_run_fails() {
    for text in [
        "```bash\ncurl\n```\n",
        "```console\n$ curl\n```\n",
        "```\ncurl\n```\n",
        "```sh hour\ncurl\n```\n",
        "Like this:\n\n    curl\n",
        "\n\tcurl\n",
        "- a list\n  ```sh\n  curl\n  ```\n",
        "~~~sh\ncurl\n~~~\n",
        "<pre>curl</pre>\n",
        "```sh\ncurl\n",
    ] {
        let read = std::panic::catch_unwind(|| blocks("a.md", text).len());
        assert!(read.is_err(), "{text}");
    }
}

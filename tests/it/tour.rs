//! Every shell block of `README.md` and of the pages in `docs/`, run as it is written: what a reader copies
//! must work, and what a page shows of the output must be true.

mod page;
mod shown;
mod site;

use page::{Block, Page, ServerState};
use site::Site;

/// Shell blocks that are not run: the page, the first line, and the reason.
const NOT_RUN: [(&str, &str, &str); 3] = [
    (
        "README.md",
        "make demo     # plays a whole economy on a temporary database; exits with 0 only if every check held",
        "`make test` runs this test, and a test of its own runs the demo",
    ),
    (
        "README.md",
        "cargo run --release -p bursar-server --bin bursar -- serve --db guild.db",
        "it compiles for minutes and serves until it is stopped; the test has a server",
    ),
    (
        "docs/operations.md",
        "bursar serve --db guild.db",
        "it serves until it is stopped; the test serves this file",
    ),
];

fn is_run(page: &Page, block: &Block) -> bool {
    let first = block.script.lines().next().unwrap_or_default();
    !NOT_RUN
        .iter()
        .any(|(path, line, _)| *path == page.path && *line == first)
}

/// Runs the blocks of a page in order and returns what they print.
async fn run(page: &Page, site: &mut Site) -> String {
    let mut output = String::new();
    for block in page.blocks.iter().filter(|block| is_run(page, block)) {
        let place = format!("{}, line {}", page.path, block.line);
        site.prepare(block).await;
        let printed = site.run(block, &place).await;
        shown::check(block, &printed, &place);
        output.push_str(&printed);
    }
    output
}

/// The pages in `docs/` continue from the README, each with a copy of the file that the README's blocks leave.
#[tokio::test(flavor = "multi_thread")]
async fn every_shell_block_of_every_page_works() {
    let (readme, pages) = page::all();
    let mut site = Site::new().await;
    let output = run(&readme, &mut site).await;
    for expected in ["\"outcome\":\"committed\"", "\"ok\":true"] {
        assert!(output.contains(expected), "{expected} is not in:\n{output}");
    }
    let start = site.close().await;
    let with_blocks: Vec<_> = pages
        .iter()
        .filter(|page| page.blocks.iter().any(|block| is_run(page, block)))
        .collect();
    assert!(with_blocks.len() >= 5, "{} pages", with_blocks.len());
    for page in with_blocks {
        let mut site = Site::copy_of(&start).await;
        run(page, &mut site).await;
        site.close().await;
    }
}

#[test]
fn every_exception_is_a_block_of_its_page() {
    let (readme, mut pages) = page::all();
    pages.push(readme);
    for (path, line, reason) in NOT_RUN {
        let page = pages.iter().find(|page| page.path == path).unwrap();
        let is_it = |block: &&Block| block.script.lines().next() == Some(line);
        assert_eq!(
            page.blocks.iter().filter(is_it).count(),
            1,
            "{path}: {line}"
        );
        assert!(reason.len() > 20, "{reason}");
    }
}

#[test]
fn operations_shows_every_state_of_a_server() {
    let (_, pages) = page::all();
    let operations = pages.iter().find(|page| page.path == "docs/operations.md");
    let blocks = &operations.unwrap().blocks;
    assert!(blocks.len() >= 15, "{} blocks", blocks.len());
    for state in [
        ServerState::Serving,
        ServerState::Stopped,
        ServerState::Killed,
        ServerState::DiskFull,
    ] {
        assert!(blocks.iter().any(|block| block.state == state), "{state:?}");
    }
}

//! The README's tour, run as it stands there: what a newcomer copies must work.

use std::path::Path;
use std::process::Command;

use crate::support::House;

/// The blocks that are marked as steps of the tour, in order, as one script.
fn tour() -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join("README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let mut steps = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        match line {
            "```sh tour" => inside = true,
            "```" => inside = false,
            step if inside => steps.push(step),
            _ => {}
        }
    }
    assert!(steps.len() > 20, "the tour is in the README");
    steps.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_of_the_readmes_tour_works() {
    let house = House::new().await;
    let script = tour();
    let mut shell = Command::new("bash");
    shell
        .args(["-euo", "pipefail", "-c", &script])
        .env("URL", format!("http://{}", house.address()))
        .env("KEY", &house.admin_key);
    let ran = tokio::task::spawn_blocking(move || shell.output().unwrap())
        .await
        .unwrap();
    let (said, complained) = (
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr),
    );
    assert!(ran.status.success(), "{said}\n{complained}");
    for expected in [
        "idempotency-replayed: true",
        "insufficient_funds",
        "\"outcome\":\"committed\"",
        "\"ok\":true",
    ] {
        assert!(said.contains(expected), "{expected} is not in:\n{said}");
    }
    house.close().await;
}

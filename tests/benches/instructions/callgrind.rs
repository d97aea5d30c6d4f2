//! A run of this program under callgrind.

use std::collections::BTreeMap;
use std::process::Command;

/// The instructions below each function, by its name.
pub(crate) type Profile = BTreeMap<String, u64>;

/// Runs this program with an argument and returns its profile.
pub(crate) fn profile(argument: &str) -> Profile {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("callgrind.out");
    let program = std::env::current_exe().unwrap();
    let mut valgrind = Command::new("valgrind");
    valgrind.arg("--tool=callgrind").arg("--quiet");
    valgrind.arg(format!("--callgrind-out-file={}", path.display()));
    let status = valgrind.arg(program).arg(argument).status();
    let status = status.expect("valgrind is installed: apt-get install valgrind");
    assert!(status.success(), "the measured run failed: {status}");
    let mut annotate = Command::new("callgrind_annotate");
    annotate
        .args(["--inclusive=yes", "--threshold=100"])
        .arg(path);
    let output = annotate.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    read(&String::from_utf8_lossy(&output.stdout))
}

/// Reads lines such as `1,234 (5.6%)  file:function [program]`.
fn read(text: &str) -> Profile {
    let mut profile = Profile::new();
    for line in text.lines() {
        let Some((count, rest)) = line.trim_start().split_once(' ') else {
            continue;
        };
        let Ok(count) = count.replace(',', "").parse::<u64>() else {
            continue;
        };
        let Some((_, function)) = rest.split_once(':') else {
            continue;
        };
        let function = function.split(" [").next().unwrap_or(function).trim();
        // A function has a line for each file from which code was inlined into it.
        let known = profile.entry(function.to_owned()).or_default();
        *known = count.max(*known);
    }
    profile
}

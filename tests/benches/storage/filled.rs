//! A file with many transfers under random keys.

use std::path::PathBuf;

use bursar_storage::{Answer, Submission};

use crate::load::pipeline;
use crate::opening::{close, open};
use crate::submissions::{Guild, Random};
use crate::usage::{Usage, folder_bytes};

/// A filled and closed file, and the figures of filling it.
pub(crate) struct Fill {
    pub(crate) path: PathBuf,
    pub(crate) transfers: u64,
    pub(crate) usage: Usage,
    pub(crate) kept: u64,
    pub(crate) sample: Vec<(Submission, Answer)>,
}

/// Commits transfers to a file and closes it. Keeps a sample of them with their answers.
pub(crate) fn fill(path: PathBuf, guild: &Guild, transfers: u64, sample: u64) -> Fill {
    let folder = path.parent().unwrap();
    let size = folder_bytes(folder);
    let step = (transfers / sample.max(1)).max(1);
    let storage = open(&path);
    let mut random = Random::new();
    let mut sampled = Vec::new();
    let mut answers = Vec::new();
    let submissions = (0..transfers).map(|number| {
        let submission = guild.transfer(&mut random);
        if number % step == 0 {
            sampled.push(submission.clone());
        }
        submission
    });
    let mut received = 0;
    let before = Usage::now();
    pipeline(&storage, submissions, |answer| {
        if received % step == 0 {
            answers.push(answer);
        }
        received += 1;
    });
    let usage = before.until_now();
    close(&storage);
    Fill {
        transfers,
        usage,
        kept: folder_bytes(folder).saturating_sub(size),
        sample: sampled.into_iter().zip(answers).collect(),
        path,
    }
}

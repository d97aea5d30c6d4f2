//! A file with many transfers under random keys: its size, its rate compared with that of a new file, and replays.

use std::path::PathBuf;
use std::time::Instant;

use bursar_ledger::Act;
use bursar_server::random;
use bursar_storage::{Answer, Storage, Submission};

use crate::commit::{Measured, WARM_UP};
use crate::files::Files;
use crate::load::{answer, closed_loop, runtime};
use crate::opening::{close, open, remove};
use crate::options::Options;
use crate::submissions::Guild;
use crate::table::{Column, Table, median};
use crate::usage::rest;

const FILLED: &[Column] = &[
    ("per_second", "/s", 0),
    ("writer_us", "writer µs", 1),
    ("process_us", "process µs", 1),
    ("written_bytes", "written B", 0),
    ("kept_bytes", "kept B", 0),
];
const COMPARED: &[Column] = &[
    ("new_per_second", "new /s", 0),
    ("large_per_second", "large /s", 0),
    ("ratio", "ratio", 2),
    ("new_writer_us", "new wr. µs", 1),
    ("large_writer_us", "large wr. µs", 1),
];
const REPLAYED: &[Column] = &[("keys", "keys", 0), ("key_us", "µs a key", 1)];

pub(crate) fn run(options: &Options, files: &mut Files) {
    let new_path = files.copy("new");
    let guild = files.guild();
    let large = files.large();
    let count = large.transfers as usize;
    let title = "transfers committed with thousands in flight, and closed";
    let table = Table::begin("fill", title, FILLED, options.json);
    let figures = [
        count as f64 / large.usage.wall.as_secs_f64(),
        large.usage.writer_us(count),
        large.usage.process_us(count),
        large.usage.written_bytes(count),
        large.kept as f64 / count as f64,
    ];
    table.row(&count.to_string(), &figures);
    let storage = open(&large.path);
    let new = open(&new_path);
    compare(
        options,
        &guild,
        [(&new, &new_path), (&storage, &large.path)],
    );
    close(&new);
    remove(&new_path);
    let title = "keys of that file sent again, each with the answer that it had";
    let table = Table::begin("replays", title, REPLAYED, options.json);
    let began = Instant::now();
    for (submission, answer) in &large.sample {
        replay(&storage, submission, answer);
    }
    let keys = large.sample.len() as f64;
    let time = began.elapsed().as_secs_f64() * 1e6;
    table.row("one after the other", &[keys, time / keys]);
    close(&storage);
}

/// Measures the rate of 64 tasks on a new file and on the large one, in turn.
fn compare(options: &Options, guild: &Guild, files: [(&Storage, &PathBuf); 2]) {
    let runtime = runtime("clients");
    let mut rates = [Vec::new(), Vec::new()];
    let mut writer = [Vec::new(), Vec::new()];
    for (storage, _) in files {
        runtime.block_on(closed_loop(storage, guild, 64, WARM_UP));
    }
    for _ in 0..options.rounds {
        for (place, (storage, path)) in files.into_iter().enumerate() {
            // The writer of the other file would use processor time after its load.
            rest();
            let load = || runtime.block_on(closed_loop(storage, guild, 64, options.span()));
            let measured = Measured::of(path, load);
            rates[place].push(measured.per_second());
            let count = measured.latencies.count();
            writer[place].push(measured.usage.writer_us(count));
        }
    }
    let title = "64 tasks on a new file and on that file, in turn";
    let table = Table::begin("large", title, COMPARED, options.json);
    let [new, large] = rates.map(median);
    let [new_writer, large_writer] = writer.map(median);
    let figures = [new, large, large / new, new_writer, large_writer];
    table.row(&format!("median of {}", options.rounds), &figures);
}

/// Sends a transfer again, as the server does: under the same key, with another id.
fn replay(storage: &Storage, submission: &Submission, first: &Answer) {
    let mut again = submission.clone();
    if let Act::Transfer(transfer) = &mut again.act {
        transfer.id = random::transfer_id();
    }
    let reply = storage.submit(again).unwrap().blocking_recv().unwrap();
    let replayed = answer(reply);
    assert!(replayed.replayed, "the key is known");
    assert_eq!(replayed.status, first.status);
    assert_eq!(replayed.body, first.body, "the answer is the kept one");
}

//! Latencies at half of the highest rate: while nothing else happens, and beside audits, backups and checkpoints.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use bursar_storage::{BACKUP_WAL_BYTES_MAX, BackupPlan, Cancel, Storage, StorageError};

use crate::commit::WARM_UP;
use crate::files::Files;
use crate::load::{Latencies, closed_loop, open_loop, runtime};
use crate::opening::{close, open};
use crate::options::Options;
use crate::submissions::Guild;
use crate::table::{Column, Table};
use crate::usage::rest;

const COLUMNS: &[Column] = &[
    ("seconds", "s", 1),
    ("per_second", "/s", 0),
    ("p50_ms", "p50 ms", 2),
    ("p99_ms", "p99 ms", 2),
    ("max_ms", "max ms", 1),
    ("ratio", "p99/p50", 1),
    ("finished", "finished", 0),
];

/// A steady load on the large file.
struct Load<'a> {
    options: &'a Options,
    path: &'a Path,
    guild: Guild,
    per_second: f64,
    table: Table,
}

pub(crate) fn run(options: &Options, files: &mut Files) {
    let guild = files.guild();
    let path = files.large().path.clone();
    let most = {
        let storage = open(&path);
        let runtime = runtime("clients");
        runtime.block_on(closed_loop(&storage, &guild, 64, WARM_UP));
        let began = Instant::now();
        let done = runtime.block_on(closed_loop(&storage, &guild, 64, options.span()));
        let most = done.count() as f64 / began.elapsed().as_secs_f64();
        close(&storage);
        most
    };
    let title = format!("the large file at half of {most:.0} transfers/s");
    let load = Load {
        options,
        path: &path,
        guild,
        per_second: most / 2.0,
        table: Table::begin("beside", &title, COLUMNS, options.json),
    };
    load.beside("nothing", |storage| {
        load.while_running(storage, || f64::NAN)
    });
    load.beside("audits", |storage| load.while_auditing(storage));
    load.beside("backups", |storage| load.while_backing_up(storage));
    load.beside("a checkpoint of the state", |storage| {
        // The end of the checkpoint belongs to the span, too.
        let records = load.options.checkpoint + load.options.checkpoint / 5;
        let until = |number| number >= records;
        let latencies = open_loop(storage, &load.guild, load.per_second, until);
        (latencies, f64::NAN)
    });
}

impl Load<'_> {
    /// Measures on the newly opened file, because the close has written a checkpoint: none is due for a while.
    fn beside(&self, name: &str, measure: impl FnOnce(&Storage) -> (Latencies, f64)) {
        let storage = open(self.path);
        // A start leaves maintenance behind, and the first commits read pages of the file.
        rest();
        let until = |number| number as f64 >= self.per_second * WARM_UP.as_secs_f64();
        open_loop(&storage, &self.guild, self.per_second, until);
        let began = Instant::now();
        let (latencies, finished) = measure(&storage);
        let seconds = began.elapsed().as_secs_f64();
        let half = latencies.at(500);
        let slow = latencies.at(990);
        self.table.row(
            name,
            &[
                seconds,
                latencies.count() as f64 / seconds,
                half,
                slow,
                latencies.at(1000),
                slow / half,
                finished,
            ],
        );
        close(&storage);
    }

    /// Returns true if a measurement that began at `began` has lasted long enough.
    fn is_over(&self, began: Instant) -> bool {
        began.elapsed() >= self.options.span().max(Duration::from_secs(1))
    }

    /// Measures for the usual time, and until `work` has ended.
    fn while_running(
        &self,
        storage: &Storage,
        work: impl FnOnce() -> f64 + Send,
    ) -> (Latencies, f64) {
        let began = Instant::now();
        thread::scope(|scope| {
            let working = scope.spawn(work);
            let until = |_| self.is_over(began) && working.is_finished();
            let latencies = open_loop(storage, &self.guild, self.per_second, until);
            (latencies, working.join().unwrap())
        })
    }

    /// Measures beside audits, the last of which is cancelled.
    fn while_auditing(&self, storage: &Storage) -> (Latencies, f64) {
        let began = Instant::now();
        let cancel = Cancel::new();
        let audits = || {
            let mut finished = 0.0;
            loop {
                match storage.audit(&[], &cancel, &mut |_, _| {}) {
                    Ok(report) => assert!(report.ok, "{:?}", report.promises),
                    Err(StorageError::Cancelled) => return finished,
                    Err(error) => panic!("{error}"),
                }
                finished += 1.0;
            }
        };
        thread::scope(|scope| {
            let auditing = scope.spawn(audits);
            let until = |_| self.is_over(began);
            let latencies = open_loop(storage, &self.guild, self.per_second, until);
            cancel.cancel();
            (latencies, auditing.join().unwrap())
        })
    }

    /// Measures beside backups, each of which is finished.
    fn while_backing_up(&self, storage: &Storage) -> (Latencies, f64) {
        let began = Instant::now();
        let to = self.path.with_file_name("copy.db");
        let plan = BackupPlan {
            audit: false,
            wal_bytes_max: BACKUP_WAL_BYTES_MAX,
        };
        self.while_running(storage, || {
            let mut finished = 0.0;
            while !self.is_over(began) || finished < 1.0 {
                storage.back_up(&to, plan, &mut |_, _| {}).unwrap();
                std::fs::remove_file(&to).unwrap();
                finished += 1.0;
            }
            finished
        })
    }
}

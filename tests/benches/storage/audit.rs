//! The duration of an audit of the large file.

use bursar_storage::Cancel;

use crate::files::Files;
use crate::opening::{close, open};
use crate::options::Options;
use crate::table::{Column, Table};
use crate::usage::Usage;

const COLUMNS: &[Column] = &[
    ("records", "records", 0),
    ("wall_us", "wall µs", 1),
    ("process_us", "process µs", 1),
];

pub(crate) fn run(options: &Options, files: &mut Files) {
    let storage = open(&files.large().path);
    let before = Usage::now();
    let report = storage.audit(&[], &Cancel::new(), &mut |_, _| {}).unwrap();
    let used = before.until_now();
    assert!(report.ok, "{:?}", report.promises);
    let count = report.records as usize;
    let title = "an audit of the large file while it is open, for each record";
    let table = Table::begin("audit", title, COLUMNS, options.json);
    let wall = used.wall.as_secs_f64() * 1e6 / count as f64;
    table.row("audit", &[count as f64, wall, used.process_us(count)]);
    close(&storage);
}

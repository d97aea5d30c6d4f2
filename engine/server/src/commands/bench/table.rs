//! The results of a run as a table for people.

use super::durability::Durability;
use super::meter::ServerPart;
use super::options::Work;
use super::results::{BenchResults, LoadResult, PointResult};

/// The share of a core from which on the driver itself may be the bound.
const DRIVER_BUSY: f64 = 0.9;

/// The columns of the table. Latencies are in milliseconds, processor times in microseconds an operation, writes in
/// bytes an operation.
const COLUMNS: [&str; 14] = [
    "connections",
    "load",
    "rate/s",
    "p50 ms",
    "p99 ms",
    "p99.9 ms",
    "max ms",
    "CPU us",
    "front",
    "writer",
    "index",
    "guests",
    "other",
    "written B",
];

/// The lines of a report.
#[derive(Default)]
pub(super) struct ReportLines {
    pub(super) lines: Vec<String>,
    pub(super) warnings: Vec<String>,
}

/// Writes the results as lines.
pub(super) fn report(results: &BenchResults) -> ReportLines {
    let mut report = ReportLines::default();
    report.lines.push(terms(results));
    report.lines.push(server(results));
    if let Some(fill) = &results.fill {
        report.lines.push(format!(
            "stored before: {} transfers in {:.1} s, {:.0}/s",
            fill.transfers, fill.seconds, fill.rate
        ));
    }
    report.lines.push(String::new());
    let mut rows: Vec<Vec<String>> = vec![COLUMNS.map(Into::into).into()];
    for point in &results.points {
        rows.extend(point_rows(point));
    }
    report.lines.extend(aligned(&rows));
    report.lines.push(String::new());
    for point in &results.points {
        if !point.work.refused.is_empty() {
            let refused = point
                .work
                .refused
                .iter()
                .map(|(code, times)| format!("{code} {times}"));
            let refused: Vec<String> = refused.collect();
            report.lines.push(format!(
                "{} connections, rejected: {}",
                point.connections,
                refused.join(", ")
            ));
        }
    }
    if let Some(kept) = &results.kept {
        report.lines.push(format!(
            "kept on disk: {:.0} B an operation ({} B by {} operations, warm-up included, after an orderly stop)",
            kept.bytes_per_operation, kept.bytes, kept.operations
        ));
    }
    let check = &results.check;
    let sign = if check.ok {
        "as answered"
    } else {
        "NOT AS ANSWERED"
    };
    report.lines.push(format!(
        "records: {} answered, {} open or rejected, {} recorded: {sign}",
        check.answered, check.open, check.recorded
    ));
    report.warnings = warnings(results);
    report
}

fn terms(results: &BenchResults) -> String {
    let load = &results.load;
    let batch = match load.work {
        Work::Batches => format!(" of {}", load.batch),
        Work::Transfers | Work::Calls | Work::Mixed => String::new(),
    };
    format!(
        "{}{batch}: {} accounts in {} economies, {} members, {} keys, {} s after {} s of warm-up, seed {}; {} cores",
        text(&load.work),
        load.accounts,
        load.economies,
        text(&load.distribution),
        text(&load.keys),
        load.seconds,
        load.warm_up,
        load.seed,
        results.machine.cores
    )
}

fn server(results: &BenchResults) -> String {
    let server = &results.server;
    let kind = if server.own { "own server" } else { "server" };
    let durability = server.durability.as_ref().map_or_else(
        || "; its disk is not known".to_owned(),
        |it| {
            let name = it
                .file_system
                .as_deref()
                .unwrap_or("an unknown file system");
            format!(
                "; {}; {name}, where a sync takes {:.2} ms",
                it.commit, it.sync_ms
            )
        },
    );
    format!(
        "{kind} {} at {}{durability}",
        server.version, server.address
    )
}

/// Returns a value as text: its name in JSON.
fn text(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

fn point_rows(point: &PointResult) -> Vec<Vec<String>> {
    let connections = point.connections.to_string();
    let name = point
        .rate_wanted
        .map_or("closed".into(), |rate| format!("{rate}/s"));
    let mut rows = vec![load_row(&connections, &name, &point.work)];
    if let Some(echo) = &point.echo {
        rows.push(load_row("", "echo", echo));
    }
    if let Some(ratio) = &point.of_echo {
        let mut row = vec![String::new(); COLUMNS.len()];
        let cells = [
            (1, "of echo".into()),
            (2, format!("{:.2}", ratio.rate)),
            (4, format!("{:.2}", ratio.p99)),
            (
                7,
                ratio
                    .processor
                    .map_or(String::new(), |it| format!("{it:.2}")),
            ),
        ];
        for (place, cell) in cells {
            if let Some(slot) = row.get_mut(place) {
                *slot = cell;
            }
        }
        rows.push(row);
    }
    rows
}

fn load_row(connections: &str, name: &str, load: &LoadResult) -> Vec<String> {
    let latency = &load.latency_ms;
    let mut row = vec![
        connections.to_owned(),
        name.to_owned(),
        format!("{:.0}", load.rate),
    ];
    row.extend([latency.p50, latency.p99, latency.p99_9, latency.max].map(|it| format!("{it:.2}")));
    let processor = load.processor_us.as_ref();
    row.push(processor.map_or(String::new(), |it| format!("{:.1}", it.all)));
    for part in ServerPart::ALL {
        let time = processor.and_then(|it| it.parts.get(part.name()));
        row.push(time.map_or(String::new(), |it| format!("{it:.1}")));
    }
    row.push(
        load.written_bytes
            .map_or(String::new(), |it| format!("{it:.0}")),
    );
    row
}

/// Aligns the cells of rows to the right.
fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(String::len).max().unwrap_or(0)
    };
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate();
        let cells: Vec<String> = cells
            .map(|(column, cell)| format!("{cell:>0$}", width(column)))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

fn warnings(results: &BenchResults) -> Vec<String> {
    let mut warnings = Vec::new();
    if results.debug_build {
        warnings
            .push("this is a debug build; its figures say nothing about a release build".into());
    }
    let durability = results.server.durability.as_ref();
    warnings.extend(durability.and_then(Durability::warning));
    if results.points.iter().any(|point| point.echo.is_none()) {
        warnings.push(
            "the server has no echo route, so there is nothing to compare with; start it with --bench-echo".into(),
        );
    }
    for point in &results.points {
        let connections = point.connections;
        if point
            .work
            .driver_cores
            .is_some_and(|share| share > DRIVER_BUSY)
        {
            warnings.push(format!(
                "{connections} connections: the driver used its whole core, so the server may be faster than this"
            ));
        }
        if point.work.unsent > 0 {
            warnings.push(format!(
                "{connections} connections: {} requests were due and never sent; this rate is not sustained",
                point.work.unsent
            ));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_to_the_right() {
        let row = |cells: [&str; 3]| cells.map(Into::into).to_vec();
        let rows = [
            row(["a", "bbb", "c"]),
            row(["12", "", "345"]),
            row(["", "1", ""]),
        ];
        assert_eq!(aligned(&rows), [" a  bbb    c", "12       345", "      1"]);
    }
}

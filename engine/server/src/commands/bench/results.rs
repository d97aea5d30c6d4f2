//! The results of a run, as `--json` prints them. `docs/performance.md` describes each member.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::durability::Durability;
use super::load_counts::LoadCounts;
use super::meter::{ServerPart, UsedBetween};
use super::options::Work;
use super::sampler::Distribution;
use super::template::KeyOrder;

/// The version of the document. It is raised if a member changes its meaning or is removed.
pub(super) const DOCUMENT_VERSION: u32 = 1;

/// The shares of requests whose latency the document has.
const QUANTILES: [f64; 14] = [
    0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99999, 1.0,
];

/// The results of a run.
#[derive(Debug, Serialize)]
pub(super) struct BenchResults {
    pub(super) bursar_bench: u32,
    /// The version of this program.
    pub(super) version: &'static str,
    pub(super) debug_build: bool,
    pub(super) machine: BenchMachine,
    pub(super) server: MeasuredServer,
    pub(super) load: LoadTerms,
    /// The transfers that were stored before; none without `--fill`.
    pub(super) fill: Option<FillResult>,
    pub(super) points: Vec<PointResult>,
    /// The growth of the files by the whole load; none for a server that this program did not start.
    pub(super) kept: Option<KeptBytes>,
    pub(super) check: RecordCheck,
}

/// The machine of the driver.
#[derive(Debug, Serialize)]
pub(super) struct BenchMachine {
    pub(super) cores: usize,
    pub(super) system: &'static str,
    pub(super) architecture: &'static str,
}

/// The server that was measured.
#[derive(Debug, Serialize)]
pub(super) struct MeasuredServer {
    /// True if this program started it.
    pub(super) own: bool,
    pub(super) address: String,
    pub(super) version: String,
    pub(super) durability: Option<Durability>,
}

/// The terms of the load.
#[derive(Debug, Serialize)]
pub(super) struct LoadTerms {
    pub(super) work: Work,
    pub(super) accounts: u64,
    pub(super) economies: u64,
    pub(super) distribution: Distribution,
    pub(super) keys: KeyOrder,
    pub(super) batch: u64,
    pub(super) seconds: u64,
    pub(super) warm_up: u64,
    pub(super) seed: u64,
}

/// The transfers that were stored before the measurement.
#[derive(Debug, Serialize)]
pub(super) struct FillResult {
    pub(super) transfers: u64,
    pub(super) seconds: f64,
    pub(super) rate: f64,
}

/// A point: a number of connections, and a rate in an open loop.
#[derive(Debug, Serialize)]
pub(super) struct PointResult {
    pub(super) connections: usize,
    pub(super) rate_wanted: Option<u64>,
    pub(super) work: LoadResult,
    /// The echo route under the same load; none if the server has none.
    pub(super) echo: Option<LoadResult>,
    pub(super) of_echo: Option<EchoRatio>,
}

/// The work as a multiple of the echo.
#[derive(Debug, Serialize)]
pub(super) struct EchoRatio {
    pub(super) rate: f64,
    pub(super) processor: Option<f64>,
    pub(super) p99: f64,
}

/// The figures of one load.
#[derive(Debug, Serialize)]
pub(super) struct LoadResult {
    pub(super) requests: u64,
    pub(super) operations: u64,
    pub(super) records: u64,
    pub(super) refused: BTreeMap<String, u64>,
    pub(super) unsent: u64,
    pub(super) seconds: f64,
    /// Operations a second.
    pub(super) rate: f64,
    /// Latencies of requests.
    pub(super) latency_ms: LatencyResult,
    /// Processor time of the server for each operation; none if it is not known.
    pub(super) processor_us: Option<ProcessorResult>,
    /// Bytes that the server sent to the disk for each operation.
    pub(super) written_bytes: Option<f64>,
    /// The share of a core that the driver used.
    pub(super) driver_cores: Option<f64>,
}

/// Latencies in milliseconds.
#[derive(Debug, Serialize)]
pub(super) struct LatencyResult {
    pub(super) p50: f64,
    pub(super) p99: f64,
    #[serde(rename = "p99.9")]
    pub(super) p99_9: f64,
    pub(super) max: f64,
    /// Pairs of a share of requests and the latency that they do not exceed.
    pub(super) distribution: Vec<(f64, f64)>,
}

/// Processor time in microseconds.
#[derive(Debug, Serialize)]
pub(super) struct ProcessorResult {
    pub(super) all: f64,
    pub(super) parts: BTreeMap<&'static str, f64>,
}

/// The growth of the files from an orderly stop before the load to one after it.
#[derive(Debug, Serialize)]
pub(super) struct KeptBytes {
    pub(super) operations: u64,
    pub(super) bytes: i64,
    pub(super) bytes_per_operation: f64,
}

/// The comparison of the answers with the server's records.
#[derive(Debug, Serialize)]
pub(super) struct RecordCheck {
    /// Records that the answers promise.
    pub(super) answered: u64,
    /// Operations whose outcome the answers leave open, or that were rejected on record.
    pub(super) open: u64,
    /// Records that the economies have gained.
    pub(super) recorded: u64,
    pub(super) ok: bool,
}

impl RecordCheck {
    /// Compares the answers with the records. A rejection may be a record, and an operation without an answer may have
    /// been committed.
    pub(super) fn of(answered: u64, open: u64, recorded: u64) -> Self {
        let most = answered.saturating_add(open);
        Self {
            answered,
            open,
            recorded,
            ok: (answered..=most).contains(&recorded),
        }
    }
}

impl LoadResult {
    /// Computes the figures of counts.
    pub(super) fn of(
        counts: &LoadCounts,
        used: Option<&UsedBetween>,
        driver: Option<Duration>,
    ) -> Self {
        let seconds = counts.elapsed.as_secs_f64();
        Self {
            requests: counts.requests,
            operations: counts.operations,
            records: counts.records,
            refused: counts.refused.clone(),
            unsent: counts.unsent,
            seconds,
            rate: ratio(float(counts.operations), seconds),
            latency_ms: LatencyResult::of(counts),
            processor_us: used.map(|used| ProcessorResult::of(used, counts.operations)),
            written_bytes: used.map(|used| ratio(float(used.written), float(counts.operations))),
            driver_cores: driver.map(|time| ratio(time.as_secs_f64(), seconds)),
        }
    }

    /// Returns this load as a multiple of an echo. A batch is compared for each of its operations. Only the front of
    /// the echo counts, since the other parts still finish earlier work.
    pub(super) fn of_echo(&self, echo: &Self) -> EchoRatio {
        let front = |echo: &ProcessorResult| echo.parts.get(ServerPart::Front.name()).copied();
        let front = echo.processor_us.as_ref().and_then(front);
        let processor = self.processor_us.as_ref().zip(front);
        EchoRatio {
            rate: ratio(self.rate, echo.rate),
            processor: processor.map(|(work, front)| ratio(work.all, front)),
            p99: ratio(self.latency_ms.p99, echo.latency_ms.p99),
        }
    }
}

impl LatencyResult {
    fn of(counts: &LoadCounts) -> Self {
        let at = |share: f64| float(counts.latencies.value_at_quantile(share)) / 1e6;
        Self {
            p50: at(0.5),
            p99: at(0.99),
            p99_9: at(0.999),
            max: at(1.0),
            distribution: QUANTILES.iter().map(|share| (*share, at(*share))).collect(),
        }
    }
}

impl ProcessorResult {
    fn of(used: &UsedBetween, operations: u64) -> Self {
        let each = |time: Duration| ratio(time.as_secs_f64() * 1e6, float(operations));
        let part = |part: ServerPart| {
            (
                part.name(),
                each(used.processor.get(&part).copied().unwrap_or_default()),
            )
        };
        Self {
            all: each(used.all()),
            parts: ServerPart::ALL.map(part).into(),
        }
    }
}

impl FillResult {
    /// Computes the figures of the counts of a fill.
    pub(super) fn of(counts: &LoadCounts) -> Self {
        let seconds = counts.elapsed.as_secs_f64();
        Self {
            transfers: counts.operations,
            seconds,
            rate: ratio(float(counts.operations), seconds),
        }
    }
}

impl KeptBytes {
    /// Computes the growth between two sizes.
    pub(super) fn of(before: u64, after: u64, operations: u64) -> Self {
        let bytes = i64::try_from(after)
            .unwrap_or(i64::MAX)
            .saturating_sub_unsigned(before);
        #[expect(
            clippy::cast_precision_loss,
            reason = "files are smaller than 2^53 bytes"
        )]
        let bytes_per_operation = ratio(bytes as f64, float(operations));
        Self {
            operations,
            bytes,
            bytes_per_operation,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with few digits")]
fn float(number: u64) -> f64 {
    number as f64
}

/// Divides two numbers. Returns 0 instead of a division by 0, since JSON has no number for its result.
fn ratio(number: f64, by: f64) -> f64 {
    if by > 0.0 { number / by } else { 0.0 }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::super::http_answer::RequestOutcome;
    use super::*;

    #[test]
    fn figures_are_for_each_operation_and_latencies_for_each_request() {
        let mut counts = LoadCounts::new();
        counts.count(Duration::from_millis(2), RequestOutcome::success(100, 100));
        counts.count(Duration::from_millis(4), RequestOutcome::success(100, 100));
        counts.elapsed = Duration::from_secs(2);
        let used = UsedBetween {
            processor: BTreeMap::from([(ServerPart::Writer, Duration::from_millis(1))]),
            written: 400,
        };
        let result = LoadResult::of(&counts, Some(&used), Some(Duration::from_secs(1)));
        assert!((result.rate - 100.0).abs() < 1e-9, "{}", result.rate);
        assert!(
            (result.latency_ms.max - 4.0).abs() < 0.01,
            "{:?}",
            result.latency_ms
        );
        let processor = result.processor_us.unwrap();
        assert!(
            (processor.all - 5.0).abs() < 1e-9 && (processor.parts["writer"] - 5.0).abs() < 1e-9
        );
        assert!((result.written_bytes.unwrap() - 2.0).abs() < 1e-9);
        assert!((result.driver_cores.unwrap() - 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_load_without_answers_has_figures_of_zero() {
        let result = LoadResult::of(&LoadCounts::new(), Some(&UsedBetween::default()), None);
        assert_eq!(
            serde_json::to_value(&result).unwrap()["processor_us"]["all"],
            0.0
        );
        assert_eq!(result.of_echo(&result).rate.to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn records_beyond_the_answers_or_missing_ones_fail_the_check() {
        for (answered, open, recorded, ok) in [
            (10, 0, 10, true),
            (10, 0, 9, false),
            (10, 0, 11, false),
            (10, 2, 12, true),
            (10, 2, 13, false),
        ] {
            assert_eq!(RecordCheck::of(answered, open, recorded).ok, ok);
        }
    }

    #[test]
    fn files_that_shrink_have_kept_less_than_nothing() {
        assert_eq!(KeptBytes::of(100, 40, 6).bytes, -60);
        assert!((KeptBytes::of(100, 700, 6).bytes_per_operation - 100.0).abs() < 1e-9);
    }
}

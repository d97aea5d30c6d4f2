//! Rate limits of log lines by kind: token buckets, with the time as a value.

use std::collections::HashMap;
use std::time::Duration;

/// Bytes that lines of one kind may have at once. Each line counts [`LINE_OVERHEAD_BYTES`] more than its fields.
pub(crate) const BURST_BYTES: u64 = 64 * 1024;
/// Bytes per second that lines of one kind may have in the long run.
pub(crate) const BYTES_PER_S: u64 = 4 * 1024;
/// Bytes that all lines about economies, plugins and webhooks may have at once.
pub(crate) const ALL_BURST_BYTES: u64 = 1024 * 1024;
/// Bytes per second that all lines about economies, plugins and webhooks may have in the long run.
pub(crate) const ALL_BYTES_PER_S: u64 = 256 * 1024;
/// Bytes that each line counts in addition to its fields.
pub(crate) const LINE_OVERHEAD_BYTES: u64 = 128;
/// The most kinds with a ration of their own. All other kinds share one.
pub(crate) const KINDS_MAX: usize = 4_096;
/// The most kinds that one report names. The dropped lines of all other kinds are summed.
pub(crate) const DROPS_NAMED_MAX: usize = 32;

/// A kind of log lines: those of one line of code about one subject.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct LineKind {
    /// The source file and line that log it.
    pub(crate) callsite: &'static str,
    /// The economy and the plugin or webhook of the lines; empty for lines about the server.
    pub(crate) subject: String,
}

/// The number of dropped lines of one kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct DropCount {
    /// The kind; none for the sum of all kinds that are not named.
    pub(crate) kind: Option<LineKind>,
    /// The number of lines.
    pub(crate) lines: u64,
}

/// The rations of all kinds of lines.
#[derive(Debug)]
pub(crate) struct Ration {
    kinds: HashMap<LineKind, Bucket>,
    /// The bucket of all kinds beyond [`KINDS_MAX`].
    others: Bucket,
    /// The bucket of all lines with a subject together.
    all: Bucket,
}

impl Ration {
    pub(crate) fn new() -> Self {
        let others = Bucket::full(BURST_BYTES, BYTES_PER_S);
        let all = Bucket::full(ALL_BURST_BYTES, ALL_BYTES_PER_S);
        Self {
            kinds: HashMap::new(),
            others,
            all,
        }
    }

    /// Returns true if a line with `bytes` of fields may be written now. Counts the line as dropped otherwise.
    pub(crate) fn take(&mut self, kind: LineKind, bytes: u64, now: Duration) -> bool {
        let cost = bytes.saturating_add(LINE_OVERHEAD_BYTES);
        let has_subject = !kind.subject.is_empty();
        if self.kinds.len() >= KINDS_MAX && !self.kinds.contains_key(&kind) {
            self.kinds.retain(|_, bucket| !bucket.is_idle(now));
        }
        let bucket = if self.kinds.len() < KINDS_MAX || self.kinds.contains_key(&kind) {
            let new = || Bucket::full(BURST_BYTES, BYTES_PER_S);
            self.kinds.entry(kind).or_insert_with(new)
        } else {
            &mut self.others
        };
        let fits = bucket.has(cost, now) && (!has_subject || self.all.has(cost, now));
        if !fits {
            bucket.dropped = bucket.dropped.saturating_add(1);
            return false;
        }
        bucket.spend(cost);
        if has_subject {
            self.all.spend(cost);
        }
        true
    }

    /// Returns and resets the counts of dropped lines, the largest first.
    pub(crate) fn take_dropped(&mut self) -> Vec<DropCount> {
        let buckets = self
            .kinds
            .iter_mut()
            .filter(|(_, bucket)| bucket.dropped > 0);
        let mut dropped: Vec<DropCount> = buckets
            .map(|(kind, bucket)| DropCount {
                kind: Some(kind.clone()),
                lines: std::mem::take(&mut bucket.dropped),
            })
            .collect();
        dropped.sort_by(|one, other| {
            other
                .lines
                .cmp(&one.lines)
                .then_with(|| one.kind.cmp(&other.kind))
        });
        let beyond = dropped.split_off(dropped.len().min(DROPS_NAMED_MAX));
        let beyond = beyond.iter().map(|dropped| dropped.lines);
        let lines = std::mem::take(&mut self.others.dropped);
        let lines = beyond.fold(lines, u64::saturating_add);
        if lines > 0 {
            dropped.push(DropCount { kind: None, lines });
        }
        dropped
    }
}

/// A token bucket of bytes, refilled evenly as time passes.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    burst: u64,
    per_s: u64,
    left: u64,
    /// The time of the last refill.
    refilled_at: Duration,
    dropped: u64,
}

impl Bucket {
    fn full(burst: u64, per_s: u64) -> Self {
        Self {
            burst,
            per_s,
            left: burst,
            refilled_at: Duration::ZERO,
            dropped: 0,
        }
    }

    /// Refills the bucket and returns true if it has enough bytes.
    fn has(&mut self, cost: u64, now: Duration) -> bool {
        let passed = now.saturating_sub(self.refilled_at).as_micros();
        let more = passed.saturating_mul(u128::from(self.per_s)) / 1_000_000;
        // The time of a fraction of a byte counts for the next refill.
        if more > 0 {
            let more = u64::try_from(more).unwrap_or(u64::MAX);
            self.left = self.left.saturating_add(more).min(self.burst);
            self.refilled_at = now;
        }
        // A line that is longer than the burst may be written when the bucket is full; it would never fit otherwise.
        self.left >= cost.min(self.burst)
    }

    fn spend(&mut self, cost: u64) {
        self.left = self.left.saturating_sub(cost);
    }

    /// Returns true if the bucket equals a new one: it is full and has no drops to report.
    fn is_idle(&mut self, now: Duration) -> bool {
        self.has(self.burst, now) && self.dropped == 0
    }
}

//! A ration of log lines by kind: token buckets over values of time.

use std::collections::HashMap;
use std::time::Duration;

/// Bytes of log that a kind of line may write at once, each line with [`LINE_OVERHEAD_BYTES`].
pub(crate) const BURST_BYTES: u64 = 64 * 1024;
/// Bytes of log that a kind of line may write in a second, in the long run.
pub(crate) const BYTES_PER_S: u64 = 4 * 1024;
/// Bytes of log that all kinds of lines about plugins and webhooks may write at once.
pub(crate) const ALL_BURST_BYTES: u64 = 1024 * 1024;
/// Bytes of log that all kinds of lines about plugins and webhooks may write in a second.
pub(crate) const ALL_BYTES_PER_S: u64 = 256 * 1024;
/// Bytes that a line counts for beside its fields.
pub(crate) const LINE_OVERHEAD_BYTES: u64 = 128;
/// Kinds of lines that are told apart at the same time; further ones share one ration.
pub(crate) const KINDS_MAX: usize = 4_096;
/// Kinds of which it is told at once by name what was dropped; of all others, the sum.
pub(crate) const DROPS_NAMED_MAX: usize = 32;

/// Lines of one place in the code, about one thing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Kind {
    /// The place.
    pub(crate) place: &'static str,
    /// The economy and the plugin or webhook that they are about; empty where about none.
    pub(crate) about: String,
}

/// Lines that were dropped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Dropped {
    /// Of which kind; of none by name where there were too many kinds.
    pub(crate) kind: Option<Kind>,
    /// The number.
    pub(crate) lines: u64,
}

/// The rations of all kinds of lines.
#[derive(Debug)]
pub(crate) struct Ration {
    kinds: HashMap<Kind, Bucket>,
    /// For kinds that find no room.
    others: Bucket,
    /// For all that others can bring about.
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

    /// Returns true if a line of so many bytes may be written now. One that may not is counted.
    pub(crate) fn take(&mut self, kind: Kind, bytes: u64, now: Duration) -> bool {
        let cost = bytes.saturating_add(LINE_OVERHEAD_BYTES);
        let is_about = !kind.about.is_empty();
        if self.kinds.len() >= KINDS_MAX && !self.kinds.contains_key(&kind) {
            self.kinds.retain(|_, bucket| !bucket.is_idle(now));
        }
        let bucket = if self.kinds.len() < KINDS_MAX || self.kinds.contains_key(&kind) {
            let fresh = || Bucket::full(BURST_BYTES, BYTES_PER_S);
            self.kinds.entry(kind).or_insert_with(fresh)
        } else {
            &mut self.others
        };
        let taken = bucket.has(cost, now) && (!is_about || self.all.has(cost, now));
        if !taken {
            bucket.dropped = bucket.dropped.saturating_add(1);
            return false;
        }
        bucket.spend(cost);
        if is_about {
            self.all.spend(cost);
        }
        true
    }

    /// Takes the counts of what was dropped since the last time.
    pub(crate) fn dropped(&mut self) -> Vec<Dropped> {
        let with = self
            .kinds
            .iter_mut()
            .filter(|(_, bucket)| bucket.dropped > 0);
        let mut dropped: Vec<Dropped> = with
            .map(|(kind, bucket)| Dropped {
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
            dropped.push(Dropped { kind: None, lines });
        }
        dropped
    }
}

/// Bytes that may be written, filled up evenly as time passes.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    burst: u64,
    per_s: u64,
    left: u64,
    /// Up to when it is filled.
    at: Duration,
    dropped: u64,
}

impl Bucket {
    fn full(burst: u64, per_s: u64) -> Self {
        Self {
            burst,
            per_s,
            left: burst,
            at: Duration::ZERO,
            dropped: 0,
        }
    }

    fn has(&mut self, cost: u64, now: Duration) -> bool {
        let passed = now.saturating_sub(self.at).as_micros();
        let more = passed.saturating_mul(u128::from(self.per_s)) / 1_000_000;
        // What is less than a byte stays to be filled.
        if more > 0 {
            let more = u64::try_from(more).unwrap_or(u64::MAX);
            self.left = self.left.saturating_add(more).min(self.burst);
            self.at = now;
        }
        // A line longer than the whole ration may be written when it is full.
        self.left >= cost.min(self.burst)
    }

    fn spend(&mut self, cost: u64) {
        self.left = self.left.saturating_sub(cost);
    }

    /// Returns true if it is full and has nothing to tell, so that a new one is the same.
    fn is_idle(&mut self, now: Duration) -> bool {
        self.has(self.burst, now) && self.dropped == 0
    }
}

//! The layer that applies the ration to each line before it is written.

use std::fmt::{self, Debug, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::ration::{DropCount, LineKind, Ration};
use crate::clock::Ticks;

/// Fields that name the subject of a line. Lines about different subjects have separate rations, so that one plugin
/// or webhook cannot use up the ration of another.
const SUBJECT_FIELDS: [&str; 3] = ["economy", "plugin", "webhook"];

/// The target of the reports of dropped lines, which are not rationed themselves.
const REPORT_TARGET: &str = "bursar_server::logs::dropped";

/// Rations log lines and reports dropped ones. Clones share the ration.
#[derive(Clone)]
pub(crate) struct LogRation {
    ration: Arc<Mutex<Ration>>,
    ticks: Ticks,
}

impl LogRation {
    pub(super) fn new(ticks: Ticks) -> Self {
        Self {
            ration: Arc::new(Mutex::new(Ration::new())),
            ticks,
        }
    }

    /// Logs the lines that were dropped since the last report: one line for each kind, and one for all other kinds.
    pub(crate) fn report_dropped(&self) {
        // The lock must be released before a line is logged, because each line passes through `event_enabled`.
        let dropped = self.open().take_dropped();
        for DropCount { kind, lines } in dropped {
            let (about, place) = kind.map_or_else(
                || ("others".into(), ""),
                |kind| (kind.subject, kind.callsite),
            );
            tracing::warn!(
                target: REPORT_TARGET, about, place, lines,
                "{lines} lines of this kind were dropped, because they exceeded the log's rate limit"
            );
        }
    }

    fn open(&self) -> MutexGuard<'_, Ration> {
        // A panic cannot leave the ration half changed, so a poisoned lock is still valid.
        self.ration.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for LogRation {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if metadata.target() == REPORT_TARGET {
            return true;
        }
        let mut summary = FieldSummary::default();
        event.record(&mut summary);
        let kind = LineKind {
            callsite: metadata.name(),
            subject: summary.subject,
        };
        let bytes = u64::try_from(summary.bytes).unwrap_or(u64::MAX);
        self.open().take(kind, bytes, (self.ticks)())
    }
}

/// The subject of a line, and the length of its fields.
#[derive(Default)]
struct FieldSummary {
    subject: String,
    bytes: usize,
}

impl Visit for FieldSummary {
    fn record_str(&mut self, field: &Field, value: &str) {
        // Without the quotes of `Debug`, so that a name is the same with and without `%`.
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.bytes = self.bytes.saturating_add(field.name().len());
        let before = self.subject.len();
        let is_subject = SUBJECT_FIELDS.contains(&field.name());
        if is_subject && !self.subject.is_empty() {
            self.subject.push('/');
        }
        let mut counter = ByteCounter {
            bytes: &mut self.bytes,
            subject: is_subject.then_some(&mut self.subject),
        };
        // The counter never fails, but the `Debug` of a value may.
        if write!(counter, "{value:?}").is_err() {
            self.subject.truncate(before);
        }
    }
}

/// The most bytes of a subject. No valid name is longer.
const NAME_BYTES_MAX: usize = 256;

/// Counts the bytes of a value, and appends a value that names a subject to it.
struct ByteCounter<'a> {
    bytes: &'a mut usize,
    subject: Option<&'a mut String>,
}

impl Write for ByteCounter<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        *self.bytes = self.bytes.saturating_add(text.len());
        if let Some(subject) = &mut self.subject
            && subject.len().saturating_add(text.len()) <= NAME_BYTES_MAX
        {
            subject.push_str(text);
        }
        Ok(())
    }
}

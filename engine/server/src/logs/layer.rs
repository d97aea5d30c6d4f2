//! The ration as a layer of the log: it looks at each line before it is written.

use std::fmt::{self, Debug, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::ration::{Dropped, Kind, Ration};
use crate::clock::Ticks;

/// Fields that say what a line is about. Others decide how often such lines are written, and one must not
/// use up the ration of another.
const ABOUT: [&str; 3] = ["economy", "plugin", "webhook"];

/// The place in the code whose lines are not rationed: those that tell what was.
const TELLING: &str = "bursar_server::logs::dropped";

/// Rations log lines, and tells what was dropped. Cloning shares it.
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

    /// Writes what was dropped since this was last done: a line for each kind, and one for the rest.
    pub(crate) fn tell_dropped(&self) {
        // Not while the ration is locked: these lines pass through it.
        let dropped = self.open().dropped();
        for Dropped { kind, lines } in dropped {
            let (about, place) =
                kind.map_or_else(|| ("others".into(), ""), |kind| (kind.about, kind.place));
            tracing::warn!(
                target: TELLING, about, place, lines,
                "{lines} lines of this kind were dropped: they came faster than a log can take"
            );
        }
    }

    fn open(&self) -> MutexGuard<'_, Ration> {
        // Each ration is whole at any time.
        self.ration.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for LogRation {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if metadata.target() == TELLING {
            return true;
        }
        let mut seen = Seen::default();
        event.record(&mut seen);
        let kind = Kind {
            place: metadata.name(),
            about: seen.about,
        };
        let bytes = u64::try_from(seen.bytes).unwrap_or(u64::MAX);
        self.open().take(kind, bytes, (self.ticks)())
    }
}

/// The subject of a line, and the length of its fields.
#[derive(Default)]
struct Seen {
    about: String,
    bytes: usize,
}

impl Visit for Seen {
    fn record_str(&mut self, field: &Field, value: &str) {
        // As it is, without the quotes of `Debug`: a name is the same however it is logged.
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.bytes = self.bytes.saturating_add(field.name().len());
        let before = self.about.len();
        let is_about = ABOUT.contains(&field.name());
        if is_about && !self.about.is_empty() {
            self.about.push('/');
        }
        let mut counting = Counting {
            bytes: &mut self.bytes,
            kept: is_about.then_some(&mut self.about),
        };
        // Counting takes what it is given.
        if write!(counting, "{value:?}").is_err() {
            self.about.truncate(before);
        }
    }
}

/// Characters of a name that are kept; no name is longer.
const NAME_BYTES_MAX: usize = 256;

/// Counts what is written, and keeps it where it is a name.
struct Counting<'a> {
    bytes: &'a mut usize,
    kept: Option<&'a mut String>,
}

impl Write for Counting<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        *self.bytes = self.bytes.saturating_add(text.len());
        if let Some(kept) = &mut self.kept
            && kept.len().saturating_add(text.len()) <= NAME_BYTES_MAX
        {
            kept.push_str(text);
        }
        Ok(())
    }
}

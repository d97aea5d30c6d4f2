//! How webhooks are served: when an attempt is repeated, how long one may take, where it may lead.

use std::sync::Arc;
use std::time::Duration;

use crate::random;

/// The longest time of one attempt.
const ATTEMPT_PATIENCE: Duration = Duration::from_secs(10);

/// The shortest time between two notes of a webhook's progress.
const NOTE_PAUSE: Duration = Duration::from_secs(1);

/// The longest time until a webhook is found whose request broke off.
const SWEEP: Duration = Duration::from_secs(10);

/// The number of attempts until an event is given up.
const RETRIES_MAX: usize = 10;

/// A number below another, by chance.
pub type Dice = Arc<dyn Fn(u64) -> u64 + Send + Sync>;

/// How webhooks are served.
#[derive(Clone)]
pub struct WebhookSetup {
    /// Whether anything is sent.
    pub sends: bool,
    /// How long is waited after each failed attempt, give or take a fifth; after one more the event
    /// is given up.
    pub schedule: Arc<[Duration]>,
    /// How long an attempt may take, from the name of the host to the head of the answer.
    pub patience: Duration,
    /// How long at least there is between two notes of how far a webhook has come.
    pub pace: Duration,
    /// How long it takes at most until a webhook is found whose request broke off.
    pub sweep: Duration,
    /// Whether private and reserved addresses are sent to.
    pub allow_private: bool,
    /// Authorities that are trusted besides those that browsers trust, as DER.
    pub trusted: Vec<Vec<u8>>,
    /// Where the chance in waiting comes from.
    pub dice: Dice,
}

impl WebhookSetup {
    /// The schedule of a server: eleven attempts within a day.
    pub fn standard() -> Self {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        let waits: [u64; RETRIES_MAX] = [
            5,
            30,
            2 * MINUTE,
            10 * MINUTE,
            30 * MINUTE,
            HOUR,
            2 * HOUR,
            4 * HOUR,
            8 * HOUR,
            8 * HOUR,
        ];
        Self {
            sends: true,
            schedule: waits.map(Duration::from_secs).into(),
            patience: ATTEMPT_PATIENCE,
            pace: NOTE_PAUSE,
            sweep: SWEEP,
            allow_private: false,
            trusted: Vec::new(),
            dice: Arc::new(random::below),
        }
    }

    /// For whoever serves a file for a moment: nothing is sent, and a server does so later.
    pub fn silent() -> Self {
        Self {
            sends: false,
            ..Self::standard()
        }
    }

    /// How long is waited after so many failed attempts of an event, a fifth more or less, so that
    /// those who failed together do not come again together. None if that was the last attempt.
    pub(super) fn wait_after(&self, failures: u32) -> Option<Duration> {
        let index = usize::try_from(failures.checked_sub(1)?).ok()?;
        let wait = self.schedule.get(index)?;
        let fifth = *wait / 5;
        let range = u64::try_from(fifth.as_millis() * 2).unwrap_or(u64::MAX);
        let more = Duration::from_millis((self.dice)(range.saturating_add(1)));
        Some(wait.saturating_sub(fifth).saturating_add(more))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(dice: Dice) -> Vec<u64> {
        let setup = WebhookSetup {
            dice,
            ..WebhookSetup::standard()
        };
        let waits = (1..).map_while(|failures| setup.wait_after(failures));
        waits.map(|wait| wait.as_secs()).collect()
    }

    #[test]
    fn waits_are_spread_by_a_fifth_either_way_and_come_to_an_end() {
        let least = waits(Arc::new(|_| 0));
        let most = waits(Arc::new(|range| range - 1));
        assert_eq!(least[..5], [4, 24, 96, 480, 1_440]);
        assert_eq!(most[..5], [6, 36, 144, 720, 2_160]);
        assert_eq!((least.len(), most.len()), (10, 10));
    }
}

//! The configuration of deliveries: retries, time limits and allowed addresses.

use std::sync::Arc;
use std::time::Duration;

use crate::random;

/// The time limit of one attempt.
const ATTEMPT_PATIENCE: Duration = Duration::from_secs(10);

/// The shortest interval between two notes of a webhook's progress.
const NOTE_PAUSE: Duration = Duration::from_secs(1);

/// The longest time until the supervisor finds a webhook whose creating request was aborted.
const SWEEP: Duration = Duration::from_secs(10);

/// The number of retries after which an event is given up.
const RETRIES_MAX: usize = 10;

/// A source of random numbers below its argument.
pub type Dice = Arc<dyn Fn(u64) -> u64 + Send + Sync>;

/// The configuration of deliveries.
#[derive(Clone)]
pub struct WebhookSetup {
    /// True if events are sent.
    pub sends: bool,
    /// The waits after failed attempts, each varied by up to a fifth. After one more failed attempt
    /// the event is given up.
    pub schedule: Arc<[Duration]>,
    /// The time limit of an attempt, from the resolution of the host name to the head of the
    /// response.
    pub patience: Duration,
    /// The shortest interval between two notes of a webhook's progress.
    pub pace: Duration,
    /// The longest time until the supervisor finds a webhook whose creating request was aborted.
    pub sweep: Duration,
    /// True if events are sent to private and reserved addresses.
    pub allow_private: bool,
    /// Certificate authorities that are trusted in addition to those of browsers, as DER.
    pub trusted: Vec<Vec<u8>>,
    /// The source of the random variation of waits.
    pub dice: Dice,
}

impl WebhookSetup {
    /// Returns the configuration of a server: eleven attempts of an event within a day.
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

    /// Returns the configuration of a process that uses a file for a short time: it sends nothing,
    /// and leaves that to a later server.
    pub fn silent() -> Self {
        Self {
            sends: false,
            ..Self::standard()
        }
    }

    /// Returns the wait after a number of failed attempts, varied by up to a fifth, so that
    /// receivers that failed together are not all retried at once. Returns none after the last
    /// attempt.
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
    fn waits_vary_by_a_fifth_and_end() {
        let least = waits(Arc::new(|_| 0));
        let most = waits(Arc::new(|range| range - 1));
        assert_eq!(least[..5], [4, 24, 96, 480, 1_440]);
        assert_eq!(most[..5], [6, 36, 144, 720, 2_160]);
        assert_eq!((least.len(), most.len()), (10, 10));
    }
}

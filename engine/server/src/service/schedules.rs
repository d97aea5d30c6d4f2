//! The scheduler: it runs due schedules of plugins.
//!
//! The books hold the due times, and a run commits only if its due time is still in them. So each due time runs once,
//! despite crashes and steps of the clock. This file only looks for due schedules, and pauses those that fail.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bursar_ledger::{
    AccountId, Act, Books, CallRequest, EconomyId, EconomyStatus, PluginName, Schedule, Timestamp,
};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Service;
use super::interval::Interval;
use crate::random;
use crate::service::error::ServiceError;

/// The pause after the first failure of a schedule. It doubles with each further failure.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest pause after a failure of a schedule.
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// The name of a schedule: its economy, its plugin and its own name.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct ScheduleKey {
    economy: EconomyId,
    plugin: PluginName,
    schedule: String,
}

impl ScheduleKey {
    /// Returns the path of a schedule, for the records of its runs. The API has no such route.
    fn path(&self) -> String {
        let Self {
            economy,
            plugin,
            schedule,
        } = self;
        format!("/v1/economies/{economy}/plugins/{plugin}/schedules/{schedule}")
    }
}

/// The state of schedules that run or have failed.
#[derive(Default)]
struct SchedulerState {
    running: HashSet<ScheduleKey>,
    /// The end and the length of the pause of each schedule that has failed.
    paused: HashMap<ScheduleKey, (Instant, Duration)>,
}

impl Service {
    /// Runs due schedules until `stopping` is true. Runs that have not ended by then are repeated after the next start.
    pub async fn run_schedules(self, every: Option<Duration>, stopping: watch::Receiver<bool>) {
        let Some(every) = every else {
            return;
        };
        let state = Arc::new(Mutex::new(SchedulerState::default()));
        let mut interval = Interval::every(every, stopping);
        while interval.next().await {
            for key in self.due_schedules() {
                if !start(&state, &key) {
                    continue;
                }
                let service = self.clone();
                let state = Arc::clone(&state);
                tokio::spawn(async move {
                    let mut run = ScheduleRun {
                        state,
                        key,
                        succeeded: false,
                    };
                    let key = &run.key;
                    let result = service.run_due(key).await;
                    if let Err(error) = &result {
                        let ScheduleKey {
                            economy,
                            plugin,
                            schedule,
                        } = key;
                        tracing::warn!(
                            %economy, %plugin, schedule, %error,
                            "a due schedule failed; it runs again after a pause"
                        );
                    }
                    run.succeeded = result.is_ok();
                });
            }
        }
    }

    /// Finds the due schedules of all open economies.
    fn due_schedules(&self) -> Vec<ScheduleKey> {
        let state = self.state();
        let now = self.now();
        let open = state.economies().iter();
        let open = open.filter(|(_, books)| books.status() == EconomyStatus::Open);
        let mut due = Vec::new();
        for (economy, books) in open {
            let installed = books.plugins().iter();
            let installed = installed.map(|(plugin, found)| (plugin, &found.installation));
            for (plugin, installed) in installed.filter(|(_, installed)| installed.enabled) {
                let late = installed.schedules.iter();
                let late = late.filter(|(_, schedule)| schedule.next_due <= now);
                due.extend(late.map(|(schedule, _)| ScheduleKey {
                    economy: economy.clone(),
                    plugin: plugin.clone(),
                    schedule: schedule.clone(),
                }));
            }
        }
        due
    }

    /// Runs a schedule until it is no longer due.
    async fn run_due(&self, key: &ScheduleKey) -> Result<(), ServiceError> {
        loop {
            let now = self.now();
            let Some(schedule) = self
                .enabled_schedule(key)
                .filter(|found| found.next_due <= now)
            else {
                return Ok(());
            };
            if schedule.first_wanted(now) > schedule.next_due {
                self.skip(key).await?;
            } else {
                self.run_once(key, schedule.next_due).await?;
            }
            let next = self.enabled_schedule(key).map(|found| found.next_due);
            if next == Some(schedule.next_due) {
                return Err(ServiceError::NotRun);
            }
        }
    }

    /// Returns a schedule if its plugin is enabled.
    fn enabled_schedule(&self, key: &ScheduleKey) -> Option<Schedule> {
        let state = self.state();
        let books = state.books(&key.economy)?;
        let enabled = books.plugin(&key.plugin)?.installation.enabled;
        let schedule = books.schedule(&key.plugin, &key.schedule)?;
        enabled.then_some(*schedule)
    }

    /// Skips due times that the schedule does not catch up on.
    async fn skip(&self, key: &ScheduleKey) -> Result<(), ServiceError> {
        let act = Act::SkipDue {
            plugin: key.plugin.clone(),
            schedule: key.schedule.clone(),
        };
        let context = self.own_context(&key.economy, "SKIP", &key.path(), &Value::Null);
        self.act(context, act).await?;
        Ok(())
    }

    /// Runs one due time. The record has no idempotency key, because the books hold the next due time.
    async fn run_once(&self, key: &ScheduleKey, due: Timestamp) -> Result<(), ServiceError> {
        let _permit = self.admit(&key.economy, &key.plugin, 0)?;
        let until = self.parts.calls.start_deadline();
        let ScheduleKey {
            economy,
            plugin,
            schedule,
        } = key;
        let context = self.own_context(economy, "SCHEDULE", &key.path(), &json!({ "due": due }));
        let call = CallRequest {
            id: random::call_id(),
            plugin: plugin.clone(),
            action: schedule.clone(),
            caller: AccountId::of_plugin(plugin),
            arguments: json!({}),
            roles: Vec::new(),
            due: Some(due),
            spend_limit: None,
            cap: None,
            // Draws are bound to this key. It starts with a control character, which no client can send, so that no other
            // call can have the same draws.
            key: format!("\u{1}{plugin}/{schedule}/{}", due.0),
            now: self.now(),
        };
        let is_due = {
            let key = key.clone();
            move |books: &Books| {
                let schedule = books.schedule(&key.plugin, &key.schedule);
                schedule.is_some_and(|schedule| schedule.next_due == due)
            }
        };
        self.run_until_committed(&context, call, until, &is_due)
            .await?;
        Ok(())
    }
}

/// Marks a schedule as running. Returns false if it runs already or is paused.
fn start(state: &Mutex<SchedulerState>, key: &ScheduleKey) -> bool {
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    let pause = state.paused.get(key);
    if pause.is_some_and(|(until, _)| *until > Instant::now()) {
        return false;
    }
    state.running.insert(key.clone())
}

/// A running schedule. When this is dropped, also by a panic, a schedule that has not succeeded is paused.
struct ScheduleRun {
    state: Arc<Mutex<SchedulerState>>,
    key: ScheduleKey,
    succeeded: bool,
}

impl Drop for ScheduleRun {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.running.remove(&self.key);
        let previous = state.paused.remove(&self.key);
        if !self.succeeded {
            let pause = previous.map_or(PAUSE, |(_, pause)| pause.saturating_mul(2));
            let pause = pause.min(PAUSE_MAX);
            let until = Instant::now() + pause;
            state.paused.insert(self.key.clone(), (until, pause));
        }
    }
}

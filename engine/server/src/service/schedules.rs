//! What plugins do by themselves: run when it is due, each due time once.
//!
//! The books say what is due, and a run commits only if that is still so: neither a crash nor a step of
//! the clock runs a due time twice. Here is only the looking, and patience with what fails.

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

/// The pause before something that failed is tried again; each further one is twice as long.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest such pause.
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// One schedule of one plugin.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct ScheduleKey {
    economy: EconomyId,
    plugin: PluginName,
    schedule: String,
}

impl ScheduleKey {
    /// Where it would be, if it could be asked for.
    fn path(&self) -> String {
        let Self {
            economy,
            plugin,
            schedule,
        } = self;
        format!("/v1/economies/{economy}/plugins/{plugin}/schedules/{schedule}")
    }
}

/// What is under way, and what has failed: until when it rests, and for how long.
#[derive(Default)]
struct Progress {
    running: HashSet<ScheduleKey>,
    resting: HashMap<ScheduleKey, (Instant, Duration)>,
}

impl Service {
    /// Runs what is due, until `stopping`. What is under way then is left to the next start.
    pub async fn keep_schedules(self, every: Option<Duration>, stopping: watch::Receiver<bool>) {
        let Some(every) = every else {
            return;
        };
        let progress = Arc::new(Mutex::new(Progress::default()));
        let mut rounds = Interval::every(every, stopping);
        while rounds.next().await {
            for place in self.due() {
                if !start(&progress, &place) {
                    continue;
                }
                let (service, progress) = (self.clone(), Arc::clone(&progress));
                tokio::spawn(async move {
                    let mut under_way = UnderWay {
                        progress,
                        place,
                        went_well: false,
                    };
                    let place = &under_way.place;
                    let ran = service.run_due(place).await;
                    if let Err(problem) = &ran {
                        let ScheduleKey {
                            economy,
                            plugin,
                            schedule,
                        } = place;
                        tracing::warn!(%economy, %plugin, schedule, %problem, "what is due rests");
                    }
                    under_way.went_well = ran.is_ok();
                });
            }
        }
    }

    /// The schedules that are due.
    fn due(&self) -> Vec<ScheduleKey> {
        let (state, now) = (self.state(), self.now());
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

    /// Runs a schedule until nothing of it is due.
    async fn run_due(&self, place: &ScheduleKey) -> Result<(), ServiceError> {
        loop {
            let now = self.now();
            let Some(schedule) = self.look_at(place).filter(|found| found.next_due <= now) else {
                return Ok(());
            };
            if schedule.first_wanted(now) > schedule.next_due {
                self.skip(place).await?;
            } else {
                self.run_once(place, schedule.next_due).await?;
            }
            let moved = self.look_at(place).map(|found| found.next_due);
            if moved == Some(schedule.next_due) {
                return Err(ServiceError::NotRun);
            }
        }
    }

    fn look_at(&self, place: &ScheduleKey) -> Option<Schedule> {
        let state = self.state();
        let books = state.books(&place.economy)?;
        let enabled = books.plugin(&place.plugin)?.installation.enabled;
        let schedule = books.schedule(&place.plugin, &place.schedule)?;
        enabled.then_some(*schedule)
    }

    async fn skip(&self, place: &ScheduleKey) -> Result<(), ServiceError> {
        let act = Act::SkipDue {
            plugin: place.plugin.clone(),
            schedule: place.schedule.clone(),
        };
        let context = self.own_context(&place.economy, "SKIP", &place.path(), &Value::Null);
        self.act(context, act).await?;
        Ok(())
    }

    /// One due time. It has no idempotency key: the books know whether it has had its run.
    async fn run_once(&self, place: &ScheduleKey, due: Timestamp) -> Result<(), ServiceError> {
        let _place = self.admit(&place.economy, &place.plugin, 0)?;
        let until = self.parts.calls.patience();
        let ScheduleKey {
            economy,
            plugin,
            schedule,
        } = place;
        let context = self.own_context(economy, "SCHEDULE", &place.path(), &json!({ "due": due }));
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
            // No client can send a control character as a key: draws are bound to this due time alone.
            key: format!("\u{1}{plugin}/{schedule}/{}", due.0),
            now: self.now(),
        };
        let stays = {
            let place = place.clone();
            move |books: &Books| {
                let schedule = books.schedule(&place.plugin, &place.schedule);
                schedule.is_some_and(|schedule| schedule.next_due == due)
            }
        };
        self.try_until_it_commits(&context, call, until, &stays)
            .await?;
        Ok(())
    }
}

/// Whether a schedule may run now. It is under way from then on.
fn start(progress: &Mutex<Progress>, place: &ScheduleKey) -> bool {
    let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
    let rests = progress.resting.get(place);
    if rests.is_some_and(|(until, _)| *until > Instant::now()) {
        return false;
    }
    progress.running.insert(place.clone())
}

/// What runs, until this is dropped: also by a panic, after which it rests like anything that fails.
struct UnderWay {
    progress: Arc<Mutex<Progress>>,
    place: ScheduleKey,
    went_well: bool,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.running.remove(&self.place);
        let rested = progress.resting.remove(&self.place);
        if !self.went_well {
            let pause = rested.map_or(PAUSE, |(_, pause)| pause.saturating_mul(2));
            let pause = pause.min(PAUSE_MAX);
            let until = Instant::now() + pause;
            progress.resting.insert(self.place.clone(), (until, pause));
        }
    }
}

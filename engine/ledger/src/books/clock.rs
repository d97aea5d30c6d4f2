//! Changes of the books when the clock is set.

use std::sync::Arc;

use imbl::{OrdMap, Vector};

use super::Books;
use crate::economy::Day;
use crate::hold::Hold;
use crate::plugin::installation::{Installation, Plugin};
use crate::time::{StepBack, Timestamp};

impl Books {
    /// Returns the records at which timestamps went back, oldest first.
    pub fn steps_back(&self) -> &Vector<StepBack> {
        &self.steps_back
    }

    /// Returns true if setting the clock to `to` changes these books: a hold is open, a plugin has a
    /// schedule, or the newest record would be in the future.
    pub fn depends_on_clock(&self, to: Timestamp) -> bool {
        let schedules = |plugin: &Arc<Plugin>| !plugin.installation.schedules.is_empty();
        self.recorded_at > to || self.holds_open() > 0 || self.plugins.values().any(schedules)
    }

    /// Moves the times of holds by the difference, and those of schedules if the clock goes back. Moments of
    /// the past that would be later than the new time become the new time.
    pub(super) fn set_clock(&mut self, seq: u64, from: Timestamp, to: Timestamp) {
        if to < from {
            self.steps_back.push_back(StepBack { seq, from, to });
        }
        self.holds = std::mem::take(&mut self.holds).map(|hold| hold.after_clock_set(from, to));
        let installed = self.plugins.iter();
        let moved = installed.map(|(id, plugin)| {
            let plugin = Arc::new(with_moved_schedules(plugin, from, to));
            (id.clone(), plugin)
        });
        self.plugins = moved.collect();
        self.opened_at = self.opened_at.min(to);
        self.draws.active_since = self.draws.active_since.min(to);
        self.count_for_today(Day::of(to));
    }

    /// Moves the counts of later days to today. They belong to the past, so they count towards the budgets of
    /// today, and no later day starts with them.
    fn count_for_today(&mut self, today: Day) {
        for ((asset, day, plugin), flow) in std::mem::take(&mut self.flows) {
            let sum = self.flows.entry((asset, day.min(today), plugin));
            let sum = sum.or_default();
            *sum = sum.and(flow);
        }
        let (past, later) = std::mem::take(&mut self.spends)
            .into_iter()
            .partition::<OrdMap<_, _>, _>(|(day, _)| *day <= today);
        self.spends = past;
        for (counter, amount) in later.into_iter().flat_map(|(_, counters)| counters) {
            let counters = self.spends.entry(today).or_default();
            let sum = counters.entry(counter).or_insert(0);
            *sum = sum.saturating_add(amount);
        }
    }
}

impl Hold {
    fn after_clock_set(self, from: Timestamp, to: Timestamp) -> Self {
        Self {
            placed_at: self.placed_at.moved(from, to),
            expires_at: self.expires_at.moved(from, to),
            due_at: self.due_at.moved(from, to),
            outage_until: self.outage_until.map(|until| until.moved(from, to)),
            ..self
        }
    }
}

fn with_moved_schedules(plugin: &Plugin, from: Timestamp, to: Timestamp) -> Plugin {
    let moved = |installation: &Arc<Installation>| {
        let mut installation = Installation::clone(installation);
        for schedule in installation.schedules.values_mut() {
            *schedule = schedule.after_clock_set(from, to);
        }
        Arc::new(installation)
    };
    Plugin {
        installation: moved(&plugin.installation),
        previous: plugin.previous.as_ref().map(moved),
        ..plugin.clone()
    }
}

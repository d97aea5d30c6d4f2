//! The work on time when a file is opened: its clock is started, and holds of plugins are extended after an outage.

use std::time::Duration;

use bursar_ledger::{Act, EconomyId, EconomyStatus, HoldId, Timestamp};
use serde::Serialize;
use serde_json::json;

use crate::commit::batch::{Batch, own_submission};
use crate::commit::submission::{Render, Reply, Submission};
use crate::error::StorageError;
use crate::log::compressor::FrameCompressor;
use crate::log::file::FileLog;
use crate::log::store::{Commit, Log};
use crate::request::Request;
use crate::state::State;
use crate::time::clock::{Beginning, Clock, ClockView, Mark, Outage, TimeSource};

/// The shortest outage after which holds are extended. A restart is not an outage, and the last mark of a killed
/// process is up to ten seconds old.
pub(crate) const OUTAGE_MIN: Duration = Duration::from_secs(20);

/// The maximum number of holds that one record extends.
pub(crate) const HOLDS_EXTENDED_MAX: usize = 512;

/// The clock of a file, as a command reports it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ClockReport {
    /// The time with which the file would continue, and the time of the machine.
    #[serde(flatten)]
    pub view: ClockView,
    /// The latest time in the file.
    pub last: Timestamp,
    /// The last mark that was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<Mark>,
}

/// The result of setting a file's clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct ClockSetting {
    /// The earlier time of the file, and the time of the machine.
    #[serde(flatten)]
    pub view: ClockView,
    /// True if the clock was set. A small difference is left to the automatic correction.
    pub set: bool,
    /// The number of economies with a record of the change: those in which something waits for a time.
    pub economies: u64,
}

/// Reads the time of a file.
pub(crate) fn report(mark: Option<Mark>, state: &State, source: &TimeSource) -> ClockReport {
    let beginning = Beginning::new(source, mark.as_ref(), state.latest());
    ClockReport {
        view: beginning.view(),
        last: beginning.last(),
        mark,
    }
}

/// Starts the clock of a file for an import, which extends no holds.
pub(crate) fn clock(
    log: &FileLog,
    state: &State,
    source: &TimeSource,
) -> Result<Clock, StorageError> {
    let mark = log.load_mark()?;
    Ok(Beginning::new(source, mark.as_ref(), state.latest()).clock()?)
}

/// Starts the clock and the epoch of an opened file, and extends holds after an outage.
pub(crate) fn begin(
    log: &mut FileLog,
    state: State,
    source: &TimeSource,
    render: Render,
) -> Result<(State, Clock), StorageError> {
    let mark = log.load_mark()?;
    let beginning = Beginning::new(source, mark.as_ref(), state.latest());
    let clock = beginning.clock()?;
    let now = clock.now();
    log.begin(now)?;
    let state = match beginning.outage(now, OUTAGE_MIN) {
        Some(outage) => extend_holds(log, &state, outage, render)?,
        None => state,
    };
    // After a reboot the mark is written at once, so that the next start knows this boot even if the process
    // is killed. Otherwise the old mark stays, because a server that ends soon after its start has not served.
    if !beginning.is_of_this_boot() {
        log.append(Commit::default(), &[], Some(&clock.mark()))?;
    }
    Ok((state, clock))
}

/// Sets the clock of a file to the clock of the machine. Each pending deadline keeps its remaining time.
pub(crate) fn set(
    log: &mut FileLog,
    state: State,
    source: &TimeSource,
    render: Render,
) -> Result<(State, ClockSetting), StorageError> {
    let mark = log.load_mark()?;
    let beginning = Beginning::new(source, mark.as_ref(), state.latest());
    let view = beginning.view();
    if view.followed {
        let setting = ClockSetting {
            view,
            set: false,
            economies: 0,
        };
        return Ok((state, setting));
    }
    let from = beginning.known();
    let clock = beginning.adopted();
    let to = clock.now();
    log.begin(to)?;
    let state = match beginning.outage(from, OUTAGE_MIN) {
        Some(outage) => extend_holds(log, &state, outage, render)?,
        None => state,
    };
    let concerned = state.economies().iter();
    let concerned = concerned.filter(|(_, books)| books.depends_on_clock(to));
    let acts = concerned.map(|(economy, _)| {
        let request = Request::new("SET", "/clock", &json!({ "from": from, "to": to }));
        own_submission(economy.clone(), request, Act::SetClock { from, to })
    });
    let acts: Vec<Submission> = acts.collect();
    // One txn sets all of them, because it would be unknown afterwards which economies were set.
    let state = record(log, state, to, &acts, Some(&clock.mark()), render)?;
    let setting = ClockSetting {
        view,
        set: true,
        economies: acts.len() as u64,
    };
    Ok((state, setting))
}

/// Extends the open holds of plugins by the length of an outage, in portions. Each hold stores how far it was
/// extended, so that the next start continues where an interrupted one stopped.
fn extend_holds(
    log: &mut FileLog,
    state: &State,
    Outage { from, until }: Outage,
    render: Render,
) -> Result<State, StorageError> {
    let mut extended = state.clone();
    let before = state.record;
    for (economy, books) in state.economies() {
        if books.status() == EconomyStatus::Closed {
            continue;
        }
        let holds = books.holds_after(None, None);
        let of_plugins = holds.filter(|(_, hold)| hold.plugin.is_some());
        let of_plugins: Vec<HoldId> = of_plugins.map(|(id, _)| id).collect();
        for portion in of_plugins.chunks(HOLDS_EXTENDED_MAX) {
            let act = extension(economy, portion, from, until);
            extended = record(log, extended, until, &[act], None, render)?;
        }
    }
    let records = extended.record.saturating_sub(before);
    if records > 0 {
        let outage_ms = until.0.saturating_sub(from.0);
        tracing::info!(
            outage_ms,
            records,
            "open holds of plugins were extended by the length of the outage"
        );
    }
    Ok(extended)
}

fn extension(
    economy: &EconomyId,
    holds: &[HoldId],
    from: Timestamp,
    until: Timestamp,
) -> Submission {
    let path = format!("/v1/economies/{economy}/holds");
    let request = Request::new("EXTEND", &path, &json!({ "from": from, "until": until }));
    let act = Act::ExtendHolds {
        holds: holds.to_vec(),
        from,
        until,
    };
    own_submission(economy.clone(), request, act)
}

/// Decides and commits acts of the server itself, before it accepts any request.
fn record(
    log: &mut FileLog,
    state: State,
    at: Timestamp,
    acts: &[Submission],
    mark: Option<&Mark>,
    render: Render,
) -> Result<State, StorageError> {
    let batch = Batch::new(state, at, log.epoch(), render);
    let acts: Vec<&Submission> = acts.iter().collect();
    let (mut batch, replies) = batch.decide_all(&acts, &mut |_, _, _| Ok(None))?;
    let answered = |reply: &Result<Reply, _>| matches!(reply, Ok(Reply::Answered(_)));
    if !replies.iter().all(answered) {
        let what = "internal error: the change of the clock could not be recorded; see the log";
        return Err(StorageError::damaged(batch.state.record, what));
    }
    let commit = batch.commit(&mut FrameCompressor::new()?)?;
    log.append(commit.unwrap_or_default(), &[], mark)?;
    Ok(batch.state)
}

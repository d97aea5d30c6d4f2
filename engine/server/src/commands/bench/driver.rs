//! The driver of a load: all connections on one thread, in a closed or an open loop.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use super::alarm::Alarm;
use super::http_answer::RequestOutcome;
use super::load_counts::LoadCounts;
use super::requests::RequestSource;
use super::send_times::SendTimes;
use super::wire::{Wire, WireError};
use crate::client::Address;

/// The longest wait for the last answers of a load.
const DRAIN_PATIENCE: Duration = Duration::from_mins(1);

/// The most events that one poll returns.
const EVENTS: usize = 1_024;

/// The code under which lost connections are counted.
const LOST: &str = "connection_lost";

/// A load that could not be driven.
#[derive(Debug, thiserror::Error)]
pub(super) enum DriveError {
    #[error("cannot connect to the server: {0}")]
    Connect(io::Error),
    #[error("the load cannot wait for its connections: {0}")]
    Poll(io::Error),
    #[error(transparent)]
    Answer(#[from] super::http_answer::AnswerError),
    #[error("the server did not answer {waiting} requests within {} s", DRAIN_PATIENCE.as_secs())]
    Silent { waiting: usize },
    #[error("stopped by a signal; nothing was measured to its end")]
    Stopped,
}

/// The times at which requests are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pace {
    /// Each connection sends its next request after the answer.
    Closed,
    /// Requests a second, at fixed times.
    Open(u64),
}

/// The end of a load.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Until {
    Time(Duration),
    Requests(u64),
}

/// A function that is called from time to time with the elapsed time and the number of answers.
pub(super) type ProgressWatch<'a> = &'a mut dyn FnMut(Duration, u64);

/// Connections to a server and the thread's wait for them.
pub(super) struct Driver {
    address: Address,
    poll: Poll,
    alarm: Alarm,
    wires: Vec<Wire>,
    stop: Arc<AtomicBool>,
}

/// The state of a load that is being sent.
struct Sending {
    begin: Instant,
    until: Until,
    times: Option<SendTimes>,
    sent: u64,
    counts: LoadCounts,
}

impl Sending {
    /// Returns the time from which the next request counts, if it is due.
    fn next(&mut self, now: Instant) -> Option<Instant> {
        let elapsed = now.saturating_duration_since(self.begin);
        let (end, has_more) = match self.until {
            Until::Time(end) => (end, elapsed < end),
            Until::Requests(requests) => (Duration::MAX, self.sent < requests),
        };
        if !has_more {
            return None;
        }
        let due = match &mut self.times {
            Some(times) => self.begin.checked_add(times.take(elapsed, end)?)?,
            None => now,
        };
        self.sent = self.sent.saturating_add(1);
        Some(due)
    }

    /// Returns true if no further request will be sent.
    fn is_over(&self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.begin);
        match (self.until, &self.times) {
            (Until::Time(end), Some(times)) => elapsed >= end || times.next() >= end,
            (Until::Time(end), None) => elapsed >= end,
            (Until::Requests(requests), _) => self.sent >= requests,
        }
    }

    /// Returns the time until the next request is due, in an open loop.
    fn wait(&self, now: Instant) -> Option<Duration> {
        let due = self.begin.checked_add(self.times.as_ref()?.next())?;
        Some(due.saturating_duration_since(now))
    }
}

impl Driver {
    /// Opens connections. The load ends early once `stop` is true.
    pub(super) fn connect(
        address: &Address,
        connections: usize,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, DriveError> {
        let poll = Poll::new().map_err(DriveError::Poll)?;
        let alarm = Alarm::new(&poll, Token(connections)).map_err(DriveError::Poll)?;
        let mut wires = Vec::with_capacity(connections);
        for number in 0..connections {
            let wire = Wire::connect(address, poll.registry(), Token(number));
            wires.push(wire.map_err(DriveError::Connect)?);
        }
        Ok(Self {
            address: address.clone(),
            poll,
            alarm,
            wires,
            stop,
        })
    }

    /// Sends requests of a source until the end, and waits for the last answer.
    pub(super) fn drive(
        &mut self,
        source: &mut dyn RequestSource,
        pace: Pace,
        until: Until,
        watch: ProgressWatch<'_>,
    ) -> Result<LoadCounts, DriveError> {
        let mut events = Events::with_capacity(EVENTS);
        let mut idle: Vec<usize> = (0..self.wires.len()).collect();
        let mut sending = Sending {
            begin: Instant::now(),
            until,
            times: match pace {
                Pace::Closed => None,
                Pace::Open(rate) => Some(SendTimes::new(rate)),
            },
            sent: 0,
            counts: LoadCounts::new(),
        };
        let mut over_since = None;
        loop {
            let now = Instant::now();
            while let Some(number) = idle.last().copied() {
                let Some(began) = sending.next(now) else {
                    break;
                };
                idle.pop();
                if !self.send(number, began, source, &mut sending.counts)? {
                    idle.push(number);
                    break;
                }
            }
            if sending.is_over(now) {
                let since = *over_since.get_or_insert(now);
                let waiting = self.wires.len().saturating_sub(idle.len());
                if waiting == 0 {
                    break;
                }
                if now.saturating_duration_since(since) > DRAIN_PATIENCE {
                    return Err(DriveError::Silent { waiting });
                }
            }
            // The driver needs no timer for a request that no free connection can send, or that is due after the end.
            let wait = if idle.is_empty() || over_since.is_some() {
                None
            } else {
                sending.wait(now)
            };
            self.wait(&mut events, wait)?;
            for event in &events {
                let number = event.token().0;
                if self.progress(number, event.is_writable(), &mut sending.counts)? {
                    idle.push(number);
                }
            }
            watch(sending.begin.elapsed(), sending.counts.requests);
        }
        Ok(Self::finish(sending, pace))
    }

    fn finish(mut sending: Sending, pace: Pace) -> LoadCounts {
        sending.counts.elapsed = sending.begin.elapsed();
        if let (Pace::Open(rate), Until::Time(end), Some(times)) =
            (pace, sending.until, &sending.times)
        {
            sending.counts.count_unsent(times.left(end), rate);
        }
        sending.counts
    }

    fn wait(&mut self, events: &mut Events, wait: Option<Duration>) -> Result<(), DriveError> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(DriveError::Stopped);
        }
        match self.alarm.poll(&mut self.poll, events, wait) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                events.clear();
                Ok(())
            }
            result => result.map_err(DriveError::Poll),
        }
    }

    /// Sends a request on a connection. Returns false if the connection was lost.
    fn send(
        &mut self,
        number: usize,
        began: Instant,
        source: &mut dyn RequestSource,
        counts: &mut LoadCounts,
    ) -> Result<bool, DriveError> {
        let Some(wire) = self.wires.get_mut(number) else {
            return Ok(false);
        };
        wire.kind = source.write(&mut wire.out);
        wire.began = began;
        match wire.send(self.poll.registry()) {
            Ok(()) => Ok(true),
            Err(error) => {
                self.replace(number, error, counts)?;
                Ok(false)
            }
        }
    }

    /// Sends and reads what it can. Returns true if the request of the connection has ended.
    fn progress(
        &mut self,
        number: usize,
        has_space: bool,
        counts: &mut LoadCounts,
    ) -> Result<bool, DriveError> {
        // The timer has the number after the last connection.
        let Some(wire) = self.wires.get_mut(number) else {
            return Ok(false);
        };
        if has_space
            && wire.busy
            && let Err(error) = wire.flush(self.poll.registry())
        {
            self.replace(number, error, counts)?;
            return Ok(true);
        }
        let kind = wire.kind;
        let began = wire.began;
        let was_busy = wire.busy;
        // An answer that comes before the whole request was sent leaves a connection that cannot be used again.
        let is_partial = wire.is_partial();
        match wire.receive() {
            Ok(None) => Ok(false),
            Ok(Some(answer)) => {
                let closes = answer.closes || is_partial;
                counts.count(began.elapsed(), RequestOutcome::of(kind, answer));
                if closes {
                    let opened = wire.reconnect(&self.address, self.poll.registry());
                    opened.map_err(DriveError::Connect)?;
                }
                Ok(was_busy)
            }
            Err(error) => {
                self.replace(number, error, counts)?;
                Ok(was_busy)
            }
        }
    }

    /// Opens a lost connection again. The request in progress counts as refused, because its outcome is unknown.
    fn replace(
        &mut self,
        number: usize,
        error: WireError,
        counts: &mut LoadCounts,
    ) -> Result<(), DriveError> {
        let error = match error {
            WireError::Answer(error) => return Err(error.into()),
            WireError::Lost(error) => error,
        };
        let Some(wire) = self.wires.get_mut(number) else {
            return Ok(());
        };
        if wire.busy {
            counts.refuse(LOST, wire.kind.operations(), || error.to_string());
        }
        let opened = wire.reconnect(&self.address, self.poll.registry());
        opened.map_err(DriveError::Connect)
    }
}

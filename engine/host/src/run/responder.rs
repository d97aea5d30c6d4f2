//! The responder to a guest's requests: the draft of a call, or the record of an earlier run.

use std::vec;

use bursar_ledger::{
    CallRequest, Document, Draft, DrawOrigin, Exchange, FuelClass, HostRequest, HostResponse,
    Transcript,
};
use wasmtime::Result;

/// The difference between a replayed guest's request and the recorded one.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Divergence(pub(crate) String);

/// The responder to a guest's requests.
#[derive(Debug)]
pub(crate) enum Responder {
    /// The draft of a call in progress.
    Draft(Box<Draft>),
    /// The record of a call that is run again.
    Replay(Box<TranscriptReplay>),
}

/// A recorded transcript, replayed to a guest.
#[derive(Debug)]
pub(crate) struct TranscriptReplay {
    request: CallRequest,
    config: Document,
    fuel: FuelClass,
    exchanges: vec::IntoIter<Exchange>,
    position: usize,
    draws: usize,
}

impl TranscriptReplay {
    pub(crate) fn new(
        request: CallRequest,
        config: Document,
        fuel: FuelClass,
        transcript: &Transcript,
    ) -> Self {
        Self {
            request,
            config,
            fuel,
            exchanges: transcript.exchanges().to_vec().into_iter(),
            position: 0,
            draws: 0,
        }
    }

    /// Returns the number of recorded exchanges that are left.
    pub(crate) fn remaining(&self) -> usize {
        self.exchanges.len()
    }

    fn respond(&mut self, request: &HostRequest) -> Result<HostResponse> {
        let number = self.position;
        self.position = self.position.saturating_add(1);
        let Some(exchange) = self.exchanges.next() else {
            let difference = format!("request number {number} is not in the record: {request:?}");
            return Err(Divergence(difference).into());
        };
        if exchange.request != *request {
            let recorded = &exchange.request;
            let difference =
                format!("request number {number} is {request:?}, but the record has {recorded:?}");
            return Err(Divergence(difference).into());
        }
        self.draws = self.draws.saturating_add(usize::from(exchange.is_draw()));
        Ok(exchange.response)
    }
}

impl Responder {
    /// Responds to a request.
    pub(crate) fn answer(&mut self, request: HostRequest) -> Result<HostResponse> {
        match self {
            Self::Draft(draft) => Ok(draft.answer(request)),
            Self::Replay(replay) => replay.respond(&request),
        }
    }

    /// Sets the origin of the call's draws, if its draft awaits one.
    pub(crate) fn draw_from(&mut self, origin: impl FnOnce(&CallRequest) -> Option<DrawOrigin>) {
        match self {
            Self::Draft(draft) if draft.awaits_origin() => {
                if let Some(origin) = origin(draft.call()) {
                    draft.draw_from(origin);
                }
            }
            // A replay takes its draws from the record.
            Self::Draft(_) | Self::Replay(_) => {}
        }
    }

    pub(crate) fn call(&self) -> &CallRequest {
        match self {
            Self::Draft(draft) => draft.call(),
            Self::Replay(replay) => &replay.request,
        }
    }

    pub(crate) fn config(&self) -> &Document {
        match self {
            Self::Draft(draft) => draft.config(),
            Self::Replay(replay) => &replay.config,
        }
    }

    pub(crate) fn fuel(&self) -> FuelClass {
        match self {
            Self::Draft(draft) => draft.plugin().installation.grants.fuel,
            Self::Replay(replay) => replay.fuel,
        }
    }

    pub(crate) fn has_drawn(&self) -> bool {
        match self {
            Self::Draft(draft) => draft.has_drawn(),
            Self::Replay(replay) => replay.draws > 0,
        }
    }

    /// Returns the origin of the draws. A replay does not know it.
    pub(crate) fn origin(&self) -> Option<&DrawOrigin> {
        match self {
            Self::Draft(draft) => draft.origin(),
            Self::Replay(_) => None,
        }
    }

    /// Returns the transcript of the call. It is empty for a replay, whose transcript is already known.
    pub(crate) fn close(self) -> Transcript {
        match self {
            Self::Draft(draft) => draft.close(),
            Self::Replay(_) => Transcript::default(),
        }
    }
}

//! Who answers a guest: the draft of a call in progress, or the record of one that has ended.

use std::vec;

use bursar_ledger::{
    CallRequest, Document, Draft, DrawOrigin, Exchange, FuelClass, HostRequest, HostResponse,
    Transcript,
};
use wasmtime::Result;

/// A guest that is run again has asked something else than it did before.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Divergence(pub(crate) String);

/// Who answers a guest.
#[derive(Debug)]
pub(crate) enum Responder {
    /// A call in progress.
    Draft(Box<Draft>),
    /// One that has ended, and is run again.
    Record(Box<TranscriptReplay>),
}

/// What is told once more.
#[derive(Debug)]
pub(crate) struct TranscriptReplay {
    request: CallRequest,
    config: Document,
    fuel: FuelClass,
    facts: vec::IntoIter<Exchange>,
    told: usize,
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
            facts: transcript.facts().to_vec().into_iter(),
            told: 0,
            draws: 0,
        }
    }

    /// What is left to tell when the guest has ended.
    pub(crate) fn untold(&self) -> usize {
        self.facts.len()
    }

    fn answer(&mut self, ask: &HostRequest) -> Result<HostResponse> {
        let number = self.told;
        self.told = self.told.saturating_add(1);
        let Some(fact) = self.facts.next() else {
            let what = format!("it asks a {number}th thing, and the record has no more: {ask:?}");
            return Err(Divergence(what).into());
        };
        if fact.ask != *ask {
            let (asked, kept) = (format!("{ask:?}"), format!("{:?}", fact.ask));
            let what = format!("as number {number} it asks {asked}, and the record has {kept}");
            return Err(Divergence(what).into());
        }
        self.draws = self.draws.saturating_add(usize::from(fact.is_draw()));
        Ok(fact.answer)
    }
}

impl Responder {
    /// Asks one thing.
    pub(crate) fn perform(&mut self, ask: HostRequest) -> Result<HostResponse> {
        match self {
            Self::Draft(draft) => Ok(draft.perform(ask)),
            Self::Record(telling) => telling.answer(&ask),
        }
    }

    /// Has the call draw from there, if it is to draw and nothing says from where.
    pub(crate) fn draw_from(&mut self, origin: impl FnOnce(&CallRequest) -> Option<DrawOrigin>) {
        match self {
            Self::Draft(draft) if draft.awaits_origin() => {
                if let Some(origin) = origin(draft.call()) {
                    draft.draw_from(origin);
                }
            }
            // What was drawn is in the record.
            Self::Draft(_) | Self::Record(_) => {}
        }
    }

    pub(crate) fn call(&self) -> &CallRequest {
        match self {
            Self::Draft(draft) => draft.call(),
            Self::Record(telling) => &telling.request,
        }
    }

    pub(crate) fn config(&self) -> &Document {
        match self {
            Self::Draft(draft) => draft.config(),
            Self::Record(telling) => &telling.config,
        }
    }

    pub(crate) fn fuel(&self) -> FuelClass {
        match self {
            Self::Draft(draft) => draft.plugin().installation.grants.fuel,
            Self::Record(telling) => telling.fuel,
        }
    }

    pub(crate) fn has_drawn(&self) -> bool {
        match self {
            Self::Draft(draft) => draft.has_drawn(),
            Self::Record(telling) => telling.draws > 0,
        }
    }

    /// Where the draws come from, as far as this teller knows.
    pub(crate) fn origin(&self) -> Option<&DrawOrigin> {
        match self {
            Self::Draft(draft) => draft.origin(),
            Self::Record(_) => None,
        }
    }

    /// What the call learned and asked; of a record it is known.
    pub(crate) fn close(self) -> Transcript {
        match self {
            Self::Draft(draft) => draft.close(),
            Self::Record(_) => Transcript::default(),
        }
    }
}

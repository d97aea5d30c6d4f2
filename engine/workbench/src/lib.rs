//! An economy in memory: the real ledger and the real components, and nothing written down.
//!
//! Each act is decided and applied, and each call run and committed, as a server does it. Only who
//! comes first is decided by whoever uses it, so no call ever runs twice.
//!
//! [`configuration`] holds what an operator sets against a plugin and an economy, [`simulation`] plays games on it, [`rerun`] runs calls of a journal again, and the test kit of
//! plugin authors stands on it.

pub mod configuration;
pub mod rerun;
pub mod simulation;

use bursar_host::{CallAttempt, CallFailure, LoadedPlugin, LogLine};
use bursar_ledger::{
    Act, Books, CallRequest, CallResult, Digest, DrawOrigin, HoldId, Seed, Timestamp, Verdict,
    decide,
};

/// An economy in memory, at a moment.
#[derive(Clone, Debug)]
pub struct Workbench {
    books: Books,
    now: Timestamp,
}

/// A call that was run, and what came of it.
#[derive(Clone, PartialEq, Debug)]
pub struct CallRun {
    /// What was asked, learned and answered.
    pub result: CallResult,
    /// What the ledger made of it.
    pub verdict: Verdict,
    /// What the plugin wrote for the operator.
    pub log: Vec<LogLine>,
}

impl Workbench {
    /// An empty economy. All draws follow from the seed.
    pub fn new(seed: Seed, now: Timestamp) -> Self {
        let books = Books::new(seed, now);
        Self { books, now }
    }

    /// An economy as it was at a moment.
    pub fn over(books: Books, now: Timestamp) -> Self {
        Self { books, now }
    }

    /// The books as they are.
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// The books as they came to be.
    pub fn into_books(self) -> Books {
        self.books
    }

    /// The moment as of which everything is decided.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Goes on to a later moment. Holds whose time is over by then end by their rule, in the order in
    /// which they fall due.
    pub fn go_on_to(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        let due: Vec<HoldId> = self.books.holds_due(self.now).collect();
        for hold in due {
            // One that cannot end now, such as into a full account, stays.
            self.act(&Act::ExpireHold { hold });
        }
    }

    /// Decides an act, and applies what follows.
    pub fn act(&mut self, act: &Act) -> Verdict {
        let verdict = decide(Some(&self.books), self.now, act);
        if let Some(decision) = verdict.decision() {
            let seq = self.books.seq().saturating_add(1);
            let applied = self.books.apply(decision, seq, self.now, 0);
            applied.expect("what was decided on these books fits them");
            self.books.seal(seq, self.now, Digest::ZERO);
        }
        verdict
    }

    /// Runs a call and commits what it asked for. It draws from `origin`, or else from the next nonce.
    pub fn call(
        &mut self,
        plugin: &LoadedPlugin,
        request: CallRequest,
        origin: Option<DrawOrigin>,
    ) -> Result<CallRun, CallFailure> {
        let next = self.books.next_nonce();
        let fresh = || self.books.draw_origin(&request.caller, next);
        let origin = origin.unwrap_or_else(fresh);
        let attempted = plugin.attempt(&self.books, request, self.now, move |_| origin);
        let CallAttempt { result, log, .. } = attempted.map_err(|unfinished| unfinished.failure)?;
        let verdict = self.act(&Act::Call(Box::new(result.clone())));
        Ok(CallRun {
            result,
            verdict,
            log,
        })
    }
}

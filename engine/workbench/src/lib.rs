//! An economy in memory, with the real ledger and the real plugin runtime, and no storage.
//!
//! A [`Workbench`] decides and applies acts, and runs and commits calls, like a server. It does one thing at
//! a time, so no call becomes stale. The test kit for plugin authors and the commands that check plugins use
//! it.
//!
//! * [`configuration`] checks a configuration against a plugin and an economy.
//! * [`simulation`] plays many rounds of a game and measures its return.
//! * [`rerun`] runs recorded calls again.
//!
//! # Example
//!
//! ```
//! use bursar_ledger::{AccountId, AccountPatch, Act, Seed, Timestamp, Verdict};
//! use bursar_workbench::Workbench;
//!
//! let seed = Seed::try_from("2a".repeat(32))?;
//! let mut bench = Workbench::new(seed, Timestamp(1_700_000_000_000));
//! let account: AccountId = "user:1".parse()?;
//! let verdict = bench.act(&Act::SetAccount {
//!     account: account.clone(),
//!     patch: AccountPatch::default(),
//!     admission: None,
//! });
//! assert!(matches!(verdict, Verdict::Applied(_)));
//! assert!(bench.books().account(&account).is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod configuration;
pub mod rerun;
pub mod simulation;

use std::sync::Arc;

use bursar_host::{CallAttempt, CallFailure, LoadedPlugin, LogLine};
use bursar_ledger::{
    Act, Books, CallRequest, CallResult, Digest, DrawOrigin, HoldId, Seed, Timestamp, Verdict,
    decide,
};

/// An economy in memory at a point in time.
#[derive(Clone, Debug)]
pub struct Workbench {
    books: Books,
    now: Timestamp,
}

/// A call that was run and decided.
#[derive(Clone, PartialEq, Debug)]
pub struct CallRun {
    /// The request, the transcript and the ending.
    pub result: CallResult,
    /// The ledger's verdict.
    pub verdict: Verdict,
    /// The plugin's log lines.
    pub log: Vec<LogLine>,
}

impl Workbench {
    /// Creates an empty economy. The seed determines all draws.
    pub fn new(seed: Seed, now: Timestamp) -> Self {
        let books = Books::new(seed, now);
        Self { books, now }
    }

    /// Creates a workbench over existing books, at a point in time.
    pub fn with_books(books: Books, now: Timestamp) -> Self {
        Self { books, now }
    }

    /// Returns the books.
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// Returns the books and drops the workbench.
    pub fn into_books(self) -> Books {
        self.books
    }

    /// Returns the time at which acts are decided.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Advances the time to `now`. Holds that have expired by then end by their rules, in the order of
    /// expiry.
    pub fn advance_to(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        let due: Vec<HoldId> = self.books.holds_due(self.now).collect();
        for hold in due {
            // A hold that cannot end now stays open, for example because its destination account is full.
            self.act(&Act::ExpireHold { hold });
        }
    }

    /// Decides an act and applies the decision.
    pub fn act(&mut self, act: &Act) -> Verdict {
        let verdict = decide(Some(&self.books), self.now, act);
        if let Some(decision) = verdict.decision() {
            let seq = self.books.seq().saturating_add(1);
            let applied = self.books.apply(decision, seq, self.now);
            applied.expect("a decision applies to the books that it was made on");
            self.books.seal(seq, self.now, Digest::ZERO);
        }
        verdict
    }

    /// Runs a call and commits it. Draws come from `origin`, or else from the next nonce.
    pub fn call(
        &mut self,
        plugin: &LoadedPlugin,
        request: CallRequest,
        origin: Option<DrawOrigin>,
    ) -> Result<CallRun, CallFailure> {
        let next = self.books.next_nonce();
        let next_origin = || self.books.draw_origin(&request.caller, next);
        let origin = origin.unwrap_or_else(next_origin);
        let snapshot = Arc::new(self.books.clone());
        let attempt = plugin.attempt(&snapshot, request, self.now, move |_| origin);
        // A snapshot that is still held would make the commit copy what it changes.
        drop(snapshot);
        let CallAttempt { result, log, .. } = attempt.map_err(|failed| failed.failure)?;
        let verdict = self.act(&Act::Call(Box::new(result.clone())));
        Ok(CallRun {
            result,
            verdict,
            log,
        })
    }
}

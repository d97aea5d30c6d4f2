//! Previews: acts and calls that are decided on the newest snapshot, answered, and discarded.
//!
//! A preview submits nothing to the writer and uses no idempotency key. The real request may have another outcome later.
//! Draws come from a random seed that is discarded, so a preview reveals nothing about real draws.

use std::sync::Arc;

use bursar_ledger::{Act, Books, CallRequest, EconomyId, Timestamp, Verdict};
use bursar_storage::{ActOutcome, Answer, Render};
use bursar_workbench::Workbench;
use serde_json::Value;

use super::{CallCommand, Service, blocking};
use crate::random;
use crate::service::error::ServiceError;

/// The idempotency key of a previewed call. Draws depend on it and on the discarded seed.
const NO_KEY: &str = "preview";

impl Service {
    /// Decides an act on the newest snapshot and returns its answer.
    pub async fn preview(&self, economy: &EconomyId, act: Act) -> Result<Answer, ServiceError> {
        let answers = self.preview_all(economy, vec![act]).await?;
        let answer = answers.into_iter().next();
        answer.ok_or(ServiceError::Bug("a preview has no answer"))
    }

    /// Decides acts on the newest snapshot, each after those before it, and returns their answers. A large batch takes
    /// long, so it runs on a blocking thread.
    pub async fn preview_all(
        &self,
        economy: &EconomyId,
        acts: Vec<Act>,
    ) -> Result<Vec<Answer>, ServiceError> {
        let service = self.clone();
        let economy = economy.clone();
        let answers = blocking(move || {
            let state = service.state();
            let mut books = Books::clone(state.books(&economy).ok_or(ServiceError::NoEconomy)?);
            let mut answers = Vec::with_capacity(acts.len());
            for act in &acts {
                let (answer, after) = service.decide(&economy, books, act);
                answers.push(answer);
                books = after;
            }
            Ok(answers)
        });
        answers.await?
    }

    /// Runs a call on the newest snapshot and returns its answer. It runs on a worker within the limits of calls, and
    /// takes its places until it has ended, even if its request was cancelled.
    pub async fn preview_call(
        &self,
        economy: EconomyId,
        command: CallCommand,
    ) -> Result<Answer, ServiceError> {
        let bytes = command.arguments.to_string().len();
        let permit = self.admit(&economy, &command.plugin, bytes)?;
        let service = self.clone();
        let until = self.parts.calls.start_deadline();
        let call = command.into_request(NO_KEY, self.now());
        let preview = tokio::spawn(async move {
            let _permit = permit;
            let queue_economy = economy.clone();
            let plugin = call.plugin.clone();
            let seed = random::seed();
            let in_books = economy.clone();
            let work = move |service: &Self| {
                let state = service.state();
                let books = state.books(&in_books).ok_or(ServiceError::NoEconomy)?;
                let books = Arc::new(books.with_seed(seed));
                let draw_from = |books: &Books, request: &CallRequest| {
                    books.draw_origin(&request.caller, books.next_nonce())
                };
                let result = service.run_here(&books, call, draw_from)?;
                Ok((result, books))
            };
            let run = service.on_worker(&queue_economy, &plugin, Some(until), work);
            let (result, books) = run.await?;
            let attempt = result.map_err(|failed| ServiceError::CallFailed(failed.failure))?;
            let act = Act::Call(Box::new(attempt.result));
            let books = Arc::unwrap_or_clone(books);
            let (answer, _) = service.decide(&economy, books, &act);
            Ok(answer)
        });
        preview
            .await
            .unwrap_or(Err(ServiceError::Bug("the preview panicked")))
    }

    /// Decides an act on books. Returns the verdict and the books after it.
    pub fn try_act(&self, books: &Books, act: &Act) -> (Verdict, Books) {
        let at = self.now().max(books.recorded_at());
        let mut bench = Workbench::with_books(books.clone(), at);
        let verdict = bench.act(act);
        (verdict, bench.into_books())
    }

    /// Returns the time of a record that would be committed now. Records never have an earlier time.
    pub fn now(&self) -> Timestamp {
        self.parts.storage.clock().now()
    }

    /// Returns the wall clock of the machine, which clients compare with their own clocks.
    pub fn wall(&self) -> Timestamp {
        self.parts.storage.clock().view().wall
    }

    /// Decides an act on books now. Returns the answer and the books after it.
    fn decide(&self, economy: &EconomyId, books: Books, act: &Act) -> (Answer, Books) {
        decide(self.parts.render, self.now(), economy, books, act)
    }
}

/// Decides an act on books at a time. Returns the answer and the books after it.
pub(super) fn decide(
    render: Render,
    at: Timestamp,
    economy: &EconomyId,
    books: Books,
    act: &Act,
) -> (Answer, Books) {
    // The time of an offline file may be ahead of the clock.
    let at = at.max(books.recorded_at());
    let mut bench = Workbench::with_books(books, at);
    let verdict = bench.act(act);
    let books = bench.into_books();
    let rendered = render(&ActOutcome {
        economy,
        books: Some(&books),
        seq: books.seq(),
        recorded_at: at,
        act,
        verdict: &verdict,
    });
    let answer = Answer {
        // A preview creates nothing, so it never responds 201.
        status: if rendered.status == 201 {
            200
        } else {
            rendered.status
        },
        body: mark_preview(&rendered.body).into(),
        replayed: false,
    };
    (answer, books)
}

/// Removes the members that only records have, and adds `preview`. The draws come from a discarded seed, so they are
/// removed too.
fn mark_preview(body: &str) -> String {
    let mut body: Value = serde_json::from_str(body).unwrap_or_default();
    if let Some(body) = body.as_object_mut() {
        for member in ["id", "seq", "recorded_at", "call", "draws"] {
            body.remove(member);
        }
        body.insert("preview".into(), true.into());
    }
    body.to_string()
}

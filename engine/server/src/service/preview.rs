//! What would happen: decided over the newest snapshot, answered, and forgotten.
//!
//! Nothing of a preview reaches the writer, and no key is looked at or used up. What it says may
//! have changed by the time that somebody asks in earnest. Draws are made from a seed that is thrown
//! away, so a preview tells nothing of the draws that will count.

use std::sync::Arc;

use bursar_ledger::{Act, Books, CallRequest, EconomyId, Timestamp, Verdict};
use bursar_storage::{ActOutcome, Answer, Render};
use bursar_workbench::Workbench;
use serde_json::Value;

use super::{CallCommand, Service, blocking};
use crate::random;
use crate::service::error::ServiceError;

/// The key of a call that has none. Draws depend on it, and on the seed that is thrown away.
const NO_KEY: &str = "preview";

impl Service {
    /// What an act would come to now.
    pub async fn preview(&self, economy: &EconomyId, act: Act) -> Result<Answer, ServiceError> {
        let answers = self.preview_all(economy, vec![act]).await?;
        let answer = answers.into_iter().next();
        answer.ok_or(ServiceError::Bug("one act has one answer"))
    }

    /// What several acts would come to now, each after those before it. A large batch is much to
    /// decide: that is done where nobody else waits for it.
    pub async fn preview_all(
        &self,
        economy: &EconomyId,
        acts: Vec<Act>,
    ) -> Result<Vec<Answer>, ServiceError> {
        let (service, economy) = (self.clone(), economy.clone());
        let decided = blocking(move || {
            let state = service.state();
            let mut books = Books::clone(state.books(&economy).ok_or(ServiceError::NoEconomy)?);
            let mut answers = Vec::with_capacity(acts.len());
            for act in &acts {
                let (answer, after) = service.would_be(&economy, books, act);
                answers.push(answer);
                books = after;
            }
            Ok(answers)
        });
        decided.await?
    }

    /// What a call would come to now. It runs like any other, on a worker and within its bounds, and
    /// keeps its place until it has ended, even if nobody waits for it any more.
    pub async fn preview_call(
        &self,
        economy: EconomyId,
        calling: CallCommand,
    ) -> Result<Answer, ServiceError> {
        let bytes = calling.arguments.to_string().len();
        let place = self.admit(&economy, &calling.plugin, bytes)?;
        let service = self.clone();
        let until = self.parts.calls.patience();
        let call = calling.into_request(NO_KEY, self.now());
        let previewed = tokio::spawn(async move {
            let _place = place;
            let (of, plugin, seed) = (economy.clone(), call.plugin.clone(), random::seed());
            let work = move |service: &Self| {
                let state = service.state();
                let books = state.books(&of).ok_or(ServiceError::NoEconomy)?;
                let books = Arc::new(books.with_seed(seed));
                let draw_from = |books: &Books, request: &CallRequest| {
                    books.draw_origin(&request.caller, books.next_nonce())
                };
                let ended = service.run_here(&books, call, draw_from)?;
                Ok((ended, books))
            };
            let previewed = service.on_worker(&economy, &plugin, Some(until), work);
            let (ended, books) = previewed.await?;
            let attempted =
                ended.map_err(|unfinished| ServiceError::CallFailed(unfinished.failure))?;
            let act = Act::Call(Box::new(attempted.result));
            let books = Arc::unwrap_or_clone(books);
            let (answer, _) = service.would_be(&economy, books, &act);
            Ok(answer)
        });
        previewed
            .await
            .unwrap_or(Err(ServiceError::Bug("the preview broke off")))
    }

    /// What would follow from an act in these books, and the books after it. Nothing is answered.
    pub fn try_act(&self, books: &Books, act: &Act) -> (Verdict, Books) {
        let at = self.now().max(books.recorded_at());
        let mut bench = Workbench::with_books(books.clone(), at);
        let verdict = bench.act(act);
        (verdict, bench.into_books())
    }

    /// The time that the next record would have; it will have no earlier one.
    pub fn now(&self) -> Timestamp {
        self.parts.storage.clock().now()
    }

    /// The time that the machine shows, for those who hold it against their own clocks.
    pub fn wall(&self) -> Timestamp {
        self.parts.storage.clock().view().wall
    }

    /// What an act would come to in these books, and the books after it.
    fn would_be(&self, economy: &EconomyId, books: Books, act: &Act) -> (Answer, Books) {
        would_be(self.parts.render, self.now(), economy, books, act)
    }
}

/// What an act would come to in some books at a moment, and the books after it.
pub(super) fn would_be(
    render: Render,
    at: Timestamp,
    economy: &EconomyId,
    books: Books,
    act: &Act,
) -> (Answer, Books) {
    // A file that nobody serves may be somewhat ahead.
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
        // Nothing is created.
        status: if rendered.status == 201 {
            200
        } else {
            rendered.status
        },
        body: marked(&rendered.body).into(),
        replayed: false,
    };
    (answer, books)
}

/// The answer without what only a record has, and with a word that it is none. Its draws were made
/// from a seed that is thrown away.
fn marked(body: &str) -> String {
    let mut body: Value = serde_json::from_str(body).unwrap_or_default();
    if let Some(body) = body.as_object_mut() {
        for of_records in ["id", "seq", "recorded_at", "call", "draws"] {
            body.remove(of_records);
        }
        body.insert("preview".into(), true.into());
    }
    body.to_string()
}

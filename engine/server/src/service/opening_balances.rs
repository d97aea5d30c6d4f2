//! Opening balances out of lists. The key of a row is its account and its asset, so however a list is edited,
//! saved again, split or joined, what was issued once is found again, with its amount and the list that it
//! came from.

use std::collections::BTreeSet;
use std::sync::Arc;

use bursar_ledger::{
    AccountId, AccountPatch, Act, Amount, AssetId, Books, Digest, EconomyId, IssueRequest,
    Timestamp,
};
use bursar_storage::{
    Answer, IdempotencyKey, KEY_CHARS_MAX, OfflineFile, Render, Request, StorageError, StoredAnswer,
};
use serde_json::{Map, Value, json};

use super::preview::would_be;
use super::{RequestContext, Service};
use crate::random;
use crate::service::error::ServiceError;

/// Refusals of one row that are kept, each under a key of its own: whatever was in its way may be put right.
const REFUSALS_MAX: u32 = 64;

/// Who has opening balances issued, as records name it.
const ACTOR: &str = "owner";

/// One row of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpeningRow {
    /// Who gets it.
    pub account: AccountId,
    /// The asset.
    pub asset: AssetId,
    /// How much.
    pub amount: Amount,
    /// When it was so, elsewhere.
    pub effective_at: Option<Timestamp>,
    /// Why, for people.
    pub memo: Option<String>,
}

/// Rows of a list, and how they are meant.
#[derive(Clone, Debug)]
pub struct OpeningList {
    /// Whose balances.
    pub economy: EconomyId,
    /// The name of the list.
    pub list: String,
    /// The rows; no account stands twice with the same asset.
    pub rows: Vec<OpeningRow>,
    /// Whether a row is issued although another list has issued one for the same account and asset.
    pub force: bool,
}

/// What becomes of a row, or would.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RowOutcome {
    /// It can be issued.
    Ready {
        /// Whether its account is made for it.
        makes_account: bool,
    },
    /// It is issued now.
    Issued,
    /// This list had it issued before.
    Done,
    /// This list had it issued before, with another amount.
    Differs {
        /// What was issued.
        issued: u64,
    },
    /// Another list had a row of this account and asset issued.
    Elsewhere {
        /// The name of that list.
        list: String,
        /// What was issued.
        issued: u64,
    },
    /// The ledger refuses it.
    Refused {
        /// Why.
        detail: String,
    },
}

/// What is known of a row before it is sent.
enum Known {
    Unsent(IdempotencyKey),
    Settled(RowOutcome),
}

/// A row that is to be sent, with what is sent for it.
struct Planned {
    place: usize,
    makes_account: bool,
    asks: Vec<(RequestContext, Act)>,
}

/// The answer that is kept under a key.
type Lookup<'a> = dyn FnMut(&IdempotencyKey) -> Result<Option<StoredAnswer>, StorageError> + 'a;

impl Service {
    /// Says what would become of each row now, each after those before it. Nothing is written.
    pub async fn check_opening(&self, list: OpeningList) -> Result<Vec<RowOutcome>, ServiceError> {
        let economy = list.economy.clone();
        let (outcomes, planned) = self.plan_opening(list).await?;
        let answers = self.preview_all(&economy, acts_of(&planned)).await?;
        Ok(judged(outcomes, planned, answers))
    }

    /// Issues each row that was not yet. An answer that is missing may come by asking again.
    pub async fn issue_opening(&self, list: OpeningList) -> Result<Vec<RowOutcome>, ServiceError> {
        let (mut outcomes, planned) = self.plan_opening(list).await?;
        let (mut asks, mut places) = (Vec::new(), Vec::new());
        for row in planned {
            places.push((row.place, row.asks.len()));
            asks.extend(row.asks);
        }
        let mut answers = self.answers(self.send_all(asks)).await.into_iter();
        for (place, count) in places {
            let mut outcome = RowOutcome::Issued;
            for answer in answers.by_ref().take(count) {
                if let Err(no_answer @ (ServiceError::Writer(_) | ServiceError::Unreadable(_))) =
                    answer
                {
                    return Err(no_answer);
                }
                outcome = outcome_after(outcome, answer);
            }
            settle(&mut outcomes, place, outcome);
        }
        Ok(outcomes)
    }

    async fn plan_opening(
        &self,
        list: OpeningList,
    ) -> Result<(Vec<RowOutcome>, Vec<Planned>), ServiceError> {
        let state = self.state();
        let books = state.books(&list.economy).ok_or(ServiceError::NoEconomy)?;
        let books = Arc::clone(books);
        self.read(move |storage| list.plan(&books, &mut |key| storage.stored(&list.economy, key)))
            .await
    }
}

/// Says what would become of each row of a list in a file that nobody serves.
pub fn check_closed(
    file: &OfflineFile,
    list: &OpeningList,
    render: Render,
    now: Timestamp,
) -> Result<Vec<RowOutcome>, ServiceError> {
    let books = file.state().books(&list.economy);
    let books = books.ok_or(ServiceError::NoEconomy)?;
    let (outcomes, planned) = list.plan(books, &mut |key| file.stored(&list.economy, key))?;
    let (mut books, mut answers) = (Books::clone(books), Vec::new());
    for act in &acts_of(&planned) {
        let (answer, after) = would_be(render, now, &list.economy, books, act);
        answers.push(answer);
        books = after;
    }
    Ok(judged(outcomes, planned, answers))
}

fn acts_of(planned: &[Planned]) -> Vec<Act> {
    let asks = planned.iter().flat_map(|row| &row.asks);
    asks.map(|(_, act)| act.clone()).collect()
}

/// The outcomes of rows, by the answers to what would be sent for them.
fn judged(
    mut outcomes: Vec<RowOutcome>,
    planned: Vec<Planned>,
    answers: Vec<Answer>,
) -> Vec<RowOutcome> {
    let mut answers = answers.into_iter();
    for row in planned {
        let ready = RowOutcome::Ready {
            makes_account: row.makes_account,
        };
        let answers = answers.by_ref().take(row.asks.len());
        let outcome = answers.map(Ok).fold(ready, outcome_after);
        settle(&mut outcomes, row.place, outcome);
    }
    outcomes
}

fn settle(outcomes: &mut [RowOutcome], place: usize, outcome: RowOutcome) {
    if let Some(settled) = outcomes.get_mut(place) {
        *settled = outcome;
    }
}

/// What becomes of a row after one more answer to what was sent for it.
fn outcome_after(outcome: RowOutcome, answer: Result<Answer, ServiceError>) -> RowOutcome {
    let detail = match answer {
        Ok(answer) if answer.status < 300 => return outcome,
        Ok(answer) => {
            let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let detail = body.get("detail").and_then(Value::as_str);
            detail.unwrap_or("it was refused").into()
        }
        Err(no_answer) => no_answer.to_string(),
    };
    match outcome {
        // The first refusal is the reason of those after it.
        RowOutcome::Refused { .. } => outcome,
        _ => RowOutcome::Refused { detail },
    }
}

impl OpeningList {
    /// What has become of rows already, and what is to be sent for the others.
    fn plan(
        &self,
        books: &Books,
        stored: &mut Lookup<'_>,
    ) -> Result<(Vec<RowOutcome>, Vec<Planned>), StorageError> {
        let (mut outcomes, mut planned) = (Vec::new(), Vec::new());
        let mut made = BTreeSet::new();
        for (place, row) in self.rows.iter().enumerate() {
            match self.look_up(stored, row)? {
                Known::Settled(outcome) => outcomes.push(outcome),
                Known::Unsent(key) => {
                    let makes_account =
                        books.account(&row.account).is_none() && made.insert(&row.account);
                    outcomes.push(RowOutcome::Ready { makes_account });
                    planned.push(Planned {
                        place,
                        makes_account,
                        asks: self.asks(row, key, makes_account),
                    });
                }
            }
        }
        Ok((outcomes, planned))
    }

    /// What is known of a row by the keys that it may have been sent under.
    fn look_up(&self, stored: &mut Lookup<'_>, row: &OpeningRow) -> Result<Known, StorageError> {
        let before = match done_or_key(&base_key(row), stored)? {
            Ok(key) => return Ok(Known::Unsent(key)),
            Err(stored) => Before::of(&stored),
        };
        if before.list == self.list {
            return Ok(Known::Settled(before.outcome(row)));
        }
        match done_or_key(&format!("{}/{}", base_key(row), self.list), stored)? {
            Ok(key) if self.force => Ok(Known::Unsent(key)),
            Ok(_) => Ok(Known::Settled(RowOutcome::Elsewhere {
                list: before.list,
                issued: before.amount,
            })),
            Err(stored) => Ok(Known::Settled(Before::of(&stored).outcome(row))),
        }
    }

    /// What is sent for a row: its account, if that is not there, and the amount.
    fn asks(
        &self,
        row: &OpeningRow,
        key: IdempotencyKey,
        makes_account: bool,
    ) -> Vec<(RequestContext, Act)> {
        let economy = &self.economy;
        let context = |key, request| RequestContext {
            economy: economy.clone(),
            actor: ACTOR.into(),
            key,
            request,
        };
        let mut asks = Vec::new();
        if makes_account {
            let path = format!("/v1/economies/{economy}/accounts/{}", row.account);
            let act = Act::SetAccount {
                account: row.account.clone(),
                patch: AccountPatch::default(),
                admission: None,
            };
            asks.push((context(None, Request::new("PUT", &path, &json!({}))), act));
        }
        let path = format!("/v1/economies/{economy}/opening-balances");
        let issue = IssueRequest {
            id: random::transfer_id(),
            account: row.account.clone(),
            asset: row.asset.clone(),
            amount: row.amount,
            cap: None,
        };
        let request = Request::new("POST", &path, &self.words(row));
        asks.push((context(Some(key), request), Act::Issue(issue)));
        asks
    }

    /// A row as its record keeps it. The list is its `reference`, by which statements find it.
    fn words(&self, row: &OpeningRow) -> Value {
        let mut words = Map::new();
        words.insert("account".into(), json!(row.account));
        words.insert("amount".into(), json!(row.amount));
        words.insert("asset".into(), json!(row.asset));
        words.extend(
            row.effective_at
                .map(|at| ("effective_at".into(), json!(at))),
        );
        words.extend(row.memo.as_ref().map(|memo| ("memo".into(), json!(memo))));
        words.insert("reference".into(), json!(self.list));
        words.into()
    }
}

/// What the record of a row says.
struct Before {
    list: String,
    amount: u64,
}

impl Before {
    fn of(stored: &StoredAnswer) -> Self {
        let request: Value = serde_json::from_str(&stored.request).unwrap_or_default();
        let said = |name: &str| request.pointer(&format!("/body/{name}"));
        let list = said("reference").and_then(Value::as_str);
        Self {
            list: list.unwrap_or_default().into(),
            amount: said("amount").and_then(Value::as_u64).unwrap_or_default(),
        }
    }

    fn outcome(&self, row: &OpeningRow) -> RowOutcome {
        if self.amount == row.amount.get() {
            return RowOutcome::Done;
        }
        RowOutcome::Differs {
            issued: self.amount,
        }
    }
}

/// What was done under a key, or the key to do it under: after a refusal the next one, so that what was in the
/// way of a row once is not in its way for ever.
fn done_or_key(
    text: &str,
    stored: &mut Lookup<'_>,
) -> Result<Result<IdempotencyKey, StoredAnswer>, StorageError> {
    let mut refusals = 0;
    loop {
        let key = key(text, refusals);
        match stored(&key)? {
            Some(done) if done.status < 300 => return Ok(Err(done)),
            Some(_) if refusals < REFUSALS_MAX => refusals += 1,
            // The last one is answered as it was before.
            Some(_) | None => return Ok(Ok(key)),
        }
    }
}

/// The text of the key of the first row for an account and an asset, whichever list it is in.
fn base_key(row: &OpeningRow) -> String {
    format!("opening/{}/{}", row.account, row.asset)
}

/// A key. A text that cannot be one is named by its digest.
fn key(text: &str, refusals: u32) -> IdempotencyKey {
    let text = match refusals {
        0 => text.to_owned(),
        refusals => format!("{text}#{refusals}"),
    };
    let named = || format!("opening/{}", Digest::of(text.as_bytes()));
    let key = Some(&text).filter(|text| text.len() <= KEY_CHARS_MAX);
    let key = key.and_then(|text| text.parse().ok());
    key.unwrap_or_else(|| named().parse().expect("a digest is printable and short"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_row_is_refused_so_often_at_most() {
        let after = |refusals: u32| {
            let mut left = refusals;
            let mut stored = |_: &IdempotencyKey| {
                let refused = left > 0;
                left = left.saturating_sub(1);
                Ok(refused.then(|| StoredAnswer {
                    request: String::new(),
                    status: 422,
                    body: Bytes::new(),
                }))
            };
            let found = done_or_key("opening/user:1/coin", &mut stored).expect("no read fails");
            found.ok().map(|key| key.to_string())
        };
        let key = |number: u32| Some(format!("opening/user:1/coin#{number}"));
        assert_eq!(after(0), Some("opening/user:1/coin".into()));
        assert_eq!(after(1), key(1));
        assert_eq!(after(REFUSALS_MAX), key(REFUSALS_MAX));
        assert_eq!(after(REFUSALS_MAX + 1), key(REFUSALS_MAX));
    }

    #[test]
    fn names_of_any_length_and_script_have_keys_of_their_own() {
        let long = "x".repeat(KEY_CHARS_MAX);
        let keys = [
            key("\u{fc}", 0),
            key("\u{fc}", 1),
            key(&long, 0),
            key(&long, 1),
            key("x", 0),
        ];
        let different: BTreeSet<&str> = keys.iter().map(IdempotencyKey::as_str).collect();
        assert_eq!(different.len(), keys.len());
    }
}

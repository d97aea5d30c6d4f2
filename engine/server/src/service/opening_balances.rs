//! Opening balances from lists. The idempotency key of a row consists of its account and its asset. So a row that was
//! issued once is recognised in any edited, split or joined list, with the amount and the list of its first import.

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

use super::preview::decide;
use super::{RequestContext, Service};
use crate::random;
use crate::service::error::ServiceError;

/// The most stored rejections of one row. Each has a key of its own, so that a row can be issued after the cause of its
/// rejection is removed.
const REFUSALS_MAX: u32 = 64;

/// The actor in the records of opening balances.
const ACTOR: &str = "owner";

/// One opening balance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpeningRow {
    /// The account that receives it.
    pub account: AccountId,
    /// The asset.
    pub asset: AssetId,
    /// The amount.
    pub amount: Amount,
    /// The time of the balance in the system from which it comes.
    pub effective_at: Option<Timestamp>,
    /// A text for people.
    pub memo: Option<String>,
}

/// Rows of a list to check or issue.
#[derive(Clone, Debug)]
pub struct OpeningList {
    /// The economy.
    pub economy: EconomyId,
    /// The name of the list.
    pub list: String,
    /// The rows. No two have the same account and asset.
    pub rows: Vec<OpeningRow>,
    /// True to issue rows although another list has issued one for the same account and asset.
    pub force: bool,
}

/// The outcome of a row, or of its check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RowOutcome {
    /// The row can be issued.
    Ready {
        /// True if its account must be created.
        makes_account: bool,
    },
    /// The row was issued now.
    Issued,
    /// This list has issued the row before.
    Done,
    /// This list has issued the row before, with another amount.
    Differs {
        /// The issued amount.
        issued: u64,
    },
    /// Another list has issued a row with this account and asset.
    Elsewhere {
        /// The name of that list.
        list: String,
        /// The issued amount.
        issued: u64,
    },
    /// The ledger rejects the row.
    Refused {
        /// The reason.
        detail: String,
    },
}

/// The stored state of a row.
enum RowState {
    /// The row was not issued; its key.
    New(IdempotencyKey),
    /// The row was issued before.
    Issued(RowOutcome),
}

/// A row to be issued, with its requests.
struct PlannedRow {
    index: usize,
    makes_account: bool,
    requests: Vec<(RequestContext, Act)>,
}

/// A function that reads the stored answer of a key.
type Lookup<'a> = dyn FnMut(&IdempotencyKey) -> Result<Option<StoredAnswer>, StorageError> + 'a;

impl Service {
    /// Checks each row, as if those before it were issued. Nothing is written.
    pub async fn check_opening(&self, list: OpeningList) -> Result<Vec<RowOutcome>, ServiceError> {
        let economy = list.economy.clone();
        let (outcomes, planned) = self.plan_opening(list).await?;
        let answers = self.preview_all(&economy, acts_of(&planned)).await?;
        Ok(outcomes_of(outcomes, planned, answers))
    }

    /// Issues each row that was not issued before. After an error the whole list can be issued again.
    pub async fn issue_opening(&self, list: OpeningList) -> Result<Vec<RowOutcome>, ServiceError> {
        let (mut outcomes, planned) = self.plan_opening(list).await?;
        let mut requests = Vec::new();
        let mut counts = Vec::new();
        for row in planned {
            counts.push((row.index, row.requests.len()));
            requests.extend(row.requests);
        }
        let mut answers = Vec::with_capacity(requests.len());
        let pending = self.send_all(requests);
        self.answers(pending, |answer| answers.push(answer)).await;
        let mut answers = answers.into_iter();
        for (index, count) in counts {
            let mut outcome = RowOutcome::Issued;
            for answer in answers.by_ref().take(count) {
                if let Err(error @ (ServiceError::Writer(_) | ServiceError::Unreadable(_))) = answer
                {
                    return Err(error);
                }
                outcome = outcome_after(outcome, answer);
            }
            set_outcome(&mut outcomes, index, outcome);
        }
        Ok(outcomes)
    }

    /// Returns the outcome of each row that was issued before, and the plan for the others.
    async fn plan_opening(
        &self,
        list: OpeningList,
    ) -> Result<(Vec<RowOutcome>, Vec<PlannedRow>), ServiceError> {
        let state = self.state();
        let books = state.books(&list.economy).ok_or(ServiceError::NoEconomy)?;
        let books = Arc::clone(books);
        self.read(move |storage| list.plan(&books, &mut |key| storage.stored(&list.economy, key)))
            .await
    }
}

/// Checks each row of a list against an offline file, as if those before it were issued.
pub fn check_closed(
    file: &OfflineFile,
    list: &OpeningList,
    render: Render,
    now: Timestamp,
) -> Result<Vec<RowOutcome>, ServiceError> {
    let books = file.state().books(&list.economy);
    let books = books.ok_or(ServiceError::NoEconomy)?;
    let (outcomes, planned) = list.plan(books, &mut |key| file.stored(&list.economy, key))?;
    let mut books = Books::clone(books);
    let mut answers = Vec::new();
    for act in &acts_of(&planned) {
        let (answer, after) = decide(render, now, &list.economy, books, act);
        answers.push(answer);
        books = after;
    }
    Ok(outcomes_of(outcomes, planned, answers))
}

fn acts_of(planned: &[PlannedRow]) -> Vec<Act> {
    let requests = planned.iter().flat_map(|row| &row.requests);
    requests.map(|(_, act)| act.clone()).collect()
}

/// Sets the outcomes of planned rows by the answers to their requests.
fn outcomes_of(
    mut outcomes: Vec<RowOutcome>,
    planned: Vec<PlannedRow>,
    answers: Vec<Answer>,
) -> Vec<RowOutcome> {
    let mut answers = answers.into_iter();
    for row in planned {
        let ready = RowOutcome::Ready {
            makes_account: row.makes_account,
        };
        let answers = answers.by_ref().take(row.requests.len());
        let outcome = answers.map(Ok).fold(ready, outcome_after);
        set_outcome(&mut outcomes, row.index, outcome);
    }
    outcomes
}

fn set_outcome(outcomes: &mut [RowOutcome], index: usize, outcome: RowOutcome) {
    if let Some(entry) = outcomes.get_mut(index) {
        *entry = outcome;
    }
}

/// Returns the outcome of a row after the answer to one more of its requests.
fn outcome_after(outcome: RowOutcome, answer: Result<Answer, ServiceError>) -> RowOutcome {
    let detail = match answer {
        Ok(answer) if answer.status < 300 => return outcome,
        Ok(answer) => {
            let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let detail = body.get("detail").and_then(Value::as_str);
            detail.unwrap_or("the ledger rejected it").into()
        }
        Err(error) => error.to_string(),
    };
    match outcome {
        // If the account is rejected, the issue to it is rejected too, so only the first reason matters.
        RowOutcome::Refused { .. } => outcome,
        _ => RowOutcome::Refused { detail },
    }
}

impl OpeningList {
    /// Looks up all rows. Returns an outcome for each row, and the rows to be issued with their requests.
    fn plan(
        &self,
        books: &Books,
        stored: &mut Lookup<'_>,
    ) -> Result<(Vec<RowOutcome>, Vec<PlannedRow>), StorageError> {
        let mut outcomes = Vec::new();
        let mut planned = Vec::new();
        let mut created = BTreeSet::new();
        for (index, row) in self.rows.iter().enumerate() {
            match self.look_up(stored, row)? {
                RowState::Issued(outcome) => outcomes.push(outcome),
                RowState::New(key) => {
                    let makes_account =
                        books.account(&row.account).is_none() && created.insert(&row.account);
                    outcomes.push(RowOutcome::Ready { makes_account });
                    planned.push(PlannedRow {
                        index,
                        makes_account,
                        requests: self.requests(row, key, makes_account),
                    });
                }
            }
        }
        Ok((outcomes, planned))
    }

    /// Looks a row up by the keys under which it may have been issued.
    fn look_up(&self, stored: &mut Lookup<'_>, row: &OpeningRow) -> Result<RowState, StorageError> {
        let first = match answer_or_key(&base_key(row), stored)? {
            Ok(key) => return Ok(RowState::New(key)),
            Err(stored) => IssuedRow::of(&stored),
        };
        if first.list == self.list {
            return Ok(RowState::Issued(first.outcome(row)));
        }
        match answer_or_key(&format!("{}/{}", base_key(row), self.list), stored)? {
            Ok(key) if self.force => Ok(RowState::New(key)),
            Ok(_) => Ok(RowState::Issued(RowOutcome::Elsewhere {
                list: first.list,
                issued: first.amount,
            })),
            Err(stored) => Ok(RowState::Issued(IssuedRow::of(&stored).outcome(row))),
        }
    }

    /// Returns the requests for a row: the creation of its account, if needed, and the issue.
    fn requests(
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
        let mut requests = Vec::new();
        if makes_account {
            let path = format!("/v1/economies/{economy}/accounts/{}", row.account);
            let act = Act::SetAccount {
                account: row.account.clone(),
                patch: AccountPatch::default(),
                admission: None,
            };
            requests.push((context(None, Request::new("PUT", &path, &json!({}))), act));
        }
        let path = format!("/v1/economies/{economy}/opening-balances");
        let issue = IssueRequest {
            id: random::transfer_id(),
            account: row.account.clone(),
            asset: row.asset.clone(),
            amount: row.amount,
            cap: None,
        };
        let request = Request::new("POST", &path, &self.annotations(row));
        requests.push((context(Some(key), request), Act::Issue(issue)));
        requests
    }

    /// Returns the body of the request that the record of a row stores. The name of the list is the `reference`,
    /// by which statements can be filtered.
    fn annotations(&self, row: &OpeningRow) -> Value {
        let mut body = Map::new();
        body.insert("account".into(), json!(row.account));
        body.insert("amount".into(), json!(row.amount));
        body.insert("asset".into(), json!(row.asset));
        body.extend(
            row.effective_at
                .map(|at| ("effective_at".into(), json!(at))),
        );
        body.extend(row.memo.as_ref().map(|memo| ("memo".into(), json!(memo))));
        body.insert("reference".into(), json!(self.list));
        body.into()
    }
}

/// A row that was issued before, as its record stores it.
struct IssuedRow {
    list: String,
    amount: u64,
}

impl IssuedRow {
    fn of(stored: &StoredAnswer) -> Self {
        let request: Value = serde_json::from_str(&stored.request).unwrap_or_default();
        let member = |name: &str| request.pointer(&format!("/body/{name}"));
        let list = member("reference").and_then(Value::as_str);
        Self {
            list: list.unwrap_or_default().into(),
            amount: member("amount").and_then(Value::as_u64).unwrap_or_default(),
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

/// Returns the successful answer of a row (`Err`), or the key under which to issue it (`Ok`). A key with a stored rejection
/// would be answered with that rejection again, so each rejection is followed by another key.
fn answer_or_key(
    text: &str,
    stored: &mut Lookup<'_>,
) -> Result<Result<IdempotencyKey, StoredAnswer>, StorageError> {
    let mut rejections = 0;
    loop {
        let key = key(text, rejections);
        match stored(&key)? {
            Some(answer) if answer.status < 300 => return Ok(Err(answer)),
            Some(_) if rejections < REFUSALS_MAX => rejections += 1,
            // Beyond the limit the last rejection is replayed.
            Some(_) | None => return Ok(Ok(key)),
        }
    }
}

/// Returns the text of the key of the first row with an account and an asset, in any list.
fn base_key(row: &OpeningRow) -> String {
    format!("opening/{}/{}", row.account, row.asset)
}

/// Creates a key from a text and a number of rejections. A text that is too long or not printable is replaced by its
/// digest.
fn key(text: &str, rejections: u32) -> IdempotencyKey {
    let text = match rejections {
        0 => text.to_owned(),
        rejections => format!("{text}#{rejections}"),
    };
    let digest = || format!("opening/{}", Digest::of(text.as_bytes()));
    let key = Some(&text).filter(|text| text.len() <= KEY_CHARS_MAX);
    let key = key.and_then(|text| text.parse().ok());
    key.unwrap_or_else(|| digest().parse().expect("a digest is printable and short"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn rejections_of_a_row_are_stored_up_to_a_limit() {
        let after = |rejections: u32| {
            let mut left = rejections;
            let mut stored = |_: &IdempotencyKey| {
                let is_rejected = left > 0;
                left = left.saturating_sub(1);
                Ok(is_rejected.then(|| StoredAnswer {
                    request: String::new(),
                    status: 422,
                    body: Bytes::new(),
                }))
            };
            let found = answer_or_key("opening/user:1/coin", &mut stored).expect("no read fails");
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

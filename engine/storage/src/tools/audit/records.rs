//! The audit of one record: its request, its links, its effects and its answer.

use bursar_ledger::{
    AccountId, Act, Amount, AssetId, CallEnding, CallRequest, Change, Component, Decision, Digest,
    HostResponse, IssueRequest, Movement, OnExpiry, Postings, RollbackTarget, SpendLimit, Verdict,
    decide,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::auditor::Auditor;
use super::report::P;
use crate::commit::submission::ActOutcome;
use crate::error::StorageError;
use crate::index::entries::{entries_of, ids_of};
use crate::query::{revisions, subjects};
use crate::record::{ChainLink, Outcome, Record, VERSION};
use crate::rows;

impl Auditor<'_> {
    /// Checks the next record by all rules, and applies it.
    pub(super) fn check_record(
        &mut self,
        record: &Record,
        link: &ChainLink,
    ) -> Result<(), StorageError> {
        let act = record.act()?;
        let before = self
            .state
            .books(&record.economy)
            .map(|books| (**books).clone());
        let verdict = decide(before.as_ref(), record.recorded_at, &act);
        self.count(record, &act);
        self.check_effects(record, &act);
        self.state.replay(record, link)?;
        self.heads.pass(record, &link.hash);
        self.check_identity(record, &act)?;
        if let Some(index) = self.index {
            let entries = entries_of(record, &ids_of(&act, record.outcome));
            self.expected.add(index, &entries);
        }
        self.check_original(record, &act)?;
        self.check_what_came_back(record, &act)?;
        let movements = self.movements(record)?;
        let changes = record.changes()?;
        if record.version == VERSION {
            self.counts.decided += 1;
            self.check_verdict(record, &verdict, &movements, &changes);
            self.check_answer(record, &act, &verdict);
        }
        for change in &changes {
            match change {
                Change::AccountSet {
                    account, limits, ..
                } => {
                    for asset in limits.assets() {
                        let place = (record.economy.clone(), account.clone(), asset.clone());
                        self.limits_set.insert(place, record.seq);
                    }
                }
                Change::ComponentAdded { digest, component } => {
                    self.check_component(record, digest, component)?;
                }
                _ => {}
            }
        }
        if let Act::Reverse(request) = &act
            && request.force.is_some()
        {
            // A forced reversal explains balances beyond the limits of their accounts.
            let touched = movements.iter().map(|movement| &movement.posting);
            for posting in touched {
                for account in [&posting.source, &posting.destination] {
                    let place = (
                        record.economy.clone(),
                        account.clone(),
                        posting.asset.clone(),
                    );
                    self.limits_set.insert(place, record.seq);
                }
            }
        }
        Ok(())
    }

    /// Returns the movements of the record that was applied last, by name.
    fn movements(&self, record: &Record) -> Result<Vec<Movement>, StorageError> {
        record.named_movements(self.state.books_of(record)?)
    }

    /// Checks that a reversal reverses an earlier transfer.
    fn check_original(&mut self, record: &Record, act: &Act) -> Result<(), StorageError> {
        if let (Act::Reverse(request), Outcome::Applied) = (act, record.outcome) {
            let original = request.original.into();
            let moved = self.query(|source| subjects::moved(source, &record.economy, original))?;
            let Some(moved) = moved else {
                return Ok(());
            };
            let postings = moved.into_iter().map(|movement| movement.posting);
            let taken = Postings::new(postings.collect()).map(|made| made.reversed());
            if taken.as_ref() != Ok(&request.postings) {
                let what = format!(
                    "record {} reverses another transfer than it names",
                    record.id
                );
                self.find(P::Authority, what);
            }
        }
        Ok(())
    }

    /// Checks that a restored configuration is the one of an earlier record.
    fn check_what_came_back(&mut self, record: &Record, act: &Act) -> Result<(), StorageError> {
        let Act::RollBackPlugin {
            plugin,
            what: RollbackTarget::Configuration { to, patch },
        } = act
        else {
            return Ok(());
        };
        if record.outcome != Outcome::Applied {
            return Ok(());
        }
        let books = self.state.books(&record.economy);
        let installed = books.and_then(|books| books.plugin(plugin));
        let revision = installed
            .zip(*to)
            .and_then(|(found, to)| found.revision(to));
        let set_by = revision.map(|revision| revision.set_by);
        let found = match set_by {
            Some(seq) => {
                self.query(|source| revisions::read(source, &record.economy, plugin, seq))?
            }
            None => Some(None),
        };
        // Without an index the earlier record is not looked for.
        let Some(found) = found else {
            return Ok(());
        };
        let was = found.and_then(|revision| revision.installation);
        let was = was.map(|was| was.config.clone());
        if was.is_none() || was != patch.config {
            let what = format!("record {} gives back what never was", record.id);
            self.find(P::Authority, what);
        }
        Ok(())
    }

    fn count(&mut self, record: &Record, act: &Act) {
        self.counts.movements += record.movements.len() as u64;
        if let Act::Call(call) = act {
            let facts = call.transcript.exchanges();
            self.counts.calls += 1;
            self.counts.facts += facts.len() as u64;
            self.counts.draws += u64::from(call.transcript.draws());
            let refused =
                |fact: &bursar_ledger::Exchange| matches!(fact.response, HostResponse::Refused(_));
            if matches!(call.ending, CallEnding::Faulted { .. }) || facts.iter().any(refused) {
                self.counts.harmless += 1;
            }
        }
    }

    /// Checks that a rejected, declined or faulted act has no effects except used draws and a new due time.
    fn check_effects(&mut self, record: &Record, act: &Act) {
        let traces = matches!(
            act,
            Act::Call(call) if call.origin.is_some() || call.request.due.is_some()
        );
        let empty = record.movements.is_empty() && (traces || record.changes == "[]");
        match record.outcome {
            Outcome::Applied => {}
            Outcome::Rejected | Outcome::Declined | Outcome::Faulted | Outcome::Broken if empty => {
            }
            Outcome::Rejected | Outcome::Declined | Outcome::Broken => {
                self.find(
                    P::AllOrNothing,
                    format!("record {} was refused and moved", record.id),
                );
            }
            Outcome::Faulted => {
                self.find(
                    P::Contained,
                    format!("record {} is a fault and moved", record.id),
                );
            }
        }
    }

    /// Checks that the actor, the key and the request of the record are complete and consistent.
    fn check_identity(&mut self, record: &Record, act: &Act) -> Result<(), StorageError> {
        if record.actor.is_empty() || record.kind != act.kind() {
            self.find(
                P::Explainable,
                format!("record {} does not say who asked what", record.id),
            );
        }
        let newest = self.epochs.insert(record.economy.clone(), record.epoch);
        if newest.is_some_and(|newest| newest > record.epoch) {
            let what = format!(
                "record {} comes from an earlier opening than the one before it",
                record.id
            );
            self.find(P::Explainable, what);
        }
        if !is_what_was_asked(record, act) {
            let what = format!(
                "record {} decided upon something that was not asked",
                record.id
            );
            self.find(P::Explainable, what);
        }
        if let Some(key) = &record.key {
            self.counts.keyed += 1;
            if !self.is_first_of_key(record, key)? {
                let what = format!("the key of record {} leads elsewhere", record.id);
                self.find(P::ExactlyOnce, what);
            }
        }
        Ok(())
    }

    /// Returns true if no earlier record has the key of a record, and the index finds the record by it.
    fn is_first_of_key(&mut self, record: &Record, key: &str) -> Result<bool, StorageError> {
        let Some(index) = self.index else {
            return Ok(true);
        };
        for found in index.records_of_key_until(record.number.0, key, record.id)? {
            if found == record.id {
                return Ok(true);
            }
            // Two keys may have one fingerprint.
            let other = self.log.find(found)?;
            if other.is_none_or(|it| it.number == record.number && it.key.as_deref() == Some(key)) {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// Checks that the bytes of a component are stored and have its digest.
    fn check_component(
        &mut self,
        record: &Record,
        digest: &Digest,
        component: &Component,
    ) -> Result<(), StorageError> {
        self.counts.components += 1;
        let bytes = self
            .find_component
            .first(vec![rows::blob(digest)], |row| Ok(row.get::<Vec<u8>>(0)?))?;
        let wrong = match bytes {
            None => "is missing",
            Some(bytes) if Digest::of(&bytes) != *digest => "is not what was uploaded",
            Some(bytes) if bytes.len() as u64 != component.bytes => "has another size",
            Some(_) => return Ok(()),
        };
        let what = format!("the component {digest} of record {} {wrong}", record.id);
        self.find(P::Durable, what);
        Ok(())
    }

    /// Checks that the act has the same verdict if it is decided again.
    fn check_verdict(
        &mut self,
        record: &Record,
        verdict: &Verdict,
        movements: &[Movement],
        changes: &[Change],
    ) {
        let nothing = Decision::default();
        let decided = verdict.decision().unwrap_or(&nothing);
        let same_end = matches!(
            (verdict, record.outcome),
            (Verdict::Applied(_), Outcome::Applied)
                | (
                    Verdict::Rejected(_) | Verdict::RejectedWith(..),
                    Outcome::Rejected
                )
                | (Verdict::Declined(_), Outcome::Declined)
                | (Verdict::Faulted(_), Outcome::Faulted)
                | (Verdict::Broken(_), Outcome::Broken)
        );
        let same_effects = decided.movements() == movements && decided.changes() == changes;
        if !(same_end && same_effects) {
            let promise = if record.kind == "call" {
                P::Serializable
            } else {
                P::Limits
            };
            self.find(
                promise,
                format!("record {} would be decided otherwise", record.id),
            );
            if record.kind == "call" {
                self.find(
                    P::Deterministic,
                    format!("the call in record {} differs", record.id),
                );
            }
            self.find(
                P::Authority,
                format!("record {} did not follow the rules", record.id),
            );
        }
    }

    /// Checks that the answer is the same, byte for byte, if it is rendered again.
    fn check_answer(&mut self, record: &Record, act: &Act, verdict: &Verdict) {
        let books = self.state.books(&record.economy).map(|books| &**books);
        // The books are sealed by now; the answer was rendered a moment before, and may not say so.
        let rendered = (self.render)(&ActOutcome {
            economy: &record.economy,
            books,
            seq: record.seq,
            recorded_at: record.recorded_at,
            act,
            verdict,
        });
        if rendered.status != record.status || rendered.body.as_bytes() != &record.answer[..] {
            let what = format!(
                "the answer in record {} is not what it stands for",
                record.id
            );
            self.find(P::ExactlyOnce, what);
        }
    }
}

/// Returns true if an act that moves money is the one that its request describes. Other acts than transfers
/// are checked only with a key: an act without one is the server's own, because a client's request that moves
/// money has a key.
fn is_what_was_asked(record: &Record, act: &Act) -> bool {
    let request: Value = serde_json::from_str(&record.request).unwrap_or_default();
    let asked = |member: &str| request.get("body").and_then(|body| body.get(member));
    match act {
        Act::Transfer(transfer) => {
            read::<Postings>(asked("postings")).as_ref() == Some(&transfer.postings)
        }
        _ if record.key.is_none() => true,
        Act::Batch(batch) => {
            let decided = batch.transfers.as_slice().iter();
            let decided = decided.map(|transfer| Some(transfer.postings.clone()));
            let asked = asked("transfers").and_then(Value::as_array);
            let asked = asked.into_iter().flatten();
            asked
                .map(|transfer| read::<Postings>(transfer.get("postings")))
                .eq(decided)
        }
        Act::PlaceHold(hold) => {
            let posting = hold.reservation.posting();
            read::<AccountId>(asked("from")).as_ref() == Some(&posting.source)
                && read::<AccountId>(asked("to")).as_ref() == Some(&posting.destination)
                && read::<AssetId>(asked("asset")).as_ref() == Some(&posting.asset)
                && read::<Amount>(asked("amount")).as_ref() == Some(&posting.amount)
                && read::<u64>(asked("expires_in_s")).as_ref() == Some(&hold.expires_in_s)
                && read::<OnExpiry>(asked("on_expiry")).unwrap_or_default() == hold.on_expiry
        }
        Act::CaptureHold(capture) => {
            read::<Amount>(asked("amount")) == capture.amount && names(&request, &capture.hold)
        }
        Act::ReleaseHold { hold, .. } => names(&request, hold),
        Act::RollBackPlugin { what, .. } => is_what_goes_back(asked("what"), asked("to"), what),
        Act::Reverse(reversal) => {
            let forced = reversal.force.as_ref().map(|force| force.reason.as_str());
            names(&request, &reversal.original)
                && (forced.is_none() || asked("reason").and_then(Value::as_str) == forced)
                && asked("force").and_then(Value::as_bool).unwrap_or(false) == forced.is_some()
        }
        Act::Issue(IssueRequest {
            account,
            asset,
            amount,
            ..
        })
        | Act::Burn(IssueRequest {
            account,
            asset,
            amount,
            ..
        }) => {
            read::<AccountId>(asked("account")).as_ref() == Some(account)
                && read::<AssetId>(asked("asset")).as_ref() == Some(asset)
                && read::<Amount>(asked("amount")).as_ref() == Some(amount)
        }
        Act::Call(call) => {
            let CallRequest {
                caller,
                arguments,
                roles,
                spend_limit,
                ..
            } = &call.request;
            // Absent arguments are empty, and an absent limit equals `null`.
            read::<AccountId>(asked("caller")).as_ref() == Some(caller)
                && *asked("arguments").unwrap_or(&json!({})) == *arguments
                && read::<Vec<String>>(asked("roles")).unwrap_or_default() == *roles
                && read::<SpendLimit>(asked("spend_limit")) == *spend_limit
        }
        _ => true,
    }
}

/// Returns true if the path of a request leads to this resource.
fn names(request: &Value, id: &impl std::fmt::Display) -> bool {
    let path = request.get("path").and_then(Value::as_str);
    let mut segments = path.unwrap_or_default().split('/');
    let id = id.to_string();
    segments.any(|segment| segment == id)
}

/// Returns true if a rollback concerns the requested part, and the requested revision if there is one.
fn is_what_goes_back(
    asked: Option<&Value>,
    revision: Option<&Value>,
    what: &RollbackTarget,
) -> bool {
    let asked = asked.and_then(Value::as_str);
    match what {
        RollbackTarget::Component => asked == Some("component"),
        RollbackTarget::Configuration { to, .. } => {
            let named = read::<u64>(revision);
            asked == Some("configuration") && named.is_none_or(|named| Some(named) == *to)
        }
    }
}

/// Returns a part of a request as the server parses it, so that two spellings of a value are equal.
fn read<T: DeserializeOwned>(part: Option<&Value>) -> Option<T> {
    part.and_then(|part| T::deserialize(part).ok())
}

//! One record under every light: who asked for what, whether it follows, whether it is all there.

use bursar_ledger::{
    Act, Answer, Ask, CallRequest, Change, Component, Digest, Ending, IssueRequest, OnExpiry,
    Postings, Verdict, decide,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::Auditor;
use super::report::P;
use crate::error::StorageError;
use crate::record::{Outcome, Record, VERSION};
use crate::rows;
use crate::subjects::SubjectRow;
use crate::submission::Recorded;

impl Auditor {
    /// Checks the next record in every way, and applies it.
    pub(super) fn check_record(&mut self, record: &Record) -> Result<(), StorageError> {
        let act: Act = serde_json::from_str(&record.act)
            .map_err(|error| StorageError::damaged(record.id, format!("its act: {error}")))?;
        let before = self
            .state
            .books(&record.economy)
            .map(|books| (**books).clone());
        let verdict = decide(before.as_ref(), record.recorded_at, &act);
        self.count(record, &act);
        self.check_effects(record);
        self.state.replay(record)?;
        self.heads.pass(record);
        self.check_identity(record, &act)?;
        self.check_subjects(record, &act)?;
        for entry in &record.entries {
            if !self.order.agrees(&record.economy, entry)? {
                let what = format!("movement {} differs in the order of accounts", entry.number);
                self.find(P::Durable, what);
            }
        }
        if record.version == VERSION {
            self.counts.decided += 1;
            self.check_verdict(record, &verdict)?;
            self.check_answer(record, &act, &verdict);
        }
        let decision = record.decision()?;
        for change in decision.changes() {
            match change {
                Change::AccountSet {
                    account,
                    credit_limit,
                    ceiling,
                    ..
                } => {
                    let was = before.as_ref().and_then(|books| books.account(account));
                    let same = was.is_some_and(|was| {
                        was.credit_limit == *credit_limit && was.ceiling == *ceiling
                    });
                    // What leaves the limits alone explains nothing about them.
                    if !same {
                        let place = (record.economy.clone(), account.clone());
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
            // Whoever is outside of its limits by this has it to thank for it.
            let touched = record.entries.iter().map(|entry| &entry.movement.posting);
            for posting in touched {
                for account in [&posting.source, &posting.destination] {
                    let place = (record.economy.clone(), account.clone());
                    self.limits_set.insert(place, record.seq);
                }
            }
        }
        Ok(())
    }

    /// The record is found by what it is about; and what it takes back is what there was.
    fn check_subjects(&mut self, record: &Record, act: &Act) -> Result<(), StorageError> {
        for row in SubjectRow::of(act, record.outcome, &record.entries) {
            self.counts.subjects += 1;
            if !self.subjects.has(&row, record.id)? {
                let what = format!("record {} is not found by what it is about", record.id);
                self.find(P::Explainable, what);
            }
        }
        if let (Act::Reverse(request), Outcome::Applied) = (act, record.outcome) {
            let originals = self.about.find(&record.economy, request.original.into())?;
            let made = originals.first().map(|original| &original.movements);
            let taken = made.map(|movements| {
                let postings = movements.iter().map(|movement| movement.posting.clone());
                Postings::new(postings.collect()).map(|made| made.reversed())
            });
            if taken != Some(Ok(request.postings.clone())) {
                let what = format!("record {} takes back what never was", record.id);
                self.find(P::Authority, what);
            }
        }
        Ok(())
    }

    fn count(&mut self, record: &Record, act: &Act) {
        self.counts.movements += record.entries.len() as u64;
        if let Act::Call(call) = act {
            let facts = call.transcript.facts();
            self.counts.calls += 1;
            self.counts.facts += facts.len() as u64;
            let drawn = |fact: &&bursar_ledger::Fact| matches!(fact.ask, Ask::Draw { .. });
            self.counts.draws += facts.iter().filter(drawn).count() as u64;
            let refused = |fact: &bursar_ledger::Fact| matches!(fact.answer, Answer::Refused(_));
            if matches!(call.ending, Ending::Faulted { .. }) || facts.iter().any(refused) {
                self.counts.harmless += 1;
            }
        }
    }

    /// What was refused, declined or faulted has moved and changed nothing.
    fn check_effects(&mut self, record: &Record) {
        let empty = record.entries.is_empty() && record.changes == "[]";
        match record.outcome {
            Outcome::Applied => {}
            Outcome::Rejected | Outcome::Declined | Outcome::Faulted if empty => {}
            Outcome::Rejected | Outcome::Declined => {
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

    /// Who asked, under which key, for what: all of it is there and agrees.
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
            match self.keys.find(&record.economy, key) {
                Ok(Some(found)) if found == record.id => {}
                Ok(_) | Err(StorageError::Damaged { .. }) => {
                    let what = format!("the key of record {} leads elsewhere", record.id);
                    self.find(P::ExactlyOnce, what);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The bytes of a component are kept, and are those that its digest names.
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

    /// Decided again, it comes to the same.
    fn check_verdict(&mut self, record: &Record, verdict: &Verdict) -> Result<(), StorageError> {
        let kept = record.decision()?;
        let same = match (verdict, record.outcome) {
            (Verdict::Applied(decision), Outcome::Applied) => {
                decision.movements() == kept.movements() && decision.changes() == kept.changes()
            }
            (Verdict::Rejected(_), Outcome::Rejected)
            | (Verdict::Declined, Outcome::Declined)
            | (Verdict::Faulted, Outcome::Faulted) => true,
            _ => false,
        };
        if !same {
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
        Ok(())
    }

    /// Rendered again, it is the same answer, byte for byte.
    fn check_answer(&mut self, record: &Record, act: &Act, verdict: &Verdict) {
        let books = self.state.books(&record.economy).map(|books| &**books);
        // The books are sealed by now; the answer was rendered a moment before, and may not say so.
        let rendered = (self.render)(&Recorded {
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

/// Whether what was decided upon is what the client asked for, as far as money goes. What comes
/// without a key is no client's: every request that moves something has one.
fn is_what_was_asked(record: &Record, act: &Act) -> bool {
    let request: Value = serde_json::from_str(&record.request).unwrap_or_default();
    let asked = |member: &str| request.get("body").and_then(|body| body.get(member));
    let is = |member: &str, decided: Value| asked(member) == Some(&decided);
    match act {
        Act::Transfer(transfer) => is("postings", value(&transfer.postings)),
        _ if record.key.is_none() => true,
        Act::Batch(transfers) => {
            let decided = transfers.as_slice().iter();
            let decided = decided.map(|transfer| value(&transfer.postings));
            let asked = asked("transfers").and_then(Value::as_array);
            let asked = asked.into_iter().flatten();
            asked
                .map(|transfer| transfer.get("postings").cloned().unwrap_or_default())
                .eq(decided)
        }
        Act::PlaceHold(hold) => {
            let posting = hold.reservation.posting();
            let rule = asked("on_expiry").cloned();
            is("from", value(&posting.source))
                && is("to", value(&posting.destination))
                && is("asset", value(&posting.asset))
                && is("amount", value(&posting.amount))
                && is("expires_in_s", value(&hold.expires_in_s))
                && rule.unwrap_or_else(|| value(&OnExpiry::default())) == value(&hold.on_expiry)
        }
        Act::CaptureHold(capture) => {
            asked("amount").cloned().unwrap_or_default() == value(&capture.amount)
                && names(&request, &capture.hold)
        }
        Act::ReleaseHold { hold, .. } => names(&request, hold),
        Act::Reverse(reversal) => {
            let reason = asked("reason").cloned();
            let forced = reversal.force.as_ref().map(|force| value(&force.reason));
            names(&request, &reversal.original)
                && (forced.is_none() || reason == forced)
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
            is("account", value(account))
                && is("asset", value(asset))
                && is("amount", value(amount))
        }
        Act::Call(call) => {
            let CallRequest {
                caller,
                arguments,
                spend_limit,
                ..
            } = &call.request;
            // Absent arguments are none, and an absent limit is the same as `null`.
            is("caller", value(caller))
                && *asked("arguments").unwrap_or(&json!({})) == *arguments
                && asked("spend_limit").cloned().unwrap_or_default() == value(spend_limit)
        }
        _ => true,
    }
}

/// Whether the path of a request leads to this.
fn names(request: &Value, id: &impl std::fmt::Display) -> bool {
    let path = request.get("path").and_then(Value::as_str);
    let mut segments = path.unwrap_or_default().split('/');
    let id = id.to_string();
    segments.any(|segment| segment == id)
}

fn value(part: &impl Serialize) -> Value {
    serde_json::to_value(part).unwrap_or_default()
}

//! A call in progress: a snapshot with the call's own requests laid over it.
//!
//! The host lets a guest ask its draft; the ledger asks a fresh draft the same again when the call
//! is to be committed. If every answer is the same, what the call learned is still true and what it
//! asked for may be posted. That one comparison is what makes cooldowns, stock and limits hold
//! under any concurrency. This is also the only place that knows what a plugin may touch.

mod budgets;
mod draws;
mod holds;
mod money;
mod rights;
mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::account::Account;
use crate::amount::Amount;
use crate::books::Books;
use crate::call::proposal::{Settlement, Step, settle};
use crate::call::request::CallRequest;
use crate::call::transcript::{Exchange, HostRequest, HostResponse, Refusal, Transcript};
use crate::decision::Change;
use crate::digest::Digest;
use crate::document::Document;
use crate::draw::{DrawOrigin, Seed};
use crate::hold::Hold;
use crate::id::{AccountId, AccountKind, AssetId, HoldId};
use crate::plugin::installation::Plugin;
use crate::rejection::Rejection;
use crate::time::Timestamp;

type Place = (AccountId, AssetId);

/// What the steps so far do to a balance.
#[derive(Clone, Copy, Debug, Default)]
struct Delta {
    posted: i64,
    held: i64,
}

/// A call in progress.
#[derive(Clone, Debug)]
pub struct Draft {
    books: Books,
    call: CallRequest,
    plugin: Arc<Plugin>,
    /// The moment as of which it looks at the books. The guest sees the call's own time instead.
    at: Timestamp,
    facts: Vec<Exchange>,
    steps: Vec<Step>,
    deltas: BTreeMap<Place, Delta>,
    /// What has left the caller so far, or is newly held of it.
    spent: BTreeMap<AssetId, u64>,
    /// What was taken by patterns, gross.
    drawn: BTreeMap<Place, u64>,
    /// What may be paid back to accounts that were debited by a grant.
    owed_back: BTreeMap<Place, u64>,
    /// What is left of the amounts secured.
    secured: BTreeMap<Place, u64>,
    /// Holds as this call leaves them; none where one has ended.
    holds: BTreeMap<HoldId, Option<Arc<Hold>>>,
    /// Holds that can be ended after a draw: those that were secured, and those placed here.
    kept: BTreeSet<HoldId>,
    placed: u8,
    writes: BTreeMap<Arc<str>, Option<Arc<str>>>,
    /// The moments from which on runs of the plugin's schedules are wanted.
    wakes: BTreeMap<String, Timestamp>,
    /// Where its draws come from, with the server seed, once that is known.
    origin: Option<(DrawOrigin, Seed)>,
    mixed: String,
    draws: u32,
}

impl Draft {
    /// Begins a call as of a moment, unless it cannot begin.
    pub fn open(books: &Books, call: &CallRequest, at: Timestamp) -> Result<Self, Rejection> {
        books.status().check_open()?;
        let own = call.due.is_some() && call.caller == AccountId::of_plugin(&call.plugin);
        match call.caller.kind() {
            AccountKind::Open => {}
            // By itself a plugin runs on its own behalf.
            AccountKind::Plugin(_) if own => {}
            AccountKind::Issuer | AccountKind::Plugin(_) => {
                return Err(Rejection::ReservedAccount {
                    account: call.caller.clone(),
                });
            }
        }
        let Some(plugin) = books
            .plugin(&call.plugin)
            .filter(|plugin| plugin.installation.enabled)
        else {
            return Err(Rejection::PluginDisabled {
                plugin: call.plugin.clone(),
            });
        };
        let caller = books.account(&call.caller);
        let caller = caller.ok_or_else(|| Rejection::AccountNotFound {
            account: call.caller.clone(),
        })?;
        caller.check_open(&call.caller)?;
        Ok(Self {
            plugin: Arc::clone(plugin),
            books: books.clone(),
            call: call.clone(),
            at,
            facts: Vec::new(),
            steps: Vec::new(),
            deltas: BTreeMap::new(),
            spent: BTreeMap::new(),
            drawn: BTreeMap::new(),
            owed_back: BTreeMap::new(),
            secured: BTreeMap::new(),
            holds: BTreeMap::new(),
            kept: BTreeSet::new(),
            placed: 0,
            writes: BTreeMap::new(),
            wakes: BTreeMap::new(),
            origin: None,
            mixed: String::new(),
            draws: 0,
        })
    }

    /// What was asked of the plugin.
    pub fn call(&self) -> &CallRequest {
        &self.call
    }

    /// The plugin as it is installed.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// The component that is to run.
    pub fn component(&self) -> Digest {
        self.plugin.installation.component
    }

    /// The operator's configuration of the plugin.
    pub fn config(&self) -> &Document {
        &self.plugin.installation.config
    }

    /// Asks one thing, and remembers what was told.
    pub fn perform(&mut self, ask: HostRequest) -> HostResponse {
        let answer = self.tell(&ask);
        self.facts.push(Exchange {
            ask,
            answer: answer.clone(),
        });
        answer
    }

    /// Ends the call: what it learned and asked.
    pub fn close(self) -> Transcript {
        Transcript::new(self.plugin.version, self.facts)
    }

    /// Whether a finished call would go the same way here and now.
    pub(crate) fn repeats(&mut self, transcript: &Transcript) -> bool {
        self.plugin.version == transcript.version()
            && transcript
                .facts()
                .iter()
                .all(|fact| self.tell(&fact.ask) == fact.answer)
    }

    /// What becomes of the books if all that was asked for so far happens.
    pub(crate) fn settle(&self) -> Result<Settlement, Rejection> {
        let growth = self.growth();
        let settled = settle(&self.books, &self.steps, &self.call.plugin, &growth)?;
        self.check_budgets()?;
        self.check_state()?;
        Ok(settled)
    }

    /// What is written if the call commits.
    pub(crate) fn writes(&self) -> impl Iterator<Item = Change> + '_ {
        self.writes.iter().map(|(key, value)| {
            let (plugin, key) = (self.call.plugin.clone(), Arc::clone(key));
            match value {
                Some(value) => Change::StateSet {
                    plugin,
                    key,
                    value: Arc::clone(value),
                },
                None => Change::StateDeleted { plugin, key },
            }
        })
    }

    /// The schedules of which the call wants a run, and from when on.
    pub(crate) fn wakes(&self) -> &BTreeMap<String, Timestamp> {
        &self.wakes
    }

    fn tell(&mut self, ask: &HostRequest) -> HostResponse {
        self.answer(ask).unwrap_or_else(HostResponse::Refused)
    }

    fn answer(&mut self, ask: &HostRequest) -> Result<HostResponse, Refusal> {
        match ask {
            HostRequest::Balance { account, asset } => {
                self.balance(account, asset).map(HostResponse::Balance)
            }
            HostRequest::HasAtLeast {
                account,
                asset,
                amount,
            } => {
                let seen = self.balance(account, asset)?;
                Ok(HostResponse::Bool(seen.spendable >= amount.get()))
            }
            HostRequest::Transfer(posting) => self.transfer(posting),
            HostRequest::PlaceHold { rule, posting } => self.place_hold(rule, posting),
            HostRequest::CaptureHold { hold, amount } => self.capture_hold(*hold, *amount),
            HostRequest::ReleaseHold { hold } => self.release_hold(*hold),
            HostRequest::HoldLeft { hold } => Ok(HostResponse::Left(self.hold_left(*hold))),
            HostRequest::SecureHold { hold } => self.secure_hold(*hold),
            HostRequest::Secure {
                account,
                asset,
                amount,
            } => self.secure(account, asset, *amount),
            HostRequest::Draw { .. } | HostRequest::Shuffle { .. } | HostRequest::Bytes { .. } => {
                self.draw(ask)
            }
            HostRequest::Mix { text } => self.mix(text),
            HostRequest::ClientSeed => Ok(HostResponse::Text(
                self.books.client_seed(&self.call.caller),
            )),
            HostRequest::Get { key } => Ok(HostResponse::Value(self.value(key))),
            HostRequest::Set { key, value } => {
                self.writes.insert(Arc::clone(key), Some(Arc::clone(value)));
                Ok(HostResponse::Done)
            }
            HostRequest::Delete { key } => {
                self.writes.insert(Arc::clone(key), None);
                Ok(HostResponse::Done)
            }
            HostRequest::List { prefix, cursor } => {
                Ok(HostResponse::Page(self.page(prefix, cursor.as_deref())))
            }
            HostRequest::Wake { schedule, from } => self.wake(schedule, *from),
        }
    }

    fn wake(&mut self, schedule: &str, from: Timestamp) -> Result<HostResponse, Refusal> {
        if !self.plugin.installation.schedules.contains_key(schedule) {
            let schedule = schedule.into();
            return Err(Refusal::NoSchedule { schedule });
        }
        let wanted = self.wakes.entry(schedule.into()).or_insert(from);
        *wanted = from.min(*wanted);
        Ok(HostResponse::Done)
    }

    fn is_own(&self, account: &AccountId) -> bool {
        account.belongs_to(&self.call.plugin)
    }

    fn is_caller(&self, account: &AccountId) -> bool {
        *account == self.call.caller
    }

    fn find(&self, account: &AccountId, asset: &AssetId) -> Result<&Arc<Account>, Refusal> {
        if self.books.asset(asset).is_none() {
            return Err(Refusal::UnknownAsset {
                asset: asset.clone(),
            });
        }
        self.books
            .account(account)
            .ok_or_else(|| Refusal::UnknownAccount {
                account: account.clone(),
            })
    }

    fn delta(&self, account: &AccountId, asset: &AssetId) -> Delta {
        self.deltas
            .get(&(account.clone(), asset.clone()))
            .copied()
            .unwrap_or_default()
    }

    fn delta_mut(&mut self, account: &AccountId, asset: &AssetId) -> &mut Delta {
        let place = (account.clone(), asset.clone());
        self.deltas.entry(place).or_default()
    }

    /// What can be spent of a balance with everything so far applied.
    fn spendable(&self, account: &AccountId, asset: &AssetId) -> Result<u64, Refusal> {
        let delta = self.delta(account, asset);
        let found = self.find(account, asset)?;
        Ok(found.spendable_after(asset, delta.posted.saturating_sub(delta.held)))
    }

    /// What may be paid back to an account that this call has debited by a grant.
    fn owed_back(&self, account: &AccountId, asset: &AssetId) -> u64 {
        let place = (account.clone(), asset.clone());
        self.owed_back.get(&place).copied().unwrap_or(0)
    }

    /// How much was kept for the time after a draw in an asset, all together.
    fn all_secured(&self, asset: &AssetId) -> i64 {
        let of_asset = self
            .secured
            .iter()
            .filter(|((_, secured), _)| secured == asset);
        let sum = of_asset.fold(0_u64, |sum, (_, amount)| sum.saturating_add(*amount));
        i64::try_from(sum).unwrap_or(i64::MAX)
    }

    /// What may still come to an account after a draw: secured amounts and kept holds. An account that
    /// was debited gets at most that much back.
    fn promised(&self, account: &AccountId, asset: &AssetId) -> i64 {
        let secured = self.all_secured(asset);
        let secured = if self.is_caller(account) {
            secured
        } else {
            let back = i64::try_from(self.owed_back(account, asset));
            secured.min(back.unwrap_or(i64::MAX))
        };
        let kept = self.kept.iter().filter_map(|hold| self.find_hold(*hold));
        let to_it = kept.filter(|hold| {
            let posting = hold.reservation.posting();
            posting.destination == *account && posting.asset == *asset
        });
        to_it.fold(secured, |sum, hold| {
            sum.saturating_add(hold.remaining.signed())
        })
    }

    /// Whether an account has room for so much more than everything that may still come to it: whether
    /// a win can be paid must not turn out after the draw.
    fn check_room(&self, account: &AccountId, asset: &AssetId, more: i64) -> Result<(), Refusal> {
        let found = self.find(account, asset)?;
        if !found.status.is_open() {
            return Err(Refusal::NoRoom);
        }
        let after = found
            .balance(asset)
            .posted
            .saturating_add(self.delta(account, asset).posted)
            .saturating_add(self.promised(account, asset))
            .saturating_add(more);
        if after > found.limits.ceiling(asset).signed() {
            return Err(Refusal::NoRoom);
        }
        Ok(())
    }

    /// Counts what leaves the caller, gross: what comes back does not make room again. Says what would
    /// have left by then.
    fn spent_after(
        &self,
        source: &AccountId,
        asset: &AssetId,
        amount: Amount,
    ) -> Result<Option<u64>, Refusal> {
        if !self.is_caller(source) || self.is_own(source) {
            return Ok(None);
        }
        let before = self.spent.get(asset).copied().unwrap_or(0);
        let asked = before.saturating_add(amount.get());
        let caps = [
            self.call.spend_limit.as_ref(),
            self.call
                .cap
                .as_ref()
                .map(crate::key::limits::TransferCap::caps),
            self.plugin.installation.grants.spend_per_call.as_ref(),
        ];
        let most = caps
            .into_iter()
            .flatten()
            .map(|cap| cap.get(asset).copied().unwrap_or_default())
            .min();
        match most {
            Some(most) if asked > most.get() => Err(Refusal::OverLimit {
                asset: asset.clone(),
                most,
                asked,
            }),
            Some(_) | None => Ok(Some(asked)),
        }
    }
}

//! A call in progress: a snapshot with the call's own requests laid over it.
//!
//! The host lets a guest ask its draft; the ledger asks a fresh draft the same again when the call
//! is to be committed. If every answer is the same, what the call learned is still true and what it
//! asked for may be posted. That one comparison is what makes cooldowns, stock and limits hold
//! under any concurrency. This is also the only place that knows what a plugin may touch.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::account::Account;
use crate::amount::{Amount, Limit};
use crate::books::Books;
use crate::call::CallRequest;
use crate::decision::Change;
use crate::digest::Digest;
use crate::draw::draw_below;
use crate::fact::{Answer, Ask, Fact, Page, Refusal, Seen, Transcript};
use crate::id::{AccountId, AccountKind, AssetId};
use crate::key_limits::TransferCap;
use crate::limits::{STATE_BYTES_MAX, STATE_PAGE_KEYS_MAX};
use crate::movement::Posting;
use crate::plugin::Plugin;
use crate::rejection::Rejection;

type Place = (AccountId, AssetId);

/// A call in progress.
#[derive(Clone, Debug)]
pub struct Draft {
    books: Books,
    call: CallRequest,
    plugin: Arc<Plugin>,
    facts: Vec<Fact>,
    postings: Vec<Posting>,
    /// What the postings so far do to each balance.
    deltas: BTreeMap<Place, i64>,
    /// What has left the caller so far.
    spent: BTreeMap<AssetId, u64>,
    /// What is left of the amounts secured.
    secured: BTreeMap<Place, u64>,
    writes: BTreeMap<Arc<str>, Option<Arc<str>>>,
    draws: u64,
}

impl Draft {
    /// Begins a call, unless it cannot begin.
    pub fn open(books: &Books, call: &CallRequest) -> Result<Self, Rejection> {
        books.status().check_open()?;
        match call.caller.kind() {
            AccountKind::Open => {}
            AccountKind::Issuer | AccountKind::Plugin(_) => {
                return Err(Rejection::ReservedAccount {
                    account: call.caller.clone(),
                });
            }
        }
        let Some(plugin) = books.plugin(&call.plugin).filter(|plugin| plugin.enabled) else {
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
            facts: Vec::new(),
            postings: Vec::new(),
            deltas: BTreeMap::new(),
            spent: BTreeMap::new(),
            secured: BTreeMap::new(),
            writes: BTreeMap::new(),
            draws: 0,
        })
    }

    /// What was asked of the plugin.
    pub fn call(&self) -> &CallRequest {
        &self.call
    }

    /// The component that is to run.
    pub fn component(&self) -> Digest {
        self.plugin.component
    }

    /// The operator's configuration of the plugin.
    pub fn config(&self) -> &serde_json::Value {
        &self.plugin.config
    }

    /// Whether the call has drawn. From then on it may not decline.
    pub fn has_drawn(&self) -> bool {
        self.draws > 0
    }

    /// Asks one thing, and remembers what was told.
    pub fn perform(&mut self, ask: Ask) -> Answer {
        let answer = self.answer(&ask).unwrap_or_else(Answer::Refused);
        self.facts.push(Fact {
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
                .all(|fact| self.perform(fact.ask.clone()) == fact.answer)
    }

    /// What is to be posted and written if the call commits.
    pub(crate) fn into_effects(self) -> (Vec<Posting>, Vec<Change>) {
        let plugin = self.call.plugin;
        let change = |(key, value): (Arc<str>, Option<Arc<str>>)| match value {
            Some(value) => Change::StateSet {
                plugin: plugin.clone(),
                key,
                value,
            },
            None => Change::StateDeleted {
                plugin: plugin.clone(),
                key,
            },
        };
        (self.postings, self.writes.into_iter().map(change).collect())
    }

    fn answer(&mut self, ask: &Ask) -> Result<Answer, Refusal> {
        match ask {
            Ask::Balance { account, asset } => self.balance(account, asset).map(Answer::Balance),
            Ask::HasAtLeast {
                account,
                asset,
                amount,
            } => {
                let seen = self.balance(account, asset)?;
                Ok(Answer::Whether(seen.spendable >= amount.get()))
            }
            Ask::Transfer(posting) => self.transfer(posting),
            Ask::Secure {
                account,
                asset,
                amount,
            } => self.secure(account, asset, *amount),
            Ask::Draw { range, .. } => Ok(Answer::Drawn(self.draw(*range))),
            Ask::Get { key } => Ok(Answer::Value(self.value(key))),
            Ask::Set { key, value } => {
                self.writes.insert(Arc::clone(key), Some(Arc::clone(value)));
                Ok(Answer::Done)
            }
            Ask::Delete { key } => {
                self.writes.insert(Arc::clone(key), None);
                Ok(Answer::Done)
            }
            Ask::List { prefix, cursor } => Ok(Answer::Page(self.page(prefix, cursor.as_deref()))),
        }
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

    fn delta(&self, account: &AccountId, asset: &AssetId) -> i64 {
        self.deltas
            .get(&(account.clone(), asset.clone()))
            .copied()
            .unwrap_or(0)
    }

    fn balance(&self, account: &AccountId, asset: &AssetId) -> Result<Seen, Refusal> {
        let granted = self.plugin.grants.read.contains(account);
        if !(self.is_own(account) || self.is_caller(account) || granted) {
            return Err(Refusal::NotGranted {
                what: format!("read `{account}`"),
            });
        }
        let found = self.find(account, asset)?;
        let (balance, delta) = (found.balance(asset), self.delta(account, asset));
        Ok(Seen {
            posted: balance.posted.saturating_add(delta),
            held: balance.held.get(),
            spendable: found.spendable_after(asset, delta),
        })
    }

    fn transfer(&mut self, posting: &Posting) -> Result<Answer, Refusal> {
        if posting.source == posting.destination {
            return Err(Refusal::SameAccount);
        }
        self.check_authority(posting)?;
        self.find(&posting.source, &posting.asset)?;
        self.find(&posting.destination, &posting.asset)?;
        let secured = self.secured_after(posting)?;
        let spent = self.spent_after(posting)?;
        // From here on nothing is refused.
        if let Some((place, left)) = secured {
            self.secured.insert(place, left);
        }
        if let Some(spent) = spent {
            self.spent.insert(posting.asset.clone(), spent);
        }
        let amount = posting.amount.signed();
        self.shift(&posting.source, &posting.asset, amount.saturating_neg());
        self.shift(&posting.destination, &posting.asset, amount);
        self.postings.push(posting.clone());
        Ok(Answer::Done)
    }

    fn shift(&mut self, account: &AccountId, asset: &AssetId, by: i64) {
        let delta = self
            .deltas
            .entry((account.clone(), asset.clone()))
            .or_insert(0);
        *delta = delta.saturating_add(by);
    }

    /// A plugin debits its own accounts, the caller's, and granted ones; it credits any account,
    /// but an issuer only with a grant.
    fn check_authority(&self, posting: &Posting) -> Result<(), Refusal> {
        let Posting {
            source,
            destination,
            ..
        } = posting;
        let grants = &self.plugin.grants;
        if !(self.is_own(source) || self.is_caller(source) || grants.debit.contains(source)) {
            return Err(Refusal::NotGranted {
                what: format!("debit `{source}`"),
            });
        }
        if destination.is_issuer() && !grants.credit.contains(destination) {
            return Err(Refusal::NotGranted {
                what: format!("credit `{destination}`"),
            });
        }
        // An issuer's account is of its own asset: with it no other can be made.
        let of_another = |account: &&AccountId| {
            account.is_issuer() && **account != AccountId::issuer(&posting.asset)
        };
        if let Some(issuer) = [source, destination].into_iter().find(of_another) {
            return Err(Refusal::NotGranted {
                what: format!("move {} on `{issuer}`", posting.asset),
            });
        }
        let stays_here = self.is_own(destination) || self.is_caller(destination);
        if self.has_drawn() && !(self.is_own(source) && stays_here) {
            return Err(Refusal::AfterDraw);
        }
        Ok(())
    }

    /// What stays secured where the posting takes from. Whatever is secured is kept for the draw: it
    /// is all that may leave that balance, and the room that it needs is not filled with other coins.
    fn secured_after(&self, posting: &Posting) -> Result<Option<(Place, u64)>, Refusal> {
        let Posting {
            source,
            destination,
            asset,
            amount,
        } = posting;
        let place = (source.clone(), asset.clone());
        let Some(secured) = self.secured.get(&place) else {
            if self.has_drawn() {
                return Err(Refusal::NotSecured);
            }
            if self.is_caller(destination) && self.all_secured(asset) > 0 {
                self.check_room(asset, amount.signed())?;
            }
            return Ok(None);
        };
        // What is paid out of the secured amounts needs the room that was checked for it.
        let left = secured.checked_sub(amount.get());
        Ok(Some((place, left.ok_or(Refusal::NotSecured)?)))
    }

    /// Whether the caller has room for so much more than everything that is secured: whether a win
    /// can be paid must not turn out after the draw.
    fn check_room(&self, asset: &AssetId, more: i64) -> Result<(), Refusal> {
        let caller = self.find(&self.call.caller, asset)?;
        if !caller.status.is_open() {
            return Err(Refusal::NoRoom);
        }
        let after = caller
            .balance(asset)
            .posted
            .saturating_add(self.delta(&self.call.caller, asset))
            .saturating_add(self.all_secured(asset))
            .saturating_add(more);
        if after > caller.ceiling().signed() {
            return Err(Refusal::NoRoom);
        }
        Ok(())
    }

    /// What has left the caller after the posting, gross: what comes back does not make room again.
    fn spent_after(&self, posting: &Posting) -> Result<Option<u64>, Refusal> {
        if !self.is_caller(&posting.source) {
            return Ok(None);
        }
        let asset = &posting.asset;
        let before = self.spent.get(asset).copied().unwrap_or(0);
        let asked = before.saturating_add(posting.amount.get());
        let caps = [
            self.call.spend_limit.as_ref(),
            self.call.cap.as_ref().map(TransferCap::caps),
            self.plugin.grants.spend_per_call.as_ref(),
        ];
        let most = caps
            .into_iter()
            .flatten()
            .map(|cap| cap.get(asset).copied().unwrap_or(Limit::ZERO))
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

    fn secure(
        &mut self,
        account: &AccountId,
        asset: &AssetId,
        amount: Amount,
    ) -> Result<Answer, Refusal> {
        if self.has_drawn() {
            return Err(Refusal::AfterDraw);
        }
        if !self.is_own(account) {
            return Err(Refusal::NotGranted {
                what: format!("secure on `{account}`"),
            });
        }
        let found = self.find(account, asset)?;
        let spendable = found.spendable_after(asset, self.delta(account, asset));
        let place = (account.clone(), asset.clone());
        let secured = self
            .secured
            .get(&place)
            .copied()
            .unwrap_or(0)
            .saturating_add(amount.get());
        if spendable < secured {
            return Err(Refusal::InsufficientFunds);
        }
        self.check_room(asset, amount.signed())?;
        self.secured.insert(place, secured);
        Ok(Answer::Done)
    }

    fn all_secured(&self, asset: &AssetId) -> i64 {
        let of_asset = self
            .secured
            .iter()
            .filter(|((_, secured), _)| secured == asset);
        let sum = of_asset.fold(0_u64, |sum, (_, amount)| sum.saturating_add(*amount));
        i64::try_from(sum).unwrap_or(i64::MAX)
    }

    fn draw(&mut self, range: u32) -> u32 {
        let drawn = draw_below(self.books.seed(), &self.call, self.draws, range);
        self.draws = self.draws.saturating_add(1);
        drawn
    }

    fn value(&self, key: &str) -> Option<Arc<str>> {
        match self.writes.get(key) {
            Some(written) => written.clone(),
            None => self.plugin.state.get(key).cloned(),
        }
    }

    fn page(&self, prefix: &str, cursor: Option<&str>) -> Page {
        let from: Arc<str> = cursor
            .filter(|cursor| *cursor > prefix)
            .unwrap_or(prefix)
            .into();
        let wanted = STATE_PAGE_KEYS_MAX.saturating_add(1);
        // Of the stored keys at most as many can be hidden by a delete as were written.
        let stored = self
            .plugin
            .state
            .range(Arc::clone(&from)..)
            .map(|(key, _)| key);
        let mut keys: Vec<Arc<str>> = stored
            .take_while(|key| key.starts_with(prefix))
            .filter(|key| !self.writes.contains_key(*key))
            .take(wanted)
            .cloned()
            .collect();
        let written = self
            .writes
            .range(from..)
            .filter(|(_, value)| value.is_some());
        keys.extend(
            written
                .map(|(key, _)| key)
                .filter(|key| key.starts_with(prefix))
                .cloned(),
        );
        keys.sort_unstable();
        let next = keys.get(STATE_PAGE_KEYS_MAX).cloned();
        keys.truncate(STATE_PAGE_KEYS_MAX);
        Page { keys, next }
    }

    /// Whether what the call writes fits beside what the plugin keeps.
    pub(crate) fn check_quota(&self) -> Result<(), Rejection> {
        let size = |key: &str, value: Option<&Arc<str>>| {
            value.map_or(0, |value| key.len().saturating_add(value.len()))
        };
        let bytes = self
            .writes
            .iter()
            .fold(self.plugin.state_bytes, |bytes, (key, value)| {
                bytes
                    .saturating_sub(size(key, self.plugin.state.get(key)))
                    .saturating_add(size(key, value.as_ref()))
            });
        // A plugin that is over its quota may still shrink.
        if bytes > STATE_BYTES_MAX && bytes > self.plugin.state_bytes {
            let plugin = self.call.plugin.clone();
            return Err(Rejection::StateQuota {
                plugin,
                bytes,
                most: STATE_BYTES_MAX,
            });
        }
        Ok(())
    }
}

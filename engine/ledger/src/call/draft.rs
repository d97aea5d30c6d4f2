//! A call in progress: a snapshot of the books with the call's own requests applied to it.
//!
//! The host answers a running plugin from a draft. When the call is to be committed, the ledger repeats the
//! transcript against a new draft of the present books: if every response is equal, everything that the
//! call has read is unchanged, and its requests can be posted. This is optimistic concurrency control by
//! validation of reads (Kung and Robinson, 1981); cooldowns, stocks and limits hold under any concurrency
//! without locks.
//!
//! Everything that a plugin may access is decided here.

mod budgets;
mod draws;
mod holds;
mod money;
mod rights;
mod state;

use std::borrow::Borrow;
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

type BalanceKey = (AccountId, AssetId);

/// A change of a balance by the steps so far.
#[derive(Clone, Copy, Debug, Default)]
struct Delta {
    posted: i64,
    held: i64,
}

/// A call in progress.
#[derive(Clone, Debug)]
pub struct Draft<B = Arc<Books>, R = CallRequest> {
    books: B,
    call: R,
    plugin: Arc<Plugin>,
    /// The moment as of which the draft reads the books. The plugin sees the call's own time instead, which
    /// is equal in every attempt.
    at: Timestamp,
    exchanges: Vec<Exchange>,
    steps: Vec<Step>,
    deltas: BTreeMap<BalanceKey, Delta>,
    /// The amounts that have left the caller so far, or are newly reserved there.
    spent: BTreeMap<AssetId, u64>,
    /// The amounts that were debited by pattern grants. Amounts that were paid back still count.
    taken: BTreeMap<BalanceKey, u64>,
    /// The amounts that may be paid back to accounts that were debited by a grant.
    repayable: BTreeMap<BalanceKey, u64>,
    /// The secured amounts that are left.
    secured: BTreeMap<BalanceKey, u64>,
    /// The holds that this call has changed; none for a hold that has ended.
    holds: BTreeMap<HoldId, Option<Arc<Hold>>>,
    /// The holds that can be ended after a draw: those that were secured, and those placed by this call.
    secured_holds: BTreeSet<HoldId>,
    holds_placed: u8,
    writes: BTreeMap<Arc<str>, Option<Arc<str>>>,
    /// The schedules of which the call requests a run, each with the earliest moment.
    wakes: BTreeMap<String, Timestamp>,
    /// The origin of the draws with its server seed, once it is known.
    origin: Option<(DrawOrigin, Seed)>,
    mixed: String,
    draws: u32,
}

/// Checks that a call can start, and returns its plugin.
pub(crate) fn check_start(books: &Books, call: &CallRequest) -> Result<Arc<Plugin>, Rejection> {
    books.status().check_open()?;
    let is_own_run = call.due.is_some() && call.caller == AccountId::of_plugin(&call.plugin);
    match call.caller.kind() {
        AccountKind::Open => {}
        // In a scheduled run the plugin's own account is the caller.
        AccountKind::Plugin(_) if is_own_run => {}
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
    Ok(Arc::clone(plugin))
}

impl<B: Borrow<Books>, R: Borrow<CallRequest>> Draft<B, R> {
    /// Opens a draft as of a moment. The host gives it a snapshot of the books and a request of its own; the ledger
    /// lends it both to repeat a transcript. Returns a rejection if the call cannot start.
    pub fn open(books: B, call: R, at: Timestamp) -> Result<Self, Rejection> {
        let plugin = check_start(books.borrow(), call.borrow())?;
        Ok(Self {
            plugin,
            books,
            call,
            at,
            exchanges: Vec::new(),
            steps: Vec::new(),
            deltas: BTreeMap::new(),
            spent: BTreeMap::new(),
            taken: BTreeMap::new(),
            repayable: BTreeMap::new(),
            secured: BTreeMap::new(),
            holds: BTreeMap::new(),
            secured_holds: BTreeSet::new(),
            holds_placed: 0,
            writes: BTreeMap::new(),
            wakes: BTreeMap::new(),
            origin: None,
            mixed: String::new(),
            draws: 0,
        })
    }

    fn books(&self) -> &Books {
        self.books.borrow()
    }

    /// Returns the request of the call.
    pub fn call(&self) -> &CallRequest {
        self.call.borrow()
    }

    /// Returns the plugin as it is installed.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// Returns the component that is to run.
    pub fn component(&self) -> Digest {
        self.plugin.installation.component
    }

    /// Returns the operator's configuration of the plugin.
    pub fn config(&self) -> &Document {
        &self.plugin.installation.config
    }

    /// Answers a request of the plugin and adds the exchange to the transcript.
    pub fn answer(&mut self, request: HostRequest) -> HostResponse {
        let response = self.respond(&request);
        self.exchanges.push(Exchange {
            request,
            response: response.clone(),
        });
        response
    }

    /// Closes the draft and returns its transcript.
    pub fn close(self) -> Transcript {
        Transcript::new(self.plugin.version, self.exchanges)
    }

    /// Repeats the exchanges of a transcript. Returns true if every response is equal to the recorded one.
    pub(crate) fn repeats(&mut self, transcript: &Transcript) -> bool {
        // The version stands for the whole installation: a plugin uses its grants and its configuration
        // without an exchange.
        self.plugin.version == transcript.version()
            && transcript
                .exchanges()
                .iter()
                .all(|exchange| self.respond(&exchange.request) == exchange.response)
    }

    /// Returns the effects of everything that the call has requested so far.
    pub(crate) fn settle(&self) -> Result<Settlement, Rejection> {
        let new_balances = self.new_balances();
        let settled = settle(
            self.books(),
            &self.steps,
            &self.call().plugin,
            &new_balances,
        )?;
        self.check_budgets()?;
        self.check_state()?;
        Ok(settled)
    }

    /// Returns the changes of the plugin's state.
    pub(crate) fn writes(&self) -> impl Iterator<Item = Change> + '_ {
        self.writes.iter().map(|(key, value)| {
            let plugin = self.call().plugin.clone();
            let key = Arc::clone(key);
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

    /// Returns the schedules of which the call requests a run, each with the earliest moment.
    pub(crate) fn wakes(&self) -> &BTreeMap<String, Timestamp> {
        &self.wakes
    }

    fn respond(&mut self, request: &HostRequest) -> HostResponse {
        self.try_respond(request)
            .unwrap_or_else(HostResponse::Refused)
    }

    fn try_respond(&mut self, request: &HostRequest) -> Result<HostResponse, Refusal> {
        match request {
            HostRequest::Balance { account, asset } => {
                self.balance(account, asset).map(HostResponse::Balance)
            }
            HostRequest::HasAtLeast {
                account,
                asset,
                amount,
            } => {
                let balance = self.balance(account, asset)?;
                Ok(HostResponse::Bool(balance.spendable >= amount.get()))
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
                self.draw(request)
            }
            HostRequest::Mix { text } => self.mix(text),
            HostRequest::ClientSeed => Ok(HostResponse::Text(
                self.books().client_seed(&self.call().caller),
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
        let earliest = self.wakes.entry(schedule.into()).or_insert(from);
        *earliest = from.min(*earliest);
        Ok(HostResponse::Done)
    }

    fn is_own(&self, account: &AccountId) -> bool {
        account.belongs_to(&self.call().plugin)
    }

    fn is_caller(&self, account: &AccountId) -> bool {
        *account == self.call().caller
    }

    fn find_account(&self, account: &AccountId, asset: &AssetId) -> Result<&Account, Refusal> {
        if self.books().asset(asset).is_none() {
            return Err(Refusal::UnknownAsset {
                asset: asset.clone(),
            });
        }
        self.books()
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
        let key = (account.clone(), asset.clone());
        self.deltas.entry(key).or_default()
    }

    /// Returns the spendable amount of a balance after the steps so far.
    fn spendable(&self, account: &AccountId, asset: &AssetId) -> Result<u64, Refusal> {
        let delta = self.delta(account, asset);
        let found = self.find_account(account, asset)?;
        Ok(found.spendable_after(asset, delta.posted.saturating_sub(delta.held)))
    }

    /// Returns the amount that may be paid back to an account that this call has debited by a grant.
    fn repayable(&self, account: &AccountId, asset: &AssetId) -> u64 {
        let key = (account.clone(), asset.clone());
        self.repayable.get(&key).copied().unwrap_or(0)
    }

    /// Returns the sum of all secured amounts in an asset.
    fn secured_in(&self, asset: &AssetId) -> i64 {
        let of_asset = self
            .secured
            .iter()
            .filter(|((_, secured), _)| secured == asset);
        let sum = of_asset.fold(0_u64, |sum, (_, amount)| sum.saturating_add(*amount));
        i64::try_from(sum).unwrap_or(i64::MAX)
    }

    /// Returns the most that an account may still receive after a draw, from secured amounts and secured
    /// holds. An account that was debited by a grant receives at most that amount.
    fn promised(&self, account: &AccountId, asset: &AssetId) -> i64 {
        let secured = self.secured_in(asset);
        let secured = if self.is_caller(account) {
            secured
        } else {
            let repayable = i64::try_from(self.repayable(account, asset));
            secured.min(repayable.unwrap_or(i64::MAX))
        };
        let secured_holds = self
            .secured_holds
            .iter()
            .filter_map(|hold| self.find_hold(*hold));
        let incoming = secured_holds.filter(|hold| {
            let posting = hold.reservation.posting();
            posting.destination == *account && posting.asset == *asset
        });
        incoming.fold(secured, |sum, hold| {
            sum.saturating_add(hold.remaining.signed())
        })
    }

    /// Checks that an account can receive `more` in addition to everything promised to it. This is checked
    /// before the draw, so that a win can always be paid.
    fn check_can_receive(
        &self,
        account: &AccountId,
        asset: &AssetId,
        more: i64,
    ) -> Result<(), Refusal> {
        let found = self.find_account(account, asset)?;
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

    /// Returns the caller's total spending if it pays this posting as well; none if it does not. Amounts
    /// that come back do not reduce the total.
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
        let total = before.saturating_add(amount.get());
        let caps = [
            self.call().spend_limit.as_ref(),
            self.call()
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
            Some(most) if total > most.get() => Err(Refusal::OverLimit {
                asset: asset.clone(),
                most,
                asked: total,
            }),
            Some(_) | None => Ok(Some(total)),
        }
    }
}

//! The call that an action runs in: its caller, its time, and its requests to the host.

use std::cell::OnceCell;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::bindings::bursar::plugin::{call, fair, ledger, log, state, types};
use crate::decline::Decline;
use crate::names::{Account, Asset};
use crate::{Amounts, Level, Page, Refusal};

/// The configuration of a plugin that has none: `{}`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// The arguments of an action that takes none: `{}`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoArguments {}

/// The id of a hold. Store it in the plugin's state, so that a later call can capture or release the hold.
#[derive(
    Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct HoldId(String);

impl HoldId {
    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The call that an action runs in. `C` is the type of the plugin's configuration.
///
/// The requests of an action take effect together, after it has returned `Ok` and the ledger has accepted
/// them. A request that returns a [`Refusal`] has no effect: `?` declines the call, and the action may also
/// continue. A request beyond a limit ends the call as a fault and does not return.
#[derive(Debug)]
pub struct Call<C> {
    config: C,
    /// The plugin's own account, read from the host once because rules use it repeatedly.
    own_account: OnceCell<Account>,
}

impl<C> Call<C> {
    /// Creates a call from a configuration, for the generated code.
    #[doc(hidden)]
    pub fn new(config: C) -> Self {
        Self {
            config,
            own_account: OnceCell::new(),
        }
    }

    /// Returns the operator's configuration.
    pub fn config(&self) -> &C {
        &self.config
    }

    /// Returns the member on whose behalf the plugin runs, which is never an issuer. In a scheduled run it is
    /// the plugin's own account.
    pub fn caller(&self) -> Account {
        let caller = Account::try_from(call::caller());
        caller.expect("the host returns valid names of accounts")
    }

    /// Returns the call's time in milliseconds since 1970-01-01 UTC, which is constant during the call.
    ///
    /// It may be slightly earlier than the time of a call that was committed before, and much earlier after
    /// the operator has set back a clock that was ahead. [`crate::rest_left_ms`] handles both.
    pub fn now_ms(&self) -> u64 {
        call::now()
    }

    /// Returns the call's id, which is equal in every attempt.
    pub fn id(&self) -> String {
        call::id()
    }

    /// Returns the name under which the plugin is installed. One component may be installed under several names.
    pub fn name(&self) -> String {
        call::name()
    }

    /// Returns the plugin's first account: `plugin:` and the name under which it is installed.
    pub fn own_account(&self) -> Account {
        self.own_account.get_or_init(|| own_account(None)).clone()
    }

    /// Returns one of the plugin's further accounts, such as `plugin:shop:till` for `till`. `plugin!` lists them.
    /// If `sub` is not one segment of a name, the call ends as a fault.
    pub fn own_sub_account(&self, sub: &str) -> Account {
        own_account(Some(sub))
    }

    /// Reads a balance of the caller, of the plugin's own accounts or of a granted account.
    ///
    /// Counts as a read; a call has 64. If the balance changes before the call commits, the call runs again.
    /// That happens far less often with [`Call::has_at_least`].
    pub fn balance(&self, account: &Account, asset: &Asset) -> Result<Amounts, Refusal> {
        ledger::balance(account.as_str(), asset.as_str())
    }

    /// Returns true if the caller, one of the plugin's own accounts or a granted account could spend an amount.
    ///
    /// Counts as a read. The call runs again only if this result changes before it commits.
    pub fn has_at_least(
        &self,
        account: &Account,
        asset: &Asset,
        amount: Amount,
    ) -> Result<bool, Refusal> {
        ledger::has_at_least(account.as_str(), asset.as_str(), amount.get())
    }

    /// Requests a movement from one account to another; at most 16 in one call.
    ///
    /// All movements of a call form one transfer and are posted in the requested order. The ledger checks at
    /// the commit that the source can pay, and its error names the available and the required amount. A plugin
    /// therefore need not check this itself. A movement from an account to itself is refused as
    /// [`Refusal::Other`].
    pub fn transfer(
        &self,
        source: &Account,
        destination: &Account,
        asset: &Asset,
        amount: Amount,
    ) -> Result<(), Refusal> {
        ledger::transfer(&types::Posting {
            source: source.to_string(),
            destination: destination.to_string(),
            asset: asset.to_string(),
            amount: amount.get(),
        })
    }

    /// Requests a hold, which reserves an amount such as a stake for a later call; at most 16 in one call.
    ///
    /// `rule` is one of the `holds` that `plugin!` lists. It sets the lifetime of the hold and its end.
    pub fn place_hold(
        &self,
        rule: &str,
        source: &Account,
        destination: &Account,
        asset: &Asset,
        amount: Amount,
    ) -> Result<HoldId, Refusal> {
        let posting = types::Posting {
            source: source.to_string(),
            destination: destination.to_string(),
            asset: asset.to_string(),
            amount: amount.get(),
        };
        ledger::place_hold(rule, &posting).map(HoldId)
    }

    /// Requests to move the reserved amount of a hold, or a part of it, to the destination of the hold.
    ///
    /// This plugin must have placed the hold. `None` captures all that is left. Counts as a transfer.
    pub fn capture_hold(&self, hold: &HoldId, amount: Option<Amount>) -> Result<(), Refusal> {
        ledger::capture_hold(&hold.0, amount.map(Amount::get))
    }

    /// Requests to release the rest of a hold that this plugin has placed. Counts as a transfer.
    pub fn release_hold(&self, hold: &HoldId) -> Result<(), Refusal> {
        ledger::release_hold(&hold.0)
    }

    /// Releases the rest of a hold that this plugin has placed, unless the hold has ended.
    ///
    /// Counts as a read, and as a transfer if the hold is open.
    pub fn release_if_open(&self, hold: &HoldId) -> Result<(), Refusal> {
        match self.hold_left(hold) {
            Some(_) => self.release_hold(hold),
            None => Ok(()),
        }
    }

    /// Returns the rest of a hold that this plugin has placed, or `None` once the hold has ended. Counts as a read.
    pub fn hold_left(&self, hold: &HoldId) -> Option<Amount> {
        ledger::hold_left(&hold.0).and_then(Amount::new)
    }

    /// Secures a hold of an earlier call before the first draw, so that it can be captured or released after the
    /// draw. At most 16 in one call, secured amounts included.
    pub fn secure_hold(&self, hold: &HoldId) -> Result<(), Refusal> {
        fair::secure_hold(&hold.0)
    }

    /// Reads the value of a key of the plugin's state; `None` if the key does not exist. Counts as a read.
    ///
    /// A value that does not fit the type is declined as `bad_state`: another version of the plugin may have
    /// written it.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Decline> {
        let value = state::get(key).map(|text| serde_json::from_str(&text));
        value.transpose().map_err(|error| {
            Decline::new(
                "bad_state",
                format!("The stored value of {key} is invalid: {error}."),
            )
        })
    }

    /// Sets a key of the plugin's state to a value; at most 16 writes in one call.
    ///
    /// A key has 1 to 128 bytes, a value at most 4,096 bytes as JSON.
    ///
    /// # Panics
    ///
    /// If the value cannot be written as JSON, such as a map whose keys are not text.
    pub fn set<T: Serialize>(&self, key: &str, value: &T) {
        let text =
            serde_json::to_string(value).expect("a value of the state can be written as JSON");
        state::set(key, &text);
    }

    /// Removes a key of the plugin's state. A missing key is ignored. Counts as a write.
    pub fn delete(&self, key: &str) {
        state::delete(key);
    }

    /// Returns up to 64 keys of the plugin's state that begin with a prefix, in ascending order, and the start of
    /// the next page. Counts as a read.
    pub fn keys(&self, prefix: &str, cursor: Option<&str>) -> Page {
        state::list(prefix, cursor)
    }

    /// Secures an amount of one of the plugin's own accounts before the first draw. The call can pay at most this
    /// amount from the account after the draw. At most 16 in one call.
    pub fn secure(&self, account: &Account, asset: &Asset, amount: Amount) -> Result<(), Refusal> {
        fair::secure(account.as_str(), asset.as_str(), amount.get())
    }

    /// Pays the caller from the amount that was [secured](Call::secure) on the plugin's first account.
    ///
    /// The secured amount is available, and the caller's account can take it, so the host does not refuse this
    /// payment. It can therefore be made after a draw, when a call may no longer decline. Counts as a transfer.
    ///
    /// # Panics
    ///
    /// If less than the amount is left of the secured amount, or in a scheduled run, whose caller is the plugin's
    /// own account.
    pub fn pay_secured(&self, asset: &Asset, amount: Amount) {
        let paid = self.transfer(&self.own_account(), &self.caller(), asset, amount);
        paid.expect("a payment from a secured amount to the caller is not refused");
    }

    /// Pays an account back from the amount that was [secured](Call::secure) on the plugin's first account.
    ///
    /// This call must have debited the account by a grant before the draw, by at least the amount. A rule that
    /// draws debits the largest possible loss before the draw and pays the difference back with this method.
    /// Counts as a transfer.
    ///
    /// # Panics
    ///
    /// If the call has debited the account by less, or if less is left of the secured amount.
    pub fn pay_back(&self, account: &Account, asset: &Asset, amount: Amount) {
        let paid = self.transfer(&self.own_account(), account, asset, amount);
        paid.expect("a payment back from a secured amount is not refused");
    }

    /// Draws a number from 0 to `n` − 1, each equally likely; at most 64 draws in one call.
    ///
    /// `n` is at least 1. The label has at most 64 bytes and names the draw in the record of the call.
    ///
    /// After the first draw the call can neither decline nor debit a member. It can only pay the caller, the
    /// plugin's own accounts, and accounts that it has debited by a grant before.
    pub fn below(&self, n: u32, label: &str) -> u32 {
        fair::below(n, label)
    }

    /// Draws an order of the numbers from 0 to `n` − 1, each order equally likely. `n` is 1 to 1,024. Counts as a
    /// draw.
    pub fn shuffle(&self, n: u32, label: &str) -> Vec<u32> {
        fair::shuffle(n, label)
    }

    /// Draws 1 to 256 bytes. Counts as a draw.
    pub fn bytes(&self, n: u32, label: &str) -> Vec<u8> {
        fair::bytes(n, label)
    }

    /// Mixes a text into all draws of this call, before the first one; at most 4,096 bytes in one call.
    ///
    /// If the text combines inputs of several players, neither one of them nor the operator can choose the draws
    /// alone.
    pub fn mix(&self, text: &str) {
        fair::mix(text);
    }

    /// Returns the caller's client seed, which is part of each draw. It is the name of the account until the
    /// member sets another one. Counts as a read.
    pub fn client_seed(&self) -> String {
        call::client_seed()
    }

    /// Requests that one of the plugin's schedules run at its first regular time at or after `at_ms`.
    ///
    /// In a run of that schedule this sets the next due time, which may be later than the regular one. In any
    /// other call it can only make the due time earlier. A plugin can therefore let a schedule rest while there
    /// is nothing to do. The request takes effect at the commit and counts as a write.
    pub fn wake(&self, schedule: &str, at_ms: u64) -> Result<(), Refusal> {
        call::wake(schedule, at_ms)
    }

    /// Returns the member's roles as the bot has sent them. There are none in a scheduled run.
    pub fn roles(&self) -> Vec<String> {
        call::roles()
    }

    /// Returns true if the bot has sent a role for the member.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles().iter().any(|has| has == role)
    }

    /// Writes a line to the operator's log. At most 8,192 bytes of one call are kept; the rest is dropped.
    pub fn log(&self, level: Level, message: &str) {
        log::write(level, message);
    }
}

fn own_account(sub: Option<&str>) -> Account {
    let account = Account::try_from(call::own_account(sub));
    account.expect("the host returns valid names of accounts")
}

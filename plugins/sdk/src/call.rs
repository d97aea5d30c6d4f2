//! A call, as an action sees it: who asks, what is so, and what can be asked for.

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

/// The id of a hold, to be kept in the plugin's state until a later call captures or releases it.
#[derive(
    Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct HoldId(String);

impl HoldId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The call that an action answers. `C` is the type of the plugin's configuration.
///
/// What an action asks for happens, all together, when it has returned `Ok` and every rule of the
/// ledger has agreed. A refusal ([`Refusal`]) leaves the call as it was: `?` declines it, and an
/// action may also go on. Breaking a limit ends the call as a fault and never returns here.
#[derive(Debug)]
pub struct Call<C> {
    config: C,
    /// Asked for once: rules name it again and again.
    own_account: OnceCell<Account>,
}

impl<C> Call<C> {
    /// A call of a plugin with its configuration, as the generated code makes it.
    #[doc(hidden)]
    pub fn new(config: C) -> Self {
        Self {
            config,
            own_account: OnceCell::new(),
        }
    }

    /// The operator's configuration.
    pub fn config(&self) -> &C {
        &self.config
    }

    /// The member on whose behalf the plugin runs: never an issuer. In a scheduled run it is the plugin's
    /// own account.
    pub fn caller(&self) -> Account {
        let caller = Account::try_from(call::caller());
        caller.expect("the host names accounts as the contract says")
    }

    /// The call's own time, in milliseconds since 1970-01-01 UTC. It does not pass. It may be a little
    /// before that of a call that was committed earlier, and far before it where the operator has set back
    /// a clock that was ahead: [`crate::rest_left_ms`] minds both.
    pub fn now_ms(&self) -> u64 {
        call::now()
    }

    /// The call's id, the same in every try.
    pub fn id(&self) -> String {
        call::id()
    }

    /// The name under which the plugin is installed here. The same component may be installed under several.
    pub fn name(&self) -> String {
        call::name()
    }

    /// The plugin's first account: `plugin:` and the name under which it is installed.
    pub fn own_account(&self) -> Account {
        let asked = || own_account(None);
        self.own_account.get_or_init(asked).clone()
    }

    /// A further account of the plugin's own, such as `plugin:shop:till`, as `plugin!` lists it. Ends the
    /// call as a fault if `sub` is not one segment of a name.
    pub fn own_sub_account(&self, sub: &str) -> Account {
        own_account(Some(sub))
    }

    /// Reads a balance: the caller's, the plugin's own, or a granted one. Counts as a read, of
    /// which a call has 64.
    ///
    /// If it changes before the call commits, the call runs again; [`Call::has_at_least`] makes
    /// that rare.
    pub fn balance(&self, account: &Account, asset: &Asset) -> Result<Amounts, Refusal> {
        ledger::balance(account.as_str(), asset.as_str())
    }

    /// Whether an account could spend an amount: the caller's, the plugin's own, or a granted one.
    /// The call runs again only if this answer changes. Counts as a read.
    pub fn has_at_least(
        &self,
        account: &Account,
        asset: &Asset,
        amount: Amount,
    ) -> Result<bool, Refusal> {
        ledger::has_at_least(account.as_str(), asset.as_str(), amount.get())
    }

    /// Asks for a movement from one account to another; at most 16 in one call.
    ///
    /// All movements of a call are one transfer, in the order asked. Whether the source can pay is
    /// decided when the call commits, and the ledger then says what is there and what is required:
    /// no rule here need repeat it. A transfer from an account to itself is refused, as
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

    /// Reserves an amount for a later call, for instance a stake: as one of the `holds` that `plugin!`
    /// lists, which says how long it lives and what becomes of it then. At most 16 in one call.
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

    /// Moves what a hold of this plugin's reserves to where it was meant to go: a part of it, or all
    /// that is left. Counts as a transfer.
    pub fn capture_hold(&self, hold: &HoldId, amount: Option<Amount>) -> Result<(), Refusal> {
        ledger::capture_hold(&hold.0, amount.map(Amount::get))
    }

    /// Gives back what is left of a hold of this plugin's. Counts as a transfer.
    pub fn release_hold(&self, hold: &HoldId) -> Result<(), Refusal> {
        ledger::release_hold(&hold.0)
    }

    /// Gives back what is left of a hold of this plugin's, if anything is: one that has ended is free
    /// already. Counts as a read, and as a transfer where something is left.
    pub fn release_if_open(&self, hold: &HoldId) -> Result<(), Refusal> {
        match self.hold_left(hold) {
            Some(_) => self.release_hold(hold),
            None => Ok(()),
        }
    }

    /// What is left of a hold of this plugin's; none once it has ended. Counts as a read.
    pub fn hold_left(&self, hold: &HoldId) -> Option<Amount> {
        ledger::hold_left(&hold.0).and_then(Amount::new)
    }

    /// Keeps a hold of an earlier call at hand before the first draw, so that it can be captured or
    /// released after it. At most 16 in one call, secured amounts included.
    pub fn secure_hold(&self, hold: &HoldId) -> Result<(), Refusal> {
        fair::secure_hold(&hold.0)
    }

    /// The value of a key of the plugin's state; none if the key is not there. Counts as a read.
    ///
    /// A value that is not what is expected is declined as `bad_state`: another version of the
    /// plugin may have written it.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Decline> {
        let value = state::get(key).map(|text| serde_json::from_str(&text));
        value
            .transpose()
            .map_err(|error| Decline::new("bad_state", format!("The state of {key}: {error}.")))
    }

    /// Sets a key of the plugin's state, of 1 to 128 bytes, to a value of at most 4,096 bytes as
    /// JSON; at most 16 writes in one call.
    ///
    /// # Panics
    ///
    /// If the value cannot be JSON: a map has keys that are not text.
    pub fn set<T: Serialize>(&self, key: &str, value: &T) {
        let text = serde_json::to_string(value).expect("a state is JSON");
        state::set(key, &text);
    }

    /// Removes a key of the plugin's state; one that is not there stays so. Counts as a write.
    pub fn delete(&self, key: &str) {
        state::delete(key);
    }

    /// Up to 64 keys of the plugin's state that begin with a prefix, in ascending order, and where
    /// the next page begins. Counts as a read.
    pub fn keys(&self, prefix: &str, cursor: Option<&str>) -> Page {
        state::list(prefix, cursor)
    }

    /// Secures an amount of one of the plugin's own accounts before the first draw: the most that
    /// may be paid out of it in this call. At most 16 in one call.
    pub fn secure(&self, account: &Account, asset: &Asset, amount: Amount) -> Result<(), Refusal> {
        fair::secure(account.as_str(), asset.as_str(), amount.get())
    }

    /// Pays the caller out of what was [secured](Call::secure) on the plugin's first account. The amount
    /// is there, and so is the caller's room for it, whatever was drawn: so this is not refused, and
    /// there is nothing to decline when nothing may. Counts as a transfer.
    ///
    /// # Panics
    ///
    /// If less than that is left of what was secured; or in a scheduled run, whose caller is that account.
    pub fn pay_secured(&self, asset: &Asset, amount: Amount) {
        let paid = self.transfer(&self.own_account(), &self.caller(), asset, amount);
        paid.expect("what was secured for the caller is not refused");
    }

    /// Pays back, out of what was [secured](Call::secure) on the plugin's first account, to an account that
    /// this call has debited by a grant before the draw: at most what was taken of it. A rule that draws takes
    /// the largest loss before the draw, and gives the rest back with this. Counts as a transfer.
    ///
    /// # Panics
    ///
    /// If less than that was taken of the account, or is left of what was secured.
    pub fn pay_back(&self, account: &Account, asset: &Asset, amount: Amount) {
        let paid = self.transfer(&self.own_account(), account, asset, amount);
        paid.expect("what was secured and taken before is not refused");
    }

    /// Draws a number from 0 to `n` − 1, each equally likely; `n` is at least 1, and the label has
    /// at most 64 bytes. At most 64 draws in one call.
    ///
    /// From the first draw on the call can neither decline nor take anything of a member's. It pays the caller,
    /// the plugin's own accounts, and back to where it has taken.
    pub fn below(&self, n: u32, label: &str) -> u32 {
        fair::below(n, label)
    }

    /// Draws an order of the numbers from 0 to `n` − 1, each order equally likely; `n` is 1 to 1,024.
    /// Counts as a draw.
    pub fn shuffle(&self, n: u32, label: &str) -> Vec<u32> {
        fair::shuffle(n, label)
    }

    /// Draws 1 to 256 bytes. Counts as a draw.
    pub fn bytes(&self, n: u32, label: &str) -> Vec<u8> {
        fair::bytes(n, label)
    }

    /// Mixes a text into all draws of this call, before the first one: what several players have
    /// said, so that none of them, nor the house, chooses alone. At most 4,096 bytes in one call.
    pub fn mix(&self, text: &str) {
        fair::mix(text);
    }

    /// What the caller has put into draws; the name of the account until it says otherwise. Counts
    /// as a read.
    pub fn client_seed(&self) -> String {
        call::client_seed()
    }

    /// Has one of the plugin's schedules run at the first of its times to come from a moment on. In a run of
    /// that schedule this is when it is due next, also if that is later than it would be; in any other call it
    /// is due then unless it is due earlier already. So a plugin need not be woken while there is nothing
    /// to do. Counts as a write, and happens when the call commits.
    pub fn wake(&self, schedule: &str, at_ms: u64) -> Result<(), Refusal> {
        call::wake(schedule, at_ms)
    }

    /// The member's roles, as the bot says; none in a scheduled run.
    pub fn roles(&self) -> Vec<String> {
        call::roles()
    }

    /// Whether the bot says that the member has a role.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles().iter().any(|has| has == role)
    }

    /// Writes a line for the operator. Of one call 8,192 bytes are kept; the rest is dropped.
    pub fn log(&self, level: Level, message: &str) {
        log::write(level, message);
    }
}

fn own_account(sub: Option<&str>) -> Account {
    let account = Account::try_from(call::own_account(sub));
    account.expect("the host names accounts as the contract says")
}

//! Rejections: the reasons for which the ledger rejects acts, in the order in which they are checked.

mod kind;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::amount::{Amount, Limit};
use crate::hold::HoldEnd;
use crate::id::{AccountId, AssetId, HoldId, KeyId, PluginId, PluginName, TransferId};
use crate::plugin::account_pattern::AccountPattern;
use crate::plugin::budget::Budget;
use crate::quota::Quota;

use kind::for_each_rejection_kind;
pub use kind::{RejectionClass, RejectionKind, Retry};

/// The reason for which an act was rejected. A rejected act changes nothing.
///
/// An act is rejected by the first reason that applies, in the order of the variants. Reasons about money are
/// checked posting by posting, so the first posting with one of them decides. [`RejectionKind`] describes each
/// variant.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "snake_case")]
#[allow(
    missing_docs,
    reason = "the variants are described once, by their kinds"
)]
pub enum Rejection {
    #[error("the economy is frozen")]
    EconomyFrozen,
    #[error("the economy is closed")]
    EconomyClosed,
    #[error("{open} holds are open: end them before the economy is closed")]
    HoldsOpen {
        /// The number of open holds.
        open: usize,
    },
    #[error("`{account}` is an issuer: use issue or burn")]
    IssuerAccount {
        /// The issuer.
        account: AccountId,
    },
    #[error("`{account}` belongs to a plugin: debiting it needs the scope `admin`")]
    PluginAccount {
        /// The plugin's account.
        account: AccountId,
    },
    #[error("the hold {hold} belongs to the plugin `{plugin}`: ending it needs the scope `admin`")]
    PluginHold {
        /// The hold.
        hold: HoldId,
        /// The plugin.
        plugin: PluginName,
    },
    #[error("this key moves at most {cap} {asset} in one request, and {asked} were requested")]
    TransferCap {
        /// The asset.
        asset: AssetId,
        /// The most that the key may move in one request.
        cap: Limit,
        /// The amount that the request moves in total; 2^53 − 1 if it is more.
        asked: Limit,
    },
    #[error("`{account}` is created by the server, with the asset or the plugin")]
    ReservedAccount {
        /// The reserved name.
        account: AccountId,
    },
    #[error(
        "this key may only create accounts that match `{accounts}`, and not set `{account}` like this: {missing}"
    )]
    NotAdmitted {
        /// The account.
        account: AccountId,
        /// The accounts that the key may create.
        accounts: AccountPattern,
        /// A description of the missing right.
        missing: Cow<'static, str>,
    },
    #[error("the plugin `{plugin}` is disabled")]
    PluginDisabled {
        /// The plugin.
        plugin: PluginName,
    },
    #[error("the plugin `{plugin}` is not installed yet: `component` is required")]
    ComponentMissing {
        /// The plugin.
        plugin: PluginName,
    },
    #[error(
        "the name `{plugin}` is bound to the plugin `{bound}`, whose accounts are kept even if it is \
         uninstalled: install `{id}` under another name"
    )]
    NameTaken {
        /// The name.
        plugin: PluginName,
        /// The plugin that the name is bound to.
        bound: PluginId,
        /// The plugin to install.
        id: PluginId,
    },
    #[error(
        "this component derives its accounts from its own id, `{id}`, and cannot be installed as \
         `{plugin}`: install it as `{id}`, or build it against version 0.2.0 of the contract"
    )]
    NameIsFixed {
        /// The name.
        plugin: PluginName,
        /// The id of the plugin, which must be its name.
        id: PluginId,
    },
    #[error("the plugin `{plugin}` has no earlier component or configuration to restore")]
    NothingBefore {
        /// The plugin.
        plugin: PluginName,
    },
    #[error(
        "the plugin `{plugin}` has no revision {revision}, or it is too old: GET …/plugins/{plugin}/revisions \
         lists the available ones"
    )]
    RevisionUnknown {
        /// The plugin.
        plugin: PluginName,
        /// The requested revision.
        revision: u64,
    },
    #[error(
        "the plugin `{plugin}` was changed in the meantime: read it again and repeat the request"
    )]
    PluginChanged {
        /// The plugin.
        plugin: PluginName,
    },
    #[error("the plugin `{plugin}` has no schedule `{schedule}`")]
    ScheduleUnknown {
        /// The plugin.
        plugin: PluginName,
        /// The requested schedule.
        schedule: String,
    },
    #[error("`grants.{member}` exceeds what the manifest requests: {asks}")]
    GrantTooWide {
        /// The member of the grants.
        member: Cow<'static, str>,
        /// A description of what the manifest requests.
        asks: String,
    },
    #[error("{most} server seeds are not revealed yet: games that have drawn from them are open")]
    SeedsHidden {
        /// The most that may wait.
        most: usize,
    },
    #[error("the key `{key}` exists already")]
    KeyExists {
        /// The key.
        key: KeyId,
    },
    #[error("the key `{key}` is revoked")]
    KeyRevoked {
        /// The key.
        key: KeyId,
    },
    #[error(
        "`{key}` is the last admin key of every economy: create another one first, or set `\"force\": true`"
    )]
    LastAdminKey {
        /// The key.
        key: KeyId,
    },
    #[error("a new key needs `{missing}`")]
    KeyIncomplete {
        /// The missing member.
        missing: Cow<'static, str>,
    },
    #[error("a new webhook needs `{missing}`")]
    WebhookIncomplete {
        /// The missing member.
        missing: Cow<'static, str>,
    },
    #[error("the economy has no asset `{asset}`")]
    AssetNotFound {
        /// The unknown asset.
        asset: AssetId,
    },
    #[error("a new asset needs `{missing}`")]
    AssetIncomplete {
        /// The missing member.
        missing: Cow<'static, str>,
    },
    #[error("`{member}` of an asset never changes")]
    AssetFixed {
        /// The member that would change.
        member: Cow<'static, str>,
    },
    #[error("`{asset}` is an item: an account can owe money, and no items")]
    CreditOnItem {
        /// The item.
        asset: AssetId,
    },
    #[error("the economy has no account `{account}`")]
    AccountNotFound {
        /// The unknown account.
        account: AccountId,
    },
    #[error("`{account}` is frozen")]
    AccountFrozen {
        /// The account.
        account: AccountId,
    },
    #[error("`{account}` is closed")]
    AccountClosed {
        /// The account.
        account: AccountId,
    },
    #[error("`{account}` has {posted} {asset}: an account is closed only when it is empty")]
    AccountNotEmpty {
        /// The account.
        account: AccountId,
        /// The asset.
        asset: AssetId,
        /// The balance.
        posted: i64,
    },
    #[error("`{account}` may have a credit limit in {most} assets and a ceiling in as many")]
    TooManyLimits {
        /// The account.
        account: AccountId,
        /// The most assets in which it may have a limit of one kind.
        most: usize,
    },
    #[error("the transfer {transfer} was reversed by {by}")]
    AlreadyReversed {
        /// The transfer.
        transfer: TransferId,
        /// The reversal.
        by: TransferId,
    },
    #[error("{transfer} is the reversal of {of}: make a new transfer instead")]
    ReversalFinal {
        /// The reversal.
        transfer: TransferId,
        /// The original transfer.
        of: TransferId,
    },
    #[error("the hold {hold} has ended")]
    HoldClosed {
        /// The hold.
        hold: HoldId,
        /// The way in which it ended; absent if it ended a moment ago.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ended: Option<HoldEnd>,
    },
    #[error("{remaining} are left of the hold {hold}, and {amount} were requested")]
    HoldExceeded {
        /// The hold.
        hold: HoldId,
        /// The amount that is left.
        remaining: Amount,
        /// The amount to capture.
        amount: Amount,
    },
    #[error(
        "the economy has {used} {} of at most {limit}, and this needs more: free some, or ask the \
         operator to raise the quota `{quota}`",
        quota.counts()
    )]
    QuotaReached {
        /// The quota.
        quota: Quota,
        /// The most that the economy may keep.
        limit: u64,
        /// The amount in use.
        used: u64,
    },
    #[error("`{account}` can spend {available} {asset}, and {required} are required")]
    InsufficientFunds {
        /// The paying account.
        account: AccountId,
        /// The asset.
        asset: AssetId,
        /// The spendable amount: posted − held + credit limit, without credit if a plugin debits by a pattern.
        available: u64,
        /// The amount to pay.
        required: Amount,
    },
    #[error(
        "{supply} of at most {max_supply} {asset} are in circulation; {amount} more are too many"
    )]
    SupplyLimit {
        /// The asset.
        asset: AssetId,
        /// The most that may be in circulation.
        max_supply: Limit,
        /// The amount in circulation.
        supply: i64,
        /// The amount to add.
        amount: Amount,
    },
    #[error("`{account}` may hold {ceiling} {asset}, has {posted}, and would receive {amount}")]
    CeilingExceeded {
        /// The receiving account.
        account: AccountId,
        /// The asset.
        asset: AssetId,
        /// The ceiling.
        ceiling: Limit,
        /// The balance.
        posted: i64,
        /// The amount to receive.
        amount: Amount,
    },
    #[error("the plugin `{plugin}` would keep {bytes} bytes of state, of at most {most}")]
    StateQuota {
        /// The plugin.
        plugin: PluginName,
        /// The bytes that it would keep.
        bytes: usize,
        /// The most bytes that it may keep.
        most: usize,
    },
    #[error(
        "`{plugin}` may move {most} {asset}{} {} by `{}`, and this would make {asked}{}",
        of_accounts(accounts.as_ref(), account.as_ref()),
        budget.period(),
        budget.name(),
        account.as_ref().map_or(String::new(), |account| format!(" of `{account}`"))
    )]
    BudgetExceeded {
        /// The plugin.
        plugin: PluginName,
        /// The budget: a member of its grants.
        budget: Budget,
        /// The pattern of the budget, if it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        accounts: Option<AccountPattern>,
        /// The account whose debits are counted, if the budget counts single accounts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<AccountId>,
        /// The asset.
        asset: AssetId,
        /// The most that may move.
        most: Limit,
        /// The amount that would have moved in total.
        asked: u64,
    },
    #[error("transfer {index}: {rejection}")]
    InBatch {
        /// The index of the rejected transfer.
        index: usize,
        /// The rejection of that transfer.
        rejection: Box<Rejection>,
    },
}

/// Describes the accounts of a budget, to follow an amount.
fn of_accounts(accounts: Option<&AccountPattern>, account: Option<&AccountId>) -> String {
    match (accounts, account) {
        (Some(accounts), Some(_)) => format!(" of each of `{accounts}`"),
        (Some(accounts), None) => format!(" of all of `{accounts}`"),
        (None, _) => String::new(),
    }
}

macro_rules! impl_kind {
    ($($kind:ident = $code:literal, $class:ident, $retry:ident: $meaning:literal;)*) => {
        impl Rejection {
            /// Returns the kind. A rejection of a batch has the kind of the rejected transfer.
            pub fn kind(&self) -> RejectionKind {
                match self {
                    Self::InBatch { rejection, .. } => rejection.kind(),
                    $(Self::$kind { .. } => RejectionKind::$kind,)*
                }
            }
        }
    };
}

for_each_rejection_kind!(impl_kind);

impl Rejection {
    /// Returns the class.
    pub fn class(&self) -> RejectionClass {
        self.kind().class()
    }

    /// Returns the chance that a repeated request succeeds.
    pub fn retry(&self) -> Retry {
        self.kind().retry()
    }
}

//! The ledger's no: every reason there is, in the order in which they are looked for.

mod kind;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::amount::{Amount, Limit};
use crate::hold::HoldEnd;
use crate::id::{AccountId, AssetId, HoldId, KeyId, PluginId, PluginName, TransferId};
use crate::plugin::account_pattern::AccountPattern;
use crate::plugin::budget::Budget;
use crate::quota::Quota;

pub use kind::{RejectionClass, RejectionKind, Retry};

/// Why an act was refused; nothing changed. The first that applies, from the top, is the answer, and
/// of the reasons about money the first that applies to the first posting that has one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Rejection {
    /// Nothing moves in the economy until an admin opens it again.
    #[error("the economy is frozen")]
    EconomyFrozen,
    /// The economy is closed, for ever.
    #[error("the economy is closed")]
    EconomyClosed,
    /// An economy is to be closed in which holds are open.
    #[error("{open} holds are open: an economy is closed when there are none")]
    HoldsOpen {
        /// How many.
        open: usize,
    },
    /// A transfer names an issuer account; only issue, burn and a granted plugin do.
    #[error("`{account}` is an issuer: use issue or burn")]
    IssuerAccount {
        /// The issuer.
        account: AccountId,
    },
    /// A transfer debits a plugin's account without the scope for it.
    #[error("`{account}` belongs to a plugin: debiting it needs the scope `admin`")]
    PluginAccount {
        /// The plugin's account.
        account: AccountId,
    },
    /// A hold that a plugin has placed is to be ended by someone else.
    #[error("the hold {hold} belongs to the plugin `{plugin}`: ending it needs the scope `admin`")]
    PluginHold {
        /// The hold.
        hold: HoldId,
        /// The plugin.
        plugin: PluginName,
    },
    /// More than the key that asks may move in one request.
    #[error("this key moves at most {cap} {asset} in one request, and {asked} were asked")]
    TransferCap {
        /// What was to move.
        asset: AssetId,
        /// The most of it that the key moves in one request.
        cap: Limit,
        /// What was to move in all, or 2^53 − 1 if that is more.
        asked: Limit,
    },
    /// The name is kept for accounts that the server makes.
    #[error("`{account}` is made by the server, with the asset or the plugin")]
    ReservedAccount {
        /// The reserved name.
        account: AccountId,
    },
    /// More than what a key may do about accounts that only admits members.
    #[error(
        "this key opens accounts beneath `{accounts}` and does no more about `{account}`: {missing}"
    )]
    NotAdmitted {
        /// The account.
        account: AccountId,
        /// The accounts that the key may open.
        accounts: AccountPattern,
        /// What the key lacks for more, in words.
        missing: Cow<'static, str>,
    },
    /// The plugin has been switched off, or was never switched on.
    #[error("the plugin `{plugin}` is disabled")]
    PluginDisabled {
        /// The plugin.
        plugin: PluginName,
    },
    /// A plugin was to be installed without saying which component.
    #[error("the plugin `{plugin}` is not installed yet: say which `component`")]
    ComponentMissing {
        /// The plugin.
        plugin: PluginName,
    },
    /// Another plugin was installed under the name, whose accounts are still there.
    #[error(
        "the name `{plugin}` stands for the plugin `{bound}`, also after that is uninstalled, since its \
         accounts are kept: install `{id}` under another name"
    )]
    NameTaken {
        /// The name.
        plugin: PluginName,
        /// The plugin that the name stands for.
        bound: PluginId,
        /// The plugin that was to be installed.
        id: PluginId,
    },
    /// The component spells its own accounts by its manifest's id.
    #[error(
        "this component finds its accounts by its own id, `{id}`, and so cannot be installed as \
         `{plugin}`: install it as `{id}`, or build it against version 0.2.0 of the contract"
    )]
    NameIsFixed {
        /// The name.
        plugin: PluginName,
        /// The plugin, which has no other name.
        id: PluginId,
    },
    /// There is no component, or no configuration, that was here before.
    #[error("nothing of the plugin `{plugin}` is there from before, to which it could go back")]
    NothingBefore {
        /// The plugin.
        plugin: PluginName,
    },
    /// The plugin has no such revision, or not any more.
    #[error(
        "the plugin `{plugin}` has no revision {revision}, or it is too old: GET …/plugins/{plugin}/revisions \
         lists those that are there"
    )]
    RevisionUnknown {
        /// The plugin.
        plugin: PluginName,
        /// What was named.
        revision: u64,
    },
    /// The plugin was changed while the request was read.
    #[error("the plugin `{plugin}` was changed a moment ago: look at it, and ask again")]
    PluginChanged {
        /// The plugin.
        plugin: PluginName,
    },
    /// The plugin has no schedule of this name.
    #[error("the plugin `{plugin}` has no schedule `{schedule}`")]
    ScheduleUnknown {
        /// The plugin.
        plugin: PluginName,
        /// What was named.
        schedule: String,
    },
    /// A grant is wider than what the plugin's manifest asks for.
    #[error("`grants.{member}` is wider than what the manifest asks for: {asks}")]
    GrantTooWide {
        /// The member of the grants that is wider.
        member: Cow<'static, str>,
        /// What the manifest asks for of it, in words.
        asks: String,
    },
    /// Too many server seeds wait for games to end.
    #[error("{most} server seeds are not revealed yet: games that have drawn from them are open")]
    SeedsHidden {
        /// How many there may be.
        most: usize,
    },
    /// A key of this name is there already.
    #[error("there is a key `{key}` already")]
    KeyExists {
        /// The key.
        key: KeyId,
    },
    /// The key is revoked: another secret would be good for nothing.
    #[error("the key `{key}` is revoked")]
    KeyRevoked {
        /// The key.
        key: KeyId,
    },
    /// No key would be left that allows everything everywhere.
    #[error(
        "`{key}` is the last admin key of every economy: make another one first, or say `\"force\": true`"
    )]
    LastAdminKey {
        /// The key.
        key: KeyId,
    },
    /// A new API key lacks something that it must have.
    #[error("a new key needs `{missing}`")]
    KeyIncomplete {
        /// The missing member.
        missing: Cow<'static, str>,
    },
    /// A new webhook lacks something that it must have.
    #[error("a new webhook needs `{missing}`")]
    WebhookIncomplete {
        /// The missing member.
        missing: Cow<'static, str>,
    },
    /// The economy has no such asset.
    #[error("the economy has no asset `{asset}`")]
    AssetNotFound {
        /// The unknown asset.
        asset: AssetId,
    },
    /// A new asset lacks something that it must have.
    #[error("a new asset needs `{missing}`")]
    AssetIncomplete {
        /// The missing member.
        missing: Cow<'static, str>,
    },
    /// An asset's kind and decimals never change.
    #[error("`{member}` of an asset never changes")]
    AssetFixed {
        /// The member that was to change.
        member: Cow<'static, str>,
    },
    /// An account is to have credit in an item, which nobody can owe.
    #[error("`{asset}` is an item: an account can owe money, and no items")]
    CreditOnItem {
        /// The item.
        asset: AssetId,
    },
    /// The economy has no such account.
    #[error("the economy has no account `{account}`")]
    AccountNotFound {
        /// The unknown account.
        account: AccountId,
    },
    /// Nothing moves on the account until somebody opens it again.
    #[error("`{account}` is frozen")]
    AccountFrozen {
        /// The account.
        account: AccountId,
    },
    /// The account is closed.
    #[error("`{account}` is closed")]
    AccountClosed {
        /// The account.
        account: AccountId,
    },
    /// An account is to be closed that has something on it, or owes something.
    #[error("`{account}` has {posted} {asset}: an account is closed when it has nothing")]
    AccountNotEmpty {
        /// The account.
        account: AccountId,
        /// What it has.
        asset: AssetId,
        /// How much of it.
        posted: i64,
    },
    /// An account is to have limits in too many assets.
    #[error("`{account}` may have a credit limit in {most} assets and a ceiling in as many")]
    TooManyLimits {
        /// The account.
        account: AccountId,
        /// The most assets in which it may have a limit of one kind.
        most: usize,
    },
    /// The transfer was taken back before.
    #[error("the transfer {transfer} was reversed by {by}")]
    AlreadyReversed {
        /// The transfer.
        transfer: TransferId,
        /// What took it back.
        by: TransferId,
    },
    /// A reversal stands.
    #[error("{transfer} is the reversal of {of}: make a new transfer instead")]
    ReversalFinal {
        /// The reversal.
        transfer: TransferId,
        /// What it took back.
        of: TransferId,
    },
    /// The hold has ended.
    #[error("the hold {hold} has ended")]
    HoldClosed {
        /// The hold.
        hold: HoldId,
        /// How it ended; not said if it did so a moment ago.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ended: Option<HoldEnd>,
    },
    /// More than what is left of the hold.
    #[error("{remaining} are left of the hold {hold}, and {amount} were to be captured")]
    HoldExceeded {
        /// The hold.
        hold: HoldId,
        /// What is left of it.
        remaining: Amount,
        /// What was to be captured.
        amount: Amount,
    },
    /// The economy would keep more of something than its quota lets it.
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
        /// The amount that it keeps.
        used: u64,
    },
    /// More than the account can spend.
    #[error("`{account}` can spend {available} {asset}, and {required} are required")]
    InsufficientFunds {
        /// The account that was to give.
        account: AccountId,
        /// What was to move.
        asset: AssetId,
        /// What the account can spend: posted − held + credit limit, or without the credit where a
        /// plugin takes it by a pattern.
        available: u64,
        /// What it would have had to spend.
        required: Amount,
    },
    /// More than may ever be in circulation.
    #[error(
        "{supply} of at most {max_supply} {asset} are in circulation; {amount} more are too many"
    )]
    SupplyLimit {
        /// The asset.
        asset: AssetId,
        /// The most that may be in circulation.
        max_supply: Limit,
        /// What is in circulation.
        supply: i64,
        /// What was to be added.
        amount: Amount,
    },
    /// More than the account may hold.
    #[error("`{account}` may hold {ceiling} {asset}, has {posted}, and was to get {amount}")]
    CeilingExceeded {
        /// The account that was to get.
        account: AccountId,
        /// What was to move.
        asset: AssetId,
        /// The most that it may hold.
        ceiling: Limit,
        /// What it has.
        posted: i64,
        /// What it was to get.
        amount: Amount,
    },
    /// A plugin would keep more state than it may.
    #[error("the plugin `{plugin}` would keep {bytes} bytes of state, of at most {most}")]
    StateQuota {
        /// The plugin.
        plugin: PluginName,
        /// What it would keep.
        bytes: usize,
        /// What it may keep.
        most: usize,
    },
    /// A plugin would move more in a day, or in a call by a pattern, than it was granted.
    #[error(
        "`{plugin}` may move {most} {asset}{} {} by `{}`, and this would make {asked}{}",
        beneath(accounts.as_ref(), account.as_ref()),
        budget.period(),
        budget.name(),
        account.as_ref().map_or(String::new(), |account| format!(" of `{account}`"))
    )]
    BudgetExceeded {
        /// The plugin.
        plugin: PluginName,
        /// The budget: a member of its grants.
        budget: Budget,
        /// The pattern whose budget it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        accounts: Option<AccountPattern>,
        /// The account of the pattern that it is counted of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<AccountId>,
        /// What would move.
        asset: AssetId,
        /// How much of it may.
        most: Limit,
        /// How much would have moved, all together.
        asked: u64,
    },
    /// A transfer of a batch is refused, and with it all of them.
    #[error("transfer {index}: {rejection}")]
    InBatch {
        /// Which transfer, counted from 0.
        index: usize,
        /// Why.
        rejection: Box<Rejection>,
    },
}

/// The accounts of a budget, after an amount: each of a pattern's, or all of them.
fn beneath(accounts: Option<&AccountPattern>, account: Option<&AccountId>) -> String {
    match (accounts, account) {
        (Some(accounts), Some(_)) => format!(" of each of `{accounts}`"),
        (Some(accounts), None) => format!(" of all of `{accounts}`"),
        (None, _) => String::new(),
    }
}

impl Rejection {
    /// The kind. In a batch it is that of the transfer that is refused.
    pub fn kind(&self) -> RejectionKind {
        match self {
            Self::InBatch { rejection, .. } => rejection.kind(),
            Self::EconomyFrozen => RejectionKind::EconomyFrozen,
            Self::EconomyClosed => RejectionKind::EconomyClosed,
            Self::HoldsOpen { .. } => RejectionKind::HoldsOpen,
            Self::IssuerAccount { .. } => RejectionKind::IssuerAccount,
            Self::PluginAccount { .. } => RejectionKind::PluginAccount,
            Self::PluginHold { .. } => RejectionKind::PluginHold,
            Self::TransferCap { .. } => RejectionKind::TransferCap,
            Self::ReservedAccount { .. } => RejectionKind::ReservedAccount,
            Self::NotAdmitted { .. } => RejectionKind::NotAdmitted,
            Self::PluginDisabled { .. } => RejectionKind::PluginDisabled,
            Self::ComponentMissing { .. } => RejectionKind::ComponentMissing,
            Self::NameTaken { .. } => RejectionKind::NameTaken,
            Self::NameIsFixed { .. } => RejectionKind::NameIsFixed,
            Self::NothingBefore { .. } => RejectionKind::NothingBefore,
            Self::RevisionUnknown { .. } => RejectionKind::RevisionUnknown,
            Self::PluginChanged { .. } => RejectionKind::PluginChanged,
            Self::ScheduleUnknown { .. } => RejectionKind::ScheduleUnknown,
            Self::GrantTooWide { .. } => RejectionKind::GrantTooWide,
            Self::SeedsHidden { .. } => RejectionKind::SeedsHidden,
            Self::KeyExists { .. } => RejectionKind::KeyExists,
            Self::KeyRevoked { .. } => RejectionKind::KeyRevoked,
            Self::LastAdminKey { .. } => RejectionKind::LastAdminKey,
            Self::KeyIncomplete { .. } => RejectionKind::KeyIncomplete,
            Self::WebhookIncomplete { .. } => RejectionKind::WebhookIncomplete,
            Self::AssetNotFound { .. } => RejectionKind::AssetNotFound,
            Self::AssetIncomplete { .. } => RejectionKind::AssetIncomplete,
            Self::AssetFixed { .. } => RejectionKind::AssetFixed,
            Self::CreditOnItem { .. } => RejectionKind::CreditOnItem,
            Self::AccountNotFound { .. } => RejectionKind::AccountNotFound,
            Self::AccountFrozen { .. } => RejectionKind::AccountFrozen,
            Self::AccountClosed { .. } => RejectionKind::AccountClosed,
            Self::AccountNotEmpty { .. } => RejectionKind::AccountNotEmpty,
            Self::TooManyLimits { .. } => RejectionKind::TooManyLimits,
            Self::AlreadyReversed { .. } => RejectionKind::AlreadyReversed,
            Self::ReversalFinal { .. } => RejectionKind::ReversalFinal,
            Self::HoldClosed { .. } => RejectionKind::HoldClosed,
            Self::HoldExceeded { .. } => RejectionKind::HoldExceeded,
            Self::QuotaReached { .. } => RejectionKind::QuotaReached,
            Self::InsufficientFunds { .. } => RejectionKind::InsufficientFunds,
            Self::SupplyLimit { .. } => RejectionKind::SupplyLimit,
            Self::CeilingExceeded { .. } => RejectionKind::CeilingExceeded,
            Self::StateQuota { .. } => RejectionKind::StateQuota,
            Self::BudgetExceeded { .. } => RejectionKind::BudgetExceeded,
        }
    }

    /// A rule's no, or a contradiction.
    pub fn class(&self) -> RejectionClass {
        self.kind().class()
    }

    /// Whether the same request can succeed under a new key.
    pub fn retry(&self) -> Retry {
        self.kind().retry()
    }
}

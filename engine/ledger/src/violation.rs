//! Violations of the invariants of an economy's books.

use std::fmt::Display;

use crate::amount::Limit;
use crate::id::{AccountId, AssetId, PluginId, PluginName, TransferId};
use crate::number::AccountNumber;
use crate::quota::Quota;

/// A violated invariant.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Violation {
    /// The balances of an asset do not sum to zero.
    #[error("the balances of {asset} sum to {sum}, not to zero")]
    NotConserved {
        /// The asset.
        asset: AssetId,
        /// The sum.
        sum: i128,
    },
    /// A balance is in an asset that does not exist.
    #[error("{account} has a balance in {asset}, which does not exist")]
    UnknownAsset {
        /// The account.
        account: AccountId,
        /// The asset.
        asset: AssetId,
    },
    /// An issuer has a balance in an asset of another issuer.
    #[error("{account} has a balance in {asset}, which it does not issue")]
    ForeignIssuer {
        /// The issuer.
        account: AccountId,
        /// The asset.
        asset: AssetId,
    },
    /// A balance is outside ±(2^53 − 1).
    #[error("{account} has {posted} {asset}, beyond ±(2^53 - 1)")]
    OutOfRange {
        /// The account.
        account: AccountId,
        /// The asset.
        asset: AssetId,
        /// The balance.
        posted: i64,
    },
    /// A balance is below its lower bound.
    #[error("{account} has {posted} {asset}, below its floor of {floor}")]
    BelowFloor {
        /// The account.
        account: AccountId,
        /// The asset.
        asset: AssetId,
        /// The balance.
        posted: i64,
        /// The lower bound.
        floor: i64,
    },
    /// A balance is above its ceiling.
    #[error("{account} has {posted} {asset}, above its ceiling of {ceiling}")]
    AboveCeiling {
        /// The account.
        account: AccountId,
        /// The asset.
        asset: AssetId,
        /// The balance.
        posted: i64,
        /// The ceiling.
        ceiling: i64,
    },
    /// An account has a credit limit in an item.
    #[error("{account} has a credit limit in {asset}, which is no currency")]
    CreditOnItem {
        /// The account.
        account: AccountId,
        /// The item.
        asset: AssetId,
    },
    /// A limit has no balance, so no quota counts it.
    #[error("{account} has a limit in {asset}, but no balance")]
    LimitWithoutBalance {
        /// The account.
        account: AccountId,
        /// The asset.
        asset: AssetId,
    },
    /// The available amount is below its lower bound.
    #[error("{account} holds {held} of {posted} {asset}")]
    OverHeld {
        /// The account.
        account: AccountId,
        /// The asset.
        asset: AssetId,
        /// The held amount.
        held: Limit,
        /// The balance.
        posted: i64,
        /// The lower bound of posted − held.
        floor: i64,
    },
    /// The held amount differs from the sum of the open holds.
    #[error("{account} holds {held} {asset}, and its open holds sum to {counted}")]
    HeldMiscounted {
        /// The account.
        account: AccountId,
        /// The asset.
        asset: AssetId,
        /// The held amount in the balance.
        held: Limit,
        /// The sum of the open holds.
        counted: u64,
    },
    /// The economy is closed and has open holds.
    #[error("the economy is closed, and {open} holds are open")]
    ClosedWithHolds {
        /// The number of open holds.
        open: usize,
    },
    /// A link between a transfer and its reversal exists in one direction only.
    #[error("the transfer {transfer} is linked to a reversal, but not the reversal to it")]
    LooseReversal {
        /// The transfer, or the reversal.
        transfer: TransferId,
    },
    /// A plugin is enabled and marked as switched off.
    #[error("the plugin {plugin} is enabled, and marked as switched off")]
    SwitchedOffAndOn {
        /// The plugin.
        plugin: String,
    },
    /// A name is bound to another plugin than the installed one.
    #[error(
        "the name {plugin} is bound to {}, and `{id}` is installed under it",
        of(bound.as_ref(), "no plugin")
    )]
    NameOfAnother {
        /// The name.
        plugin: PluginName,
        /// The plugin that is installed.
        id: PluginId,
        /// The plugin that the name is bound to.
        bound: Option<PluginId>,
    },
    /// The size of a plugin's state is wrong.
    #[error("the state of plugin {plugin} is {counted} bytes, not {recorded}")]
    StateMiscounted {
        /// The plugin.
        plugin: String,
        /// The sum of its keys and values.
        counted: usize,
        /// The recorded size.
        recorded: usize,
    },
    /// The number of an account stands for no account, or for another one.
    #[error("{account} has the number {number}, which stands for {}", of(named.as_ref(), "no account"))]
    AccountMisnumbered {
        /// The account.
        account: AccountId,
        /// Its number.
        number: AccountNumber,
        /// The account that the number stands for.
        named: Option<AccountId>,
    },
    /// The number of an asset stands for no asset, or for another one, or is missing.
    #[error("the number of {asset} stands for {}", of(named.as_ref(), "no asset"))]
    AssetMisnumbered {
        /// The asset.
        asset: AssetId,
        /// The asset that the number stands for.
        named: Option<AssetId>,
    },
    /// Some account numbers stand for no account.
    #[error("there are {numbers} account numbers and {accounts} accounts")]
    AccountNumbersMiscounted {
        /// The count of numbers assigned.
        numbers: usize,
        /// The number of accounts.
        accounts: usize,
    },
    /// Some asset numbers stand for no asset.
    #[error("there are {numbers} asset numbers and {assets} assets")]
    AssetNumbersMiscounted {
        /// The count of numbers assigned.
        numbers: usize,
        /// The number of assets.
        assets: usize,
    },
    /// The recorded use of a quota is wrong.
    #[error("{counted} {} are in use, not {recorded}", quota.counts())]
    UsageMiscounted {
        /// The quota.
        quota: Quota,
        /// The amount in use.
        counted: u64,
        /// The recorded amount.
        recorded: u64,
    },
}

impl Violation {
    /// Returns true if an account is outside its limits, which is allowed after new limits or a forced
    /// reversal.
    pub fn is_of_limits(&self) -> bool {
        match self {
            Self::BelowFloor { .. } | Self::AboveCeiling { .. } | Self::OverHeld { .. } => true,
            Self::NotConserved { .. }
            | Self::UnknownAsset { .. }
            | Self::ForeignIssuer { .. }
            | Self::OutOfRange { .. }
            | Self::CreditOnItem { .. }
            | Self::LimitWithoutBalance { .. }
            | Self::ClosedWithHolds { .. }
            | Self::HeldMiscounted { .. }
            | Self::LooseReversal { .. }
            | Self::SwitchedOffAndOn { .. }
            | Self::NameOfAnother { .. }
            | Self::StateMiscounted { .. }
            | Self::AccountMisnumbered { .. }
            | Self::AssetMisnumbered { .. }
            | Self::AccountNumbersMiscounted { .. }
            | Self::AssetNumbersMiscounted { .. }
            | Self::UsageMiscounted { .. } => false,
        }
    }
}

/// Returns a name in quotes, or the words for none.
fn of(name: Option<&impl Display>, none: &str) -> String {
    name.map_or_else(|| none.into(), |name| format!("`{name}`"))
}

//! Budgets of plugins, and the counters of their use.

use serde::{Deserialize, Serialize};

use crate::id::{AccountId, AssetId, PluginName};
use crate::plugin::account_pattern::AccountPattern;

/// A counter of the amounts that a plugin has taken on one day (UTC).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct BudgetCounter {
    /// The plugin.
    pub plugin: PluginName,
    /// The accounts whose payments are counted.
    pub payer: Payer,
    /// The asset.
    pub asset: AssetId,
}

/// The accounts whose payments a budget counter counts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payer {
    /// A member who has called the plugin.
    Caller(AccountId),
    /// One account that the plugin has debited by a pattern.
    Account(AccountId),
    /// All accounts of a pattern together, for debits by that pattern.
    Pattern(AccountPattern),
}

/// A budget in an operator's grants.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Budget {
    /// The most that leaves one caller in a day.
    #[serde(rename = "spend_per_member_per_day")]
    SpendPerMemberPerDay,
    /// The most that is issued in a day.
    #[serde(rename = "issue_per_day")]
    IssuePerDay,
    /// The most that leaves the accounts of a pattern in one call.
    #[serde(rename = "patterns.debit.per_call")]
    PatternPerCall,
    /// The most that leaves one account of a pattern in a day.
    #[serde(rename = "patterns.debit.per_member_per_day")]
    PatternPerMemberPerDay,
    /// The most that leaves all accounts of a pattern in a day.
    #[serde(rename = "patterns.debit.per_day")]
    PatternPerDay,
}

impl Budget {
    /// Returns the member of the grants that sets the budget.
    pub fn name(self) -> &'static str {
        match self {
            Self::SpendPerMemberPerDay => "spend_per_member_per_day",
            Self::IssuePerDay => "issue_per_day",
            Self::PatternPerCall => "patterns.debit.per_call",
            Self::PatternPerMemberPerDay => "patterns.debit.per_member_per_day",
            Self::PatternPerDay => "patterns.debit.per_day",
        }
    }

    /// Returns the period of the budget in words.
    pub(crate) fn period(self) -> &'static str {
        match self {
            Self::PatternPerCall => "in a call",
            Self::SpendPerMemberPerDay
            | Self::IssuePerDay
            | Self::PatternPerMemberPerDay
            | Self::PatternPerDay => "a day",
        }
    }
}

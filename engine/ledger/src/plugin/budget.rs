//! Budgets of plugins: the counters of what was taken on a day, and from whom.

use serde::{Deserialize, Serialize};

use crate::id::{AccountId, AssetId, PluginName};
use crate::plugin::account_pattern::AccountPattern;

/// A counter of what a plugin has taken on one day (of UTC).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct BudgetCounter {
    /// The plugin whose budget it is.
    pub plugin: PluginName,
    /// The accounts that it is counted of.
    pub payer: Payer,
    /// The asset.
    pub asset: AssetId,
}

/// The accounts of which a budget counts what leaves them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Payer {
    /// A member who has called the plugin.
    Caller(AccountId),
    /// An account that the plugin has debited by a pattern, whichever it was.
    Account(AccountId),
    /// All accounts of a pattern together, as far as they were debited by it.
    Pattern(AccountPattern),
}

/// A budget that an operator grants, by the member of the grants that sets it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Budget {
    /// What leaves one caller in a day.
    #[serde(rename = "spend_per_member_per_day")]
    SpendPerMemberPerDay,
    /// What is issued in a day.
    #[serde(rename = "issue_per_day")]
    IssuePerDay,
    /// What leaves the accounts of a pattern in one call.
    #[serde(rename = "patterns.debit.per_call")]
    PatternPerCall,
    /// What leaves one account of a pattern in a day.
    #[serde(rename = "patterns.debit.per_member_per_day")]
    PatternPerMemberPerDay,
    /// What leaves all accounts of a pattern in a day.
    #[serde(rename = "patterns.debit.per_day")]
    PatternPerDay,
}

impl Budget {
    /// The member of the grants.
    pub fn name(self) -> &'static str {
        match self {
            Self::SpendPerMemberPerDay => "spend_per_member_per_day",
            Self::IssuePerDay => "issue_per_day",
            Self::PatternPerCall => "patterns.debit.per_call",
            Self::PatternPerMemberPerDay => "patterns.debit.per_member_per_day",
            Self::PatternPerDay => "patterns.debit.per_day",
        }
    }

    /// The time for which it lasts, in words.
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

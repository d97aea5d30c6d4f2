//! The kinds of rejections: the code of each, its class, and whether asking again can help. This is the one
//! table of them.

use serde::Serialize;

/// What kind of no a rejection is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RejectionClass {
    /// A rule of money or authority refuses it.
    Refused,
    /// It contradicts how things stand, not a rule.
    Conflict,
    /// It is more than the key allows.
    Forbidden,
}

/// Whether asking again can help. Never whether it is safe: with the same key it always is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// Ask again with the same key: nothing was decided, or the decision is not known.
    SameKey,
    /// The answer is final for this key; with a new key things may have changed.
    NewKey,
    /// The same request does not succeed by being sent again.
    Never,
}

impl Retry {
    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SameKey => "same_key",
            Self::NewKey => "new_key",
            Self::Never => "never",
        }
    }
}

/// A kind of rejection. The variants are those of [`Rejection`](super::Rejection), but for the one that
/// says of which transfer of a batch another is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(
    missing_docs,
    reason = "each is described where it says more than its name"
)]
pub enum RejectionKind {
    EconomyFrozen,
    EconomyClosed,
    HoldsOpen,
    IssuerAccount,
    PluginAccount,
    PluginHold,
    TransferCap,
    ReservedAccount,
    NotAdmitted,
    PluginDisabled,
    ComponentMissing,
    NameTaken,
    NameIsFixed,
    NothingBefore,
    RevisionUnknown,
    PluginChanged,
    ScheduleUnknown,
    GrantTooWide,
    SeedsHidden,
    KeyExists,
    KeyRevoked,
    LastAdminKey,
    KeyIncomplete,
    WebhookIncomplete,
    AssetNotFound,
    AssetIncomplete,
    AssetFixed,
    CreditOnItem,
    AccountNotFound,
    AccountFrozen,
    AccountClosed,
    AccountNotEmpty,
    TooManyLimits,
    AlreadyReversed,
    ReversalFinal,
    HoldClosed,
    HoldExceeded,
    QuotaReached,
    InsufficientFunds,
    SupplyLimit,
    CeilingExceeded,
    StateQuota,
    BudgetExceeded,
}

impl RejectionKind {
    /// All kinds, in the order of the variants.
    pub const ALL: [Self; 43] = [
        Self::EconomyFrozen,
        Self::EconomyClosed,
        Self::HoldsOpen,
        Self::IssuerAccount,
        Self::PluginAccount,
        Self::PluginHold,
        Self::TransferCap,
        Self::ReservedAccount,
        Self::NotAdmitted,
        Self::PluginDisabled,
        Self::ComponentMissing,
        Self::NameTaken,
        Self::NameIsFixed,
        Self::NothingBefore,
        Self::RevisionUnknown,
        Self::PluginChanged,
        Self::ScheduleUnknown,
        Self::GrantTooWide,
        Self::SeedsHidden,
        Self::KeyExists,
        Self::KeyRevoked,
        Self::LastAdminKey,
        Self::KeyIncomplete,
        Self::WebhookIncomplete,
        Self::AssetNotFound,
        Self::AssetIncomplete,
        Self::AssetFixed,
        Self::CreditOnItem,
        Self::AccountNotFound,
        Self::AccountFrozen,
        Self::AccountClosed,
        Self::AccountNotEmpty,
        Self::TooManyLimits,
        Self::AlreadyReversed,
        Self::ReversalFinal,
        Self::HoldClosed,
        Self::HoldExceeded,
        Self::QuotaReached,
        Self::InsufficientFunds,
        Self::SupplyLimit,
        Self::CeilingExceeded,
        Self::StateQuota,
        Self::BudgetExceeded,
    ];

    fn terms(self) -> (&'static str, RejectionClass, Retry) {
        use RejectionClass::{Conflict, Forbidden, Refused};
        use Retry::{Never, NewKey};
        match self {
            Self::EconomyFrozen => ("economy_frozen", Refused, NewKey),
            Self::EconomyClosed => ("economy_closed", Refused, Never),
            Self::HoldsOpen => ("holds_open", Conflict, NewKey),
            Self::IssuerAccount => ("issuer_account", Refused, Never),
            Self::PluginAccount => ("plugin_account", Refused, Never),
            Self::PluginHold => ("plugin_hold", Refused, Never),
            Self::TransferCap => ("transfer_cap", Refused, NewKey),
            Self::NotAdmitted => ("not_admitted", Forbidden, Never),
            Self::ReservedAccount => ("reserved_account", Refused, Never),
            Self::PluginDisabled => ("plugin_disabled", Conflict, NewKey),
            Self::ComponentMissing => ("component_missing", Refused, Never),
            Self::NameTaken => ("name_taken", Conflict, Never),
            Self::NameIsFixed => ("name_is_fixed", Conflict, Never),
            Self::NothingBefore => ("nothing_before", Conflict, NewKey),
            Self::RevisionUnknown => ("revision_unknown", Refused, Never),
            Self::PluginChanged => ("plugin_changed", Conflict, NewKey),
            Self::ScheduleUnknown => ("schedule_unknown", Refused, Never),
            Self::GrantTooWide => ("grant_too_wide", Refused, Never),
            Self::SeedsHidden => ("seeds_hidden", Conflict, NewKey),
            Self::KeyExists => ("key_exists", Conflict, Never),
            Self::KeyRevoked => ("key_revoked", Conflict, NewKey),
            Self::LastAdminKey => ("last_admin_key", Conflict, NewKey),
            Self::KeyIncomplete => ("key_incomplete", Refused, Never),
            Self::WebhookIncomplete => ("webhook_incomplete", Refused, Never),
            Self::AssetNotFound => ("asset_not_found", Refused, NewKey),
            Self::AssetIncomplete => ("asset_incomplete", Refused, Never),
            Self::AssetFixed => ("asset_fixed", Conflict, Never),
            Self::CreditOnItem => ("credit_on_item", Refused, Never),
            Self::AccountNotFound => ("account_not_found", Refused, NewKey),
            Self::AccountFrozen => ("account_frozen", Refused, NewKey),
            Self::AccountClosed => ("account_closed", Refused, NewKey),
            Self::AccountNotEmpty => ("account_not_empty", Conflict, NewKey),
            Self::TooManyLimits => ("too_many_limits", Refused, NewKey),
            Self::AlreadyReversed => ("already_reversed", Conflict, Never),
            Self::ReversalFinal => ("reversal_final", Conflict, Never),
            Self::HoldClosed => ("hold_closed", Conflict, Never),
            Self::HoldExceeded => ("hold_exceeded", Refused, Never),
            Self::QuotaReached => ("quota_reached", Refused, NewKey),
            Self::InsufficientFunds => ("insufficient_funds", Refused, NewKey),
            Self::SupplyLimit => ("supply_limit", Refused, NewKey),
            Self::CeilingExceeded => ("ceiling_exceeded", Refused, NewKey),
            Self::StateQuota => ("state_quota", Refused, NewKey),
            Self::BudgetExceeded => ("budget_exceeded", Refused, NewKey),
        }
    }

    /// The code, as records and answers have it.
    pub fn code(self) -> &'static str {
        self.terms().0
    }

    /// A rule's no, or a contradiction.
    pub fn class(self) -> RejectionClass {
        self.terms().1
    }

    /// Whether the same request can succeed under a new key.
    pub fn retry(self) -> Retry {
        self.terms().2
    }
}

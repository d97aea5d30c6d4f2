//! The kinds of rejections: the one table of their codes, classes, retries and meanings.

use serde::Serialize;

/// The class of a rejection, from which the API derives the HTTP status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RejectionClass {
    /// A rule of money or authority forbids the request.
    Refused,
    /// The request conflicts with the present state.
    Conflict,
    /// The API key does not allow the request.
    Forbidden,
}

/// The kind of repetition that may succeed after a rejection. A repetition with the same idempotency key is
/// always safe.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// The request can be repeated with the same key: nothing was decided, or the decision is not known.
    SameKey,
    /// The answer is final for this key. Under a new key the request may succeed once the state has changed.
    NewKey,
    /// The request cannot succeed without a change to it.
    Never,
}

impl Retry {
    /// Returns the name that the API uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SameKey => "same_key",
            Self::NewKey => "new_key",
            Self::Never => "never",
        }
    }
}

/// Calls a macro with each kind of rejection: its name, its code, its class, its retry and its meaning.
macro_rules! for_each_rejection_kind {
    ($callback:ident) => {
        $callback! {
            EconomyFrozen = "economy_frozen", Refused, NewKey:
                "The economy is frozen: nothing moves in it until an admin opens it again.";
            EconomyClosed = "economy_closed", Refused, Never:
                "The economy is closed, for ever.";
            HoldsOpen = "holds_open", Conflict, NewKey:
                "An economy with open holds cannot be closed; `open` is their number.";
            IssuerAccount = "issuer_account", Refused, Never:
                "A transfer names an issuer; only issue, burn and granted plugins may do so.";
            PluginAccount = "plugin_account", Refused, Never:
                "A debit of a plugin's account needs the scope `admin`.";
            PluginHold = "plugin_hold", Refused, Never:
                "A hold that a plugin has placed is ended by that plugin, or with the scope \
                 `admin`.";
            TransferCap = "transfer_cap", Refused, NewKey:
                "The key may move at most `cap` of `asset` in one request, and `asked` is more.";
            ReservedAccount = "reserved_account", Refused, Never:
                "The account's name is reserved: the server creates it with the asset or the \
                 plugin.";
            NotAdmitted = "not_admitted", Forbidden, Never:
                "The key may only create accounts that match `accounts`, without limits.";
            PluginDisabled = "plugin_disabled", Conflict, NewKey:
                "The plugin is not enabled.";
            ComponentMissing = "component_missing", Refused, Never:
                "A plugin that is not installed yet needs a `component`.";
            NameTaken = "name_taken", Conflict, Never:
                "The name is bound to the plugin `bound`, whose accounts are kept.";
            NameIsFixed = "name_is_fixed", Conflict, Never:
                "The component derives its accounts from its own `id`, and needs it as its name.";
            NothingBefore = "nothing_before", Conflict, NewKey:
                "The plugin has no earlier component or configuration.";
            RevisionUnknown = "revision_unknown", Refused, Never:
                "The plugin has no such revision, or it is too old.";
            PluginChanged = "plugin_changed", Conflict, NewKey:
                "The plugin was changed while the request was read; read the plugin and repeat the \
                 request.";
            ScheduleUnknown = "schedule_unknown", Refused, Never:
                "The plugin has no schedule of this name.";
            GrantTooWide = "grant_too_wide", Refused, Never:
                "The grant of `member` exceeds what the manifest requests, `asks`.";
            SeedsHidden = "seeds_hidden", Conflict, NewKey:
                "The most server seeds that may wait for games to end, `most`, are not revealed \
                 yet.";
            KeyExists = "key_exists", Conflict, Never:
                "An API key of this name exists already.";
            KeyRevoked = "key_revoked", Conflict, NewKey:
                "The API key is revoked, so its secret cannot be replaced.";
            LastAdminKey = "last_admin_key", Conflict, NewKey:
                "The key is the last admin key of every economy; `force` allows the change.";
            KeyIncomplete = "key_incomplete", Refused, Never:
                "A new API key needs the member `missing`.";
            WebhookIncomplete = "webhook_incomplete", Refused, Never:
                "A new webhook needs the member `missing`.";
            AssetNotFound = "asset_not_found", Refused, NewKey:
                "The economy has no such asset; create it with PUT.";
            AssetIncomplete = "asset_incomplete", Refused, Never:
                "A new asset needs the member `missing`.";
            AssetFixed = "asset_fixed", Conflict, Never:
                "The `member` of an asset never changes.";
            CreditOnItem = "credit_on_item", Refused, Never:
                "An account cannot have credit in `asset`, because it is an item.";
            AccountNotFound = "account_not_found", Refused, NewKey:
                "The economy has no such account; create it with PUT.";
            AccountFrozen = "account_frozen", Refused, NewKey:
                "The account is frozen: nothing moves on it until it is opened again.";
            AccountClosed = "account_closed", Refused, NewKey:
                "The account is closed.";
            AccountNotEmpty = "account_not_empty", Conflict, NewKey:
                "An account with a balance or a hold cannot be closed.";
            TooManyLimits = "too_many_limits", Refused, NewKey:
                "The account may have a credit limit in `most` assets, and a ceiling in as many.";
            AlreadyReversed = "already_reversed", Conflict, Never:
                "The transfer was reversed before, by `by`.";
            ReversalFinal = "reversal_final", Conflict, Never:
                "The transfer is the reversal of `of`, and cannot be reversed.";
            HoldClosed = "hold_closed", Conflict, Never:
                "The hold has ended; `ended` is the way in which it did.";
            HoldExceeded = "hold_exceeded", Refused, Never:
                "Only `remaining` is left of the hold, and `amount` is more.";
            QuotaReached = "quota_reached", Refused, NewKey:
                "The economy has `used` of at most `limit`, and the request needs more; an operator \
                 can raise the `quota`.";
            InsufficientFunds = "insufficient_funds", Refused, NewKey:
                "The `account` can spend `available` of `asset`, and `required` is more.";
            SupplyLimit = "supply_limit", Refused, NewKey:
                "More than `max_supply` of `asset` would be in circulation.";
            CeilingExceeded = "ceiling_exceeded", Refused, NewKey:
                "The `account` would have more than its `ceiling` of `asset`.";
            StateQuota = "state_quota", Refused, NewKey:
                "The plugin would keep more state than it may.";
            BudgetExceeded = "budget_exceeded", Refused, NewKey:
                "The plugin may move `most` of `asset` by `budget`, and the call would bring it to \
                 `asked`. A pattern is named as `accounts`, and its member as `account`.";
        }
    };
}

pub(super) use for_each_rejection_kind;

macro_rules! kinds {
    ($($kind:ident = $code:literal, $class:ident, $retry:ident: $meaning:literal;)*) => {
        /// A kind of rejection. The variants are those of [`Rejection`](crate::Rejection), except for the one
        /// that names a transfer of a batch.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        pub enum RejectionKind {
            $(#[doc = $meaning] $kind,)*
        }

        impl RejectionKind {
            /// All kinds, in the order of the variants.
            pub const ALL: [Self; [$($code),*].len()] = [$(Self::$kind),*];

            fn terms(self) -> KindTerms {
                match self {
                    $(Self::$kind => KindTerms {
                        code: $code,
                        class: RejectionClass::$class,
                        retry: Retry::$retry,
                        meaning: $meaning,
                    },)*
                }
            }
        }
    };
}

for_each_rejection_kind!(kinds);

/// The properties of a kind of rejection.
struct KindTerms {
    code: &'static str,
    class: RejectionClass,
    retry: Retry,
    meaning: &'static str,
}

impl RejectionKind {
    /// Returns the code that records and responses contain.
    pub fn code(self) -> &'static str {
        self.terms().code
    }

    /// Returns the class.
    pub fn class(self) -> RejectionClass {
        self.terms().class
    }

    /// Returns the kind of repetition that may succeed.
    pub fn retry(self) -> Retry {
        self.terms().retry
    }

    /// Returns the meaning in a sentence, for the reference of the API. Names in backticks are members of the
    /// rejection.
    pub fn meaning(self) -> &'static str {
        self.terms().meaning
    }
}

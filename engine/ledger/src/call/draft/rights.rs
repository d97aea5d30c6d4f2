//! Rights of a plugin to accounts: its own, the caller's, and granted ones. A refusal says how an operator
//! grants the right.

use super::Draft;
use crate::books::Books;
use crate::call::request::CallRequest;
use crate::call::transcript::Refusal;
use crate::id::AccountId;
use crate::movement::Posting;
use crate::plugin::grants::{grant_of_debit, grant_of_read};
use crate::working_balances::Funds;
use std::borrow::Borrow;

/// The right by which a plugin debits an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum DebitRight {
    /// The account is the plugin's own.
    Own,
    /// The account is the caller's.
    Caller,
    /// The account is granted by its name.
    Name,
    /// The account is granted by a pattern.
    Pattern,
}

impl DebitRight {
    /// Returns the funds that a debit may use. Members have not agreed to a debit by a pattern, so it must
    /// not use credit.
    pub(super) fn funds(self) -> Funds {
        match self {
            Self::Own | Self::Caller | Self::Name => Funds::Spendable,
            Self::Pattern => Funds::Available,
        }
    }

    /// Returns true if an operator has granted the right.
    pub(super) fn is_granted(self) -> bool {
        match self {
            Self::Own | Self::Caller => false,
            Self::Name | Self::Pattern => true,
        }
    }
}

impl<B: Borrow<Books>, R: Borrow<CallRequest>> Draft<B, R> {
    /// Checks that the plugin may read an account's balances.
    pub(super) fn check_read(&self, account: &AccountId) -> Result<(), Refusal> {
        let grants = &self.plugin.installation.grants;
        let granted = grants.read.contains(account) || grants.patterns.lets_read(account);
        if self.is_own(account) || self.is_caller(account) || granted {
            return Ok(());
        }
        let is_requested = self.plugin.installation.requested.read.contains(account);
        Err(missing(
            "read",
            account,
            is_requested,
            grant_of_read(account),
        ))
    }

    /// Returns the right by which the plugin may debit the posting's source.
    pub(super) fn right_to_debit(&self, posting: &Posting) -> Result<DebitRight, Refusal> {
        let source = &posting.source;
        if *source == posting.destination {
            return Err(Refusal::SameAccount);
        }
        let grants = &self.plugin.installation.grants;
        if self.is_own(source) {
            return Ok(DebitRight::Own);
        }
        if self.is_caller(source) {
            return Ok(DebitRight::Caller);
        }
        if grants.debit.contains(source) {
            return Ok(DebitRight::Name);
        }
        if grants.patterns.debits(source).next().is_some() {
            return Ok(DebitRight::Pattern);
        }
        let is_requested = self.plugin.installation.requested.debit.contains(source);
        Err(missing(
            "debit",
            source,
            is_requested,
            grant_of_debit(source),
        ))
    }

    /// Checks that the plugin may reserve the posting's amount. A pattern grant does not allow holds: its
    /// caps count what leaves an account on one day, and a hold may be captured on another day.
    pub(super) fn check_may_hold(&self, posting: &Posting) -> Result<(), Refusal> {
        match self.right_to_debit(posting)? {
            DebitRight::Own | DebitRight::Caller | DebitRight::Name => Ok(()),
            DebitRight::Pattern => Err(Refusal::NotGranted {
                what: format!(
                    "reserve amounts of `{}`: a pattern allows transfers, but no holds",
                    posting.source
                ),
            }),
        }
    }

    /// Checks that the plugin may use the issuers of a posting. Any other account may be credited without a
    /// grant.
    pub(super) fn check_issuers(&self, posting: &Posting) -> Result<(), Refusal> {
        let Posting {
            source,
            destination,
            asset,
            ..
        } = posting;
        let installation = &self.plugin.installation;
        if destination.is_issuer() && !installation.grants.credit.contains(destination) {
            let is_requested = installation.requested.credit.contains(destination);
            return Err(missing("credit", destination, is_requested, None));
        }
        // An issuer has one asset; a posting in another asset would create a balance without backing.
        let issues_another =
            |account: &&AccountId| account.is_issuer() && !account.is_issuer_of(asset);
        if let Some(issuer) = [source, destination].into_iter().find(issues_another) {
            return Err(Refusal::NotGranted {
                what: format!("move {asset} on `{issuer}`, which issues another asset"),
            });
        }
        Ok(())
    }
}

/// Creates the refusal of a right with the grant that is missing: by name if the manifest requests it,
/// otherwise by pattern.
fn missing(
    right: &'static str,
    account: &AccountId,
    is_requested: bool,
    by_pattern: Option<String>,
) -> Refusal {
    let how = match (is_requested, by_pattern) {
        (true, _) => format!("an operator grants it by \"{account}\" in `grants.{right}`"),
        (false, Some(grant)) => format!("an operator grants it by {grant} in `grants.patterns`"),
        (false, None) => format!(
            "an operator can grant it once the manifest requests it, in `permissions.{right}`"
        ),
    };
    Refusal::NotGranted {
        what: format!("{right} `{account}`: {how}"),
    }
}

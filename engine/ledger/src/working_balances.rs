//! Balances during a decision, and the checks that every movement of money passes.

use std::collections::BTreeMap;

use crate::account::{Account, AccountStatus};
use crate::amount::{Amount, Limit};
use crate::asset::AssetKind;
use crate::balances::Balance;
use crate::books::Books;
use crate::decision::Change;
use crate::economy::Flow;
use crate::id::{AccountId, AssetId, PluginName};
use crate::limits::BALANCE_MAX;
use crate::movement::{Movement, Posting};
use crate::quota::Quota;
use crate::rejection::Rejection;

/// The funds that a debit may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Funds {
    /// The spendable amount: what is not held, with the credit limit.
    Spendable,
    /// The amount that is not held, without the credit limit.
    Available,
    /// The spendable amount and the held one: the debit captures a hold.
    Held,
    /// Any amount, ignoring the account's limits: an admin forces a reversal. Items still cannot become
    /// negative.
    Forced,
}

/// Returns both accounts of each posting.
pub(crate) fn accounts(postings: &[Posting]) -> impl Iterator<Item = &AccountId> {
    postings
        .iter()
        .flat_map(|posting| [&posting.source, &posting.destination])
}

/// Checks that the assets and accounts of postings exist, and that the accounts are open.
pub(crate) fn check_accounts(
    books: &Books,
    postings: &[Posting],
    funds: Funds,
) -> Result<(), Rejection> {
    WorkingBalances::new(books).check_accounts(postings, funds)
}

/// A balance during a decision.
#[derive(Clone, Copy)]
struct WorkingBalance<'a> {
    /// The account in the books.
    account: Option<&'a Account>,
    /// The balance in the books.
    before: Balance,
    /// The posted amount after the postings so far.
    posted: i64,
    /// The change of the held amount, compared with the books.
    held: i64,
    /// True if the balance is in the books, or was counted as new.
    is_counted: bool,
}

impl<'a> WorkingBalance<'a> {
    fn new(account: Option<&'a Account>, asset: &AssetId) -> Self {
        let balance = account.and_then(|account| account.balances.get(asset));
        let before = balance.copied().unwrap_or_default();
        Self {
            account,
            before,
            posted: before.posted,
            held: 0,
            is_counted: balance.is_some(),
        }
    }

    /// Returns the amount that a debit may use.
    fn available(&self, asset: &AssetId, funds: Funds, floor: i64) -> u64 {
        let account = self.account.expect("the accounts were checked before");
        let delta = self.posted.saturating_sub(self.before.posted);
        match funds {
            Funds::Spendable => account.spendable_after(asset, delta.saturating_sub(self.held)),
            Funds::Available => {
                let available = self.before.available().saturating_add(delta);
                available.saturating_sub(self.held).try_into().unwrap_or(0)
            }
            Funds::Held => {
                let held = self.before.held.signed();
                account.spendable_after(asset, delta.saturating_add(held))
            }
            Funds::Forced => self.posted.saturating_sub(floor).try_into().unwrap_or(0),
        }
    }
}

/// The balances of the postings so far. A look-up in the books costs a microsecond of cache misses if there
/// are many accounts, so each balance is looked up there once.
#[derive(Default)]
struct BalanceList<'a> {
    balances: Vec<(AccountAsset<'a>, WorkingBalance<'a>)>,
    /// The places of all balances, if there are more than a few.
    places: BTreeMap<AccountAsset<'a>, usize>,
}

/// The account and the asset of a balance.
type AccountAsset<'a> = (&'a AccountId, &'a AssetId);

/// Balances that are searched one by one. Nearly all transfers have two, for which a map takes longer.
const SEARCHED_MAX: usize = 8;

impl<'a> BalanceList<'a> {
    /// Returns the place of a balance, which is added from the books if it is not there.
    fn place(&mut self, books: &'a Books, key: AccountAsset<'a>) -> usize {
        let found = if self.places.is_empty() {
            self.balances.iter().position(|(known, _)| *known == key)
        } else {
            self.places.get(&key).copied()
        };
        found.unwrap_or_else(|| self.add(books, key))
    }

    fn add(&mut self, books: &'a Books, key: AccountAsset<'a>) -> usize {
        let (account, asset) = key;
        let place = self.balances.len();
        let balance = WorkingBalance::new(books.account(account), asset);
        self.balances.push((key, balance));
        if place == SEARCHED_MAX {
            let keys = self.balances.iter().map(|(key, _)| *key);
            self.places = keys.zip(0..).collect();
        } else if place > SEARCHED_MAX {
            self.places.insert(key, place);
        }
        place
    }

    fn at(&mut self, place: usize) -> &mut WorkingBalance<'a> {
        let balance = self.balances.get_mut(place);
        let (_, balance) = balance.expect("places come from this list, which only grows");
        balance
    }
}

/// The balances after the postings so far.
pub(crate) struct WorkingBalances<'a> {
    books: &'a Books,
    balances: BalanceList<'a>,
    flows: BTreeMap<&'a AssetId, Flow>,
    /// The number of balances that the postings create.
    opened: u64,
    /// True if new balances are checked against the quota.
    checks_quota: bool,
}

impl<'a> WorkingBalances<'a> {
    pub(crate) fn new(books: &'a Books) -> Self {
        Self {
            books,
            balances: BalanceList::default(),
            flows: BTreeMap::new(),
            opened: 0,
            checks_quota: true,
        }
    }

    /// Creates balances whose growth is not checked against the quota, for calls that have drawn: it was
    /// checked before the draw.
    pub(crate) fn without_quota(books: &'a Books) -> Self {
        Self {
            checks_quota: false,
            ..Self::new(books)
        }
    }

    fn place(&mut self, account: &'a AccountId, asset: &'a AssetId) -> usize {
        self.balances.place(self.books, (account, asset))
    }

    /// Checks that the assets and accounts of postings exist, and that the accounts are open.
    pub(crate) fn check_accounts(
        &mut self,
        postings: &'a [Posting],
        funds: Funds,
    ) -> Result<(), Rejection> {
        for posting in postings {
            if self.books.asset(&posting.asset).is_none() {
                return Err(Rejection::AssetNotFound {
                    asset: posting.asset.clone(),
                });
            }
        }
        // An issuer has one asset; a posting in another asset would create a balance without backing.
        for posting in postings {
            let mut accounts_of_posting = [&posting.source, &posting.destination].into_iter();
            if let Some(other) = accounts_of_posting
                .find(|account| account.is_issuer() && !account.is_issuer_of(&posting.asset))
            {
                return Err(Rejection::IssuerAccount {
                    account: other.clone(),
                });
            }
        }
        // An account that is missing is reported before one that is not open.
        let mut open = Ok(());
        for posting in postings {
            for id in [&posting.source, &posting.destination] {
                let place = self.place(id, &posting.asset);
                let Some(account) = self.balances.at(place).account else {
                    return Err(Rejection::AccountNotFound {
                        account: id.clone(),
                    });
                };
                open = open.and_then(|()| match (account.status, funds) {
                    // A forced reversal may undo what happened before the account was frozen.
                    (AccountStatus::Frozen, Funds::Forced) => Ok(()),
                    (AccountStatus::Open | AccountStatus::Closed | AccountStatus::Frozen, _) => {
                        account.check_open(id)
                    }
                });
            }
        }
        open
    }

    /// Counts a balance if it is new, and checks the quota.
    pub(crate) fn open_balance(
        &mut self,
        account: &'a AccountId,
        asset: &'a AssetId,
    ) -> Result<(), Rejection> {
        let place = self.place(account, asset);
        self.open_place(place)
    }

    fn open_place(&mut self, place: usize) -> Result<(), Rejection> {
        let balance = self.balances.at(place);
        if balance.is_counted || !self.checks_quota {
            return Ok(());
        }
        balance.is_counted = true;
        self.opened = self.opened.saturating_add(1);
        let used = self.books.usage.balances;
        self.books.check_room(Quota::Balances, used, self.opened)
    }

    /// Opens both balances of a posting. Returns the places of the source and of the destination.
    fn open_balances(&mut self, posting: &'a Posting) -> Result<(usize, usize), Rejection> {
        let source = self.place(&posting.source, &posting.asset);
        let destination = self.place(&posting.destination, &posting.asset);
        self.open_place(source)?;
        self.open_place(destination)?;
        Ok((source, destination))
    }

    /// Posts postings in their order, as one part of a batch.
    pub(crate) fn post_all(
        &mut self,
        postings: &'a [Posting],
        part: u32,
        funds: Funds,
    ) -> Result<Vec<Movement>, Rejection> {
        let posted = postings
            .iter()
            .map(|posting| self.post(posting, part, funds));
        posted.collect()
    }

    /// Returns the changes of circulation.
    pub(crate) fn supply_moved(&self, plugin: Option<&PluginName>) -> Vec<Change> {
        let moved = self.flows.iter().map(|(asset, flow)| Change::SupplyMoved {
            asset: (*asset).clone(),
            plugin: plugin.cloned(),
            flow: *flow,
        });
        moved.collect()
    }

    /// Reserves the amount of a posting.
    pub(crate) fn reserve(&mut self, posting: &'a Posting) -> Result<(), Rejection> {
        let (source, _) = self.open_balances(posting)?;
        self.check_debit(source, posting, Funds::Spendable)?;
        self.hold(posting, posting.amount.signed());
        Ok(())
    }

    /// Posts a part of a hold.
    pub(crate) fn capture(&mut self, posting: &'a Posting) -> Result<Movement, Rejection> {
        let movement = self.post(posting, 0, Funds::Held)?;
        self.hold(posting, posting.amount.signed().saturating_neg());
        Ok(movement)
    }

    /// Releases an amount of a hold.
    pub(crate) fn release(&mut self, posting: &'a Posting, amount: Amount) {
        self.hold(posting, amount.signed().saturating_neg());
    }

    fn hold(&mut self, posting: &'a Posting, by: i64) {
        let source = self.place(&posting.source, &posting.asset);
        let balance = self.balances.at(source);
        balance.held = balance.held.saturating_add(by);
    }

    pub(crate) fn post(
        &mut self,
        posting: &'a Posting,
        part: u32,
        funds: Funds,
    ) -> Result<Movement, Rejection> {
        let (source, destination) = self.open_balances(posting)?;
        // The order of the checks decides which rejection is recorded, so the audit of old records depends
        // on it.
        let source_after = self.check_debit(source, posting, funds)?;
        let destination_after = self.check_credit(destination, posting, funds)?;
        self.balances.at(source).posted = source_after;
        self.balances.at(destination).posted = destination_after;
        let units = posting.amount.get();
        let is_issued = posting.source.is_issuer();
        let (issued, burned) = match (is_issued, posting.destination.is_issuer()) {
            (true, _) => (units, 0),
            (false, true) => (0, units),
            (false, false) => (0, 0),
        };
        if issued > 0 || burned > 0 {
            let flow = self.flows.entry(&posting.asset).or_default();
            *flow = flow.and(Flow { issued, burned });
        }
        Ok(Movement {
            part,
            posting: posting.clone(),
            source_after,
            destination_after,
        })
    }

    /// Checks a debit of the balance at a place. Returns the balance after it.
    fn check_debit(
        &mut self,
        place: usize,
        posting: &Posting,
        funds: Funds,
    ) -> Result<i64, Rejection> {
        let Posting {
            source,
            asset,
            amount,
            ..
        } = posting;
        let balance = *self.balances.at(place);
        let before = balance.posted;
        let after = before.saturating_sub(amount.signed());
        if source.is_issuer() {
            return self.check_supply(posting, before, after);
        }
        let available = balance.available(asset, funds, self.floor(asset));
        if amount.get() > available {
            return Err(Rejection::InsufficientFunds {
                account: source.clone(),
                asset: asset.clone(),
                available,
                required: *amount,
            });
        }
        Ok(after)
    }

    /// Returns the lowest balance of an account that is not an issuer. An owed item could exist twice.
    fn floor(&self, asset: &AssetId) -> i64 {
        match self.books.asset(asset).map(|asset| asset.kind) {
            Some(AssetKind::Currency) => BALANCE_MAX.saturating_neg(),
            Some(AssetKind::Item) | None => 0,
        }
    }

    fn check_supply(&self, posting: &Posting, before: i64, after: i64) -> Result<i64, Rejection> {
        let asset = self.books.asset(&posting.asset);
        let max_supply = asset.map_or(Limit::MAX, |asset| asset.supply_limit());
        if after < max_supply.signed().saturating_neg() {
            return Err(Rejection::SupplyLimit {
                asset: posting.asset.clone(),
                max_supply,
                supply: before.saturating_neg(),
                amount: posting.amount,
            });
        }
        Ok(after)
    }

    /// Checks a credit of the balance at a place. Returns the balance after it.
    fn check_credit(
        &mut self,
        place: usize,
        posting: &Posting,
        funds: Funds,
    ) -> Result<i64, Rejection> {
        let Posting {
            destination,
            asset,
            amount,
            ..
        } = posting;
        let balance = *self.balances.at(place);
        let posted = balance.posted;
        let after = posted.saturating_add(amount.signed());
        // An issuer's balance is never positive: no more can be burned than was issued.
        let ceiling = match (destination.is_issuer(), funds) {
            (true, _) => Limit::ZERO,
            (false, Funds::Forced) => Limit::MAX,
            (false, Funds::Spendable | Funds::Available | Funds::Held) => balance
                .account
                .map_or(Limit::MAX, |account| account.limits.ceiling(asset)),
        };
        if after > ceiling.signed() {
            return Err(Rejection::CeilingExceeded {
                account: destination.clone(),
                asset: asset.clone(),
                ceiling,
                posted,
                amount: *amount,
            });
        }
        Ok(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Seed, Timestamp};

    #[test]
    fn balances_are_found_in_a_list_and_in_a_map() {
        let books = Books::new(Seed::new([0; 32]), Timestamp(1));
        let coin: AssetId = "coin".parse().expect("an asset");
        let names = (0..2 * SEARCHED_MAX).map(|number| format!("user:{number}"));
        let names: Vec<AccountId> = names.map(|name| name.parse().expect("a name")).collect();
        let copies = names.clone();
        let mut list = BalanceList::default();
        for (place, name) in names.iter().enumerate() {
            assert_eq!(list.place(&books, (name, &coin)), place);
            list.at(place).posted = i64::try_from(place).expect("63 bits");
            assert_eq!(list.places.is_empty(), place < SEARCHED_MAX);
            for (known, same) in copies.iter().enumerate().take(place) {
                assert_eq!(list.place(&books, (same, &coin)), known);
            }
            assert_eq!(list.balances.len(), place + 1, "nothing else was added");
        }
    }
}

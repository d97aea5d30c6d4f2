//! Budgets: the most that a plugin may take from members, issue, and debit by patterns.
//!
//! Budgets are checked and counted when a call commits. They are not part of its transcript, so a call does
//! not become stale when another call uses a budget.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use super::Draft;
use crate::books::Books;
use crate::call::proposal::Step;
use crate::call::request::CallRequest;
use crate::decision::Change;
use crate::economy::Day;
use crate::id::{AccountId, AssetId};
use crate::plugin::account_pattern::AccountPattern;
use crate::plugin::budget::{Budget, BudgetCounter, Payer};
use crate::plugin::grants::{Caps, PatternCaps};
use crate::quota::Quota;
use crate::rejection::Rejection;

/// A budget with the accounts that it counts.
#[derive(Clone, Copy)]
struct BudgetUse<'a> {
    budget: Budget,
    /// The pattern of the grant, if the budget is one of a pattern.
    accounts: Option<&'a AccountPattern>,
    /// The account, if the budget counts each account of the pattern separately.
    account: Option<&'a AccountId>,
}

impl<'a> BudgetUse<'a> {
    /// Creates the use of a budget without a pattern.
    fn of_all(budget: Budget) -> Self {
        Self {
            budget,
            accounts: None,
            account: None,
        }
    }

    /// Creates the use of a budget that counts the accounts of a pattern.
    fn by(accounts: &'a AccountPattern, budget: Budget) -> Self {
        Self {
            accounts: Some(accounts),
            ..Self::of_all(budget)
        }
    }
}

impl<B: Borrow<Books>, R: Borrow<CallRequest>> Draft<B, R> {
    /// Checks the budgets of all grants, and the quota of budget counters.
    pub(super) fn check_budgets(&self) -> Result<(), Rejection> {
        let day = Day::of(self.at);
        let books = self.books();
        let plugin = &self.call().plugin;
        let grants = &self.plugin.installation.grants;
        if let Some(caps) = &grants.spend_per_member_per_day {
            let budget_use = BudgetUse::of_all(Budget::SpendPerMemberPerDay);
            let caller = Payer::Caller(self.call().caller.clone());
            for (asset, amount) in &self.spent {
                let before = self.spent_before(day, &caller, asset);
                self.check_cap(budget_use, caps, asset, before.saturating_add(*amount))?;
            }
        }
        if let Some(caps) = &grants.issue_per_day {
            let budget_use = BudgetUse::of_all(Budget::IssuePerDay);
            for (asset, amount) in self.issued() {
                let before = books.issued_on(day, plugin, &asset);
                self.check_cap(budget_use, caps, &asset, before.saturating_add(amount))?;
            }
        }
        for grant in grants.patterns.as_slice() {
            if let Some(caps) = &grant.debit {
                self.check_pattern(day, &grant.accounts, caps)?;
            }
        }
        // Counters are kept for a day, and a plugin could create one for each member and asset.
        let counters = self.budget_counts().into_iter();
        let added = counters.filter(|(counter, _)| !books.has_counter(day, counter));
        books.check_more(Quota::BudgetCounters, books.counters_on(day), added.count())
    }

    /// Checks the caps of one pattern. Amounts that are paid back count in full, so that a payment after a
    /// draw cannot change whether the call commits.
    fn check_pattern(
        &self,
        day: Day,
        accounts: &AccountPattern,
        caps: &PatternCaps,
    ) -> Result<(), Rejection> {
        let totals = self.taken_by(accounts);
        for (asset, sum) in &totals {
            let budget_use = BudgetUse::by(accounts, Budget::PatternPerCall);
            self.check_cap(budget_use, &caps.per_call, asset, *sum)?;
        }
        let of_pattern = self.taken.iter();
        let of_pattern = of_pattern.filter(|((account, _), _)| accounts.matches(account));
        for ((account, asset), amount) in of_pattern {
            let before = self.spent_before(day, &Payer::Account(account.clone()), asset);
            let budget_use = BudgetUse {
                account: Some(account),
                ..BudgetUse::by(accounts, Budget::PatternPerMemberPerDay)
            };
            let total = before.saturating_add(*amount);
            self.check_cap(budget_use, &caps.per_member_per_day, asset, total)?;
        }
        let payer = Payer::Pattern(accounts.clone());
        for (asset, sum) in &totals {
            let before = self.spent_before(day, &payer, asset);
            let budget_use = BudgetUse::by(accounts, Budget::PatternPerDay);
            self.check_cap(
                budget_use,
                &caps.per_day,
                asset,
                before.saturating_add(*sum),
            )?;
        }
        Ok(())
    }

    fn check_cap(
        &self,
        budget_use: BudgetUse<'_>,
        caps: &Caps,
        asset: &AssetId,
        total: u64,
    ) -> Result<(), Rejection> {
        let most = caps.get(asset).copied().unwrap_or_default();
        if total > most.get() {
            return Err(Rejection::BudgetExceeded {
                plugin: self.call().plugin.clone(),
                budget: budget_use.budget,
                accounts: budget_use.accounts.cloned(),
                account: budget_use.account.cloned(),
                asset: asset.clone(),
                most,
                asked: total,
            });
        }
        Ok(())
    }

    /// Returns the amount on a budget counter of the plugin before this call.
    fn spent_before(&self, day: Day, payer: &Payer, asset: &AssetId) -> u64 {
        let counter = self.counter(payer.clone(), asset);
        self.books().spent_on(day, &counter)
    }

    fn counter(&self, payer: Payer, asset: &AssetId) -> BudgetCounter {
        BudgetCounter {
            plugin: self.call().plugin.clone(),
            payer,
            asset: asset.clone(),
        }
    }

    /// Returns the total that the call debits from the accounts of a pattern, by asset.
    fn taken_by(&self, accounts: &AccountPattern) -> BTreeMap<AssetId, u64> {
        let mut totals = BTreeMap::new();
        for ((account, asset), amount) in &self.taken {
            if accounts.matches(account) {
                let sum = totals.entry(asset.clone()).or_insert(0_u64);
                *sum = sum.saturating_add(*amount);
            }
        }
        totals
    }

    /// Returns the amounts that the call issues, by asset.
    fn issued(&self) -> BTreeMap<AssetId, u64> {
        let mut issued = BTreeMap::new();
        for step in &self.steps {
            if let Step::Post(posting, _) = step
                && posting.source.is_issuer()
            {
                let sum = issued.entry(posting.asset.clone()).or_insert(0_u64);
                *sum = sum.saturating_add(posting.amount.get());
            }
        }
        issued
    }

    /// Returns the amounts that the call adds to budget counters. Issued amounts are counted as flows
    /// instead.
    fn budget_counts(&self) -> Vec<(BudgetCounter, u64)> {
        let grants = &self.plugin.installation.grants;
        let mut counts = Vec::new();
        if grants.spend_per_member_per_day.is_some() {
            let caller = &self.call().caller;
            counts.extend(self.spent.iter().map(|(asset, amount)| {
                (self.counter(Payer::Caller(caller.clone()), asset), *amount)
            }));
        }
        counts.extend(self.taken.iter().map(|((account, asset), amount)| {
            (
                self.counter(Payer::Account(account.clone()), asset),
                *amount,
            )
        }));
        let patterns = grants.patterns.as_slice().iter();
        for grant in patterns.filter(|grant| grant.debit.is_some()) {
            let totals = self.taken_by(&grant.accounts);
            counts.extend(totals.into_iter().map(|(asset, sum)| {
                (
                    self.counter(Payer::Pattern(grant.accounts.clone()), &asset),
                    sum,
                )
            }));
        }
        counts
    }

    /// Returns the changes that add the amounts of the call to budget counters.
    pub(crate) fn budgets_spent(&self) -> Vec<Change> {
        let day = Day::of(self.at);
        let spent = self.budget_counts().into_iter();
        let spent = spent.map(|(counter, amount)| Change::BudgetSpent {
            counter,
            day,
            amount,
        });
        spent.collect()
    }
}

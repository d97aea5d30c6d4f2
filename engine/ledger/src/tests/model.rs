//! The rules of money once more, written without the ledger's own.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    AccountPatch, AccountStatus, Authority, IssueRequest, Patch, Posting, TransferCap,
    TransferRequest,
};

/// The rules of money once more, as a bookkeeper would write them down.
pub(super) struct Model {
    balances: BTreeMap<(String, String), i128>,
    floors: BTreeMap<String, i128>,
    ceilings: BTreeMap<String, i128>,
    supplies: BTreeMap<String, i128>,
    /// Accounts on which nothing moves.
    shut: BTreeSet<String>,
}

const MOST: i128 = (1 << 53) - 1;

impl Model {
    pub(super) fn after_setup() -> Self {
        let named = |pairs: &[(&str, i128)]| {
            let pairs = pairs
                .iter()
                .map(|(name, units)| ((*name).to_owned(), *units));
            pairs.collect::<BTreeMap<_, _>>()
        };
        let balance = |account: &str, asset: &str, units| ((account.into(), asset.into()), units);
        let (users, own) = (
            [("user:1", 0), ("user:2", -30), ("user:3", 0)],
            "plugin:shop",
        );
        let mut floors = named(&users);
        floors.extend(named(&[(own, 0), ("plugin:shop:till", 0)]));
        Self {
            balances: BTreeMap::from([
                balance("user:1", "coin", 40),
                balance("user:3", "gem", 10),
                balance("plugin:shop", "coin", 40),
                balance("issuer:coin", "coin", -80),
                balance("issuer:gem", "gem", -10),
            ]),
            floors,
            ceilings: named(&[("user:3", 60)]),
            supplies: named(&[("coin", MOST), ("gem", 50)]),
            shut: BTreeSet::new(),
        }
    }

    pub(super) fn balance(&self, account: &str, asset: &str) -> i128 {
        let place = (account.to_owned(), asset.to_owned());
        self.balances.get(&place).copied().unwrap_or(0)
    }

    /// How low and how high a balance may be, if there is such a balance.
    fn bounds(&self, account: &str, asset: &str) -> Option<(i128, i128)> {
        let supply = *self.supplies.get(asset)?;
        if let Some(issued) = account.strip_prefix("issuer:") {
            return self.supplies.contains_key(issued).then_some((-supply, 0));
        }
        let ceiling = self.ceilings.get(account).copied().unwrap_or(MOST);
        Some((*self.floors.get(account)?, ceiling))
    }

    /// Whether a key with a cap may move as much: all that it moves of an asset counts, whatever
    /// comes back.
    fn is_within(cap: Option<&TransferCap>, postings: &[(&str, &str, &str, u64)]) -> bool {
        let mut moved: BTreeMap<&str, i128> = BTreeMap::new();
        for (_, _, asset, amount) in postings {
            *moved.entry(asset).or_insert(0) += i128::from(*amount);
        }
        let most = |cap: &TransferCap, asset: &str| {
            let named = cap.caps().iter().find(|(name, _)| name.as_str() == asset);
            named.map_or(0, |(_, most)| i128::from(most.get()))
        };
        cap.is_none_or(|cap| {
            moved
                .iter()
                .all(|(asset, units)| *units <= most(cap, asset))
        })
    }

    /// Moves all or nothing, and says whether it did.
    fn post(&mut self, postings: &[(&str, &str, &str, u64)]) -> bool {
        let ends = postings.iter().flat_map(|posting| [posting.0, posting.1]);
        if ends.into_iter().any(|end| self.shut.contains(end)) {
            return false;
        }
        let before = self.balances.clone();
        for (source, destination, asset, amount) in postings {
            let units = i128::from(*amount);
            let (given, got) = (
                self.balance(source, asset) - units,
                self.balance(destination, asset) + units,
            );
            let fits = match (self.bounds(source, asset), self.bounds(destination, asset)) {
                (Some((floor, _)), Some((_, ceiling))) => given >= floor && got <= ceiling,
                (None, _) | (_, None) => false,
            };
            if !fits {
                self.balances = before;
                return false;
            }
            self.balances
                .insert(((*source).into(), (*asset).into()), given);
            self.balances
                .insert(((*destination).into(), (*asset).into()), got);
        }
        true
    }

    pub(super) fn issue(&mut self, request: &IssueRequest, issues: bool) -> bool {
        let (account, asset) = (request.account.as_str(), request.asset.as_str());
        let origin = format!("issuer:{asset}");
        let (source, destination) = if issues {
            (origin.as_str(), account)
        } else {
            (account, origin.as_str())
        };
        let postings = [(source, destination, asset, request.amount.get())];
        !account.starts_with("issuer:")
            && Self::is_within(request.cap.as_ref(), &postings)
            && self.post(&postings)
    }

    pub(super) fn transfer(&mut self, request: &TransferRequest) -> bool {
        let allowed = |posting: &Posting| {
            let ends = [posting.source.as_str(), posting.destination.as_str()];
            let of_plugin = ends[0].starts_with("plugin:");
            !ends.iter().any(|end| end.starts_with("issuer:"))
                && (!of_plugin || request.authority == Authority::Admin)
        };
        let postings = request.postings.as_slice();
        let plain = postings.iter().map(|p| {
            let (source, destination) = (p.source.as_str(), p.destination.as_str());
            (source, destination, p.asset.as_str(), p.amount.get())
        });
        let plain = plain.collect::<Vec<_>>();
        postings.iter().all(allowed)
            && Self::is_within(request.cap.as_ref(), &plain)
            && self.post(&plain)
    }

    pub(super) fn set_account(&mut self, account: &str, patch: &AccountPatch) -> bool {
        if !account.starts_with("user:") {
            return false;
        }
        let has_something =
            |(place, units): (&(String, String), &i128)| place.0 == account && *units != 0;
        match patch.status {
            Some(AccountStatus::Closed) if self.balances.iter().any(has_something) => return false,
            Some(AccountStatus::Closed | AccountStatus::Frozen) => {
                self.shut.insert(account.into());
            }
            Some(AccountStatus::Open) => drop(self.shut.take(account)),
            None => {}
        }
        let floor = self.floors.entry(account.into()).or_insert(0);
        match &patch.credit_limit {
            Patch::Keep => {}
            Patch::Clear => *floor = 0,
            Patch::Set(limit) => *floor = -i128::from(limit.get()),
        }
        match &patch.ceiling {
            Patch::Keep => {}
            Patch::Clear => drop(self.ceilings.remove(account)),
            Patch::Set(limit) => {
                self.ceilings
                    .insert(account.into(), i128::from(limit.get()));
            }
        }
        true
    }
}

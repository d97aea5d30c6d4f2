//! A model of the rules of money, written independently of the ledger.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    AccountPatch, AccountStatus, Amount, Authority, BatchRequest, CaptureRequest, HoldId,
    HoldRequest, IssueRequest, LimitsPatch, OnExpiry, Patch, Posting, ReversalRequest, TransferCap,
    TransferId, TransferRequest,
};

/// The model, which only adds and subtracts: the bookkeeper.
pub(super) struct Model {
    balances: BTreeMap<(String, String), i128>,
    /// The existing accounts.
    accounts: BTreeSet<String>,
    credits: BTreeMap<(String, String), i128>,
    ceilings: BTreeMap<(String, String), i128>,
    supplies: BTreeMap<String, i128>,
    /// The frozen and the closed accounts.
    shut: BTreeSet<String>,
    closed: BTreeSet<String>,
    holds: BTreeMap<HoldId, Held>,
    /// The reversed transfers and the reversals.
    reversed: BTreeSet<TransferId>,
    /// The time of the next act.
    pub(super) at: u64,
}

#[derive(Clone)]
struct Held {
    posting: Posting,
    left: u64,
    expires_at: u64,
    due_at: u64,
    captures: bool,
}

const MOST: i128 = (1 << 53) - 1;

/// The only item.
const CROWN: &str = "item:crown";

/// The rule that a movement follows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    Spend,
    Capture,
    Force,
}

fn allowed(postings: &[Posting], authority: Authority) -> bool {
    let each = |posting: &Posting| {
        let ends = [posting.source.as_str(), posting.destination.as_str()];
        let of_plugin = ends[0].starts_with("plugin:");
        !ends.iter().any(|end| end.starts_with("issuer:"))
            && (!of_plugin || authority == Authority::Admin)
    };
    postings.iter().all(each)
}

fn plain(postings: &[Posting]) -> Vec<(&str, &str, &str, u64)> {
    let plain = postings.iter().map(|p| {
        let source = p.source.as_str();
        let destination = p.destination.as_str();
        (source, destination, p.asset.as_str(), p.amount.get())
    });
    plain.collect()
}

impl Model {
    pub(super) fn after_setup() -> Self {
        let named = |pairs: &[(&str, i128)]| {
            let pairs = pairs
                .iter()
                .map(|(name, units)| ((*name).to_owned(), *units));
            pairs.collect::<BTreeMap<_, _>>()
        };
        let balance = |account: &str, asset: &str, units| ((account.into(), asset.into()), units);
        let accounts = [
            "user:1",
            "user:2",
            "user:3",
            "plugin:shop",
            "plugin:shop:till",
            "plugin:market",
            "plugin:market:till",
        ];
        Self {
            balances: BTreeMap::from([
                balance("user:1", "coin", 40),
                balance("user:1", CROWN, 1),
                balance("user:2", "coin", 40),
                balance("user:2", "gem", 10),
                balance("user:3", "gem", 10),
                balance("plugin:shop", "coin", 40),
                balance("plugin:market", "coin", 40),
                balance("issuer:coin", "coin", -160),
                balance("issuer:gem", "gem", -20),
                balance("issuer:item:crown", CROWN, -1),
            ]),
            accounts: accounts.map(Into::into).into(),
            credits: BTreeMap::from([balance("user:2", "coin", 30)]),
            ceilings: BTreeMap::from([balance("user:3", "coin", 60)]),
            supplies: named(&[("coin", MOST), ("gem", 50), (CROWN, 2)]),
            shut: BTreeSet::new(),
            closed: BTreeSet::new(),
            holds: BTreeMap::new(),
            reversed: BTreeSet::new(),
            at: 0,
        }
    }

    pub(super) fn held(&self, account: &str, asset: &str) -> i128 {
        let on = |hold: &&Held| {
            hold.posting.source.as_str() == account && hold.posting.asset.as_str() == asset
        };
        let holds = self.holds.values().filter(on);
        holds.map(|hold| i128::from(hold.left)).sum()
    }

    pub(super) fn balance(&self, account: &str, asset: &str) -> i128 {
        let place = (account.to_owned(), asset.to_owned());
        self.balances.get(&place).copied().unwrap_or(0)
    }

    /// Returns the lowest and the highest allowed balance, if the account has the balance.
    fn bounds(&self, account: &str, asset: &str) -> Option<(i128, i128)> {
        let supply = *self.supplies.get(asset)?;
        if let Some(issued) = account.strip_prefix("issuer:") {
            return (issued == asset).then_some((-supply, 0));
        }
        let place = (account.to_owned(), asset.to_owned());
        let credit = self.credits.get(&place).copied().unwrap_or(0);
        let ceiling = self.ceilings.get(&place).copied().unwrap_or(MOST);
        let there = self.accounts.contains(account);
        there.then_some((-credit, ceiling))
    }

    /// Returns true if a key's cap allows the movements. All movements of an asset count, including
    /// those that move an amount back.
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

    /// Applies all movements or none. Returns true if they were applied.
    fn post(&mut self, postings: &[(&str, &str, &str, u64)], force: Rule) -> bool {
        let shut = match force {
            Rule::Spend | Rule::Capture => &self.shut,
            Rule::Force => &self.closed,
        };
        let mut ends = postings.iter().flat_map(|posting| [posting.0, posting.1]);
        if ends.any(|end| shut.contains(end)) {
            return false;
        }
        let before = self.balances.clone();
        for (source, destination, asset, amount) in postings {
            let units = i128::from(*amount);
            let given = self.balance(source, asset) - units;
            let got = self.balance(destination, asset) + units;
            let kept = match force {
                Rule::Spend => given - self.held(source, asset),
                Rule::Capture | Rule::Force => given,
            };
            let free = |account: &str| force == Rule::Force && !account.starts_with("issuer:");
            let fits = match (self.bounds(source, asset), self.bounds(destination, asset)) {
                (Some((floor, _)), Some((_, ceiling))) => {
                    let (floor, kept) = match (free(source), *asset == CROWN) {
                        (true, false) => (-MOST, given),
                        (true, true) => (0, given),
                        (false, _) => (floor, kept),
                    };
                    let ceiling = if free(destination) { MOST } else { ceiling };
                    kept >= floor && got <= ceiling
                }
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
        let account = request.account.as_str();
        let asset = request.asset.as_str();
        let origin = format!("issuer:{asset}");
        let (source, destination) = if issues {
            (origin.as_str(), account)
        } else {
            (account, origin.as_str())
        };
        let postings = [(source, destination, asset, request.amount.get())];
        !account.starts_with("issuer:")
            && Self::is_within(request.cap.as_ref(), &postings)
            && self.post(&postings, Rule::Spend)
    }

    pub(super) fn transfer(&mut self, request: &TransferRequest) -> bool {
        let postings = request.postings.as_slice();
        let cap = request.cap.as_ref();
        allowed(postings, request.authority)
            && Self::is_within(cap, &plain(postings))
            && self.post(&plain(postings), Rule::Spend)
    }

    pub(super) fn batch(&mut self, request: &BatchRequest) -> bool {
        let before = self.balances.clone();
        let transfers = request.transfers.as_slice();
        let postings = transfers.iter().flat_map(|one| one.postings.as_slice());
        let postings: Vec<_> = postings.cloned().collect();
        let all = Self::is_within(request.cap.as_ref(), &plain(&postings))
            && transfers.iter().all(|transfer| self.transfer(transfer));
        if !all {
            self.balances = before;
        }
        all
    }

    pub(super) fn reverse(&mut self, request: &ReversalRequest) -> bool {
        let postings = request.postings.as_slice();
        let admin = request.authority == Authority::Admin;
        let rule = match request.force {
            Some(_) => Rule::Force,
            None => Rule::Spend,
        };
        let done = (admin || allowed(postings, request.authority))
            && Self::is_within(request.cap.as_ref(), &plain(postings))
            && !self.reversed.contains(&request.original)
            && self.post(&plain(postings), rule);
        if done {
            self.reversed.extend([request.original, request.id]);
        }
        done
    }

    /// Places a hold if its amount could be transferred. Ids are never used twice.
    pub(super) fn place(&mut self, request: &HoldRequest) -> bool {
        let posting = request.reservation.posting();
        let one = std::slice::from_ref(posting);
        if !(allowed(one, request.authority) && Self::is_within(request.cap.as_ref(), &plain(one)))
        {
            return false;
        }
        // The ceiling of the destination is checked at the capture.
        let (source, destination, asset, amount) = plain(one)[0];
        let kept = self.balance(source, asset) - self.held(source, asset) - i128::from(amount);
        let floor = self.bounds(source, asset).map(|(floor, _)| floor);
        let fits = floor.is_some_and(|floor| kept >= floor)
            && self.bounds(destination, asset).is_some()
            && ![source, destination]
                .iter()
                .any(|end| self.shut.contains(*end));
        if fits {
            let expires_at = self.at + request.expires_in_s * 1000;
            let held = Held {
                posting: posting.clone(),
                left: posting.amount.get(),
                expires_at,
                due_at: expires_at,
                captures: request.on_expiry == OnExpiry::Capture,
            };
            self.holds.insert(request.id, held);
        }
        fits
    }

    pub(super) fn capture(&mut self, request: &CaptureRequest) -> bool {
        let Some(held) = self.holds.get(&request.hold).cloned() else {
            return false;
        };
        let amount = request.amount.map_or(held.left, Amount::get);
        let (source, destination, asset, _) = plain(std::slice::from_ref(&held.posting))[0];
        let within = Self::is_within(
            request.cap.as_ref(),
            &[(source, destination, asset, amount)],
        );
        self.at < held.expires_at
            && amount <= held.left
            && within
            && self.take(request.hold, &held, amount)
    }

    fn take(&mut self, id: HoldId, held: &Held, amount: u64) -> bool {
        let Posting {
            source,
            destination,
            asset,
            ..
        } = &held.posting;
        let posting = (
            source.as_str(),
            destination.as_str(),
            asset.as_str(),
            amount,
        );
        let taken = self.post(&[posting], Rule::Capture);
        if taken {
            self.holds.remove(&id);
        }
        if taken && amount < held.left {
            let left = held.left - amount;
            self.holds.insert(
                id,
                Held {
                    left,
                    ..held.clone()
                },
            );
        }
        taken
    }

    pub(super) fn release(&mut self, id: HoldId) -> bool {
        self.holds.remove(&id).is_some()
    }

    /// Ends a hold that has expired, or defers its end.
    pub(super) fn expire(&mut self, id: HoldId) -> bool {
        let Some(held) = self.holds.get(&id).cloned() else {
            return false;
        };
        if held.due_at > self.at {
            return false;
        }
        if !held.captures {
            return self.release(id);
        }
        if !self.take(id, &held, held.left) {
            let due_at = self.at + 60_000;
            self.holds.insert(id, Held { due_at, ..held });
        }
        true
    }

    pub(super) fn set_account(&mut self, account: &str, patch: &AccountPatch) -> bool {
        if !account.starts_with("user:") {
            return false;
        }
        let has_something =
            |(place, units): (&(String, String), &i128)| place.0 == account && *units != 0;
        let has_held = self
            .holds
            .values()
            .any(|hold| hold.posting.source.as_str() == account);
        // A patch that closes an account requires that the account is empty.
        let closes = match patch.status {
            Some(status) => status == AccountStatus::Closed,
            None => self.closed.contains(account),
        };
        if closes && (has_held || self.balances.iter().any(has_something)) {
            return false;
        }
        let named = [&patch.credit_limit, &patch.ceiling];
        let unknown = named.into_iter().any(|limits| match limits {
            Patch::Keep | Patch::Clear => false,
            Patch::Set(limits) => limits
                .keys()
                .any(|asset| !self.supplies.contains_key(asset.as_str())),
        });
        let owes_items = match &patch.credit_limit {
            Patch::Keep | Patch::Clear => false,
            Patch::Set(limits) => limits.iter().any(|(asset, limit)| {
                asset.as_str() == CROWN && limit.is_some_and(|limit| limit.get() > 0)
            }),
        };
        if unknown || owes_items {
            return false;
        }
        match patch.status {
            Some(AccountStatus::Closed) => {
                self.shut.insert(account.into());
                self.closed.insert(account.into());
            }
            Some(AccountStatus::Frozen) => {
                self.shut.insert(account.into());
                self.closed.remove(account);
            }
            Some(AccountStatus::Open) => {
                self.shut.remove(account);
                self.closed.remove(account);
            }
            None => {}
        }
        self.accounts.insert(account.into());
        set_limits(&mut self.credits, account, &patch.credit_limit);
        set_limits(&mut self.ceilings, account, &patch.ceiling);
        true
    }
}

/// Sets the limits of one kind of an account.
fn set_limits(
    limits: &mut BTreeMap<(String, String), i128>,
    account: &str,
    patch: &Patch<LimitsPatch>,
) {
    match patch {
        Patch::Keep => {}
        Patch::Clear => limits.retain(|(limited, _), _| limited != account),
        Patch::Set(patch) => {
            for (asset, limit) in patch {
                let place = (account.to_owned(), asset.as_str().to_owned());
                match limit {
                    Some(limit) => drop(limits.insert(place, i128::from(limit.get()))),
                    None => drop(limits.remove(&place)),
                }
            }
        }
    }
}

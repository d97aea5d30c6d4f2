//! The economies of a run: members with money, and a shop if purchases are measured.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};

use super::driver::{DriveError, Driver, Pace, Until};
use super::load_counts::LoadCounts;
use super::options::{BenchOptions, Work};
use super::requests::{
    BenchTarget, MemberForm, MemberSource, RequestSource, STARTING_BALANCE, TREASURY, WorkSource,
};
use super::server_api::ServerApi;
use super::status::Status;
use super::template::{KeyOrder, Keys, economy_name};
use crate::client::Address;
use crate::commands::error::CommandError;

/// The number of connections that open accounts.
const OPENING_CONNECTIONS: usize = 32;

/// The number of members that one batch pays.
const FUNDED_AT_ONCE: u64 = 1_024;

/// The number of connections that store transfers before the measurement. The queue of the writer accepts one such
/// batch of an economy at a time, and may reject a second one.
const FILL_CONNECTIONS: usize = 1;

/// The number of transfers in each batch that is stored before the measurement.
const FILL_BATCH: u64 = 8_192;

/// The stock of the shop: more than any run sells.
const STOCK: u64 = 1_000_000_000_000;

/// The identity of a run, which keeps its economies and its keys apart from those of other runs.
#[derive(Clone, Copy)]
pub(super) struct RunIdentity {
    pub(super) run: u32,
    random: u128,
    /// The number of key sequences taken so far.
    taken: u128,
}

impl RunIdentity {
    /// Creates an identity from random bytes.
    pub(super) fn new(bytes: [u8; 32]) -> Self {
        let (random, rest) = bytes.split_at(16);
        let (run, _) = rest.split_at(4);
        Self {
            run: run.try_into().map_or(0, u32::from_le_bytes),
            random: random.try_into().map_or(0, u128::from_le_bytes),
            taken: 0,
        }
    }

    /// Returns the parts that all requests of the run share.
    pub(super) fn target<'a>(&self, bearer: &'a str) -> BenchTarget<'a> {
        BenchTarget {
            run: self.run,
            bearer,
        }
    }

    /// Returns the keys of a part of the run, which no other part uses.
    pub(super) fn keys(&mut self, order: KeyOrder) -> Keys {
        self.taken = self.taken.wrapping_add(1);
        // Ascending keys of different parts differ by their upper bits.
        let part = u32::try_from(self.taken & 0xff).unwrap_or(0);
        Keys::new(
            order,
            self.run.wrapping_add(part << 24),
            self.random.wrapping_add(self.taken << 64),
        )
    }
}

/// The preparation of a server for a run.
pub(super) struct SetUp<'a> {
    pub(super) options: &'a BenchOptions,
    pub(super) address: &'a Address,
    pub(super) bearer: &'a str,
    pub(super) api: &'a mut ServerApi,
    pub(super) identity: &'a mut RunIdentity,
    pub(super) status: &'a Status,
    pub(super) stop: &'a Arc<AtomicBool>,
}

impl SetUp<'_> {
    /// Opens the economies and their members, and pays the starting balances.
    pub(super) fn make(&mut self) -> Result<(), CommandError> {
        for number in 0..self.options.economies {
            self.make_economy(number)?;
        }
        self.members("opening accounts", MemberForm::Open, OPENING_CONNECTIONS)?;
        // The starting balances come from one account in order, so one connection is enough.
        self.members(
            "paying starting balances",
            MemberForm::Fund(FUNDED_AT_ONCE),
            1,
        )
    }

    fn make_economy(&mut self, number: u64) -> Result<(), CommandError> {
        let base = format!("/v1/economies/{}", economy_name(self.identity.run, number));
        let members = self.options.members();
        self.api.put(&base, &json!({}))?;
        // A quota exceeds its default only as far as the run needs, because the server may have other economies.
        let accounts = members.saturating_add(100).max(250_000);
        let quotas = json!({ "accounts": accounts, "balances": accounts.saturating_mul(4) });
        self.api.put(&format!("{base}/quotas"), &quotas)?;
        let coin = json!({ "kind": "currency", "name": "Coin" });
        self.api.put(&format!("{base}/assets/coin"), &coin)?;
        self.api
            .put(&format!("{base}/accounts/{TREASURY}"), &json!({}))?;
        let money = members.saturating_mul(STARTING_BALANCE);
        self.issue(&base, TREASURY, "coin", money)?;
        if self.options.work == Work::Calls {
            let potion = json!({ "kind": "item", "name": "Potion" });
            self.api
                .put(&format!("{base}/assets/item:potion"), &potion)?;
            let shop = json!({
                "component": "bundled:shop", "grants": "requested", "enabled": true,
                "config": { "items": [{ "item": "item:potion", "price": { "coin": 1 } }] },
            });
            self.api.put(&format!("{base}/plugins/shop"), &shop)?;
            self.issue(&base, "plugin:shop", "item:potion", STOCK)?;
        }
        Ok(())
    }

    fn issue(
        &mut self,
        base: &str,
        account: &str,
        asset: &str,
        amount: u64,
    ) -> Result<(), CommandError> {
        let body = json!({ "account": account, "asset": asset, "amount": amount });
        let key = format!("start-{account}-{asset}");
        self.api.post(&format!("{base}/issue"), &key, &body)?;
        Ok(())
    }

    fn members(
        &mut self,
        what: &str,
        form: MemberForm,
        connections: usize,
    ) -> Result<(), CommandError> {
        let target = self.identity.target(self.bearer);
        let keys = self.identity.keys(KeyOrder::Ordered);
        let mut source = MemberSource::new(
            target,
            form,
            keys,
            self.options.economies,
            self.options.members(),
        );
        let requests = source.requests();
        self.send(what, &mut source, connections, requests)?;
        Ok(())
    }

    /// Stores transfers in batches, and returns their counts.
    pub(super) fn fill(&mut self) -> Result<Option<LoadCounts>, CommandError> {
        let batches = self.options.fill.div_ceil(FILL_BATCH);
        if batches == 0 {
            return Ok(None);
        }
        let target = self.identity.target(self.bearer);
        let sampler = self.options.sampler();
        let keys = self.identity.keys(self.options.keys);
        let mut source = WorkSource::new(Work::Batches, target, FILL_BATCH, sampler, keys);
        let counts = self.send("storing batches", &mut source, FILL_CONNECTIONS, batches)?;
        Ok(Some(counts))
    }

    /// Sends requests that must all succeed.
    fn send(
        &self,
        what: &str,
        source: &mut dyn RequestSource,
        connections: usize,
        requests: u64,
    ) -> Result<LoadCounts, CommandError> {
        let driver = Driver::connect(self.address, connections, Arc::clone(self.stop));
        let mut driver = driver.map_err(CommandError::new)?;
        let mut watch = |_, answered| self.status.show(what, answered, requests);
        let counts = driver.drive(source, Pace::Closed, Until::Requests(requests), &mut watch);
        self.status.clear();
        let counts =
            counts.map_err(|error: DriveError| CommandError::new(format!("{what}: {error}")))?;
        match counts.first_refusal {
            None => Ok(counts),
            Some(detail) => Err(CommandError::new(format!(
                "{what}: the server rejected a request"
            ))
            .with_details(detail)),
        }
    }

    /// Returns the number of records of the run's economies.
    pub(super) fn records(
        api: &mut ServerApi,
        run: u32,
        economies: u64,
    ) -> Result<u64, CommandError> {
        let mut records: u64 = 0;
        for number in 0..economies {
            let answer = api.get(&format!("/v1/economies/{}", economy_name(run, number)))?;
            let seq = answer.get("seq").and_then(Value::as_u64);
            let seq =
                seq.ok_or_else(|| CommandError::new("the answer of an economy has no `seq`"))?;
            records = records.saturating_add(seq);
        }
        Ok(records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_run_and_runs_have_different_keys() {
        let mut identity = RunIdentity::new([1; 32]);
        for order in [KeyOrder::Ordered, KeyOrder::Random] {
            let first = identity.keys(order).key();
            assert_ne!(identity.keys(order).key(), first);
        }
        let mut bytes = [1; 32];
        bytes[16] = 2;
        let mut other = RunIdentity::new(bytes);
        assert_ne!(other.run, identity.run);
        let first = RunIdentity::new([1; 32]).keys(KeyOrder::Ordered).key();
        assert_ne!(other.keys(KeyOrder::Ordered).key(), first);
    }
}

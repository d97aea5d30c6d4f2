//! Submissions to storage, as the server builds them from requests, and random numbers for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bursar_ledger::{
    AccountId, AccountPatch, Act, Amount, AssetId, AssetKind, AssetPatch, Authority, BatchRequest,
    EconomyId, IssueRequest, Posting, Postings, Quota, QuotaPatch, TransferRequest, Transfers,
};
use bursar_server::random;
use bursar_storage::{IdempotencyKey, Request, Submission};
use serde_json::{Value, json};

/// The path of transfers in the API.
pub(crate) const TRANSFERS: &str = "/v1/economies/guild/transfers";
/// The amount of each account at first.
const STARTING_BALANCE: u64 = 1_000_000;
/// The most transfers of an atomic batch.
const BATCH_MAX: usize = bursar_ledger::BATCH_TRANSFERS_MAX;

/// A generator of numbers (`SplitMix64`): ids and choices of accounts need speed and no secrecy.
pub(crate) struct Random(u64);

impl Random {
    /// Creates a generator with a random start.
    pub(crate) fn new() -> Self {
        let bytes = random::bytes();
        let (first, _) = bytes.split_first_chunk().unwrap();
        Self(u64::from_le_bytes(*first))
    }

    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.number() % bound as u64) as usize
    }

    /// Returns a random UUID (version 4).
    pub(crate) fn key(&mut self) -> String {
        let bytes = (u128::from(self.number()) << 64) | u128::from(self.number());
        let builder = uuid::Builder::from_random_bytes(bytes.to_be_bytes());
        builder.into_uuid().to_string()
    }

    /// Returns two different numbers below `bound`.
    pub(crate) fn pair(&mut self, bound: usize) -> (usize, usize) {
        let first = self.below(bound);
        let second = (first + 1 + self.below(bound - 1)) % bound;
        (first, second)
    }
}

/// The economy of the benchmark. Clones share its names.
#[derive(Clone)]
pub(crate) struct Guild {
    economy: EconomyId,
    coin: AssetId,
    accounts: Arc<[AccountId]>,
}

impl Guild {
    /// Names the accounts `user:0` and so on.
    pub(crate) fn new(accounts: usize) -> Self {
        let names = (0..accounts).map(|number| format!("user:{number}").parse().unwrap());
        Self {
            economy: "guild".parse().unwrap(),
            coin: "coin".parse().unwrap(),
            accounts: names.collect(),
        }
    }

    /// Returns a transfer between two random accounts under a new key.
    pub(crate) fn transfer(&self, random: &mut Random) -> Submission {
        let (from, to) = random.pair(self.accounts.len());
        let key = random.key();
        // The canonical text has its members in the order of their names.
        let body = format!(
            r#"{{"postings":[{{"amount":1,"asset":"coin","from":"user:{from}","to":"user:{to}"}}]}}"#
        );
        Submission {
            economy: self.economy.clone(),
            actor: "bot".into(),
            key: Some(key.parse::<IdempotencyKey>().unwrap()),
            request: Request::with_body("POST", TRANSFERS, &body),
            act: Act::Transfer(self.request(from, to, 1)),
            component: None,
        }
    }

    fn request(&self, from: usize, to: usize, amount: u64) -> TransferRequest {
        let posting = Posting {
            source: self.accounts[from].clone(),
            destination: self.accounts[to].clone(),
            asset: self.coin.clone(),
            amount: Amount::new(amount).unwrap(),
        };
        TransferRequest {
            id: random::transfer_id(),
            postings: Postings::new(vec![posting]).unwrap(),
            authority: Authority::Bot,
            cap: None,
        }
    }

    fn submission(&self, method: &str, path: &str, body: &Value, act: Act) -> Submission {
        let key = (method == "POST").then(|| Random::new().key().parse().unwrap());
        Submission {
            economy: self.economy.clone(),
            actor: "admin".into(),
            key,
            request: Request::new(method, path, body),
            act,
            component: None,
        }
    }

    /// Returns the submissions that create the economy: its asset, its accounts, and money for each.
    pub(crate) fn creation(&self) -> impl Iterator<Item = Submission> {
        let base = "/v1/economies/guild";
        let open = Act::OpenEconomy {
            seed: random::seed(),
        };
        let open = self.submission("PUT", base, &json!({}), open);
        let first = [open, self.quotas(), self.asset()].into_iter();
        let accounts = self.accounts.iter().map(|account| self.account(account));
        first
            .chain(accounts)
            .chain([self.issue()])
            .chain(self.payments())
    }

    /// Returns quotas that have room for all accounts.
    fn quotas(&self) -> Submission {
        let count = self.accounts.len() as u64 + 16;
        let limits = [
            (Quota::Accounts, Some(count)),
            (Quota::Balances, Some(2 * count)),
        ];
        let patch = QuotaPatch::try_from(BTreeMap::from(limits)).unwrap();
        let body = json!(patch);
        let act = Act::SetQuotas { patch };
        self.submission("PUT", "/v1/economies/guild/quotas", &body, act)
    }

    fn asset(&self) -> Submission {
        let patch = AssetPatch {
            kind: Some(AssetKind::Currency),
            name: Some("Coin".into()),
            ..AssetPatch::default()
        };
        let asset = self.coin.clone();
        let body = json!({"kind": "currency", "name": "Coin"});
        let act = Act::SetAsset { asset, patch };
        self.submission("PUT", "/v1/economies/guild/assets/coin", &body, act)
    }

    fn account(&self, account: &AccountId) -> Submission {
        let path = format!("/v1/economies/guild/accounts/{account}");
        let act = Act::SetAccount {
            account: account.clone(),
            patch: AccountPatch::default(),
            admission: None,
        };
        self.submission("PUT", &path, &json!({}), act)
    }

    /// Returns the issue of all money to the first account.
    fn issue(&self) -> Submission {
        let account = self.accounts[0].clone();
        let amount = Amount::new(STARTING_BALANCE * self.accounts.len() as u64).unwrap();
        let body = json!({"account": account, "amount": amount, "asset": "coin"});
        let act = Act::Issue(IssueRequest {
            id: random::transfer_id(),
            account,
            asset: self.coin.clone(),
            amount,
            cap: None,
        });
        self.submission("POST", "/v1/economies/guild/issue", &body, act)
    }

    /// Returns atomic batches that pay every other account its starting balance.
    fn payments(&self) -> impl Iterator<Item = Submission> {
        let others: Vec<usize> = (1..self.accounts.len()).collect();
        let batches: Vec<Vec<usize>> = others.chunks(BATCH_MAX).map(<[usize]>::to_vec).collect();
        batches.into_iter().map(|batch| {
            let pay = |to: &usize| self.request(0, *to, STARTING_BALANCE);
            let requests: Vec<TransferRequest> = batch.iter().map(pay).collect();
            let items = requests
                .iter()
                .map(|request| json!({"postings": request.postings}));
            let body = json!({"mode": "atomic", "transfers": items.collect::<Vec<_>>()});
            let act = Act::Batch(BatchRequest {
                transfers: Transfers::new(requests).unwrap(),
                cap: None,
            });
            self.submission("POST", &format!("{TRANSFERS}/batch"), &body, act)
        })
    }
}

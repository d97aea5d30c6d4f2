//! Tests of a built plugin in an economy in memory.
//!
//! The component, the sandbox and the ledger are the real ones. A component that loads here also loads on a
//! server, a call uses the same fuel, and all rules of the ledger apply. Nothing is written to disk. An economy is
//! created from a seed, so a test has equal draws in each run.
//!
//! ```no_run
//! use bursar_testkit::{Economy, posting};
//! use serde_json::json;
//!
//! let mut economy = Economy::new("tips");
//! economy.asset("coin");
//! economy.member("user:1", &[("coin", 100)]);
//! economy.member("user:2", &[]);
//! let component = std::fs::read("target/wasm32-unknown-unknown/release/first_plugin.wasm").unwrap();
//! economy.install(&component, json!({"asset": "coin"}));
//!
//! let result = economy.call("user:1", "tip/tip", json!({"to": "user:2", "amount": 5}));
//! assert_eq!(result.reply()["thanks"], "user:2 thanks user:1 for 5 coin.");
//! assert_eq!(result.postings(), [posting("user:1", "user:2", "coin", 5)]);
//! assert_eq!(economy.balance("user:1", "coin"), 95);
//!
//! let rejected = economy.call("user:2", "tip/tip", json!({"to": "user:1", "amount": 6}));
//! assert_eq!(rejected.rejected(), "`user:2` can spend 5 coin, and 6 are required");
//! ```
//!
//! A mistake in a test panics with the reason, such as a component that does not load, a missing account or an
//! amount of 0. A decline of the plugin or a rejection of the ledger does not panic: it is in the [`TestCall`].

mod test_call;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use bursar_host::{Compiler, Limits, LoadedPlugin, PluginHost};
use bursar_ledger::{
    AccountId, AccountPatch, AccountStatus, Act, Amount, AssetKind, AssetPatch, Authority, CallId,
    CallRequest, Digest, Document, GrantChoice, IssueRequest, Limit, Patch, PluginName,
    PluginPatch, Posting, Postings, Seed, SpendLimit, Timestamp, TransferId, TransferRequest,
    Verdict,
};
use bursar_workbench::{Workbench, configuration};
use serde_json::{Value, json};
use uuid::Uuid;

pub use bursar_host::{ConfigurationFinding, ConfigurationReport};
pub use bursar_ledger::{Grants, Need};
pub use test_call::TestCall;

/// The start time of an economy: 2026-01-01 at midnight, UTC, in milliseconds since 1970.
pub const BEGIN_MS: u64 = 1_767_225_600_000;

/// The sandbox of all tests of a process. It compiles in this process, since the author of a test trusts the
/// component.
static HOST: LazyLock<PluginHost> = LazyLock::new(|| {
    let host = PluginHost::new(Limits::standard(), Compiler::InProcess, None);
    host.unwrap_or_else(|report| panic!("{report}"))
});

/// Allows one component to be loaded at a time.
static LOADING: Mutex<()> = Mutex::new(());

/// Creates a posting to compare with those of a call.
pub fn posting(from: &str, to: &str, asset: &str, amount: u64) -> Posting {
    Posting {
        source: parse(from),
        destination: parse(to),
        asset: parse(asset),
        amount: amount_of(amount),
    }
}

/// An economy in memory with installed plugins.
pub struct Economy {
    bench: Workbench,
    plugins: BTreeMap<PluginName, Arc<LoadedPlugin>>,
    /// The number of calls so far, from which their ids follow.
    calls: u128,
    roles: Vec<String>,
    spend_limit: Option<SpendLimit>,
}

impl Economy {
    /// Creates an empty economy. All draws follow from the seed, which is any text.
    pub fn new(seed: &str) -> Self {
        let seed = Seed::new(*Digest::of(seed.as_bytes()).as_bytes());
        Self {
            bench: Workbench::new(seed, Timestamp(BEGIN_MS)),
            plugins: BTreeMap::new(),
            calls: 0,
            roles: Vec::new(),
            spend_limit: None,
        }
    }

    /// Creates an asset: an item if its name begins with `item:`, otherwise a currency.
    pub fn asset(&mut self, asset: &str) {
        let kind = if asset.starts_with("item:") {
            AssetKind::Item
        } else {
            AssetKind::Currency
        };
        self.set(&Act::SetAsset {
            asset: parse(asset),
            patch: AssetPatch {
                kind: Some(kind),
                name: Some(asset.into()),
                ..AssetPatch::default()
            },
        });
    }

    /// Creates an account with these balances.
    pub fn member(&mut self, account: &str, balances: &[(&str, u64)]) {
        self.set(&Act::SetAccount {
            account: parse(account),
            patch: AccountPatch::default(),
            admission: None,
        });
        for (asset, amount) in balances {
            self.issue(account, asset, *amount);
        }
    }

    /// Freezes an account, or opens it again.
    pub fn freeze(&mut self, account: &str, frozen: bool) {
        let status = if frozen {
            AccountStatus::Frozen
        } else {
            AccountStatus::Open
        };
        self.set(&Act::SetAccount {
            account: parse(account),
            patch: AccountPatch {
                status: Some(status),
                ..AccountPatch::default()
            },
            admission: None,
        });
    }

    /// Sets the largest balance of an asset on an account. `None` removes the ceiling.
    pub fn ceiling(&mut self, account: &str, asset: &str, most: Option<u64>) {
        let limit = |most| Limit::new(most).expect("a limit is at most 2^53 - 1");
        self.set(&Act::SetAccount {
            account: parse(account),
            patch: AccountPatch {
                ceiling: Patch::Set([(parse(asset), most.map(limit))].into()),
                ..AccountPatch::default()
            },
            admission: None,
        });
    }

    /// Issues an amount to an account, such as a stock of items.
    pub fn issue(&mut self, account: &str, asset: &str, amount: u64) {
        self.set(&Act::Issue(IssueRequest {
            id: TransferId(Uuid::nil()),
            account: parse(account),
            asset: parse(asset),
            amount: amount_of(amount),
            cap: None,
        }));
    }

    /// Transfers an amount from one account to another, with the authority of a bot.
    pub fn transfer(&mut self, from: &str, to: &str, asset: &str, amount: u64) {
        let postings = Postings::new(vec![posting(from, to, asset, amount)]);
        self.set(&Act::Transfer(TransferRequest {
            id: TransferId(Uuid::nil()),
            postings: postings.expect("the two accounts differ"),
            authority: Authority::Bot,
            cap: None,
        }));
    }

    /// Installs a plugin under the id in its manifest, with all permissions that it requests.
    pub fn install(&mut self, component: &[u8], config: Value) {
        self.install_with(component, None, config, GrantChoice::Requested);
    }

    /// Installs a plugin under another name, with all permissions that it requests. One component may be installed
    /// under several names.
    pub fn install_as(&mut self, name: &str, component: &[u8], config: Value) {
        self.install_with(component, Some(parse(name)), config, GrantChoice::Requested);
    }

    /// Installs a plugin with other permissions than it requests.
    pub fn install_granting(&mut self, component: &[u8], config: Value, grants: Grants) {
        self.install_with(
            component,
            None,
            config,
            GrantChoice::Exactly(Box::new(grants)),
        );
    }

    /// Checks a configuration without installing it.
    ///
    /// The report has the findings of the schema and of the plugin's own check, names of accounts and assets that
    /// this economy does not have, and the balances that the plugin needs.
    #[track_caller]
    pub fn check(&self, component: &[u8], config: &Value) -> ConfigurationReport {
        let plugin = load(component);
        let name = plugin.manifest().id.as_name();
        self.report(&plugin, &name, config)
    }

    #[track_caller]
    fn report(
        &self,
        plugin: &LoadedPlugin,
        name: &PluginName,
        config: &Value,
    ) -> ConfigurationReport {
        let result = configuration::check(plugin, self.bench.books(), name, config);
        result.unwrap_or_else(|failure| panic!("the check of the configuration failed: {failure}"))
    }

    /// Returns the balances that a plugin needs with a configuration.
    ///
    /// # Panics
    ///
    /// If the check of the configuration has findings.
    #[track_caller]
    fn checked_needs(&self, plugin: &LoadedPlugin, name: &PluginName, config: &Value) -> Vec<Need> {
        let report = self.report(plugin, name, config);
        let findings: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
        assert!(
            findings.is_empty(),
            "the configuration is wrong: {}",
            findings.join("; ")
        );
        report.needs
    }

    #[track_caller]
    fn install_with(
        &mut self,
        component: &[u8],
        name: Option<PluginName>,
        config: Value,
        grants: GrantChoice,
    ) {
        let plugin = load(component);
        let manifest = plugin.manifest();
        let name = name.unwrap_or_else(|| manifest.id.as_name());
        let needs = self.checked_needs(&plugin, &name, &config);
        // Draws depend on the digest of the component. A digest of the id keeps the draws of a test equal after
        // each change of the plugin and on each machine.
        let digest = Digest::of(manifest.id.as_str().as_bytes());
        let choice = plugin.component_choice(&name, digest);
        let choice = choice.unwrap_or_else(|error| panic!("`{name}` is too long: {error}"));
        self.set(&Act::SetPlugin {
            plugin: name.clone(),
            patch: Box::new(PluginPatch {
                component: Some(choice),
                grants: Some(grants),
                config: Some(Document::from(config)),
                enabled: Some(true),
                needs,
                ..PluginPatch::default()
            }),
        });
        self.plugins.insert(name, plugin);
    }

    /// Returns the balances that a plugin needs with its configuration: account, asset and smallest amount.
    pub fn needs(&self, plugin: &str) -> Vec<(String, String, u64)> {
        let found = self.bench.books().plugin(&parse(plugin));
        let found = found.unwrap_or_else(|| panic!("{plugin} is not installed"));
        let needs = found.installation.needs.iter();
        let as_text = |need: &Need| {
            let account = need.account.to_string();
            let asset = need.asset.to_string();
            (account, asset, need.at_least.get())
        };
        needs.map(as_text).collect()
    }

    /// Changes the configuration of an installed plugin.
    pub fn configure(&mut self, plugin: &str, config: Value) {
        let plugin: PluginName = parse(plugin);
        let loaded = self.plugin(&plugin);
        let needs = self.checked_needs(&loaded, &plugin, &config);
        self.set(&Act::SetPlugin {
            plugin,
            patch: Box::new(PluginPatch {
                config: Some(Document::from(config)),
                needs,
                ..PluginPatch::default()
            }),
        });
    }

    /// Sets the roles of the callers from now on.
    pub fn roles(&mut self, roles: &[&str]) {
        self.roles = roles.iter().map(|role| (*role).into()).collect();
    }

    /// Sets the spend limit of each call from now on. `None` removes it.
    pub fn spend_limit(&mut self, limit: Option<&[(&str, u64)]>) {
        let parse_limit = |(asset, most): &(&str, u64)| {
            let most = Limit::new(*most);
            (parse(asset), most.expect("a limit is at most 2^53 - 1"))
        };
        self.spend_limit = limit.map(|limit| limit.iter().map(parse_limit).collect());
    }

    /// Calls an action, written as `plugin/action`, on behalf of a member.
    pub fn call(&mut self, caller: &str, action: &str, arguments: Value) -> TestCall {
        let (plugin, action) = split(action);
        let loaded = self.plugin(&plugin);
        let manifest = loaded.manifest();
        assert!(
            manifest.action(action).is_some(),
            "{plugin} has no action {action}"
        );
        if let Err(error) = manifest.check_arguments(action, &arguments) {
            panic!("the arguments do not fit {action}: {error}");
        }
        let request = CallRequest {
            roles: self.roles.clone(),
            spend_limit: self.spend_limit.clone(),
            ..self.request(&plugin, action, parse(caller), arguments)
        };
        self.run(request)
    }

    /// Advances the time. Holds expire, and schedules run once for each due time and in order. Returns the results
    /// of the runs.
    pub fn wait(&mut self, seconds: u64) -> Vec<TestCall> {
        let end = Timestamp(
            self.bench
                .now()
                .0
                .saturating_add(seconds.saturating_mul(1000)),
        );
        let mut results = Vec::new();
        while let Some((due, plugin, schedule)) = self.next_due().filter(|(due, ..)| *due <= end) {
            self.bench.advance_to(due);
            let request = CallRequest {
                due: Some(due),
                ..self.request(&plugin, &schedule, AccountId::of_plugin(&plugin), json!({}))
            };
            results.push(self.run(request));
        }
        self.bench.advance_to(end);
        results
    }

    /// Returns the posted balance of an account, including held amounts.
    pub fn balance(&self, account: &str, asset: &str) -> i64 {
        self.account(account, asset).posted
    }

    /// Returns the held part of a balance.
    pub fn held(&self, account: &str, asset: &str) -> u64 {
        self.account(account, asset).held.get()
    }

    /// Checks the invariants of the books, for instance that the balances of an asset sum to zero.
    ///
    /// # Panics
    ///
    /// If an invariant does not hold. No plugin can cause this: it is an error of the ledger.
    #[track_caller]
    pub fn assert_sound(&self) {
        let mut violations = bursar_ledger::check(self.bench.books());
        // A limit may be set below the balance of an account.
        violations.retain(|violation| !violation.is_of_limits());
        assert!(violations.is_empty(), "{violations:?}");
    }

    /// Returns the keys and values of a plugin's state.
    pub fn state(&self, plugin: &str) -> BTreeMap<String, String> {
        let found = self.bench.books().plugin(&parse(plugin));
        let found = found.unwrap_or_else(|| panic!("{plugin} is not installed"));
        let state = found.state.iter();
        state
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect()
    }

    fn account(&self, account: &str, asset: &str) -> bursar_ledger::Balance {
        let found = self.bench.books().account(&parse(account));
        let found = found.unwrap_or_else(|| panic!("there is no account {account}"));
        found.balance(&parse(asset))
    }

    fn plugin(&self, plugin: &PluginName) -> Arc<LoadedPlugin> {
        let found = self.plugins.get(plugin);
        Arc::clone(found.unwrap_or_else(|| panic!("{plugin} is not installed")))
    }

    /// Returns the earliest due time of all schedules.
    fn next_due(&self) -> Option<(Timestamp, PluginName, String)> {
        let installed = self.bench.books().plugins().iter();
        let due = installed.flat_map(|(plugin, found)| {
            let schedules = found.installation.schedules.iter();
            schedules.map(|(name, schedule)| (schedule.next_due, plugin.clone(), name.clone()))
        });
        due.min()
    }

    fn request(
        &mut self,
        plugin: &PluginName,
        action: &str,
        caller: AccountId,
        arguments: Value,
    ) -> CallRequest {
        self.calls = self.calls.wrapping_add(1);
        CallRequest {
            // The ids of holds follow from the id of the call: they differ in the last byte.
            id: CallId(Uuid::from_u128(self.calls << 8)),
            plugin: plugin.clone(),
            action: action.into(),
            caller,
            arguments,
            roles: Vec::new(),
            due: None,
            spend_limit: None,
            cap: None,
            key: self.calls.to_string(),
            now: self.bench.now(),
        }
    }

    fn run(&mut self, request: CallRequest) -> TestCall {
        let plugin = self.plugin(&request.plugin);
        match self.bench.call(&plugin, request, None) {
            Ok(result) => TestCall::new(result),
            Err(failure) => panic!("the call failed: {failure}"),
        }
    }

    /// Applies a setup step of a test, which must not be rejected.
    fn set(&mut self, act: &Act) {
        match self.bench.act(act) {
            Verdict::Applied(_) | Verdict::Unchanged => {}
            Verdict::Rejected(rejection) => panic!("{rejection}"),
            other => panic!("{other:?}"),
        }
    }
}

#[track_caller]
fn load(component: &[u8]) -> Arc<LoadedPlugin> {
    // One at a time: a host rejects components while too many others wait for its compiler.
    let _turn = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
    let plugin = HOST.load(Digest::of(component), component);
    plugin.unwrap_or_else(|report| panic!("the component is rejected: {report}"))
}

fn split(action: &str) -> (PluginName, &str) {
    let Some((plugin, action)) = action.split_once('/') else {
        panic!("`{action}` does not have the form plugin/action");
    };
    (parse(plugin), action)
}

fn parse<T: FromStr<Err: Display>>(name: &str) -> T {
    name.parse()
        .unwrap_or_else(|error| panic!("`{name}`: {error}"))
}

fn amount_of(amount: u64) -> Amount {
    Amount::new(amount).unwrap_or_else(|| panic!("{amount} is not an amount: 1 to 2^53 - 1"))
}

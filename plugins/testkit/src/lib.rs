//! Test a plugin as it is built, against an economy in memory.
//!
//! The component, the sandbox and the ledger are the real ones: what is let in here is let in by a
//! server, what a call costs here it costs there, and no rule of money can be forgotten. Nothing is
//! written down. An economy is made from a seed, so the same test draws the same cards each time.
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
//! let tipped = economy.call("user:1", "tip/tip", json!({"to": "user:2", "amount": 5}));
//! assert_eq!(tipped.reply()["thanks"], "user:2 thanks user:1 for 5 coin.");
//! assert_eq!(tipped.postings(), [posting("user:1", "user:2", "coin", 5)]);
//! assert_eq!(economy.balance("user:1", "coin"), 95);
//!
//! let poor = economy.call("user:2", "tip/tip", json!({"to": "user:1", "amount": 6}));
//! assert_eq!(poor.rejected(), "`user:2` can spend 5 coin, and 6 are required");
//! ```
//!
//! What cannot be meant panics and says why: a component that is not let in, an account that is not
//! there, an amount of 0. What a plugin or the ledger says no to does not: ask the [`Called`].

mod called;

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
pub use called::Called;

/// When an economy begins: 2026-01-01 at midnight, UTC.
pub const BEGIN_MS: u64 = 1_767_225_600_000;

/// One sandbox for all tests of a process. It compiles in this very process: whoever tests a component
/// has written it.
static HOST: LazyLock<PluginHost> = LazyLock::new(|| {
    let host = PluginHost::new(Limits::standard(), Compiler::Here, None);
    host.unwrap_or_else(|report| panic!("{report}"))
});

static LOADING: Mutex<()> = Mutex::new(());

/// A movement, to compare with those of a call.
pub fn posting(from: &str, to: &str, asset: &str, amount: u64) -> Posting {
    Posting {
        source: named(from),
        destination: named(to),
        asset: named(asset),
        amount: amount_of(amount),
    }
}

/// An economy in memory, with plugins in it.
pub struct Economy {
    bench: Workbench,
    plugins: BTreeMap<PluginName, Arc<LoadedPlugin>>,
    /// Calls so far; their ids follow from it.
    calls: u128,
    roles: Vec<String>,
    spend_limit: Option<SpendLimit>,
}

impl Economy {
    /// An empty economy. Everything that is drawn in it follows from the seed, which is any text.
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

    /// Makes an asset: an item if its name begins with `item:`, or else a currency.
    pub fn asset(&mut self, asset: &str) {
        let kind = if asset.starts_with("item:") {
            AssetKind::Item
        } else {
            AssetKind::Currency
        };
        self.set(&Act::SetAsset {
            asset: named(asset),
            patch: AssetPatch {
                kind: Some(kind),
                name: Some(asset.into()),
                ..AssetPatch::default()
            },
        });
    }

    /// Makes an account that has so much.
    pub fn member(&mut self, account: &str, has: &[(&str, u64)]) {
        self.set(&Act::SetAccount {
            account: named(account),
            patch: AccountPatch::default(),
            admission: None,
        });
        for (asset, amount) in has {
            self.issue(account, asset, *amount);
        }
    }

    /// Closes an account to payments for a while, or opens it again.
    pub fn freeze(&mut self, account: &str, frozen: bool) {
        let status = if frozen {
            AccountStatus::Frozen
        } else {
            AccountStatus::Open
        };
        self.set(&Act::SetAccount {
            account: named(account),
            patch: AccountPatch {
                status: Some(status),
                ..AccountPatch::default()
            },
            admission: None,
        });
    }

    /// Sets how much an account may have of an asset, or that it may have any amount.
    pub fn ceiling(&mut self, account: &str, asset: &str, most: Option<u64>) {
        let limit = |most| Limit::new(most).expect("a limit is at most 2^53 - 1");
        self.set(&Act::SetAccount {
            account: named(account),
            patch: AccountPatch {
                ceiling: Patch::Set([(named(asset), most.map(limit))].into()),
                ..AccountPatch::default()
            },
            admission: None,
        });
    }

    /// Issues an amount to an account: a bankroll, a stock of items.
    pub fn issue(&mut self, account: &str, asset: &str, amount: u64) {
        self.set(&Act::Issue(IssueRequest {
            id: TransferId(Uuid::nil()),
            account: named(account),
            asset: named(asset),
            amount: amount_of(amount),
            cap: None,
        }));
    }

    /// Moves an amount from one account to another, as a bot does.
    pub fn transfer(&mut self, from: &str, to: &str, asset: &str, amount: u64) {
        let postings = Postings::new(vec![posting(from, to, asset, amount)]);
        self.set(&Act::Transfer(TransferRequest {
            id: TransferId(Uuid::nil()),
            postings: postings.expect("its accounts are two"),
            authority: Authority::Bot,
            cap: None,
        }));
    }

    /// Installs a plugin under the id in its manifest, with all that it asks for.
    pub fn install(&mut self, component: &[u8], config: Value) {
        self.install_with(component, None, config, GrantChoice::Requested);
    }

    /// Installs a plugin under another name, with all that it asks for. One component may be there under
    /// several.
    pub fn install_as(&mut self, name: &str, component: &[u8], config: Value) {
        self.install_with(component, Some(named(name)), config, GrantChoice::Requested);
    }

    /// Installs a plugin with less than it asks for.
    pub fn install_granting(&mut self, component: &[u8], config: Value, grants: Grants) {
        self.install_with(
            component,
            None,
            config,
            GrantChoice::Exactly(Box::new(grants)),
        );
    }

    /// What is found in a configuration, before it is taken: by the schema, by the plugin's own check, and
    /// because this economy does not have an account or an asset that it names; and what the plugin needs.
    #[track_caller]
    pub fn check(&self, component: &[u8], config: &Value) -> ConfigurationReport {
        let plugin = load(component);
        let name = plugin.manifest().id.as_name();
        self.checked(&plugin, &name, config)
    }

    #[track_caller]
    fn checked(
        &self,
        plugin: &LoadedPlugin,
        name: &PluginName,
        config: &Value,
    ) -> ConfigurationReport {
        let checked = configuration::check(plugin, self.bench.books(), name, config);
        checked.unwrap_or_else(|failure| panic!("its check was not brought to an end: {failure}"))
    }

    /// What a plugin needs with its configuration. Panics if the configuration is not taken, and says why.
    #[track_caller]
    fn taken(&self, plugin: &LoadedPlugin, name: &PluginName, config: &Value) -> Vec<Need> {
        let report = self.checked(plugin, name, config);
        let findings: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
        assert!(
            findings.is_empty(),
            "it does not take its configuration: {}",
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
        let needs = self.taken(&plugin, &name, &config);
        // Draws depend on the digest of the component that runs. Here they follow from the seed alone: a
        // test draws the same after each change of the plugin, and wherever it was built.
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

    /// What a plugin said that it needs with its configuration: account, asset and the least that is to be
    /// available.
    pub fn needs(&self, plugin: &str) -> Vec<(String, String, u64)> {
        let found = self.bench.books().plugin(&named(plugin));
        let found = found.unwrap_or_else(|| panic!("{plugin} is not installed"));
        let needs = found.installation.needs.iter();
        let plain = |need: &Need| {
            let (account, asset) = (need.account.to_string(), need.asset.to_string());
            (account, asset, need.at_least.get())
        };
        needs.map(plain).collect()
    }

    /// Gives a plugin another configuration, as an operator does while it is in use.
    pub fn configure(&mut self, plugin: &str, config: Value) {
        let plugin: PluginName = named(plugin);
        let loaded = self.plugin(&plugin);
        let needs = self.taken(&loaded, &plugin, &config);
        self.set(&Act::SetPlugin {
            plugin,
            patch: Box::new(PluginPatch {
                config: Some(Document::from(config)),
                needs,
                ..PluginPatch::default()
            }),
        });
    }

    /// The roles of whoever calls from now on.
    pub fn roles(&mut self, roles: &[&str]) {
        self.roles = roles.iter().map(|role| (*role).into()).collect();
    }

    /// The most that may leave the caller in each call from now on; none lifts it.
    pub fn spend_limit(&mut self, limit: Option<&[(&str, u64)]>) {
        let capped = |(asset, most): &(&str, u64)| {
            let most = Limit::new(*most);
            (named(asset), most.expect("a limit is at most 2^53 - 1"))
        };
        self.spend_limit = limit.map(|limit| limit.iter().map(capped).collect());
    }

    /// Calls an action, `plugin/action`, on behalf of a member.
    pub fn call(&mut self, caller: &str, action: &str, arguments: Value) -> Called {
        let (plugin, action) = split(action);
        let loaded = self.plugin(&plugin);
        let manifest = loaded.manifest();
        assert!(
            manifest.action(action).is_some(),
            "{plugin} has no action {action}"
        );
        if let Err(error) = manifest.check_arguments(action, &arguments) {
            panic!("{action} does not take these arguments: {error}");
        }
        let request = CallRequest {
            roles: self.roles.clone(),
            spend_limit: self.spend_limit.clone(),
            ..self.request(&plugin, action, named(caller), arguments)
        };
        self.run(request)
    }

    /// Lets time pass. Holds end by their rule, and what plugins do by themselves is done, each due
    /// time once and in order; what was done is handed back.
    pub fn wait(&mut self, seconds: u64) -> Vec<Called> {
        let end = Timestamp(
            self.bench
                .now()
                .0
                .saturating_add(seconds.saturating_mul(1000)),
        );
        let mut done = Vec::new();
        while let Some((due, plugin, schedule)) = self.next_due().filter(|(due, ..)| *due <= end) {
            self.bench.go_on_to(due);
            let request = CallRequest {
                due: Some(due),
                ..self.request(&plugin, &schedule, AccountId::of_plugin(&plugin), json!({}))
            };
            done.push(self.run(request));
        }
        self.bench.go_on_to(end);
        done
    }

    /// What an account has of an asset, with what is held of it.
    pub fn balance(&self, account: &str, asset: &str) -> i64 {
        self.account(account, asset).posted
    }

    /// What is held of a balance.
    pub fn held(&self, account: &str, asset: &str) -> u64 {
        self.account(account, asset).held.get()
    }

    /// Panics if the books are not as books must be, such as balances that do not sum to zero. No plugin can
    /// bring that about, so it would be a fault of the ledger.
    #[track_caller]
    pub fn assert_sound(&self) {
        let mut wrong = bursar_ledger::check(self.bench.books());
        // A limit that was set below what an account has is no fault.
        wrong.retain(|violation| !violation.is_of_limits());
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    /// What a plugin keeps, by key.
    pub fn state(&self, plugin: &str) -> BTreeMap<String, String> {
        let found = self.bench.books().plugin(&named(plugin));
        let found = found.unwrap_or_else(|| panic!("{plugin} is not installed"));
        let kept = found.state.iter();
        kept.map(|(key, value)| (key.to_string(), value.to_string()))
            .collect()
    }

    fn account(&self, account: &str, asset: &str) -> bursar_ledger::Balance {
        let found = self.bench.books().account(&named(account));
        let found = found.unwrap_or_else(|| panic!("there is no account {account}"));
        found.balance(&named(asset))
    }

    fn plugin(&self, plugin: &PluginName) -> Arc<LoadedPlugin> {
        let found = self.plugins.get(plugin);
        Arc::clone(found.unwrap_or_else(|| panic!("{plugin} is not installed")))
    }

    /// The earliest due time of any schedule.
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
            // Ids of holds follow from the call's: the last byte is theirs.
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

    fn run(&mut self, request: CallRequest) -> Called {
        let plugin = self.plugin(&request.plugin);
        match self.bench.call(&plugin, request, None) {
            Ok(called) => Called::new(called),
            Err(failure) => panic!("the call could not be brought to an end: {failure}"),
        }
    }

    /// Something that a test takes for granted.
    fn set(&mut self, act: &Act) {
        match self.bench.act(act) {
            Verdict::Applied(_) | Verdict::Unchanged => {}
            Verdict::Rejected(no) => panic!("{no}"),
            no => panic!("{no:?}"),
        }
    }
}

#[track_caller]
fn load(component: &[u8]) -> Arc<LoadedPlugin> {
    // One after the other: a host turns away whom it finds too many before its compiler.
    let _turn = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
    let plugin = HOST.load(Digest::of(component), component);
    plugin.unwrap_or_else(|report| panic!("it is not let in: {report}"))
}

fn split(action: &str) -> (PluginName, &str) {
    let Some((plugin, action)) = action.split_once('/') else {
        panic!("`{action}` is not of the form plugin/action");
    };
    (named(plugin), action)
}

fn named<T: FromStr<Err: Display>>(name: &str) -> T {
    name.parse()
        .unwrap_or_else(|error| panic!("`{name}`: {error}"))
}

fn amount_of(amount: u64) -> Amount {
    Amount::new(amount).unwrap_or_else(|| panic!("{amount} is not an amount: 1 to 2^53 - 1"))
}

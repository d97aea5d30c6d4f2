//! The parser of a script's words.

mod plugins;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::str::FromStr;

use plugins::{grants, hold_of, hold_rule, need, schedule_rule, times_of};
use uuid::Uuid;

use crate::{
    AMOUNT_MAX, AccountId, AccountPatch, AccountStatus, Amount, AssetId, AssetKind, AssetPatch,
    Authority, BatchRequest, CallerAdmission, CaptureRequest, ComponentChoice, Digest, Document,
    EconomyStatus, Force, GrantChoice, HoldEnd, HoldId, HoldRequest, HostRequest, IssueRequest,
    KeyMode, KeyPatch, Limit, LimitsPatch, OnExpiry, Patch, PluginName, PluginPatch, Posting,
    Postings, Quota, QuotaPatch, ReversalRequest, RollbackTarget, Scope, Scopes, SpendLimit,
    Timestamp, TransferCap, TransferId, TransferRequest, Transfers, WebhookPatch, WebhookUrl,
};

/// The words of a line: `key=value` pairs, and plain words.
pub(super) struct Words<'a> {
    pub(super) plain: Vec<&'a str>,
    named: BTreeMap<&'a str, &'a str>,
}

impl<'a> Words<'a> {
    pub(super) fn of(line: &'a str) -> Self {
        let (named, plain) = line.split_whitespace().partition::<Vec<_>, _>(|word| {
            let name = word.split_once('=').map(|(name, _)| name);
            name.is_some_and(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
        });
        let named = named.into_iter().filter_map(|word| word.split_once('='));
        Self {
            plain,
            named: named.collect(),
        }
    }

    pub(super) fn named(&self, name: &str) -> Option<&'a str> {
        self.named.get(name).copied()
    }

    fn member<T>(&self, name: &str, read: impl Fn(&str) -> T) -> Patch<T> {
        match self.named(name) {
            None => Patch::Keep,
            Some("null") => Patch::Clear,
            Some(text) => Patch::Set(read(text)),
        }
    }

    pub(super) fn asset_patch(&self) -> AssetPatch {
        AssetPatch {
            kind: self.named("kind").map(|kind| match kind {
                "item" => AssetKind::Item,
                _currency => AssetKind::Currency,
            }),
            name: self.named("name").map(Into::into),
            symbol: self.member("symbol", str::to_owned),
            decimals: self.named("decimals").map(id),
            max_supply: self.member("max_supply", limit),
            metadata: self.member("metadata", json),
        }
    }

    pub(super) fn quota_patch(&self) -> QuotaPatch {
        let limits = self.named.iter().map(|(quota, limit)| {
            let limit = (*limit != "null").then(|| id(limit));
            (id::<Quota>(quota), limit)
        });
        let limits: BTreeMap<Quota, Option<u64>> = limits.collect();
        limits.try_into().expect("no limit is too high")
    }

    pub(super) fn key_patch(&self) -> KeyPatch {
        let scopes = self.named("scopes").map(|scope| match scope {
            "admin" => Scopes::from([Scope::Admin]),
            _read => Scopes::from([Scope::Read]),
        });
        let revoked = self.named("revoked").map(|revoked| revoked == "true");
        KeyPatch {
            scopes,
            revoked,
            economies: self.member("economies", |text| list(Some(text)).map(id).collect()),
            admits: self.member("admits", |accounts| CallerAdmission {
                accounts: id(accounts),
                metadata: false,
            }),
            force: self.named("force").is_some(),
            ..KeyPatch::default()
        }
    }

    pub(super) fn webhook_patch(&self) -> WebhookPatch {
        let url = |text: &str| WebhookUrl::try_from(text.to_owned()).expect("a URL");
        WebhookPatch {
            url: self.named("url").map(url),
            kinds: self.member("kinds", |text| list(Some(text)).map(id).collect()),
            enabled: self.named("enabled").map(id),
        }
    }

    pub(super) fn key_mode(&self) -> KeyMode {
        match self.named("mode") {
            Some("create") => KeyMode::Create,
            Some("rotate") => KeyMode::Rotate,
            _put => KeyMode::Put,
        }
    }

    pub(super) fn admission(&self) -> Option<CallerAdmission> {
        self.named("admits").map(|accounts| CallerAdmission {
            accounts: id(accounts),
            metadata: self.named("admits_metadata").is_some(),
        })
    }

    pub(super) fn account_patch(&self) -> AccountPatch {
        AccountPatch {
            status: self.named("status").map(|status| match status {
                "frozen" => AccountStatus::Frozen,
                "closed" => AccountStatus::Closed,
                _open => AccountStatus::Open,
            }),
            credit_limit: self.member("credit_limit", limits),
            ceiling: self.member("ceiling", limits),
            metadata: self.member("metadata", json),
        }
    }

    pub(super) fn plugin_patch(&self) -> PluginPatch {
        let plugin: PluginName = id(self.plain[1]);
        let accounts = list(self.named("accounts"));
        let accounts = accounts.map(|sub| AccountId::of_plugin_sub(&plugin, sub).expect("a name"));
        PluginPatch {
            component: self.named("component").map(|name| ComponentChoice {
                digest: Digest::of(name.as_bytes()),
                id: id(self.named("of").unwrap_or(self.plain[1])),
                name_is_fixed: self.named("fixed").is_some_and(id),
                requested: grants(self.named("requests")),
                accounts: accounts.collect(),
                holds: list(self.named("holds")).map(hold_rule).collect(),
                schedules: list(self.named("schedules")).map(schedule_rule).collect(),
            }),
            grants: self.named("grants").map(|text| match text {
                "requested" => GrantChoice::Requested,
                exactly => GrantChoice::Exactly(Box::new(grants(Some(exactly)))),
            }),
            config: self.named("config").map(|text| Document::new(&json(text))),
            enabled: self.named("enabled").map(id),
            follow: self.named("follow").map(id),
            schedules: list(self.named("times")).map(times_of).collect(),
            as_of: self.named("as_of").map(id),
            follows: self
                .named("follows")
                .map(|name| Digest::of(name.as_bytes())),
            checked_against: self
                .named("checked")
                .map(|name| Digest::of(name.as_bytes())),
            needs: list(self.named("needs")).map(need).collect(),
        }
    }

    /// `roll_back shop`, or `roll_back shop to=3 config={} checked=a`
    pub(super) fn roll_back(&self) -> RollbackTarget {
        if self.named("config").is_none() {
            return RollbackTarget::Component;
        }
        RollbackTarget::Configuration {
            to: self.named("to").map(id),
            patch: Box::new(self.plugin_patch()),
        }
    }

    pub(super) fn issue(&self) -> IssueRequest {
        IssueRequest {
            id: TransferId(Uuid::nil()),
            account: id(self.plain[1]),
            asset: id(self.plain[2]),
            amount: amount(self.plain[3]),
            cap: self.cap(),
        }
    }

    pub(super) fn transfer(&self, authority: Authority) -> TransferRequest {
        let postings = self.plain[1..].chunks(5).map(posting).collect();
        TransferRequest {
            id: TransferId(Uuid::nil()),
            postings: Postings::new(postings).expect("the postings are a transfer"),
            authority,
            cap: self.cap(),
        }
    }

    /// `hold 1 user:1 -> user:2 coin 30 for=60 on_expiry=capture`
    pub(super) fn hold(&self) -> HoldRequest {
        HoldRequest {
            id: HoldId(uuid(self.plain[1])),
            reservation: posting(&self.plain[2..]).try_into().expect("two accounts"),
            expires_in_s: self.named("for").map_or(60, id),
            on_expiry: match self.named("on_expiry") {
                Some("capture") => OnExpiry::Capture,
                _release => OnExpiry::Release,
            },
            authority: self.authority(),
            cap: self.cap(),
        }
    }

    pub(super) fn authority(&self) -> Authority {
        match self.named("by") {
            Some("admin") => Authority::Admin,
            _bot => Authority::Bot,
        }
    }

    /// `capture 1 10`, or `capture 1` for all that is left
    pub(super) fn capture(&self) -> CaptureRequest {
        CaptureRequest {
            id: TransferId(Uuid::nil()),
            hold: self.hold_id(),
            amount: self.plain.get(2).map(|units| amount(units)),
            ended: self.ended(),
            authority: self.authority(),
            cap: self.cap(),
        }
    }

    /// `1`, or `A/0` for what a call has placed.
    pub(super) fn hold_id(&self) -> HoldId {
        if self.plain[1].contains('/') {
            return hold_of(self.plain[1]);
        }
        HoldId(uuid(self.plain[1]))
    }

    pub(super) fn ended(&self) -> Option<HoldEnd> {
        self.named("ended").map(|_expired| HoldEnd::Expired)
    }

    /// `reverse 2 of=1 user:2 -> user:1 coin 30 by=admin force=theft`
    pub(super) fn reversal(&self) -> ReversalRequest {
        let postings = self.plain[2..].chunks(5).map(posting).collect();
        ReversalRequest {
            id: TransferId(uuid(self.plain[1])),
            original: TransferId(uuid(self.named("of").expect("of what"))),
            postings: Postings::new(postings).expect("the postings are a transfer"),
            authority: self.authority(),
            force: self.named("force").map(|reason| Force {
                reason: reason.into(),
            }),
            cap: self.cap(),
        }
    }

    /// `batch user:1 -> user:2 coin 30, user:2 -> user:3 coin 5`, each posting a transfer
    pub(super) fn batch(&self) -> BatchRequest {
        let transfer = |words: &[&str]| TransferRequest {
            id: TransferId(Uuid::nil()),
            postings: Postings::new(vec![posting(words)]).expect("a transfer"),
            authority: Authority::Bot,
            cap: None,
        };
        let transfers = self.plain[1..].chunks(5).map(transfer).collect();
        BatchRequest {
            transfers: Transfers::new(transfers).expect("the transfers are a batch"),
            cap: self.cap(),
        }
    }

    pub(super) fn economy_status(&self) -> EconomyStatus {
        match self.plain[1] {
            "frozen" => EconomyStatus::Frozen,
            "closed" => EconomyStatus::Closed,
            _open => EconomyStatus::Open,
        }
    }

    /// `cap=coin/10`: the transfer cap of the API key.
    pub(super) fn cap(&self) -> Option<TransferCap> {
        let caps = self.named("cap").map(spend_limit);
        caps.map(|caps| caps.try_into().expect("a cap"))
    }

    pub(super) fn ask(&self) -> HostRequest {
        let words = &self.plain[2..];
        match self.plain[1] {
            "balance" => HostRequest::Balance {
                account: id(words[0]),
                asset: id(words[1]),
            },
            "has" => HostRequest::HasAtLeast {
                account: id(words[0]),
                asset: id(words[1]),
                amount: amount(words[2]),
            },
            "pay" => HostRequest::Transfer(posting(words)),
            "hold" => HostRequest::PlaceHold {
                rule: words[0].into(),
                posting: posting(&words[1..]),
            },
            "capture" => HostRequest::CaptureHold {
                hold: hold_of(words[0]),
                amount: words.get(1).map(|units| amount(units)),
            },
            "release" => HostRequest::ReleaseHold {
                hold: hold_of(words[0]),
            },
            "left" => HostRequest::HoldLeft {
                hold: hold_of(words[0]),
            },
            "keep" => HostRequest::SecureHold {
                hold: hold_of(words[0]),
            },
            "shuffle" => HostRequest::Shuffle {
                count: id(words[0]),
                label: "draw".into(),
            },
            "bytes" => HostRequest::Bytes {
                count: id(words[0]),
                label: "draw".into(),
            },
            "mix" => HostRequest::Mix {
                text: words[0].into(),
            },
            "seed" => HostRequest::ClientSeed,
            "secure" => HostRequest::Secure {
                account: id(words[0]),
                asset: id(words[1]),
                amount: amount(words[2]),
            },
            "draw" => HostRequest::Draw {
                range: id(words[0]),
                label: "draw".into(),
            },
            "get" => HostRequest::Get {
                key: words[0].into(),
            },
            "set" => HostRequest::Set {
                key: words[0].into(),
                value: value(words[1]).into(),
            },
            "delete" => HostRequest::Delete {
                key: words[0].into(),
            },
            "list" => HostRequest::List {
                prefix: words[0].into(),
                cursor: self.named("from").map(Into::into),
            },
            "wake" => HostRequest::Wake {
                schedule: words[0].into(),
                from: Timestamp(id(words[1])),
            },
            unknown => panic!("no ask is called `{unknown}`"),
        }
    }
}

/// Parses a value such as a name, a number or a switch.
pub(super) fn id<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse()
        .unwrap_or_else(|error| panic!("`{text}` does not parse: {error:?}"))
}

/// `source -> destination asset amount`, as five words.
fn posting(words: &[&str]) -> Posting {
    Posting {
        source: id(words[0]),
        destination: id(words[2]),
        asset: id(words[3]),
        amount: amount(words[4].trim_end_matches(',')),
    }
}

fn uuid(number: &str) -> Uuid {
    Uuid::from_u128(id(number))
}

fn units(text: &str) -> u64 {
    match text {
        "max" => AMOUNT_MAX,
        "max-1" => AMOUNT_MAX - 1,
        number => id(number),
    }
}

fn amount(text: &str) -> Amount {
    Amount::new(units(text)).expect("an amount")
}

fn limit(text: &str) -> Limit {
    Limit::new(units(text)).expect("a limit")
}

/// `coin/50,gem/null`: limits of an account.
fn limits(text: &str) -> LimitsPatch {
    let named = list(Some(text)).map(|named| {
        let (asset, most) = named.split_once('/').expect("asset/most");
        (id(asset), (most != "null").then(|| limit(most)))
    });
    named.collect()
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("JSON")
}

/// Returns a value of state; `x*100` is a hundred times `x`.
fn value(text: &str) -> String {
    match text.split_once('*') {
        Some((part, times)) => part.repeat(id(times)),
        None => text.into(),
    }
}

fn list(text: Option<&str>) -> impl Iterator<Item = &str> {
    let all = text.into_iter().flat_map(|text| text.split(','));
    all.filter(|item| *item != "none")
}

/// `coin/10,gem/5`, or `none` for a limit that allows no debit.
pub(super) fn spend_limit(text: &str) -> SpendLimit {
    list(Some(text)).map(capped).collect()
}

fn capped(text: &str) -> (AssetId, Limit) {
    let (asset, most) = text.split_once('/').expect("asset/most");
    (id(asset), limit(most))
}

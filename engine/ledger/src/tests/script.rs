//! Scripts for tests: a line is a verb with words and `key=value` pairs.
//!
//! ```text
//! asset coin max_supply=1000              creates an asset; `patch` changes the named members
//! account user:1 credit_limit=coin/50     creates or changes an account; `null` clears, as does `coin/null`
//! issue user:1 coin 100                   and `burn`
//! hold 1 user:1 -> user:2 coin 30 for=60  then `capture 1 10`, `release 1`, `expire 1`, `wait 60`
//! reverse 2 of=1 user:2 -> user:1 coin 5  and `force=reason`, `by=admin`
//! economy frozen                          or `open`, or `closed`
//! transfer user:1 -> user:2 coin 30, user:2 -> user:3 coin 5 cap=coin/35
//! plugin shop component=a requests=debit/issuer:coin,spend/coin/9 grants=requested enabled=true
//! plugin shop holds=stake/60/capture,bid/60/release
//! call A shop user:1 spend=coin/10        starts a call named A on a snapshot
//! A pay user:1 -> plugin:shop coin 5      a request; then `A reply`, `A decline`, `A fault` or `A break`
//! A hold stake user:1 -> plugin:shop coin 5; B capture A/0 3; B keep A/0; B release A/0; B left A/0
//! client_seed user:1 luck; rotate; reveal 2; burn_nonces 3; seeds; origin user:1
//! account user:1 admits=user:* metadata={} admits_metadata=true     by a key that can only open accounts
//! quota holds=5 accounts=null             then `used holds accounts`
//! wait 60                                 a minute passes; `wait_ms 1` a millisecond
//! balance user:1 coin                     also `state shop` and `violations`
//! ```
//!
//! An act that creates something, and a request that is done without an answer, have no output. Each other line has one.

mod output;

use std::collections::BTreeMap;
use std::sync::Arc;

use expect_test::Expect;
use output::{listed, outcome, response_text};
use uuid::Uuid;

use super::words::{Words, spend_limit};
use crate::{
    Act, ActiveSeed, AssetKind, AssetPatch, Authority, Books, CallEnding, CallId, CallRequest,
    CallResult, Decision, Digest, Draft, DrawOrigin, HostRequest, Limit, Quota, Rejection, Seed,
    Timestamp, Transcript, Verdict, WebhookRequest, WebhookSecret, check as violations, decide,
};

pub(super) use super::words::id;

/// Runs a script in a new economy and compares its output.
pub(super) fn check(script: &str, expected: &Expect) {
    expected.assert_eq(&World::after(script).output);
}

/// An economy, its running calls, and the output of the script.
#[derive(Clone)]
pub(super) struct World {
    pub(super) books: Books,
    pub(super) decisions: Vec<Decision>,
    pub(super) rejections: Vec<Rejection>,
    pub(super) output: String,
    /// Milliseconds that have passed, in addition to one for each record.
    waited: u64,
    calls: BTreeMap<String, Run>,
    /// The origins of draws of calls without a record.
    origins: BTreeMap<String, DrawOrigin>,
    next_nonce: u64,
}

#[derive(Clone)]
enum Run {
    Open(Box<Draft>),
    Refused(Box<CallRequest>, Rejection),
}

impl World {
    /// Creates empty books, to which decisions can be applied.
    pub(super) fn blank() -> Self {
        Self {
            books: Books::new(Seed::new([0; 32]), Timestamp(0)),
            decisions: Vec::new(),
            rejections: Vec::new(),
            output: String::new(),
            waited: 0,
            calls: BTreeMap::new(),
            origins: BTreeMap::new(),
            next_nonce: 1,
        }
    }

    /// Creates an economy and runs a script in it.
    pub(super) fn after(script: &str) -> Self {
        let mut world = Self::blank();
        let seed = Seed::new([7; 32]);
        let opened = decide(None, world.at(), &Act::OpenEconomy { seed });
        let Verdict::Applied(decision) = opened else {
            panic!("an economy did not open: {opened:?}");
        };
        world.apply(decision);
        world.run(script);
        world
    }

    /// Runs further lines. A semicolon ends a line as well.
    pub(super) fn run(&mut self, script: &str) {
        for line in script.split(['\n', ';']).map(str::trim) {
            if let Some(outcome) = self.line(line) {
                self.output.extend([line, ": ", &outcome, "\n"]);
            }
        }
    }

    /// Decides an act and applies its decision, as a writer does.
    pub(super) fn act(&mut self, act: &Act) -> Verdict {
        let verdict = decide(Some(&self.books), self.at(), act);
        if let Some(decision) = verdict.decision() {
            self.apply(decision.clone());
        }
        if let Verdict::Rejected(rejection) = &verdict {
            self.rejections.push(rejection.clone());
        }
        verdict
    }

    /// Applies a decision as the next record.
    pub(super) fn apply(&mut self, decision: Decision) {
        let seq = self.books.seq() + 1;
        let at = self.at();
        self.books
            .apply(&decision, seq, at)
            .expect("a decision fits the books that it was made for");
        self.books.seal(seq, at, Digest::of(&seq.to_be_bytes()));
        self.decisions.push(decision);
    }

    /// Ends a running call and returns the result to commit.
    pub(super) fn end(&mut self, call: &str, ending: CallEnding) -> CallResult {
        let run = self.calls.remove(call);
        match run.unwrap_or_else(|| panic!("no call `{call}` is under way")) {
            Run::Open(draft) => CallResult {
                request: draft.call().clone(),
                component: draft.component(),
                origin: draft.origin().cloned(),
                transcript: draft.close(),
                ending,
                fuel: 0,
            },
            Run::Refused(request, rejection) => CallResult {
                request: *request,
                component: Digest::ZERO,
                origin: None,
                transcript: Transcript::default(),
                ending: CallEnding::NotRun(rejection),
                fuel: 0,
            },
        }
    }

    pub(super) fn at(&self) -> Timestamp {
        Timestamp(1_000 + self.books.seq() + self.waited)
    }

    fn line(&mut self, line: &str) -> Option<String> {
        let words = Words::of(line);
        if let Some(output) = self.query_line(&words) {
            return Some(output);
        }
        let act = match *words.plain.first()? {
            "wait" => {
                self.waited += id::<u64>(words.plain[1]) * 1000;
                return None;
            }
            "wait_ms" => {
                self.waited += id::<u64>(words.plain[1]);
                return None;
            }
            "webhooks" => {
                for number in 1..=id(words.plain[1]) {
                    self.run(&format!("webhook w{number} url=https://bot.example"));
                }
                return None;
            }
            "call" => return self.open_call(&words),
            "balance" => {
                let account = self.books.account(&id(words.plain[1]));
                let account = account.expect("the account is there");
                let balance = account.balance(&id(words.plain[2]));
                return Some(match balance.held {
                    Limit::ZERO => balance.posted.to_string(),
                    held => format!("{}, held {held}", balance.posted),
                });
            }
            "state" => {
                let plugin = self.books.plugin(&id(words.plain[1]));
                let state = &plugin.expect("the plugin is there").state;
                let pairs = state.iter().map(|(key, value)| format!("{key}={value}"));
                return Some(listed(&pairs.collect::<Vec<_>>(), " "));
            }
            "violations" => {
                let found = violations(&self.books);
                let found: Vec<String> = found.iter().map(ToString::to_string).collect();
                return Some(listed(&found, "; "));
            }
            verb => match put(verb, &words).or_else(|| money(verb, &words)) {
                Some(act) => act,
                None => return self.call_line(verb, &words),
            },
        };
        let verdict = self.act(&act);
        if let Verdict::Applied(decision) = &verdict {
            return (!decision.creates()).then(|| "changed".into());
        }
        Some(outcome(&verdict))
    }

    /// Runs a line that only reads: due schedules, seeds, and the origin of a member's next draw.
    fn query_line(&self, words: &Words<'_>) -> Option<String> {
        match *words.plain.first()? {
            "due" => {
                let plugin = self.books.plugin(&id(words.plain[1]));
                let schedules = &plugin.expect("the plugin is there").installation.schedules;
                let due = schedules.iter();
                let due = due.map(|(name, schedule)| format!("{name} at {}", schedule.next_due.0));
                Some(listed(&due.collect::<Vec<_>>(), ", "))
            }
            "used" => {
                let quotas = words.plain[1..].iter().map(|quota| id::<Quota>(quota));
                let used = quotas.map(|quota| {
                    let used = self.books.used(quota, self.at()).expect("it is counted");
                    format!("{quota} {used} of {}", self.books.quota(quota))
                });
                Some(listed(&used.collect::<Vec<_>>(), ", "))
            }
            "seeds" => {
                let ActiveSeed { number, draws, .. } = self.books.active_seed();
                let hidden = self.books.first_hidden_seed();
                let open: Vec<u64> = self.books.open_nonces().collect();
                Some(format!(
                    "seed {number}, {draws} draws, hidden from {hidden}, next nonce {}, open {open:?}",
                    self.books.next_nonce()
                ))
            }
            "origin" => {
                let account = id(words.plain[1]);
                let origin = self.books.draw_origin(&account, 0);
                let whose = if origin.by_member {
                    "its own"
                } else {
                    "not its own"
                };
                Some(format!(
                    "seed {}, {}, {whose}",
                    origin.seed, origin.client_seed
                ))
            }
            _other => None,
        }
    }

    fn open_call(&mut self, words: &Words<'_>) -> Option<String> {
        let request = call_request(words.plain[1], words.plain[2], words.plain[3]);
        let request = CallRequest {
            spend_limit: words.named("spend").map(spend_limit),
            cap: words.cap(),
            due: words.named("due").map(|due| Timestamp(id(due))),
            action: words.named("action").unwrap_or("act").into(),
            ..request
        };
        let (run, rejection) =
            match Draft::open(Arc::new(self.books.clone()), request.clone(), self.at()) {
                Ok(draft) => (Run::Open(Box::new(draft)), None),
                Err(rejection) => {
                    let refused = Run::Refused(Box::new(request), rejection.clone());
                    (refused, Some(rejection))
                }
            };
        self.calls.insert(words.plain[1].into(), run);
        rejection.map(|rejection| format!("not run, {rejection}"))
    }

    fn call_line(&mut self, call: &str, words: &Words<'_>) -> Option<String> {
        let ending = match words.plain[1] {
            "reply" => CallEnding::Replied {
                reply: serde_json::json!({}),
            },
            "decline" => CallEnding::Declined {
                code: "no".into(),
                message: "no".into(),
            },
            "stop" => match self.calls.get(call) {
                Some(Run::Open(draft)) => {
                    let transcript = draft.clone().close();
                    CallEnding::Stopped(transcript.ending_rejection().expect("it ends").clone())
                }
                Some(Run::Refused(..)) | None => panic!("no call `{call}` is under way"),
            },
            "break" => CallEnding::Broken {
                failure: "the machine was busy".into(),
                by_plugin: words.plain.get(2) == Some(&"plugin"),
            },
            "fault" => CallEnding::Faulted {
                fault: "trap".into(),
            },
            _request => return self.request(call, words.ask()),
        };
        let mut result = self.end(call, ending);
        // An earlier attempt has fixed the origin of the draws.
        result.origin = result.origin.or_else(|| self.origins.get(call).cloned());
        let verdict = self.act(&Act::Call(Box::new(result)));
        if verdict != Verdict::Stale {
            self.origins.remove(call);
        }
        Some(outcome(&verdict))
    }

    fn request(&mut self, call: &str, request: HostRequest) -> Option<String> {
        match self.calls.get_mut(call) {
            Some(Run::Open(draft)) => {
                if request.is_draw() && draft.awaits_origin() {
                    let fresh = || {
                        let origin = self
                            .books
                            .draw_origin(&draft.call().caller, self.next_nonce);
                        self.next_nonce += 1;
                        origin
                    };
                    let origin = match self.books.bound_origin(draft.call()) {
                        Some(bound) => bound,
                        None => self.origins.entry(call.into()).or_insert_with(fresh),
                    };
                    draft.draw_from(origin.clone());
                }
                response_text(&draft.answer(request))
            }
            Some(Run::Refused(..)) | None => panic!("no call `{call}` is under way"),
        }
    }
}

/// Returns the request of a call. Its name in the script is also its idempotency key.
pub(super) fn call_request(key: &str, plugin: &str, caller: &str) -> CallRequest {
    CallRequest {
        id: call_id(key),
        plugin: id(plugin),
        action: "act".into(),
        caller: id(caller),
        arguments: serde_json::json!({}),
        roles: Vec::new(),
        due: None,
        spend_limit: None,
        cap: None,
        key: key.into(),
        now: Timestamp(1_000),
    }
}

/// Returns the id of a call with this name.
pub(super) fn call_id(name: &str) -> CallId {
    let bytes = *Digest::of(name.as_bytes()).as_bytes();
    let (id, _) = bytes
        .split_first_chunk::<16>()
        .expect("a hash has 32 bytes");
    CallId(Uuid::from_bytes(*id))
}

/// Parses a line that sets something.
fn put(verb: &str, words: &Words<'_>) -> Option<Act> {
    Some(match verb {
        "asset" => Act::SetAsset {
            asset: id(words.plain[1]),
            patch: AssetPatch {
                kind: Some(match words.named("kind") {
                    Some("item") => AssetKind::Item,
                    _currency => AssetKind::Currency,
                }),
                name: Some(words.plain[1].into()),
                ..words.asset_patch()
            },
        },
        "quota" => Act::SetQuotas {
            patch: words.quota_patch(),
        },
        "patch" => Act::SetAsset {
            asset: id(words.plain[1]),
            patch: words.asset_patch(),
        },
        "account" => Act::SetAccount {
            account: id(words.plain[1]),
            patch: words.account_patch(),
            admission: words.admission().map(Box::new),
        },
        "plugin" => Act::SetPlugin {
            plugin: id(words.plain[1]),
            patch: Box::new(words.plugin_patch()),
        },
        "key" => Act::SetKey {
            key: id(words.plain[1]),
            patch: Box::new(words.key_patch()),
            secret_hash: Digest::of(b"secret"),
            mode: words.key_mode(),
        },
        "remove_plugin" => Act::RemovePlugin {
            plugin: id(words.plain[1]),
        },
        "roll_back" => Act::RollBackPlugin {
            plugin: id(words.plain[1]),
            what: words.roll_back(),
        },
        "skip_due" => Act::SkipDue {
            plugin: id(words.plain[1]),
            schedule: words.plain[2].into(),
        },
        "client_seed" => Act::SetClientSeed {
            account: id(words.plain[1]),
            client_seed: String::from(words.plain[2])
                .try_into()
                .expect("a client seed"),
        },
        "rotate" => Act::RotateSeed,
        "reveal" => Act::RevealSeeds {
            below: id(words.plain[1]),
        },
        "burn_nonces" => Act::BurnNonces {
            nonces: words.plain[1..].iter().map(|nonce| id(nonce)).collect(),
        },
        "economy" => Act::SetEconomy {
            status: words.economy_status(),
        },
        "webhook" => Act::SetWebhook(WebhookRequest {
            webhook: id(words.plain[1]),
            patch: words.webhook_patch(),
            secret: WebhookSecret::new([1; 32]),
            rotate: false,
        }),
        _other => return None,
    })
}

/// Parses a line that moves or reserves money.
fn money(verb: &str, words: &Words<'_>) -> Option<Act> {
    Some(match verb {
        "batch" => Act::Batch(words.batch()),
        "reverse" => Act::Reverse(Box::new(words.reversal())),
        "hold" => Act::PlaceHold(Box::new(words.hold())),
        "capture" => Act::CaptureHold(words.capture()),
        "release" => Act::ReleaseHold {
            hold: words.hold_id(),
            ended: words.ended(),
            authority: words.authority(),
        },
        "expire" => Act::ExpireHold {
            hold: words.hold_id(),
        },
        "issue" => Act::Issue(words.issue()),
        "burn" => Act::Burn(words.issue()),
        "transfer" => Act::Transfer(words.transfer(Authority::Bot)),
        "admin_transfer" => Act::Transfer(words.transfer(Authority::Admin)),
        _other => return None,
    })
}

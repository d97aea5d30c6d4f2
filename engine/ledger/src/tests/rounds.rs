//! Random histories of games: draws, scheduled runs, budgets, caps and classes of fuel, with two members
//! and two assets. Draws, spending and issues are counted here a second time, from the records alone.

mod watch;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use watch::{Watch, check_now, shop};

use super::counted::{Seen, check_histories};
use super::history::{ask, broken, declined, draw, faulted, replied, reuses_an_id};
use super::script::{World, call_request, id};
use crate::{
    AccountId, Act, Amount, AssetId, Books, CallEnding, CallRequest, CallResult, Digest, Draft,
    DrawOrigin, FuelClass, HostRequest, HostResponse, Limit, PluginName, Posting, Refusal,
    Rejection, SpendLimit, Timestamp, Transcript, TransferCap, Verdict, decide,
};

const SETUP: &str = "
    asset coin
    asset gem
    account user:1
    account user:2
    account user:3
    plugin shop component=a accounts=till grants=requested enabled=true \
        holds=stake/20/capture schedules=deal/30/catch_up,tidy/45/skip \
        requests=read/user:2,debit/user:2,debit/issuer:coin,credit/issuer:coin,spend/coin/30,\
spend/gem/4,daily/coin/36,daily/gem/5,issue/coin/25,state/600,fuel/large
    issue user:1 coin 400
    issue user:1 gem 60
    issue user:2 coin 400
    issue user:2 gem 60
    issue plugin:shop coin 400
    issue plugin:shop gem 60";

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Acts between two calls.
const LINES: [(u32, &str); 24] = [
    (6, "wait 1"),
    (6, "wait 31"),
    (1, "wait 86400"),
    (6, "rotate"),
    (3, "reveal 2"),
    (3, "reveal 3"),
    (3, "reveal 9"),
    (2, "burn_nonces 1 2 3"),
    (2, "burn_nonces 4 5 6 7"),
    (2, "client_seed user:1 luck"),
    (1, "client_seed user:2 chance"),
    (6, "plugin shop enabled=true grants=requested"),
    (
        2,
        "plugin shop grants=debit/issuer:coin,spend/coin/9,spend/gem/2,fuel/small",
    ),
    (
        2,
        "plugin shop grants=debit/user:2,daily/coin/15,daily/gem/2,fuel/standard",
    ),
    (
        2,
        "plugin shop grants=debit/issuer:coin,credit/issuer:coin,issue/coin/10,state/200",
    ),
    (1, "plugin shop enabled=false"),
    (1, "economy frozen"),
    (4, "economy open"),
    (2, "transfer user:1 -> user:2 coin 30"),
    (2, "transfer user:2 -> user:1 gem 3"),
    (1, "issue plugin:shop coin 50"),
    (4, "expire_due"),
    (1, "skip_due shop deal"),
    (1, "skip_due shop tidy"),
];

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    Line(&'static str),
    Round(Box<Round>),
}

/// A planned call. Its outcome depends on the books.
#[derive(Clone, Debug)]
struct Round {
    request: CallRequest,
    /// The schedule that starts it; none for a call of a member.
    schedule: Option<&'static str>,
    asks: Vec<HostRequest>,
    ending: CallEnding,
    source: Source,
    /// True if it ran on the books before the last change.
    late: bool,
}

/// The origin that the host passes for a call's draws.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// The next origin of the books.
    Honest,
    /// A later nonce, because other calls have the ones before it.
    Ahead(u64),
    /// Any nonce, which may be used already.
    Nonce(u64),
    /// Any server seed, which may be public, or not active yet.
    Seed(u64),
}

impl Round {
    fn origin(&self, request: &CallRequest, books: &Books) -> DrawOrigin {
        let caller = &request.caller;
        let fresh = books.draw_origin(caller, books.next_nonce());
        match self.source {
            Source::Honest => books.bound_origin(request).cloned().unwrap_or(fresh),
            Source::Ahead(by) => books.draw_origin(caller, books.next_nonce() + by),
            Source::Nonce(nonce) => books.draw_origin(caller, nonce),
            Source::Seed(seed) => DrawOrigin { seed, ..fresh },
        }
    }

    /// Returns the request. A scheduled run has its due time.
    fn request(&self, books: &Books) -> CallRequest {
        let Some(name) = self.schedule else {
            return self.request.clone();
        };
        let plugin: PluginName = id("shop");
        let due = books
            .schedule(&plugin, name)
            .map(|schedule| schedule.next_due);
        let due = due.unwrap_or(Timestamp(0));
        let key = format!("{name} {}", due.0);
        CallRequest {
            action: name.into(),
            due: Some(due),
            ..call_request(&key, "shop", "plugin:shop")
        }
    }

    /// Runs on a snapshot, as a host would.
    fn run(&self, books: &Books, at: Timestamp) -> CallResult {
        let request = self.request(books);
        let mut draft = match Draft::open(books, &request, at) {
            Ok(draft) => draft,
            Err(no) => return CallResult::not_run(request, Digest::ZERO, no),
        };
        let mut ending = self.ending.clone();
        for ask in &self.asks {
            if ask.is_draw() && draft.awaits_origin() {
                draft.draw_from(self.origin(&request, books));
            }
            if let HostResponse::Ends(rejection) = draft.answer(ask.clone()) {
                ending = CallEnding::Stopped(rejection);
                break;
            }
        }
        let drawn = draft.has_drawn();
        let component = draft.component();
        let ending = match ending {
            CallEnding::Declined { .. } if drawn => CallEnding::Faulted {
                fault: "it declined after a draw".into(),
            },
            CallEnding::Broken { .. } if !drawn => replied(),
            kept @ (CallEnding::Replied { .. }
            | CallEnding::Declined { .. }
            | CallEnding::Faulted { .. }
            | CallEnding::Stopped(_)
            | CallEnding::NotRun(_)
            | CallEnding::Broken { .. }) => kept,
        };
        CallResult {
            origin: draft.origin().cloned(),
            transcript: draft.close(),
            request,
            component,
            ending,
            fuel: 0,
        }
    }
}

fn asset() -> impl Strategy<Value = AssetId> + Clone {
    select(vec![id("coin"), id("coin"), id("gem")])
}

/// Generates a posting between existing accounts that is mostly covered.
fn posting() -> impl Strategy<Value = Posting> + Clone {
    let names = ["user:1", "user:2", "user:3", "plugin:shop", "issuer:coin"];
    between(&names, &names)
}

/// Returns a payment by a member.
fn payment() -> impl Strategy<Value = Posting> + Clone {
    between(&["user:1", "user:2"], &["plugin:shop", "user:3"])
}

fn between(from: &[&str], to: &[&str]) -> impl Strategy<Value = Posting> + Clone + use<> {
    let account = |names: &[&str]| {
        let names = names.iter().map(|name| id::<AccountId>(name));
        select(names.collect::<Vec<_>>())
    };
    let ends = (account(from), account(to));
    let ends = ends.prop_filter("a posting has two accounts", |(from, to)| from != to);
    (ends, asset(), 1..=20_u64).prop_map(|((source, destination), asset, amount)| {
        // The grants for gems are smaller.
        let amount = if asset == id("gem") {
            1 + amount / 6
        } else {
            amount
        };
        Posting {
            source,
            destination,
            asset,
            amount: Amount::new(amount).expect("an amount"),
        }
    })
}

fn asks() -> impl Strategy<Value = Vec<HostRequest>> + Clone {
    let secure = (asset(), 1..=9_u64).prop_map(|(asset, amount)| HostRequest::Secure {
        account: id("plugin:shop"),
        asset,
        amount: Amount::new(amount).expect("an amount"),
    });
    let one = prop_oneof![
        3 => payment().prop_map(HostRequest::Transfer),
        3 => posting().prop_map(HostRequest::Transfer),
        1 => payment().prop_map(|posting| HostRequest::PlaceHold { rule: "stake".into(), posting }),
        1 => posting().prop_map(|posting| HostRequest::PlaceHold { rule: "stake".into(), posting }),
        2 => secure,
        4 => (2..=6_u32).prop_map(draw),
        1 => "[a-c]{1,60}".prop_map(|value| HostRequest::Set { key: "k".into(), value: value.into() }),
        3 => ask(),
    ];
    vec(one, 1..7)
}

fn request() -> impl Strategy<Value = CallRequest> + Clone {
    let caps = || {
        let most = |text: &u64| Limit::new(*text).expect("a limit");
        (5..60_u64, 1..9_u64).prop_map(move |(coin, gem)| {
            SpendLimit::from([(id("coin"), most(&coin)), (id("gem"), most(&gem))])
        })
    };
    let key = select(["k0", "k1", "k2", "k3", "k4", "k5"].to_vec());
    let caller = select(["user:1", "user:1", "user:2"].to_vec());
    (
        key,
        caller,
        of(caps()),
        proptest::option::weighted(0.2, caps()),
    )
        .prop_map(|(key, caller, spend_limit, cap)| CallRequest {
            spend_limit,
            cap: cap.map(|cap| TransferCap::try_from(cap).expect("two assets")),
            ..call_request(key, "shop", caller)
        })
}

fn round() -> impl Strategy<Value = Step> + Clone {
    let ending = prop_oneof![
        8 => Just(replied()),
        1 => Just(declined()),
        1 => Just(faulted()),
        4 => Just(broken(false)),
    ];
    let source = prop_oneof![
        8 => Just(Source::Honest),
        2 => (1..4_u64).prop_map(Source::Ahead),
        1 => (1..9_u64).prop_map(Source::Nonce),
        1 => (1..6_u64).prop_map(Source::Seed),
    ];
    let schedule = select(vec![None, None, None, Some("deal"), Some("tidy")]);
    let late = proptest::bool::weighted(0.2);
    (request(), schedule, asks(), ending, source, late).prop_map(
        |(request, schedule, asks, ending, source, late)| {
            Step::Round(Box::new(Round {
                request,
                schedule,
                asks,
                ending,
                source,
                late,
            }))
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let lines = LINES.iter().flat_map(|(weight, line)| {
        std::iter::repeat_n(*line, usize::try_from(*weight).expect("a small weight"))
    });
    let line = select(lines.collect::<Vec<_>>()).prop_map(Step::Line);
    vec(prop_oneof![2 => line, 3 => round()], 1..40)
}

/// Plays a history and checks every record.
fn play(steps: &[Step], seen: &mut Seen) {
    let mut world = World::after(SETUP);
    let mut watch = Watch::default();
    let mut earlier = (world.books.clone(), world.at());
    for step in steps {
        let before = world.books.clone();
        let at = world.at();
        let (act, verdict) = match step {
            Step::Line("expire_due") => {
                let Some(hold) = before.holds_due(at).next() else {
                    continue;
                };
                let verdict = world.act(&Act::ExpireHold { hold });
                (None, verdict)
            }
            Step::Line(line) => {
                let records = world.decisions.len();
                world.run(line);
                for decision in &world.decisions[records..] {
                    watch.look(&before, decision, at, seen);
                }
                check_now(&world.books, &watch);
                if world.books != before {
                    earlier = (before, at);
                }
                continue;
            }
            Step::Round(round) => {
                let (books, when) = if round.late {
                    &earlier
                } else {
                    &(before.clone(), at)
                };
                let act = Act::Call(Box::new(round.run(books, *when)));
                if reuses_an_id(&before, &act) {
                    continue;
                }
                let verdict = world.act(&act);
                assert_eq!(verdict, decide(Some(&before), at, &act));
                (Some(act), verdict)
            }
        };
        if let Some(decision) = verdict.decision() {
            watch.look(&before, decision, at, seen);
        }
        if let Some(Act::Call(result)) = &act {
            look_at_call(&before, result, &verdict, &mut watch, at, seen);
        }
        check_now(&world.books, &watch);
        if world.books != before {
            earlier = (before, at);
        }
    }
}

fn look_at_call(
    before: &Books,
    result: &CallResult,
    verdict: &Verdict,
    watch: &mut Watch,
    at: Timestamp,
    seen: &mut Seen,
) {
    let refused = |fact: &crate::Exchange| {
        matches!(
            &fact.response,
            HostResponse::Refused(Refusal::OverLimit { .. })
        )
    };
    if result.transcript.exchanges().iter().any(refused) {
        seen.count("refused beyond a cap");
    }
    match verdict {
        Verdict::Applied(decision) => {
            seen.count("calls applied");
            if result.transcript.draws() > 0 {
                seen.count("games applied");
            }
            if result.request.due.is_some() {
                seen.count("due runs applied");
            }
            let fuel = shop(before).map(|shop| shop.installation.grants.fuel);
            seen.count(match fuel.expect("it ran") {
                FuelClass::Small => "calls with small fuel",
                FuelClass::Standard => "calls with standard fuel",
                FuelClass::Large => "calls with large fuel",
            });
            watch.look_at_money(before, &result.request, decision, at, seen);
        }
        Verdict::Rejected(Rejection::BudgetExceeded { .. })
        | Verdict::RejectedWith(Rejection::BudgetExceeded { .. }, _) => {
            seen.count("refused beyond a budget");
        }
        Verdict::Broken(_) => seen.count("calls aborted"),
        Verdict::Faulted(_) => seen.count("calls faulted"),
        Verdict::Stale if result.transcript != Transcript::default() => {
            seen.count("calls gone stale");
            if result.origin.as_ref().is_some_and(|origin| {
                let used = watch.nonces.contains_key(&origin.nonce);
                used || origin.seed < before.first_hidden_seed()
            }) {
                seen.count("draws from what is used up or public");
            }
        }
        Verdict::Stale
        | Verdict::Unchanged
        | Verdict::Declined(_)
        | Verdict::Rejected(_)
        | Verdict::RejectedWith(..)
        | Verdict::NoEconomy => {}
    }
}

/// Draws come from hidden seeds and from separate nonces, amounts and state stay within the grants, and a due
/// time has one run. Each of these cases occurs in the histories.
#[test]
fn any_history_of_games_keeps_draws_and_budgets() {
    check_histories(file!(), &steps(), |steps, seen| play(steps, seen), &LEAST);
}

/// The minimum number of occurrences in a hundred histories.
const LEAST: [(&str, u64); 21] = [
    ("calls applied", 100),
    ("games applied", 50),
    ("due runs applied", 10),
    ("draws recorded", 50),
    ("draws made again under their key", 2),
    ("draws from what is used up or public", 5),
    ("broken calls whose seed became public", 2),
    ("nonces burned", 5),
    ("rotations", 50),
    ("seeds revealed", 20),
    ("calls aborted", 20),
    ("calls faulted", 5),
    ("calls gone stale", 20),
    ("coins spent within a budget", 40),
    ("gems spent within a budget", 10),
    ("issued within a budget", 10),
    ("refused beyond a budget", 5),
    ("refused beyond a cap", 10),
    ("calls with small fuel", 3),
    ("calls with standard fuel", 3),
    ("calls with large fuel", 30),
];

//! A component that tries to do harm: one trick an action. The host must stop each of them.
//!
//! A trick ends in one of three ways. The host refuses it, and the reply tells what it said; or it
//! is a fault, since no plugin may do that; or the host runs out of patience, of fuel or of memory.
//! In none of them does any money move. `honest`, `spend`, `ponder`, `play` and `tick` are the
//! exceptions: they are what any plugin may do, for limits, for conflicts, for what is due, and for
//! odds that are stated better than they are.
#![allow(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "every action has the one shape, also where it needs less"
)]

use std::hint::black_box;

use bursar_plugin::bindings::bursar::plugin as imports;
use bursar_plugin::prelude::*;
use bursar_plugin::serde_json::json;
use bursar_plugin::{Finding, Need, Odds};

const OWN: Account = Account::new("plugin:malicious");

/// How to misbehave when the configuration is checked.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    check: Option<Trick>,
}

/// A way to misbehave in the check of a configuration.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Trick {
    FindMuch,
    FindLongWords,
    FindControlCharacters,
    FindNowhere,
    NeedMuch,
    NeedOfNoAccount,
    NeedOfAnIssuer,
    NeedOfNothing,
    NeedOfUnknownAccount,
    AskForName,
    AskForAccount,
    ReadBalance,
    WriteState,
    Draw,
    WriteLog,
    Spin,
    Eat,
    Recurse,
    GiveUp,
}

/// Whose money, and how much of it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Loot {
    from: Account,
    asset: Asset,
    amount: Amount,
}

/// An amount of the caller's.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Stake {
    asset: Asset,
    amount: Amount,
}

/// An amount of the caller's, and how long to think about it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Thought {
    asset: Asset,
    amount: Amount,
    turns: u64,
}

/// Expensive work that ends within the budget of a call.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Toil {
    kind: ToilKind,
    turns: u32,
}

/// The kind of instruction that the work repeats.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ToilKind {
    Count,
    GrowByNothing,
    Fill,
    Log,
}

/// Whether to be slow.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Pace {
    slow: bool,
}

/// A stake that is held.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Game {
    hold: HoldId,
}

/// A balance to look at.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Peek {
    account: Account,
    asset: Asset,
}

/// How a trick went.
#[derive(Serialize, JsonSchema)]
struct Told {
    told: String,
}

bursar_plugin::plugin! {
    id: "malicious",
    description: "Tries to do harm.",
    license: "Apache-2.0 OR MIT",
    accounts: [],
    config: Config,
    check: check,
    actions: {
        honest: "Does nothing." => fn(NoArguments) -> Told,
        steal: "Moves another member's money, and says what it was told." => fn(Loot) -> Told,
        steal_anyway: "Moves another member's money, or panics." => fn(Loot) -> Told,
        spend: "Takes money of the caller's." => fn(Stake) -> Told,
        ponder: "Takes money of the caller's after long thought about all of it, and draws."
            => fn(Thought) -> Told,
        play: "Bets at even odds, and takes a loss as it is." => fn(Stake) -> Told,
        forge: "Issues money to itself." => fn(Stake) -> Told,
        peek: "Reads another member's balance." => fn(Peek) -> Told,
        toil: "Works hard, and replies within its budget." => fn(Toil) -> Told,
        spin: "Loops for ever." => fn(NoArguments) -> Told,
        eat: "Eats memory." => fn(NoArguments) -> Told,
        recurse: "Calls itself for ever." => fn(NoArguments) -> Told,
        flood_log: "Writes more than anybody reads." => fn(NoArguments) -> Told,
        flood_reads: "Reads more than it may." => fn(NoArguments) -> Told,
        flood_transfers: "Asks for more transfers than it may." => fn(Stake) -> Told,
        huge_reply: "Replies with a megabyte." => fn(NoArguments) -> Told,
        decline_after_draw: "Draws, and will not have it." => fn(NoArguments) -> Told,
        debit_after_draw: "Draws, and then takes the caller's money." => fn(Stake) -> Told,
        pay_unsecured: "Draws, and pays what it did not secure." => fn(Stake) -> Told,
        trap_after_draw: "Draws, and breaks off." => fn(Stake) -> Told,
        write_and_trap: "Writes state, takes money, and breaks off." => fn(Stake) -> Told,
        trap_if_lost: "Bets, and breaks off if it has lost." => fn(Stake) -> Told,
        decline_if_lost: "Bets, and will not have it if it has lost." => fn(Stake) -> Told,
        spin_if_lost: "Bets, and loops for ever if it has lost." => fn(Stake) -> Told,
        recurse_if_lost: "Bets, and calls itself for ever if it has lost." => fn(Stake) -> Told,
        slowly: "Draws, and takes its time if it was told to." => fn(NoArguments) -> Told,
        take_time: "Tells `slowly` whether to take its time." => fn(Pace) -> Told,
        stake: "Holds a stake of the caller's." => fn(Stake) -> Told,
        draw_for: "Draws for a stake, and breaks off." => fn(Game) -> Told,
        hoard_for: "Draws for a stake, and writes down what there may be no room for." => fn(Game) -> Told,
    },
    holds: {
        stake: 3600 s then capture,
    },
    schedules: {
        tick: "Counts its runs." every 86_400 s from 0 s missed catch_up => fn() -> Told,
    },
    odds: odds(),
}

/// What `play` returns, said three times: as it is, better and worse.
fn odds() -> Vec<Odds> {
    let said = |description, returns_ppm| Odds {
        action: "play",
        description,
        arguments: json!({"asset": "coin", "amount": 10}),
        config: json!({}),
        stake: bursar_plugin::Stake {
            asset: "coin",
            amount: 10,
        },
        returns_ppm,
        follow: None,
    };
    vec![
        said("as it is", 1_000_000),
        said("better than it is", 1_200_000),
        said("worse than it is", 800_000),
    ]
}

fn told(what: impl std::fmt::Debug) -> Result<Told, Decline> {
    Ok(Told {
        told: format!("{what:?}"),
    })
}

/// Reports past what the SDK would keep, and asks for what a check may not.
fn check(config: &Config, report: &mut ConfigReport) {
    let finding = |pointer: &str, message: &str| Finding {
        pointer: pointer.into(),
        message: message.into(),
    };
    let need = |account: &str, at_least: u64| Need {
        account: account.into(),
        asset: "coin".into(),
        at_least,
    };
    let Some(trick) = &config.check else {
        return;
    };
    match trick {
        Trick::FindMuch => report.findings = vec![finding("", "wrong"); 65],
        Trick::FindLongWords => report.findings.push(finding("", &"x".repeat(513))),
        Trick::FindControlCharacters => {
            report.findings.push(finding("/\u{1b}[2J", "\u{202e}\u{7}"));
        }
        Trick::FindNowhere => report.findings.push(finding("check", "wrong")),
        Trick::NeedMuch => report.needs = vec![need("user:1", 1); 65],
        Trick::NeedOfNoAccount => report.needs.push(need("\u{1b}[2J", 1)),
        Trick::NeedOfAnIssuer => report.needs.push(need("issuer:coin", 1)),
        Trick::NeedOfNothing => report.needs.push(need("user:1", 0)),
        Trick::NeedOfUnknownAccount => report.needs.push(need("user:nobody", 1)),
        Trick::AskForName => drop(black_box(imports::call::name())),
        Trick::AskForAccount => drop(black_box(imports::call::own_account(Some("till")))),
        Trick::ReadBalance => drop(black_box(imports::ledger::balance("user:1", "coin"))),
        Trick::WriteState => imports::state::set("seen", "true"),
        Trick::Draw => drop(black_box(imports::fair::bytes(1, "coin"))),
        Trick::WriteLog => imports::log::write(Level::Error, "seen"),
        Trick::Spin => turn_for_ever(),
        Trick::Eat => eat_for_ever(),
        Trick::Recurse => drop(black_box(deeper(0).to_string())),
        Trick::GiveUp => panic!("given up"),
    }
}

fn honest(_: &Call<Config>, _: NoArguments) -> Result<Told, Decline> {
    told("nothing done")
}

fn steal(call: &Call<Config>, loot: Loot) -> Result<Told, Decline> {
    told(call.transfer(&loot.from, &OWN, &loot.asset, loot.amount))
}

fn steal_anyway(call: &Call<Config>, loot: Loot) -> Result<Told, Decline> {
    let taken = call.transfer(&loot.from, &OWN, &loot.asset, loot.amount);
    taken.expect("the money is mine");
    told("taken")
}

fn spend(call: &Call<Config>, stake: Stake) -> Result<Told, Decline> {
    call.transfer(&call.caller(), &OWN, &stake.asset, stake.amount)?;
    told("taken")
}

fn ponder(call: &Call<Config>, thought: Thought) -> Result<Told, Decline> {
    let Thought {
        asset,
        amount,
        turns,
    } = thought;
    let all = call.balance(&call.caller(), &asset)?;
    for turn in 0..turns {
        black_box(turn);
    }
    call.transfer(&call.caller(), &OWN, &asset, amount)?;
    let drawn = call.below(1_000_000, "number");
    told((all.spendable, drawn))
}

fn play(call: &Call<Config>, stake: Stake) -> Result<Told, Decline> {
    bet(call, stake, || told("lost"))
}

fn forge(call: &Call<Config>, stake: Stake) -> Result<Told, Decline> {
    let issuer: Account = format!("issuer:{}", stake.asset).parse()?;
    told(call.transfer(&issuer, &OWN, &stake.asset, stake.amount))
}

fn peek(call: &Call<Config>, peek: Peek) -> Result<Told, Decline> {
    told(call.balance(&peek.account, &peek.asset))
}

fn spin(_: &Call<Config>, _: NoArguments) -> Result<Told, Decline> {
    turn_for_ever()
}

fn turn_for_ever() -> ! {
    let mut turns: u64 = 0;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Repeats one kind of expensive instruction and then replies like an honest plugin, so that nothing but
/// the time it takes speaks against it.
fn toil(call: &Call<Config>, toil: Toil) -> Result<Told, Decline> {
    let mut block = vec![0_u8; 1 << 16];
    for turn in 0..toil.turns {
        match toil.kind {
            ToilKind::Count => {
                black_box(turn);
            }
            ToilKind::GrowByNothing => grow_by_nothing(),
            ToilKind::Fill => black_box(&mut block).fill(1),
            ToilKind::Log => call.log(Level::Error, ""),
        }
    }
    told("done")
}

#[cfg(target_arch = "wasm32")]
fn grow_by_nothing() {
    black_box(core::arch::wasm32::memory_grow(0, 0));
}

/// Outside WebAssembly there is no memory to grow.
#[cfg(not(target_arch = "wasm32"))]
fn grow_by_nothing() {}

fn eat(_: &Call<Config>, _: NoArguments) -> Result<Told, Decline> {
    eat_for_ever()
}

fn eat_for_ever() -> ! {
    let mut eaten: Vec<Vec<u8>> = Vec::new();
    loop {
        eaten.push(black_box(vec![1; 1 << 20]));
    }
}

fn deeper(depth: u64) -> u64 {
    if black_box(depth) == u64::MAX {
        depth
    } else {
        deeper(black_box(depth + 1)) + 1
    }
}

fn recurse(_: &Call<Config>, _: NoArguments) -> Result<Told, Decline> {
    told(deeper(0))
}

fn flood_log(call: &Call<Config>, _: NoArguments) -> Result<Told, Decline> {
    let line = "\u{1b}[31m".repeat(1 << 12);
    loop {
        call.log(Level::Error, &line);
    }
}

fn flood_reads(call: &Call<Config>, _: NoArguments) -> Result<Told, Decline> {
    loop {
        black_box(call.keys("", None));
    }
}

fn flood_transfers(call: &Call<Config>, stake: Stake) -> Result<Told, Decline> {
    loop {
        call.transfer(&call.caller(), &OWN, &stake.asset, stake.amount)?;
    }
}

fn huge_reply(_: &Call<Config>, _: NoArguments) -> Result<Told, Decline> {
    // Not by way of `told`: formatting it would use up the fuel before the reply is there.
    Ok(Told {
        told: "x".repeat(1 << 20),
    })
}

fn decline_after_draw(call: &Call<Config>, _: NoArguments) -> Result<Told, Decline> {
    call.below(2, "coin");
    Err(Decline::new("lost", "I will not have it."))
}

fn debit_after_draw(call: &Call<Config>, stake: Stake) -> Result<Told, Decline> {
    call.below(2, "coin");
    told(call.transfer(&call.caller(), &OWN, &stake.asset, stake.amount))
}

fn pay_unsecured(call: &Call<Config>, stake: Stake) -> Result<Told, Decline> {
    call.below(2, "coin");
    told(call.transfer(&OWN, &call.caller(), &stake.asset, stake.amount))
}

fn trap_after_draw(call: &Call<Config>, stake: Stake) -> Result<Told, Decline> {
    call.transfer(&call.caller(), &OWN, &stake.asset, stake.amount)?;
    let drawn = call.below(2, "coin");
    panic!("drew {drawn}");
}

fn write_and_trap(call: &Call<Config>, stake: Stake) -> Result<Told, Decline> {
    call.set("seen", &true);
    call.transfer(&call.caller(), &OWN, &stake.asset, stake.amount)?;
    panic!("and away");
}

/// Bets at even odds, and pays a win. What becomes of a loss is another matter.
fn bet(
    call: &Call<Config>,
    stake: Stake,
    lost: fn() -> Result<Told, Decline>,
) -> Result<Told, Decline> {
    let payout = stake.amount.checked_mul(2)?;
    call.transfer(&call.caller(), &OWN, &stake.asset, stake.amount)?;
    call.secure(&OWN, &stake.asset, payout)?;
    if call.below(2, "coin") == 0 {
        return lost();
    }
    call.transfer(&OWN, &call.caller(), &stake.asset, payout)?;
    told("won")
}

fn trap_if_lost(call: &Call<Config>, stake: Stake) -> Result<Told, Decline> {
    bet(call, stake, || panic!("no loss"))
}

fn decline_if_lost(call: &Call<Config>, stake: Stake) -> Result<Told, Decline> {
    bet(call, stake, || {
        Err(Decline::new("lost", "I will not have it."))
    })
}

fn spin_if_lost(call: &Call<Config>, stake: Stake) -> Result<Told, Decline> {
    bet(call, stake, || turn_for_ever())
}

fn recurse_if_lost(call: &Call<Config>, stake: Stake) -> Result<Told, Decline> {
    bet(call, stake, || told(deeper(0)))
}

fn slowly(call: &Call<Config>, _: NoArguments) -> Result<Told, Decline> {
    let slow = call.get::<bool>("slow")?.unwrap_or(false);
    let drawn = call.below(1_000_000, "number");
    if slow {
        turn_for_ever();
    }
    told(drawn)
}

fn take_time(call: &Call<Config>, pace: Pace) -> Result<Told, Decline> {
    call.set("slow", &pace.slow);
    told(pace.slow)
}

fn stake(call: &Call<Config>, stake: Stake) -> Result<Told, Decline> {
    let own = call.own_account();
    let hold = call.place_hold("stake", &call.caller(), &own, &stake.asset, stake.amount)?;
    Ok(Told {
        told: hold.as_str().into(),
    })
}

fn draw_for(call: &Call<Config>, game: Game) -> Result<Told, Decline> {
    call.secure_hold(&game.hold)?;
    let drawn = call.below(2, "coin");
    panic!("drew {drawn}");
}

fn hoard_for(call: &Call<Config>, game: Game) -> Result<Told, Decline> {
    call.secure_hold(&game.hold)?;
    let drawn = call.below(2, "coin");
    call.set("hoard", &drawn);
    told(drawn)
}

fn tick(call: &Call<Config>, _: u64) -> Result<Told, Decline> {
    let ticks = call.get::<u64>("ticks")?.unwrap_or(0) + 1;
    call.set("ticks", &ticks);
    told(ticks.to_string())
}

//! A malicious plugin: each action tries one way to do harm, and the host must stop it.
//!
//! An action ends in one of three ways. The host refuses the request, and the reply has the refusal. Or the call
//! ends as a fault, since no plugin may do this. Or the call exceeds its time, its fuel or its memory. No money
//! moves in any of these cases.
//!
//! `honest`, `spend`, `ponder`, `play` and `tick` do what any plugin may do. Tests use them for limits, for
//! conflicts, for schedules and for wrongly stated odds.
#![allow(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "every action has this signature"
)]

use std::hint::black_box;

use bursar_plugin::bindings::bursar::plugin as imports;
use bursar_plugin::prelude::*;
use bursar_plugin::serde_json::json;
use bursar_plugin::{Finding, Need, Odds};

/// The plugin's own account.
const OWN: Account = Account::new("plugin:malicious");

/// The configuration: the trick of the check, if any.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    check: Option<CheckTrick>,
}

/// A trick in the check of a configuration.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum CheckTrick {
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

/// The arguments of thefts: the victim and the amount.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StealArguments {
    from: Account,
    asset: Asset,
    amount: Amount,
}

/// The arguments with an amount of the caller.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AmountArguments {
    asset: Asset,
    amount: Amount,
}

/// The arguments of `ponder`: an amount of the caller and the number of turns to compute.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PonderArguments {
    asset: Asset,
    amount: Amount,
    turns: u64,
}

/// The arguments of `toil`: expensive work within the budget of a call.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ToilArguments {
    kind: ToilWork,
    turns: u32,
}

/// The instruction that the work repeats.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ToilWork {
    Count,
    GrowByNothing,
    Fill,
    Log,
}

/// The arguments of `take_time`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PaceArguments {
    slow: bool,
}

/// The arguments with the hold of a stake.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct HoldArguments {
    hold: HoldId,
}

/// The arguments of `peek`: the balance to read.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PeekArguments {
    account: Account,
    asset: Asset,
}

/// The reply to a trick.
#[derive(Serialize, JsonSchema)]
struct TrickReply {
    /// The result that the host has returned, as debug text.
    #[serde(rename = "text")]
    result: String,
}

bursar_plugin::plugin! {
    id: "malicious",
    description: "Tries to do harm.",
    license: "Apache-2.0 OR MIT",
    accounts: [],
    config: Config,
    check: check,
    actions: {
        honest: "Does nothing." => fn(NoArguments) -> TrickReply,
        steal: "Moves another member's money and replies with the result." => fn(StealArguments) -> TrickReply,
        steal_anyway: "Moves another member's money, or panics." => fn(StealArguments) -> TrickReply,
        spend: "Takes money of the caller." => fn(AmountArguments) -> TrickReply,
        ponder: "Reads the caller's balance, computes for long, takes money and draws."
            => fn(PonderArguments) -> TrickReply,
        play: "Bets at even odds, and accepts a loss." => fn(AmountArguments) -> TrickReply,
        forge: "Issues money to itself." => fn(AmountArguments) -> TrickReply,
        peek: "Reads another member's balance." => fn(PeekArguments) -> TrickReply,
        toil: "Does expensive work, and replies within its budget." => fn(ToilArguments) -> TrickReply,
        spin: "Loops forever." => fn(NoArguments) -> TrickReply,
        eat: "Allocates memory forever." => fn(NoArguments) -> TrickReply,
        recurse: "Recurses forever." => fn(NoArguments) -> TrickReply,
        flood_log: "Writes log lines forever." => fn(NoArguments) -> TrickReply,
        flood_reads: "Exceeds the limit of reads." => fn(NoArguments) -> TrickReply,
        flood_transfers: "Exceeds the limit of transfers." => fn(AmountArguments) -> TrickReply,
        huge_reply: "Replies with a megabyte." => fn(NoArguments) -> TrickReply,
        decline_after_draw: "Draws, and then declines." => fn(NoArguments) -> TrickReply,
        debit_after_draw: "Draws, and then debits the caller." => fn(AmountArguments) -> TrickReply,
        pay_unsecured: "Draws, and pays an amount that is not secured." => fn(AmountArguments) -> TrickReply,
        trap_after_draw: "Draws, and panics." => fn(AmountArguments) -> TrickReply,
        write_and_trap: "Writes state, takes money, and panics." => fn(AmountArguments) -> TrickReply,
        trap_if_lost: "Bets, and panics if it has lost." => fn(AmountArguments) -> TrickReply,
        decline_if_lost: "Bets, and declines if it has lost." => fn(AmountArguments) -> TrickReply,
        spin_if_lost: "Bets, and loops forever if it has lost." => fn(AmountArguments) -> TrickReply,
        recurse_if_lost: "Bets, and recurses forever if it has lost." => fn(AmountArguments) -> TrickReply,
        slowly: "Draws, and loops forever if `take_time` has set it." => fn(NoArguments) -> TrickReply,
        take_time: "Sets whether `slowly` loops forever." => fn(PaceArguments) -> TrickReply,
        stake: "Holds a stake of the caller." => fn(AmountArguments) -> TrickReply,
        draw_for: "Draws for a stake, and panics." => fn(HoldArguments) -> TrickReply,
        hoard_for: "Draws for a stake, and writes state that may not fit." => fn(HoldArguments) -> TrickReply,
    },
    holds: {
        stake: 3600 s then capture,
    },
    schedules: {
        tick: "Counts its runs." every 86_400 s from 0 s missed catch_up => fn() -> TrickReply,
    },
    odds: odds(),
}

/// Returns three statements of the odds of `play`: the true one, a higher one and a lower one.
fn odds() -> Vec<Odds> {
    let statement = |description, returns_ppm| Odds {
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
        statement("as it is", 1_000_000),
        statement("better than it is", 1_200_000),
        statement("worse than it is", 800_000),
    ]
}

/// Replies with the debug text of a result.
fn reply(result: impl std::fmt::Debug) -> Result<TrickReply, Decline> {
    Ok(TrickReply {
        result: format!("{result:?}"),
    })
}

/// Plays the configured trick: reports beyond the limits of the SDK, or calls the host, which a check may not.
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
        CheckTrick::FindMuch => report.findings = vec![finding("", "wrong"); 65],
        CheckTrick::FindLongWords => report.findings.push(finding("", &"x".repeat(513))),
        CheckTrick::FindControlCharacters => {
            report.findings.push(finding("/\u{1b}[2J", "\u{202e}\u{7}"));
        }
        CheckTrick::FindNowhere => report.findings.push(finding("check", "wrong")),
        CheckTrick::NeedMuch => report.needs = vec![need("user:1", 1); 65],
        CheckTrick::NeedOfNoAccount => report.needs.push(need("\u{1b}[2J", 1)),
        CheckTrick::NeedOfAnIssuer => report.needs.push(need("issuer:coin", 1)),
        CheckTrick::NeedOfNothing => report.needs.push(need("user:1", 0)),
        CheckTrick::NeedOfUnknownAccount => report.needs.push(need("user:absent", 1)),
        CheckTrick::AskForName => drop(black_box(imports::call::name())),
        CheckTrick::AskForAccount => drop(black_box(imports::call::own_account(Some("till")))),
        CheckTrick::ReadBalance => drop(black_box(imports::ledger::balance("user:1", "coin"))),
        CheckTrick::WriteState => imports::state::set("seen", "true"),
        CheckTrick::Draw => drop(black_box(imports::fair::bytes(1, "coin"))),
        CheckTrick::WriteLog => imports::log::write(Level::Error, "seen"),
        CheckTrick::Spin => loop_forever(),
        CheckTrick::Eat => allocate_forever(),
        CheckTrick::Recurse => drop(black_box(recurse_forever(0).to_string())),
        CheckTrick::GiveUp => panic!("given up"),
    }
}

fn honest(_: &Call<Config>, _: NoArguments) -> Result<TrickReply, Decline> {
    reply("nothing done")
}

fn steal(call: &Call<Config>, theft: StealArguments) -> Result<TrickReply, Decline> {
    reply(call.transfer(&theft.from, &OWN, &theft.asset, theft.amount))
}

fn steal_anyway(call: &Call<Config>, theft: StealArguments) -> Result<TrickReply, Decline> {
    let result = call.transfer(&theft.from, &OWN, &theft.asset, theft.amount);
    result.expect("the theft succeeds");
    reply("taken")
}

fn spend(call: &Call<Config>, stake: AmountArguments) -> Result<TrickReply, Decline> {
    call.transfer(&call.caller(), &OWN, &stake.asset, stake.amount)?;
    reply("taken")
}

fn ponder(call: &Call<Config>, thought: PonderArguments) -> Result<TrickReply, Decline> {
    let PonderArguments {
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
    reply((all.spendable, drawn))
}

fn play(call: &Call<Config>, stake: AmountArguments) -> Result<TrickReply, Decline> {
    bet(call, stake, || reply("lost"))
}

fn forge(call: &Call<Config>, stake: AmountArguments) -> Result<TrickReply, Decline> {
    let issuer: Account = format!("issuer:{}", stake.asset).parse()?;
    reply(call.transfer(&issuer, &OWN, &stake.asset, stake.amount))
}

fn peek(call: &Call<Config>, peek: PeekArguments) -> Result<TrickReply, Decline> {
    reply(call.balance(&peek.account, &peek.asset))
}

fn spin(_: &Call<Config>, _: NoArguments) -> Result<TrickReply, Decline> {
    loop_forever()
}

fn loop_forever() -> ! {
    let mut turns: u64 = 0;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Repeats one expensive instruction and then replies like an honest plugin, so that only its duration is
/// suspicious.
fn toil(call: &Call<Config>, toil: ToilArguments) -> Result<TrickReply, Decline> {
    let mut block = vec![0_u8; 1 << 16];
    for turn in 0..toil.turns {
        match toil.kind {
            ToilWork::Count => {
                black_box(turn);
            }
            ToilWork::GrowByNothing => grow_by_nothing(),
            ToilWork::Fill => black_box(&mut block).fill(1),
            ToilWork::Log => call.log(Level::Error, ""),
        }
    }
    reply("done")
}

#[cfg(target_arch = "wasm32")]
fn grow_by_nothing() {
    black_box(core::arch::wasm32::memory_grow(0, 0));
}

/// Does nothing: outside WebAssembly there is no memory to grow.
#[cfg(not(target_arch = "wasm32"))]
fn grow_by_nothing() {}

fn eat(_: &Call<Config>, _: NoArguments) -> Result<TrickReply, Decline> {
    allocate_forever()
}

fn allocate_forever() -> ! {
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    loop {
        blocks.push(black_box(vec![1; 1 << 20]));
    }
}

fn recurse_forever(depth: u64) -> u64 {
    if black_box(depth) == u64::MAX {
        depth
    } else {
        recurse_forever(black_box(depth + 1)) + 1
    }
}

fn recurse(_: &Call<Config>, _: NoArguments) -> Result<TrickReply, Decline> {
    reply(recurse_forever(0))
}

fn flood_log(call: &Call<Config>, _: NoArguments) -> Result<TrickReply, Decline> {
    let line = "\u{1b}[31m".repeat(1 << 12);
    loop {
        call.log(Level::Error, &line);
    }
}

fn flood_reads(call: &Call<Config>, _: NoArguments) -> Result<TrickReply, Decline> {
    loop {
        black_box(call.keys("", None));
    }
}

fn flood_transfers(call: &Call<Config>, stake: AmountArguments) -> Result<TrickReply, Decline> {
    loop {
        call.transfer(&call.caller(), &OWN, &stake.asset, stake.amount)?;
    }
}

fn huge_reply(_: &Call<Config>, _: NoArguments) -> Result<TrickReply, Decline> {
    // `reply` would use up the fuel while it formats the text.
    Ok(TrickReply {
        result: "x".repeat(1 << 20),
    })
}

fn decline_after_draw(call: &Call<Config>, _: NoArguments) -> Result<TrickReply, Decline> {
    call.below(2, "coin");
    Err(Decline::new("lost", "The draw is rejected."))
}

fn debit_after_draw(call: &Call<Config>, stake: AmountArguments) -> Result<TrickReply, Decline> {
    call.below(2, "coin");
    reply(call.transfer(&call.caller(), &OWN, &stake.asset, stake.amount))
}

fn pay_unsecured(call: &Call<Config>, stake: AmountArguments) -> Result<TrickReply, Decline> {
    call.below(2, "coin");
    reply(call.transfer(&OWN, &call.caller(), &stake.asset, stake.amount))
}

fn trap_after_draw(call: &Call<Config>, stake: AmountArguments) -> Result<TrickReply, Decline> {
    call.transfer(&call.caller(), &OWN, &stake.asset, stake.amount)?;
    let drawn = call.below(2, "coin");
    panic!("drew {drawn}");
}

fn write_and_trap(call: &Call<Config>, stake: AmountArguments) -> Result<TrickReply, Decline> {
    call.set("seen", &true);
    call.transfer(&call.caller(), &OWN, &stake.asset, stake.amount)?;
    panic!("after the transfer");
}

/// Bets at even odds and pays a win. `lost` handles a loss.
fn bet(
    call: &Call<Config>,
    stake: AmountArguments,
    lost: fn() -> Result<TrickReply, Decline>,
) -> Result<TrickReply, Decline> {
    let payout = stake.amount.checked_mul(2)?;
    call.transfer(&call.caller(), &OWN, &stake.asset, stake.amount)?;
    call.secure(&OWN, &stake.asset, payout)?;
    if call.below(2, "coin") == 0 {
        return lost();
    }
    call.transfer(&OWN, &call.caller(), &stake.asset, payout)?;
    reply("won")
}

fn trap_if_lost(call: &Call<Config>, stake: AmountArguments) -> Result<TrickReply, Decline> {
    bet(call, stake, || panic!("no loss"))
}

fn decline_if_lost(call: &Call<Config>, stake: AmountArguments) -> Result<TrickReply, Decline> {
    bet(call, stake, || {
        Err(Decline::new("lost", "The draw is rejected."))
    })
}

fn spin_if_lost(call: &Call<Config>, stake: AmountArguments) -> Result<TrickReply, Decline> {
    bet(call, stake, || loop_forever())
}

fn recurse_if_lost(call: &Call<Config>, stake: AmountArguments) -> Result<TrickReply, Decline> {
    bet(call, stake, || reply(recurse_forever(0)))
}

fn slowly(call: &Call<Config>, _: NoArguments) -> Result<TrickReply, Decline> {
    let slow = call.get::<bool>("slow")?.unwrap_or(false);
    let drawn = call.below(1_000_000, "number");
    if slow {
        loop_forever();
    }
    reply(drawn)
}

fn take_time(call: &Call<Config>, pace: PaceArguments) -> Result<TrickReply, Decline> {
    call.set("slow", &pace.slow);
    reply(pace.slow)
}

fn stake(call: &Call<Config>, stake: AmountArguments) -> Result<TrickReply, Decline> {
    let own = call.own_account();
    let hold = call.place_hold("stake", &call.caller(), &own, &stake.asset, stake.amount)?;
    Ok(TrickReply {
        result: hold.as_str().into(),
    })
}

fn draw_for(call: &Call<Config>, game: HoldArguments) -> Result<TrickReply, Decline> {
    call.secure_hold(&game.hold)?;
    let drawn = call.below(2, "coin");
    panic!("drew {drawn}");
}

fn hoard_for(call: &Call<Config>, game: HoldArguments) -> Result<TrickReply, Decline> {
    call.secure_hold(&game.hold)?;
    let drawn = call.below(2, "coin");
    call.set("hoard", &drawn);
    reply(drawn)
}

fn tick(call: &Call<Config>, _: u64) -> Result<TrickReply, Decline> {
    let ticks = call.get::<u64>("ticks")?.unwrap_or(0) + 1;
    call.set("ticks", &ticks);
    reply(ticks.to_string())
}

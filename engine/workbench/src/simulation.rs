//! The simulation of games: many rounds, the average return, and the largest losses.

use std::sync::{Mutex, PoisonError};
use std::thread;

use bursar_host::{LoadedPlugin, Odds};
use bursar_ledger::{
    AccountId, AccountPatch, Act, Amount, AssetId, AssetKind, AssetPatch, CallEnding, CallId,
    CallRequest, Digest, Document, GrantChoice, IssueRequest, PluginPatch, Seed, Timestamp,
    TransferId, Verdict,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::Workbench;

/// The balance of the member and of the plugin at the start, more than either can lose in all rounds of a lane.
const STARTING_BALANCE: u64 = 1 << 50;

/// The number of lanes among which the rounds are divided. A lane is an economy with a thread of its own. The
/// number is fixed, so that one seed plays the same rounds on each machine.
const LANES: usize = 8;

/// The number of rounds after which a lane reports its progress.
const PROGRESS_ROUNDS: u64 = 1_000;

/// The largest number of calls in one round.
const CALLS_MAX: usize = 100;

/// The time of all calls.
const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// The reason for which a game cannot be simulated.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// The ledger rejected an act of the setup.
    #[error("the game cannot be set up: {0}")]
    SetUp(String),
    /// A call did not end with a reply.
    #[error("a call did not end with a reply: {0}")]
    Ended(String),
}

/// The result of many rounds. Amounts are in units of the stake's asset.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SimulationResult {
    /// The number of rounds.
    pub rounds: u64,
    /// The average return, in millionths of the stake.
    pub returned_ppm: f64,
    /// The margin of error of the average return: in 999 of 1,000 simulations the error is smaller.
    pub margin_ppm: f64,
    /// The standard deviation of the return of one round, in stakes.
    pub deviation: f64,
    /// The largest loss of a member in one round.
    pub worst_for_member: i64,
    /// The largest loss of the operator in one round.
    pub worst_for_operator: i64,
}

impl SimulationResult {
    /// Returns true if a stated return is within the margin of error.
    pub fn agrees_with(&self, stated_ppm: u64) -> bool {
        // A stated return is a whole number, so rounding may move it by up to one.
        #[allow(clippy::cast_precision_loss, reason = "returns are small numbers")]
        let stated = stated_ppm as f64;
        (self.returned_ppm - stated).abs() <= self.margin_ppm + 1.0
    }
}

/// Sums over the rounds of a lane.
#[derive(Clone, Copy, Default)]
struct LaneTotals {
    returned: f64,
    squares: f64,
    worst_for_member: i64,
    worst_for_operator: i64,
}

impl LaneTotals {
    /// Adds a round by the gain or loss of the member.
    fn count(&mut self, gain: i64, stake: f64) {
        #[allow(clippy::cast_precision_loss, reason = "wins are far below 2^53")]
        let returned = 1.0 + gain as f64 / stake;
        self.returned += returned;
        self.squares += returned * returned;
        self.worst_for_member = self.worst_for_member.max(gain.saturating_neg());
        self.worst_for_operator = self.worst_for_operator.max(gain);
    }

    fn merge(self, other: Self) -> Self {
        Self {
            returned: self.returned + other.returned,
            squares: self.squares + other.squares,
            worst_for_member: self.worst_for_member.max(other.worst_for_member),
            worst_for_operator: self.worst_for_operator.max(other.worst_for_operator),
        }
    }

    fn result(self, rounds: u64) -> SimulationResult {
        #[allow(clippy::cast_precision_loss, reason = "rounds are far below 2^53")]
        let count = rounds.max(1) as f64;
        let mean = self.returned / count;
        let deviation = (self.squares / count - mean * mean).max(0.0).sqrt();
        SimulationResult {
            rounds,
            returned_ppm: mean * 1e6,
            // A normal distribution exceeds 3.29 standard deviations once in a thousand samples.
            margin_ppm: 3.29 * deviation / count.sqrt() * 1e6,
            deviation,
            worst_for_member: self.worst_for_member,
            worst_for_operator: self.worst_for_operator,
        }
    }
}

/// Plays rounds of a game. Calls `report` from time to time with the number of rounds so far.
pub fn play(
    plugin: &LoadedPlugin,
    odds: &Odds,
    rounds: u64,
    seed: Seed,
    report: impl FnMut(u64) + Send,
) -> Result<SimulationResult, SimulationError> {
    let progress = Mutex::new((0_u64, report));
    let report = |more: u64| {
        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        let (played, report) = &mut *progress;
        *played = played.saturating_add(more);
        report(*played);
    };
    let totals = thread::scope(|scope| {
        let report = &report;
        let lanes: Vec<_> = (0..LANES)
            .map(|lane| scope.spawn(move || play_lane(plugin, odds, rounds, (seed, lane), report)))
            .collect();
        let joined = lanes.into_iter().map(|lane| {
            let panicked = |_| SimulationError::Ended("internal error: a lane panicked".into());
            lane.join().map_err(panicked).flatten()
        });
        joined.collect::<Result<Vec<LaneTotals>, _>>()
    });
    Ok(totals?
        .into_iter()
        .fold(LaneTotals::default(), LaneTotals::merge)
        .result(rounds))
}

/// Plays a lane's share of the rounds.
fn play_lane(
    plugin: &LoadedPlugin,
    odds: &Odds,
    rounds: u64,
    (seed, lane): (Seed, usize),
    report: &(impl Fn(u64) + Sync),
) -> Result<LaneTotals, SimulationError> {
    let lane = lane as u64;
    let mut game = GameEconomy::new(plugin, odds, seed.server_seed(lane))?;
    #[allow(clippy::cast_precision_loss, reason = "stakes are far below 2^53")]
    let stake = odds.stake.amount.get() as f64;
    let mut totals = LaneTotals::default();
    let mut unreported = 0;
    for _ in (lane..rounds).step_by(LANES) {
        totals.count(game.round()?, stake);
        unreported += 1;
        if unreported == PROGRESS_ROUNDS {
            report(std::mem::take(&mut unreported));
        }
    }
    Ok(totals)
}

/// An economy with a game and one member.
struct GameEconomy<'a> {
    plugin: &'a LoadedPlugin,
    odds: &'a Odds,
    bench: Workbench,
    member: AccountId,
    calls: u128,
}

impl<'a> GameEconomy<'a> {
    fn new(plugin: &'a LoadedPlugin, odds: &'a Odds, seed: Seed) -> Result<Self, SimulationError> {
        let name = |text: &str| text.parse::<AccountId>();
        let member = name("user:1").map_err(|error| SimulationError::SetUp(error.to_string()))?;
        let mut game = Self {
            plugin,
            odds,
            bench: Workbench::new(seed, NOW),
            member,
            calls: 0,
        };
        let installed = plugin.manifest().id.as_name();
        let choice = plugin.component_choice(&installed, Digest::ZERO);
        let choice = choice.map_err(|error| SimulationError::SetUp(error.to_string()))?;
        let set_up = [
            Act::SetAsset {
                asset: odds.stake.asset.clone(),
                patch: AssetPatch {
                    kind: Some(AssetKind::Currency),
                    name: Some("Stake".into()),
                    ..AssetPatch::default()
                },
            },
            Act::SetAccount {
                account: game.member.clone(),
                patch: AccountPatch::default(),
                admission: None,
            },
            Act::SetPlugin {
                plugin: installed.clone(),
                patch: Box::new(PluginPatch {
                    component: Some(choice),
                    grants: Some(GrantChoice::Requested),
                    config: Some(Document::new(&odds.config)),
                    enabled: Some(true),
                    ..PluginPatch::default()
                }),
            },
            game.issue(AccountId::of_plugin(&installed))?,
            game.issue(game.member.clone())?,
        ];
        for act in set_up {
            check_applied(game.bench.act(&act)).map_err(SimulationError::SetUp)?;
        }
        Ok(game)
    }

    /// Returns the act that issues the starting balance to an account.
    fn issue(&self, account: AccountId) -> Result<Act, SimulationError> {
        let amount = Amount::new(STARTING_BALANCE).ok_or(SimulationError::SetUp(
            "the starting balance is not an amount".into(),
        ))?;
        Ok(Act::Issue(IssueRequest {
            id: TransferId(Uuid::nil()),
            account,
            asset: self.odds.stake.asset.clone(),
            amount,
            cap: None,
        }))
    }

    fn balance(&self, asset: &AssetId) -> i64 {
        let account = self.bench.books().account(&self.member);
        account.map_or(0, |account| account.balance(asset).posted)
    }

    /// Plays one round and returns the gain or loss of the member.
    fn round(&mut self) -> Result<i64, SimulationError> {
        let asset = self.odds.stake.asset.clone();
        let before = self.balance(&asset);
        let mut action = self.odds.action.clone();
        let mut arguments = self.odds.arguments.clone();
        for _ in 0..CALLS_MAX {
            let reply = self.call(action, arguments)?;
            let next = self.odds.follow.as_ref();
            let next = next.and_then(|pointer| reply.pointer(pointer));
            let Some(next) = next.filter(|next| next.is_object()) else {
                return Ok(self.balance(&asset).saturating_sub(before));
            };
            action = next["action"].as_str().unwrap_or_default().into();
            arguments = next.get("arguments").cloned().unwrap_or_else(|| json!({}));
        }
        Err(SimulationError::Ended(format!(
            "more than {CALLS_MAX} calls in a round"
        )))
    }

    fn call(&mut self, action: String, arguments: Value) -> Result<Value, SimulationError> {
        self.calls = self.calls.wrapping_add(1);
        let request = CallRequest {
            // The ids of holds derive from the call's id and use its last byte.
            id: CallId(Uuid::from_u128(self.calls << 8)),
            plugin: self.plugin.manifest().id.as_name(),
            action,
            caller: self.member.clone(),
            arguments,
            roles: Vec::new(),
            due: None,
            spend_limit: None,
            cap: None,
            key: String::new(),
            now: NOW,
        };
        let run = self.bench.call(self.plugin, request, None);
        let run = run.map_err(|failure| SimulationError::Ended(failure.to_string()))?;
        let CallEnding::Replied { reply } = run.result.ending else {
            return Err(SimulationError::Ended(format!("{:?}", run.result.ending)));
        };
        check_applied(run.verdict).map_err(SimulationError::Ended)?;
        Ok(reply)
    }
}

/// Returns an error unless the act was applied or has nothing to change.
fn check_applied(verdict: Verdict) -> Result<(), String> {
    match verdict {
        Verdict::Applied(_) | Verdict::Unchanged => Ok(()),
        Verdict::Rejected(rejection) | Verdict::RejectedWith(rejection, _) => {
            Err(rejection.to_string())
        }
        other => Err(format!("{other:?}")),
    }
}

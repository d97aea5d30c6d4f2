//! Games played many times over: what comes back on average, and what it costs the house.

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

/// What each side has at the beginning: more than anybody loses in all rounds of a lane.
const PURSE: u64 = 1 << 50;

/// Economies that rounds are shared among. A fixed number, so that the same seed plays the same rounds
/// on every machine; each has a thread.
const LANES: usize = 8;

/// Rounds after which a lane says how far it is.
const TOLD_AT_ONCE: u64 = 1_000;

/// Calls that one round may have.
const CALLS_MAX: usize = 100;

/// When all of it happens.
const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// Why a game cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// The books do not take something.
    #[error("the game cannot be set up: {0}")]
    SetUp(String),
    /// A call did not end in a reply.
    #[error("a call ended in {0}")]
    Ended(String),
}

/// What many rounds have come to. Amounts are in units of the stake's asset.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SimulationResult {
    /// How many rounds.
    pub rounds: u64,
    /// What came back on average, in millionths of the stake.
    pub returned_ppm: f64,
    /// How far that may be from the truth, in 999 of 1,000 runs.
    pub margin_ppm: f64,
    /// How far single rounds are from the average, in stakes.
    pub deviation: f64,
    /// The most that a member has lost in a round.
    pub worst_for_member: i64,
    /// The most that the house has lost in a round.
    pub worst_for_house: i64,
}

impl SimulationResult {
    /// Whether what a plugin states can be true.
    pub fn agrees_with(&self, stated_ppm: u64) -> bool {
        // A return that is stated as a whole number may be rounded by one.
        #[allow(clippy::cast_precision_loss, reason = "returns are small numbers")]
        let stated = stated_ppm as f64;
        (self.returned_ppm - stated).abs() <= self.margin_ppm + 1.0
    }
}

/// Sums over rounds.
#[derive(Clone, Copy, Default)]
struct Tally {
    returned: f64,
    squares: f64,
    worst_for_member: i64,
    worst_for_house: i64,
}

impl Tally {
    fn count(&mut self, won: i64, stake: f64) {
        #[allow(clippy::cast_precision_loss, reason = "wins are far below 2^53")]
        let returned = 1.0 + won as f64 / stake;
        self.returned += returned;
        self.squares += returned * returned;
        self.worst_for_member = self.worst_for_member.max(won.saturating_neg());
        self.worst_for_house = self.worst_for_house.max(won);
    }

    fn and(self, other: Self) -> Self {
        Self {
            returned: self.returned + other.returned,
            squares: self.squares + other.squares,
            worst_for_member: self.worst_for_member.max(other.worst_for_member),
            worst_for_house: self.worst_for_house.max(other.worst_for_house),
        }
    }

    fn of(self, rounds: u64) -> SimulationResult {
        #[allow(clippy::cast_precision_loss, reason = "rounds are far below 2^53")]
        let count = rounds.max(1) as f64;
        let mean = self.returned / count;
        let deviation = (self.squares / count - mean * mean).max(0.0).sqrt();
        SimulationResult {
            rounds,
            returned_ppm: mean * 1e6,
            // 3.29 deviations of the mean are passed once in a thousand runs.
            margin_ppm: 3.29 * deviation / count.sqrt() * 1e6,
            deviation,
            worst_for_member: self.worst_for_member,
            worst_for_house: self.worst_for_house,
        }
    }
}

/// Plays rounds of a game, and says now and then how many have been played.
pub fn play(
    plugin: &LoadedPlugin,
    odds: &Odds,
    rounds: u64,
    seed: Seed,
    tell: impl FnMut(u64) + Send,
) -> Result<SimulationResult, SimulationError> {
    let told = Mutex::new((0_u64, tell));
    let tell = |more: u64| {
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        let (played, tell) = &mut *told;
        *played = played.saturating_add(more);
        tell(*played);
    };
    let tallies = thread::scope(|scope| {
        let tell = &tell;
        let lanes: Vec<_> = (0..LANES)
            .map(|lane| scope.spawn(move || play_lane(plugin, odds, rounds, (seed, lane), tell)))
            .collect();
        let joined = lanes.into_iter().map(|lane| {
            let gave_up = |_| SimulationError::Ended("a bug, in one of the lanes".into());
            lane.join().map_err(gave_up).flatten()
        });
        joined.collect::<Result<Vec<Tally>, _>>()
    });
    Ok(tallies?
        .into_iter()
        .fold(Tally::default(), Tally::and)
        .of(rounds))
}

/// A lane's share of the rounds.
fn play_lane(
    plugin: &LoadedPlugin,
    odds: &Odds,
    rounds: u64,
    (seed, lane): (Seed, usize),
    tell: &(impl Fn(u64) + Sync),
) -> Result<Tally, SimulationError> {
    let lane = lane as u64;
    let mut table = Table::set(plugin, odds, seed.server_seed(lane))?;
    #[allow(clippy::cast_precision_loss, reason = "stakes are far below 2^53")]
    let stake = odds.stake.amount.get() as f64;
    let mut tally = Tally::default();
    let mut untold = 0;
    for _ in (lane..rounds).step_by(LANES) {
        tally.count(table.round()?, stake);
        untold += 1;
        if untold == TOLD_AT_ONCE {
            tell(std::mem::take(&mut untold));
        }
    }
    Ok(tally)
}

/// An economy with a game and a member in it.
struct Table<'a> {
    plugin: &'a LoadedPlugin,
    odds: &'a Odds,
    bench: Workbench,
    member: AccountId,
    calls: u128,
}

impl<'a> Table<'a> {
    fn set(plugin: &'a LoadedPlugin, odds: &'a Odds, seed: Seed) -> Result<Self, SimulationError> {
        let name = |text: &str| text.parse::<AccountId>();
        let member = name("user:1").map_err(|error| SimulationError::SetUp(error.to_string()))?;
        let mut table = Self {
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
                account: table.member.clone(),
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
            table.issue(AccountId::of_plugin(&installed))?,
            table.issue(table.member.clone())?,
        ];
        for act in set_up {
            committed(table.bench.act(&act)).map_err(SimulationError::SetUp)?;
        }
        Ok(table)
    }

    fn issue(&self, account: AccountId) -> Result<Act, SimulationError> {
        let amount = Amount::new(PURSE).ok_or(SimulationError::SetUp("no purse".into()))?;
        Ok(Act::Issue(IssueRequest {
            id: TransferId(Uuid::nil()),
            account,
            asset: self.odds.stake.asset.clone(),
            amount,
            cap: None,
        }))
    }

    fn has(&self, asset: &AssetId) -> i64 {
        let account = self.bench.books().account(&self.member);
        account.map_or(0, |account| account.balance(asset).posted)
    }

    /// One round to its end: what the member has won or lost.
    fn round(&mut self) -> Result<i64, SimulationError> {
        let asset = self.odds.stake.asset.clone();
        let before = self.has(&asset);
        let (mut action, mut arguments) = (self.odds.action.clone(), self.odds.arguments.clone());
        for _ in 0..CALLS_MAX {
            let reply = self.call(action, arguments)?;
            let next = self.odds.follow.as_ref();
            let next = next.and_then(|pointer| reply.pointer(pointer));
            let Some(next) = next.filter(|next| next.is_object()) else {
                return Ok(self.has(&asset).saturating_sub(before));
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
            // Ids of holds follow from the call's: the last byte is theirs.
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
        let called = self.bench.call(self.plugin, request, None);
        let called = called.map_err(|failure| SimulationError::Ended(failure.to_string()))?;
        let CallEnding::Replied { reply } = called.result.ending else {
            return Err(SimulationError::Ended(format!(
                "{:?}",
                called.result.ending
            )));
        };
        committed(called.verdict).map_err(SimulationError::Ended)?;
        Ok(reply)
    }
}

/// That something was agreed to, or why it was not.
fn committed(verdict: Verdict) -> Result<(), String> {
    match verdict {
        Verdict::Applied(_) | Verdict::Unchanged => Ok(()),
        Verdict::Rejected(no) | Verdict::RejectedWith(no, _) => Err(no.to_string()),
        other => Err(format!("{other:?}")),
    }
}

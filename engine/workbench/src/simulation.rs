//! Games played many times over in memory: what comes back on average, and what it costs the house.
//!
//! The component, the ledger and the draws are the real ones; only nothing is written down. Each round
//! is decided and applied like a call of a server.

use bursar_host::{LoadedPlugin, Odds};
use bursar_ledger::{
    AccountId, AccountPatch, Act, Amount, AssetId, AssetKind, AssetPatch, Books, CallId,
    CallRequest, CallResult, Digest, Draft, Ending, GrantChoice, IssueRequest, PluginPatch, Seed,
    Timestamp, TransferId, Verdict, decide,
};
use serde_json::{Value, json};
use uuid::Uuid;

/// What each side has when a round begins. Both are filled up again before they run out.
const PURSE: u64 = 1 << 50;

/// Calls that one round may have.
const CALLS_MAX: usize = 100;

/// When all of it happens.
const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// Why a game cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum NotPlayed {
    /// The books do not take something.
    #[error("the game cannot be set up: {0}")]
    SetUp(String),
    /// A call did not end in a reply.
    #[error("a call ended in {0}")]
    Ended(String),
}

/// What many rounds have come to. Amounts are in units of the stake's asset.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Played {
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

impl Played {
    /// Whether what a plugin states can be true.
    pub fn agrees_with(&self, stated_ppm: u64) -> bool {
        // A return that is stated as a whole number may be rounded by one.
        #[allow(clippy::cast_precision_loss, reason = "returns are small numbers")]
        let stated = stated_ppm as f64;
        (self.returned_ppm - stated).abs() <= self.margin_ppm + 1.0
    }
}

/// Books in memory, with a game and a member in them.
struct Table<'a> {
    plugin: &'a LoadedPlugin,
    odds: &'a Odds,
    books: Books,
    member: AccountId,
    calls: u128,
}

/// Plays rounds of a game, and says how far it is after each thousand.
pub fn play(
    plugin: &LoadedPlugin,
    odds: &Odds,
    rounds: u64,
    seed: Seed,
    mut tell: impl FnMut(u64),
) -> Result<Played, NotPlayed> {
    let mut table = Table::set(plugin, odds, seed)?;
    let (mut sum, mut squares) = (0.0, 0.0);
    let (mut worst_for_member, mut worst_for_house) = (0, 0);
    #[allow(clippy::cast_precision_loss, reason = "stakes are far below 2^53")]
    let stake = odds.stake.amount.get() as f64;
    for round in 0..rounds {
        if round % 1_000 == 0 {
            tell(round);
        }
        let won = table.round()?;
        worst_for_member = worst_for_member.max(-won);
        worst_for_house = worst_for_house.max(won);
        #[allow(clippy::cast_precision_loss, reason = "wins are far below 2^53")]
        let returned = 1.0 + won as f64 / stake;
        sum += returned;
        squares += returned * returned;
    }
    #[allow(clippy::cast_precision_loss, reason = "rounds are far below 2^53")]
    let count = rounds.max(1) as f64;
    let mean = sum / count;
    let deviation = (squares / count - mean * mean).max(0.0).sqrt();
    Ok(Played {
        rounds,
        returned_ppm: mean * 1e6,
        // 3.29 deviations of the mean are passed once in a thousand runs.
        margin_ppm: 3.29 * deviation / count.sqrt() * 1e6,
        deviation,
        worst_for_member,
        worst_for_house,
    })
}

impl<'a> Table<'a> {
    fn set(plugin: &'a LoadedPlugin, odds: &'a Odds, seed: Seed) -> Result<Self, NotPlayed> {
        let name = |text: &str| text.parse::<AccountId>();
        let member = name("user:1").map_err(|error| NotPlayed::SetUp(error.to_string()))?;
        let mut table = Self {
            plugin,
            odds,
            books: Books::new(seed, NOW),
            member,
            calls: 0,
        };
        let id = &plugin.manifest().id;
        let choice = plugin.manifest().component_choice(id, Digest::ZERO);
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
            },
            Act::SetPlugin {
                plugin: id.clone(),
                patch: Box::new(PluginPatch {
                    component: Some(choice),
                    grants: Some(GrantChoice::Requested),
                    config: Some(odds.config.clone()),
                    enabled: Some(true),
                    ..PluginPatch::default()
                }),
            },
        ];
        for act in set_up {
            table.act(&act)?;
        }
        let house = AccountId::of_plugin(id);
        for account in [house, table.member.clone()] {
            let amount = Amount::new(PURSE).ok_or(NotPlayed::SetUp("no purse".into()))?;
            let issue = table.issue(account, amount);
            table.act(&issue)?;
        }
        Ok(table)
    }

    fn issue(&self, account: AccountId, amount: Amount) -> Act {
        Act::Issue(IssueRequest {
            id: TransferId(Uuid::nil()),
            account,
            asset: self.odds.stake.asset.clone(),
            amount,
            cap: None,
        })
    }

    fn act(&mut self, act: &Act) -> Result<Verdict, NotPlayed> {
        let verdict = decide(Some(&self.books), NOW, act);
        if let Some(decision) = verdict.decision() {
            let seq = self.books.seq().saturating_add(1);
            let applied = self.books.apply(decision, seq, NOW, 0);
            applied.map_err(|misfit| NotPlayed::SetUp(misfit.to_string()))?;
            self.books.seal(seq, NOW, Digest::ZERO);
        }
        match &verdict {
            Verdict::Applied(_) | Verdict::Unchanged => Ok(verdict),
            no => Err(NotPlayed::Ended(format!("{no:?}"))),
        }
    }

    fn has(&self, asset: &AssetId) -> i64 {
        let account = self.books.account(&self.member);
        account.map_or(0, |account| account.balance(asset).posted)
    }

    /// One round to its end: what the member has won or lost.
    fn round(&mut self) -> Result<i64, NotPlayed> {
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
        Err(NotPlayed::Ended(format!(
            "more than {CALLS_MAX} calls in a round"
        )))
    }

    fn call(&mut self, action: String, arguments: Value) -> Result<Value, NotPlayed> {
        self.calls = self.calls.wrapping_add(1);
        // Ids of holds follow from the call's: the last byte is theirs.
        let id = CallId(Uuid::from_u128(self.calls << 8));
        let request = CallRequest {
            id,
            plugin: self.plugin.manifest().id.clone(),
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
        let draft = Draft::open(&self.books, &request, NOW);
        let draft = draft.map_err(|no| NotPlayed::SetUp(no.to_string()))?;
        let origin = self
            .books
            .draw_origin(&self.member, self.books.next_nonce());
        let component = draft.component();
        let finished = self.plugin.run(draft, move |_| origin);
        let finished = finished.map_err(|no| NotPlayed::Ended(no.failure.to_string()))?;
        let Ending::Replied { reply } = &finished.ending else {
            return Err(NotPlayed::Ended(format!("{:?}", finished.ending)));
        };
        let reply = reply.clone();
        let result = CallResult {
            request,
            component,
            transcript: finished.transcript,
            ending: finished.ending,
            fuel: finished.fuel,
            origin: finished.origin,
        };
        self.act(&Act::Call(Box::new(result)))?;
        Ok(reply)
    }
}

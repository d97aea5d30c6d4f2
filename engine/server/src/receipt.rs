//! Receipts of calls: all that it takes to run a call again, and to see that it went as it says.

use bursar_host::{LoadedPlugin, NotRepeated};
use bursar_ledger::{
    Answer, Ask, CallResult, Change, Digest, EconomyId, Ending, Fact, Installation, Movement,
    Posting, Seed, Timestamp,
};
use bursar_storage::{CallRecord, Outcome};
use serde::{Deserialize, Serialize};

/// The receipt of a call.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Whose books.
    pub economy: EconomyId,
    /// Its number in the economy's journal.
    pub seq: u64,
    /// The version of bursar that ran it.
    pub version: String,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// The hash of the record, which covers all records before it.
    pub hash: Digest,
    /// Who asked: the name of an API key.
    pub actor: String,
    /// The idempotency key under which it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// What came of it.
    pub outcome: Outcome,
    /// What was asked of the plugin, everything that it asked and was told, and how it ended.
    pub call: CallResult,
    /// How the plugin was installed when it ran; absent if it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installation: Option<Installation>,
    /// What moved.
    pub postings: Vec<Posting>,
    /// What else changed: holds, the plugin's keys, what was drawn.
    pub changes: Vec<Change>,
    /// The commitment to the server seed, and the seed once it is public; absent if nothing was drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<ReceiptSeed>,
}

/// The server seed of a receipt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptSeed {
    /// Its number.
    pub number: u64,
    /// SHA-256 of its bytes, public before anything was drawn from it.
    pub commitment: Digest,
    /// The seed, once it is public.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<Seed>,
}

impl Receipt {
    /// A receipt of what the journal says.
    pub fn new(economy: EconomyId, record: CallRecord, seed: Option<ReceiptSeed>) -> Self {
        let posting = |movement: Movement| movement.posting;
        Self {
            economy,
            seq: record.seq,
            version: record.version,
            recorded_at: record.recorded_at,
            hash: record.hash,
            actor: record.actor,
            idempotency_key: record.key,
            outcome: record.outcome,
            call: record.call,
            installation: record.installation,
            postings: record.movements.into_iter().map(posting).collect(),
            changes: record.changes,
            seed,
        }
    }

    /// Whether the seed is the one that was committed to, and every draw comes from it.
    pub fn check_draws(&self, told: Option<Seed>) -> Draws {
        let Some((origin, seed)) = self.call.origin.as_ref().zip(self.seed) else {
            return match self.call.origin {
                None if self.call.transcript.draws() == 0 => Draws::None,
                None | Some(_) => Draws::NotFromThere,
            };
        };
        let Some(server_seed) = told.or(seed.seed) else {
            return Draws::Hidden;
        };
        if server_seed.commitment() != seed.commitment || origin.seed != seed.number {
            return Draws::NotCommitted;
        }
        let transcript = &self.call.transcript;
        if transcript.draws_from(&server_seed, &self.call.component, origin) {
            Draws::Made(transcript.draws())
        } else {
            Draws::NotFromThere
        }
    }

    /// Whether what moved and changed is what the call asked for, no less and no more.
    pub fn check_effects(&self) -> Result<(), String> {
        let asked = Asked::of(self.call.transcript.facts());
        if !can_come_of(&self.call, self.outcome) {
            let outcome = self.outcome.as_str();
            return Err(format!("a call that ended like this is never `{outcome}`"));
        }
        let committed = self.outcome == Outcome::Applied;
        let (postings, changed) = if committed {
            (asked.postings.as_slice(), asked.changes.as_slice())
        } else {
            (&[][..], &[][..])
        };
        let same = |(asked, moved): (&AskedPosting, &Posting)| asked.is(moved);
        if postings.len() != self.postings.len() || !postings.iter().zip(&self.postings).all(same) {
            return Err("other postings than it asked for".into());
        }
        let mut made: Vec<AskedChange> =
            self.changes.iter().filter_map(AskedChange::made).collect();
        let mut changed = changed.to_vec();
        if !committed {
            // A round that broke off after its draw gives secured stakes back.
            made.retain(|change| !matches!(change, AskedChange::Ended(_)));
        }
        made.sort();
        changed.sort();
        if made != changed {
            return Err("other changes than it asked for".into());
        }
        Ok(())
    }

    /// Runs the component again over the answers that it was given: to the same end, at the same cost.
    pub fn check_run(&self, plugin: &LoadedPlugin) -> Result<(), String> {
        let Some(installation) = &self.installation else {
            return Err("it did not run".into());
        };
        let (request, transcript) = (self.call.request.clone(), &self.call.transcript);
        let repeated = plugin.repeat(request, installation, transcript);
        let repeated = repeated.map_err(|no: NotRepeated| no.to_string())?;
        if repeated.ending != self.call.ending {
            return Err(format!("it ends in {:?}", repeated.ending));
        }
        if repeated.fuel != self.call.fuel {
            let (now, then) = (repeated.fuel, self.call.fuel);
            return Err(format!(
                "it burns {now} units of fuel, and the receipt has {then}"
            ));
        }
        Ok(())
    }
}

/// What became of the draws of a receipt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Draws {
    /// Nothing was drawn.
    None,
    /// So many were made again.
    Made(u32),
    /// The seed is not public yet.
    Hidden,
    /// The seed is not the one that was committed to.
    NotCommitted,
    /// Something else was drawn than what comes from the seed.
    NotFromThere,
}

/// Whether the ledger can make this of a call. What was replied may still be refused; and an economy
/// that is not open any more refuses whatever has not drawn, however it ended.
fn can_come_of(call: &CallResult, outcome: Outcome) -> bool {
    use Outcome::{Applied, Broken, Declined, Faulted, Rejected};
    match (&call.ending, outcome) {
        (Ending::Replied { .. }, Applied | Rejected)
        | (Ending::Declined { .. }, Declined)
        | (Ending::Faulted { .. }, Faulted)
        | (Ending::NotRun(_) | Ending::Stopped(_), Rejected)
        | (Ending::Broken { .. }, Broken) => true,
        (Ending::Declined { .. } | Ending::Faulted { .. }, Rejected) => call.origin.is_none(),
        (Ending::Replied { .. }, Declined | Faulted | Broken)
        | (Ending::Declined { .. }, Applied | Faulted | Broken)
        | (Ending::Faulted { .. }, Applied | Declined | Broken)
        | (Ending::NotRun(_) | Ending::Stopped(_), Applied | Declined | Faulted | Broken)
        | (Ending::Broken { .. }, Applied | Rejected | Declined | Faulted) => false,
    }
}

/// A movement that a call asked for. Of a hold that was placed earlier only the amount is known, if that.
enum AskedPosting {
    Whole(Posting),
    OfHold(Option<u64>),
}

impl AskedPosting {
    fn is(&self, moved: &Posting) -> bool {
        match self {
            Self::Whole(asked) => asked == moved,
            Self::OfHold(amount) => amount.is_none_or(|amount| amount == moved.amount.get()),
        }
    }
}

/// A change that a call asked for, as text, so that two lists of them can be compared.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum AskedChange {
    Placed(String),
    Captured(String),
    Ended(String),
    State(String),
}

impl AskedChange {
    fn made(change: &Change) -> Option<Self> {
        match change {
            Change::HoldPlaced { hold, placed } => Some(Self::Placed(format!(
                "{hold} {:?}",
                placed.reservation.posting()
            ))),
            Change::HoldCaptured { hold, .. } => Some(Self::Captured(hold.to_string())),
            Change::HoldEnded { hold, .. } => Some(Self::Ended(hold.to_string())),
            Change::StateSet { key, value, .. } => Some(Self::State(format!("{key}={value}"))),
            Change::StateDeleted { key, .. } => Some(Self::State(key.to_string())),
            // What the books count by themselves, or what is set from outside.
            Change::EconomyOpened { .. }
            | Change::AssetSet { .. }
            | Change::AccountSet { .. }
            | Change::EconomyStatusSet { .. }
            | Change::SupplyMoved { .. }
            | Change::HoldDeferred { .. }
            | Change::Draws(_)
            | Change::Reversed { .. }
            | Change::PluginSet { .. }
            | Change::PluginRemoved { .. }
            | Change::DueMoved { .. }
            | Change::BudgetSpent { .. }
            | Change::KeySet { .. }
            | Change::ComponentAdded { .. }
            | Change::WebhookSet { .. }
            | Change::WebhookRemoved { .. }
            | Change::DeliveryNoted(_)
            | Change::DeliveryForgotten(_) => None,
        }
    }
}

/// What a transcript asks for, in order.
#[derive(Default)]
struct Asked {
    postings: Vec<AskedPosting>,
    changes: Vec<AskedChange>,
}

impl Asked {
    fn of(facts: &[Fact]) -> Self {
        let mut asked = Self::default();
        let mut writes = std::collections::BTreeMap::new();
        for fact in facts {
            match (&fact.ask, &fact.answer) {
                (Ask::Transfer(posting), Answer::Done) => {
                    asked.postings.push(AskedPosting::Whole(posting.clone()));
                }
                (Ask::CaptureHold { hold, amount }, Answer::Done) => {
                    let amount = amount.map(bursar_ledger::Amount::get);
                    asked.postings.push(AskedPosting::OfHold(amount));
                    asked.changes.push(AskedChange::Captured(hold.to_string()));
                }
                (Ask::ReleaseHold { hold }, Answer::Done) => {
                    asked.changes.push(AskedChange::Ended(hold.to_string()));
                }
                (Ask::PlaceHold { posting, .. }, Answer::Placed(hold)) => {
                    let placed = AskedChange::Placed(format!("{hold} {posting:?}"));
                    asked.changes.push(placed);
                }
                (Ask::Set { key, value }, Answer::Done) => {
                    writes.insert(key, Some(value));
                }
                (Ask::Delete { key }, Answer::Done) => {
                    writes.insert(key, None);
                }
                (_, _) => {}
            }
        }
        let state = |(key, value): (_, Option<&std::sync::Arc<str>>)| match value {
            Some(value) => AskedChange::State(format!("{key}={value}")),
            None => AskedChange::State(format!("{key}")),
        };
        asked.changes.extend(writes.into_iter().map(state));
        asked
    }
}

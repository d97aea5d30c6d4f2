//! The host's side of the contract: what a guest asks becomes a question to its draft.
//!
//! Nothing here decides. What cannot be asked at all, a name that is no name or an amount that is
//! no amount, is a fault and ends the call; what the draft refuses goes back to the guest.

mod first;

use std::str::FromStr;
use std::sync::Arc;

use bursar_ledger::{
    AccountId, Amount, AssetId, CALL_DRAWS_MAX, CALL_HOLDS_MAX, CALL_POSTINGS_MAX, CALL_READS_MAX,
    CALL_SECURES_MAX, CALL_WRITES_MAX, DRAW_BYTES_MAX, DRAW_LABEL_BYTES_MAX, DRAW_MIX_BYTES_MAX,
    HoldId, HostRequest, HostResponse, Posting, Refusal, SEGMENT_CHARS_MAX, SHUFFLE_MAX,
    STATE_KEY_BYTES_MAX, STATE_VALUE_BYTES_MAX, Timestamp,
};
use wasmtime::Result;

use crate::limits::{FUEL_PER_READ, FUEL_PER_REQUEST, FUEL_PER_SHUFFLED};
use crate::run::bindings::bursar::plugin::{call, fair, ledger, log, state, types};
use crate::run::guest::{Bug, Fault, Guest, LogLevel, Stopped};

fn fault<T>(what: impl Into<String>) -> Result<T> {
    Err(Fault(what.into()).into())
}

fn name<T: FromStr>(what: &str, text: &str) -> Result<T>
where
    T::Err: std::fmt::Display,
{
    text.parse().or_else(|error| {
        let shown: String = text
            .chars()
            .take(64)
            .flat_map(char::escape_default)
            .collect();
        fault(format!("`{shown}` is not the name of an {what}: {error}"))
    })
}

fn amount(units: u64) -> Result<Amount> {
    Amount::new(units).map_or_else(
        || {
            fault(format!(
                "{units} is not an amount: amounts are 1 to 2^53 - 1"
            ))
        },
        Ok,
    )
}

fn count(counter: &mut usize, most: usize, what: &str) -> Result<()> {
    if *counter >= most {
        return fault(format!("more than {most} {what} in one call"));
    }
    *counter += 1;
    Ok(())
}

fn length(bytes: usize, most: usize, what: &str) -> Result<()> {
    if bytes > most {
        return fault(format!("{what} of {bytes} bytes, of at most {most}"));
    }
    Ok(())
}

fn refusal(refusal: Refusal) -> types::Refusal {
    match refusal {
        Refusal::UnknownAccount { account } => types::Refusal::UnknownAccount(account.to_string()),
        Refusal::UnknownAsset { asset } => types::Refusal::UnknownAsset(asset.to_string()),
        Refusal::NotGranted { what } => types::Refusal::NotGranted(what),
        Refusal::OverLimit { asset, most, asked } => {
            let asset = asset.to_string();
            types::Refusal::OverLimit(types::Limit {
                asset,
                most: most.get(),
                asked,
            })
        }
        Refusal::SameAccount
        | Refusal::NoHold { .. }
        | Refusal::NoHoldRule { .. }
        | Refusal::NoSchedule { .. }
        | Refusal::HoldExceeded { .. }
        | Refusal::NoOrigin => types::Refusal::Other(refusal.to_string()),
        Refusal::InsufficientFunds => types::Refusal::InsufficientFunds,
        Refusal::NoRoom => types::Refusal::NoRoom,
        Refusal::AfterDraw => types::Refusal::AfterDraw,
        Refusal::NotSecured => types::Refusal::NotSecured,
    }
}

/// The draft answers each question with the kind of answer that belongs to it.
fn mismatch<T>(answer: &HostResponse) -> Result<T> {
    Err(Bug(format!("the draft answered with {answer:?}")).into())
}

impl Guest {
    fn done(&mut self, ask: HostRequest) -> Result<Result<(), types::Refusal>> {
        match self.ask(ask)? {
            HostResponse::Done => Ok(Ok(())),
            HostResponse::Refused(no) => Ok(Err(refusal(no))),
            other => mismatch(&other),
        }
    }

    fn read(&mut self) -> Result<()> {
        count(&mut self.counts.reads, CALL_READS_MAX, "reads")?;
        self.charge(FUEL_PER_READ)
    }

    fn write(&mut self, key: &str, value: &str) -> Result<()> {
        count(&mut self.counts.writes, CALL_WRITES_MAX, "writes")?;
        state_key(key)?;
        length(value.len(), STATE_VALUE_BYTES_MAX, "a value")?;
        self.charge(FUEL_PER_REQUEST)?;
        self.charge_bytes(key.len() + value.len())
    }
}

fn state_key(key: &str) -> Result<()> {
    if key.is_empty() {
        return fault("an empty key");
    }
    length(key.len(), STATE_KEY_BYTES_MAX, "a key")
}

impl types::Host for Guest {}

impl ledger::Host for Guest {
    fn balance(
        &mut self,
        account: String,
        asset: String,
    ) -> Result<Result<types::Amounts, types::Refusal>> {
        self.read()?;
        let account: AccountId = name("account", &account)?;
        let asset: AssetId = name("asset", &asset)?;
        match self.ask(HostRequest::Balance { account, asset })? {
            HostResponse::Balance(seen) => Ok(Ok(types::Amounts {
                posted: seen.posted,
                held: seen.held,
                spendable: seen.spendable,
            })),
            HostResponse::Refused(no) => Ok(Err(refusal(no))),
            other => mismatch(&other),
        }
    }

    fn has_at_least(
        &mut self,
        account: String,
        asset: String,
        units: u64,
    ) -> Result<Result<bool, types::Refusal>> {
        self.read()?;
        let account: AccountId = name("account", &account)?;
        let asset: AssetId = name("asset", &asset)?;
        let amount = amount(units)?;
        match self.ask(HostRequest::HasAtLeast {
            account,
            asset,
            amount,
        })? {
            HostResponse::Bool(whether) => Ok(Ok(whether)),
            HostResponse::Refused(no) => Ok(Err(refusal(no))),
            other => mismatch(&other),
        }
    }

    fn transfer(&mut self, posting: types::Posting) -> Result<Result<(), types::Refusal>> {
        count(&mut self.counts.postings, CALL_POSTINGS_MAX, "transfers")?;
        self.charge(FUEL_PER_REQUEST)?;
        let posting = asked(&posting)?;
        self.done(HostRequest::Transfer(posting))
    }

    fn place_hold(
        &mut self,
        rule: String,
        posting: types::Posting,
    ) -> Result<Result<String, types::Refusal>> {
        count(&mut self.counts.holds, CALL_HOLDS_MAX, "holds placed")?;
        self.charge(FUEL_PER_REQUEST)?;
        length(rule.len(), SEGMENT_CHARS_MAX, "the name of a kind of hold")?;
        let posting = asked(&posting)?;
        match self.ask(HostRequest::PlaceHold { rule, posting })? {
            HostResponse::Placed(hold) => Ok(Ok(hold.to_string())),
            HostResponse::Refused(no) => Ok(Err(refusal(no))),
            other => mismatch(&other),
        }
    }

    fn capture_hold(
        &mut self,
        hold: String,
        units: Option<u64>,
    ) -> Result<Result<(), types::Refusal>> {
        count(&mut self.counts.postings, CALL_POSTINGS_MAX, "transfers")?;
        self.charge(FUEL_PER_REQUEST)?;
        let hold = hold_id(&hold)?;
        let amount = units.map(amount).transpose()?;
        self.done(HostRequest::CaptureHold { hold, amount })
    }

    fn release_hold(&mut self, hold: String) -> Result<Result<(), types::Refusal>> {
        count(&mut self.counts.postings, CALL_POSTINGS_MAX, "transfers")?;
        self.charge(FUEL_PER_REQUEST)?;
        let hold = hold_id(&hold)?;
        self.done(HostRequest::ReleaseHold { hold })
    }

    fn hold_left(&mut self, hold: String) -> Result<Option<u64>> {
        self.read()?;
        let hold = hold_id(&hold)?;
        match self.ask(HostRequest::HoldLeft { hold })? {
            HostResponse::Left(left) => Ok(left.map(Amount::get)),
            other => mismatch(&other),
        }
    }
}

fn asked(posting: &types::Posting) -> Result<Posting> {
    Ok(Posting {
        source: name("account", &posting.source)?,
        destination: name("account", &posting.destination)?,
        asset: name("asset", &posting.asset)?,
        amount: amount(posting.amount)?,
    })
}

/// Ids of holds come from the host; what is none was made up.
fn hold_id(text: &str) -> Result<HoldId> {
    let parsed = text.parse().map(HoldId);
    parsed.or_else(|_| fault("that is not the id of a hold"))
}

impl state::Host for Guest {
    fn get(&mut self, key: String) -> Result<Option<String>> {
        self.read()?;
        state_key(&key)?;
        match self.ask(HostRequest::Get { key: key.into() })? {
            HostResponse::Value(value) => {
                self.charge_bytes(value.as_ref().map_or(0, |value| value.len()))?;
                Ok(value.map(|value| value.as_ref().into()))
            }
            other => mismatch(&other),
        }
    }

    fn set(&mut self, key: String, value: String) -> Result<()> {
        self.write(&key, &value)?;
        self.ask(HostRequest::Set {
            key: key.into(),
            value: value.into(),
        })
        .map(drop)
    }

    fn delete(&mut self, key: String) -> Result<()> {
        self.write(&key, "")?;
        self.ask(HostRequest::Delete { key: key.into() }).map(drop)
    }

    fn list(&mut self, prefix: String, cursor: Option<String>) -> Result<state::Page> {
        self.read()?;
        length(prefix.len(), STATE_KEY_BYTES_MAX, "a prefix")?;
        length(
            cursor.as_ref().map_or(0, String::len),
            STATE_KEY_BYTES_MAX,
            "a cursor",
        )?;
        match self.ask(HostRequest::List {
            prefix: prefix.into(),
            cursor: cursor.map(Into::into),
        })? {
            HostResponse::Page(page) => {
                self.charge_bytes(page.keys.iter().map(|key| key.len()).sum())?;
                let text = |key: &Arc<str>| key.as_ref().to_owned();
                Ok(state::Page {
                    keys: page.keys.iter().map(text).collect(),
                    next: page.next.as_ref().map(text),
                })
            }
            other => mismatch(&other),
        }
    }
}

impl fair::Host for Guest {
    fn secure(
        &mut self,
        account: String,
        asset: String,
        units: u64,
    ) -> Result<Result<(), types::Refusal>> {
        count(
            &mut self.counts.secures,
            CALL_SECURES_MAX,
            "secured amounts",
        )?;
        self.charge(FUEL_PER_REQUEST)?;
        let account = name("account", &account)?;
        let asset = name("asset", &asset)?;
        self.done(HostRequest::Secure {
            account,
            asset,
            amount: amount(units)?,
        })
    }

    fn below(&mut self, n: u32, label: String) -> Result<u32> {
        if n == 0 {
            return fault("a draw below 0: there is nothing to draw");
        }
        match self.draw(label.len(), HostRequest::Draw { range: n, label })? {
            HostResponse::Drawn(drawn) => Ok(drawn),
            other => mismatch(&other),
        }
    }

    fn secure_hold(&mut self, hold: String) -> Result<Result<(), types::Refusal>> {
        count(
            &mut self.counts.secures,
            CALL_SECURES_MAX,
            "secured amounts",
        )?;
        self.charge(FUEL_PER_REQUEST)?;
        let hold = hold_id(&hold)?;
        self.done(HostRequest::SecureHold { hold })
    }

    fn mix(&mut self, text: String) -> Result<()> {
        self.charge(FUEL_PER_REQUEST)?;
        self.charge_bytes(text.len())?;
        self.counts.mixed = self.counts.mixed.saturating_add(text.len());
        length(
            self.counts.mixed,
            DRAW_MIX_BYTES_MAX,
            "mixed into draws: text",
        )?;
        match self.done(HostRequest::Mix { text })? {
            Ok(()) => Ok(()),
            Err(_) => fault("it mixes into draws after the first of them"),
        }
    }

    fn shuffle(&mut self, n: u32, label: String) -> Result<Vec<u32>> {
        if !(1..=SHUFFLE_MAX).contains(&n) {
            return fault(format!("a shuffle of {n}: it takes 1 to {SHUFFLE_MAX}"));
        }
        self.charge(u64::from(n).saturating_mul(FUEL_PER_SHUFFLED))?;
        match self.draw(label.len(), HostRequest::Shuffle { count: n, label })? {
            HostResponse::Shuffled(order) => Ok(order),
            other => mismatch(&other),
        }
    }

    fn bytes(&mut self, n: u32, label: String) -> Result<Vec<u8>> {
        if !(1..=DRAW_BYTES_MAX).contains(&n) {
            return fault(format!(
                "a draw of {n} bytes: it takes 1 to {DRAW_BYTES_MAX}"
            ));
        }
        match self.draw(label.len(), HostRequest::Bytes { count: n, label })? {
            HostResponse::Bytes(digits) => {
                let bytes = hex::decode(&digits);
                bytes.map_err(|_| Bug(format!("the draft drew {digits:?}")).into())
            }
            other => mismatch(&other),
        }
    }
}

impl Guest {
    /// Draws, if the call may. Its first draw fixes where all of its draws come from.
    fn draw(&mut self, label_bytes: usize, ask: HostRequest) -> Result<HostResponse> {
        count(&mut self.counts.draws, CALL_DRAWS_MAX, "draws")?;
        self.charge(FUEL_PER_REQUEST)?;
        length(label_bytes, DRAW_LABEL_BYTES_MAX, "a label")?;
        match self.ask_draw(ask)? {
            HostResponse::Ends(rejection) => Err(Stopped(rejection).into()),
            answer => Ok(answer),
        }
    }
}

impl call::Host for Guest {
    // Both follow from the request, which a record keeps, and from nothing that changes: so they are no
    // reads, and stand in no transcript.
    fn name(&mut self) -> Result<String> {
        self.charge(FUEL_PER_READ)?;
        Ok(self.call()?.plugin.to_string())
    }

    fn own_account(&mut self, sub: Option<String>) -> Result<String> {
        self.charge(FUEL_PER_READ)?;
        let plugin = &self.call()?.plugin;
        let Some(sub) = sub else {
            return Ok(AccountId::of_plugin(plugin).to_string());
        };
        match AccountId::of_plugin_sub(plugin, &sub) {
            Ok(account) => Ok(account.to_string()),
            Err(error) => fault(format!("it asks for an account of its own: {error}")),
        }
    }

    fn action(&mut self) -> Result<String> {
        self.charge(FUEL_PER_READ)?;
        Ok(self.call()?.action.clone())
    }

    fn caller(&mut self) -> Result<String> {
        self.charge(FUEL_PER_READ)?;
        Ok(self.call()?.caller.to_string())
    }

    fn now(&mut self) -> Result<u64> {
        self.charge(FUEL_PER_READ)?;
        Ok(self.call()?.now.0)
    }

    fn id(&mut self) -> Result<String> {
        self.charge(FUEL_PER_READ)?;
        Ok(self.call()?.id.to_string())
    }

    fn roles(&mut self) -> Result<Vec<String>> {
        self.charge(FUEL_PER_READ)?;
        let roles = self.call()?.roles.clone();
        self.charge_bytes(roles.iter().map(String::len).sum())?;
        Ok(roles)
    }

    fn client_seed(&mut self) -> Result<String> {
        self.read()?;
        match self.ask(HostRequest::ClientSeed)? {
            HostResponse::Text(text) => Ok(text.as_ref().into()),
            other => mismatch(&other),
        }
    }

    fn wake(&mut self, schedule: String, at: u64) -> Result<Result<(), types::Refusal>> {
        count(&mut self.counts.writes, CALL_WRITES_MAX, "writes")?;
        self.charge(FUEL_PER_REQUEST)?;
        length(schedule.len(), SEGMENT_CHARS_MAX, "the name of a schedule")?;
        let from = Timestamp(at);
        self.done(HostRequest::Wake { schedule, from })
    }

    fn configuration(&mut self) -> Result<String> {
        self.charge(FUEL_PER_READ)?;
        let text = self.configuration()?.clone();
        self.charge_bytes(text.bytes())?;
        Ok(text.as_str().into())
    }
}

impl log::Host for Guest {
    fn write(&mut self, level: log::Level, message: String) -> Result<()> {
        let level = match level {
            log::Level::Debug => LogLevel::Debug,
            log::Level::Info => LogLevel::Info,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Error => LogLevel::Error,
        };
        self.write_line(level, &message)
    }
}

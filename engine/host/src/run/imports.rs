//! The host functions of the contract: each parses its arguments and sends a request to the responder.
//!
//! These functions decide nothing about money. Arguments that do not parse, such as an invalid name or amount, are a fault
//! and end the call. A refusal of the draft is returned to the guest.

mod v0_1;

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
use crate::run::failure::{Fault, InternalError, RejectedBeforeDraw};
use crate::run::guest::{Guest, LogLevel};

fn fault<T>(text: impl Into<String>) -> Result<T> {
    Err(Fault(text.into()).into())
}

fn parse_name<T: FromStr>(noun: &str, text: &str) -> Result<T>
where
    T::Err: std::fmt::Display,
{
    text.parse().or_else(|error| {
        let shown: String = text
            .chars()
            .take(64)
            .flat_map(char::escape_default)
            .collect();
        fault(format!("`{shown}` is not the name of an {noun}: {error}"))
    })
}

fn parse_amount(units: u64) -> Result<Amount> {
    Amount::new(units).map_or_else(
        || {
            fault(format!(
                "{units} is not an amount: amounts are 1 to 2^53 - 1"
            ))
        },
        Ok,
    )
}

fn count(counter: &mut usize, max: usize, noun: &str) -> Result<()> {
    if *counter >= max {
        return fault(format!("more than {max} {noun} in one call"));
    }
    *counter += 1;
    Ok(())
}

fn check_length(bytes: usize, max: usize, noun: &str) -> Result<()> {
    if bytes > max {
        return fault(format!("{noun} of {bytes} bytes, of at most {max}"));
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

/// Returns the error for a response of the wrong kind, which the draft never gives.
fn unexpected_response<T>(response: &HostResponse) -> Result<T> {
    Err(InternalError(format!("the draft responded with {response:?}")).into())
}

impl Guest {
    fn request_unit(&mut self, request: HostRequest) -> Result<Result<(), types::Refusal>> {
        match self.request(request)? {
            HostResponse::Done => Ok(Ok(())),
            HostResponse::Refused(reason) => Ok(Err(refusal(reason))),
            other => unexpected_response(&other),
        }
    }

    fn count_read(&mut self) -> Result<()> {
        count(&mut self.counts.reads, CALL_READS_MAX, "reads")?;
        self.charge(FUEL_PER_READ)
    }

    fn count_write(&mut self, key: &str, value: &str) -> Result<()> {
        count(&mut self.counts.writes, CALL_WRITES_MAX, "writes")?;
        check_state_key(key)?;
        check_length(value.len(), STATE_VALUE_BYTES_MAX, "a value")?;
        self.charge(FUEL_PER_REQUEST)?;
        self.charge_bytes(key.len() + value.len())
    }
}

fn check_state_key(key: &str) -> Result<()> {
    if key.is_empty() {
        return fault("an empty key");
    }
    check_length(key.len(), STATE_KEY_BYTES_MAX, "a key")
}

impl types::Host for Guest {}

impl ledger::Host for Guest {
    fn balance(
        &mut self,
        account: String,
        asset: String,
    ) -> Result<Result<types::Amounts, types::Refusal>> {
        self.count_read()?;
        let account: AccountId = parse_name("account", &account)?;
        let asset: AssetId = parse_name("asset", &asset)?;
        match self.request(HostRequest::Balance { account, asset })? {
            HostResponse::Balance(balance) => Ok(Ok(types::Amounts {
                posted: balance.posted,
                held: balance.held,
                spendable: balance.spendable,
            })),
            HostResponse::Refused(reason) => Ok(Err(refusal(reason))),
            other => unexpected_response(&other),
        }
    }

    fn has_at_least(
        &mut self,
        account: String,
        asset: String,
        units: u64,
    ) -> Result<Result<bool, types::Refusal>> {
        self.count_read()?;
        let account: AccountId = parse_name("account", &account)?;
        let asset: AssetId = parse_name("asset", &asset)?;
        let amount = parse_amount(units)?;
        match self.request(HostRequest::HasAtLeast {
            account,
            asset,
            amount,
        })? {
            HostResponse::Bool(covered) => Ok(Ok(covered)),
            HostResponse::Refused(reason) => Ok(Err(refusal(reason))),
            other => unexpected_response(&other),
        }
    }

    fn transfer(&mut self, posting: types::Posting) -> Result<Result<(), types::Refusal>> {
        count(&mut self.counts.postings, CALL_POSTINGS_MAX, "transfers")?;
        self.charge(FUEL_PER_REQUEST)?;
        let posting = parse_posting(&posting)?;
        self.request_unit(HostRequest::Transfer(posting))
    }

    fn place_hold(
        &mut self,
        rule: String,
        posting: types::Posting,
    ) -> Result<Result<String, types::Refusal>> {
        count(&mut self.counts.holds, CALL_HOLDS_MAX, "holds placed")?;
        self.charge(FUEL_PER_REQUEST)?;
        check_length(rule.len(), SEGMENT_CHARS_MAX, "the name of a kind of hold")?;
        let posting = parse_posting(&posting)?;
        match self.request(HostRequest::PlaceHold { rule, posting })? {
            HostResponse::Placed(hold) => Ok(Ok(hold.to_string())),
            HostResponse::Refused(reason) => Ok(Err(refusal(reason))),
            other => unexpected_response(&other),
        }
    }

    fn capture_hold(
        &mut self,
        hold: String,
        units: Option<u64>,
    ) -> Result<Result<(), types::Refusal>> {
        count(&mut self.counts.postings, CALL_POSTINGS_MAX, "transfers")?;
        self.charge(FUEL_PER_REQUEST)?;
        let hold = parse_hold_id(&hold)?;
        let amount = units.map(parse_amount).transpose()?;
        self.request_unit(HostRequest::CaptureHold { hold, amount })
    }

    fn release_hold(&mut self, hold: String) -> Result<Result<(), types::Refusal>> {
        count(&mut self.counts.postings, CALL_POSTINGS_MAX, "transfers")?;
        self.charge(FUEL_PER_REQUEST)?;
        let hold = parse_hold_id(&hold)?;
        self.request_unit(HostRequest::ReleaseHold { hold })
    }

    fn hold_left(&mut self, hold: String) -> Result<Option<u64>> {
        self.count_read()?;
        let hold = parse_hold_id(&hold)?;
        match self.request(HostRequest::HoldLeft { hold })? {
            HostResponse::Left(left) => Ok(left.map(Amount::get)),
            other => unexpected_response(&other),
        }
    }
}

fn parse_posting(posting: &types::Posting) -> Result<Posting> {
    Ok(Posting {
        source: parse_name("account", &posting.source)?,
        destination: parse_name("account", &posting.destination)?,
        asset: parse_name("asset", &posting.asset)?,
        amount: parse_amount(posting.amount)?,
    })
}

/// Parses the id of a hold. The host made all ids, so an invalid one is a fault.
fn parse_hold_id(text: &str) -> Result<HoldId> {
    let parsed = text.parse().map(HoldId);
    parsed.or_else(|_| fault("that is not the id of a hold"))
}

impl state::Host for Guest {
    fn get(&mut self, key: String) -> Result<Option<String>> {
        self.count_read()?;
        check_state_key(&key)?;
        match self.request(HostRequest::Get { key: key.into() })? {
            HostResponse::Value(value) => {
                self.charge_bytes(value.as_ref().map_or(0, |value| value.len()))?;
                Ok(value.map(|value| value.as_ref().into()))
            }
            other => unexpected_response(&other),
        }
    }

    fn set(&mut self, key: String, value: String) -> Result<()> {
        self.count_write(&key, &value)?;
        self.request(HostRequest::Set {
            key: key.into(),
            value: value.into(),
        })
        .map(drop)
    }

    fn delete(&mut self, key: String) -> Result<()> {
        self.count_write(&key, "")?;
        self.request(HostRequest::Delete { key: key.into() })
            .map(drop)
    }

    fn list(&mut self, prefix: String, cursor: Option<String>) -> Result<state::Page> {
        self.count_read()?;
        check_length(prefix.len(), STATE_KEY_BYTES_MAX, "a prefix")?;
        check_length(
            cursor.as_ref().map_or(0, String::len),
            STATE_KEY_BYTES_MAX,
            "a cursor",
        )?;
        match self.request(HostRequest::List {
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
            other => unexpected_response(&other),
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
        let account = parse_name("account", &account)?;
        let asset = parse_name("asset", &asset)?;
        self.request_unit(HostRequest::Secure {
            account,
            asset,
            amount: parse_amount(units)?,
        })
    }

    fn below(&mut self, n: u32, label: String) -> Result<u32> {
        if n == 0 {
            return fault("a draw below 0: there is nothing to draw");
        }
        match self.draw(label.len(), HostRequest::Draw { range: n, label })? {
            HostResponse::Drawn(drawn) => Ok(drawn),
            other => unexpected_response(&other),
        }
    }

    fn secure_hold(&mut self, hold: String) -> Result<Result<(), types::Refusal>> {
        count(
            &mut self.counts.secures,
            CALL_SECURES_MAX,
            "secured amounts",
        )?;
        self.charge(FUEL_PER_REQUEST)?;
        let hold = parse_hold_id(&hold)?;
        self.request_unit(HostRequest::SecureHold { hold })
    }

    fn mix(&mut self, text: String) -> Result<()> {
        self.charge(FUEL_PER_REQUEST)?;
        self.charge_bytes(text.len())?;
        self.counts.mixed = self.counts.mixed.saturating_add(text.len());
        check_length(
            self.counts.mixed,
            DRAW_MIX_BYTES_MAX,
            "mixed into draws: text",
        )?;
        match self.request_unit(HostRequest::Mix { text })? {
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
            other => unexpected_response(&other),
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
                bytes.map_err(|_| {
                    InternalError(format!(
                        "the draft drew bytes that are not hexadecimal: {digits:?}"
                    ))
                    .into()
                })
            }
            other => unexpected_response(&other),
        }
    }
}

impl Guest {
    /// Sends a request for a draw. The first draw fixes the origin of all draws of the call.
    fn draw(&mut self, label_bytes: usize, request: HostRequest) -> Result<HostResponse> {
        count(&mut self.counts.draws, CALL_DRAWS_MAX, "draws")?;
        self.charge(FUEL_PER_REQUEST)?;
        check_length(label_bytes, DRAW_LABEL_BYTES_MAX, "a label")?;
        match self.request_draw(request)? {
            HostResponse::Ends(rejection) => Err(RejectedBeforeDraw(rejection).into()),
            response => Ok(response),
        }
    }
}

impl call::Host for Guest {
    // `name` and `own_account` depend only on the recorded request, so they do not count as reads and are not in the
    // transcript.
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
        self.count_read()?;
        match self.request(HostRequest::ClientSeed)? {
            HostResponse::Text(text) => Ok(text.as_ref().into()),
            other => unexpected_response(&other),
        }
    }

    fn wake(&mut self, schedule: String, at: u64) -> Result<Result<(), types::Refusal>> {
        count(&mut self.counts.writes, CALL_WRITES_MAX, "writes")?;
        self.charge(FUEL_PER_REQUEST)?;
        check_length(schedule.len(), SEGMENT_CHARS_MAX, "the name of a schedule")?;
        let from = Timestamp(at);
        self.request_unit(HostRequest::Wake { schedule, from })
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

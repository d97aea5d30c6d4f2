//! A call, as an action sees it: who asks, what is so, and what can be asked for.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::bursar::plugin::{call, fair, ledger, log, state, types};
use crate::decline::Decline;
use crate::values::{Account, Amount, Asset};
use crate::{Amounts, Refusal};

/// The call that an action answers.
pub struct Call<C> {
    config: C,
}

impl<C> Call<C> {
    /// A call with its configuration, as the generated code makes it.
    #[doc(hidden)]
    pub fn new(config: C) -> Self {
        Self { config }
    }

    /// Reads arguments, runs an action, and writes its reply.
    #[doc(hidden)]
    pub fn answer<A: DeserializeOwned, R: Serialize>(
        &self,
        arguments: &str,
        action: fn(&Self, A) -> Result<R, Decline>,
    ) -> Result<String, Decline> {
        let arguments = serde_json::from_str(arguments)
            .map_err(|error| Decline::new("bad_arguments", error.to_string()))?;
        let reply = action(self, arguments)?;
        serde_json::to_string(&reply).map_err(|error| Decline::new("bad_reply", error.to_string()))
    }

    /// The operator's configuration.
    pub fn config(&self) -> &C {
        &self.config
    }

    /// The member on whose behalf the plugin runs.
    pub fn caller(&self) -> Account {
        call::caller().into()
    }

    /// The call's own time, in milliseconds since 1970-01-01 UTC. It does not pass.
    pub fn now_ms(&self) -> u64 {
        call::now()
    }

    /// The call's id, the same in every try.
    pub fn id(&self) -> String {
        call::id()
    }

    /// Reads a balance: the caller's, the plugin's own, or a granted one. If it changes before the
    /// call commits, the call runs again; [`Call::has_at_least`] makes that rare.
    pub fn balance(&self, account: &Account, asset: &Asset) -> Result<Amounts, Refusal> {
        ledger::balance(account.as_str(), asset.as_str())
    }

    /// Whether an account could spend an amount.
    pub fn has_at_least(
        &self,
        account: &Account,
        asset: &Asset,
        amount: Amount,
    ) -> Result<bool, Refusal> {
        ledger::has_at_least(account.as_str(), asset.as_str(), amount.get())
    }

    /// Asks for a movement. All movements of a call are one transfer, in the order asked; whether
    /// the source can pay is decided when the call commits.
    pub fn transfer(
        &self,
        source: &Account,
        destination: &Account,
        asset: &Asset,
        amount: Amount,
    ) -> Result<(), Refusal> {
        ledger::transfer(&types::Posting {
            source: source.to_string(),
            destination: destination.to_string(),
            asset: asset.to_string(),
            amount: amount.get(),
        })
    }

    /// The value of a key of the plugin's state; none if the key is not there. A value that is not
    /// what is expected is a decline: another version of the plugin may have written it.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Decline> {
        let Some(text) = state::get(key) else {
            return Ok(None);
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| Decline::new("bad_state", format!("The state of {key}: {error}")))
    }

    /// Sets a key of the plugin's state: at most 128 bytes of key and 4,096 of JSON.
    pub fn set<T: Serialize>(&self, key: &str, value: &T) -> Result<(), Decline> {
        let text = serde_json::to_string(value)
            .map_err(|error| Decline::new("bad_state", format!("The state of {key}: {error}")))?;
        state::set(key, &text);
        Ok(())
    }

    /// Removes a key of the plugin's state.
    pub fn delete(&self, key: &str) {
        state::delete(key);
    }

    /// Up to 64 keys that begin with a prefix, and where the next page begins.
    pub fn keys(&self, prefix: &str, cursor: Option<&str>) -> (Vec<String>, Option<String>) {
        let page = state::list(prefix, cursor);
        (page.keys, page.next)
    }

    /// Secures an amount of one of the plugin's own accounts before the first draw: the most that
    /// may be paid out of it in this call.
    pub fn secure(&self, account: &Account, asset: &Asset, amount: Amount) -> Result<(), Refusal> {
        fair::secure(account.as_str(), asset.as_str(), amount.get())
    }

    /// Draws a number from 0 to `n` − 1, each equally likely; `n` is 1 to 2^31. From the first draw
    /// on the call can neither decline nor take anything of a member's.
    pub fn below(&self, n: u32, label: &str) -> u32 {
        fair::below(n, label)
    }

    /// Writes a line for the operator.
    pub fn log(&self, message: &str) {
        log::write(log::Level::Info, message);
    }
}

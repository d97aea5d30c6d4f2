//! The host functions of contract 0.1.0. The present contract has all of them, so each forwards to its present function.

use wasmtime::Result;

use crate::run::bindings::bursar::plugin::types::{Amounts, Posting, Refusal};
use crate::run::bindings::bursar::plugin::{call, fair, ledger, log, state};
use crate::run::bindings::v0_1::bursar::plugin as v0_1;
use crate::run::guest::Guest;

impl v0_1::ledger::Host for Guest {
    fn balance(&mut self, account: String, asset: String) -> Result<Result<Amounts, Refusal>> {
        ledger::Host::balance(self, account, asset)
    }

    fn has_at_least(
        &mut self,
        account: String,
        asset: String,
        amount: u64,
    ) -> Result<Result<bool, Refusal>> {
        ledger::Host::has_at_least(self, account, asset, amount)
    }

    fn transfer(&mut self, posting: Posting) -> Result<Result<(), Refusal>> {
        ledger::Host::transfer(self, posting)
    }

    fn place_hold(&mut self, rule: String, posting: Posting) -> Result<Result<String, Refusal>> {
        ledger::Host::place_hold(self, rule, posting)
    }

    fn capture_hold(&mut self, hold: String, amount: Option<u64>) -> Result<Result<(), Refusal>> {
        ledger::Host::capture_hold(self, hold, amount)
    }

    fn release_hold(&mut self, hold: String) -> Result<Result<(), Refusal>> {
        ledger::Host::release_hold(self, hold)
    }

    fn hold_left(&mut self, hold: String) -> Result<Option<u64>> {
        ledger::Host::hold_left(self, hold)
    }
}

impl v0_1::state::Host for Guest {
    fn get(&mut self, key: String) -> Result<Option<String>> {
        state::Host::get(self, key)
    }

    fn set(&mut self, key: String, value: String) -> Result<()> {
        state::Host::set(self, key, value)
    }

    fn delete(&mut self, key: String) -> Result<()> {
        state::Host::delete(self, key)
    }

    fn list(&mut self, prefix: String, cursor: Option<String>) -> Result<v0_1::state::Page> {
        let state::Page { keys, next } = state::Host::list(self, prefix, cursor)?;
        Ok(v0_1::state::Page { keys, next })
    }
}

impl v0_1::fair::Host for Guest {
    fn secure(
        &mut self,
        account: String,
        asset: String,
        amount: u64,
    ) -> Result<Result<(), Refusal>> {
        fair::Host::secure(self, account, asset, amount)
    }

    fn below(&mut self, n: u32, label: String) -> Result<u32> {
        fair::Host::below(self, n, label)
    }

    fn secure_hold(&mut self, hold: String) -> Result<Result<(), Refusal>> {
        fair::Host::secure_hold(self, hold)
    }

    fn mix(&mut self, text: String) -> Result<()> {
        fair::Host::mix(self, text)
    }

    fn shuffle(&mut self, n: u32, label: String) -> Result<Vec<u32>> {
        fair::Host::shuffle(self, n, label)
    }

    fn bytes(&mut self, n: u32, label: String) -> Result<Vec<u8>> {
        fair::Host::bytes(self, n, label)
    }
}

impl v0_1::call::Host for Guest {
    fn action(&mut self) -> Result<String> {
        call::Host::action(self)
    }

    fn caller(&mut self) -> Result<String> {
        call::Host::caller(self)
    }

    fn now(&mut self) -> Result<u64> {
        call::Host::now(self)
    }

    fn id(&mut self) -> Result<String> {
        call::Host::id(self)
    }

    fn configuration(&mut self) -> Result<String> {
        call::Host::configuration(self)
    }

    fn roles(&mut self) -> Result<Vec<String>> {
        call::Host::roles(self)
    }

    fn client_seed(&mut self) -> Result<String> {
        call::Host::client_seed(self)
    }
}

impl v0_1::log::Host for Guest {
    fn write(&mut self, level: v0_1::log::Level, message: String) -> Result<()> {
        let level = match level {
            v0_1::log::Level::Debug => log::Level::Debug,
            v0_1::log::Level::Info => log::Level::Info,
            v0_1::log::Level::Warn => log::Level::Warn,
            v0_1::log::Level::Error => log::Level::Error,
        };
        log::Host::write(self, level, message)
    }
}

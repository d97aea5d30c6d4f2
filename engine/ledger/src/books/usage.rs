//! Counters of the use of quotas, updated with each change, so that a check never has to count.

use crate::account::Account;
use crate::asset::Asset;
use crate::document::Document;

/// Counters of the quotas that are not the length of a map in the books.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct UsageCounters {
    pub(crate) metadata_bytes: u64,
    pub(crate) balances: u64,
    pub(crate) state_bytes: u64,
}

/// Returns the size of metadata in bytes.
pub(super) fn metadata_bytes(metadata: Option<&Document>) -> u64 {
    metadata.map_or(0, |metadata| to_u64(metadata.bytes()))
}

/// Converts a length to the number type of quotas.
pub(super) fn to_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

impl UsageCounters {
    pub(crate) fn add_account(&mut self, account: &Account) {
        self.replace_metadata(None, account.metadata.as_ref());
        self.balances = self.balances.saturating_add(to_u64(account.balances.len()));
    }

    pub(crate) fn add_asset(&mut self, asset: &Asset) {
        self.replace_metadata(None, asset.metadata.as_ref());
    }

    pub(crate) fn add_balance(&mut self) {
        self.balances = self.balances.saturating_add(1);
    }

    pub(crate) fn replace_metadata(&mut self, before: Option<&Document>, after: Option<&Document>) {
        let before = metadata_bytes(before);
        let after = metadata_bytes(after);
        self.metadata_bytes = changed(self.metadata_bytes, before, after);
    }

    pub(crate) fn change_state(&mut self, before: u64, after: u64) {
        self.state_bytes = changed(self.state_bytes, before, after);
    }
}

fn changed(sum: u64, before: u64, after: u64) -> u64 {
    sum.saturating_sub(before).saturating_add(after)
}

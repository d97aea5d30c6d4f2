//! Debts: amounts on the plugin's account that a member has to collect.

use bursar_plugin::name_key;
use bursar_plugin::prelude::*;

use crate::replies::CollectReply;

/// An amount that the plugin owes a member, since the member's account was full.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Debt {
    asset: Asset,
    amount: Amount,
}

impl Debt {
    pub(crate) fn new(asset: &Asset, amount: Amount) -> Self {
        let asset = asset.clone();
        Self { asset, amount }
    }

    pub(crate) fn asset(&self) -> &Asset {
        &self.asset
    }

    pub(crate) fn amount(&self) -> Amount {
        self.amount
    }

    /// Returns the reply to `collect`.
    pub(crate) fn collected(self, more: bool) -> CollectReply {
        CollectReply {
            asset: self.asset,
            amount: self.amount,
            more,
        }
    }
}

/// Returns the prefix of the keys of a member's debts.
pub(crate) fn prefix(member: &Account) -> String {
    format!("o/{member}/")
}

/// Returns the key of a debt to a member from a lot.
pub(crate) fn key(member: &Account, lot: u64) -> Result<String, Decline> {
    name_key(format!("{}{lot}", prefix(member)))
}

/// Declines `collect` of a member without debts.
pub(crate) fn nothing_owed() -> Decline {
    Decline::new("nothing_to_collect", "There is nothing for you to collect.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debt_is_stored_up_to_the_length_of_a_key() {
        let member = |chars: usize| {
            let name = format!("{}:{}", "a".repeat(64), "b".repeat(chars - 65));
            name.parse::<Account>().expect("a name")
        };
        assert!(key(&member(105), u64::MAX).is_ok());
        let long = key(&member(106), u64::MAX).expect_err("too long");
        assert_eq!(long.code(), "name_too_long");
    }
}

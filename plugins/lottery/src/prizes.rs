//! Prizes that members have won and not claimed yet.

use bursar_plugin::name_key;
use bursar_plugin::prelude::*;

/// The amount of one asset that a member has won and not claimed yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Prize {
    amount: Amount,
}

impl Prize {
    pub(crate) fn amount(self) -> Amount {
        self.amount
    }

    /// Adds an amount to an earlier prize, if there is one.
    pub(crate) fn add(earlier: Option<Self>, more: Amount) -> Result<Self, Decline> {
        let amount = match earlier {
            Some(earlier) => earlier.amount.checked_add(more)?,
            None => more,
        };
        Ok(Self { amount })
    }
}

/// Returns the decline of a claim by a member without prizes.
pub(crate) fn nothing_won() -> Decline {
    Decline::new("nothing_won", "There is nothing for you to claim.")
}

/// Returns the prefix of the keys of a member's prizes. In a key, the asset follows it.
pub(crate) fn prefix(member: &Account) -> Result<String, Decline> {
    name_key(format!("prize/{member}/"))
}

/// Returns the key of a member's prize in an asset.
pub(crate) fn key(member: &Account, asset: &Asset) -> Result<String, Decline> {
    name_key(format!("prize/{member}/{asset}"))
}

/// Returns the asset of a prize from its key.
pub(crate) fn asset(prefix: &str, key: &str) -> Result<Asset, Decline> {
    let asset = key.strip_prefix(prefix).unwrap_or_default();
    Ok(asset.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::tests::{long_name, member};

    #[test]
    fn the_key_of_a_prize_has_its_asset() {
        let gem = Asset::new("gem");
        let prefix = prefix(&member(1)).expect("it is short");
        let key = key(&member(1), &gem).expect("it is short");
        assert_eq!(asset(&prefix, &key), Ok(gem));
    }

    #[test]
    fn a_prize_is_stored_up_to_the_length_of_a_key() {
        let coin = Asset::new("coin");
        let code = |chars| {
            let result = key(&long_name(chars), &coin);
            result.map(drop).map_err(|decline| decline.code())
        };
        assert_eq!(code(117), Ok(()));
        assert_eq!(code(118), Err("name_too_long"));
    }
}

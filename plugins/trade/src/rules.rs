//! The rules of a trade, without the host.

use std::collections::BTreeMap;

use bursar_plugin::prelude::*;
use bursar_plugin::{OpenList, member_key};

/// The largest number of assets on one side of a trade. Both sides together stay within a call's 16 transfers.
const ASSETS_MAX: usize = 7;

/// The largest number of open offers of one member. With the longest names they take about 20 KB of the plugin's
/// state.
const OPEN_MAX: usize = 10;

/// The lifetime of an offer in seconds, which is that of its holds in the manifest.
pub(crate) const LIFETIME_S: u64 = 86_400;

/// The largest number of ended offers that a new offer deletes. It is more than the new offer adds.
pub(crate) const DELETED_MAX: u64 = 4;

/// The configuration, which is empty.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {}

/// Amounts by asset.
pub(crate) type Basket = BTreeMap<Asset, Amount>;

/// The arguments of `offer`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfferArguments {
    /// The member who may accept the offer.
    pub(crate) to: Account,
    /// The offered amounts of one to seven assets.
    #[schemars(extend("minProperties" = 1, "maxProperties" = ASSETS_MAX))]
    pub(crate) give: Basket,
    /// The wanted amounts of up to seven assets. If empty, the offer is a gift.
    #[serde(default)]
    #[schemars(extend("maxProperties" = ASSETS_MAX))]
    pub(crate) want: Basket,
}

/// The arguments of `accept` and `withdraw`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TradeArguments {
    /// The number of the offer.
    pub(crate) trade: u64,
}

/// The reply to `offer`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct OfferReply {
    /// The number of the offer.
    pub(crate) trade: u64,
}

/// The reply to `accept`.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct AcceptReply {
    /// The member who made the offer.
    with: Account,
    /// The received amounts.
    received: Basket,
    /// The amounts given in exchange.
    given: Basket,
}

/// The reply to `withdraw`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct WithdrawReply {
    /// The number of the offer.
    pub(crate) trade: u64,
}

/// The hold of one offered amount.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct OfferHold {
    pub(crate) hold: HoldId,
}

/// A stored offer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Trade {
    from: Account,
    to: Account,
    give: Basket,
    want: Basket,
    #[serde(rename = "held")]
    holds: Vec<OfferHold>,
}

/// Returns the key of an offer.
pub(crate) fn key(number: u64) -> String {
    format!("t/{number}")
}

/// Returns the key of the list of a member's open offers.
pub(crate) fn open_key(member: &Account) -> Result<String, Decline> {
    member_key("o", member)
}

/// Adds an offer to a member's open offers, or declines one that is too many.
pub(crate) fn add_open(mut open: OpenList, number: u64, now_ms: u64) -> Result<OpenList, Decline> {
    let until_ms = now_ms.saturating_add(LIFETIME_S * 1000);
    if open.add(number, until_ms, now_ms, OPEN_MAX) {
        return Ok(open);
    }
    let message = format!("You have {OPEN_MAX} offers open: withdraw one before the next.");
    Err(Decline::new("too_many_offers", message))
}

/// Declines an action on an offer that is not stored.
pub(crate) fn no_such_trade() -> Decline {
    Decline::new("no_such_trade", "That offer does not exist, or is over.")
}

/// Declines to accept an offer whose holds have ended or are not whole.
pub(crate) fn too_late() -> Decline {
    let message = "The offer has ended, or a part of it is no longer available: ask for a new one.";
    Decline::new("too_late", message)
}

impl OfferArguments {
    /// Declines an offer that cannot be a trade.
    pub(crate) fn check(&self, caller: &Account) -> Result<(), Decline> {
        if self.to == *caller {
            return Err(Decline::new(
                "trades_self",
                "You cannot trade with yourself.",
            ));
        }
        if !(1..=ASSETS_MAX).contains(&self.give.len()) || self.want.len() > ASSETS_MAX {
            let message =
                format!("An offer gives 1 to {ASSETS_MAX} assets and wants at most {ASSETS_MAX}.");
            return Err(Decline::new("too_much", message));
        }
        if self.give.keys().any(|asset| self.want.contains_key(asset)) {
            return Err(Decline::new(
                "same_asset",
                "An asset can be on one side only.",
            ));
        }
        Ok(())
    }
}

impl Trade {
    pub(crate) fn new(from: Account, offer: OfferArguments, holds: Vec<OfferHold>) -> Self {
        Self {
            from,
            to: offer.to,
            give: offer.give,
            want: offer.want,
            holds,
        }
    }

    pub(crate) fn offerer(&self) -> &Account {
        &self.from
    }

    /// Returns the holds of the offered amounts, each with its original amount.
    pub(crate) fn holds(&self) -> impl Iterator<Item = (&HoldId, Amount)> {
        let holds = self.holds.iter().map(|it| &it.hold);
        holds.zip(self.give.values().copied())
    }

    /// Returns the wanted amounts.
    pub(crate) fn price(&self) -> &Basket {
        &self.want
    }

    /// Declines any other member than the receiver of the offer.
    pub(crate) fn check_receiver(&self, caller: &Account) -> Result<(), Decline> {
        if self.to == *caller {
            return Ok(());
        }
        Err(Decline::new(
            "not_yours",
            "The offer was made to another member.",
        ))
    }

    /// Declines any other member than the two of the offer.
    pub(crate) fn check_either(&self, caller: &Account) -> Result<(), Decline> {
        if self.to == *caller || self.from == *caller {
            return Ok(());
        }
        Err(Decline::new(
            "not_yours",
            "The offer is between other members.",
        ))
    }

    /// Returns the reply to `accept`.
    pub(crate) fn accepted(self) -> AcceptReply {
        AcceptReply {
            with: self.from,
            received: self.give,
            given: self.want,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(number: u32) -> Account {
        format!("user:{number}").parse().expect("an account")
    }

    fn offer(give: &str, want: &str) -> OfferArguments {
        let text = format!(r#"{{"to": "user:2", "give": {give}, "want": {want}}}"#);
        serde_json::from_str(&text).expect("an offer")
    }

    fn decline_code(offer: &OfferArguments, caller: u32) -> &'static str {
        offer.check(&member(caller)).expect_err("declined").code()
    }

    fn basket(count: usize, name: &str) -> String {
        let parts: Vec<String> = (0..count)
            .map(|number| format!("\"{name}{number}\": 1"))
            .collect();
        format!("{{{}}}", parts.join(","))
    }

    #[test]
    fn baskets_end_at_their_limits() {
        assert_eq!(
            offer(&basket(7, "a"), &basket(7, "b")).check(&member(1)),
            Ok(())
        );
        assert_eq!(decline_code(&offer(&basket(8, "a"), "{}"), 1), "too_much");
        assert_eq!(
            decline_code(&offer(&basket(1, "a"), &basket(8, "b")), 1),
            "too_much"
        );
        assert_eq!(decline_code(&offer("{}", &basket(1, "b")), 1), "too_much");
    }

    #[test]
    fn the_open_offers_of_a_member_are_limited() {
        let add = |open, number| add_open(open, number, 0).expect("there is a place");
        let full = (0..OPEN_MAX as u64).fold(OpenList::default(), add);
        let more = add_open(full.clone(), 99, LIFETIME_S * 1000 - 1).expect_err("one too many");
        assert_eq!(more.code(), "too_many_offers");
        assert!(
            add_open(full, 99, LIFETIME_S * 1000).is_ok(),
            "they are over"
        );
    }

    #[test]
    fn a_trade_has_two_members_and_different_assets() {
        assert_eq!(
            decline_code(&offer(r#"{"coin": 1}"#, "{}"), 2),
            "trades_self"
        );
        assert_eq!(
            decline_code(&offer(r#"{"coin": 1}"#, r#"{"coin": 2}"#), 1),
            "same_asset"
        );
    }

    #[test]
    fn only_the_two_members_of_an_offer_end_it() {
        let trade = Trade::new(member(1), offer(r#"{"coin": 1}"#, "{}"), Vec::new());
        assert!(trade.check_receiver(&member(2)).is_ok());
        assert!(trade.check_receiver(&member(1)).is_err());
        assert!(trade.check_either(&member(1)).is_ok() && trade.check_either(&member(2)).is_ok());
        assert!(trade.check_either(&member(3)).is_err());
    }
}

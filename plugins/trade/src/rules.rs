//! The rules of a trade: plain functions, without the host.

use std::collections::BTreeMap;

use bursar_plugin::prelude::*;
use bursar_plugin::{OpenList, member_key};

/// Different assets on one side of a trade. Both sides together stay within a call's 16 transfers.
const ASSETS_MAX: usize = 7;

/// Offers that a member has open at a time: with the longest names they take some 20 KB of what is kept for
/// all.
const OPEN_MAX: usize = 10;

/// How long an offer is open: as its holds in the manifest.
pub(crate) const LIVES_S: u64 = 86_400;

/// Offers that have ended which another one forgets: more than it adds.
pub(crate) const FORGOTTEN: u64 = 4;

/// What the operator sets: nothing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {}

/// Amounts by asset.
pub(crate) type Basket = BTreeMap<Asset, Amount>;

/// What is offered to whom, for what.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Offer {
    /// Who may accept it.
    pub(crate) to: Account,
    /// What is given: one to seven assets.
    #[schemars(extend("minProperties" = 1, "maxProperties" = ASSETS_MAX))]
    pub(crate) give: Basket,
    /// What is wanted for it: up to seven assets; a gift where it is empty.
    #[serde(default)]
    #[schemars(extend("maxProperties" = ASSETS_MAX))]
    pub(crate) want: Basket,
}

/// The number of a trade.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Accept {
    /// Which trade.
    pub(crate) trade: u64,
}

/// An offer that stands.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Offered {
    /// Its number.
    pub(crate) trade: u64,
}

/// A trade that was made.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Accepted {
    /// With whom.
    with: Account,
    /// What was received.
    received: Basket,
    /// What was given for it.
    given: Basket,
}

/// An offer that is gone.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Withdrawn {
    /// Its number.
    pub(crate) trade: u64,
}

/// Something that is held for a trade.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Held {
    pub(crate) hold: HoldId,
}

/// An offer as it is kept.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Trade {
    from: Account,
    to: Account,
    give: Basket,
    want: Basket,
    held: Vec<Held>,
}

/// Where a trade is kept.
pub(crate) fn key(number: u64) -> String {
    format!("t/{number}")
}

/// Where it is kept which offers a member has open.
pub(crate) fn open_key(member: &Account) -> Result<String, Decline> {
    member_key("o", member)
}

/// What a member has open with one more offer, if it may.
pub(crate) fn opened(mut open: OpenList, number: u64, now_ms: u64) -> Result<OpenList, Decline> {
    let until_ms = now_ms.saturating_add(LIVES_S * 1000);
    if open.add(number, until_ms, now_ms, OPEN_MAX) {
        return Ok(open);
    }
    let message = format!("You have {OPEN_MAX} offers open: withdraw one before the next.");
    Err(Decline::new("too_many_offers", message))
}

pub(crate) fn no_such_trade() -> Decline {
    Decline::new("no_such_trade", "There is no such offer any more.")
}

pub(crate) fn too_late() -> Decline {
    let message = "The offer has ended, or not all of it is there any more: ask for another.";
    Decline::new("too_late", message)
}

impl Offer {
    /// Whether it can be a trade.
    pub(crate) fn check(&self, caller: &Account) -> Result<(), Decline> {
        if self.to == *caller {
            return Err(Decline::new(
                "trades_self",
                "A trade is with somebody else.",
            ));
        }
        if !(1..=ASSETS_MAX).contains(&self.give.len()) || self.want.len() > ASSETS_MAX {
            let message =
                format!("Each side has at most {ASSETS_MAX} assets, and the first at least one.");
            return Err(Decline::new("too_much", message));
        }
        if self.give.keys().any(|asset| self.want.contains_key(asset)) {
            return Err(Decline::new("same_asset", "An asset is on one side only."));
        }
        Ok(())
    }
}

impl Trade {
    pub(crate) fn new(from: Account, offer: Offer, held: Vec<Held>) -> Self {
        Self {
            from,
            to: offer.to,
            give: offer.give,
            want: offer.want,
            held,
        }
    }

    pub(crate) fn offerer(&self) -> &Account {
        &self.from
    }

    /// The holds of what is given, each with the amount that it was placed with.
    pub(crate) fn held(&self) -> impl Iterator<Item = (&HoldId, Amount)> {
        let holds = self.held.iter().map(|held| &held.hold);
        holds.zip(self.give.values().copied())
    }

    /// What is to be paid for it.
    pub(crate) fn price(&self) -> &Basket {
        &self.want
    }

    pub(crate) fn check_receiver(&self, caller: &Account) -> Result<(), Decline> {
        if self.to == *caller {
            return Ok(());
        }
        Err(Decline::new(
            "not_yours",
            "The offer was made to somebody else.",
        ))
    }

    pub(crate) fn check_either(&self, caller: &Account) -> Result<(), Decline> {
        if self.to == *caller || self.from == *caller {
            return Ok(());
        }
        Err(Decline::new("not_yours", "The offer is between others."))
    }

    /// What the receiver is told.
    pub(crate) fn accepted(self) -> Accepted {
        Accepted {
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

    fn offer(give: &str, want: &str) -> Offer {
        let text = format!(r#"{{"to": "user:2", "give": {give}, "want": {want}}}"#);
        serde_json::from_str(&text).expect("an offer")
    }

    fn refused(offer: &Offer, caller: u32) -> &'static str {
        offer.check(&member(caller)).expect_err("refused").code()
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
        assert_eq!(refused(&offer(&basket(8, "a"), "{}"), 1), "too_much");
        assert_eq!(
            refused(&offer(&basket(1, "a"), &basket(8, "b")), 1),
            "too_much"
        );
        assert_eq!(refused(&offer("{}", &basket(1, "b")), 1), "too_much");
    }

    #[test]
    fn a_member_has_so_many_offers_open_and_no_more() {
        let add = |open, number| opened(open, number, 0).expect("there is room");
        let full = (0..OPEN_MAX as u64).fold(OpenList::default(), add);
        let more = opened(full.clone(), 99, LIVES_S * 1000 - 1).expect_err("one too many");
        assert_eq!(more.code(), "too_many_offers");
        assert!(opened(full, 99, LIVES_S * 1000).is_ok(), "they are over");
    }

    #[test]
    fn a_trade_has_two_sides() {
        assert_eq!(refused(&offer(r#"{"coin": 1}"#, "{}"), 2), "trades_self");
        assert_eq!(
            refused(&offer(r#"{"coin": 1}"#, r#"{"coin": 2}"#), 1),
            "same_asset"
        );
    }

    #[test]
    fn only_those_whom_it_concerns_end_it() {
        let trade = Trade::new(member(1), offer(r#"{"coin": 1}"#, "{}"), Vec::new());
        assert!(trade.check_receiver(&member(2)).is_ok());
        assert!(trade.check_receiver(&member(1)).is_err());
        assert!(trade.check_either(&member(1)).is_ok() && trade.check_either(&member(2)).is_ok());
        assert!(trade.check_either(&member(3)).is_err());
    }
}

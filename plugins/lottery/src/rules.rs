//! The rules of the lottery: plain functions, without the host.
//!
//! The tickets of a round are numbered from 0; each purchase is one range of them, kept under a key with
//! the number after its last ticket. So buying costs the same however many were sold, and the range of a
//! ticket is the first key behind it.

use bursar_plugin::prelude::*;
use sha2::{Digest, Sha256};

/// Tickets of one round.
const TICKETS_MAX: u64 = 1_000_000_000;

/// Bytes of a key of the plugin's state, as the contract has it; a longer one is a fault.
const KEY_BYTES_MAX: usize = 128;

/// What the operator sets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// What tickets cost, and what is won.
    pub(crate) asset: Asset,
    /// What a ticket costs.
    price: Amount,
    /// Tickets that a member may have in a round; any number where absent.
    per_member_limit: Option<u64>,
    /// The operator's share of the pot, in thousandths: 0 to 500, none where absent.
    #[serde(default)]
    #[schemars(range(min = 0, max = 500))]
    fee_permille: u16,
}

/// A purchase.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Buy {
    /// How many; one where absent.
    #[serde(default = "one")]
    tickets: Amount,
}

fn one() -> Amount {
    Amount::ONE
}

impl Buy {
    pub(crate) fn tickets(self) -> u64 {
        self.tickets.get()
    }
}

/// What was bought.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Bought {
    /// In which round.
    pub(crate) round: u64,
    /// How many tickets the member has in it now.
    pub(crate) tickets: u64,
    /// What was paid.
    pub(crate) paid: Amount,
}

/// What was won.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Claimed {
    /// How much.
    pub(crate) amount: Amount,
}

/// How a round stands.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Status {
    /// Its number.
    round: u64,
    /// Tickets that were sold.
    tickets: u64,
    /// What is in the pot.
    pot: u64,
}

/// How a round ended.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Drawn {
    /// Its number.
    pub(crate) round: u64,
    /// The ticket that has won, counted from 0.
    pub(crate) ticket: u32,
    /// Of how many.
    pub(crate) tickets: u32,
    /// Who had it.
    pub(crate) winner: Account,
    /// What there is to claim.
    pub(crate) prize: Amount,
}

/// The present round.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Round {
    number: u64,
    sold: u64,
    /// A hash over all purchases and what the buyers have put into draws.
    #[serde(default)]
    mixed: String,
}

/// A range of tickets.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Tickets {
    owner: Account,
}

impl Tickets {
    pub(crate) fn of(owner: &Account) -> Self {
        let owner = owner.clone();
        Self { owner }
    }

    pub(crate) fn owner(self) -> Account {
        self.owner
    }
}

/// What a member has won and not claimed yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Prize {
    amount: Amount,
}

impl Prize {
    pub(crate) fn amount(self) -> Amount {
        self.amount
    }

    /// What was won before, and this.
    pub(crate) fn and(before: Option<Self>, more: Amount) -> Result<Self, Decline> {
        let amount = match before {
            Some(before) => before.amount.checked_add(more)?,
            None => more,
        };
        Ok(Self { amount })
    }
}

pub(crate) fn nothing_won() -> Decline {
    Decline::new("nothing_won", "There is nothing for you to claim.")
}

pub(crate) fn no_such_ticket() -> Decline {
    Decline::new("no_such_ticket", "That ticket was not sold.")
}

/// Where a member's prize is kept.
pub(crate) fn prize_key(member: &Account) -> Result<String, Decline> {
    short_enough(format!("prize/{member}"))
}

fn short_enough(key: String) -> Result<String, Decline> {
    if key.len() > KEY_BYTES_MAX {
        return Err(Decline::new(
            "name_too_long",
            "The name of the account is too long.",
        ));
    }
    Ok(key)
}

impl Config {
    /// What so many tickets cost.
    pub(crate) fn cost(&self, tickets: u64) -> Result<Amount, Decline> {
        Ok(self.price.checked_mul(tickets)?)
    }

    /// How many tickets a member has with so many more, if it may.
    pub(crate) fn check(&self, owned: u64, more: u64) -> Result<u64, Decline> {
        let owned = owned.saturating_add(more);
        match self.per_member_limit {
            Some(most) if owned > most => {
                let message = format!("A member has at most {most} tickets in a round.");
                Err(Decline::new("limit_reached", message))
            }
            Some(_) | None => Ok(owned),
        }
    }

    /// The prize and the operator's share of what is in the pot.
    pub(crate) fn share(&self, pot: u64) -> Result<(Amount, Option<Amount>), Decline> {
        if self.fee_permille > 500 {
            let message = "The operator's share is at most 500 thousandths.";
            return Err(Decline::new("misconfigured", message));
        }
        let fee = u128::from(pot) * u128::from(self.fee_permille) / 1000;
        let fee = u64::try_from(fee).unwrap_or(0);
        let prize = Amount::new(pot.saturating_sub(fee));
        let prize =
            prize.ok_or_else(|| Decline::new("empty_pot", "There is nothing in the pot."))?;
        Ok((prize, Amount::new(fee)))
    }
}

impl Round {
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn mixed(&self) -> &str {
        &self.mixed
    }

    pub(crate) fn status(&self, pot: u64) -> Status {
        Status {
            round: self.number,
            tickets: self.sold,
            pot,
        }
    }

    /// How many tickets there are to draw from.
    pub(crate) fn tickets(&self) -> Result<u32, Decline> {
        let tickets = u32::try_from(self.sold).ok().filter(|tickets| *tickets > 0);
        let nobody = "Nobody has a ticket: the pot stays for the next round.";
        tickets.ok_or_else(|| Decline::new("no_tickets", nobody))
    }

    /// The round with so many tickets more.
    pub(crate) fn sell(&self, tickets: u64, to: &Account, seed: &str) -> Result<Self, Decline> {
        let sold = self.sold.saturating_add(tickets);
        if sold > TICKETS_MAX {
            let message = format!("A round has at most {TICKETS_MAX} tickets.");
            return Err(Decline::new("sold_out", message));
        }
        let mut hash = Sha256::new();
        for part in [&self.mixed, &to.to_string(), seed, &sold.to_string()] {
            hash.update(part.len().to_be_bytes());
            hash.update(part.as_bytes());
        }
        let hash = hash.finalize();
        let mixed = hash.iter().map(|byte| format!("{byte:02x}"));
        Ok(Self {
            number: self.number,
            sold,
            mixed: mixed.collect(),
        })
    }

    /// The round after this one.
    pub(crate) fn next(&self) -> Self {
        Self {
            number: self.number.saturating_add(1),
            ..Self::default()
        }
    }

    /// What keys of ranges begin with.
    pub(crate) fn prefix(&self) -> String {
        format!("t/{:010}/", self.number)
    }

    /// Where the range of the newest tickets is kept: by the number after its last ticket.
    pub(crate) fn range_key(&self) -> String {
        format!("{}{:010}", self.prefix(), self.sold)
    }

    /// The first key that a ticket's range can have.
    pub(crate) fn key_after(&self, ticket: u32) -> String {
        format!(
            "{}{:010}",
            self.prefix(),
            u64::from(ticket).saturating_add(1)
        )
    }

    /// Where the number of a member's tickets is kept.
    pub(crate) fn owned_key(&self, member: &Account) -> Result<String, Decline> {
        short_enough(format!("o/{:010}/{member}", self.number))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn config(more: &str) -> Config {
        let text = format!("{{\"asset\": \"coin\", \"price\": 10{more}}}");
        serde_json::from_str(&text).expect("a configuration")
    }

    fn member(number: u32) -> Account {
        format!("user:{number}").parse().expect("an account")
    }

    #[test]
    fn each_ticket_belongs_to_whoever_bought_it() {
        let mut round = Round::default();
        let mut ranges = BTreeMap::new();
        for (number, tickets) in [(1, 3), (2, 1), (3, 12), (1, 100)] {
            round = round
                .sell(tickets, &member(number), "")
                .expect("there are tickets");
            ranges.insert(round.range_key(), member(number));
        }
        assert_eq!(round.tickets(), Ok(116));
        let owner = |ticket| {
            let first = ranges.range(round.key_after(ticket)..).next();
            first.expect("it was sold").1.clone()
        };
        let expected = [(0, 1), (2, 1), (3, 2), (4, 3), (15, 3), (16, 1), (115, 1)];
        for (ticket, number) in expected {
            assert_eq!(owner(ticket), member(number), "ticket {ticket}");
        }
    }

    #[test]
    fn what_is_mixed_depends_on_every_buyer() {
        let round = Round::default();
        let sell = |member: &Account, seed| round.sell(1, member, seed).expect("a ticket").mixed;
        let all = [
            sell(&member(1), "a"),
            sell(&member(1), "b"),
            sell(&member(2), "a"),
            round.sell(2, &member(1), "a").expect("tickets").mixed,
        ];
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }

    #[test]
    fn the_pot_is_shared_to_the_unit() {
        let share = |permille: u16, pot| {
            let shared = config(&format!(", \"fee_permille\": {permille}")).share(pot);
            let shared = shared.map(|(prize, fee)| (prize.get(), fee.map_or(0, Amount::get)));
            shared.map_err(|decline| decline.code())
        };
        assert_eq!(share(0, 100), Ok((100, 0)));
        assert_eq!(share(55, 999), Ok((945, 54)));
        assert_eq!(share(500, 1), Ok((1, 0)));
        assert_eq!(share(0, 0), Err("empty_pot"));
        assert_eq!(share(501, 100), Err("misconfigured"));
    }

    #[test]
    fn tickets_end_at_their_limits() {
        let limited = config(", \"per_member_limit\": 5");
        assert_eq!(limited.check(2, 3), Ok(5));
        assert_eq!(
            limited.check(2, 4).expect_err("too many").code(),
            "limit_reached"
        );
        let full = Round::default()
            .sell(TICKETS_MAX, &member(1), "")
            .expect("all of them");
        assert_eq!(
            full.sell(1, &member(1), "").expect_err("sold out").code(),
            "sold_out"
        );
        assert_eq!(
            Round::default().tickets().expect_err("none").code(),
            "no_tickets"
        );
        let longest = "a".repeat(64) + ":" + &"b".repeat(63);
        let longest: Account = longest.parse().expect("a name");
        assert_eq!(
            prize_key(&longest).expect_err("too long").code(),
            "name_too_long"
        );
    }
}

//! A round: its tickets, its draw and its keys.
//!
//! The tickets of a round are numbered from 0. Each purchase is one range of tickets, stored under a key with the
//! number after its last ticket. A purchase therefore costs the same however many tickets were sold, and the
//! range of a ticket is the first one whose key is above the ticket.

use bursar_plugin::name_key;
use bursar_plugin::prelude::*;
use sha2::{Digest, Sha256};

use crate::replies::StatusReply;
use crate::terms::{Config, RoundTerms};

/// The largest number of tickets in one round.
const TICKETS_MAX: u64 = 1_000_000_000;

/// The largest number of keys of past rounds that one call deletes. A purchase adds at most two, so the stored
/// keys become fewer however small the purchases are.
pub(crate) const DELETED_MAX: usize = 8;

/// The arguments of `buy`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TicketArguments {
    /// The number of tickets; 1 if absent.
    #[serde(default = "one")]
    tickets: Amount,
    /// The round whose terms the member has seen; the current one if absent.
    round: Option<u64>,
}

fn one() -> Amount {
    Amount::ONE
}

impl TicketArguments {
    pub(crate) fn tickets(self) -> u64 {
        self.tickets.get()
    }

    /// Declines a purchase for another round, which may have had other terms.
    pub(crate) fn check(self, round: &Round) -> Result<(), Decline> {
        match self.round {
            Some(number) if number != round.number => {
                let message = format!("Tickets are now sold for round {}.", round.number);
                Err(Decline::new("another_round", message))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// The current round.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Round {
    number: u64,
    sold: u64,
    /// The hash of all purchases and of the buyers' client seeds.
    mixed: String,
    /// The terms of the round; none before its first ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    terms: Option<RoundTerms>,
    /// The first round that may still have keys to delete.
    #[serde(rename = "remembered")]
    first_stored: u64,
}

/// A range of tickets with one owner.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Tickets {
    owner: Account,
}

impl Tickets {
    pub(crate) fn new(owner: &Account) -> Self {
        let owner = owner.clone();
        Self { owner }
    }

    pub(crate) fn owner(self) -> Account {
        self.owner
    }
}

impl Round {
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Returns the text that is mixed into the draw.
    pub(crate) fn mixed(&self) -> &str {
        &self.mixed
    }

    /// Returns the terms of the round: those of its first ticket, or before it the configured ones.
    pub(crate) fn terms(&self, config: &Config) -> Result<RoundTerms, Decline> {
        if let Some(terms) = &self.terms {
            return Ok(terms.clone());
        }
        config.checked_terms()
    }

    /// Returns the reply to `status`.
    pub(crate) fn status(&self, pot: u64, terms: RoundTerms) -> StatusReply {
        StatusReply {
            round: self.number,
            tickets: self.sold,
            pot,
            terms,
        }
    }

    /// Returns the number of tickets for the draw, and declines a round without tickets.
    pub(crate) fn tickets(&self) -> Result<u32, Decline> {
        let tickets = u32::try_from(self.sold).ok().filter(|tickets| *tickets > 0);
        let message = "No tickets were sold: the pot stays for the next round.";
        tickets.ok_or_else(|| Decline::new("no_tickets", message))
    }

    /// Returns the round after a sale of tickets, with its terms fixed.
    pub(crate) fn sell(
        &self,
        tickets: u64,
        terms: &RoundTerms,
        buyer: &Account,
        seed: &str,
    ) -> Result<Self, Decline> {
        let sold = self.sold.saturating_add(tickets);
        if sold > TICKETS_MAX {
            let message = format!("A round has at most {TICKETS_MAX} tickets.");
            return Err(Decline::new("sold_out", message));
        }
        let mut hash = Sha256::new();
        for part in [&self.mixed, &buyer.to_string(), seed, &sold.to_string()] {
            hash.update(part.len().to_be_bytes());
            hash.update(part.as_bytes());
        }
        let hash = hash.finalize();
        let mixed = hash.iter().map(|byte| format!("{byte:02x}"));
        Ok(Self {
            number: self.number,
            sold,
            mixed: mixed.collect(),
            terms: Some(terms.clone()),
            first_stored: self.first_stored,
        })
    }

    /// Returns the next round.
    pub(crate) fn next(&self) -> Self {
        Self {
            number: self.number.saturating_add(1),
            first_stored: self.first_stored,
            ..Self::default()
        }
    }

    /// Returns the prefix of the keys of the round's ranges.
    pub(crate) fn prefix(&self) -> String {
        ranges(self.number)
    }

    /// Returns the prefixes of the keys of the oldest past round that still has keys.
    pub(crate) fn past_prefixes(&self) -> Option<[String; 2]> {
        let round = self.first_stored;
        (round < self.number).then(|| [owners(round), ranges(round)])
    }

    /// Records that all keys of the oldest past round are deleted.
    pub(crate) fn past_round_deleted(&mut self) {
        self.first_stored = self.first_stored.saturating_add(1);
    }

    /// Returns the key of the newest range: the number after its last ticket.
    pub(crate) fn range_key(&self) -> String {
        format!("{}{:010}", self.prefix(), self.sold)
    }

    /// Returns the smallest key that the range of a ticket can have.
    pub(crate) fn key_after(&self, ticket: u32) -> String {
        format!(
            "{}{:010}",
            self.prefix(),
            u64::from(ticket).saturating_add(1)
        )
    }

    /// Returns the key under which the number of a member's tickets is stored.
    pub(crate) fn owned_key(&self, member: &Account) -> Result<String, Decline> {
        name_key(format!("{}{member}", owners(self.number)))
    }
}

fn ranges(round: u64) -> String {
    format!("t/{round:010}/")
}

fn owners(round: u64) -> String {
    format!("o/{round:010}/")
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::prizes::{self, Prize};
    use crate::terms::tests::{long_name, member, terms};

    #[test]
    fn each_ticket_belongs_to_its_buyer() {
        let mut round = Round::default();
        let mut ranges = BTreeMap::new();
        for (number, tickets) in [(1, 3), (2, 1), (3, 12), (1, 100)] {
            round = round
                .sell(tickets, &terms(), &member(number), "")
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
    fn the_mixed_text_depends_on_every_buyer() {
        let round = Round::default();
        let sell = |tickets, number, seed| {
            let sold = round.sell(tickets, &terms(), &member(number), seed);
            sold.expect("there are tickets").mixed
        };
        let all = [
            sell(1, 1, "a"),
            sell(1, 1, "b"),
            sell(1, 2, "a"),
            sell(2, 1, "a"),
        ];
        let different: BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }

    #[test]
    fn tickets_end_at_their_limits() {
        let full = Round::default()
            .sell(TICKETS_MAX, &terms(), &member(1), "")
            .expect("all of them");
        let more = full.sell(1, &terms(), &member(1), "");
        assert_eq!(more.expect_err("sold out").code(), "sold_out");
        assert_eq!(
            Round::default().tickets().expect_err("none").code(),
            "no_tickets"
        );
    }

    #[test]
    fn the_number_of_tickets_is_stored_up_to_the_length_of_a_key() {
        let code = |chars| {
            let result = Round::default().owned_key(&long_name(chars));
            result.map(drop).map_err(|decline| decline.code())
        };
        assert_eq!(code(115), Ok(()));
        assert_eq!(code(116), Err("name_too_long"));
    }

    /// A draw fits into a full state for every winner. Otherwise it would depend on the winner whether the draw
    /// commits.
    #[test]
    fn a_draw_frees_more_state_than_a_new_prize_takes() {
        let bytes = |key: &str, value: &str| key.len() + value.len();
        let text = |round: &Round| serde_json::to_string(round).expect("JSON");
        let longest = format!("{}:{}", "a".repeat(64), "b".repeat(50));
        for (winner, asset) in [(member(1), longest), (long_name(115), "coin".into())] {
            let asset: Asset = asset.parse().expect("a name");
            let key = prizes::key(&winner, &asset).expect("it has the largest length");
            let prize = Prize::add(None, Amount::new((1 << 53) - 1).expect("the most"));
            let prize = serde_json::to_string(&prize.expect("an amount")).expect("JSON");
            let mut terms = terms();
            terms.asset = asset;
            let before = Round {
                number: 9,
                ..Round::default()
            };
            let sold = before.sell(1, &terms, &winner, "");
            let sold = sold.expect("a ticket");
            let tickets = serde_json::to_string(&Tickets::new(&winner)).expect("JSON");
            let owned = sold.owned_key(&winner).expect("it was bought");
            let freed = bytes(&sold.range_key(), &tickets) + bytes(&owned, "1");
            let shrunk = text(&sold).len() - text(&sold.next()).len();
            assert!(bytes(&key, &prize) <= freed + shrunk, "{key}");
        }
    }

    #[test]
    fn a_round_keeps_the_terms_of_its_first_ticket() {
        let text = r#"{"asset": "gem", "price": 2, "per_member_limit": 1, "fee_permille": 500}"#;
        let gems: Config = serde_json::from_str(text).expect("a configuration");
        let sold = Round::default().sell(1, &terms(), &member(1), "");
        let sold = sold.expect("a ticket");
        let fixed = sold.terms(&gems).expect("they are fixed");
        assert_eq!(fixed, terms());
        let split = fixed.split(100).expect("the pot is not empty");
        assert_eq!(split, (Amount::new(100).expect("all of it"), None));
        assert_eq!(fixed.check(5, 5), Ok(10));
        let next = sold.next().terms(&gems).expect("they are those configured");
        assert_eq!(next, gems.terms());
    }

    #[test]
    fn past_rounds_are_deleted_in_order_and_the_current_one_is_kept() {
        let mut round = Round::default();
        assert_eq!(round.past_prefixes(), None);
        round = round.next().next();
        for number in [0, 1] {
            assert_eq!(
                round.past_prefixes(),
                Some([owners(number), ranges(number)])
            );
            round.past_round_deleted();
        }
        assert_eq!(round.past_prefixes(), None);
        assert_eq!(round.next().past_prefixes(), Some([owners(2), ranges(2)]));
    }
}

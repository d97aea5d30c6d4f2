//! The rules of the lottery: plain functions, without the host.
//!
//! The tickets of a round are numbered from 0; each purchase is one range of them, kept under a key with
//! the number after its last ticket. So buying costs the same however many were sold, and the range of a
//! ticket is the first key behind it.

use bursar_plugin::name_key;
use bursar_plugin::prelude::*;
use sha2::{Digest, Sha256};

/// The operator's share of a pot, in thousandths.
const FEE_PERMILLE_MAX: u16 = 500;

/// Tickets of one round.
const TICKETS_MAX: u64 = 1_000_000_000;

/// Keys of rounds that are over which a call forgets. A purchase adds two at most, so what is kept shrinks
/// however small the purchases are.
pub(crate) const FORGOTTEN: usize = 8;

/// What the operator sets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// What tickets cost, and what is won. A round keeps all of these terms from its first ticket to its
    /// draw; others apply from the next round on.
    asset: Asset,
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
    /// The round whose terms the member has seen; the present one where absent.
    round: Option<u64>,
}

fn one() -> Amount {
    Amount::ONE
}

impl Buy {
    pub(crate) fn tickets(self) -> u64 {
        self.tickets.get()
    }

    /// Whether it is meant for a round: another one may have other terms.
    pub(crate) fn check(self, round: &Round) -> Result<(), Decline> {
        match self.round {
            Some(wanted) if wanted != round.number => {
                let message = format!("Tickets are sold of round {} now.", round.number);
                Err(Decline::new("another_round", message))
            }
            Some(_) | None => Ok(()),
        }
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
    /// Of what.
    pub(crate) asset: Asset,
    /// How much.
    pub(crate) amount: Amount,
    /// Whether there is more to claim, in another asset.
    pub(crate) more: bool,
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
    /// The terms of the round, or those that its first ticket fixes.
    #[serde(flatten)]
    terms: Terms,
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
    /// Of what there is something to claim.
    pub(crate) asset: Asset,
    /// How much of it.
    pub(crate) prize: Amount,
}

/// The present round.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Round {
    number: u64,
    sold: u64,
    /// A hash over all purchases and what the buyers have put into draws.
    mixed: String,
    /// What its tickets were sold on; nothing before the first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    terms: Option<Terms>,
    /// The first round of which there may still be keys to forget.
    remembered: u64,
}

/// The terms of a round, as they were configured when its first ticket was sold: who pays for a ticket
/// knows what becomes of the money, and all tickets have the same chance, in one pot.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Terms {
    /// What tickets cost, and what is won.
    pub(crate) asset: Asset,
    /// What a ticket costs.
    price: Amount,
    /// Tickets that a member may have; any number where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    per_member_limit: Option<u64>,
    /// The operator's share of the pot, in thousandths.
    fee_permille: u16,
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

/// What a member has won of an asset and not claimed yet.
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

/// What keys of a member's prizes begin with; the asset follows.
pub(crate) fn prizes(member: &Account) -> Result<String, Decline> {
    name_key(format!("prize/{member}/"))
}

/// Where a member's prize in an asset is kept.
pub(crate) fn prize_key(member: &Account, asset: &Asset) -> Result<String, Decline> {
    name_key(format!("prize/{member}/{asset}"))
}

/// The asset of a prize, by the key that it is kept under.
pub(crate) fn prize_asset(prefix: &str, key: &str) -> Result<Asset, Decline> {
    let asset = key.strip_prefix(prefix).unwrap_or_default();
    Ok(asset.parse()?)
}

impl Config {
    fn terms(&self) -> Terms {
        Terms {
            asset: self.asset.clone(),
            price: self.price,
            per_member_limit: self.per_member_limit,
            fee_permille: self.fee_permille,
        }
    }
}

impl Terms {
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
        let fee = u128::from(pot) * u128::from(self.fee_permille) / 1000;
        let fee = u64::try_from(fee).unwrap_or(0);
        let prize = Amount::new(pot.saturating_sub(fee));
        let prize =
            prize.ok_or_else(|| Decline::new("empty_pot", "There is nothing in the pot."))?;
        Ok((prize, Amount::new(fee)))
    }
}

impl Config {
    /// Reports terms on which nobody could take part, or of which too much would be kept.
    pub(crate) fn check_configuration(&self, report: &mut ConfigReport) {
        if self.fee_permille > FEE_PERMILLE_MAX {
            let message = format!("the operator's share is at most {FEE_PERMILLE_MAX} thousandths");
            report.finding("/fee_permille", message);
        }
        if self.per_member_limit == Some(0) {
            report.finding(
                "/per_member_limit",
                "nobody could buy a ticket: leave it out, or say 1 or more",
            );
        }
    }
}

impl Round {
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn mixed(&self) -> &str {
        &self.mixed
    }

    /// Its terms: those of its first ticket, or the configured ones, which that ticket fixes.
    pub(crate) fn terms(&self, config: &Config) -> Result<Terms, Decline> {
        if let Some(terms) = &self.terms {
            return Ok(terms.clone());
        }
        if config.fee_permille > FEE_PERMILLE_MAX {
            let message =
                format!("The operator's share is at most {FEE_PERMILLE_MAX} thousandths.");
            return Err(Decline::new("misconfigured", message));
        }
        Ok(config.terms())
    }

    pub(crate) fn status(&self, pot: u64, terms: Terms) -> Status {
        Status {
            round: self.number,
            tickets: self.sold,
            pot,
            terms,
        }
    }

    /// How many tickets there are to draw from.
    pub(crate) fn tickets(&self) -> Result<u32, Decline> {
        let tickets = u32::try_from(self.sold).ok().filter(|tickets| *tickets > 0);
        let nobody = "Nobody has a ticket: the pot stays for the next round.";
        tickets.ok_or_else(|| Decline::new("no_tickets", nobody))
    }

    /// The round with so many tickets more, on its terms.
    pub(crate) fn sell(
        &self,
        tickets: u64,
        terms: &Terms,
        to: &Account,
        seed: &str,
    ) -> Result<Self, Decline> {
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
            terms: Some(terms.clone()),
            remembered: self.remembered,
        })
    }

    /// The round after this one.
    pub(crate) fn next(&self) -> Self {
        Self {
            number: self.number.saturating_add(1),
            remembered: self.remembered,
            ..Self::default()
        }
    }

    /// What keys of ranges begin with.
    pub(crate) fn prefix(&self) -> String {
        ranges(self.number)
    }

    /// What the keys begin with of the oldest round that is over and not forgotten yet.
    pub(crate) fn over(&self) -> Option<[String; 2]> {
        let round = self.remembered;
        (round < self.number).then(|| [owners(round), ranges(round)])
    }

    /// Goes on to forget the round after that one.
    pub(crate) fn forgot(&mut self) {
        self.remembered = self.remembered.saturating_add(1);
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
    use std::collections::BTreeMap;

    use super::*;

    fn config(more: &str) -> Config {
        let text = format!("{{\"asset\": \"coin\", \"price\": 10{more}}}");
        serde_json::from_str(&text).expect("a configuration")
    }

    #[test]
    fn terms_on_which_nobody_could_take_part_are_found() {
        let pointers = |more: &str| {
            let mut report = ConfigReport::new("raffle");
            config(more).check_configuration(&mut report);
            assert_eq!(report.needs, []);
            let findings = report.findings.into_iter();
            findings.map(|finding| finding.pointer).collect::<Vec<_>>()
        };
        assert_eq!(pointers(", \"fee_permille\": 501"), ["/fee_permille"]);
        assert_eq!(pointers(", \"per_member_limit\": 0"), ["/per_member_limit"]);
        let edges = ", \"fee_permille\": 500, \"per_member_limit\": 1";
        assert_eq!(pointers(edges), [""; 0]);
    }

    fn terms() -> Terms {
        config("").terms()
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
    fn what_is_mixed_depends_on_every_buyer() {
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
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }

    #[test]
    fn the_pot_is_shared_to_the_unit() {
        let share = |permille: u16, pot| {
            let config = config(&format!(", \"fee_permille\": {permille}"));
            let terms = Round::default().terms(&config);
            let shared = terms.and_then(|terms| terms.share(pot));
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
        let limited = config(", \"per_member_limit\": 5").terms();
        assert_eq!(limited.check(2, 3), Ok(5));
        assert_eq!(
            limited.check(2, 4).expect_err("too many").code(),
            "limit_reached"
        );
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

    /// A member whose name has so many characters.
    fn named(chars: usize) -> Account {
        let name = format!("{}:{}", "a".repeat(64), "b".repeat(chars - 65));
        name.parse().expect("a name")
    }

    #[test]
    fn names_are_kept_up_to_the_length_of_a_key() {
        let code = |key: Result<String, Decline>| key.map(drop).map_err(|no| no.code());
        let (coin, round) = (Asset::new("coin"), Round::default());
        assert_eq!(code(prize_key(&named(117), &coin)), Ok(()));
        assert_eq!(code(prize_key(&named(118), &coin)), Err("name_too_long"));
        assert_eq!(code(round.owned_key(&named(115))), Ok(()));
        assert_eq!(code(round.owned_key(&named(116))), Err("name_too_long"));
    }

    /// What a draw writes must have room even where there is none left: whether it commits must not depend
    /// on who has won.
    #[test]
    fn a_draw_frees_more_than_a_new_prize_takes() {
        let room = |key: &str, value: &str| key.len() + value.len();
        let text = |round: &Round| serde_json::to_string(round).expect("JSON");
        let longest = format!("{}:{}", "a".repeat(64), "b".repeat(50));
        for (winner, asset) in [(member(1), longest), (named(115), "coin".into())] {
            let asset: Asset = asset.parse().expect("a name");
            let key = prize_key(&winner, &asset).expect("it is as long as it may be");
            let prize = Prize::and(None, Amount::new((1 << 53) - 1).expect("the most"));
            let prize = serde_json::to_string(&prize.expect("an amount")).expect("JSON");
            let terms = Terms { asset, ..terms() };
            let before = Round {
                number: 9,
                ..Round::default()
            };
            let sold = before.sell(1, &terms, &winner, "");
            let sold = sold.expect("a ticket");
            let tickets = serde_json::to_string(&Tickets::of(&winner)).expect("JSON");
            let owned = sold.owned_key(&winner).expect("it was bought");
            let freed = room(&sold.range_key(), &tickets) + room(&owned, "1");
            let shrunk = text(&sold).len() - text(&sold.next()).len();
            assert!(room(&key, &prize) <= freed + shrunk, "{key}");
        }
    }

    #[test]
    fn a_prize_is_of_the_asset_that_its_key_says() {
        let (prefix, gem) = (prizes(&member(1)).expect("it is short"), Asset::new("gem"));
        let key = prize_key(&member(1), &gem).expect("it is short");
        assert_eq!(prize_asset(&prefix, &key), Ok(gem));
    }

    #[test]
    fn a_round_ends_on_the_terms_that_it_began_with() {
        let text = r#"{"asset": "gem", "price": 2, "per_member_limit": 1, "fee_permille": 500}"#;
        let gems: Config = serde_json::from_str(text).expect("a configuration");
        let sold = Round::default().sell(1, &terms(), &member(1), "");
        let sold = sold.expect("a ticket");
        let kept = sold.terms(&gems).expect("they are fixed");
        assert_eq!(kept, terms());
        let shared = kept.share(100).expect("there is something");
        assert_eq!(shared, (Amount::new(100).expect("all of it"), None));
        assert_eq!(kept.check(5, 5), Ok(10));
        let next = sold.next().terms(&gems).expect("they are those configured");
        assert_eq!(next, gems.terms());
    }

    #[test]
    fn rounds_are_forgotten_in_order_and_the_present_one_never() {
        let mut round = Round::default();
        assert_eq!(round.over(), None);
        round = round.next().next();
        for number in [0, 1] {
            assert_eq!(round.over(), Some([owners(number), ranges(number)]));
            round.forgot();
        }
        assert_eq!(round.over(), None);
        assert_eq!(round.next().over(), Some([owners(2), ranges(2)]));
    }
}

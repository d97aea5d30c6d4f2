//! The rules of the game: plain functions, without the host.

use bursar_plugin::prelude::*;
use bursar_plugin::{AmountError, Stakes};

use crate::cards::{Card, Hand};
use crate::strategy::Advice;

/// Points from which on the dealer stands, also with an ace that counts eleven.
const DEALER_STANDS: u8 = 17;

/// What the operator sets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// What is staked. Games that are open when it changes go on in what they began with.
    pub(crate) asset: Asset,
    /// What it takes as a stake, before it is doubled.
    #[serde(default)]
    stakes: Stakes,
}

/// A bet.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deal {
    /// What is staked.
    pub(crate) stake: Amount,
}

/// How a round ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum Outcome {
    // With texts of their own they would not be an `enum` in the schema.
    Natural,
    Won,
    Push,
    Lost,
}

/// How a round stands.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Round {
    /// The member's cards; `T` is a ten.
    player: Vec<Card>,
    /// What they count.
    player_points: u8,
    /// The dealer's cards: one until the member stands.
    dealer: Vec<Card>,
    /// What they count.
    dealer_points: u8,
    /// What is staked on it.
    staked: Amount,
    /// How it ended; nothing while it goes on. A natural is 21 with the first two cards.
    outcome: Option<Outcome>,
    /// What came back of the stake and was won with it.
    paid: u64,
    /// What the odds that are stated do next; nothing once it is over.
    next: Option<Advice>,
}

/// A game as it is kept.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Game {
    pub(crate) asset: Asset,
    pub(crate) stake: Amount,
    /// What the member loses.
    pub(crate) stake_hold: HoldId,
    /// As much of the bank's, which the member wins.
    pub(crate) share_hold: HoldId,
    pub(crate) player: Hand,
    pub(crate) dealer: Card,
}

/// Where a member's game is kept.
pub(crate) fn key(member: &Account) -> Result<String, Decline> {
    bursar_plugin::member_key("g", member)
}

pub(crate) fn game_open() -> Decline {
    Decline::new("game_open", "You have a game open: hit, stand or double.")
}

pub(crate) fn no_game() -> Decline {
    Decline::new("no_game", "You have no game open: deal one.")
}

pub(crate) fn bank_too_small() -> Decline {
    Decline::new("bank_too_small", "The bank cannot cover that.")
}

/// What a natural pays beyond the stake: half of it, rounded down.
pub(crate) fn bonus(stake: Amount) -> Option<Amount> {
    Amount::new(stake.get() / 2)
}

/// Whether the dealer takes another card. It plays against a hand that can still win, and against a
/// natural only for one of its own.
pub(crate) fn dealer_draws(player: &Hand, dealer: &Hand) -> bool {
    if player.is_bust() {
        false
    } else if player.is_natural() {
        dealer.count() == 1 && dealer.points() >= 10
    } else {
        dealer.points() < DEALER_STANDS
    }
}

impl Config {
    /// Reports limits that leave no bet, and the bank that the largest one takes.
    pub(crate) fn check_configuration(&self, report: &mut ConfigReport) {
        self.stakes.report("/stakes/max", report);
        if self.stakes.smallest().checked_mul(4).is_err() {
            let message = "no house could pay even the smallest stake twice, doubled";
            report.finding("/stakes/min", message);
        }
        // What no house could pay is no bet.
        if let Ok(bank) = needed_for(self.stakes.to_cover()) {
            report.need(&report.own_account(), &self.asset, bank);
        }
    }

    /// What the bank has to have for a stake, if that is within the limits: what a natural pays.
    pub(crate) fn needed(&self, stake: Amount) -> Result<Amount, Decline> {
        self.stakes.check(stake, &self.asset)?;
        let too_large =
            |_| Decline::new("stake_too_large", "No house could pay that twice, doubled.");
        stake.checked_mul(4).map_err(too_large)?;
        Ok(needed_for(stake)?)
    }
}

/// What a natural pays for a stake.
fn needed_for(stake: Amount) -> Result<Amount, AmountError> {
    match bonus(stake) {
        Some(bonus) => stake.checked_add(bonus),
        None => Ok(stake),
    }
}

impl Outcome {
    /// How two hands end when neither side takes another card.
    pub(crate) fn of(player: &Hand, dealer: &Hand) -> Self {
        if player.is_bust() {
            return Self::Lost;
        }
        match (player.is_natural(), dealer.is_natural()) {
            (true, true) => Self::Push,
            (true, false) => Self::Natural,
            (false, true) => Self::Lost,
            (false, false) if dealer.is_bust() => Self::Won,
            (false, false) => match player.points().cmp(&dealer.points()) {
                std::cmp::Ordering::Greater => Self::Won,
                std::cmp::Ordering::Equal => Self::Push,
                std::cmp::Ordering::Less => Self::Lost,
            },
        }
    }

    pub(crate) fn is_win(self) -> bool {
        matches!(self, Self::Natural | Self::Won)
    }
}

impl Game {
    /// Whether the stake can be doubled: only on the first two cards.
    pub(crate) fn check_double(&self) -> Result<(), Decline> {
        if self.player.count() == 2 {
            return Ok(());
        }
        let message = "A stake is doubled on the first two cards only.";
        Err(Decline::new("too_late_to_double", message))
    }

    /// What is paid beside the holds if the doubled stake wins: what was put in for it, and as much.
    pub(crate) fn doubled_win(&self) -> Result<Amount, Decline> {
        Ok(self.stake.checked_mul(2)?)
    }

    /// What the bank pays beside the holds.
    pub(crate) fn extra(&self, outcome: Outcome, doubled: bool) -> Option<Amount> {
        match (outcome, doubled) {
            (Outcome::Natural, _) => bonus(self.stake),
            (Outcome::Won, true) => self.doubled_win().ok(),
            (Outcome::Push, true) => Some(self.stake),
            (Outcome::Won | Outcome::Push, false) | (Outcome::Lost, _) => None,
        }
    }

    /// What came back to the member in all: from the hold of the stake, of the bank, and beside them.
    fn paid(&self, outcome: Outcome, doubled: bool) -> u64 {
        let held = match outcome {
            Outcome::Lost => 0,
            Outcome::Push => 1,
            Outcome::Won | Outcome::Natural => 2,
        };
        let extra = self.extra(outcome, doubled).map_or(0, Amount::get);
        self.stake.get().saturating_mul(held).saturating_add(extra)
    }

    /// The round as it stands while it goes on.
    pub(crate) fn goes_on(&self) -> Round {
        Round {
            player: self.player.cards().to_vec(),
            player_points: self.player.points(),
            dealer: vec![self.dealer],
            dealer_points: Hand::from(self.dealer).points(),
            staked: self.stake,
            outcome: None,
            paid: 0,
            next: Some(Advice::on(&self.player, self.dealer)),
        }
    }

    /// The round at its end.
    pub(crate) fn over(&self, dealer: &Hand, outcome: Outcome, doubled: bool) -> Round {
        let twice = self.doubled_win().ok().filter(|_| doubled);
        Round {
            player: self.player.cards().to_vec(),
            player_points: self.player.points(),
            dealer_points: dealer.points(),
            dealer: dealer.cards().to_vec(),
            staked: twice.unwrap_or(self.stake),
            outcome: Some(outcome),
            paid: self.paid(outcome, doubled),
            next: None,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::cards::tests::hand;

    /// A game with a stake of 10 on some cards.
    pub(crate) fn game(player: &str, dealer: char) -> Game {
        let id = "00000000-0000-7000-8000-000000000000";
        let id: HoldId = serde_json::from_value(id.into()).expect("an id");
        Game {
            asset: Asset::new("coin"),
            stake: amount(10),
            stake_hold: id.clone(),
            share_hold: id,
            player: hand(player),
            dealer: Card::try_from(dealer).expect("a card"),
        }
    }

    fn amount(units: u64) -> Amount {
        Amount::new(units).expect("an amount")
    }

    fn needed(stake: u64) -> Result<u64, &'static str> {
        let text = r#"{"asset": "coin", "stakes": {"min": 5}}"#;
        let config: Config = serde_json::from_str(text).expect("a configuration");
        let needed = config.needed(amount(stake));
        needed.map(Amount::get).map_err(|decline| decline.code())
    }

    #[test]
    fn the_bank_needs_what_a_natural_pays_rounded_down() {
        assert_eq!(needed(5), Ok(7));
        assert_eq!(needed(6), Ok(9));
        assert_eq!((bonus(amount(1)), bonus(amount(2))), (None, Amount::new(1)));
        let config: Config = serde_json::from_str(r#"{"asset": "coin"}"#).expect("one");
        assert_eq!(config.needed(amount(1)), Ok(amount(1)));
    }

    fn report(stakes: &str) -> ConfigReport {
        let text = format!("{{\"asset\": \"coin\", \"stakes\": {stakes}}}");
        let config: Config = serde_json::from_str(&text).expect("a configuration");
        let mut report = ConfigReport::new("cards");
        config.check_configuration(&mut report);
        report
    }

    #[test]
    fn limits_that_leave_no_bet_are_found() {
        let pointers = |stakes: &str| {
            let findings = report(stakes).findings.into_iter();
            findings.map(|finding| finding.pointer).collect::<Vec<_>>()
        };
        assert_eq!(pointers(r#"{"min": 5, "max": 4}"#), ["/stakes/max"]);
        assert_eq!(pointers(r#"{"min": 2251799813685248}"#), ["/stakes/min"]);
        assert_eq!(pointers(r#"{"min": 2251799813685247}"#), [""; 0]);
    }

    #[test]
    fn the_bank_is_to_cover_a_natural_of_the_largest_stake() {
        for (stakes, at_least) in [(r#"{"max": 100}"#, 150), (r#"{"min": 5}"#, 7), ("{}", 1)] {
            let [need] = <[_; 1]>::try_from(report(stakes).needs).expect("one need");
            let said = (&*need.account, &*need.asset, need.at_least);
            assert_eq!(said, ("plugin:cards", "coin", at_least));
        }
    }

    #[test]
    fn stakes_end_at_their_limits() {
        assert_eq!(needed(4), Err("stake_too_small"));
        // Four times this is the largest amount but three.
        let most = (1 << 51) - 1;
        assert_eq!(needed(most), Ok(most + most / 2));
        assert_eq!(needed(most + 1), Err("stake_too_large"));
    }

    #[test]
    fn the_higher_hand_wins_unless_it_is_bust() {
        let of = |player, dealer| Outcome::of(&hand(player), &hand(dealer));
        assert_eq!(of("T9", "T8"), Outcome::Won);
        assert_eq!(of("T9", "9K"), Outcome::Push);
        assert_eq!(of("T8", "T9"), Outcome::Lost);
        assert_eq!(of("T2", "T6T"), Outcome::Won);
        assert_eq!(of("T6T", "T"), Outcome::Lost);
        assert_eq!(
            of("T6T", "T6T"),
            Outcome::Lost,
            "who is bust first has lost"
        );
    }

    #[test]
    fn a_natural_beats_21_of_three_cards_on_either_side() {
        let of = |player, dealer| Outcome::of(&hand(player), &hand(dealer));
        assert_eq!(of("AK", "777"), Outcome::Natural);
        assert_eq!(of("AK", "5"), Outcome::Natural);
        assert_eq!(of("777", "AK"), Outcome::Lost);
        assert_eq!(of("AK", "QA"), Outcome::Push);
        assert_eq!(of("777", "678"), Outcome::Push);
    }

    #[test]
    fn the_dealer_stands_on_all_17s_and_draws_below() {
        let draws = |player, dealer| dealer_draws(&hand(player), &hand(dealer));
        assert!(draws("T9", "T6"));
        assert!(!draws("T9", "T7"));
        assert!(draws("T9", "A5"));
        assert!(!draws("T9", "A6"), "an ace as eleven counts as well");
        assert!(
            !draws("T6T", "T"),
            "nobody plays against a hand that is bust"
        );
    }

    #[test]
    fn against_a_natural_the_dealer_draws_for_one_of_its_own_only() {
        let draws = |dealer| dealer_draws(&hand("AK"), &hand(dealer));
        assert_eq!(
            ["A", "T", "9", "A5", "TT"].map(draws),
            [true, true, false, false, false]
        );
    }

    #[test]
    fn a_round_pays_what_its_holds_and_the_bank_give() {
        use Outcome::{Lost, Natural, Push, Won};
        let game = game("AK", '5');
        let pays = |outcome, doubled| {
            let extra = game.extra(outcome, doubled).map_or(0, Amount::get);
            (game.paid(outcome, doubled), extra)
        };
        assert_eq!(pays(Natural, false), (25, 5));
        assert_eq!([pays(Won, false), pays(Won, true)], [(20, 0), (40, 20)]);
        assert_eq!([pays(Push, false), pays(Push, true)], [(10, 0), (20, 10)]);
        assert_eq!([pays(Lost, false), pays(Lost, true)], [(0, 0), (0, 0)]);
    }

    #[test]
    fn a_stake_is_doubled_on_two_cards_and_not_on_three() {
        assert!(game("65", '5').check_double().is_ok());
        let late = game("632", '5').check_double().expect_err("three cards");
        assert_eq!(late.code(), "too_late_to_double");
    }

    #[test]
    fn a_game_takes_the_same_room_whatever_is_drawn() {
        let room = |game| serde_json::to_string(&game).expect("JSON").len();
        assert_eq!(room(game("AK", '5')), room(game("A23A23A", 'T')));
        assert_eq!(room(game("AK", '5')), room(game("", 'A')), "none yet");
    }

    #[test]
    fn bots_find_the_outcomes_as_choices_in_the_schema() {
        let outcome = serde_json::to_value(schemars::schema_for!(Outcome)).expect("JSON");
        assert_eq!(
            outcome["enum"],
            serde_json::json!(["natural", "won", "push", "lost"])
        );
    }
}

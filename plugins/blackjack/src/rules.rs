//! The rules of blackjack, without the host.

use bursar_plugin::prelude::*;
use bursar_plugin::{AmountError, Stakes};

use crate::cards::{Card, Hand};
use crate::strategy::Advice;

/// The points from which the dealer stands, even if an ace counts 11.
const DEALER_STANDS: u8 = 17;

/// The configuration, which the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The asset of stakes. An open game keeps its asset when this changes.
    pub(crate) asset: Asset,
    /// The range of stakes, before doubling.
    #[serde(default)]
    stakes: Stakes,
}

/// The arguments of `deal`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Deal {
    /// The amount of the stake.
    pub(crate) stake: Amount,
}

/// The outcome of a round.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum RoundOutcome {
    // No doc comments on the variants: schemars would then not write them as an `enum`.
    Natural,
    Won,
    Push,
    Lost,
}

/// The reply to each action: the current state of a round.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct RoundReply {
    /// The member's cards; `T` is a ten.
    player: Vec<Card>,
    /// The points of the member's cards.
    player_points: u8,
    /// The dealer's cards: one until the member stands.
    dealer: Vec<Card>,
    /// The points of the dealer's cards.
    dealer_points: u8,
    /// The stake, doubled if the member has doubled it.
    staked: Amount,
    /// The outcome; null while the round is open. A natural is 21 with the first two cards.
    outcome: Option<RoundOutcome>,
    /// The amount that the member gets back, including the stake; 0 while the round is open.
    paid: u64,
    /// The next move of the strategy behind the stated odds; null once the round is over.
    next: Option<Advice>,
}

/// A stored game.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Game {
    pub(crate) asset: Asset,
    pub(crate) stake: Amount,
    /// The hold of the member's stake, which the bank wins.
    pub(crate) stake_hold: HoldId,
    /// The hold of the bank's equal share, which the member wins.
    pub(crate) share_hold: HoldId,
    pub(crate) player: Hand,
    pub(crate) dealer: Card,
}

/// Returns the key of a member's game.
pub(crate) fn key(member: &Account) -> Result<String, Decline> {
    bursar_plugin::member_key("g", member)
}

/// Declines `deal` while the member has an open game.
pub(crate) fn game_open() -> Decline {
    Decline::new("game_open", "You have a game open: hit, stand or double.")
}

/// Declines a move of a member without an open game.
pub(crate) fn no_game() -> Decline {
    Decline::new("no_game", "You have no game open: deal one.")
}

/// Declines a stake whose win the bank cannot pay.
pub(crate) fn bank_too_small() -> Decline {
    Decline::new("bank_too_small", "The bank cannot cover that.")
}

/// Returns the bonus of a natural beyond a normal win: half of the stake, rounded down.
pub(crate) fn bonus(stake: Amount) -> Option<Amount> {
    Amount::new(stake.get() / 2)
}

/// Returns true if the dealer takes another card.
///
/// The dealer draws nothing against a bust hand. Against a natural it draws a second card only if that could
/// make a natural of its own.
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
    /// Reports limits that allow no bet, and the balance that the largest stake needs.
    pub(crate) fn check_configuration(&self, report: &mut ConfigReport) {
        self.stakes.report("/stakes/max", report);
        if self.stakes.smallest().checked_mul(4).is_err() {
            let message = "four times the smallest stake exceeds the largest amount";
            report.finding("/stakes/min", message);
        }
        // A stake whose win exceeds the largest amount is declined, so it needs no balance.
        if let Ok(bank) = needed_for(self.stakes.to_cover()) {
            report.need(&report.own_account(), &self.asset, bank);
        }
    }

    /// Returns the balance that the bank needs for a stake: the win of a natural. Declines a stake outside the
    /// limits.
    pub(crate) fn needed(&self, stake: Amount) -> Result<Amount, Decline> {
        self.stakes.check(stake, &self.asset)?;
        let too_large = |_| {
            Decline::new(
                "stake_too_large",
                "Four times that stake exceeds the largest amount.",
            )
        };
        stake.checked_mul(4).map_err(too_large)?;
        Ok(needed_for(stake)?)
    }
}

/// Returns the win of a natural for a stake.
fn needed_for(stake: Amount) -> Result<Amount, AmountError> {
    match bonus(stake) {
        Some(bonus) => stake.checked_add(bonus),
        None => Ok(stake),
    }
}

impl RoundOutcome {
    /// Returns the outcome of two final hands.
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
    /// Declines to double the stake once the member has taken a third card.
    pub(crate) fn check_double(&self) -> Result<(), Decline> {
        if self.player.count() == 2 {
            return Ok(());
        }
        let message = "A stake can be doubled only on the first two cards.";
        Err(Decline::new("too_late_to_double", message))
    }

    /// Returns the payment beyond the holds if a doubled stake wins: the second stake and an equal win.
    pub(crate) fn doubled_win(&self) -> Result<Amount, Decline> {
        Ok(self.stake.checked_mul(2)?)
    }

    /// Returns the payment of the bank beyond the holds.
    pub(crate) fn extra(&self, outcome: RoundOutcome, doubled: bool) -> Option<Amount> {
        match (outcome, doubled) {
            (RoundOutcome::Natural, _) => bonus(self.stake),
            (RoundOutcome::Won, true) => self.doubled_win().ok(),
            (RoundOutcome::Push, true) => Some(self.stake),
            (RoundOutcome::Won | RoundOutcome::Push, false) | (RoundOutcome::Lost, _) => None,
        }
    }

    /// Returns the total that the member gets back: from both holds and beyond them.
    fn paid(&self, outcome: RoundOutcome, doubled: bool) -> u64 {
        let held = match outcome {
            RoundOutcome::Lost => 0,
            RoundOutcome::Push => 1,
            RoundOutcome::Won | RoundOutcome::Natural => 2,
        };
        let extra = self.extra(outcome, doubled).map_or(0, Amount::get);
        self.stake.get().saturating_mul(held).saturating_add(extra)
    }

    /// Returns the reply for an open round.
    pub(crate) fn open_round(&self) -> RoundReply {
        RoundReply {
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

    /// Returns the reply for a finished round.
    pub(crate) fn finished_round(
        &self,
        dealer: &Hand,
        outcome: RoundOutcome,
        doubled: bool,
    ) -> RoundReply {
        let twice = self.doubled_win().ok().filter(|_| doubled);
        RoundReply {
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

    /// Returns a game with a stake of 10 and these cards.
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
    fn limits_that_allow_no_bet_are_reported() {
        let pointers = |stakes: &str| {
            let findings = report(stakes).findings.into_iter();
            findings.map(|finding| finding.pointer).collect::<Vec<_>>()
        };
        assert_eq!(pointers(r#"{"min": 5, "max": 4}"#), ["/stakes/max"]);
        assert_eq!(pointers(r#"{"min": 2251799813685248}"#), ["/stakes/min"]);
        assert_eq!(pointers(r#"{"min": 2251799813685247}"#), [""; 0]);
    }

    #[test]
    fn the_bank_needs_the_win_of_a_natural_with_the_largest_stake() {
        for (stakes, at_least) in [(r#"{"max": 100}"#, 150), (r#"{"min": 5}"#, 7), ("{}", 1)] {
            let [need] = <[_; 1]>::try_from(report(stakes).needs).expect("one need");
            let need = (&*need.account, &*need.asset, need.at_least);
            assert_eq!(need, ("plugin:cards", "coin", at_least));
        }
    }

    #[test]
    fn stakes_end_at_their_limits() {
        assert_eq!(needed(4), Err("stake_too_small"));
        // Four times this is the largest amount less 3.
        let largest = (1 << 51) - 1;
        assert_eq!(needed(largest), Ok(largest + largest / 2));
        assert_eq!(needed(largest + 1), Err("stake_too_large"));
    }

    #[test]
    fn the_higher_hand_wins_unless_it_is_bust() {
        let of = |player, dealer| RoundOutcome::of(&hand(player), &hand(dealer));
        assert_eq!(of("T9", "T8"), RoundOutcome::Won);
        assert_eq!(of("T9", "9K"), RoundOutcome::Push);
        assert_eq!(of("T8", "T9"), RoundOutcome::Lost);
        assert_eq!(of("T2", "T6T"), RoundOutcome::Won);
        assert_eq!(of("T6T", "T"), RoundOutcome::Lost);
        assert_eq!(
            of("T6T", "T6T"),
            RoundOutcome::Lost,
            "the member is bust first"
        );
    }

    #[test]
    fn a_natural_beats_21_of_three_cards_on_either_side() {
        let of = |player, dealer| RoundOutcome::of(&hand(player), &hand(dealer));
        assert_eq!(of("AK", "777"), RoundOutcome::Natural);
        assert_eq!(of("AK", "5"), RoundOutcome::Natural);
        assert_eq!(of("777", "AK"), RoundOutcome::Lost);
        assert_eq!(of("AK", "QA"), RoundOutcome::Push);
        assert_eq!(of("777", "678"), RoundOutcome::Push);
    }

    #[test]
    fn the_dealer_stands_on_all_17s_and_draws_below() {
        let draws = |player, dealer| dealer_draws(&hand(player), &hand(dealer));
        assert!(draws("T9", "T6"));
        assert!(!draws("T9", "T7"));
        assert!(draws("T9", "A5"));
        assert!(!draws("T9", "A6"), "an ace may count 11");
        assert!(!draws("T6T", "T"), "no draw against a bust hand");
    }

    #[test]
    fn against_a_natural_the_dealer_draws_only_for_a_natural() {
        let draws = |dealer| dealer_draws(&hand("AK"), &hand(dealer));
        assert_eq!(
            ["A", "T", "9", "A5", "TT"].map(draws),
            [true, true, false, false, false]
        );
    }

    #[test]
    fn a_round_pays_from_its_holds_and_the_bank() {
        use RoundOutcome::{Lost, Natural, Push, Won};
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
    fn a_stored_game_has_constant_length() {
        let length = |game| serde_json::to_string(&game).expect("JSON").len();
        assert_eq!(length(game("AK", '5')), length(game("A23A23A", 'T')));
        assert_eq!(length(game("AK", '5')), length(game("", 'A')), "no cards");
    }

    #[test]
    fn the_schema_lists_the_outcomes() {
        let outcome = serde_json::to_value(schemars::schema_for!(RoundOutcome)).expect("JSON");
        assert_eq!(
            outcome["enum"],
            serde_json::json!(["natural", "won", "push", "lost"])
        );
    }
}

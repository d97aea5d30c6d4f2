//! How the odds that are stated are played: the best that there is with these rules.

use bursar_plugin::prelude::*;
use bursar_plugin::serde_json::json;
use bursar_plugin::{Odds, Stake};

use crate::cards::{Card, Hand};

/// What a member can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum Move {
    // With texts of their own they would not be an `enum` in the schema.
    Hit,
    Stand,
    Double,
}

/// What to do next, as a call: a simulation of the odds follows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct Advice {
    action: Move,
    arguments: NoArguments,
}

impl Advice {
    /// What is best with a hand that takes another card, against the dealer's first.
    pub(crate) fn on(player: &Hand, dealer: Card) -> Self {
        // As points, an ace is below two: against it one plays as against a ten.
        let (points, against) = (player.points(), dealer.points());
        let doubles = match (player.is_soft(), points) {
            (false, 9) | (true, 17 | 18) => (3..=6).contains(&against),
            (false, 10 | 11) => (2..=9).contains(&against),
            (true, 13) => against == 6,
            (true, 14 | 15) => (5..=6).contains(&against),
            (true, 16) => (4..=6).contains(&against),
            _ => false,
        };
        let stands = match (player.is_soft(), points) {
            (false, 12) => (4..=6).contains(&against),
            (false, 13..=16) => (2..=6).contains(&against),
            (true, 18) => (2..=8).contains(&against),
            (false, 17..) | (true, 19..) => true,
            _ => false,
        };
        let action = if doubles && player.count() == 2 {
            Move::Double
        } else if stands {
            Move::Stand
        } else {
            Move::Hit
        };
        let arguments = NoArguments {};
        Self { action, arguments }
    }
}

/// What a round returns that is played as each reply says.
pub(crate) fn odds() -> Vec<Odds> {
    vec![Odds {
        action: "deal",
        description: "An even stake, played as `next` says, which is the best: in parts of the first \
            stake.",
        arguments: json!({"stake": 10}),
        config: json!({"asset": "coin"}),
        stake: Stake {
            asset: "coin",
            amount: 10,
        },
        returns_ppm: 988_323,
        follow: Some("/next"),
    }]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::cards::RANKS;
    use crate::cards::tests::hand;
    use crate::rules::tests::game;
    use crate::rules::{Config, Deal, Outcome, dealer_draws};

    /// All that matters of a hand for what becomes of it: points, whether an ace counts eleven, and
    /// whether it has one card, two, or more.
    type Kind = (u8, bool, usize);

    fn kind(hand: &Hand) -> Kind {
        (hand.points(), hand.is_soft(), hand.count().min(3))
    }

    fn with(hand: &Hand, card: Card) -> Hand {
        let mut hand = hand.clone();
        hand.take(card);
        hand
    }

    fn cards() -> impl Iterator<Item = Card> {
        (0..RANKS).map(Card::of)
    }

    /// What is won on average, in stakes, by the rules and over all cards: each hand once.
    #[derive(Default)]
    struct Exact {
        stood: BTreeMap<(Kind, Kind), f64>,
        advised: BTreeMap<(Kind, Kind), f64>,
    }

    impl Exact {
        fn mean(value: impl FnMut(Card) -> f64) -> f64 {
            cards().map(value).sum::<f64>() / f64::from(RANKS)
        }

        /// When the member takes no more cards. A stake that is not doubled; twice this if it is.
        fn stand(&mut self, player: &Hand, dealer: &Hand) -> f64 {
            let place = (kind(player), kind(dealer));
            if let Some(known) = self.stood.get(&place) {
                return *known;
            }
            let won = if dealer_draws(player, dealer) {
                Self::mean(|card| self.stand(player, &with(dealer, card)))
            } else {
                match Outcome::of(player, dealer) {
                    Outcome::Natural => 1.5,
                    Outcome::Won => 1.0,
                    Outcome::Push => 0.0,
                    Outcome::Lost => -1.0,
                }
            };
            self.stood.insert(place, won);
            won
        }

        /// When the member does this, and what is advised after it.
        fn value(&mut self, action: Move, player: &Hand, dealer: Card) -> f64 {
            let shown = Hand::from(dealer);
            match action {
                Move::Stand => self.stand(player, &shown),
                Move::Double => 2.0 * Self::mean(|card| self.stand(&with(player, card), &shown)),
                Move::Hit => Self::mean(|card| self.advised(&with(player, card), dealer)),
            }
        }

        fn advised(&mut self, player: &Hand, dealer: Card) -> f64 {
            if player.is_full() {
                return self.stand(player, &Hand::from(dealer));
            }
            let place = (kind(player), kind(&Hand::from(dealer)));
            if let Some(known) = self.advised.get(&place) {
                return *known;
            }
            let value = self.value(Advice::on(player, dealer).action, player, dealer);
            self.advised.insert(place, value);
            value
        }
    }

    /// Every hand that can be dealt, against every card: what comes back is what is stated.
    #[test]
    fn the_stated_odds_are_those_of_the_rules() {
        for odds in odds() {
            let config: Config = serde_json::from_value(odds.config).expect("a configuration");
            let deal: Deal = serde_json::from_value(odds.arguments).expect("a bet");
            assert_eq!(deal.stake.get(), odds.stake.amount);
            // Of an even stake, half of it is half of it.
            let needed = config.needed(deal.stake).expect("a stake");
            assert_eq!(2 * needed.get(), 3 * odds.stake.amount);
            let mut exact = Exact::default();
            let won = Exact::mean(|first| {
                Exact::mean(|second| {
                    let player = with(&Hand::from(first), second);
                    Exact::mean(|dealer| exact.advised(&player, dealer))
                })
            });
            let returned = format!("{:.0}", (1.0 + won) * 1e6);
            assert_eq!(returned, odds.returns_ppm.to_string());
        }
    }

    #[test]
    fn nothing_else_is_better_than_what_is_advised() {
        let mut exact = Exact::default();
        let mut hands: BTreeMap<Kind, Hand> = BTreeMap::new();
        let mut grown: Vec<Hand> = cards().map(Hand::from).collect();
        while let Some(shorter) = grown.pop() {
            for hand in cards().map(|card| with(&shorter, card)) {
                if !hand.is_full() && hands.insert(kind(&hand), hand.clone()).is_none() {
                    grown.push(hand);
                }
            }
        }
        // With two cards hard 4 to 20 and soft 12 to 20, with more of them from 6 and 13 on.
        assert_eq!(hands.len(), 17 + 9 + 15 + 8);
        for player in hands.values() {
            for dealer in cards() {
                let advised = exact.advised(player, dealer);
                let mut can = vec![Move::Hit, Move::Stand];
                can.extend((player.count() == 2).then_some(Move::Double));
                for other in can {
                    let value = exact.value(other, player, dealer);
                    assert!(
                        value <= advised + 1e-9,
                        "{other:?} with {player:?}, {dealer:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_paid_is_what_the_odds_count_with() {
        let game = game("65", '5');
        for (outcome, stakes) in [(Outcome::Won, 4), (Outcome::Push, 2), (Outcome::Lost, 0)] {
            let round = serde_json::to_value(game.over(&hand("T7"), outcome, true)).expect("JSON");
            assert_eq!(
                (&round["staked"], &round["paid"]),
                (&json!(20), &json!(stakes * 10))
            );
        }
    }

    #[test]
    fn the_simulation_finds_its_next_call() {
        let round = serde_json::to_value(game("65", '5').goes_on()).expect("JSON");
        let follow = odds()[0].follow.expect("a pointer");
        let next = round.pointer(follow).expect("a call");
        assert_eq!(*next, json!({"action": "double", "arguments": {}}));
        let over = game("65", '5').over(&hand("57"), Outcome::Lost, false);
        let over = serde_json::to_value(over).expect("JSON");
        assert!(over.pointer(follow).is_some_and(serde_json::Value::is_null));
    }
}

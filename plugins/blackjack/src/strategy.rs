//! The strategy behind the stated odds, which is optimal for these rules.

use bursar_plugin::prelude::*;
use bursar_plugin::serde_json::json;
use bursar_plugin::{Odds, Stake};

use crate::cards::{Card, Hand};

/// A move of the member.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum Move {
    // No doc comments on the variants: schemars would then not write them as an `enum`.
    Hit,
    Stand,
    Double,
}

/// The recommended next call, which a simulation of the odds makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct Advice {
    action: Move,
    arguments: NoArguments,
}

impl Advice {
    /// Returns the best move with a hand against the dealer's first card.
    pub(crate) fn on(player: &Hand, dealer: Card) -> Self {
        // An ace of the dealer counts 1 here, so no range below matches it, as for a ten.
        let points = player.points();
        let against = dealer.points();
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

/// Returns the stated odds of a round that is played by this strategy.
pub(crate) fn odds() -> Vec<Odds> {
    vec![Odds {
        action: "deal",
        description: "An even stake, played by the optimal strategy in `next`. The return is relative to \
            the first stake.",
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
    use crate::rules::{Config, Deal, RoundOutcome, dealer_draws};

    /// The properties of a hand that decide its value: the points, whether an ace counts 11, and whether it has
    /// one card, two, or more.
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

    /// The exact average wins in stakes, computed over all cards and cached for each kind of hand.
    #[derive(Default)]
    struct Exact {
        stood: BTreeMap<(Kind, Kind), f64>,
        advised: BTreeMap<(Kind, Kind), f64>,
    }

    impl Exact {
        fn mean(value: impl FnMut(Card) -> f64) -> f64 {
            cards().map(value).sum::<f64>() / f64::from(RANKS)
        }

        /// Returns the average win of a single stake if the member stands.
        fn stand(&mut self, player: &Hand, dealer: &Hand) -> f64 {
            let hands = (kind(player), kind(dealer));
            if let Some(cached) = self.stood.get(&hands) {
                return *cached;
            }
            let won = if dealer_draws(player, dealer) {
                Self::mean(|card| self.stand(player, &with(dealer, card)))
            } else {
                match RoundOutcome::of(player, dealer) {
                    RoundOutcome::Natural => 1.5,
                    RoundOutcome::Won => 1.0,
                    RoundOutcome::Push => 0.0,
                    RoundOutcome::Lost => -1.0,
                }
            };
            self.stood.insert(hands, won);
            won
        }

        /// Returns the average win of a move that is followed by the strategy.
        fn value(&mut self, action: Move, player: &Hand, dealer: Card) -> f64 {
            let shown = Hand::from(dealer);
            match action {
                Move::Stand => self.stand(player, &shown),
                Move::Double => 2.0 * Self::mean(|card| self.stand(&with(player, card), &shown)),
                Move::Hit => Self::mean(|card| self.advised(&with(player, card), dealer)),
            }
        }

        /// Returns the average win of the strategy.
        fn advised(&mut self, player: &Hand, dealer: Card) -> f64 {
            if player.is_full() {
                return self.stand(player, &Hand::from(dealer));
            }
            let hands = (kind(player), kind(&Hand::from(dealer)));
            if let Some(cached) = self.advised.get(&hands) {
                return *cached;
            }
            let value = self.value(Advice::on(player, dealer).action, player, dealer);
            self.advised.insert(hands, value);
            value
        }
    }

    /// The average win over all hands and all cards of the dealer equals the stated return.
    #[test]
    fn the_stated_odds_follow_from_the_rules() {
        for odds in odds() {
            let config: Config = serde_json::from_value(odds.config).expect("a configuration");
            let deal: Deal = serde_json::from_value(odds.arguments).expect("a bet");
            assert_eq!(deal.stake.get(), odds.stake.amount);
            // An even stake has no rounding in its bonus.
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
    fn no_move_is_better_than_the_advised_one() {
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
        // With two cards: hard 4 to 20 and soft 12 to 20. With more cards: hard 6 to 20 and soft 13 to 20.
        assert_eq!(hands.len(), 17 + 9 + 15 + 8);
        for player in hands.values() {
            for dealer in cards() {
                let advised = exact.advised(player, dealer);
                let mut moves = vec![Move::Hit, Move::Stand];
                moves.extend((player.count() == 2).then_some(Move::Double));
                for other in moves {
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
    fn a_doubled_round_pays_as_the_odds_assume() {
        let game = game("65", '5');
        for (outcome, stakes) in [
            (RoundOutcome::Won, 4),
            (RoundOutcome::Push, 2),
            (RoundOutcome::Lost, 0),
        ] {
            let round = serde_json::to_value(game.finished_round(&hand("T7"), outcome, true))
                .expect("JSON");
            assert_eq!(
                (&round["staked"], &round["paid"]),
                (&json!(20), &json!(stakes * 10))
            );
        }
    }

    #[test]
    fn the_reply_has_the_next_call_of_the_simulation() {
        let round = serde_json::to_value(game("65", '5').open_round()).expect("JSON");
        let follow = odds()[0].follow.expect("a pointer");
        let next = round.pointer(follow).expect("a call");
        assert_eq!(*next, json!({"action": "double", "arguments": {}}));
        let finished = game("65", '5').finished_round(&hand("57"), RoundOutcome::Lost, false);
        let finished = serde_json::to_value(finished).expect("JSON");
        assert!(
            finished
                .pointer(follow)
                .is_some_and(serde_json::Value::is_null)
        );
    }
}

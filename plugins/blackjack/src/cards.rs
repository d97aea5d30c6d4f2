//! Cards and hands: plain values, without the host.

use std::borrow::Cow;

use bursar_plugin::prelude::*;
use schemars::{Schema, SchemaGenerator, json_schema};

/// How many ranks there are. The deck has no end: each card is any of them with the same chance, whatever
/// was drawn before.
pub(crate) const RANKS: u32 = 13;

/// The ranks as they are written, from the ace on; `T` is a ten.
const LETTERS: [char; RANKS as usize] = [
    'A', '2', '3', '4', '5', '6', '7', '8', '9', 'T', 'J', 'Q', 'K',
];

/// Points beyond which a hand is bust.
pub(crate) const MOST: u8 = 21;

/// Cards of a hand that is kept: with 20 points at most, which is 20 aces, it has no more.
const KEPT_MAX: usize = 20;

/// What stands in a kept hand for a card that is not there.
const NO_CARD: char = '.';

/// A card: its place among the ranks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(into = "char", try_from = "char")]
pub(crate) struct Card(u8);

impl Card {
    /// The card that a draw below 13 means.
    pub(crate) fn of(drawn: u32) -> Self {
        let rank = u8::try_from(drawn % RANKS);
        Self(rank.expect("what is left of a division by 13 is below 13"))
    }

    /// What it counts: an ace one, a face ten.
    pub(crate) fn points(self) -> u8 {
        self.0.saturating_add(1).min(10)
    }

    fn is_ace(self) -> bool {
        self.0 == 0
    }
}

impl From<Card> for char {
    fn from(card: Card) -> Self {
        LETTERS[usize::from(card.0)]
    }
}

impl TryFrom<char> for Card {
    type Error = String;

    fn try_from(letter: char) -> Result<Self, String> {
        let mut cards = (0..RANKS).map(Self::of);
        let found = cards.find(|card| char::from(*card) == letter);
        found.ok_or_else(|| format!("{letter} is no card"))
    }
}

impl JsonSchema for Card {
    fn schema_name() -> Cow<'static, str> {
        "Card".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": LETTERS })
    }
}

/// Cards of one side, in the order in which they came.
///
/// It is kept as a text of one length, however many cards there are, so that a game that has begun takes
/// no more room later on.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Hand(Vec<Card>);

impl Hand {
    /// One more card.
    pub(crate) fn take(&mut self, card: Card) {
        self.0.push(card);
    }

    /// How many cards.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn cards(&self) -> &[Card] {
        &self.0
    }

    /// What the cards count: an ace eleven where that is not too much.
    pub(crate) fn points(&self) -> u8 {
        let hard = self.hard();
        if self.is_soft() { hard + 10 } else { hard }
    }

    /// Whether an ace counts eleven.
    pub(crate) fn is_soft(&self) -> bool {
        self.0.iter().any(|card| card.is_ace()) && self.hard() <= MOST - 10
    }

    /// Whether it is 21 with the first two cards, which beats every other hand.
    pub(crate) fn is_natural(&self) -> bool {
        self.count() == 2 && self.points() == MOST
    }

    /// Whether it takes no more cards: it is 21 or bust.
    pub(crate) fn is_full(&self) -> bool {
        self.points() >= MOST
    }

    pub(crate) fn is_bust(&self) -> bool {
        self.points() > MOST
    }

    /// The points with each ace as one.
    fn hard(&self) -> u8 {
        let points = self.0.iter().map(|card| card.points());
        points.fold(0, u8::saturating_add)
    }
}

impl From<Card> for Hand {
    fn from(card: Card) -> Self {
        Self(vec![card])
    }
}

impl From<Hand> for String {
    fn from(hand: Hand) -> Self {
        let cards = hand.0.into_iter().map(char::from);
        let none = std::iter::repeat(NO_CARD);
        cards.chain(none).take(KEPT_MAX).collect()
    }
}

impl TryFrom<String> for Hand {
    type Error = String;

    fn try_from(kept: String) -> Result<Self, String> {
        let letters = kept.trim_end_matches(NO_CARD).chars();
        letters
            .map(Card::try_from)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A hand, one letter a card.
    pub(crate) fn hand(letters: &str) -> Hand {
        Hand::try_from(letters.to_owned()).expect("cards")
    }

    #[test]
    fn each_draw_is_one_card_and_faces_count_ten() {
        let cards: Vec<Card> = (0..RANKS).map(Card::of).collect();
        let letters: String = cards.iter().copied().map(char::from).collect();
        assert_eq!(letters, "A23456789TJQK");
        let points: Vec<u8> = cards.iter().map(|card| card.points()).collect();
        assert_eq!(points, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10, 10]);
    }

    #[test]
    fn an_ace_counts_eleven_where_that_is_not_too_much() {
        let seen = |letters| (hand(letters).points(), hand(letters).is_soft());
        assert_eq!(seen("A6"), (17, true));
        assert_eq!(seen("A6K"), (17, false));
        assert_eq!(seen("AA"), (12, true));
        assert_eq!(seen("AA9"), (21, true));
        assert_eq!(seen("AAT"), (12, false));
        assert_eq!(seen("98"), (17, false));
    }

    #[test]
    fn a_hand_is_full_at_21_and_bust_beyond() {
        let seen = |letters| (hand(letters).is_full(), hand(letters).is_bust());
        assert_eq!(seen("KQ"), (false, false));
        assert_eq!(seen("KQA"), (true, false));
        assert_eq!(seen("KQ2"), (true, true));
    }

    #[test]
    fn only_the_first_two_cards_are_a_natural() {
        assert!(hand("AK").is_natural());
        assert!(hand("TA").is_natural());
        assert!(!hand("777").is_natural());
        assert!(!hand("K9").is_natural());
    }

    #[test]
    fn a_hand_takes_the_same_room_whatever_is_in_it() {
        // The most cards that a hand which is not full can have, but for one ace less.
        let most = hand(&format!("{}2{}", "A".repeat(10), "A".repeat(8)));
        assert_eq!((most.points(), most.count()), (20, 19));
        for kept in [hand(""), hand("AK"), most] {
            let text = serde_json::to_string(&kept).expect("JSON");
            assert_eq!(text.len(), KEPT_MAX + 2);
            assert_eq!(serde_json::from_str::<Hand>(&text).expect("a hand"), kept);
        }
        assert!(serde_json::from_str::<Hand>("\"A1\"").is_err());
    }

    #[test]
    fn bots_find_the_cards_in_the_schema() {
        let card = serde_json::to_value(schemars::schema_for!(Card)).expect("JSON");
        assert_eq!(card["enum"][0], "A");
        assert_eq!(card["enum"][9], "T");
        assert_eq!(card["enum"].as_array().expect("cards").len(), 13);
    }
}

//! Cards and hands, without the host.

use std::borrow::Cow;

use bursar_plugin::prelude::*;
use schemars::{Schema, SchemaGenerator, json_schema};

/// The number of ranks. The deck is infinite: each card has each rank with equal chance, independent of the
/// cards before it.
pub(crate) const RANKS: u32 = 13;

/// The letters of the ranks, from the ace on; `T` is a ten.
const LETTERS: [char; RANKS as usize] = [
    'A', '2', '3', '4', '5', '6', '7', '8', '9', 'T', 'J', 'Q', 'K',
];

/// The largest number of points of a hand that is not bust.
pub(crate) const POINTS_MAX: u8 = 21;

/// The largest number of cards of a stored hand: 20 aces have 20 points.
const STORED_MAX: usize = 20;

/// The filler of a stored hand in place of a card.
const NO_CARD: char = '.';

/// A card, as the index of its rank.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(into = "char", try_from = "char")]
pub(crate) struct Card(u8);

impl Card {
    /// Returns the card for a draw below 13.
    pub(crate) fn of(drawn: u32) -> Self {
        let rank = u8::try_from(drawn % RANKS);
        Self(rank.expect("a remainder of a division by 13 is below 13"))
    }

    /// Returns the points of the card: an ace counts 1, a face 10.
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
        found.ok_or_else(|| format!("{letter} is not a card"))
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

/// The cards of one side, in the order of their draws.
///
/// It is serialised as a text of constant length, so that an open game never needs more state than at its
/// start.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Hand(Vec<Card>);

impl Hand {
    /// Adds a card.
    pub(crate) fn take(&mut self, card: Card) {
        self.0.push(card);
    }

    /// Returns the number of cards.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn cards(&self) -> &[Card] {
        &self.0
    }

    /// Returns the points of the hand. One ace counts 11 if the hand is then not bust.
    pub(crate) fn points(&self) -> u8 {
        let hard = self.hard();
        if self.is_soft() { hard + 10 } else { hard }
    }

    /// Returns true if an ace counts 11.
    pub(crate) fn is_soft(&self) -> bool {
        self.0.iter().any(|card| card.is_ace()) && self.hard() <= POINTS_MAX - 10
    }

    /// Returns true if the hand is 21 with two cards, which beats every other hand.
    pub(crate) fn is_natural(&self) -> bool {
        self.count() == 2 && self.points() == POINTS_MAX
    }

    /// Returns true if the hand is 21 or bust, so that it takes no more cards.
    pub(crate) fn is_full(&self) -> bool {
        self.points() >= POINTS_MAX
    }

    pub(crate) fn is_bust(&self) -> bool {
        self.points() > POINTS_MAX
    }

    /// Returns the points with each ace as 1.
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
        cards.chain(none).take(STORED_MAX).collect()
    }
}

impl TryFrom<String> for Hand {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let letters = text.trim_end_matches(NO_CARD).chars();
        letters
            .map(Card::try_from)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns a hand from one letter for each card.
    pub(crate) fn hand(letters: &str) -> Hand {
        Hand::try_from(letters.to_owned()).expect("cards")
    }

    #[test]
    fn each_draw_is_a_card_and_faces_count_ten() {
        let cards: Vec<Card> = (0..RANKS).map(Card::of).collect();
        let letters: String = cards.iter().copied().map(char::from).collect();
        assert_eq!(letters, "A23456789TJQK");
        let points: Vec<u8> = cards.iter().map(|card| card.points()).collect();
        assert_eq!(points, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10, 10]);
    }

    #[test]
    fn an_ace_counts_eleven_if_the_hand_is_not_bust() {
        let points = |letters| (hand(letters).points(), hand(letters).is_soft());
        assert_eq!(points("A6"), (17, true));
        assert_eq!(points("A6K"), (17, false));
        assert_eq!(points("AA"), (12, true));
        assert_eq!(points("AA9"), (21, true));
        assert_eq!(points("AAT"), (12, false));
        assert_eq!(points("98"), (17, false));
    }

    #[test]
    fn a_hand_is_full_at_21_and_bust_beyond() {
        let state = |letters| (hand(letters).is_full(), hand(letters).is_bust());
        assert_eq!(state("KQ"), (false, false));
        assert_eq!(state("KQA"), (true, false));
        assert_eq!(state("KQ2"), (true, true));
    }

    #[test]
    fn only_two_cards_are_a_natural() {
        assert!(hand("AK").is_natural());
        assert!(hand("TA").is_natural());
        assert!(!hand("777").is_natural());
        assert!(!hand("K9").is_natural());
    }

    #[test]
    fn a_stored_hand_has_constant_length() {
        // One card less than the longest hand that is not full.
        let longest = hand(&format!("{}2{}", "A".repeat(10), "A".repeat(8)));
        assert_eq!((longest.points(), longest.count()), (20, 19));
        for hand in [hand(""), hand("AK"), longest] {
            let text = serde_json::to_string(&hand).expect("JSON");
            assert_eq!(text.len(), STORED_MAX + 2);
            assert_eq!(serde_json::from_str::<Hand>(&text).expect("a hand"), hand);
        }
        assert!(serde_json::from_str::<Hand>("\"A1\"").is_err());
    }

    #[test]
    fn the_schema_lists_the_cards() {
        let card = serde_json::to_value(schemars::schema_for!(Card)).expect("JSON");
        assert_eq!(card["enum"][0], "A");
        assert_eq!(card["enum"][9], "T");
        assert_eq!(card["enum"].as_array().expect("cards").len(), 13);
    }
}

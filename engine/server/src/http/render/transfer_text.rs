//! The text of a transfer, written without a view in between.
//!
//! Nearly all answers are transfers, and they are rendered on the writer's thread. The text is the one that a
//! [`TransferView`](super::TransferView) has as JSON.

use std::fmt::Write;

use bursar_ledger::{AccountId, AssetId, Movement, Timestamp, TransferId};

/// An upper bound for the bytes of the answer to a transfer with few postings.
const TRANSFER_BYTES: usize = 384;

/// Returns the text of a transfer.
pub(super) fn transfer_text(
    id: TransferId,
    seq: u64,
    recorded_at: Timestamp,
    movements: &[Movement],
) -> String {
    let mut text = String::with_capacity(TRANSFER_BYTES);
    text.push_str(r#"{"id":""#);
    text.push_str(id.0.hyphenated().encode_lower(&mut [0; 36]));
    text.push_str(r#"","seq":"#);
    number(&mut text, seq);
    text.push_str(r#","recorded_at":"#);
    number(&mut text, recorded_at.0);
    text.push_str(r#","postings":["#);
    for (index, movement) in movements.iter().enumerate() {
        let posting = &movement.posting;
        // Names consist of characters that JSON does not escape.
        text.push_str(if index == 0 {
            r#"{"from":""#
        } else {
            r#",{"from":""#
        });
        text.push_str(posting.source.as_str());
        text.push_str(r#"","to":""#);
        text.push_str(posting.destination.as_str());
        text.push_str(r#"","asset":""#);
        text.push_str(posting.asset.as_str());
        text.push_str(r#"","amount":"#);
        number(&mut text, posting.amount.get());
        text.push('}');
    }
    text.push_str(r#"],"balances":{"#);
    write_last_balances(&mut text, movements);
    text.push_str("}}");
    text
}

/// A balance after a movement.
type BalanceAfter<'a> = (&'a AccountId, &'a AssetId, i64);

/// Writes the last balance of each account in each asset, in the order of their names.
pub(super) fn write_last_balances(text: &mut String, movements: &[Movement]) {
    if let [movement] = movements {
        let mut after = sides(movement);
        after.sort_unstable_by_key(|(account, ..)| *account);
        write_balances(text, &after);
        return;
    }
    let mut after: Vec<BalanceAfter<'_>> = movements.iter().flat_map(sides).collect();
    // The sort is stable, so that the last one of equal names is the latest balance.
    after.sort_by_key(|(account, asset, _)| (*account, *asset));
    write_balances(text, &after);
}

fn sides(movement: &Movement) -> [BalanceAfter<'_>; 2] {
    let posting = &movement.posting;
    [
        (&posting.source, &posting.asset, movement.source_after),
        (
            &posting.destination,
            &posting.asset,
            movement.destination_after,
        ),
    ]
}

fn write_balances(text: &mut String, after: &[BalanceAfter<'_>]) {
    let mut accounts = after
        .chunk_by(|(one, ..), (other, ..)| one == other)
        .peekable();
    while let Some(account) = accounts.next() {
        let Some((name, ..)) = account.first() else {
            continue;
        };
        text.push('"');
        text.push_str(name.as_str());
        text.push_str(r#"":{"#);
        let assets = account.chunk_by(|(_, one, _), (_, other, _)| one == other);
        for (index, asset) in assets.enumerate() {
            let Some((_, name, balance)) = asset.last() else {
                continue;
            };
            text.push_str(if index == 0 { "\"" } else { ",\"" });
            text.push_str(name.as_str());
            text.push_str("\":");
            if *balance < 0 {
                text.push('-');
            }
            number(text, balance.unsigned_abs());
        }
        text.push_str(if accounts.peek().is_some() { "}," } else { "}" });
    }
}

/// Writes a number.
pub(super) fn number(text: &mut String, number: u64) {
    // Writing to a text does not fail.
    let _written = write!(text, "{number}");
}

#[cfg(test)]
pub(super) mod tests {
    use bursar_ledger::{Amount, Posting};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::super::{TransferView, text, views};
    use super::*;

    /// Returns some movements. An account that pays itself would have two balances after one movement, which no transfer
    /// has.
    pub(in crate::http::render) fn movements() -> impl Strategy<Value = Vec<Movement>> {
        let account = || {
            (0..4_u8).prop_map(|number| ["a", "user:2", "user:10", "issuer:x"][usize::from(number)])
        };
        let asset = (0..3_u8).prop_map(|number| ["coin", "item:potion", "x"][usize::from(number)]);
        let movement = (
            account(),
            account(),
            asset,
            1..1_000_u64,
            -50..50_i64,
            any::<i32>(),
        );
        let movement = movement.prop_map(|(from, to, asset, amount, one, other)| Movement {
            part: 0,
            posting: Posting {
                source: from.parse().expect("a name"),
                destination: to.parse().expect("a name"),
                asset: asset.parse().expect("a name"),
                amount: Amount::new(amount).expect("an amount"),
            },
            source_after: one,
            destination_after: other.into(),
        });
        let made = vec(movement, 1..6);
        made.prop_map(|made| {
            let moves =
                |movement: &Movement| movement.posting.source != movement.posting.destination;
            made.into_iter().filter(moves).collect()
        })
    }

    proptest! {
        #[test]
        fn the_text_of_a_transfer_is_that_of_its_view(
            bytes in any::<[u8; 16]>(),
            seq in any::<u64>(),
            at in any::<u64>(),
            made in movements(),
        ) {
            let id = TransferId(Uuid::from_bytes(bytes));
            let view = TransferView {
                id,
                seq,
                recorded_at: Timestamp(at),
                movements: views::movements(&made),
            };
            prop_assert_eq!(transfer_text(id, seq, Timestamp(at), &made), text(&view));
        }
    }
}

//! The encoding of records in a frame: CBOR arrays (RFC 8949) with members by position.
//!
//! A later version may append members; a reader skips those that it does not know. The economy, its numbers and the
//! time of the first record stand once in the header of the frame.

use std::num::TryFromIntError;

use bursar_ledger::{AccountNumber, Amount, AssetNumber, Digest, NumberedMovement, Timestamp};
use bytes::Bytes;
use minicbor::decode::Error;
use minicbor::{Decoder, Encoder};

use crate::log::header::FrameHeader;
use crate::record::{Outcome, Record, Salt};

/// The number of members of a record.
const MEMBERS: u64 = 16;

/// The number of members of a movement.
const MOVEMENT_MEMBERS: u64 = 7;

/// The number of bytes of a record's hash that are stored with it. They name the record in which a frame was altered;
/// the chain itself proves that none was.
pub(crate) const CHECK_BYTES: usize = 4;

/// Appends a record to the bytes of a frame. `economy` is its place in the header of the frame.
pub(crate) fn encode(
    into: &mut Vec<u8>,
    record: &Record,
    hash: &Digest,
    economy: u32,
    base: Timestamp,
) {
    let mut to = Encoder::new(into);
    let encoded = write(&mut to, record, hash, economy, base);
    encoded.expect("memory takes all bytes");
}

fn write(
    to: &mut Encoder<&mut Vec<u8>>,
    record: &Record,
    hash: &Digest,
    economy: u32,
    base: Timestamp,
) -> Result<(), minicbor::encode::Error<std::convert::Infallible>> {
    let check = hash.as_bytes().first_chunk::<CHECK_BYTES>();
    let answer = std::str::from_utf8(&record.answer).unwrap_or_default();
    // Constant members are neighbours, which compresses best.
    to.array(MEMBERS)?
        .u32(economy)?
        .str(&record.version)?
        .u64(record.epoch)?
        .str(&record.kind)?
        .u8(record.outcome.code())?
        .u16(record.status)?
        .str(&record.actor)?
        .str(&record.changes)?
        .u64(record.recorded_at.0.wrapping_sub(base.0))?
        .bytes(check.map_or(&[], |check| check))?
        .bytes(&record.salt.0)?;
    match &record.key {
        Some(key) => to.str(key)?,
        None => to.null()?,
    };
    to.str(&record.request)?.str(&record.act)?.str(answer)?;
    to.array(record.movements.len() as u64 * MOVEMENT_MEMBERS)?;
    for movement in &record.movements {
        to.u32(movement.part)?
            .u32(movement.source.0)?
            .u32(movement.destination.0)?
            .u32(movement.asset.0)?
            .u64(movement.amount.get())?
            .i64(movement.source_after)?
            .i64(movement.destination_after)?;
    }
    Ok(())
}

/// A record that was read, with the bytes of its hash that were stored with it.
pub(crate) struct Decoded {
    pub(crate) record: Record,
    /// The place of its economy in the header of the frame.
    pub(crate) economy: usize,
    pub(crate) check: [u8; CHECK_BYTES],
}

/// Reads the next record of a frame. Its numbers are those of the header; [`FrameReader`](super::frame::FrameReader)
/// adds those of the records before it.
pub(crate) fn decode(from: &mut Decoder<'_>, header: &FrameHeader) -> Result<Decoded, Error> {
    let members = array(from)?;
    if members < MEMBERS {
        return Err(Error::message("a record lacks members"));
    }
    let economy = from.u32()?;
    let place = usize::try_from(economy).map_err(Error::custom)?;
    let entry = header.economies.get(place);
    let entry = entry.ok_or_else(|| Error::message("a record of an economy outside the header"))?;
    let version = from.str()?.to_owned().into();
    let epoch = from.u64()?;
    let kind = from.str()?.to_owned().into();
    let outcome = Outcome::of_code(from.u8()?);
    let outcome = outcome.ok_or_else(|| Error::message("an unknown outcome"))?;
    let status = from.u16()?;
    let actor = from.str()?.to_owned();
    let changes = from.str()?.to_owned();
    let recorded_at = Timestamp(header.base.0.wrapping_add(from.u64()?));
    let check = fixed(from.bytes()?)?;
    let salt = Salt(fixed(from.bytes()?)?);
    let key = if from.datatype()? == minicbor::data::Type::Null {
        from.null()?;
        None
    } else {
        Some(from.str()?.to_owned())
    };
    let request = from.str()?.to_owned();
    let act = from.str()?.to_owned();
    let answer = Bytes::copy_from_slice(from.str()?.as_bytes());
    let movements = movements(from)?;
    for _ in MEMBERS..members {
        from.skip()?;
    }
    Ok(Decoded {
        economy: place,
        check,
        record: Record {
            id: header.first_record,
            economy: entry.economy.clone(),
            number: entry.number,
            seq: entry.seq,
            epoch,
            version,
            recorded_at,
            kind,
            outcome,
            status,
            salt,
            actor,
            key,
            request,
            act,
            changes,
            answer,
            first_movement: header.first_movement,
            movements,
        },
    })
}

/// Reads the two members of a record that determine the numbers of later records: the place of its economy in the
/// header, and the number of its movements.
pub(crate) fn skip(from: &mut Decoder<'_>) -> Result<(usize, u64), Error> {
    let members = array(from)?;
    if members < MEMBERS {
        return Err(Error::message("a record lacks members"));
    }
    let economy = from.u32()?;
    for _ in 1..MEMBERS - 1 {
        from.skip()?;
    }
    let numbers = array(from)?;
    for _ in 0..numbers {
        from.skip()?;
    }
    for _ in MEMBERS..members {
        from.skip()?;
    }
    let economy = usize::try_from(economy).map_err(Error::custom)?;
    Ok((economy, numbers / MOVEMENT_MEMBERS))
}

fn movements(from: &mut Decoder<'_>) -> Result<Vec<NumberedMovement>, Error> {
    let numbers = array(from)?;
    if numbers % MOVEMENT_MEMBERS != 0 {
        return Err(Error::message("a movement lacks members"));
    }
    // The capacity does not follow a number that nothing has proven yet.
    let mut movements = Vec::with_capacity(
        usize::try_from(numbers.min(1_024) / MOVEMENT_MEMBERS).unwrap_or_default(),
    );
    for _ in 0..numbers / MOVEMENT_MEMBERS {
        movements.push(NumberedMovement {
            part: from.u32()?,
            source: AccountNumber(from.u32()?),
            destination: AccountNumber(from.u32()?),
            asset: AssetNumber(from.u32()?),
            amount: Amount::new(from.u64()?)
                .ok_or_else(|| Error::message("an amount is out of range"))?,
            source_after: from.i64()?,
            destination_after: from.i64()?,
        });
    }
    Ok(movements)
}

/// Reads the header of an array of definite length.
pub(crate) fn array(from: &mut Decoder<'_>) -> Result<u64, Error> {
    from.array()?
        .ok_or_else(|| Error::message("an array of indefinite length"))
}

/// Returns bytes of a fixed length.
pub(crate) fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Error> {
    bytes
        .try_into()
        .map_err(|_| Error::message("bytes of another length"))
}

/// Converts a number to a length.
pub(crate) fn length(number: u64) -> Result<usize, TryFromIntError> {
    usize::try_from(number)
}

//! Response bodies about seeds of draws.

use bursar_ledger::{AccountId, ActiveSeed, Books, Digest, DrawOrigin, ServerSeed, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use crate::http::api::schemas;

/// `next`: its commitment is public, and nothing was drawn from it. `active`: draws use it.
/// `hidden`: no new draws use it, and games that used it are still open. `revealed`: the seed is
/// public, and anyone can verify its draws.
#[derive(Serialize, JsonSchema, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SeedStatus {
    Next,
    Active,
    Hidden,
    Revealed,
}

/// A server seed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ServerSeed")]
pub(crate) struct SeedView {
    number: u64,
    status: SeedStatus,
    /// The SHA-256 hash of the seed's 32 bytes. It is public before anything is drawn from the
    /// seed.
    #[schemars(with = "schemas::Digest")]
    commitment: Digest,
    /// The seed in hexadecimal digits; absent until it is revealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::Digest")]
    seed: Option<String>,
}

pub(crate) fn seed(known: &ServerSeed, active: u64) -> SeedView {
    let status = match known.revealed {
        Some(_) => SeedStatus::Revealed,
        None if known.number > active => SeedStatus::Next,
        None if known.number == active => SeedStatus::Active,
        None => SeedStatus::Hidden,
    };
    SeedView {
        number: known.number,
        status,
        commitment: known.commitment,
        seed: known.revealed.map(String::from),
    }
}

/// The server seed from which an economy draws.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ActiveSeed")]
pub(crate) struct ActiveSeedView {
    /// The number of the active server seed.
    active: u64,
    /// The time at which it became active.
    #[schemars(with = "schemas::Timestamp")]
    active_since: Timestamp,
    /// The number of draws from it.
    draws: u64,
    /// The nonce of the next call that draws.
    next_nonce: u64,
    /// The active server seed and the one after it.
    seeds: Vec<SeedView>,
}

pub(crate) fn active_seed(books: &Books) -> ActiveSeedView {
    let ActiveSeed {
        number: active,
        since: active_since,
        draws,
    } = books.active_seed();
    let both = [active, active.saturating_add(1)];
    let known = both
        .into_iter()
        .filter_map(|number| books.server_seed(number));
    ActiveSeedView {
        active,
        active_since,
        draws,
        next_nonce: books.next_nonce(),
        seeds: known.map(|known| seed(&known, active)).collect(),
    }
}

/// The client seed of a member, which is mixed into its draws.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ClientSeed")]
pub(crate) struct ClientSeedView<'a> {
    #[schemars(with = "schemas::AccountName")]
    account: &'a AccountId,
    /// The client seed; the name of the account if the member has not chosen one.
    client_seed: String,
    /// True if the member chose the client seed after the commitment to the active server seed.
    /// Otherwise the operator could have chosen the server seed to fit.
    by_member: bool,
    /// The number of the server seed with which it is used.
    seed: u64,
    /// The commitment to that server seed.
    #[schemars(with = "schemas::Digest")]
    commitment: Digest,
}

pub(crate) fn client_seed<'a>(account: &'a AccountId, books: &Books) -> ClientSeedView<'a> {
    let origin = books.draw_origin(account, 0);
    ClientSeedView {
        account,
        client_seed: origin.client_seed.as_ref().into(),
        by_member: origin.by_member,
        seed: origin.seed,
        commitment: commitment(books, &origin),
    }
}

/// The inputs of the draws of a call.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DrawOrigin")]
pub(crate) struct OriginView<'a> {
    /// The number of the server seed.
    seed: u64,
    /// The commitment to the server seed.
    #[schemars(with = "schemas::Digest")]
    commitment: Digest,
    /// A number that the economy assigned to this call only.
    nonce: u64,
    /// The client seed of the member.
    client_seed: &'a str,
    /// True if the member chose the client seed after the commitment.
    by_member: bool,
}

pub(crate) fn origin<'a>(origin: &'a DrawOrigin, books: &Books) -> OriginView<'a> {
    OriginView {
        seed: origin.seed,
        commitment: commitment(books, origin),
        nonce: origin.nonce,
        client_seed: &origin.client_seed,
        by_member: origin.by_member,
    }
}

fn commitment(books: &Books, origin: &DrawOrigin) -> Digest {
    books.seed().server_seed(origin.seed).commitment()
}

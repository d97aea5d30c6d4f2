//! Seeds of draws: what is committed to, and what is public since.

use bursar_ledger::{
    AccountId, ActiveSeed, Books, Digest, DrawOrigin, SeedView as Known, Timestamp,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::http::api::schemas;

/// `next`: committed to, nothing was drawn from it. `active`: draws are made from it. `hidden`: no
/// new draw is, and games are open that have. `revealed`: anybody can draw again.
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
    /// SHA-256 of the seed's 32 bytes, public before anything was drawn from it.
    #[schemars(with = "schemas::Digest")]
    commitment: Digest,
    /// The seed, as hexadecimal digits, once it is revealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "schemas::Digest")]
    seed: Option<String>,
}

pub(crate) fn seed(known: &Known, active: u64) -> SeedView {
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

/// From which server seed an economy draws.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ActiveSeed")]
pub(crate) struct ActiveSeedView {
    /// The number of the server seed that draws are made from.
    active: u64,
    /// Since when.
    #[schemars(with = "schemas::Timestamp")]
    active_since: Timestamp,
    /// Draws that were made from it.
    draws: u64,
    /// The nonce of the next call that draws.
    next_nonce: u64,
    /// The seed that is active and the one that comes after it.
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

/// What a member puts into its draws.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ClientSeed")]
pub(crate) struct ClientSeedView<'a> {
    #[schemars(with = "schemas::AccountName")]
    account: &'a AccountId,
    /// What it puts in; the name of the account until it says otherwise.
    client_seed: String,
    /// Whether the member chose it after the present server seed was committed to. If not, the house
    /// could have made its seed to fit.
    by_member: bool,
    /// The number of the server seed that it is drawn with.
    seed: u64,
    /// The commitment to that.
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

/// Where the draws of a call come from.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DrawOrigin")]
pub(crate) struct OriginView<'a> {
    /// The number of the server seed.
    seed: u64,
    /// The commitment to it.
    #[schemars(with = "schemas::Digest")]
    commitment: Digest,
    /// The number that the economy handed out for this call and no other.
    nonce: u64,
    /// What the member has put in.
    client_seed: &'a str,
    /// Whether the member chose that after the commitment.
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

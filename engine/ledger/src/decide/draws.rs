//! Decisions on server seeds, nonces and client seeds.

use std::collections::BTreeSet;

use crate::books::Books;
use crate::decision::{Change, Decision};
use crate::draw::ClientSeedText;
use crate::draw::change::DrawChange;
use crate::id::{AccountId, AccountKind};
use crate::limits::SEEDS_HIDDEN_MAX;
use crate::rejection::Rejection;

use super::verdict::Verdict;

pub(super) fn set_client_seed(
    books: &Books,
    account: &AccountId,
    client_seed: &ClientSeedText,
) -> Result<Verdict, Rejection> {
    match account.kind() {
        AccountKind::Open => {}
        AccountKind::Issuer | AccountKind::Plugin(_) => {
            let account = account.clone();
            return Err(Rejection::ReservedAccount { account });
        }
    }
    let found = books.account(account);
    let found = found.ok_or_else(|| Rejection::AccountNotFound {
        account: account.clone(),
    })?;
    found.check_open(account)?;
    let client_seed = client_seed.text();
    // Setting the same text again is a new choice if a server seed was committed to in the meantime.
    let is_current_choice = books.draw_origin(account, 0).by_member;
    if is_current_choice && books.client_seed(account) == *client_seed {
        return Ok(Verdict::Unchanged);
    }
    let change = DrawChange::ClientSeedSet {
        account: account.clone(),
        client_seed: client_seed.clone(),
    };
    Ok(applied(change))
}

pub(super) fn rotate(books: &Books) -> Result<Verdict, Rejection> {
    if books.seeds_hidden() >= SEEDS_HIDDEN_MAX {
        return Err(Rejection::SeedsHidden {
            most: SEEDS_HIDDEN_MAX,
        });
    }
    let active = books.active_seed().number.saturating_add(1);
    Ok(applied(DrawChange::SeedRotated { active }))
}

/// Decides the revealing of server seeds. Only seeds below the active one are revealed, and only if no open
/// game has drawn from them.
pub(super) fn reveal(books: &Books, below: u64) -> Verdict {
    let active = books.active_seed().number;
    // An open game may still hide draws from its first seed, such as the rest of a deck.
    let most = books
        .first_seed_in_use()
        .map_or(active, |used| used.min(active));
    let below = below.min(most);
    if below <= books.first_hidden_seed() {
        return Verdict::Unchanged;
    }
    applied(DrawChange::SeedsRevealed { below })
}

pub(super) fn burn(books: &Books, nonces: &[u64]) -> Verdict {
    let open: BTreeSet<u64> = books.open_nonces().collect();
    let nonces: Vec<u64> = nonces
        .iter()
        .copied()
        .filter(|nonce| open.contains(nonce))
        .collect();
    if nonces.is_empty() {
        return Verdict::Unchanged;
    }
    applied(DrawChange::NoncesBurned { nonces })
}

fn applied(change: DrawChange) -> Verdict {
    Verdict::Applied(Decision::change(Change::Draws(change), false))
}

//! The one place where requests become effects.
//!
//! `decide` reads and never writes. Each act has a ladder of checks in the order in which
//! [`Rejection`] lists its reasons; the rungs about money are climbed once for each posting, in the
//! order given. After the last rung nothing may fail, and what comes out is a [`Decision`] that only
//! [`Books::apply`] can spend.

mod money;
mod plugins;
mod puts;
mod webhooks;

use crate::act::Act;
use crate::books::Books;
use crate::decision::Decision;
use crate::plugin::Component;
use crate::rejection::Rejection;
use crate::time::Timestamp;
use puts::NewSecret;

/// What follows from an act.
#[derive(Clone, PartialEq, Debug)]
pub enum Verdict {
    /// This is to happen.
    Applied(Decision),
    /// A PUT asks for what is already so.
    Unchanged,
    /// The ledger says no.
    Rejected(Rejection),
    /// The plugin said no.
    Declined,
    /// The plugin misbehaved.
    Faulted,
    /// What a call learned is no longer true: it is to run again.
    Stale,
    /// There is no such economy.
    NoEconomy,
}

/// Decides an act against the books, or against the absence of an economy.
pub fn decide(books: Option<&Books>, at: Timestamp, act: &Act) -> Verdict {
    let verdict = match (books, act) {
        (None, Act::OpenEconomy { seed }) => Ok(puts::open_economy(*seed)),
        (Some(_), Act::OpenEconomy { .. }) => Ok(Verdict::Unchanged),
        (None, _) => Ok(Verdict::NoEconomy),
        (Some(books), Act::SetAsset { asset, patch }) => puts::set_asset(books, asset, patch),
        (Some(books), Act::SetAccount { account, patch }) => {
            puts::set_account(books, account, patch)
        }
        (Some(books), Act::Transfer(request)) => money::transfer(books, request),
        (Some(books), Act::Issue(request)) => money::issue(books, request),
        (Some(books), Act::Burn(request)) => money::burn(books, request),
        (Some(books), Act::SetPlugin { plugin, patch }) => {
            plugins::set_plugin(books, plugin, patch)
        }
        (Some(books), Act::Call(result)) => plugins::call(books, result),
        (
            Some(books),
            Act::SetKey {
                key,
                patch,
                secret_hash,
                mode,
            },
        ) => {
            let (hash, mode) = (*secret_hash, *mode);
            puts::set_key(books, at, key, patch, NewSecret { hash, mode })
        }
        (
            Some(books),
            Act::AddComponent {
                digest,
                bytes,
                name,
                version,
            },
        ) => {
            let (bytes, name, version) = (*bytes, name.clone(), version.clone());
            let component = Component {
                bytes,
                name,
                version,
                added_at: at,
            };
            Ok(plugins::add_component(books, *digest, component))
        }
        (Some(books), Act::SetWebhook(request)) => webhooks::set_webhook(books, request),
        (Some(books), Act::RemoveWebhook { webhook }) => Ok(webhooks::remove(books, webhook)),
        (Some(books), Act::NoteDelivery(note)) => Ok(webhooks::note_delivery(books, note)),
        (Some(books), Act::ForgetDelivery(gone)) => Ok(webhooks::forget_delivery(books, gone)),
    };
    verdict.unwrap_or_else(Verdict::Rejected)
}

//! The decision of acts, by the rules of the ledger.
//!
//! `decide` reads the books and never changes them. Each act is checked in the order in which [`Rejection`]
//! lists its variants; checks of money are made for each posting in turn. After the last check nothing can
//! fail, and the result is a [`Decision`](crate::Decision) for [`Books::apply`].

mod accounts;
mod calls;
mod clock;
mod draws;
mod holds;
mod money;
mod plugins;
mod quotas;
mod reversals;
mod schedules;
mod settings;
mod verdict;
mod webhooks;

use crate::act::Act;
use crate::books::Books;
use crate::economy::EconomyStatus;
use crate::plugin::installation::Component;
use crate::rejection::Rejection;
use crate::time::Timestamp;
use settings::NewSecret;

pub use verdict::Verdict;

/// Decides an act by the books of its economy, or without books if the economy does not exist.
///
/// The result depends on the arguments alone, so that every machine decides alike.
pub fn decide(books: Option<&Books>, at: Timestamp, act: &Act) -> Verdict {
    let verdict = match (books, act) {
        (None, Act::OpenEconomy { seed }) => Ok(settings::open_economy(*seed)),
        (None, _) => Ok(Verdict::NoEconomy),
        (Some(books), act) => check_status(books, act).and_then(|()| in_books(books, at, act)),
    };
    verdict.unwrap_or_else(Verdict::Rejected)
}

/// Checks that the economy's status allows the act.
fn check_status(books: &Books, act: &Act) -> Result<(), Rejection> {
    let status = books.status();
    match act {
        Act::Transfer(_)
        | Act::Batch(_)
        | Act::Issue(_)
        | Act::Burn(_)
        | Act::PlaceHold(_)
        | Act::CaptureHold(_)
        | Act::SetClientSeed { .. } => status.check_open(),
        Act::Call(result) if result.origin.is_none() => status.check_open(),
        Act::Reverse(request) if request.force.is_none() => status.check_open(),
        // A closed economy still has events to deliver, so its webhooks can be changed and removed.
        Act::SetWebhook(request) if books.webhook(&request.webhook).is_some() => Ok(()),
        Act::Reverse(_)
        | Act::SetQuotas { .. }
        | Act::SetAsset { .. }
        | Act::SetAccount { .. }
        | Act::SetPlugin { .. }
        | Act::RemovePlugin { .. }
        | Act::RollBackPlugin { .. }
        | Act::SwitchOffPlugin { .. }
        | Act::SkipDue { .. }
        | Act::SetKey { .. }
        | Act::AddComponent { .. }
        | Act::SetWebhook(_)
        | Act::ReleaseHold { .. }
        | Act::ExpireHold { .. }
        | Act::RotateSeed
        | Act::RevealSeeds { .. }
        | Act::ExtendHolds { .. }
        | Act::BurnNonces { .. } => match status {
            EconomyStatus::Open | EconomyStatus::Frozen => Ok(()),
            EconomyStatus::Closed => status.check_open(),
        },
        // The clock of a closed economy matters for its records and exports. `SetEconomy` checks the status
        // itself. A call that has drawn is decided even if the economy is no longer open: its draws must be
        // recorded.
        Act::OpenEconomy { .. }
        | Act::SetEconomy { .. }
        | Act::RemoveWebhook { .. }
        | Act::ReplayWebhook { .. }
        | Act::SetClock { .. }
        | Act::Call(_) => Ok(()),
    }
}

fn in_books(books: &Books, at: Timestamp, act: &Act) -> Result<Verdict, Rejection> {
    match act {
        Act::OpenEconomy { .. } => Ok(Verdict::Unchanged),
        Act::SetEconomy { status } => settings::set_economy(books, *status),
        Act::SetQuotas { patch } => Ok(quotas::set(books, patch)),
        Act::SetAsset { asset, patch } => settings::set_asset(books, asset, patch),
        Act::SetAccount {
            account,
            patch,
            admission,
        } => accounts::set_account(books, account, patch, admission.as_deref()),
        Act::Transfer(request) => money::transfer(books, request),
        Act::Batch(request) => money::batch(books, request),
        Act::Reverse(request) => reversals::reverse(books, request),
        Act::PlaceHold(request) => holds::place(books, at, request),
        Act::CaptureHold(request) => holds::capture(books, at, request),
        Act::ReleaseHold {
            hold,
            ended,
            authority,
        } => holds::release(books, *hold, *ended, *authority),
        Act::ExpireHold { hold } => holds::expire(books, at, *hold),
        Act::Issue(request) => money::issue(books, request),
        Act::Burn(request) => money::burn(books, request),
        Act::SetPlugin { plugin, patch } => plugins::set_plugin(books, at, plugin, patch),
        Act::RemovePlugin { plugin } => Ok(plugins::remove(books, plugin)),
        Act::RollBackPlugin { plugin, what } => plugins::roll_back(books, at, plugin, what),
        Act::SwitchOffPlugin { plugin, as_of, why } => {
            Ok(plugins::switch_off(books, plugin, *as_of, why))
        }
        Act::SkipDue { plugin, schedule } => Ok(schedules::skip(books, at, plugin, schedule)),
        Act::Call(result) => calls::call(books, at, result),
        Act::SetClientSeed {
            account,
            client_seed,
        } => draws::set_client_seed(books, account, client_seed),
        Act::RotateSeed => draws::rotate(books),
        Act::RevealSeeds { below } => Ok(draws::reveal(books, *below)),
        Act::SetClock { from, to } => Ok(clock::set(*from, *to)),
        Act::ExtendHolds { holds, from, until } => Ok(clock::extend(books, holds, *from, *until)),
        Act::BurnNonces { nonces } => Ok(draws::burn(books, nonces)),
        Act::SetKey {
            key,
            patch,
            secret_hash,
            mode,
        } => {
            let new_secret = NewSecret {
                hash: *secret_hash,
                mode: *mode,
            };
            settings::set_key(books, at, key, patch, new_secret)
        }
        Act::AddComponent {
            digest,
            bytes,
            name,
            version,
        } => {
            let component = Component {
                bytes: *bytes,
                name: name.clone(),
                version: version.clone(),
                added_at: at,
            };
            Ok(plugins::add_component(books, *digest, component))
        }
        Act::SetWebhook(request) => webhooks::set_webhook(books, request),
        Act::RemoveWebhook { webhook } => Ok(webhooks::remove(books, webhook)),
        Act::ReplayWebhook { webhook, after } => Ok(webhooks::replay(books, webhook, *after)),
    }
}

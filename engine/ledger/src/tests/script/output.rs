//! The output of a script.

use crate::{HostResponse, StatePage, Verdict};

pub(super) fn outcome(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Applied(_) => "committed".into(),
        Verdict::Unchanged => "unchanged".into(),
        Verdict::Rejected(rejection) => rejection.to_string(),
        Verdict::RejectedWith(rejection, _) => format!("on record, {rejection}"),
        Verdict::Declined(_) => "declined".into(),
        Verdict::Faulted(_) => "faulted".into(),
        Verdict::Broken(_) => "broken".into(),
        Verdict::Stale => "stale".into(),
        Verdict::NoEconomy => "no economy".into(),
    }
}

pub(super) fn response_text(response: &HostResponse) -> Option<String> {
    Some(match response {
        HostResponse::Done | HostResponse::Placed(_) => return None,
        HostResponse::Balance(seen) => format!(
            "posted {}, held {}, spendable {}",
            seen.posted, seen.held, seen.spendable
        ),
        HostResponse::Bool(true) => "yes".into(),
        HostResponse::Bool(false) => "no".into(),
        HostResponse::Drawn(drawn) => format!("drew {drawn}"),
        HostResponse::Shuffled(order) => format!("drew {order:?}"),
        HostResponse::Bytes(digits) => format!("drew {digits}"),
        HostResponse::Text(text) => text.as_ref().into(),
        HostResponse::Left(left) => left.map_or("ended".into(), |left| format!("{left} left")),
        HostResponse::Ends(rejection) => format!("ends, {rejection}"),
        HostResponse::Value(value) => value.as_deref().unwrap_or("absent").into(),
        HostResponse::Page(page) => page_text(page),
        HostResponse::Refused(refusal) => format!("refused, {refusal}"),
    })
}

fn page_text(StatePage { keys, next }: &StatePage) -> String {
    let shown = match keys.as_slice() {
        [first, .., last] if keys.len() > 8 => {
            format!("{} keys from {first} to {last}", keys.len())
        }
        few => listed(few, " "),
    };
    next.as_ref()
        .map_or(shown.clone(), |next| format!("{shown}, next {next}"))
}

pub(super) fn listed(items: &[impl AsRef<str>], between: &str) -> String {
    match items {
        [] => "none".into(),
        some => some
            .iter()
            .map(AsRef::as_ref)
            .collect::<Vec<_>>()
            .join(between),
    }
}

//! Words about plugins: grants, holds, schedules and needs.

use super::super::script::call_id;
use super::{amount, capped, id, limit, list};
use crate::{
    AccountPattern, Caps, FuelClass, Grants, HoldId, HoldRule, MissedPolicy, Need, OnExpiry,
    PatternCaps, PatternGrant, ScheduleRule, ScheduleTimes,
};

/// `stake/60/capture`: a kind of hold, its lifetime in seconds, and its end.
pub(super) fn hold_rule(text: &str) -> (String, HoldRule) {
    let parts: Vec<&str> = text.split('/').collect();
    let rule = HoldRule {
        expires_in_s: id(parts[1]),
        on_expiry: match parts[2] {
            "capture" => OnExpiry::Capture,
            _release => OnExpiry::Release,
        },
    };
    (parts[0].into(), rule)
}

/// `plugin:bank/coin/50`: a balance that a plugin needs.
pub(super) fn need(text: &str) -> Need {
    let parts: Vec<&str> = text.split('/').collect();
    Need {
        account: id(parts[0]),
        asset: id(parts[1]),
        at_least: amount(parts[2]),
    }
}

/// `draw/60/skip`: a schedule, its interval in seconds, and the policy for missed due times.
pub(super) fn schedule_rule(text: &str) -> (String, ScheduleRule) {
    let parts: Vec<&str> = text.split('/').collect();
    let rule = ScheduleRule {
        times: ScheduleTimes {
            every_s: id(parts[1]),
            offset_s: 0,
        },
        missed: match parts[2] {
            "skip" => MissedPolicy::Skip,
            _catch_up => MissedPolicy::CatchUp,
        },
    };
    (parts[0].into(), rule)
}

/// `draw/120`: a new interval of a schedule.
pub(super) fn times_of(text: &str) -> (String, ScheduleTimes) {
    let (name, every_s) = text.split_once('/').expect("name/seconds");
    let times = ScheduleTimes {
        every_s: id(every_s),
        offset_s: 0,
    };
    (name.into(), times)
}

/// `A/0`: the first hold that the call `A` has placed.
pub(super) fn hold_of(text: &str) -> HoldId {
    let (call, index) = text.split_once('/').expect("call/index");
    call_id(call).hold(id(index))
}

/// `debit/issuer:coin,read/user:2,spend/coin/10`, or `none`. By patterns `look/user:*`, and with the caps of a
/// call, of a member and of a day `take/user:*/coin/10/20/30`.
pub(super) fn grants(text: Option<&str>) -> Grants {
    let mut grants = Grants::default();
    let mut patterns: Vec<PatternGrant> = Vec::new();
    for grant in list(text) {
        let (right, what) = grant.split_once('/').expect("right/what");
        match right {
            "read" => drop(grants.read.insert(id(what))),
            "credit" => drop(grants.credit.insert(id(what))),
            "debit" => drop(grants.debit.insert(id(what))),
            "spend" => grants
                .spend_per_call
                .get_or_insert_default()
                .extend([capped(what)]),
            "daily" => grants
                .spend_per_member_per_day
                .get_or_insert_default()
                .extend([capped(what)]),
            "issue" => grants
                .issue_per_day
                .get_or_insert_default()
                .extend([capped(what)]),
            "state" => grants.state_bytes = Some(id(what)),
            "look" => by_pattern(&mut patterns, what).read = true,
            "take" => {
                let parts: Vec<&str> = what.split('/').collect();
                let none = || PatternCaps {
                    per_call: Caps::new(),
                    per_member_per_day: Caps::new(),
                    per_day: Caps::new(),
                };
                let caps = &mut by_pattern(&mut patterns, parts[0]).debit;
                let caps = caps.get_or_insert_with(none);
                if let [_, asset, call, member, day] = parts[..] {
                    caps.per_call.insert(id(asset), limit(call));
                    caps.per_member_per_day.insert(id(asset), limit(member));
                    caps.per_day.insert(id(asset), limit(day));
                }
            }
            "fuel" => {
                grants.fuel = match what {
                    "small" => FuelClass::Small,
                    "standard" => FuelClass::Standard,
                    "large" => FuelClass::Large,
                    unknown => panic!("no class is called `{unknown}`"),
                }
            }
            unknown => panic!("no right is called `{unknown}`"),
        }
    }
    grants.patterns = patterns.try_into().expect("patterns that can be granted");
    grants
}

/// Returns the grant of a pattern, and creates it if it does not exist.
fn by_pattern<'a>(patterns: &'a mut Vec<PatternGrant>, pattern: &str) -> &'a mut PatternGrant {
    let accounts: AccountPattern = id(pattern);
    let known = patterns.iter().position(|grant| grant.accounts == accounts);
    let index = known.unwrap_or(patterns.len());
    if known.is_none() {
        patterns.push(PatternGrant {
            accounts,
            read: false,
            debit: None,
        });
    }
    &mut patterns[index]
}

//! The bundled daily reward as a built component: streaks, grace days, and days in the time zone of the
//! members.

use bursar_server::bundled;
use bursar_testkit::{Economy, TestCall};
use serde_json::{Value, json};

const HOUR_S: u64 = 3_600;
const DAY_S: u64 = 24 * HOUR_S;

/// The start of 2026-03-28 in UTC, in seconds after the economy began.
const MARCH_28: u64 = (31 + 28 + 27) * DAY_S;
/// The start of 2026-10-24 in UTC, in seconds after the economy began.
const OCTOBER_24: u64 = (31 + 28 + 31 + 30 + 31 + 30 + 31 + 31 + 30 + 23) * DAY_S;

/// Makes a member's claims at these times, in seconds after the economy began. The reward is 100, and 10 more
/// for each further day of a streak.
fn claims(more: &Value, moments: &[u64]) -> Vec<TestCall> {
    let mut config = json!({"asset": "coin", "amount": 100, "streak_bonus": 10});
    let all = config.as_object_mut().unwrap();
    all.extend(more.as_object().unwrap().clone());
    let mut economy = Economy::new("daily");
    economy.asset("coin");
    economy.member("user:1", &[]);
    let daily = bundled::PLUGINS.iter().find(|it| it.name == "daily");
    economy.install(daily.unwrap().bytes, config);
    economy.issue("plugin:daily", "coin", 10_000);
    let mut now_s = 0;
    let claims = moments.iter().map(|moment| {
        economy.wait(moment - now_s);
        now_s = *moment;
        economy.call("user:1", "daily/claim", json!({}))
    });
    claims.collect()
}

/// Returns the amount of each claim; 0 if the reward of that day was already claimed.
fn paid(more: &Value, moments: &[u64]) -> Vec<u64> {
    let claims = claims(more, moments);
    let paid = claims
        .iter()
        .map(|claim| match claim.postings().as_slice() {
            [] => {
                assert_eq!(claim.declined(), "already_claimed");
                0
            }
            [posting] => {
                let amount = posting.amount.get();
                assert_eq!(claim.reply()["amount"], amount);
                amount
            }
            more => panic!("{more:?}"),
        });
    paid.collect()
}

#[test]
fn a_streak_grows_each_day_up_to_its_maximum() {
    let days = [0, 1, 2, 3, 4].map(|day| day * DAY_S);
    let growing = claims(&json!({}), &days);
    let streaks: Vec<&Value> = growing
        .iter()
        .map(|claim| &claim.reply()["streak"])
        .collect();
    assert_eq!(streaks, [1, 2, 3, 4, 5]);
    assert_eq!(paid(&json!({}), &days), [100, 110, 120, 130, 140]);
    let capped = paid(&json!({"streak_max": 3}), &days);
    assert_eq!(capped, [100, 110, 120, 120, 120]);
}

#[test]
fn a_missed_day_ends_the_streak_unless_it_is_a_grace_day() {
    let days = [0, 1, 3, 6].map(|day| day * DAY_S);
    assert_eq!(paid(&json!({}), &days), [100, 110, 100, 100]);
    let grace = |days_of| json!({ "grace_days": days_of });
    assert_eq!(paid(&grace(1), &days), [100, 110, 120, 100]);
    assert_eq!(paid(&grace(2), &days), [100, 110, 120, 130]);
}

#[test]
fn a_day_is_one_of_the_calendar_or_24_hours() {
    let claimed = 23 * HOUR_S;
    let moments = [
        claimed,
        DAY_S - 1,
        DAY_S,
        claimed + DAY_S - 1,
        claimed + DAY_S,
    ];
    assert_eq!(paid(&json!({}), &moments), [100, 0, 110, 0, 0]);
    let rolling = json!({"mode": "rolling"});
    assert_eq!(paid(&rolling, &moments), [100, 0, 0, 0, 110]);
}

#[test]
fn an_early_claim_is_declined_with_the_time_to_wait() {
    let sentence_at = |more: Value, moment| {
        let claims = claims(&more, &[0, moment]);
        claims[1].sentence().to_owned()
    };
    let sentence =
        |wait: &str| format!("You have already claimed your reward. Come back in {wait}.");
    assert_eq!(sentence_at(json!({}), 10), sentence("24 h"));
    assert_eq!(sentence_at(json!({}), HOUR_S + 60), sentence("22 h 59 min"));
    assert_eq!(sentence_at(json!({}), DAY_S - 1), sentence("1 s"));
    let rolling = json!({"mode": "rolling"});
    assert_eq!(sentence_at(rolling, DAY_S - 90), sentence("2 min"));
}

/// Clocks in Berlin go forward at 1:00 UTC on 2026-03-29, which has 23 hours. The component contains the time
/// zone database.
#[test]
fn a_day_on_which_clocks_are_set_forward_is_shorter() {
    let moments = [
        MARCH_28 + 22 * HOUR_S,
        MARCH_28 + 23 * HOUR_S,
        MARCH_28 + DAY_S + 22 * HOUR_S - 1,
        MARCH_28 + DAY_S + 22 * HOUR_S,
    ];
    let berlin = json!({"time_zone": "Europe/Berlin"});
    assert_eq!(paid(&berlin, &moments), [100, 110, 0, 120]);
    // A fixed offset has no daylight saving time.
    let fixed = json!({"utc_offset_min": 60});
    assert_eq!(paid(&fixed, &moments), [100, 110, 0, 0]);
}

/// Clocks in Berlin go back at 1:00 UTC on 2026-10-25, which has 25 hours.
#[test]
fn a_day_on_which_clocks_are_set_back_is_longer() {
    let moments = [
        OCTOBER_24 + 21 * HOUR_S,
        OCTOBER_24 + 22 * HOUR_S,
        OCTOBER_24 + DAY_S + 22 * HOUR_S,
        OCTOBER_24 + DAY_S + 23 * HOUR_S - 1,
        OCTOBER_24 + DAY_S + 23 * HOUR_S,
    ];
    let berlin = json!({"time_zone": "Europe/Berlin"});
    assert_eq!(paid(&berlin, &moments), [100, 110, 0, 0, 120]);
    let fixed = json!({"utc_offset_min": 120});
    assert_eq!(paid(&fixed, &moments), [100, 110, 120, 0, 0]);
}

#[test]
fn an_unknown_time_zone_is_a_finding() {
    let bundled = bundled::PLUGINS.iter().find(|it| it.name == "daily");
    let component = bundled.expect("it is bundled").bytes;
    let mut economy = Economy::new("daily");
    economy.asset("coin");
    let config = |zone: &str| json!({"asset": "coin", "amount": 5, "time_zone": zone});
    let unknown = economy.check(component, &config("Europe/Entenhausen"));
    assert_eq!(
        unknown.findings[0].to_string(),
        "at /time_zone: There is no time zone `Europe/Entenhausen`."
    );
    let known = economy.check(component, &config("Europe/Berlin"));
    assert_eq!(known.findings, []);
}

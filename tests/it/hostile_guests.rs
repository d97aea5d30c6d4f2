//! Hostile guests, mixed at random from a seed, on a real server: each call is answered, no money moves that
//! may not, and an honest plugin is served as before.

use serde_json::json;

use crate::mixes::hostile;
use crate::support::{GUILD, House, install_malicious, upload};

/// Guests that are tried unless the environment names another number.
const GUESTS: u64 = 6;

/// One in so many of the guests that the host's own tests try.
const PART: u64 = 10;

fn guests() -> u64 {
    #[allow(
        clippy::disallowed_methods,
        reason = "how long to try is for whoever runs the test"
    )]
    let number = std::env::var("BURSAR_GUESTS");
    number.map_or(GUESTS, |number| number.parse::<u64>().unwrap() / PART)
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_guests_are_answered_and_cost_nobody_else_anything() {
    let (house, mut guild) = House::with_guild(2).await;
    install_malicious(&mut guild).await;
    let mut let_in = 0;
    // Other guests than those of the host's own tests.
    for number in 1_000_000..1_000_000 + guests() {
        let uploaded = upload(house.admin(), hostile(number).bytes()).await;
        let Some(digest) = uploaded.json()["component"].as_str().map(String::from) else {
            assert_eq!(uploaded.code(), "component_refused", "guest {number}");
            continue;
        };
        let_in += 1;
        guild.install("tester", &digest, json!({})).await;
        for caller in ["user:1", "user:2"] {
            let key = format!("{number} {caller}");
            let answer = guild.call("tester/act", &key, caller, json!({})).await;
            let status = answer.status.as_u16();
            assert!(
                [200, 409, 422, 502, 503].contains(&status),
                "guest {number}: {}",
                answer.json()
            );
        }
        let path = format!("{GUILD}/accounts/user:2");
        assert_eq!(guild.get(&path).await.status, 200, "after guest {number}");
        let key = format!("honest {number}");
        let honest = guild
            .call("malicious/honest", &key, "user:1", json!({}))
            .await;
        assert_eq!(
            honest.status,
            200,
            "after guest {number}: {}",
            honest.json()
        );
    }
    assert!(let_in > 0, "some are let in");
    let members = guild.coins(2).await;
    assert!(members.iter().all(|coins| *coins <= 1_000), "{members:?}");
    house.close().await;
}

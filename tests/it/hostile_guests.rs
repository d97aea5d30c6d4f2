//! Hostile guests generated from seeds, on a real server: every call has a response, no money moves without
//! permission, and an honest action works as before.

use serde_json::json;

use crate::mixes::hostile;
use crate::support::{GUILD, TestServer, install_malicious, upload};

/// The number of guests, unless the environment sets another one.
const GUESTS: u64 = 6;

/// The divisor of the number of guests in the environment. The host's own tests run all of them.
const PART: u64 = 10;

fn guests() -> u64 {
    #[allow(
        clippy::disallowed_methods,
        reason = "tests have no configuration of their own"
    )]
    let number = std::env::var("BURSAR_GUESTS");
    number.map_or(GUESTS, |number| number.parse::<u64>().unwrap() / PART)
}

#[tokio::test(flavor = "multi_thread")]
async fn random_hostile_guests_are_answered_and_affect_no_other_account() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    install_malicious(&mut guild).await;
    let mut accepted = 0;
    // Other seeds than in the host's own tests.
    for number in 1_000_000..1_000_000 + guests() {
        let uploaded = upload(server.admin(), hostile(number).bytes()).await;
        let Some(digest) = uploaded.json()["component"].as_str().map(String::from) else {
            assert_eq!(uploaded.code(), "component_refused", "guest {number}");
            continue;
        };
        accepted += 1;
        guild.install("tester", &digest, json!({})).await;
        for caller in ["user:1", "user:2"] {
            let key = format!("{number} {caller}");
            let response = guild.call("tester/act", &key, caller, json!({})).await;
            let status = response.status.as_u16();
            assert!(
                [200, 409, 422, 502, 503].contains(&status),
                "guest {number}: {}",
                response.json()
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
    assert!(accepted > 0, "some components are accepted");
    let members = guild.coin_balances(2).await;
    assert!(members.iter().all(|coins| *coins <= 1_000), "{members:?}");
    server.close().await;
}

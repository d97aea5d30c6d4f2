//! Calls that are overtaken while they think: they run again, and what cannot win is given up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{GUILD, House, install_malicious};

/// Issues to a member, one coin after the other, until it is told to stop. Says how many there were.
fn coins_that_rain(house: &House, going: &Arc<AtomicBool>) -> JoinSet<u64> {
    let mut clouds = JoinSet::new();
    for cloud in 0..2 {
        let (mut client, going) = (house.admin(), Arc::clone(going));
        clouds.spawn(async move {
            let coin = json!({"account": "user:1", "asset": "coin", "amount": 1});
            let mut fallen = 0;
            while going.load(Ordering::SeqCst) {
                let key = format!("cloud {cloud} coin {fallen}");
                let issued = client.post(&format!("{GUILD}/issue"), &key, &coin).await;
                assert_eq!(issued.unwrap().status, 201);
                fallen += 1;
            }
            fallen
        });
    }
    clouds
}

/// A plugin that thinks long about a balance which others change meanwhile, each time that it looks. Its
/// call ends as a conflict: nothing has moved, what it drew is no second chance, and its key is as free as
/// before.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_overtaken_in_every_try_is_given_up_and_moves_nothing() {
    let house = House::set_up(|setup| {
        // Also on a busy machine each thought comes to its end.
        (setup.limits.fuel, setup.limits.deadline) = (1 << 40, Duration::from_mins(5));
    });
    let (house, mut guild) = house.await.furnished(1).await;
    install_malicious(&mut guild).await;
    let thought = json!({"asset": "coin", "amount": 10, "turns": 20_000_000});
    let going = Arc::new(AtomicBool::new(true));
    let clouds = coins_that_rain(&house, &going);
    // On a busy machine no coin may fall during one of the eight thoughts; then another call is made.
    let (mut committed, mut given_up) = (0, None);
    for number in 0..20 {
        let key = format!("k{number}");
        let answer = guild.call("malicious/ponder", &key, "user:1", thought.clone());
        let answer = answer.await;
        if answer.status != 200 {
            given_up = Some((key, answer));
            break;
        }
        committed += 1;
    }
    going.store(false, Ordering::SeqCst);
    let fallen: u64 = clouds.join_all().await.iter().sum();
    let (key, answer) = given_up.expect("a call is overtaken eight times");
    assert_eq!(
        (answer.status.as_u16(), answer.code(), answer.retry_after),
        (503, "conflict".into(), Some(1))
    );
    let kept = guild.get(&format!("{GUILD}/outcomes/{key}")).await;
    assert_eq!(kept.code(), "outcome_not_found");
    let plugin = guild
        .get(&format!("{GUILD}/plugins/malicious"))
        .await
        .json();
    let conflicts = &plugin["conflicts"];
    assert_eq!(conflicts["given_up"], 1);
    // The first of its eight tries was none of those again.
    assert!(conflicts["ran_again"].as_u64() >= Some(7), "{conflicts}");
    let taken = 10 * committed;
    assert_eq!(guild.posted("plugin:malicious", "coin").await, taken);
    let left = 1_000 + i64::try_from(fallen).unwrap() - taken;
    assert_eq!(guild.posted("user:1", "coin").await, left);

    let mut events = guild.events().await;
    events.retain(|event| event["outcome"] == "broken");
    let [broken] = events.as_slice() else {
        panic!("one call has drawn for nothing: {events:?}");
    };
    let nonce = &broken["answer"]["draws"]["nonce"];
    let other = guild.call("malicious/ponder", "other", "user:1", thought.clone());
    let other = other.await.json();
    assert!(other["draws"]["nonce"].as_u64() > nonce.as_u64());
    let again = guild
        .call("malicious/ponder", &key, "user:1", thought)
        .await;
    assert_eq!(again.status, 200, "{}", again.json());
    assert_eq!(&again.json()["draws"]["nonce"], nonce);
    house.close().await;
}

//! kill -9 in the middle of the load, again and again: nothing acknowledged is lost, nothing is
//! half there.

use std::sync::Arc;
use std::time::Duration;

use bursar_server::client::{Address, Client};
use bytes::Bytes;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::patience::PATIENCE;
use crate::support::{GUILD, Process, audited, currency, posting};

/// Connections that carry the load.
const CONNECTIONS: u64 = 16;

/// How often the server is killed: 5 times, or as `BURSAR_CRASHES` says.
#[allow(
    clippy::disallowed_methods,
    reason = "tests have no configuration of their own"
)]
fn crashes() -> u64 {
    std::env::var("BURSAR_CRASHES").map_or(5, |count| count.parse().unwrap())
}

/// What one connection knows when the server is gone.
struct Known {
    acknowledged: Vec<(String, Bytes)>,
    open: String,
}

async fn pay_until_it_breaks(
    mut client: Client,
    round: u64,
    lane: u64,
    paid: Arc<Semaphore>,
) -> Known {
    let mut acknowledged = Vec::new();
    for number in 0_u64.. {
        let key = format!("{round}.{lane}.{number}");
        let body = posting("user:1", "user:2", 1);
        match client
            .post(&format!("{GUILD}/transfers"), &key, &body)
            .await
        {
            Ok(answer) => {
                assert_eq!(answer.status, 201, "{}", answer.json());
                acknowledged.push((key, answer.body));
                paid.add_permits(1);
            }
            Err(_) => {
                return Known {
                    acknowledged,
                    open: key,
                };
            }
        }
    }
    unreachable!("the server is killed at some point")
}

/// Opens the guild: two members, and money to pay with.
async fn furnish(client: &mut Client) {
    client.put(GUILD, &json!({})).await.unwrap();
    client
        .put(&format!("{GUILD}/assets/coin"), &currency())
        .await
        .unwrap();
    for member in ["user:1", "user:2"] {
        client
            .put(&format!("{GUILD}/accounts/{member}"), &json!({}))
            .await
            .unwrap();
    }
    let purse = json!({"account": "user:1", "asset": "coin", "amount": 1_000_000_000});
    assert_eq!(
        client
            .post(&format!("{GUILD}/issue"), "purse", &purse)
            .await
            .unwrap()
            .status,
        201
    );
}

/// Every answer that was given is kept, and every request that got none is made now if it was not.
/// Says how many keys that were.
async fn reconcile(client: &mut Client, known: &[Known]) -> u64 {
    let mut keys = 0;
    for (key, body) in known.iter().flat_map(|known| &known.acknowledged) {
        let kept = client
            .get(&format!("{GUILD}/outcomes/{key}"))
            .await
            .unwrap();
        assert_eq!(kept.body, body, "{key} was acknowledged");
        keys += 1;
    }
    for Known { open, .. } in known {
        let body = posting("user:1", "user:2", 1);
        let again = client
            .post(&format!("{GUILD}/transfers"), open, &body)
            .await
            .unwrap();
        assert_eq!(
            again.status, 201,
            "whatever became of {open}, it is made once by now"
        );
        keys += 1;
    }
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_to_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("crash.db");
    let mut server = Process::serve(&file);
    let key = server
        .admin_key
        .clone()
        .expect("a new file has a first key");
    let connect = |server: &Process| Client::new(Address::Tcp(server.address.clone()), &key);
    furnish(&mut connect(&server)).await;
    let mut paid = 0;
    for round in 0..crashes() {
        let mut load = JoinSet::new();
        let acknowledged = Arc::new(Semaphore::new(0));
        for lane in 0..CONNECTIONS {
            let acknowledged = Arc::clone(&acknowledged);
            load.spawn(pay_until_it_breaks(
                connect(&server),
                round,
                lane,
                acknowledged,
            ));
        }
        // Another moment in each round: in the first batches, and in the middle of many.
        let first = timeout(PATIENCE, acknowledged.acquire()).await;
        let first = first.expect("a payment is made in time").unwrap();
        tokio::time::sleep(Duration::from_millis(37 * round % 300)).await;
        server.kill();
        drop(first);
        let known = load.join_all().await;
        audited(&file);

        server = Process::serve(&file);
        let mut client = connect(&server);
        paid += reconcile(&mut client, &known).await;
        let account = client
            .get(&format!("{GUILD}/accounts/user:2"))
            .await
            .unwrap()
            .json();
        assert_eq!(
            account["balances"]["coin"]["posted"], paid,
            "after round {round}"
        );
    }
    assert!(server.stop(), "after all that it ends in order");
    audited(&file);
}

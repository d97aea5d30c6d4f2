//! The server is killed repeatedly under load: nothing acknowledged is lost and nothing is half applied.

use std::sync::Arc;
use std::time::Duration;

use bursar_server::client::{Address, Client};
use bytes::Bytes;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::server_process::ServerProcess;
use crate::support::{GUILD, assert_audit_passes, currency, posting};
use crate::wait::TIMEOUT;

/// Connections of the load.
const CONNECTIONS: u64 = 16;

/// Returns the number of kills: 5, or `BURSAR_CRASHES`.
#[allow(
    clippy::disallowed_methods,
    reason = "tests have no configuration of their own"
)]
fn crashes() -> u64 {
    std::env::var("BURSAR_CRASHES").map_or(5, |count| count.parse().unwrap())
}

/// The requests of one connection when the server is gone.
struct Known {
    acknowledged: Vec<(String, Bytes)>,
    open: String,
}

async fn pay_until_disconnected(
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
            Ok(response) => {
                assert_eq!(response.status, 201, "{}", response.json());
                acknowledged.push((key, response.body));
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
    unreachable!("the server is killed")
}

/// Creates the economy with two members and money to pay with.
async fn create_economy(client: &mut Client) {
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

/// Asserts that every acknowledged response is stored, and sends every unanswered request again, which must
/// be applied once. Returns the number of keys.
async fn reconcile(client: &mut Client, known: &[Known]) -> u64 {
    let mut keys = 0;
    for (key, body) in known.iter().flat_map(|known| &known.acknowledged) {
        let outcome = client
            .get(&format!("{GUILD}/outcomes/{key}"))
            .await
            .unwrap();
        assert_eq!(outcome.body, body, "{key} was acknowledged");
        keys += 1;
    }
    for Known { open, .. } in known {
        let body = posting("user:1", "user:2", 1);
        let again = client
            .post(&format!("{GUILD}/transfers"), open, &body)
            .await
            .unwrap();
        assert_eq!(again.status, 201, "{open} is applied exactly once");
        keys += 1;
    }
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_to_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("crash.db");
    let mut server = ServerProcess::serve(&file);
    let key = server
        .admin_key
        .clone()
        .expect("a new file has a first key");
    let connect = |server: &ServerProcess| Client::new(Address::Tcp(server.address.clone()), &key);
    create_economy(&mut connect(&server)).await;
    let mut paid = 0;
    for round in 0..crashes() {
        let mut load = JoinSet::new();
        let acknowledged = Arc::new(Semaphore::new(0));
        for lane in 0..CONNECTIONS {
            let acknowledged = Arc::clone(&acknowledged);
            load.spawn(pay_until_disconnected(
                connect(&server),
                round,
                lane,
                acknowledged,
            ));
        }
        // Each round kills at another time: in the first batches or among many.
        let first = timeout(TIMEOUT, acknowledged.acquire()).await;
        let first = first.expect("a payment is made in time").unwrap();
        tokio::time::sleep(Duration::from_millis(37 * round % 300)).await;
        server.kill();
        drop(first);
        let known = load.join_all().await;
        assert_audit_passes(&file);

        server = ServerProcess::serve(&file);
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
    assert!(server.stop(), "the server exits with 0");
    assert_audit_passes(&file);
}

//! The server is killed repeatedly under load: nothing acknowledged is lost and nothing is half applied.

use std::path::Path;
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

/// The kills among which some must fall into the building of the index.
const MANY_KILLS: u64 = 20;

/// The kills of one file. Each is followed by an audit, which takes longer the more was paid.
const KILLS_PER_FILE: u64 = 10;

/// Returns a number of kills that the environment sets, or one for an ordinary run.
#[allow(
    clippy::disallowed_methods,
    reason = "tests have no configuration of their own"
)]
fn kills(variable: &str, ordinary: u64) -> u64 {
    std::env::var(variable).map_or(ordinary, |count| count.parse().unwrap())
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
pub(crate) async fn create_economy(client: &mut Client) {
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
    let issue = json!({"account": "user:1", "asset": "coin", "amount": 1_000_000_000});
    assert_eq!(
        client
            .post(&format!("{GUILD}/issue"), "issue", &issue)
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

/// Kills a server under load `kills` times. Returns the number of kills during which an index was being built.
async fn kill_repeatedly(kills: u64, serve: fn(&Path) -> ServerProcess) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("crash.db");
    let mut server = serve(&file);
    let key = server
        .admin_key
        .clone()
        .expect("a new file has a first key");
    let connect = |server: &ServerProcess| Client::new(Address::Tcp(server.address.clone()), &key);
    create_economy(&mut connect(&server)).await;
    let mut paid = 0;
    let mut building = 0;
    for round in 0..kills {
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
        building += u64::from(has_unnamed_run(&file));
        let known = load.join_all().await;
        assert_audit_passes(&file);

        server = serve(&file);
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
    building
}

/// Returns true if the index of a file has a run that its manifest does not name: it was being written.
fn has_unnamed_run(file: &Path) -> bool {
    let folder = file.with_file_name("crash.db-index");
    let manifest = std::fs::read(folder.join("manifest")).unwrap_or_default();
    let names = std::fs::read_dir(&folder).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let numbers = names.filter_map(|name| name.strip_prefix("run-")?.parse::<u64>().ok());
    let is_named = |number: u64| {
        let number = number.to_le_bytes();
        manifest.windows(number.len()).any(|bytes| bytes == number)
    };
    numbers.into_iter().any(|number| !is_named(number))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_to_kill_9() {
    kill_repeatedly(kills("BURSAR_CRASHES", 5), ServerProcess::serve).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_to_a_crash_inside_merges_and_checkpoints() {
    let kills = kills("BURSAR_KILLS", 3);
    let mut building = 0;
    let mut left = kills;
    while left > 0 {
        let part = left.min(KILLS_PER_FILE);
        building += kill_repeatedly(part, ServerProcess::maintaining).await;
        left -= part;
    }
    assert!(
        building > 0 || kills < MANY_KILLS,
        "none of {kills} kills fell into the building of an index"
    );
}

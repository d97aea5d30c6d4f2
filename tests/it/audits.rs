//! Audits over HTTP: one at a time, and none that nobody waits for.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::archive::{bursar, complained, said, text};
use crate::support::{GUILD, Guild, House, posting};

/// The longest time that a test waits for something that must come.
const PATIENCE: Duration = Duration::from_mins(2);

/// A guild with enough records that an audit of it takes a while.
async fn long_audited() -> (House, Guild) {
    let (house, mut guild) = House::with_guild(2).await;
    for batch in 0..3 {
        let transfers: Vec<Value> = (0..4000)
            .map(|number| {
                let (from, to) = if number % 2 == 0 { (1, 2) } else { (2, 1) };
                let mut body = posting(&format!("user:{from}"), &format!("user:{to}"), 1);
                body["idempotency_key"] = json!(format!("pay {batch} {number}"));
                body
            })
            .collect();
        let body = json!({ "mode": "independent", "transfers": transfers });
        let paid = guild.post("transfers/batch", "unused", body).await;
        assert_eq!(paid.status, 200);
    }
    (house, guild)
}

/// Begins an audit, and waits until it is under way.
async fn begun(house: &House, guild: &mut Guild) -> TcpStream {
    let head = format!(
        "GET {GUILD}/audit HTTP/1.1\r\nHost: bursar\r\nAuthorization: Bearer {}\r\n\r\n",
        house.admin_key
    );
    let under_way = tokio::time::timeout(PATIENCE, async {
        loop {
            let mut connection = TcpStream::connect(house.address()).await.unwrap();
            connection.write_all(head.as_bytes()).await.unwrap();
            // The other one may come first: then it runs, and this one is told to come back.
            if guild.get("/v1/audit").await.code() == "audit_running" {
                return connection;
            }
        }
    });
    under_way.await.expect("an audit is under way")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_ends_when_its_client_leaves() {
    let (house, mut guild) = long_audited().await;
    let connection = begun(&house, &mut guild).await;
    drop(connection);
    let ended = tokio::time::timeout(PATIENCE, async {
        while house.storage.audits_cancelled() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    ended.await.expect("the audit ends");
    let next = tokio::time::timeout(PATIENCE, async {
        loop {
            let next = guild.get("/v1/audit").await;
            if next.code() != "audit_running" {
                return next;
            }
        }
    });
    assert_eq!(next.await.expect("there is room again").json()["ok"], true);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_audit_runs_at_a_time() {
    let (house, mut guild) = long_audited().await;
    let connection = begun(&house, &mut guild).await;
    let second = guild.get(&format!("{GUILD}/audit")).await;
    assert_eq!(
        (second.status.as_u16(), &*second.code()),
        (503, "audit_running")
    );
    assert_eq!(second.json()["retry"], "same_key");
    assert_eq!(second.retry_after, Some(5));
    // The command hears the same from the owner of the file.
    let told = complained(&bursar(&["audit", text(&house.file())]));
    assert!(told.contains("an audit is under way"), "{told}");
    drop(connection);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_waits_for_no_audit() {
    let (house, mut guild) = long_audited().await;
    let _connection = begun(&house, &mut guild).await;
    let file = house.file();
    let folder = house.left_behind().await;
    said(&bursar(&["audit", text(&file)]));
    drop(folder);
}

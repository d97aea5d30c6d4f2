//! Consumers of events after the file was restored from a backup: a consumer with a position in the lost
//! history is refused and never silently reads another history.

use std::path::Path;

use serde_json::Value;

use crate::archive::{bursar, bursar_with_input, stdout_of, text};
use crate::events::ask;
use crate::support::{GUILD, GuildClient, TestServer};
use crate::webhooks::{newest, pay};

/// Starts a server on a copy of a file.
async fn start_on_copy(copy: &Path, admin_key: &str) -> (TestServer, GuildClient) {
    let set_up = TestServer::with_setup(|setup| {
        std::fs::copy(copy, &setup.database).unwrap();
    });
    let mut server = set_up.await;
    server.admin_key = String::from(admin_key);
    let client = server.admin();
    (server, GuildClient { client })
}

async fn position(guild: &mut GuildClient) -> String {
    let seq = newest(guild).await;
    let path = format!("{GUILD}/events?after={}", seq - 1);
    let page = guild.get(&path).await.json();
    page["next_after"].as_str().unwrap().to_owned()
}

/// Requests the events after a position as a page and as a stream, asserts equal status codes, and returns
/// the page.
async fn read_after(server: &TestServer, guild: &mut GuildClient, after: &str) -> (u16, Value) {
    let page = guild.get(&format!("{GUILD}/events?after={after}")).await;
    let (head, _) = ask(server, GUILD, &server.admin_key, Some(after)).await;
    let status = page.status.as_u16();
    assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
    (status, page.json())
}

async fn assert_refused(server: &TestServer, guild: &mut GuildClient, after: &str, code: &str) {
    let head = position(guild).await;
    let (status, problem) = read_after(server, guild, after).await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (409, Some(code)),
        "{problem}"
    );
    assert_eq!(problem["position"], after);
    assert_eq!(problem["head"], head);
    assert_eq!(problem["retry"], "never");
    assert!(problem["detail"].as_str().unwrap().contains("after=0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_of_a_restored_server_is_informed() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    let (server, mut guild) = TestServer::with_guild(2).await;
    stdout_of(&bursar(&["backup", text(&server.file()), text(&copy)]));
    let common = position(&mut guild).await;
    for number in 0..5 {
        pay(&mut guild, &format!("lost {number}")).await;
    }
    let lost = position(&mut guild).await;
    let lost_seq = newest(&mut guild).await;
    let statement = format!("{GUILD}/accounts/user:1/statement");
    let page = guild.get(&format!("{statement}?limit=1")).await.json();
    let cursor = page["next_cursor"].as_str().unwrap().to_owned();
    let cursor = format!("{statement}?cursor={cursor}");
    assert_eq!(guild.get(&cursor).await.status, 200);
    let admin = server.admin_key.clone();
    server.close().await;

    let (server, mut guild) = start_on_copy(&copy, &admin).await;
    assert_refused(&server, &mut guild, &lost, "position_past_head").await;
    let past = (lost_seq + 1000).to_string();
    assert_refused(&server, &mut guild, &past, "position_past_head").await;
    assert_eq!(guild.get(&cursor).await.code(), "position_past_head");
    let (status, page) = read_after(&server, &mut guild, &common).await;
    assert_eq!(
        (status, &page["next_after"]),
        (200, &Value::from(common.as_str()))
    );

    // The new history grows past the position and still differs.
    for number in 0..4 {
        pay(&mut guild, &format!("new {number}")).await;
    }
    assert_refused(&server, &mut guild, &lost, "position_past_head").await;
    pay(&mut guild, "as long").await;
    assert_refused(&server, &mut guild, &lost, "history_changed").await;
    pay(&mut guild, "longer").await;
    assert_refused(&server, &mut guild, &lost, "history_changed").await;
    assert_eq!(guild.get(&cursor).await.code(), "history_changed");
    let (status, page) = read_after(&server, &mut guild, &common).await;
    assert_eq!((status, page["events"].as_array().unwrap().len()), (200, 6));
    // A bare sequence number cannot show the difference.
    let (status, page) = read_after(&server, &mut guild, &lost_seq.to_string()).await;
    assert_eq!((status, page["events"].as_array().unwrap().len()), (200, 1));
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_stay_valid_after_an_export_and_import() {
    let folder = tempfile::tempdir().unwrap();
    let lines = folder.path().join("guild.jsonl");
    let (server, mut guild) = TestServer::with_guild(2).await;
    let middle = position(&mut guild).await;
    pay(&mut guild, "a").await;
    let last = position(&mut guild).await;
    let exported = bursar(&["export", text(&server.file()), "--economy", "guild"]);
    std::fs::write(&lines, stdout_of(&exported)).unwrap();
    server.close().await;

    let set_up = TestServer::with_setup(|setup| {
        stdout_of(&bursar_with_input(
            &["import", text(&setup.database)],
            &lines,
        ));
    });
    let server = set_up.await;
    let mut guild = GuildClient {
        client: server.admin(),
    };
    let (status, page) = read_after(&server, &mut guild, &middle).await;
    assert_eq!((status, page["next_after"].as_str()), (200, Some(&*last)));
    pay(&mut guild, "b").await;
    let (status, page) = read_after(&server, &mut guild, &last).await;
    assert_eq!((status, page["events"].as_array().unwrap().len()), (200, 1));
    let wrong = format!("{}-0123456789abcdef", newest(&mut guild).await);
    assert_refused(&server, &mut guild, &wrong, "history_changed").await;
    server.close().await;
}

//! Consumers of a server whose file was restored from a backup: nobody is deaf, and nobody is led on
//! through a history that is not the one that it has read.

use std::path::Path;

use serde_json::Value;

use crate::archive::{bursar, fed, said, text};
use crate::events::ask;
use crate::support::{GUILD, Guild, House};
use crate::webhooks::{newest, pay};

/// A server on a copy of a file.
async fn on_copy(copy: &Path, admin_key: &str) -> (House, Guild) {
    let set_up = House::set_up(|setup| {
        std::fs::copy(copy, &setup.database).unwrap();
    });
    let mut house = set_up.await;
    house.admin_key = String::from(admin_key);
    let client = house.admin();
    (house, Guild { client })
}

async fn position(guild: &mut Guild) -> String {
    let seq = newest(guild).await;
    let path = format!("{GUILD}/events?after={}", seq - 1);
    let page = guild.get(&path).await.json();
    page["next_after"].as_str().unwrap().to_owned()
}

/// Asks for the events after a position, as a page and as a stream: both give the same answer.
async fn read_on(house: &House, guild: &mut Guild, after: &str) -> (u16, Value) {
    let page = guild.get(&format!("{GUILD}/events?after={after}")).await;
    let (head, _) = ask(house, GUILD, &house.admin_key, Some(after)).await;
    let status = page.status.as_u16();
    assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
    (status, page.json())
}

async fn refused(house: &House, guild: &mut Guild, after: &str, code: &str) {
    let head = position(guild).await;
    let (status, problem) = read_on(house, guild, after).await;
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
async fn a_consumer_of_a_restored_server_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    let (house, mut guild) = House::with_guild(2).await;
    said(&bursar(&["backup", text(&house.file()), text(&copy)]));
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
    let admin = house.admin_key.clone();
    house.close().await;

    let (house, mut guild) = on_copy(&copy, &admin).await;
    refused(&house, &mut guild, &lost, "position_past_head").await;
    let past = (lost_seq + 1000).to_string();
    refused(&house, &mut guild, &past, "position_past_head").await;
    assert_eq!(guild.get(&cursor).await.code(), "position_past_head");
    let (status, page) = read_on(&house, &mut guild, &common).await;
    assert_eq!(
        (status, &page["next_after"]),
        (200, &Value::from(common.as_str()))
    );

    // The other history grows past the position, and it is still another one.
    for number in 0..4 {
        pay(&mut guild, &format!("new {number}")).await;
    }
    refused(&house, &mut guild, &lost, "position_past_head").await;
    pay(&mut guild, "as long").await;
    refused(&house, &mut guild, &lost, "history_changed").await;
    pay(&mut guild, "longer").await;
    refused(&house, &mut guild, &lost, "history_changed").await;
    assert_eq!(guild.get(&cursor).await.code(), "history_changed");
    let (status, page) = read_on(&house, &mut guild, &common).await;
    assert_eq!((status, page["events"].as_array().unwrap().len()), (200, 6));
    // A number alone cannot tell.
    let (status, page) = read_on(&house, &mut guild, &lost_seq.to_string()).await;
    assert_eq!((status, page["events"].as_array().unwrap().len()), (200, 1));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_move_with_their_economy() {
    let folder = tempfile::tempdir().unwrap();
    let lines = folder.path().join("guild.jsonl");
    let (house, mut guild) = House::with_guild(2).await;
    let middle = position(&mut guild).await;
    pay(&mut guild, "a").await;
    let last = position(&mut guild).await;
    let exported = bursar(&["export", text(&house.file()), "--economy", "guild"]);
    std::fs::write(&lines, said(&exported)).unwrap();
    house.close().await;

    let set_up = House::set_up(|setup| {
        said(&fed(&["import", text(&setup.database)], &lines));
    });
    let house = set_up.await;
    let mut guild = Guild {
        client: house.admin(),
    };
    let (status, page) = read_on(&house, &mut guild, &middle).await;
    assert_eq!((status, page["next_after"].as_str()), (200, Some(&*last)));
    pay(&mut guild, "b").await;
    let (status, page) = read_on(&house, &mut guild, &last).await;
    assert_eq!((status, page["events"].as_array().unwrap().len()), (200, 1));
    let wrong = format!("{}-0123456789abcdef", newest(&mut guild).await);
    refused(&house, &mut guild, &wrong, "history_changed").await;
    house.close().await;
}

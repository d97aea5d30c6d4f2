//! Many clients of one shop: all are served, and so is a client of another economy.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bursar_server::client::Client;
use bursar_server::service::CallBounds;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::task::JoinSet;

use crate::race::with_many_members;
use crate::shop::{open_shop, potion};
use crate::support::{GUILD, GuildClient, TestServer, currency, decline_code, install_malicious};

/// The path of the other economy.
const OTHER: &str = "/v1/economies/other";

/// Connections that buy continuously.
const BUYERS: u64 = 512;

/// Purchases of each connection.
const PURCHASES: usize = 2;

/// Raises the limit of open files: both ends of every connection are in this process.
fn allow_connections() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let required = 4_096.min(maximum.unwrap_or(u64::MAX));
    if current.is_some_and(|current| current < required) {
        let raised = Rlimit {
            current: Some(required),
            maximum,
        };
        setrlimit(Resource::Nofile, raised).unwrap();
    }
}

/// Creates the other economy, in which a member may claim a daily reward.
async fn open_neighbour(server: &TestServer, guild: &mut GuildClient) -> Client {
    for (path, body) in [
        (OTHER.to_owned(), json!({})),
        (format!("{OTHER}/assets/coin"), currency()),
        (format!("{OTHER}/accounts/user:1"), json!({})),
        (
            format!("{OTHER}/plugins/daily"),
            json!({
                "component": "bundled:daily", "grants": "requested", "enabled": true,
                "config": {"asset": "coin", "amount": 5}
            }),
        ),
    ] {
        guild.put_ok(&path, body).await;
    }
    let mut neighbour = server.admin().with_patience(Duration::from_mins(10));
    let funds = json!({"account": "plugin:daily", "asset": "coin", "amount": 5});
    let issue = format!("{OTHER}/issue");
    let issued = neighbour.post(&issue, "funds", &funds).await.unwrap();
    assert_eq!(issued.status, 201);
    neighbour
}

#[tokio::test(flavor = "multi_thread")]
async fn all_clients_of_a_busy_shop_and_of_another_economy_are_served() {
    allow_connections();
    let (server, mut guild) = with_many_members(TestServer::new().await, BUYERS).await;
    let potion = json!({"kind": "item", "name": "Potion"});
    guild
        .put_ok(&format!("{GUILD}/assets/item:potion"), potion)
        .await;
    let offer = json!({"item": "item:potion", "price": {"coin": 50}, "per_member_limit": 9});
    let config = json!({"items": [offer]});
    guild.install("shop", "bundled:shop", config).await;
    guild.issue("plugin:shop", "item:potion", 10_000).await;
    let mut neighbour = open_neighbour(&server, &mut guild).await;
    let buying = Arc::new(AtomicUsize::new(0));
    let mut crowd = JoinSet::new();
    for member in 1..=BUYERS {
        let mut client = server.admin().with_patience(Duration::from_mins(10));
        let buying = Arc::clone(&buying);
        crowd.spawn(async move {
            let path = format!("{GUILD}/plugins/shop/actions/buy");
            let body = json!({
                "caller": format!("user:{member}"), "arguments": {"item": "item:potion"}
            });
            let mut responses = Vec::new();
            for number in 0..PURCHASES {
                buying.fetch_add(1, Ordering::SeqCst);
                let key = format!("{member} buys {number}");
                let response = client.post(&path, &key, &body).await.expect("a response");
                responses.push((response.status.as_u16(), response.code()));
            }
            responses
        });
    }
    // A second request on some connection means that all first requests have been sent.
    while buying.load(Ordering::SeqCst) <= usize::try_from(BUYERS).unwrap() {
        tokio::task::yield_now().await;
    }
    let path = format!("{OTHER}/plugins/daily/actions/claim");
    let body = json!({"caller": "user:1", "arguments": {}});
    let claimed = neighbour.post(&path, "k", &body).await.unwrap();
    assert_eq!(claimed.status, 200, "{}", claimed.json());
    let responses: Vec<_> = crowd.join_all().await.into_iter().flatten().collect();
    let committed = responses
        .iter()
        .filter(|(status, _)| *status == 200)
        .count();
    let all = PURCHASES * usize::try_from(BUYERS).unwrap();
    assert_eq!((committed, responses.len()), (all, all), "{responses:?}");
    let potions = i64::try_from(all).unwrap();
    assert_eq!(
        guild.posted("plugin:shop", "item:potion").await,
        10_000 - potions
    );
    assert_eq!(guild.posted("plugin:shop:till", "coin").await, 50 * potions);
    let shop = guild.get(&format!("{GUILD}/plugins/shop")).await.json();
    assert_eq!(shop["conflicts"]["given_up"], 0);
    server.close().await;
}

/// Sends one purchase of each member at the same time, each on its own connection and without a repetition. Returns the
/// number of purchases by their outcome.
async fn buy_at_once(server: &TestServer) -> BTreeMap<String, usize> {
    let buy = |member: u64| {
        let body = json!({
            "caller": format!("user:{member}"), "arguments": {"item": "item:potion"}
        });
        let path = "plugins/shop/actions/buy".to_owned();
        (path, format!("{member} buys"), body)
    };
    let responses = server.post_concurrently((1..=BUYERS).map(buy).collect());
    let mut outcomes = BTreeMap::new();
    for response in responses.await {
        let outcome = match response.status.as_u16() {
            200 => "committed".into(),
            _ if !decline_code(&response).is_empty() => decline_code(&response),
            _ => response.code(),
        };
        *outcomes.entry(outcome).or_insert(0) += 1;
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_512_buyers_at_once_are_served() {
    allow_connections();
    let server = TestServer::with_setup(|setup| setup.calls = CallBounds::standard());
    let (server, mut guild) = with_many_members(server.await, BUYERS).await;
    open_shop(&mut guild, potion(&json!({})), 10_000).await;
    let outcomes = buy_at_once(&server).await;
    let buyers = usize::try_from(BUYERS).unwrap();
    assert_eq!(outcomes, BTreeMap::from([("committed".into(), buyers)]));
    let sold = i64::try_from(BUYERS).unwrap();
    let left = guild.posted("plugin:shop", "item:potion").await;
    assert_eq!(left, 10_000 - sold);
    assert_eq!(guild.posted("plugin:shop:till", "coin").await, 50 * sold);
    server.close().await;
}

/// Each purchase reads and changes the history of the same member, so all of them conflict.
#[tokio::test(flavor = "multi_thread")]
async fn all_of_512_conflicting_purchases_at_once_are_served() {
    allow_connections();
    let server = TestServer::with_setup(|setup| setup.calls = CallBounds::standard());
    let (server, mut guild) = server.await.with_members(1).await;
    let offer = json!({"price": {"coin": 1}, "per_member_limit": 1_000});
    open_shop(&mut guild, potion(&offer), 1_000).await;
    let body = json!({"caller": "user:1", "arguments": {"item": "item:potion"}});
    let buy = |number: u64| {
        let path = "plugins/shop/actions/buy".to_owned();
        (path, format!("purchase {number}"), body.clone())
    };
    let responses = server.post_concurrently((0..BUYERS).map(buy).collect());
    for response in responses.await {
        assert_eq!(response.status, 200, "{}", response.json());
    }
    let bought = i64::try_from(BUYERS).unwrap();
    assert_eq!(guild.posted("user:1", "item:potion").await, bought);
    assert_eq!(guild.posted("plugin:shop:till", "coin").await, bought);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_buys_exactly_the_stock_and_the_rest_is_declined() {
    allow_connections();
    let server = TestServer::with_setup(|setup| setup.calls = CallBounds::standard());
    let (server, mut guild) = with_many_members(server.await, BUYERS).await;
    open_shop(&mut guild, potion(&json!({})), 100).await;
    let outcomes = buy_at_once(&server).await;
    let declined = usize::try_from(BUYERS).unwrap() - 100;
    let expected = [("committed".into(), 100), ("out_of_stock".into(), declined)];
    assert_eq!(outcomes, BTreeMap::from(expected));
    assert_eq!(guild.posted("plugin:shop", "item:potion").await, 0);
    assert_eq!(guild.posted("plugin:shop:till", "coin").await, 5_000);
    server.close().await;
}

/// Each call takes seconds, so those behind the first wait longer than the configured bound.
#[tokio::test(flavor = "multi_thread")]
async fn calls_that_wait_too_long_are_refused_and_leave_their_key_free() {
    let server = TestServer::with_setup(|setup| {
        setup.limits.fuel = 1 << 40;
        setup.calls.workers = 1;
        setup.calls.wait = Duration::from_millis(100);
    });
    let (server, mut guild) = server.await.with_members(1).await;
    install_malicious(&mut guild).await;
    let body = json!({"caller": "user:1", "arguments": {}});
    let spin = |number| {
        let path = "plugins/malicious/actions/spin".into();
        (path, format!("spin {number}"), body.clone())
    };
    let responses = server.post_concurrently((0..4).map(spin).collect()).await;
    let waited: Vec<_> = (0..responses.len())
        .filter(|place| responses[*place].code() == "overloaded")
        .collect();
    assert!(waited.len() >= 3, "{}", waited.len());
    for place in waited {
        let key = format!("spin%20{place}");
        guild.assert_overloaded(&responses[place], &key).await;
    }
    server.close().await;
}

//! A crowd at one shop: everybody is served, and a neighbour finds a place meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bursar_server::client::Client;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::task::JoinSet;

use crate::race::crowded;
use crate::support::{GUILD, Guild, House, currency, install_malicious};

/// The economy next door.
const OTHER: &str = "/v1/economies/other";

/// Connections on which somebody buys all the time.
const BUYERS: u64 = 512;

/// Purchases of each.
const PURCHASES: usize = 2;

/// Both ends of all connections are in this process.
fn allow_connections() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = 4_096.min(maximum.unwrap_or(u64::MAX));
    if current.is_some_and(|current| current < wanted) {
        let wider = Rlimit {
            current: Some(wanted),
            maximum,
        };
        setrlimit(Resource::Nofile, wider).unwrap();
    }
}

/// An economy next door, in which a member may claim something once a day.
async fn open_neighbour(house: &House, guild: &mut Guild) -> Client {
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
        guild.made(&path, body).await;
    }
    let mut neighbour = house.admin().with_patience(Duration::from_mins(10));
    let funds = json!({"account": "plugin:daily", "asset": "coin", "amount": 5});
    let issue = format!("{OTHER}/issue");
    let issued = neighbour.post(&issue, "funds", &funds).await.unwrap();
    assert_eq!(issued.status, 201);
    neighbour
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_of_a_crowd_at_one_shop_is_served_and_a_neighbour_too() {
    allow_connections();
    let (house, mut guild) = crowded(House::new().await, BUYERS).await;
    let potion = json!({"kind": "item", "name": "Potion"});
    guild
        .made(&format!("{GUILD}/assets/item:potion"), potion)
        .await;
    let offer = json!({"item": "item:potion", "price": {"coin": 50}, "per_member_limit": 9});
    let config = json!({"items": [offer]});
    guild.install("shop", "bundled:shop", config).await;
    guild.issue("plugin:shop", "item:potion", 10_000).await;
    let mut neighbour = open_neighbour(&house, &mut guild).await;
    let buying = Arc::new(AtomicUsize::new(0));
    let mut crowd = JoinSet::new();
    for member in 1..=BUYERS {
        let mut client = house.admin().with_patience(Duration::from_mins(10));
        let buying = Arc::clone(&buying);
        crowd.spawn(async move {
            let path = format!("{GUILD}/plugins/shop/actions/buy");
            let body = json!({
                "caller": format!("user:{member}"), "arguments": {"item": "item:potion"}
            });
            let mut answers = Vec::new();
            for number in 0..PURCHASES {
                buying.fetch_add(1, Ordering::SeqCst);
                let key = format!("{member} buys {number}");
                let answer = client.post(&path, &key, &body).await.expect("an answer");
                answers.push((answer.status.as_u16(), answer.code()));
            }
            answers
        });
    }
    // The crowd is there: some have asked for the second time, so that all have been let in.
    while buying.load(Ordering::SeqCst) <= usize::try_from(BUYERS).unwrap() {
        tokio::task::yield_now().await;
    }
    let path = format!("{OTHER}/plugins/daily/actions/claim");
    let body = json!({"caller": "user:1", "arguments": {}});
    let claimed = neighbour.post(&path, "k", &body).await.unwrap();
    assert_eq!(claimed.status, 200, "{}", claimed.json());
    let answers: Vec<_> = crowd.join_all().await.into_iter().flatten().collect();
    let served = answers.iter().filter(|(status, _)| *status == 200).count();
    let all = PURCHASES * usize::try_from(BUYERS).unwrap();
    assert_eq!((served, answers.len()), (all, all), "{answers:?}");
    let potions = i64::try_from(all).unwrap();
    assert_eq!(
        guild.posted("plugin:shop", "item:potion").await,
        10_000 - potions
    );
    assert_eq!(guild.posted("plugin:shop:till", "coin").await, 50 * potions);
    let shop = guild.get(&format!("{GUILD}/plugins/shop")).await.json();
    assert_eq!(shop["conflicts"]["given_up"], 0);
    house.close().await;
}

/// Of calls that think for seconds, those behind the first wait longer than they may.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_longer_than_the_bound_is_turned_away_and_the_key_is_free() {
    let house = House::set_up(|setup| {
        setup.limits.fuel = 1 << 40;
        (setup.calls.workers, setup.calls.wait) = (1, Duration::from_millis(100));
    });
    let (house, mut guild) = house.await.furnished(1).await;
    install_malicious(&mut guild).await;
    let body = json!({"caller": "user:1", "arguments": {}});
    let spin = |number| {
        let path = "plugins/malicious/actions/spin".into();
        (path, format!("spin {number}"), body.clone())
    };
    let answers = house.at_once((0..4).map(spin).collect()).await;
    let waited: Vec<_> = (0..answers.len())
        .filter(|place| answers[*place].code() == "overloaded")
        .collect();
    assert!(waited.len() >= 3, "{}", waited.len());
    for place in waited {
        let answer = &answers[place];
        assert_eq!((answer.status.as_u16(), answer.retry_after), (503, Some(1)));
        let kept = guild.get(&format!("{GUILD}/outcomes/spin%20{place}")).await;
        assert_eq!(kept.code(), "outcome_not_found");
    }
    house.close().await;
}

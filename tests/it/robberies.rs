//! Robberies: a plugin that takes of members by a pattern that the operator has written out, on a real server.

use std::collections::{BTreeMap, BTreeSet};

use bursar_server::bundled;
use bursar_server::client::Response;
use serde_json::{Value, json};

use crate::race::{crowded, race};
use crate::support::{GUILD, Guild, House, decline_code, upload};

const ROB: &str = "/v1/economies/guild/plugins/rob";

/// Who robs; the members after them are robbed.
const ROBBERS: u64 = 40;

const VICTIMS: u64 = 10;

/// The caps of the race: in one call, of one member in a day, and of all of them.
const CAPS: (u64, u64, u64) = (30, 100, 700);

fn patterns((per_call, per_member_per_day, per_day): (u64, u64, u64)) -> Value {
    json!([{
        "accounts": "user:*", "read": true,
        "debit": {
            "per_call": {"coin": per_call},
            "per_member_per_day": {"coin": per_member_per_day},
            "per_day": {"coin": per_day},
        },
    }])
}

/// Installs the plugin, with a fine of 5 and so many robbers of a hundred who are not caught.
async fn let_in(house: &House, guild: &mut Guild, most: u64, chance: u32) {
    let uploaded = upload(house.admin(), bundled::ROB).await;
    assert_eq!(uploaded.status, 201, "{}", uploaded.json());
    let config = json!({"asset": "coin", "most": most, "fine": 5, "chance": chance});
    let component = uploaded.json()["component"].clone();
    let body = json!({
        "component": component, "grants": "requested", "config": config, "enabled": true,
    });
    guild.made(ROB, body).await;
}

async fn rob(guild: &mut Guild, key: &str, victim: &str) -> Response {
    let arguments = json!({"victim": victim});
    guild.call("rob/rob", key, "user:1", arguments).await
}

/// What a call took of members, by account, and what members got of it.
fn moved(answer: &Response) -> (BTreeMap<String, u64>, BTreeMap<String, u64>) {
    let (mut taken, mut got) = (BTreeMap::new(), BTreeMap::new());
    for posting in answer.json()["transfer"]["postings"].as_array().unwrap() {
        let amount = posting["amount"].as_u64().unwrap();
        let (from, to) = (
            posting["from"].as_str().unwrap(),
            posting["to"].as_str().unwrap(),
        );
        let (sums, whose) = if from == "plugin:rob" {
            (&mut got, to)
        } else {
            (&mut taken, from)
        };
        *sums.entry(whose.to_owned()).or_default() += amount;
    }
    (taken, got)
}

/// What robberies that were committed have come to.
struct Tally {
    /// What members have, robbers first.
    coins: Vec<i64>,
    /// What was taken of each victim, what came back included.
    taken_of: BTreeMap<String, u64>,
    nonces: BTreeSet<u64>,
    draws: u64,
    caught: usize,
}

impl Tally {
    fn new(coins: Vec<i64>) -> Self {
        Self {
            coins,
            taken_of: BTreeMap::new(),
            nonces: BTreeSet::new(),
            draws: 0,
            caught: 0,
        }
    }

    /// Counts a robbery: the fine was paid before its draw, and what was not stolen came back.
    fn count(&mut self, robber: &str, victim: &str, answer: &Response) {
        let call = answer.json();
        let (taken, got) = moved(answer);
        let got = |whose: &str| got.get(whose).copied().unwrap_or(0);
        let loot = taken[victim];
        assert_eq!(call["reply"]["loot"], loot);
        assert!(loot <= CAPS.0);
        assert_eq!(taken[robber], 5, "the fine is paid before the draw");
        let stolen = call["reply"]["stolen"].as_u64().unwrap_or(0);
        assert_eq!(stolen + got(victim), loot, "the rest goes back");
        let fine = if stolen == 0 { 5 } else { 0 };
        assert_eq!(got(robber), stolen + 5 - fine);
        *self.taken_of.entry(victim.to_owned()).or_default() += loot;
        self.draws += if stolen == 0 { 1 } else { 2 };
        self.caught += usize::from(stolen == 0);
        let nonce = call["draws"]["nonce"].as_u64().unwrap();
        assert!(self.nonces.insert(nonce), "{nonce} was drawn from twice");
        *self.coins_of(victim) -= signed(stolen);
        *self.coins_of(robber) += signed(stolen) - signed(fine);
    }

    fn coins_of(&mut self, member: &str) -> &mut i64 {
        let number: usize = member["user:".len()..].parse().unwrap();
        &mut self.coins[number - 1]
    }
}

fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap()
}

/// A thousand robberies at once: whoever comes first, no cap is exceeded, nobody is run into debt, who is caught
/// pays, and what was drawn is on record with what it cost.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_robberies_at_once_take_no_more_than_was_granted() {
    let (house, mut guild) = crowded(House::new().await, ROBBERS + VICTIMS).await;
    // Poor members with credit, of whom nothing is taken that they do not have.
    let poor = [ROBBERS + 1, ROBBERS + 2];
    for number in poor {
        let account = format!("user:{number}");
        guild.transfer(&account, &account, "user:1", 988).await;
        let credit = json!({"credit_limit": {"coin": 1000}});
        guild
            .made(&format!("{GUILD}/accounts/{account}"), credit)
            .await;
    }
    let before = guild.coins(ROBBERS + VICTIMS).await;
    let_in(&house, &mut guild, 30, 50).await;
    guild
        .made(ROB, json!({"grants": {"patterns": patterns(CAPS)}}))
        .await;

    let victim = |number: u64| format!("user:{}", ROBBERS + 1 + number / ROBBERS % VICTIMS);
    let robbery = |number: u64| (number % ROBBERS + 1, json!({"victim": victim(number)}));
    let robberies = race(&house, "rob/rob", robbery).await;

    let mut tally = Tally::new(before);
    for (number, answer) in (0..).zip(&robberies.answers) {
        if answer.status == 200 {
            tally.count(
                &format!("user:{}", number % ROBBERS + 1),
                &victim(number),
                answer,
            );
            continue;
        }
        let why = [answer.code(), decline_code(answer)];
        let known = ["budget_exceeded", "nothing_there"];
        assert!(
            why.iter().any(|why| known.contains(&why.as_str())),
            "{why:?}"
        );
    }
    let Tally {
        coins,
        taken_of,
        nonces,
        draws,
        caught,
    } = tally;
    assert!(caught > 0 && caught < nonces.len(), "{caught} were caught");
    assert!(
        taken_of.values().all(|taken| *taken <= CAPS.1),
        "{taken_of:?}"
    );
    let together: u64 = taken_of.values().sum();
    assert!(
        together <= CAPS.2 && together > CAPS.2 - CAPS.0,
        "{together} in all"
    );

    let after = guild.coins(ROBBERS + VICTIMS).await;
    assert_eq!(after, coins);
    assert!(after.iter().all(|coins| *coins >= 0), "{after:?}");
    let fines = 5 * i64::try_from(caught).unwrap();
    assert_eq!(guild.posted("plugin:rob", "coin").await, fines);
    let state = house.storage.state();
    let books = state.books(&"guild".parse().unwrap()).unwrap();
    assert_eq!(
        books.active_seed().draws,
        draws,
        "nothing was drawn for free"
    );
    assert!(nonces.iter().all(|nonce| *nonce < books.next_nonce()));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_caught_pays_a_fine_and_who_is_not_keeps_a_share() {
    let (house, mut guild) = House::with_guild(2).await;
    let_in(&house, &mut guild, 100, 0).await;
    guild
        .made(
            ROB,
            json!({"grants": {"patterns": patterns((100, 1000, 1000))}}),
        )
        .await;
    let caught = rob(&mut guild, "caught", "user:2").await;
    assert_eq!(caught.json()["reply"], json!({"loot": 100}));
    assert_eq!(guild.coins(2).await, [995, 1000]);
    let config = json!({"asset": "coin", "most": 100, "fine": 5, "chance": 100});
    guild.made(ROB, json!({ "config": config })).await;
    let robbed = rob(&mut guild, "robbed", "user:2").await.json();
    let stolen = robbed["reply"]["stolen"].as_i64().unwrap();
    assert!((1..=100).contains(&stolen), "{robbed}");
    assert_eq!(guild.coins(2).await, [995 + stolen, 1000 - stolen]);
    house.close().await;
}

/// Nothing of a member's moves by what a manifest wishes for, and the refusal says what an operator writes.
#[tokio::test(flavor = "multi_thread")]
async fn a_wish_grants_nothing_and_the_refusal_says_what_would() {
    let (house, mut guild) = House::with_guild(2).await;
    let_in(&house, &mut guild, 100, 100).await;
    let plugin = guild.get(ROB).await.json();
    let wishes = json!([{"accounts": "user:*", "read": true, "debit": true}]);
    assert_eq!(plugin["manifest"]["permissions"]["patterns"], wishes);
    assert_eq!(plugin["requested"]["patterns"], Value::Null);
    assert_eq!(plugin["grants"]["patterns"], Value::Null);

    let refused = rob(&mut guild, "read", "user:2").await;
    assert_eq!(decline_code(&refused), "not_granted");
    let message = refused.json()["decline"]["message"].to_string();
    assert!(
        message.contains(r#"{\"accounts\": \"user:*\", \"read\": true}"#),
        "{message}"
    );
    guild
        .made(
            ROB,
            json!({"grants": {"patterns": [{"accounts": "user:*", "read": true}]}}),
        )
        .await;
    let refused = rob(&mut guild, "debit", "user:2").await;
    let message = refused.json()["decline"]["message"].to_string();
    assert!(message.contains(r#"\"debit\": {\"per_call\""#), "{message}");
    assert_eq!(guild.coins(2).await, [1000, 1000]);

    let granted = patterns((100, 100, 100));
    guild
        .made(ROB, json!({"grants": {"patterns": granted}}))
        .await;
    let plugin = guild.get(ROB).await.json();
    assert_eq!(plugin["grants"]["patterns"], granted);
    assert_eq!(rob(&mut guild, "robbed", "user:2").await.status, 200);
    let beyond = rob(&mut guild, "beyond", "user:2").await;
    assert_eq!(beyond.code(), "budget_exceeded");
    let problem = beyond.json();
    assert_eq!(problem["budget"], "patterns.debit.per_member_per_day");
    assert_eq!(
        (&problem["accounts"], &problem["account"]),
        (&json!("user:*"), &json!("user:2"))
    );
    assert_eq!(
        (&problem["most"], problem["asked"].as_u64() > Some(100)),
        (&json!(100), true)
    );
    house.close().await;
}

/// Patterns that are none, and lists of them that cannot be, are refused where they stand.
#[tokio::test(flavor = "multi_thread")]
async fn patterns_that_cannot_be_are_refused_where_they_stand() {
    let (house, mut guild) = House::with_guild(1).await;
    let_in(&house, &mut guild, 100, 100).await;
    let granted = patterns((1, 1, 1));
    let without = |member: &str| {
        let mut some = granted.clone();
        some[0]["debit"].as_object_mut().unwrap().remove(member);
        some
    };
    let many = |count: usize| {
        let some = (0..count).map(|n| json!({"accounts": format!("team{n}:*"), "read": true}));
        some.collect::<Value>()
    };
    for (patterns, pointer) in [
        (
            json!([{"accounts": "*", "read": true}]),
            "/grants/patterns/0/accounts",
        ),
        (
            json!([{"accounts": "plugin:*", "read": true}]),
            "/grants/patterns/0/accounts",
        ),
        (
            json!([{"accounts": "issuer:coin:*", "read": true}]),
            "/grants/patterns/0/accounts",
        ),
        (
            json!([{"accounts": "user:1", "read": true}]),
            "/grants/patterns/0/accounts",
        ),
        (json!([{"accounts": "user:*"}]), "/grants/patterns"),
        (json!([["user:*", true]]), "/grants/patterns/0"),
        (
            json!([{"accounts": "user:*", "debit": true}]),
            "/grants/patterns/0/debit",
        ),
        (without("per_call"), "/grants/patterns/0/debit"),
        (without("per_member_per_day"), "/grants/patterns/0/debit"),
        (without("per_day"), "/grants/patterns/0/debit"),
        (json!([granted[0], granted[0]]), "/grants/patterns"),
        (many(9), "/grants/patterns"),
    ] {
        let refused = guild
            .put(ROB, json!({"grants": {"patterns": patterns}}))
            .await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (400, "malformed".into())
        );
        assert_eq!(
            refused.json()["pointer"],
            pointer,
            "{patterns}: {}",
            refused.json()
        );
    }
    guild
        .made(ROB, json!({"grants": {"patterns": many(8)}}))
        .await;
    let wide = guild
        .put(ROB, json!({"grants": {"debit": ["user:1"]}}))
        .await;
    assert_eq!(wide.code(), "grant_too_wide");
    assert_eq!(wide.json()["member"], "debit");
    let detail = wide.json()["detail"].to_string();
    assert!(detail.contains("grants.patterns"), "{detail}");
    house.close().await;
}

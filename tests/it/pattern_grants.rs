//! Pattern grants: a plugin debits members by a pattern that the operator granted, on a real server.

use std::collections::{BTreeMap, BTreeSet};

use bursar_server::bundled;
use bursar_server::client::Response;
use serde_json::{Value, json};

use crate::race::{race, with_many_members};
use crate::support::{GUILD, GuildClient, TestServer, decline_code, upload};

const ROB: &str = "/v1/economies/guild/plugins/rob";

/// The number of robbers; the members after them are the victims.
const ROBBERS: u64 = 40;

const VICTIMS: u64 = 10;

/// The caps of the race: per call, per member and day, and per day.
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

/// Installs the plugin with a fine of 5 and this chance in percent of not being caught.
async fn install_rob(server: &TestServer, guild: &mut GuildClient, most: u64, chance: u32) {
    let uploaded = upload(server.admin(), bundled::ROB).await;
    assert_eq!(uploaded.status, 201, "{}", uploaded.json());
    let config = json!({"asset": "coin", "most": most, "fine": 5, "chance": chance});
    let component = uploaded.json()["component"].clone();
    let body = json!({
        "component": component, "grants": "requested", "config": config, "enabled": true,
    });
    guild.put_ok(ROB, body).await;
}

async fn rob(guild: &mut GuildClient, key: &str, victim: &str) -> Response {
    let arguments = json!({"victim": victim});
    guild.call("rob/rob", key, "user:1", arguments).await
}

/// Returns the amounts a call took from members and paid to members, by account.
fn moved(response: &Response) -> (BTreeMap<String, u64>, BTreeMap<String, u64>) {
    let mut taken = BTreeMap::new();
    let mut got = BTreeMap::new();
    for posting in response.json()["transfer"]["postings"].as_array().unwrap() {
        let amount = posting["amount"].as_u64().unwrap();
        let from = posting["from"].as_str().unwrap();
        let to = posting["to"].as_str().unwrap();
        let (sums, whose) = if from == "plugin:rob" {
            (&mut got, to)
        } else {
            (&mut taken, from)
        };
        *sums.entry(whose.to_owned()).or_default() += amount;
    }
    (taken, got)
}

/// The results of committed robberies.
struct Tally {
    /// The expected coins of all members, robbers first.
    coins: Vec<i64>,
    /// The amount taken from each victim, including what was returned.
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

    /// Counts a robbery: the fine is paid before its draw, and what is not stolen is returned.
    fn count(&mut self, robber: &str, victim: &str, response: &Response) {
        let call = response.json();
        let (taken, got) = moved(response);
        let got = |whose: &str| got.get(whose).copied().unwrap_or(0);
        let loot = taken[victim];
        assert_eq!(call["reply"]["loot"], loot);
        assert!(loot <= CAPS.0);
        assert_eq!(taken[robber], 5, "the fine is paid before the draw");
        let stolen = call["reply"]["stolen"].as_u64().unwrap_or(0);
        assert_eq!(stolen + got(victim), loot, "the rest is returned");
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

/// A thousand concurrent robberies: in any order no cap is exceeded, no member goes into debt, a caught
/// robber pays, and every draw is recorded with its cost.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_concurrent_robberies_stay_within_the_granted_caps() {
    let (server, mut guild) = with_many_members(TestServer::new().await, ROBBERS + VICTIMS).await;
    // Members with credit and little money: nothing beyond their balance is taken.
    let poor = [ROBBERS + 1, ROBBERS + 2];
    for number in poor {
        let account = format!("user:{number}");
        guild.transfer(&account, &account, "user:1", 988).await;
        let credit = json!({"credit_limit": {"coin": 1000}});
        guild
            .put_ok(&format!("{GUILD}/accounts/{account}"), credit)
            .await;
    }
    let before = guild.coin_balances(ROBBERS + VICTIMS).await;
    install_rob(&server, &mut guild, 30, 50).await;
    guild
        .put_ok(ROB, json!({"grants": {"patterns": patterns(CAPS)}}))
        .await;

    let victim = |number: u64| format!("user:{}", ROBBERS + 1 + number / ROBBERS % VICTIMS);
    let robbery = |number: u64| (number % ROBBERS + 1, json!({"victim": victim(number)}));
    let robberies = race(&server, "rob/rob", robbery).await;

    let mut tally = Tally::new(before);
    for (number, response) in (0..).zip(&robberies.responses) {
        if response.status == 200 {
            tally.count(
                &format!("user:{}", number % ROBBERS + 1),
                &victim(number),
                response,
            );
            continue;
        }
        let codes = [response.code(), decline_code(response)];
        let known = ["budget_exceeded", "nothing_there"];
        assert!(
            codes.iter().any(|code| known.contains(&code.as_str())),
            "{codes:?}"
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

    let after = guild.coin_balances(ROBBERS + VICTIMS).await;
    assert_eq!(after, coins);
    assert!(after.iter().all(|coins| *coins >= 0), "{after:?}");
    let fines = 5 * i64::try_from(caught).unwrap();
    assert_eq!(guild.posted("plugin:rob", "coin").await, fines);
    let state = server.storage.state();
    let books = state.books(&"guild".parse().unwrap()).unwrap();
    assert_eq!(
        books.active_seed().draws,
        draws,
        "every draw belongs to a committed call"
    );
    assert!(nonces.iter().all(|nonce| *nonce < books.next_nonce()));
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caught_robber_pays_a_fine_and_another_keeps_a_share() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    install_rob(&server, &mut guild, 100, 0).await;
    guild
        .put_ok(
            ROB,
            json!({"grants": {"patterns": patterns((100, 1000, 1000))}}),
        )
        .await;
    let caught = rob(&mut guild, "caught", "user:2").await;
    assert_eq!(caught.json()["reply"], json!({"loot": 100}));
    assert_eq!(guild.coin_balances(2).await, [995, 1000]);
    let config = json!({"asset": "coin", "most": 100, "fine": 5, "chance": 100});
    guild.put_ok(ROB, json!({ "config": config })).await;
    let robbed = rob(&mut guild, "robbed", "user:2").await.json();
    let stolen = robbed["reply"]["stolen"].as_i64().unwrap();
    assert!((1..=100).contains(&stolen), "{robbed}");
    assert_eq!(guild.coin_balances(2).await, [995 + stolen, 1000 - stolen]);
    server.close().await;
}

/// A manifest's requested pattern moves nothing by itself, and the refusal shows the grant that an operator
/// would write.
#[tokio::test(flavor = "multi_thread")]
async fn a_requested_pattern_grants_nothing_and_the_refusal_shows_the_grant_to_write() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    install_rob(&server, &mut guild, 100, 100).await;
    let plugin = guild.get(ROB).await.json();
    let requested = json!([{"accounts": "user:*", "read": true, "debit": true}]);
    assert_eq!(plugin["manifest"]["permissions"]["patterns"], requested);
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
        .put_ok(
            ROB,
            json!({"grants": {"patterns": [{"accounts": "user:*", "read": true}]}}),
        )
        .await;
    let refused = rob(&mut guild, "debit", "user:2").await;
    let message = refused.json()["decline"]["message"].to_string();
    assert!(message.contains(r#"\"debit\": {\"per_call\""#), "{message}");
    assert_eq!(guild.coin_balances(2).await, [1000, 1000]);

    let granted = patterns((100, 100, 100));
    guild
        .put_ok(ROB, json!({"grants": {"patterns": granted}}))
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
    server.close().await;
}

/// Invalid patterns and invalid lists of patterns are refused with a pointer.
#[tokio::test(flavor = "multi_thread")]
async fn invalid_patterns_are_refused_by_pointer() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    install_rob(&server, &mut guild, 100, 100).await;
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
        .put_ok(ROB, json!({"grants": {"patterns": many(8)}}))
        .await;
    let wide = guild
        .put(ROB, json!({"grants": {"debit": ["user:1"]}}))
        .await;
    assert_eq!(wide.code(), "grant_too_wide");
    assert_eq!(wide.json()["member"], "debit");
    let detail = wide.json()["detail"].to_string();
    assert!(detail.contains("grants.patterns"), "{detail}");
    server.close().await;
}

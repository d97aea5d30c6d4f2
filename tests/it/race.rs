//! A thousand concurrent calls and their outcomes.
//!
//! A claim such as "exactly five succeed" holds only if every call has a final response. Each call is sent
//! once: calls of one plugin, however many, are neither refused nor given up.

use std::collections::BTreeMap;
use std::time::Duration;

use bursar_server::client::{Client, Response};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{GUILD, GuildClient, TestServer, decline_code};

/// The number of concurrent calls.
pub(crate) const RACERS: u64 = 1_000;

/// Connections of the calls. Each sends its next call when it has a response.
const CONNECTIONS: usize = 512;

/// Connections on which members are created.
const MEMBER_CONNECTIONS: usize = 25;

/// The responses of a race, in the order of its calls.
pub(crate) struct Race {
    pub(crate) responses: Vec<Response>,
}

/// Sends a thousand calls of an action. `racer` returns the member and the arguments of each call.
pub(crate) async fn race(
    server: &TestServer,
    action: &str,
    racer: impl Fn(u64) -> (u64, Value),
) -> Race {
    let (plugin, name) = action.split_once('/').unwrap();
    let path = format!("{GUILD}/plugins/{plugin}/actions/{name}");
    let mut running = JoinSet::new();
    for first in (0..RACERS).take(CONNECTIONS) {
        // Hundreds of calls may be queued, each with several attempts.
        let mut client = server.admin().with_patience(Duration::from_mins(10));
        let path = path.clone();
        let numbers = (first..RACERS).step_by(CONNECTIONS);
        let calls: Vec<_> = numbers.map(|number| (number, racer(number))).collect();
        running.spawn(async move {
            let mut responses = Vec::new();
            for (number, (member, arguments)) in calls {
                let body = json!({"caller": format!("user:{member}"), "arguments": arguments});
                let key = format!("{path} {number}");
                responses.push((number, final_answer(&mut client, &path, &key, &body).await));
            }
            responses
        });
    }
    let mut responses: Vec<_> = running.join_all().await.into_iter().flatten().collect();
    responses.sort_by_key(|(number, _)| *number);
    let responses = responses
        .into_iter()
        .map(|(_, response)| response)
        .collect();
    Race { responses }
}

async fn final_answer(client: &mut Client, path: &str, key: &str, body: &Value) -> Response {
    let response = client.post(path, key, body).await.expect("a response");
    assert_ne!(response.status, 503, "{key}: {}", response.code());
    response
}

impl Race {
    /// Asserts how many calls had each outcome.
    pub(crate) fn assert_outcomes(&self, expected: &[(&str, usize)]) {
        let mut outcomes = BTreeMap::new();
        for response in &self.responses {
            assert!(!response.replayed, "each key is used once");
            *outcomes.entry(outcome_of(response)).or_insert(0) += 1;
        }
        let expected: BTreeMap<String, usize> = expected
            .iter()
            .map(|(end, count)| ((*end).to_owned(), *count))
            .collect();
        assert_eq!(outcomes, expected);
    }

    /// Returns the numbers and responses of the committed calls.
    pub(crate) fn winners(&self) -> Vec<(u64, &Response)> {
        let racers = (0..).zip(&self.responses);
        racers
            .filter(|(_, response)| response.status == 200)
            .collect()
    }
}

/// Returns `committed` or the problem code; for a declined call the plugin's own code.
fn outcome_of(response: &Response) -> String {
    if response.status == 200 {
        return "committed".into();
    }
    match decline_code(response) {
        declined if declined.is_empty() => response.code(),
        declined => declined,
    }
}

/// Creates the economy with many members. It uses concurrent connections, because creating the members one by one
/// takes too long.
pub(crate) async fn with_many_members(
    server: TestServer,
    members: u64,
) -> (TestServer, GuildClient) {
    let (server, guild) = server.with_members(0).await;
    let mut creating = JoinSet::new();
    for first in (1..=members).take(MEMBER_CONNECTIONS) {
        let client = server.admin();
        creating.spawn(async move {
            let mut guild = GuildClient { client };
            for number in (first..=members).step_by(MEMBER_CONNECTIONS) {
                guild.add_member(number).await;
            }
        });
    }
    creating.join_all().await;
    (server, guild)
}

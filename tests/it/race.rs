//! A thousand calls that race, and what became of each.
//!
//! A claim of the kind "exactly so many win" is shown only if every racer has had its answer. Each asks once:
//! however many want the same of one plugin, none is turned away, and none is given up.

use std::collections::BTreeMap;
use std::time::Duration;

use bursar_server::client::{Client, Response};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{GUILD, Guild, House, decline_code};

/// How many calls race.
pub(crate) const RACERS: u64 = 1_000;

/// Connections on which they come, each with its next call when it has an answer.
const CONNECTIONS: usize = 512;

/// Connections on which the members of a crowd arrive.
const DOORS: usize = 25;

/// A thousand answers, in the order of the racers.
pub(crate) struct Race {
    pub(crate) answers: Vec<Response>,
}

/// Sends a thousand calls of an action: racer by racer, for which member and with which arguments.
pub(crate) async fn race(house: &House, action: &str, racer: impl Fn(u64) -> (u64, Value)) -> Race {
    let (plugin, name) = action.split_once('/').unwrap();
    let path = format!("{GUILD}/plugins/{plugin}/actions/{name}");
    let mut running = JoinSet::new();
    for first in (0..RACERS).take(CONNECTIONS) {
        // Hundreds may be before it, each with several tries.
        let mut client = house.admin().with_patience(Duration::from_mins(10));
        let path = path.clone();
        let numbers = (first..RACERS).step_by(CONNECTIONS);
        let asks: Vec<_> = numbers.map(|number| (number, racer(number))).collect();
        running.spawn(async move {
            let mut answers = Vec::new();
            for (number, (member, arguments)) in asks {
                let body = json!({"caller": format!("user:{member}"), "arguments": arguments});
                let key = format!("{path} {number}");
                answers.push((number, final_answer(&mut client, &path, &key, &body).await));
            }
            answers
        });
    }
    let mut answers: Vec<_> = running.join_all().await.into_iter().flatten().collect();
    answers.sort_by_key(|(number, _)| *number);
    let answers = answers.into_iter().map(|(_, answer)| answer).collect();
    Race { answers }
}

async fn final_answer(client: &mut Client, path: &str, key: &str, body: &Value) -> Response {
    let answer = client.post(path, key, body).await.expect("an answer");
    assert_ne!(answer.status, 503, "{key}: {}", answer.code());
    answer
}

impl Race {
    /// Insists that so many came to each of these ends, and none to any other.
    pub(crate) fn ended(&self, expected: &[(&str, usize)]) {
        let mut ends = BTreeMap::new();
        for answer in &self.answers {
            assert!(!answer.replayed, "each key is asked for once");
            *ends.entry(end(answer)).or_insert(0) += 1;
        }
        let expected: BTreeMap<String, usize> = expected
            .iter()
            .map(|(end, count)| ((*end).to_owned(), *count))
            .collect();
        assert_eq!(ends, expected);
    }

    /// The racers that have won, each with its answer.
    pub(crate) fn winners(&self) -> Vec<(u64, &Response)> {
        let racers = (0..).zip(&self.answers);
        racers.filter(|(_, answer)| answer.status == 200).collect()
    }
}

/// `committed`, or the code of what it was instead: the plugin's own, if the plugin has declined.
fn end(answer: &Response) -> String {
    if answer.status == 200 {
        return "committed".into();
    }
    match decline_code(answer) {
        declined if declined.is_empty() => answer.code(),
        declined => declined,
    }
}

/// A guild with so many members that they do not arrive one after the other.
pub(crate) async fn crowded(house: House, members: u64) -> (House, Guild) {
    let (house, guild) = house.furnished(0).await;
    let mut arriving = JoinSet::new();
    for first in (1..=members).take(DOORS) {
        let client = house.admin();
        arriving.spawn(async move {
            let mut guild = Guild { client };
            for number in (first..=members).step_by(DOORS) {
                guild.welcome(number).await;
            }
        });
    }
    arriving.join_all().await;
    (house, guild)
}

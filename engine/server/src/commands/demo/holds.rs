//! The step about holds and reversals: a stake is held during a game, captured once, and reversed.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::run::{DemoError, DemoRun, GUILD};
use crate::client::Response;
use crate::commands::style;

/// Number of concurrent captures of one hold.
const CAPTURES: u64 = 16;

/// Holds a stake, captures it concurrently, and reverses the capture twice.
pub(super) async fn holds(run: &mut DemoRun) -> Result<(), DemoError> {
    style::title("A stake is held during a game");
    let hold = json!({
        "from": "user:19", "to": "user:20", "asset": "coin", "amount": 900, "expires_in_s": 600,
    });
    let placed = post(run, "holds", "bet", hold).await?;
    let elsewhere = json!({"postings": [
        {"from": "user:19", "to": "user:18", "asset": "coin", "amount": 101},
    ]});
    let transfer = post(run, "transfers", "elsewhere", elsewhere).await?;
    run.check(
        placed.status.is_success() && transfer.code() == "insufficient_funds",
        format!(
            "900 of 1000 coins are held; a transfer of 101: {} {}",
            transfer.status.as_u16(),
            transfer.code()
        ),
    );
    let hold = text(&placed, "id");
    let captures = capture_concurrently(run, &hold).await?;
    let successes: Vec<&Response> = captures
        .iter()
        .filter(|response| response.status.is_success())
        .collect();
    let closed = captures
        .iter()
        .filter(|response| response.code() == "hold_closed")
        .count() as u64;
    let coins = run.posted("user:20", "coin").await?;
    run.check(
        successes.len() == 1 && closed == CAPTURES - 1 && coins == 1900,
        format!(
            "{CAPTURES} concurrent captures: one succeeds, {closed} are rejected with hold_closed"
        ),
    );
    let transfer = successes.first().map(|response| text(response, "id"));
    let path = format!("transfers/{}/reverse", transfer.unwrap_or_default());
    let first = post(run, &path, "refund", json!({"memo": "a rigged game"})).await?;
    let second = post(run, &path, "refund-2", json!({})).await?;
    let payer = run.posted("user:19", "coin").await?;
    let recipient = run.posted("user:20", "coin").await?;
    run.check(
        first.status.is_success()
            && second.code() == "already_reversed"
            && (payer, recipient) == (1000, 1000),
        format!(
            "the capture is reversed by a new transfer; a second reversal: {} {}",
            second.status.as_u16(),
            second.code()
        ),
    );
    Ok(())
}

async fn post(
    run: &mut DemoRun,
    path: &str,
    key: &str,
    body: Value,
) -> Result<Response, DemoError> {
    let path = format!("{GUILD}/{path}");
    Ok(run.client.post(&path, key, &body).await?)
}

/// Sends all captures of a hold at the same time, each from a connection of its own.
async fn capture_concurrently(run: &DemoRun, hold: &str) -> Result<Vec<Response>, DemoError> {
    let mut running = JoinSet::new();
    for number in 0..CAPTURES {
        let mut client = run.connection()?;
        let path = format!("{GUILD}/holds/{hold}/capture");
        running.spawn(async move {
            let key = format!("capture {number}");
            client.post(&path, &key, &json!({})).await
        });
    }
    let responses = running.join_all().await.into_iter();
    Ok(responses.collect::<Result<_, _>>()?)
}

/// Returns a member of a response as text.
fn text(response: &Response, member: &str) -> String {
    let body = response.json();
    body.get(member)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .into()
}

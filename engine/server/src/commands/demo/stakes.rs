//! A chapter about money that waits: a stake that is held during a game, taken once, and a payment
//! that is taken back.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::stage::{Broken, GUILD, Stage};
use crate::client::Response;
use crate::commands::style;

/// Captures of one hold at the same moment.
const AT_ONCE: u64 = 16;

pub(super) async fn told(stage: &mut Stage) -> Result<(), Broken> {
    style::title("A stake is held while the game goes on");
    let hold = json!({
        "from": "user:19", "to": "user:20", "asset": "coin", "amount": 900, "expires_in_s": 600,
    });
    let placed = post(stage, "holds", "bet", hold).await?;
    let elsewhere = json!({"postings": [
        {"from": "user:19", "to": "user:18", "asset": "coin", "amount": 101},
    ]});
    let spent = post(stage, "transfers", "elsewhere", elsewhere).await?;
    stage.check(
        placed.status.is_success() && spent.code() == "insufficient_funds",
        format!(
            "900 of 1000 coins are held; 101 elsewhere: {} {}",
            spent.status.as_u16(),
            spent.code()
        ),
    );
    let hold = text(&placed, "id");
    let captured = capture_at_once(stage, &hold).await?;
    let won: Vec<&Response> = captured
        .iter()
        .filter(|answer| answer.status.is_success())
        .collect();
    let closed = captured
        .iter()
        .filter(|answer| answer.code() == "hold_closed")
        .count() as u64;
    let coins = stage.posted("user:20", "coin").await?;
    stage.check(
        won.len() == 1 && closed == AT_ONCE - 1 && coins == 1900,
        format!("{AT_ONCE} captures at the same moment: one takes it, {closed} find it closed"),
    );
    let transfer = won.first().map(|answer| text(answer, "id"));
    let path = format!("transfers/{}/reverse", transfer.unwrap_or_default());
    let undone = post(stage, &path, "refund", json!({"memo": "a rigged game"})).await?;
    let again = post(stage, &path, "refund-2", json!({})).await?;
    let (one, two) = (
        stage.posted("user:19", "coin").await?,
        stage.posted("user:20", "coin").await?,
    );
    stage.check(
        undone.status.is_success()
            && again.code() == "already_reversed"
            && (one, two) == (1000, 1000),
        format!(
            "taken back by a new transfer, once; a second time: {} {}",
            again.status.as_u16(),
            again.code()
        ),
    );
    Ok(())
}

async fn post(stage: &mut Stage, path: &str, key: &str, body: Value) -> Result<Response, Broken> {
    let path = format!("{GUILD}/{path}");
    Ok(stage.client.post(&path, key, &body).await?)
}

async fn capture_at_once(stage: &Stage, hold: &str) -> Result<Vec<Response>, Broken> {
    let mut running = JoinSet::new();
    for number in 0..AT_ONCE {
        let (mut client, path) = (stage.connection(), format!("{GUILD}/holds/{hold}/capture"));
        running.spawn(async move {
            let key = format!("capture {number}");
            client.post(&path, &key, &json!({})).await
        });
    }
    let answers = running.join_all().await.into_iter();
    Ok(answers.collect::<Result<_, _>>()?)
}

fn text(answer: &Response, member: &str) -> String {
    let body = answer.json();
    body.get(member)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .into()
}

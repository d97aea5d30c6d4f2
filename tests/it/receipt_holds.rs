//! Holds in receipts: every change of what a call placed, captured or released is detected.

use serde_json::{Value, json};

use crate::receipts::{
    install_malicious_with_one_byte, malicious_in, pointer_to_change, receipt, verify, with_value,
};
use crate::support::{GuildClient, TestServer};

/// Makes and accepts an offer of coins, and returns the receipts of both calls.
async fn make_trade(guild: &mut GuildClient) -> (Value, Value) {
    guild.install("trade", "bundled:trade", json!({})).await;
    let offer = json!({"to": "user:2", "give": {"coin": 30}});
    let offered = guild.call("trade/offer", "o", "user:1", offer).await.json();
    let accept = json!({"trade": 1});
    let accepted = guild
        .call("trade/accept", "a", "user:2", accept)
        .await
        .json();
    let offered = receipt(guild, offered["call"].as_str().unwrap()).await;
    let accepted = receipt(guild, accepted["call"].as_str().unwrap()).await;
    (offered, accepted)
}

/// The receipt must contain earlier holds; otherwise a changed capture would not be detected.
#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_a_hold_in_a_receipt_is_detected() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let (offered, accepted) = make_trade(&mut guild).await;
    let folder = tempfile::tempdir().unwrap();
    let placed = pointer_to_change(&offered, "hold_placed");
    let captured = pointer_to_change(&accepted, "hold_captured");
    let hold = offered.pointer(&format!("{placed}/hold")).unwrap();
    let left = json!({"from": "user:1", "to": "user:2", "asset": "coin", "amount": 30});
    assert_eq!(accepted["postings"], json!([left]));
    assert_eq!(accepted["holds"], json!([{"hold": hold, "left": left}]));
    let other = json!("00000000-0000-7000-8000-000000000000");
    let posting = [
        ("from", json!("user:3")),
        ("to", json!("user:3")),
        ("asset", json!("gem")),
        ("amount", json!(29)),
    ];
    let of_posting = |place: &str| {
        let each = posting.clone().into_iter();
        each.map(move |(member, value)| (format!("{place}/{member}"), value))
            .collect::<Vec<_>>()
    };
    let of_capture = [
        (format!("{captured}/amount"), json!(29)),
        (format!("{captured}/hold"), other.clone()),
        ("/holds/0/hold".into(), other.clone()),
    ];
    let of_placement = [
        (format!("{placed}/hold"), other),
        (format!("{placed}/placed/expires_at"), json!(1)),
        (format!("{placed}/placed/on_expiry"), json!("capture")),
        (format!("{placed}/placed/plugin"), json!("auction")),
    ];
    let accept = [of_posting("/postings/0"), of_posting("/holds/0/left")].concat();
    let offer = of_posting(&format!("{placed}/placed/reservation"));
    for (receipt, pointers) in [
        (&accepted, [accept, of_capture.to_vec()].concat()),
        (&offered, [offer, of_placement.to_vec()].concat()),
    ] {
        let (code, output) = verify(folder.path(), receipt, &[]);
        assert_eq!(code, Some(0), "{output}");
        for (pointer, value) in pointers {
            let (code, output) = verify(folder.path(), &with_value(receipt, &pointer, value), &[]);
            assert_eq!(code, Some(1), "{pointer}: {output}");
        }
    }
    // The amount is changed everywhere but in the response to the plugin.
    let amounts = ["/postings/0", "/holds/0/left", captured.as_str()];
    let less = amounts
        .into_iter()
        .fold(accepted.clone(), |receipt, place| {
            with_value(&receipt, &format!("{place}/amount"), json!(29))
        });
    let (code, output) = verify(folder.path(), &less, &[]);
    assert_eq!(code, Some(1), "{output}");
    // A receipt from a version without `holds` is neither valid nor invalid.
    let mut silent = accepted;
    silent.as_object_mut().unwrap().remove("holds");
    let (code, output) = verify(folder.path(), &silent, &[]);
    assert_eq!(code, Some(2), "{output}");
    assert!(output.contains("lacks the hold"), "{output}");
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_void_round_releases_exactly_its_holds() {
    let (server, mut guild) = TestServer::with_guild(1).await;
    let hold = install_malicious_with_one_byte(&mut guild).await;
    let path = format!("holds/{hold}/capture");
    let part = guild.post(&path, "part", json!({"amount": 4})).await;
    assert_eq!(part.status, 201, "{}", part.json());
    let game = json!({"hold": hold});
    let refused = guild
        .call("malicious/hoard_for", "h", "user:1", game)
        .await
        .json();
    guild.post("seeds/rotate", "r", json!({})).await;
    let receipt = receipt(&mut guild, refused["call"].as_str().unwrap()).await;
    assert_eq!(receipt["holds"][0]["left"]["amount"], 6);
    let folder = tempfile::tempdir().unwrap();
    let component = malicious_in(folder.path());
    let verify = |receipt: &Value| verify(folder.path(), receipt, &["--component", &component]);
    let (code, output) = verify(&receipt);
    assert_eq!(code, Some(0), "{output}");
    let freed = pointer_to_change(&receipt, "hold_ended");
    let other = json!("00000000-0000-7000-8000-000000000000");
    for (pointer, value) in [
        (format!("{freed}/hold"), other),
        (format!("{freed}/end"), json!("captured")),
        (
            format!("{}/nonce", pointer_to_change(&receipt, "draws")),
            json!(7),
        ),
        ("/changes".into(), json!([])),
    ] {
        let (code, output) = verify(&with_value(&receipt, &pointer, value));
        assert_eq!(code, Some(1), "{pointer}: {output}");
    }
    server.close().await;
}

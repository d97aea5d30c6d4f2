//! Webhooks: deliveries, their signatures and receivers, and the visibility of secrets.

use serde_json::{Value, json};

use crate::support::{GUILD, GuildClient, TestServer, currency};
use crate::wait::eventually;
use crate::webhook_receiver::{AUTHORITY, Reaction, ReceivedAttempt, Receiver};

pub(crate) const HOOK: &str = "/v1/economies/guild/webhooks/bot";

/// Creates a webhook and returns its secret.
pub(crate) async fn create_webhook(
    guild: &mut GuildClient,
    receiver: &Receiver,
    more: Value,
) -> String {
    let mut body = json!({"url": receiver.url});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let made = guild.put(HOOK, body).await;
    assert_eq!(made.status, 201, "{}", made.json());
    made.json()["secret"].as_str().expect("a secret").to_owned()
}

/// Returns the sequence number of the newest event.
pub(crate) async fn newest(guild: &mut GuildClient) -> u64 {
    guild.get(GUILD).await.json()["seq"].as_u64().unwrap()
}

/// Transfers one coin and returns the event's number.
pub(crate) async fn pay(guild: &mut GuildClient, key: &str) -> u64 {
    let paid = guild.transfer(key, "user:1", "user:2", 1).await;
    paid.json()["seq"].as_u64().expect("it was paid")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_receives_all_events_signed_and_in_order() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let receiver = Receiver::new().await;
    let before = newest(&mut guild).await;
    let secret = create_webhook(&mut guild, &receiver, json!({})).await;
    for number in 0..20 {
        pay(&mut guild, &format!("pay {number}")).await;
    }
    guild.transfer("refused", "user:1", "user:2", 5000).await;
    let last = newest(&mut guild).await;
    receiver.until_accepted(last).await;
    // Neither earlier events nor the one that created the webhook are sent.
    let expected: Vec<u64> = (before + 2..=last).collect();
    assert_eq!(receiver.accepted(), expected);
    let page = guild
        .get(&format!("{GUILD}/events?after={}", before + 1))
        .await
        .json();
    for (one, shown) in receiver
        .attempts()
        .iter()
        .zip(page["events"].as_array().unwrap())
    {
        assert!(one.is_signed_with(&secret));
        assert!(!one.is_signed_with("whsec_AAAA"));
        let mut shown = shown.clone();
        shown["economy"] = json!("guild");
        assert_eq!(one.event(), shown);
        assert!(
            one.id.starts_with("msg_") && one.id.len() == 36,
            "{}",
            one.id
        );
        assert!(one.timestamp.parse::<u64>().unwrap() > 1_700_000_000);
    }
    let view = guild.get(HOOK).await.json();
    assert_eq!(view["delivery"]["next_seq"], last + 1);
    assert!(view["delivery"]["last_success"].is_u64());
    assert_eq!(view["url"], receiver.url);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_requested_kinds_are_sent() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let receiver = Receiver::new().await;
    create_webhook(&mut guild, &receiver, json!({"kinds": ["transfer"]})).await;
    let paid = pay(&mut guild, "a").await;
    guild.issue("user:1", "coin", 7).await;
    let again = pay(&mut guild, "b").await;
    receiver.until_accepted(again).await;
    assert_eq!(receiver.accepted(), [paid, again]);
    // A changed filter applies from the next event on.
    guild.put_ok(HOOK, json!({"kinds": null})).await;
    guild.issue("user:1", "coin", 8).await;
    let last = newest(&mut guild).await;
    receiver.until_accepted(last).await;
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_of_one_economy_are_separate_from_another() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let other = "/v1/economies/other";
    guild.put_ok(other, json!({})).await;
    // More webhooks than the concurrent attempts of one economy, and no receiver answers.
    let silent = Receiver::new().await;
    silent.react_with(Reaction::Silent);
    for number in 0..6 {
        let hook = format!("{GUILD}/webhooks/w{number}");
        guild.put_ok(&hook, json!({"url": silent.url})).await;
    }
    pay(&mut guild, "a").await;
    silent
        .until("attempts hang", |attempts| attempts.len() == 4)
        .await;
    let receiver = Receiver::new().await;
    guild
        .put_ok(
            &format!("{other}/webhooks/bot"),
            json!({"url": receiver.url}),
        )
        .await;
    guild
        .put_ok(&format!("{other}/assets/coin"), currency())
        .await;
    receiver
        .until("the other economy's event arrives", |attempts| {
            !attempts.is_empty()
        })
        .await;
    let sent = &receiver.attempts()[0];
    assert_eq!((&sent.event()["economy"], sent.seq()), (&json!("other"), 3));
    let of_guild = |one: &ReceivedAttempt| one.event()["economy"] == "guild";
    assert!(silent.attempts().iter().all(of_guild));
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_shown_once_and_a_rotated_one_signs_from_then_on() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let receiver = Receiver::new().await;
    let first = create_webhook(&mut guild, &receiver, json!({})).await;
    let again = guild.put(HOOK, json!({"url": receiver.url})).await.json();
    assert_eq!(
        (&again["changed"], &again["secret"]),
        (&json!(false), &Value::Null)
    );
    let paid = pay(&mut guild, "a").await;
    receiver.until_accepted(paid).await;
    let rotated = guild.put(&format!("{HOOK}/secret"), json!({})).await.json();
    let second = rotated["secret"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    let last = pay(&mut guild, "b").await;
    receiver.until_accepted(last).await;
    let attempts = receiver.attempts();
    assert!(attempts[0].is_signed_with(&first) && attempts.last().unwrap().is_signed_with(&second));

    // Neither secret is shown again, and only an admin sees the path and query of a URL.
    let bytes = [&first, &second].map(|secret| secret["whsec_".len()..].to_owned());
    for path in [
        "events?limit=500",
        "webhooks",
        "webhooks/bot",
        "webhooks/bot/dead-letters",
    ] {
        let shown = guild
            .get(&format!("{GUILD}/{path}"))
            .await
            .json()
            .to_string();
        assert!(!bytes.iter().any(|secret| shown.contains(secret)), "{path}");
        assert!(
            !shown.contains("WebhookSecret") && !shown.contains("\"secret\""),
            "{path}"
        );
        if path.starts_with("events") {
            assert!(
                shown.contains("set_webhook") && !shown.contains("hidden"),
                "{shown}"
            );
        }
    }
    assert!(!attempts.iter().any(|one| one.text.contains("hidden")));
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn urls_to_private_addresses_are_refused() {
    let (server, mut guild) = TestServer::with_guild(0).await;
    for (url, reason) in [
        (json!("https://10.0.0.1/"), "private or reserved"),
        (
            json!("https://169.254.169.254/latest"),
            "private or reserved",
        ),
        (json!("https://[fd00::1]/"), "private or reserved"),
        (json!("http://bot.example/"), "use https://"),
        (json!("https://me:word@bot.example/"), "a password"),
        (json!("ftp://bot.example/"), "begins with https://"),
        (
            json!(format!("https://bot.example/{}", "x".repeat(2048))),
            "at most 2048",
        ),
        (json!(7), "expected a string"),
    ] {
        let refused = guild.put(HOOK, json!({"url": url})).await;
        let problem = refused.json();
        assert_eq!(
            (refused.status.as_u16(), &problem["pointer"]),
            (400, &json!("/url")),
            "{problem}"
        );
        assert!(
            problem["detail"].as_str().unwrap().contains(reason),
            "{problem}"
        );
    }
    for (kinds, reason) in [
        (json!([]), "at least one kind"),
        (json!(["pay"]), "set_webhook"),
    ] {
        let refused = guild
            .put(HOOK, json!({"url": "https://a.example", "kinds": kinds}))
            .await;
        assert!(refused.json()["detail"].as_str().unwrap().contains(reason));
    }
    assert_eq!(
        guild.put(HOOK, json!({})).await.code(),
        "webhook_incomplete"
    );
    for path in [HOOK.to_owned(), format!("{HOOK}/dead-letters")] {
        assert_eq!(guild.get(&path).await.code(), "webhook_not_found");
    }
    for number in 0..17 {
        let body = json!({"url": "https://bot.example/", "enabled": false});
        let made = guild
            .put(&format!("{GUILD}/webhooks/w{number}"), body)
            .await;
        assert_eq!(made.status.as_u16(), if number < 16 { 201 } else { 422 });
    }
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_webhook_receives_nothing_more() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let receiver = Receiver::new().await;
    let first = create_webhook(&mut guild, &receiver, json!({})).await;
    let paid = pay(&mut guild, "a").await;
    receiver.until_accepted(paid).await;
    let removed = guild
        .client
        .send("DELETE", HOOK, None, "".into())
        .await
        .unwrap();
    assert_eq!(
        (removed.status.as_u16(), &removed.json()["removed"]),
        (200, &json!(true))
    );
    let twice = guild
        .client
        .send("DELETE", HOOK, None, "".into())
        .await
        .unwrap();
    assert_eq!(twice.code(), "webhook_not_found");
    pay(&mut guild, "b").await;
    // A new webhook of the same name starts after its own creation.
    let second = create_webhook(&mut guild, &receiver, json!({})).await;
    let last = pay(&mut guild, "c").await;
    receiver.until_accepted(last).await;
    assert_eq!(receiver.accepted(), [paid, last]);
    let attempts = receiver.attempts();
    assert!(attempts[1].is_signed_with(&second) && !attempts[1].is_signed_with(&first));
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_over_tls_require_a_trusted_certificate() {
    let receiver = Receiver::secure().await;
    let trusting =
        TestServer::with_setup(|setup| setup.webhooks.trusted = vec![AUTHORITY.to_vec()]).await;
    let (trusting, mut guild) = trusting.with_members(2).await;
    let secret = create_webhook(&mut guild, &receiver, json!({})).await;
    let paid = pay(&mut guild, "a").await;
    receiver.until_accepted(paid).await;
    assert!(receiver.attempts()[0].is_signed_with(&secret));
    trusting.close().await;

    let (careful, mut guild) = TestServer::with_guild(2).await;
    create_webhook(&mut guild, &receiver, json!({})).await;
    pay(&mut guild, "a").await;
    let error = eventually("a delivery fails", async || {
        let view = guild.get(HOOK).await.json();
        let what = view["delivery"]["last_error"]["what"].as_str();
        what.map(str::to_owned)
    });
    let error = error.await;
    assert!(error.contains("certificate"), "{error}");
    assert_eq!(receiver.attempts().len(), 1, "nothing was sent");
    careful.close().await;
}

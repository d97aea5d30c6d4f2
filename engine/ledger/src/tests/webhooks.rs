//! Webhooks: their changes, and the position from which they continue.

use expect_test::expect;

use super::script::{World, check, id};
use crate::{
    Act, Books, EventKind, Verdict, WEBHOOK_URL_BYTES_MAX, WebhookPatch, WebhookRequest,
    WebhookSecret, WebhookUrl,
};

#[test]
fn a_webhook_keeps_members_that_a_put_leaves_out() {
    check(
        "webhook bot
         webhook bot url=https://bot.example kinds=transfer,call
         webhook bot
         webhook bot enabled=true
         webhook bot kinds=null
         webhook bot kinds=null
         webhook bot enabled=false
         webhook bot url=https://bot.example",
        &expect![[r#"
            webhook bot: a new webhook needs `url`
            webhook bot: unchanged
            webhook bot enabled=true: unchanged
            webhook bot kinds=null: changed
            webhook bot kinds=null: unchanged
            webhook bot enabled=false: changed
            webhook bot url=https://bot.example: unchanged
        "#]],
    );
}

#[test]
fn a_webhook_secret_changes_only_by_rotation_and_is_never_printed() {
    let mut world = World::after("webhook bot url=https://bot.example");
    let mut set = |byte: u8, rotate: bool| {
        let act = Act::SetWebhook(WebhookRequest {
            webhook: id("bot"),
            patch: WebhookPatch::default(),
            secret: WebhookSecret::new([byte; 32]),
            rotate,
        });
        let verdict = world.act(&act);
        let printed = format!("{act:?} {:?}", world.books);
        assert!(
            !printed.contains("0202") && !printed.contains("2, 2"),
            "{printed}"
        );
        let webhook = world.books.webhook(&id("bot")).expect("the webhook");
        (verdict, webhook.definition.secret, webhook.born)
    };
    let (verdict, secret, born) = set(2, false);
    assert_eq!(verdict, Verdict::Unchanged);
    assert_eq!(secret, WebhookSecret::new([1; 32]));
    let (_, secret, same) = set(2, true);
    assert_eq!((secret, same), (WebhookSecret::new([2; 32]), born));
}

#[test]
fn webhook_of_a_closed_economy_can_be_changed_and_removed() {
    let lines = "webhook bot url=https://bot.example
         economy closed
         webhook bot enabled=false
         webhook bot url=https://other.example
         webhook new url=https://bot.example";
    check(
        lines,
        &expect![[r#"
            economy closed: changed
            webhook bot enabled=false: changed
            webhook bot url=https://other.example: changed
            webhook new url=https://bot.example: the economy is closed
        "#]],
    );
    let mut world = World::after(lines);
    let remove = Act::RemoveWebhook { webhook: id("bot") };
    assert!(matches!(world.act(&remove), Verdict::Applied(_)));
}

#[test]
fn a_removed_and_recreated_webhook_is_a_new_one() {
    let mut world = World::after("webhook bot url=https://bot.example");
    let born = |world: &World| world.books.webhook(&id("bot")).map(|webhook| webhook.born);
    let first = born(&world);
    let remove = Act::RemoveWebhook { webhook: id("bot") };
    assert!(matches!(world.act(&remove), Verdict::Applied(_)));
    assert_eq!(world.act(&remove), Verdict::Unchanged);
    assert_eq!(born(&world), None);
    world.run("webhook bot url=https://bot.example");
    assert!(born(&world) > first);
}

#[test]
fn a_webhook_filters_by_kinds_of_acts_only() {
    // serde lists all variants when it meets another.
    let unknown = serde_json::from_str::<Act>(r#"{"none": 1}"#);
    let message = unknown.expect_err("no act is called that").to_string();
    let (_, listed) = message.split_once("expected one of").expect("a list");
    let variants: Vec<&str> = listed.split('`').skip(1).step_by(2).collect();
    assert_eq!(variants, Act::KINDS);
    for kind in Act::KINDS {
        assert_eq!(kind.parse::<EventKind>().map(EventKind::as_str), Ok(kind));
    }
    assert!("transfers".parse::<EventKind>().is_err());
}

#[test]
fn a_webhook_url_has_a_scheme_and_bounded_length() {
    let url = |text: &str| WebhookUrl::try_from(text.to_owned());
    let most = format!("https://a/{}", "x".repeat(WEBHOOK_URL_BYTES_MAX - 10));
    assert!(url(&most).is_ok() && url("http://127.0.0.1/").is_ok());
    for wrong in [
        "",
        "ftp://a",
        "//a",
        "https://a b",
        "https://ä",
        &(most + "x"),
    ] {
        assert!(url(wrong).is_err(), "{wrong}");
    }
}

fn replay(after: u64) -> Act {
    Act::ReplayWebhook {
        webhook: id("bot"),
        after,
    }
}

#[test]
fn a_replay_survives_changes_and_stays_within_the_log() {
    let mut world = World::after("webhook bot url=https://bot.example");
    let start = |world: &World| {
        let webhook = world.books.webhook(&id("bot")).expect("the webhook");
        (webhook.born, webhook.start())
    };
    let (born, first) = start(&world);
    assert_eq!((first.seq, first.after), (born, born));
    assert!(matches!(world.act(&replay(1)), Verdict::Applied(_)));
    let replayed = start(&world).1;
    assert_eq!((replayed.seq, replayed.after), (world.books.seq(), 1));
    world.run("webhook bot kinds=transfer");
    assert_eq!(start(&world), (born, replayed));
    // At most the newest record before the replay.
    let newest = world.books.seq();
    world.act(&replay(newest + 7));
    assert_eq!(start(&world).1.after, newest);
    world.run("economy closed");
    assert!(matches!(world.act(&replay(0)), Verdict::Applied(_)));

    let remove = Act::RemoveWebhook { webhook: id("bot") };
    world.act(&remove);
    assert_eq!(world.act(&replay(0)), Verdict::Unchanged);
}

#[test]
fn webhooks_come_back_from_a_checkpoint() {
    let mut world = World::after("webhook bot url=https://bot.example kinds=transfer");
    world.act(&replay(1));
    let mut restored = None;
    for item in world.books.clone().into_entries() {
        let text = serde_json::to_string(&item).expect("a piece is JSON");
        let item = serde_json::from_str(&text).expect("JSON is a piece");
        assert!(Books::restore(&mut restored, item));
    }
    assert_eq!(restored, Some(world.books));
}

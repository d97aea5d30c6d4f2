//! Webhooks: PUTs of them, and notes of how far they have come.

use expect_test::expect;

use super::script::{World, check, id};
use crate::{
    Act, Books, DEAD_LETTERS_MAX, DeadLetter, Delivery, DeliveryNote, EventKind, ForgottenDelivery,
    Timestamp, Verdict, WEBHOOK_URL_BYTES_MAX, WebhookPatch, WebhookRequest, WebhookSecret,
    WebhookUrl,
};

#[test]
fn webhook_keeps_what_a_put_leaves_out() {
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
fn secret_changes_only_by_rotation_and_is_never_printed() {
    let mut world = World::after("webhook bot url=https://bot.example");
    let mut set = |byte: u8, rotate: bool| {
        let act = Act::SetWebhook(WebhookRequest {
            webhook: id("bot"),
            patch: WebhookPatch::default(),
            secret: WebhookSecret::new([byte; 32]),
            rotate,
        });
        let verdict = world.act(&act);
        let said = format!("{act:?} {:?}", world.books);
        assert!(!said.contains("0202") && !said.contains("2, 2"), "{said}");
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
fn webhook_of_the_same_name_is_another_one() {
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
fn only_kinds_that_acts_have_can_be_asked_for() {
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
fn url_has_a_scheme_and_an_end() {
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

fn letter(seq: u64) -> DeadLetter {
    DeadLetter {
        seq,
        kind: "transfer".into(),
        at: Timestamp(1),
        attempts: 3,
        error: "it answered 500".into(),
    }
}

fn note(born: u64, done: u64, dead: Vec<DeadLetter>, anew: bool) -> Act {
    let delivery = Delivery {
        done,
        dead,
        ..Delivery::new(born)
    };
    Act::NoteDelivery(Box::new(DeliveryNote {
        economy: id("guild"),
        webhook: id("bot"),
        delivery,
        anew,
    }))
}

fn seqs(books: &Books) -> Option<Vec<u64>> {
    let far = books.delivery(&id("guild"), &id("bot"))?;
    Some(far.dead.iter().map(|letter| letter.seq).collect())
}

#[test]
fn notes_add_up_and_the_same_one_twice_is_once() {
    let mut world = World::after("");
    world.act(&note(3, 5, vec![letter(5)], false));
    let second = note(3, 9, vec![letter(7), letter(9)], false);
    assert!(matches!(world.act(&second), Verdict::Applied(_)));
    assert_eq!(world.act(&second), Verdict::Unchanged);
    assert_eq!(seqs(&world.books), Some(vec![5, 7, 9]));
    let replayed = note(3, 4, Vec::new(), true);
    world.act(&replayed);
    assert_eq!(seqs(&world.books), Some(Vec::new()));

    // Of a webhook that has had a successor nothing is taken any more, and its end ends no other.
    world.act(&note(20, 21, Vec::new(), false));
    assert_eq!(
        world.act(&note(3, 30, Vec::new(), false)),
        Verdict::Unchanged
    );
    let forget = |born| {
        Act::ForgetDelivery(ForgottenDelivery {
            economy: id("guild"),
            webhook: id("bot"),
            born,
        })
    };
    assert_eq!(world.act(&forget(3)), Verdict::Unchanged);
    assert!(matches!(world.act(&forget(20)), Verdict::Applied(_)));
    assert_eq!(seqs(&world.books), None);
}

#[test]
fn letters_end_at_their_number() {
    let mut world = World::after("");
    let most = DEAD_LETTERS_MAX as u64;
    world.act(&note(0, most, (1..most).map(letter).collect(), false));
    let full = |world: &World| {
        let far = world.books.delivery(&id("guild"), &id("bot"));
        far.expect("a note").is_full()
    };
    assert!(!full(&world));
    let beyond = vec![letter(most), letter(most + 1)];
    world.act(&note(0, most + 1, beyond, false));
    assert!(full(&world));
    assert_eq!(seqs(&world.books).expect("a note").len(), DEAD_LETTERS_MAX);
}

#[test]
fn webhooks_and_notes_come_back_from_a_checkpoint() {
    let mut world = World::after("webhook bot url=https://bot.example kinds=transfer");
    world.act(&note(2, 5, vec![letter(5)], false));
    let mut restored = None;
    for item in world.books.clone().into_items() {
        let text = serde_json::to_string(&item).expect("a piece is JSON");
        let item = serde_json::from_str(&text).expect("JSON is a piece");
        assert!(Books::restore(&mut restored, item));
    }
    assert_eq!(restored, Some(world.books));
}

//! Statements compared with reference books that keep all entries in one list: equal entries for every filter
//! and page size.

use serde_json::{Value, json};

use crate::reference_books::{Filter, Line, page, pages, server_with_trades, trade};
use crate::support::{GUILD, TestServer, posting};
use crate::wait::eventually;

const KINDS: [Option<&str>; 6] = [
    None,
    Some("transfer"),
    Some("issue"),
    Some("batch"),
    Some("capture_hold"),
    Some("reversal"),
];

#[tokio::test(flavor = "multi_thread")]
async fn balances_at_every_past_time_match_the_reference_books() {
    let (server, mut guild, books, _) = server_with_trades().await;
    // The query refuses future times, so the test waits until the last time has passed.
    let last = books.lines.iter().map(|line| line.recorded_at).max();
    let passed = eventually("the last moment passes", async || {
        (Some(bursar_server::clock::wall().0) > last).then_some(())
    });
    passed.await;
    let mut moments: Vec<u64> = books.lines.iter().map(|line| line.recorded_at).collect();
    moments.dedup();
    let before = moments[0] - 1;
    for at in moments.into_iter().chain([before]) {
        for account in ["user:1", "user:3", "issuer:gem"] {
            let path = format!("{GUILD}/accounts/{account}/balances?at={at}");
            let past = guild.get(&path).await;
            assert_eq!(past.status, 200, "{}", past.json());
            for asset in ["coin", "gem"] {
                let upto = |line: &&Line| {
                    let here = line.account == account && line.asset == asset;
                    here && line.recorded_at <= at
                };
                let expected: i64 = books.lines.iter().filter(upto).map(|l| l.change).sum();
                let listed = past.json()["balances"][asset].as_i64().unwrap_or(0);
                assert_eq!(listed, expected, "{account} {asset} {at}");
            }
        }
    }
    for (query, status) in [
        ("at=9999999999999", 400),
        ("at=-1", 400),
        ("", 400),
        ("at=0", 200),
    ] {
        let path = format!("{GUILD}/accounts/user:1/balances?{query}");
        assert_eq!(guild.get(&path).await.status, status, "{query}");
    }
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_filter_and_page_size_match_the_reference_books() {
    let (server, mut guild, books, _) = server_with_trades().await;
    let moment = |place: usize| Some(books.lines[place].recorded_at);
    let early = moment(books.lines.len() / 3);
    let late = moment(books.lines.len() * 2 / 3);
    let mut queries = 0;
    for asset in [None, Some("coin"), Some("gem")] {
        for counterparty in [None, Some("user:2"), Some("issuer:coin")] {
            for kind in KINDS {
                for reference in [None, Some("rent")] {
                    for (after, before) in
                        [(None, None), (early, None), (None, late), (early, late)]
                    {
                        let filter = Filter {
                            asset,
                            counterparty,
                            kind,
                            reference,
                            before,
                            after,
                        };
                        let expected = books.statement("user:1", &filter);
                        let limit = [1, 7, 200][queries % 3];
                        let found = pages(&mut guild, "user:1", &filter, limit).await;
                        assert_eq!(found, expected, "{filter:?} in pages of {limit}");
                        queries += 1;
                    }
                }
            }
        }
    }
    for account in ["user:2", "user:3", "user:4", "issuer:coin", "issuer:gem"] {
        let filter = Filter::default();
        let found = pages(&mut guild, account, &filter, 11).await;
        assert_eq!(found, books.statement(account, &filter), "{account}");
    }
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_stays_correct_while_new_transfers_arrive() {
    let (server, mut guild, mut books, mut dice) = server_with_trades().await;
    let filter = Filter {
        reference: Some("rent"),
        ..Filter::default()
    };
    let expected = books.statement("user:1", &filter);
    let (mut found, mut cursor) = page(&mut guild, "user:1", "limit=2&reference=rent").await;
    let mut round = 0;
    while let Some(next) = cursor {
        trade(
            &mut guild,
            &mut books,
            &mut dice,
            2,
            &format!("meanwhile {round}"),
        )
        .await;
        let (more, then) = page(&mut guild, "user:1", &format!("limit=2&cursor={next}")).await;
        found.extend(more);
        cursor = then;
        round += 1;
    }
    assert!(round > 2);
    assert_eq!(found, expected);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_entry_shows_its_transfer() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let mut body = posting("user:1", "user:2", 30);
    body["memo"] = json!("for the boat");
    body["metadata"] = json!({"channel": "81384788765712384"});
    let created = guild.post("transfers", "boat", body).await.json();
    let path = format!("{GUILD}/accounts/user:2/statement?limit=1");
    let statement = guild.get(&path).await.json();
    let line = &statement["entries"][0];
    assert_eq!(
        (&line["change"], &line["balance"]),
        (&json!(30), &json!(1030))
    );
    assert_eq!(
        (&line["transfer"], &line["seq"]),
        (&created["id"], &created["seq"])
    );
    assert_eq!(
        (&line["memo"], &line["actor"]),
        (&json!("for the boat"), &json!("admin"))
    );
    assert_eq!(line["idempotency_key"], "boat");
    assert_eq!(line["metadata"]["channel"], "81384788765712384");
    server.close().await;
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_statement_queries_are_refused_by_parameter() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let (_, cursor) = page(&mut guild, "user:1", "limit=1").await;
    assert_eq!(cursor, None, "one movement fits one page");
    guild.transfer("k", "user:1", "user:2", 1).await;
    let (_, cursor) = page(&mut guild, "user:1", "limit=1").await;
    let cursor = cursor.expect("a cursor of the second page");
    let wrong = [
        ("limit=0".to_owned(), "limit"),
        ("limit=201".into(), "limit"),
        ("asset=Gold".into(), "asset"),
        ("counterparty=a::b".into(), "counterparty"),
        ("kind=gift".into(), "kind"),
        ("cursor=00".into(), "cursor"),
        (format!("cursor={cursor}&asset=coin"), "cursor"),
    ];
    for (query, parameter) in wrong {
        let refused = guild
            .get(&format!("{GUILD}/accounts/user:1/statement?{query}"))
            .await;
        assert_eq!(
            (refused.status.as_u16(), refused.code()),
            (400, "malformed".into()),
            "{query}"
        );
        assert_eq!(refused.json()["parameter"], parameter, "{query}");
    }
    // Forged cursors are refused and do not crash a reader thread.
    for next in [0, 10_000, u64::MAX >> 1, (u64::MAX >> 1) + 1, u64::MAX] {
        let forged = format!("{{\"next\":{next},\"filter\":{{}}}}");
        let forged = hex(forged.as_bytes());
        let path = format!("{GUILD}/accounts/user:1/statement?cursor={forged}");
        assert_eq!(guild.get(&path).await.status, 400, "{next}");
    }
    assert_eq!(page(&mut guild, "user:1", "limit=1").await.0.len(), 1);
    // A cursor of one account is refused for another.
    let elsewhere = format!("{GUILD}/accounts/user:2/statement?cursor={cursor}");
    assert_eq!(guild.get(&elsewhere).await.json()["parameter"], "cursor");
    let unknown = guild
        .get(&format!("{GUILD}/accounts/user:1/statement?colour=red"))
        .await;
    assert_eq!(unknown.code(), "malformed");
    let unknown_account = guild
        .get(&format!("{GUILD}/accounts/user:9/statement"))
        .await;
    assert_eq!(
        (unknown_account.status.as_u16(), unknown_account.code()),
        (404, "account_not_found".into())
    );
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sparse_page_continues_where_its_scan_stopped() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let mut needle = posting("user:1", "user:2", 1);
    needle["reference"] = json!("needle");
    assert_eq!(guild.post("transfers", "needle", needle).await.status, 201);
    guild.issue("user:1", "coin", 10_000).await;
    // With the issue in between, a page has scanned 2,000 movements one step before the needle.
    let plain = |number: usize| {
        let mut item = posting("user:1", "user:2", 1);
        item["idempotency_key"] = json!(format!("hay {number}"));
        item
    };
    let hay: Vec<Value> = (0..1999).map(plain).collect();
    let body = json!({"mode": "independent", "transfers": hay});
    assert_eq!(guild.post("transfers/batch", "k", body).await.status, 200);
    let (found, cursor) = page(&mut guild, "user:1", "reference=needle").await;
    assert!(found.is_empty(), "2,000 movements were scanned");
    let (found, _) = page(&mut guild, "user:1", &format!("cursor={}", cursor.unwrap())).await;
    assert_eq!(found.len(), 1);
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_effective_time_is_stored_and_must_be_in_the_past() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    let dated = |at: Value| {
        let mut body = posting("user:1", "user:2", 5);
        body["effective_at"] = at;
        body
    };
    let created = guild.post("transfers", "then", dated(json!(1_000))).await;
    assert_eq!(created.status, 201, "{}", created.json());
    assert!(
        guild
            .post("transfers", "then", dated(json!(1_000)))
            .await
            .replayed
    );
    let other = guild.post("transfers", "then", dated(json!(1_001))).await;
    assert_eq!(
        (other.code(), &other.json()["field"]),
        ("idempotency_key_reused".into(), &json!("/effective_at"))
    );
    let line = guild
        .get(&format!("{GUILD}/accounts/user:2/statement"))
        .await
        .json()["entries"][0]
        .clone();
    assert_eq!(line["effective_at"], 1_000, "{line}");
    let recorded = line["recorded_at"].as_u64().unwrap();
    // The record time is in the past now, and a day later is not.
    assert_eq!(
        guild
            .post("transfers", "now", dated(json!(recorded)))
            .await
            .status,
        201
    );
    let tomorrow = json!(recorded + 86_400_000);
    for (route, body) in [
        ("transfers", dated(tomorrow.clone())),
        (
            "issue",
            json!({ "account": "user:1", "asset": "coin", "amount": 1, "effective_at": tomorrow }),
        ),
        (
            "burn",
            json!({ "account": "user:1", "asset": "coin", "amount": 1, "effective_at": tomorrow }),
        ),
        ("transfers", dated(json!("2024-05-01"))),
        ("transfers", dated(json!(-1))),
    ] {
        let refused = guild.post(route, "tomorrow", body).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.json()["pointer"]),
            (400, &json!("/effective_at"))
        );
    }
    let batch = json!({ "mode": "independent", "transfers": [
        { "idempotency_key": "b", "postings": dated(Value::Null)["postings"], "effective_at": 2_000 }
    ] });
    let response = guild.post("transfers/batch", "unused", batch).await.json();
    assert_eq!(response["results"][0]["status"], 201, "{response}");
    let line = guild
        .get(&format!("{GUILD}/accounts/user:2/statement"))
        .await
        .json()["entries"][0]
        .clone();
    assert_eq!(line["effective_at"], 2_000, "{line}");
    server.close().await;
}

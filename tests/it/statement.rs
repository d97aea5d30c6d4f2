//! Statements against a bookkeeper who keeps everything in one list: equal answers, whatever is
//! asked for and however it is cut into pages.

use serde_json::{Value, json};

use crate::patience::eventually;
use crate::support::{GUILD, Guild, House, posting};

/// A line as the bookkeeper writes it.
#[derive(Clone, PartialEq, Debug)]
struct Line {
    account: String,
    counterparty: String,
    asset: String,
    kind: String,
    reference: Option<String>,
    recorded_at: u64,
    change: i64,
    balance: i64,
}

/// Everything that moved, in order.
#[derive(Default)]
struct Bookkeeper {
    lines: Vec<Line>,
}

impl Bookkeeper {
    fn balance(&self, account: &str, asset: &str) -> i64 {
        let of_it = |line: &&Line| line.account == account && line.asset == asset;
        self.lines
            .iter()
            .filter(of_it)
            .map(|line| line.change)
            .sum()
    }

    /// Writes down what an answer says that moved.
    fn note(&mut self, kind: &str, reference: Option<&str>, answer: &Value) {
        let recorded_at = answer["recorded_at"].as_u64().unwrap();
        for posting in answer["postings"].as_array().unwrap() {
            let text = |name: &str| posting[name].as_str().unwrap().to_owned();
            let amount = posting["amount"].as_i64().unwrap();
            let (from, to, asset) = (text("from"), text("to"), text("asset"));
            for (account, counterparty, change) in [(&from, &to, -amount), (&to, &from, amount)] {
                self.lines.push(Line {
                    account: account.clone(),
                    counterparty: counterparty.clone(),
                    asset: asset.clone(),
                    kind: kind.into(),
                    reference: reference.map(Into::into),
                    recorded_at,
                    change,
                    balance: self.balance(account, &asset) + change,
                });
            }
        }
    }

    fn statement(&self, account: &str, filter: &Filter) -> Vec<Line> {
        let fits = |line: &&Line| {
            let is = |wanted: Option<&str>, value: &str| wanted.is_none_or(|it| it == value);
            line.account == account
                && is(filter.asset, &line.asset)
                && is(filter.counterparty, &line.counterparty)
                && is(filter.kind, &line.kind)
                && filter
                    .reference
                    .is_none_or(|it| line.reference.as_deref() == Some(it))
                && filter.before.is_none_or(|before| line.recorded_at < before)
                && filter.after.is_none_or(|after| line.recorded_at >= after)
        };
        self.lines.iter().rev().filter(fits).cloned().collect()
    }
}

#[derive(Clone, Copy, Default, Debug)]
struct Filter {
    asset: Option<&'static str>,
    counterparty: Option<&'static str>,
    kind: Option<&'static str>,
    reference: Option<&'static str>,
    before: Option<u64>,
    after: Option<u64>,
}

impl Filter {
    fn query(&self) -> String {
        let numbers = [("before", self.before), ("after", self.after)];
        let texts = [
            ("asset", self.asset),
            ("counterparty", self.counterparty),
            ("kind", self.kind),
            ("reference", self.reference),
        ];
        let texts = texts
            .into_iter()
            .filter_map(|(name, text)| Some((name, text?.to_owned())));
        let numbers = numbers
            .into_iter()
            .filter_map(|(name, n)| Some((name, n?.to_string())));
        let pairs = texts.chain(numbers);
        pairs.fold(String::new(), |query, (name, value)| {
            format!("{query}&{name}={value}")
        })
    }
}

async fn page(guild: &mut Guild, account: &str, query: &str) -> (Vec<Line>, Option<String>) {
    let path = format!("{GUILD}/accounts/{account}/statement?{query}");
    let answer = guild.get(&path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.json());
    let body = answer.json();
    let lines = body["entries"].as_array().unwrap().iter().map(|entry| {
        let text = |name: &str| entry[name].as_str().unwrap().to_owned();
        Line {
            account: account.into(),
            counterparty: text("counterparty"),
            asset: text("asset"),
            kind: text("kind"),
            reference: entry["reference"].as_str().map(Into::into),
            recorded_at: entry["recorded_at"].as_u64().unwrap(),
            change: entry["change"].as_i64().unwrap(),
            balance: entry["balance"].as_i64().unwrap(),
        }
    });
    (
        lines.collect(),
        body["next_cursor"].as_str().map(Into::into),
    )
}

/// All pages, one after the other.
async fn pages(guild: &mut Guild, account: &str, filter: &Filter, limit: usize) -> Vec<Line> {
    let first = format!("limit={limit}{}", filter.query());
    let (mut lines, mut cursor) = page(guild, account, &first).await;
    while let Some(next) = cursor {
        let (more, then) = page(guild, account, &format!("limit={limit}&cursor={next}")).await;
        assert!(more.len() <= limit);
        lines.extend(more);
        cursor = then;
    }
    lines
}

/// Numbers that look random and are the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % n
    }
}

/// Moves this and that between a few accounts, and keeps the bookkeeper posted.
async fn trade(
    guild: &mut Guild,
    books: &mut Bookkeeper,
    dice: &mut Dice,
    rounds: u64,
    name: &str,
) {
    for round in 0..rounds {
        let (from, step) = (dice.below(4), 1 + dice.below(3));
        let asset = ["coin", "gem"][usize::from(dice.below(3) == 0)];
        let reference =
            [None, Some("rent"), Some("wages")][usize::try_from(dice.below(3)).unwrap()];
        let posting = json!({
            "from": format!("user:{}", 1 + from),
            "to": format!("user:{}", 1 + (from + step) % 4),
            "asset": asset,
            "amount": 1 + dice.below(20),
        });
        let mut body = json!({ "postings": vec![posting; 1 + usize::from(round % 5 == 0)] });
        if let Some(reference) = reference {
            body["reference"] = json!(reference);
        }
        let key = format!("{name} {round}");
        match round % 7 {
            3 => batched(guild, books, &key, (body, reference)).await,
            4 => held(guild, books, &key, (body, reference)).await,
            _ => {
                let made = posted(guild, "transfers", &key, body).await;
                books.note("transfer", reference, &made);
                if round % 7 == 5 {
                    let path = format!("transfers/{}/reverse", made["id"].as_str().unwrap());
                    let back = posted(guild, &path, &format!("{key} back"), json!({})).await;
                    books.note("reversal", None, &back);
                }
            }
        }
    }
}

async fn posted(guild: &mut Guild, path: &str, key: &str, body: Value) -> Value {
    let made = guild.post(path, key, body).await;
    assert_eq!(made.status, 201, "{}", made.json());
    made.json()
}

/// The same transfer twice in an atomic batch, the second time without a reference.
async fn batched(
    guild: &mut Guild,
    books: &mut Bookkeeper,
    key: &str,
    (body, reference): (Value, Option<&str>),
) {
    let plain = json!({ "postings": body["postings"] });
    let batch = json!({ "mode": "atomic", "transfers": [body, plain] });
    let made = posted(guild, "transfers/batch", key, batch).await;
    for (transfer, reference) in [(0, reference), (1, None)] {
        let mut made_one = made["transfers"][transfer].clone();
        made_one["recorded_at"] = made["recorded_at"].clone();
        books.note("batch", reference, &made_one);
    }
}

/// The same as a hold that is captured at once.
async fn held(
    guild: &mut Guild,
    books: &mut Bookkeeper,
    key: &str,
    (body, reference): (Value, Option<&str>),
) {
    let mut hold = body["postings"][0].clone();
    hold["expires_in_s"] = json!(60);
    let hold = posted(guild, "holds", key, hold).await;
    let path = format!("holds/{}/capture", hold["id"].as_str().unwrap());
    let mut words = json!({});
    if let Some(reference) = reference {
        words["reference"] = json!(reference);
    }
    let made = posted(guild, &path, &format!("{key} taken"), words).await;
    books.note("capture_hold", reference, &made);
}

async fn traded() -> (House, Guild, Bookkeeper, Dice) {
    let (house, mut guild) = House::with_guild(0).await;
    let gem = json!({"kind": "item", "name": "Gem"});
    guild.made(&format!("{GUILD}/assets/gem"), gem).await;
    let (mut books, mut dice) = (Bookkeeper::default(), Dice(7));
    for member in 1..=4 {
        guild
            .made(&format!("{GUILD}/accounts/user:{member}"), json!({}))
            .await;
        for asset in ["coin", "gem"] {
            let body = json!({"account": format!("user:{member}"), "asset": asset, "amount": 5000});
            let issued = guild
                .post("issue", &format!("{member} {asset}"), body)
                .await;
            books.note("issue", None, &issued.json());
        }
    }
    trade(&mut guild, &mut books, &mut dice, 80, "trade").await;
    (house, guild, books, dice)
}

const KINDS: [Option<&str>; 6] = [
    None,
    Some("transfer"),
    Some("issue"),
    Some("batch"),
    Some("capture_hold"),
    Some("reversal"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_moment_of_the_past_agrees_with_the_bookkeeper() {
    let (house, mut guild, books, _) = traded().await;
    // The last of these moments has passed by the time that it is asked about.
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
                let had: i64 = books.lines.iter().filter(upto).map(|l| l.change).sum();
                let said = past.json()["balances"][asset].as_i64().unwrap_or(0);
                assert_eq!(said, had, "{account} {asset} {at}");
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
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_filter_and_every_cut_agree_with_the_bookkeeper() {
    let (house, mut guild, books, _) = traded().await;
    let moment = |place: usize| Some(books.lines[place].recorded_at);
    let (early, late) = (
        moment(books.lines.len() / 3),
        moment(books.lines.len() * 2 / 3),
    );
    let mut asked = 0;
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
                        let limit = [1, 7, 200][asked % 3];
                        let found = pages(&mut guild, "user:1", &filter, limit).await;
                        assert_eq!(found, expected, "{filter:?} in pages of {limit}");
                        asked += 1;
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
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_stays_right_while_new_transfers_arrive() {
    let (house, mut guild, mut books, mut dice) = traded().await;
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
        (cursor, round) = (then, round + 1);
    }
    assert!(round > 2);
    assert_eq!(found, expected);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_explains_each_line() {
    let (house, mut guild) = House::with_guild(2).await;
    let mut body = crate::support::posting("user:1", "user:2", 30);
    body["memo"] = json!("for the boat");
    body["metadata"] = json!({"channel": "81384788765712384"});
    let made = guild.post("transfers", "boat", body).await.json();
    let path = format!("{GUILD}/accounts/user:2/statement?limit=1");
    let statement = guild.get(&path).await.json();
    let line = &statement["entries"][0];
    assert_eq!(
        (&line["change"], &line["balance"]),
        (&json!(30), &json!(1030))
    );
    assert_eq!(
        (&line["transfer"], &line["seq"]),
        (&made["id"], &made["seq"])
    );
    assert_eq!(
        (&line["memo"], &line["actor"]),
        (&json!("for the boat"), &json!("admin"))
    );
    assert_eq!(line["idempotency_key"], "boat");
    assert_eq!(line["metadata"]["channel"], "81384788765712384");
    house.close().await;
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_statement_is_refused_by_its_parameter() {
    let (house, mut guild) = House::with_guild(2).await;
    let (_, cursor) = page(&mut guild, "user:1", "limit=1").await;
    assert_eq!(cursor, None, "one movement is one page");
    guild.transfer("k", "user:1", "user:2", 1).await;
    let (_, cursor) = page(&mut guild, "user:1", "limit=1").await;
    let cursor = cursor.expect("there is more");
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
    // Forged ones lead nowhere, and cost nobody their reader.
    for next in [0, 10_000, u64::MAX >> 1, (u64::MAX >> 1) + 1, u64::MAX] {
        let forged = format!("{{\"next\":{next},\"filter\":{{}}}}");
        let forged = hex(forged.as_bytes());
        let path = format!("{GUILD}/accounts/user:1/statement?cursor={forged}");
        assert_eq!(guild.get(&path).await.status, 400, "{next}");
    }
    assert_eq!(page(&mut guild, "user:1", "limit=1").await.0.len(), 1);
    // Another account's cursor leads nowhere on this one.
    let elsewhere = format!("{GUILD}/accounts/user:2/statement?cursor={cursor}");
    assert_eq!(guild.get(&elsewhere).await.json()["parameter"], "cursor");
    let unknown = guild
        .get(&format!("{GUILD}/accounts/user:1/statement?colour=red"))
        .await;
    assert_eq!(unknown.code(), "malformed");
    let nobody = guild
        .get(&format!("{GUILD}/accounts/user:9/statement"))
        .await;
    assert_eq!(
        (nobody.status.as_u16(), nobody.code()),
        (404, "account_not_found".into())
    );
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_finds_little_goes_on_where_it_stopped_looking() {
    let (house, mut guild) = House::with_guild(2).await;
    let mut wanted = crate::support::posting("user:1", "user:2", 1);
    wanted["reference"] = json!("needle");
    assert_eq!(guild.post("transfers", "needle", wanted).await.status, 201);
    guild.issue("user:1", "coin", 10_000).await;
    // With the issue before them, a page has looked at 2,000 movements one step before the needle.
    let plain = |number: usize| {
        let mut item = crate::support::posting("user:1", "user:2", 1);
        item["idempotency_key"] = json!(format!("hay {number}"));
        item
    };
    let hay: Vec<Value> = (0..1999).map(plain).collect();
    let body = json!({"mode": "independent", "transfers": hay});
    assert_eq!(guild.post("transfers/batch", "k", body).await.status, 200);
    let (found, cursor) = page(&mut guild, "user:1", "reference=needle").await;
    assert!(found.is_empty(), "2,000 movements were looked at");
    let (found, _) = page(&mut guild, "user:1", &format!("cursor={}", cursor.unwrap())).await;
    assert_eq!(found.len(), 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_of_its_own_is_kept_and_lies_in_the_past() {
    let (house, mut guild) = House::with_guild(2).await;
    let dated = |at: Value| {
        let mut body = posting("user:1", "user:2", 5);
        body["effective_at"] = at;
        body
    };
    let made = guild.post("transfers", "then", dated(json!(1_000))).await;
    assert_eq!(made.status, 201, "{}", made.json());
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
    // What was recorded is past by now, and a day later is not.
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
    let answer = guild.post("transfers/batch", "unused", batch).await.json();
    assert_eq!(answer["results"][0]["status"], 201, "{answer}");
    let line = guild
        .get(&format!("{GUILD}/accounts/user:2/statement"))
        .await
        .json()["entries"][0]
        .clone();
    assert_eq!(line["effective_at"], 2_000, "{line}");
    house.close().await;
}

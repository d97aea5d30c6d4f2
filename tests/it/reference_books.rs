//! Reference books that keep all statement entries in one list, and varied transfers to compare statements with.

use serde_json::{Value, json};

use crate::support::{GUILD, GuildClient, TestServer};

/// A statement entry in the reference books.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Line {
    pub(crate) account: String,
    pub(crate) counterparty: String,
    pub(crate) asset: String,
    pub(crate) kind: String,
    pub(crate) reference: Option<String>,
    pub(crate) recorded_at: u64,
    pub(crate) change: i64,
    pub(crate) balance: i64,
}

/// Reference books: all entries in order.
#[derive(Default)]
pub(crate) struct ReferenceBooks {
    pub(crate) lines: Vec<Line>,
}

impl ReferenceBooks {
    fn balance(&self, account: &str, asset: &str) -> i64 {
        let of_it = |line: &&Line| line.account == account && line.asset == asset;
        self.lines
            .iter()
            .filter(of_it)
            .map(|line| line.change)
            .sum()
    }

    /// Adds the entries of a response's postings.
    fn note(&mut self, kind: &str, reference: Option<&str>, response: &Value) {
        let recorded_at = response["recorded_at"].as_u64().unwrap();
        for posting in response["postings"].as_array().unwrap() {
            let text = |name: &str| posting[name].as_str().unwrap().to_owned();
            let amount = posting["amount"].as_i64().unwrap();
            let from = text("from");
            let to = text("to");
            let asset = text("asset");
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

    pub(crate) fn statement(&self, account: &str, filter: &Filter) -> Vec<Line> {
        let fits = |line: &&Line| {
            let is = |expected: Option<&str>, value: &str| expected.is_none_or(|it| it == value);
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
pub(crate) struct Filter {
    pub(crate) asset: Option<&'static str>,
    pub(crate) counterparty: Option<&'static str>,
    pub(crate) kind: Option<&'static str>,
    pub(crate) reference: Option<&'static str>,
    pub(crate) before: Option<u64>,
    pub(crate) after: Option<u64>,
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

pub(crate) async fn page(
    guild: &mut GuildClient,
    account: &str,
    query: &str,
) -> (Vec<Line>, Option<String>) {
    let path = format!("{GUILD}/accounts/{account}/statement?{query}");
    let response = guild.get(&path).await;
    assert_eq!(response.status, 200, "{path}: {}", response.json());
    let body = response.json();
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

/// Reads all pages.
pub(crate) async fn pages(
    guild: &mut GuildClient,
    account: &str,
    filter: &Filter,
    limit: usize,
) -> Vec<Line> {
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

/// Pseudo-random numbers that are the same in each run.
pub(crate) struct RandomNumbers(u64);

impl RandomNumbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % n
    }
}

/// Makes varied transfers between four accounts and adds them to the reference books.
pub(crate) async fn trade(
    guild: &mut GuildClient,
    books: &mut ReferenceBooks,
    dice: &mut RandomNumbers,
    rounds: u64,
    name: &str,
) {
    for round in 0..rounds {
        let from = dice.below(4);
        let step = 1 + dice.below(3);
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
            3 => transfer_in_batch(guild, books, &key, (body, reference)).await,
            4 => transfer_by_hold(guild, books, &key, (body, reference)).await,
            _ => {
                let created = post_ok(guild, "transfers", &key, body).await;
                books.note("transfer", reference, &created);
                if round % 7 == 5 {
                    let path = format!("transfers/{}/reverse", created["id"].as_str().unwrap());
                    let back = post_ok(guild, &path, &format!("{key} back"), json!({})).await;
                    books.note("reversal", None, &back);
                }
            }
        }
    }
}

async fn post_ok(guild: &mut GuildClient, path: &str, key: &str, body: Value) -> Value {
    let created = guild.post(path, key, body).await;
    assert_eq!(created.status, 201, "{}", created.json());
    created.json()
}

/// Makes a transfer twice in an atomic batch, the second time without a reference.
async fn transfer_in_batch(
    guild: &mut GuildClient,
    books: &mut ReferenceBooks,
    key: &str,
    (body, reference): (Value, Option<&str>),
) {
    let plain = json!({ "postings": body["postings"] });
    let batch = json!({ "mode": "atomic", "transfers": [body, plain] });
    let created = post_ok(guild, "transfers/batch", key, batch).await;
    for (transfer, reference) in [(0, reference), (1, None)] {
        let mut made_one = created["transfers"][transfer].clone();
        made_one["recorded_at"] = created["recorded_at"].clone();
        books.note("batch", reference, &made_one);
    }
}

/// Makes a transfer as a hold that is captured at once.
async fn transfer_by_hold(
    guild: &mut GuildClient,
    books: &mut ReferenceBooks,
    key: &str,
    (body, reference): (Value, Option<&str>),
) {
    let mut hold = body["postings"][0].clone();
    hold["expires_in_s"] = json!(60);
    let hold = post_ok(guild, "holds", key, hold).await;
    let path = format!("holds/{}/capture", hold["id"].as_str().unwrap());
    let mut words = json!({});
    if let Some(reference) = reference {
        words["reference"] = json!(reference);
    }
    let created = post_ok(guild, &path, &format!("{key} taken"), words).await;
    books.note("capture_hold", reference, &created);
}

pub(crate) async fn server_with_trades() -> (TestServer, GuildClient, ReferenceBooks, RandomNumbers)
{
    let (server, mut guild) = TestServer::with_guild(0).await;
    let gem = json!({"kind": "item", "name": "Gem"});
    guild.put_ok(&format!("{GUILD}/assets/gem"), gem).await;
    let mut books = ReferenceBooks::default();
    let mut dice = RandomNumbers(7);
    for member in 1..=4 {
        guild
            .put_ok(&format!("{GUILD}/accounts/user:{member}"), json!({}))
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
    (server, guild, books, dice)
}

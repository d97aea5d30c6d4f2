//! Lists of opening balances that are edited, saved again, split, joined and brought in again: nobody is paid
//! twice, and whoever brings them in is told what differs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;

use bursar_server::client::{Address, Client};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::archive::{bursar, complained, said, text};
use crate::long;
use crate::support::{GUILD, Process, audited};

/// A served file with a guild in it, and a folder for lists.
struct Lists {
    folder: tempfile::TempDir,
    server: Process,
    client: Client,
}

impl Lists {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Process::serve(&folder.path().join("guild.db"));
        let client = server.client(server.admin_key.as_ref().unwrap());
        let mut lists = Self {
            folder,
            server,
            client,
        };
        lists.open(GUILD).await;
        lists
    }

    /// Opens an economy with two assets.
    async fn open(&mut self, economy: &str) {
        let asset = json!({ "kind": "currency", "name": "Coin" });
        for (path, body) in [
            ("", json!({})),
            ("/assets/coin", asset.clone()),
            ("/assets/gem", asset),
        ] {
            let path = format!("{economy}{path}");
            assert_eq!(self.client.put(&path, &body).await.unwrap().status, 201);
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("guild.db")
    }

    /// Brings in a list of this name.
    fn bring(&self, name: &str, list: &str, options: &[&str]) -> Output {
        self.bring_into("guild", name, list, options)
    }

    fn bring_into(&self, economy: &str, name: &str, list: &str, options: &[&str]) -> Output {
        let path = self.folder.path().join(name);
        std::fs::write(&path, list).unwrap();
        let file = self.file();
        let import = [
            "import",
            text(&file),
            "--economy",
            economy,
            "--balances",
            text(&path),
        ];
        bursar(&[&import, options].concat())
    }

    async fn posted(&mut self, account: &str, asset: &str) -> i64 {
        let path = format!("{GUILD}/accounts/{account}");
        let found = self.client.get(&path).await.unwrap().json();
        found["balances"][asset]["posted"].as_i64().unwrap_or(0)
    }

    async fn head(&mut self) -> Value {
        self.client.get(GUILD).await.unwrap().json()["head"].clone()
    }

    fn end(self) {
        let file = self.file();
        assert!(self.server.stop());
        audited(&file);
    }
}

const MEMBERS: &str = "account,asset,amount,memo\nuser:1,coin,5,hello\nuser:2,coin,7,\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_comes_again_issues_what_is_new_in_it() {
    let mut lists = Lists::new().await;
    assert!(
        said(&lists.bring("members.csv", MEMBERS, &[])).contains("2 rows issued, 2 accounts made")
    );
    let head = lists.head().await;
    for again in [
        MEMBERS.replace('\n', "\r\n"),
        format!("\u{feff}{MEMBERS}"),
        MEMBERS.replace(',', ";"),
        "Amount,Account,Asset\n7,user:2,coin\n\"5\",\"user:1\",\"coin\"".into(),
        MEMBERS.replace("hello", "another word"),
    ] {
        let said = said(&lists.bring("members.csv", &again, &[]));
        assert!(said.contains("0 rows issued, 0 accounts made"), "{said}");
    }
    assert_eq!(lists.head().await, head, "nothing has changed");
    let more = format!("{MEMBERS}user:3,coin,9,\nuser:1,gem,2,\nuser:4,coin,0,\n");
    let output = lists.bring("members.csv", &more, &[]);
    assert!(said(&output).contains("2 rows issued, 1 accounts made"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        told.contains("2 rows of this list were issued before"),
        "{told}"
    );
    assert!(told.contains("1 rows of 0 are left out"), "{told}");
    for (account, asset, posted) in [
        ("user:1", "coin", 5),
        ("user:1", "gem", 2),
        ("user:3", "coin", 9),
    ] {
        assert_eq!(lists.posted(account, asset).await, posted);
    }
    lists.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_is_told_and_moves_nothing() {
    let mut lists = Lists::new().await;
    said(&lists.bring("members.csv", MEMBERS, &[]));
    let head = lists.head().await;
    let edited = MEMBERS.replace("user:1,coin,5", "user:1,coin,500") + "user:9,coin,1,\n";
    let told = complained(&lists.bring("members.csv", &edited, &[]));
    assert!(
        told.contains("line 2: `user:1` was issued 5 coin by this list, and now it says 500"),
        "{told}"
    );
    assert!(
        told.contains("1 line cannot be; nothing was issued"),
        "{told}"
    );
    // Another name is another list.
    let told = complained(&lists.bring("members (1).csv", MEMBERS, &[]));
    assert!(told.contains("2 lines cannot be"), "{told}");
    assert!(
        told.contains("line 3: `user:2` was issued 7 coin by the list `members`"),
        "{told}"
    );
    assert!(told.contains("say --list members;"), "{told}");
    let same = lists.bring("members (1).csv", MEMBERS, &["--list", "members"]);
    assert!(said(&same).contains("0 rows issued"));
    // All that is wrong is told at once, up to a number.
    let many = (0..70).map(|number| format!("user:{number},nothing,1\n"));
    let many = format!("account,asset,amount\n{}", many.collect::<String>());
    let told = complained(&lists.bring("many.csv", &many, &[]));
    assert!(
        told.contains("line 51: ") && !told.contains("line 52: "),
        "{told}"
    );
    assert!(
        told.contains("and 20 more") && told.contains("70 lines cannot be"),
        "{told}"
    );
    assert_eq!(lists.head().await, head, "nothing has changed");
    lists.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_list_issues_on_top_once() {
    let mut lists = Lists::new().await;
    said(&lists.bring("members.csv", MEMBERS, &[]));
    for (round, rows) in [(1, 2), (2, 0)] {
        let forced = said(&lists.bring("bonus.csv", MEMBERS, &["--force"]));
        assert!(
            forced.contains(&format!("{rows} rows issued")),
            "{round}: {forced}"
        );
        assert_eq!(lists.posted("user:1", "coin").await, 10);
    }
    // What was forced once is known without force.
    assert!(said(&lists.bring("bonus.csv", MEMBERS, &[])).contains("0 rows issued"));
    let edited = MEMBERS.replace("user:1,coin,5", "user:1,coin,6");
    let told = complained(&lists.bring("bonus.csv", &edited, &["--force"]));
    assert!(told.contains("was issued 5 coin by this list"), "{told}");
    lists.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_would_happen() {
    let mut lists = Lists::new().await;
    let head = lists.head().await;
    let list = "account,asset,amount\nuser:1,coin,5\nuser:2,coin,6\nuser:1,gem,7\n";
    let told = said(&lists.bring("members.csv", list, &["--dry-run"]));
    for line in [
        "11 coin would be issued",
        "7 gem would be issued",
        "3 rows would be issued, 2 accounts made; nothing has changed",
    ] {
        assert!(told.contains(line), "{told}");
    }
    assert_eq!(lists.head().await, head);
    let twice = format!("{list}user:1,coin,5\n");
    assert!(complained(&lists.bring("members.csv", &twice, &[])).contains("say --sum"));
    let told = said(&lists.bring("members.csv", &twice, &["--dry-run", "--sum"]));
    assert!(told.contains("16 coin would be issued"), "{told}");
    lists.end();
}

/// More rows than one portion: what adds up over portions is seen before the first row is issued.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_long_list_takes_together_is_checked_first() {
    let mut lists = Lists::new().await;
    let asset = json!({ "kind": "item", "name": "Crown", "max_supply": 1_500 });
    let path = format!("{GUILD}/assets/crown");
    assert_eq!(lists.client.put(&path, &asset).await.unwrap().status, 201);
    let list = |rows: u64| {
        let rows = (0..rows).map(|number| format!("user:{number},crown,1\n"));
        format!("account,asset,amount\n{}", rows.collect::<String>())
    };
    let head = lists.head().await;
    let told = complained(&lists.bring("crowns.csv", &list(1_501), &[]));
    assert!(
        told.contains("1501 crown, and 1500 more may be issued"),
        "{told}"
    );
    assert_eq!(lists.head().await, head, "nothing has changed");
    let done = said(&lists.bring("crowns.csv", &list(1_500), &[]));
    assert!(
        done.contains("1500 rows issued, 1500 accounts made"),
        "{done}"
    );
    lists.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_for_a_frozen_economy_is_not_spoiled() {
    let mut lists = Lists::new().await;
    lists
        .client
        .put(GUILD, &json!({ "status": "frozen" }))
        .await
        .unwrap();
    let told = complained(&lists.bring("members.csv", MEMBERS, &[]));
    assert!(
        told.contains("`guild` is frozen, and nothing is issued in it"),
        "{told}"
    );
    lists
        .client
        .put(GUILD, &json!({ "status": "open" }))
        .await
        .unwrap();
    assert!(said(&lists.bring("members.csv", MEMBERS, &[])).contains("2 rows issued"));
    lists.end();
}

/// The way of the command itself to the owner of a file.
fn owner(file: &Path) -> Client {
    let mut name = file.as_os_str().to_owned();
    name.push(".lock");
    let note: Value = serde_json::from_slice(&std::fs::read(name).unwrap()).unwrap();
    let socket = note["socket"].as_str().unwrap().into();
    Client::new(Address::Unix(socket), note["token"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_refused_is_issued_once_nothing_is_in_its_way() {
    let mut lists = Lists::new().await;
    let mut owner = owner(&lists.file());
    let account = format!("{GUILD}/accounts/user:1");
    lists
        .client
        .put(&account, &json!({ "status": "frozen" }))
        .await
        .unwrap();
    let path = format!("{GUILD}/opening-balances");
    let row = json!({ "account": "user:1", "asset": "coin", "amount": 5 });
    let body = json!({ "list": "members", "rows": [row] });
    let sent = || body.to_string().into();
    let mut outcomes = Vec::new();
    for status in ["frozen", "frozen", "open", "open"] {
        lists
            .client
            .put(&account, &json!({ "status": status }))
            .await
            .unwrap();
        let answer = owner.send("POST", &path, None, sent()).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.json());
        outcomes.push(answer.json()["rows"][0]["outcome"].clone());
    }
    assert_eq!(outcomes, ["refused", "refused", "issued", "done"]);
    assert_eq!(lists.posted("user:1", "coin").await, 5);
    // Only the owner may ask, and what cannot be read is named.
    let refused = lists
        .client
        .send("POST", &path, None, sent())
        .await
        .unwrap();
    assert_eq!(
        (refused.status.as_u16(), &*refused.code()),
        (403, "forbidden")
    );
    let twice = json!({ "list": "x", "rows": [row, row] });
    let rows = vec![row; 1_025];
    for (wrong, pointer) in [
        (twice, "/rows/1"),
        (json!({ "list": "", "rows": [] }), "/list"),
        (json!({ "list": "x".repeat(65), "rows": [] }), "/list"),
        (json!({ "list": "x", "rows": [] }), "/rows"),
        (json!({ "list": "x", "rows": rows }), "/rows"),
    ] {
        let answer = owner
            .send("POST", &path, None, wrong.to_string().into())
            .await
            .unwrap();
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["pointer"]),
            (400, &json!(pointer))
        );
    }
    lists.end();
}

/// What somebody does with a list between two times of bringing it in.
#[derive(Clone, Debug)]
enum Edit {
    /// Adds a row, or changes the amount of one.
    Set { member: u8, asset: u8, amount: u8 },
    /// Takes a row out.
    Remove { member: u8, asset: u8 },
    /// Brings it in, in some form.
    Bring { form: u8 },
    /// Brings in a part of it under another name.
    Split { name: u8, every: u8 },
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        4 => (0..6_u8, 0..2_u8, 0..5_u8)
            .prop_map(|(member, asset, amount)| Edit::Set { member, asset, amount }),
        1 => (0..6_u8, 0..2_u8).prop_map(|(member, asset)| Edit::Remove { member, asset }),
        3 => (0..4_u8).prop_map(|form| Edit::Bring { form }),
        2 => (0..3_u8, 1..4_u8).prop_map(|(name, every)| Edit::Split { name, every }),
    ];
    proptest::collection::vec(edit, 10..16)
}

type Rows = BTreeMap<(String, String), u64>;

fn written(rows: &Rows, form: u8) -> String {
    let lines = rows.iter().map(|((account, asset), amount)| match form {
        0 => format!("{account},{asset},{amount}\n"),
        1 => format!("{account};{asset};{amount}\r\n"),
        2 => format!("\"{amount}\",\"{account}\",\"{asset}\"\r\n"),
        _ => format!("{account}\t{asset}\t{amount}\n"),
    });
    let mut lines: Vec<String> = lines.collect();
    if form == 3 {
        lines.reverse();
    }
    let head = match form {
        0 => "account,asset,amount\n",
        1 => "\u{feff}account;asset;amount\r\n",
        2 => "amount,account,asset\r\n",
        _ => "Account\tAsset\tAmount\n",
    };
    format!("{head}{}", lines.concat())
}

/// Whatever is done with lists, without force each account gets of each asset what the first list said that
/// was taken, and never more.
#[test]
fn lists_however_they_are_edited_never_pay_anybody_twice() {
    for seed in long::seeds() {
        edit_lists(long::runner(seed, 0));
    }
}

fn edit_lists(mut runner: TestRunner) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut lists = runtime.block_on(Lists::new());
    let (mut taken, mut refused) = (0, 0);
    for case in 0..6 {
        let edits = edits().new_tree(&mut runner).unwrap().current();
        let economy = format!("case-{case}");
        runtime.block_on(lists.open(&format!("/v1/economies/{economy}")));
        let (mut rows, mut first) = (Rows::new(), Rows::new());
        for edit in edits {
            let (name, part, form) = match edit {
                Edit::Set {
                    member,
                    asset,
                    amount,
                } => {
                    let asset = if asset == 0 { "coin" } else { "gem" };
                    rows.insert((format!("user:{member}"), asset.into()), amount.into());
                    continue;
                }
                Edit::Remove { member, asset } => {
                    let asset = if asset == 0 { "coin" } else { "gem" };
                    rows.remove(&(format!("user:{member}"), asset.into()));
                    continue;
                }
                Edit::Bring { form } => ("members.csv".into(), rows.clone(), form),
                Edit::Split { name, every } => {
                    let part = rows.clone().into_iter().step_by(every.into());
                    (format!("part-{name}.csv"), part.collect(), 0)
                }
            };
            let output = lists.bring_into(&economy, &name, &written(&part, form), &[]);
            if output.status.success() {
                taken += 1;
                for (place, amount) in part.into_iter().filter(|(_, amount)| *amount > 0) {
                    let before = first.insert(place.clone(), amount);
                    assert!(before.is_none_or(|before| before == amount), "{place:?}");
                }
            } else {
                refused += 1;
            }
            for ((account, asset), amount) in &first {
                let path = format!("/v1/economies/{economy}/accounts/{account}");
                let found = runtime.block_on(lists.client.get(&path)).unwrap().json();
                assert_eq!(
                    found["balances"][asset]["posted"], *amount,
                    "{account} {asset}"
                );
            }
            for asset in ["coin", "gem"] {
                let path = format!("/v1/economies/{economy}/assets/{asset}");
                let found = runtime.block_on(lists.client.get(&path)).unwrap().json();
                let sum = first
                    .iter()
                    .filter(|((_, of), _)| of == asset)
                    .map(|(_, n)| n)
                    .sum::<u64>();
                assert_eq!(found["supply"], sum, "{asset}");
            }
        }
    }
    assert!(
        taken >= 10 && refused >= 5,
        "{taken} taken, {refused} refused"
    );
    lists.end();
}

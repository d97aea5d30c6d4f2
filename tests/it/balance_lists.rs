//! Lists of opening balances that are edited, saved in other formats, split, joined and imported again: no
//! account is paid twice, and every difference is reported.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;

use bursar_server::client::{Address, Client};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::archive::{bursar, stderr_of, stdout_of, text};
use crate::long_runs;
use crate::server_process::ServerProcess;
use crate::support::{GUILD, assert_audit_passes};

/// A served file with an economy, and a folder for lists.
struct Lists {
    folder: tempfile::TempDir,
    server: ServerProcess,
    client: Client,
}

impl Lists {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = ServerProcess::serve(&folder.path().join("guild.db"));
        let client = server.client(server.admin_key.as_ref().unwrap());
        let mut lists = Self {
            folder,
            server,
            client,
        };
        lists.open(GUILD).await;
        lists
    }

    /// Creates an economy with two assets.
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

    /// Imports a list under this file name.
    fn import(&self, name: &str, list: &str, options: &[&str]) -> Output {
        self.import_into("guild", name, list, options)
    }

    fn import_into(&self, economy: &str, name: &str, list: &str, options: &[&str]) -> Output {
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
        assert_audit_passes(&file);
    }
}

const MEMBERS: &str = "account,asset,amount,memo\nuser:1,coin,5,hello\nuser:2,coin,7,\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_imported_again_issues_only_new_rows() {
    let mut lists = Lists::new().await;
    assert!(
        stdout_of(&lists.import("members.csv", MEMBERS, &[]))
            .contains("2 rows issued, 2 accounts created")
    );
    let head = lists.head().await;
    for again in [
        MEMBERS.replace('\n', "\r\n"),
        format!("\u{feff}{MEMBERS}"),
        MEMBERS.replace(',', ";"),
        "Amount,Account,Asset\n7,user:2,coin\n\"5\",\"user:1\",\"coin\"".into(),
        MEMBERS.replace("hello", "another word"),
    ] {
        let output = stdout_of(&lists.import("members.csv", &again, &[]));
        assert!(
            output.contains("0 rows issued, 0 accounts created"),
            "{output}"
        );
    }
    assert_eq!(lists.head().await, head, "nothing was recorded");
    let more = format!("{MEMBERS}user:3,coin,9,\nuser:1,gem,2,\nuser:4,coin,0,\n");
    let output = lists.import("members.csv", &more, &[]);
    assert!(stdout_of(&output).contains("2 rows issued, 1 accounts created"));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(
        message.contains("2 rows of this list were issued before"),
        "{message}"
    );
    assert!(
        message.contains("1 rows have the amount 0 and are skipped"),
        "{message}"
    );
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
async fn a_changed_row_is_reported_and_moves_nothing() {
    let mut lists = Lists::new().await;
    stdout_of(&lists.import("members.csv", MEMBERS, &[]));
    let head = lists.head().await;
    let edited = MEMBERS.replace("user:1,coin,5", "user:1,coin,500") + "user:9,coin,1,\n";
    let message = stderr_of(&lists.import("members.csv", &edited, &[]));
    assert!(
        message
            .contains("line 2: this list has issued 5 coin to `user:1` before, and now it has 500"),
        "{message}"
    );
    assert!(
        message.contains("1 line cannot be imported; nothing was issued"),
        "{message}"
    );
    // Another file name is another list.
    let message = stderr_of(&lists.import("members (1).csv", MEMBERS, &[]));
    assert!(message.contains("2 lines cannot be"), "{message}");
    assert!(
        message.contains("line 3: the list `members` has issued 7 coin to `user:2` before"),
        "{message}"
    );
    assert!(message.contains("--list members;"), "{message}");
    let same = lists.import("members (1).csv", MEMBERS, &["--list", "members"]);
    assert!(stdout_of(&same).contains("0 rows issued"));
    // All errors are reported at once, up to a maximum.
    let many = (0..70).map(|number| format!("user:{number},nothing,1\n"));
    let many = format!("account,asset,amount\n{}", many.collect::<String>());
    let message = stderr_of(&lists.import("many.csv", &many, &[]));
    assert!(
        message.contains("line 51: ") && !message.contains("line 52: "),
        "{message}"
    );
    assert!(
        message.contains("and 20 more") && message.contains("70 lines cannot be"),
        "{message}"
    );
    assert_eq!(lists.head().await, head, "nothing was recorded");
    lists.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_list_issues_in_addition_once() {
    let mut lists = Lists::new().await;
    stdout_of(&lists.import("members.csv", MEMBERS, &[]));
    for (round, rows) in [(1, 2), (2, 0)] {
        let forced = stdout_of(&lists.import("bonus.csv", MEMBERS, &["--force"]));
        assert!(
            forced.contains(&format!("{rows} rows issued")),
            "{round}: {forced}"
        );
        assert_eq!(lists.posted("user:1", "coin").await, 10);
    }
    // A row that was forced once is known without `--force`.
    assert!(stdout_of(&lists.import("bonus.csv", MEMBERS, &[])).contains("0 rows issued"));
    let edited = MEMBERS.replace("user:1,coin,5", "user:1,coin,6");
    let message = stderr_of(&lists.import("bonus.csv", &edited, &["--force"]));
    assert!(message.contains("this list has issued 5 coin"), "{message}");
    lists.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_reports_what_would_be_issued() {
    let mut lists = Lists::new().await;
    let head = lists.head().await;
    let list = "account,asset,amount\nuser:1,coin,5\nuser:2,coin,6\nuser:1,gem,7\n";
    let message = stdout_of(&lists.import("members.csv", list, &["--dry-run"]));
    for line in [
        "11 coin would be issued",
        "7 gem would be issued",
        "3 rows would be issued, 2 accounts created; nothing has changed",
    ] {
        assert!(message.contains(line), "{message}");
    }
    assert_eq!(lists.head().await, head);
    let twice = format!("{list}user:1,coin,5\n");
    assert!(stderr_of(&lists.import("members.csv", &twice, &[])).contains("pass --sum"));
    let message = stdout_of(&lists.import("members.csv", &twice, &["--dry-run", "--sum"]));
    assert!(message.contains("16 coin would be issued"), "{message}");
    lists.end();
}

/// The list has more rows than one request carries; its total is checked before the first row is issued.
#[tokio::test(flavor = "multi_thread")]
async fn the_total_of_a_long_list_is_checked_before_the_first_issue() {
    let mut lists = Lists::new().await;
    let asset = json!({ "kind": "item", "name": "Crown", "max_supply": 1_500 });
    let path = format!("{GUILD}/assets/crown");
    assert_eq!(lists.client.put(&path, &asset).await.unwrap().status, 201);
    let list = |rows: u64| {
        let rows = (0..rows).map(|number| format!("user:{number},crown,1\n"));
        format!("account,asset,amount\n{}", rows.collect::<String>())
    };
    let head = lists.head().await;
    let message = stderr_of(&lists.import("crowns.csv", &list(1_501), &[]));
    assert!(
        message.contains("1501 crown, and only 1500 more may be issued"),
        "{message}"
    );
    assert_eq!(lists.head().await, head, "nothing was recorded");
    let done = stdout_of(&lists.import("crowns.csv", &list(1_500), &[]));
    assert!(
        done.contains("1500 rows issued, 1500 accounts created"),
        "{done}"
    );
    lists.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_refused_by_a_frozen_economy_can_be_imported_later() {
    let mut lists = Lists::new().await;
    lists
        .client
        .put(GUILD, &json!({ "status": "frozen" }))
        .await
        .unwrap();
    let message = stderr_of(&lists.import("members.csv", MEMBERS, &[]));
    assert!(
        message.contains("`guild` is frozen: no row was issued"),
        "{message}"
    );
    lists
        .client
        .put(GUILD, &json!({ "status": "open" }))
        .await
        .unwrap();
    assert!(stdout_of(&lists.import("members.csv", MEMBERS, &[])).contains("2 rows issued"));
    lists.end();
}

/// Returns a client of the owner's socket, as the command uses it.
fn owner(file: &Path) -> Client {
    let mut name = file.as_os_str().to_owned();
    name.push(".lock");
    let note: Value = serde_json::from_slice(&std::fs::read(name).unwrap()).unwrap();
    let socket = note["socket"].as_str().unwrap().into();
    Client::new(Address::Unix(socket), note["token"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_row_is_issued_once_it_becomes_possible() {
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
        let response = owner.send("POST", &path, None, sent()).await.unwrap();
        assert_eq!(response.status, 200, "{}", response.json());
        outcomes.push(response.json()["rows"][0]["outcome"].clone());
    }
    assert_eq!(outcomes, ["refused", "refused", "issued", "done"]);
    assert_eq!(lists.posted("user:1", "coin").await, 5);
    // Only the owner may send the request, and malformed bodies are named.
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
        let response = owner
            .send("POST", &path, None, wrong.to_string().into())
            .await
            .unwrap();
        assert_eq!(
            (response.status.as_u16(), &response.json()["pointer"]),
            (400, &json!(pointer))
        );
    }
    lists.end();
}

/// An edit of a list, or an import.
#[derive(Clone, Debug)]
enum Edit {
    /// Adds a row or changes its amount.
    Set { member: u8, asset: u8, amount: u8 },
    /// Removes a row.
    Remove { member: u8, asset: u8 },
    /// Imports the list in one of several formats.
    Import { form: u8 },
    /// Imports a part of the list under another name.
    Split { name: u8, every: u8 },
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        4 => (0..6_u8, 0..2_u8, 0..5_u8)
            .prop_map(|(member, asset, amount)| Edit::Set { member, asset, amount }),
        1 => (0..6_u8, 0..2_u8).prop_map(|(member, asset)| Edit::Remove { member, asset }),
        3 => (0..4_u8).prop_map(|form| Edit::Import { form }),
        2 => (0..3_u8, 1..4_u8).prop_map(|(name, every)| Edit::Split { name, every }),
    ];
    proptest::collection::vec(edit, 10..16)
}

type Rows = BTreeMap<(String, String), u64>;

fn format_list(rows: &Rows, form: u8) -> String {
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

/// Without `--force` each account gets exactly the amount of each asset that the first imported list had,
/// however lists are edited.
#[test]
fn edited_lists_never_pay_an_account_twice() {
    for seed in long_runs::seeds() {
        edit_lists(long_runs::runner(seed, 0));
    }
}

fn edit_lists(mut runner: TestRunner) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut lists = runtime.block_on(Lists::new());
    let mut imported = 0;
    let mut refused = 0;
    for case in 0..6 {
        let edits = edits().new_tree(&mut runner).unwrap().current();
        let economy = format!("case-{case}");
        runtime.block_on(lists.open(&format!("/v1/economies/{economy}")));
        let mut rows = Rows::new();
        let mut first = Rows::new();
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
                Edit::Import { form } => ("members.csv".into(), rows.clone(), form),
                Edit::Split { name, every } => {
                    let part = rows.clone().into_iter().step_by(every.into());
                    (format!("part-{name}.csv"), part.collect(), 0)
                }
            };
            let output = lists.import_into(&economy, &name, &format_list(&part, form), &[]);
            if output.status.success() {
                imported += 1;
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
        imported >= 10 && refused >= 5,
        "{imported} imported, {refused} refused"
    );
    lists.end();
}

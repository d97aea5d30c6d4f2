//! Opening balances out of a list, as somebody who comes from another bot brings them.

use bursar_server::client::{Address, Client};
use serde_json::json;

use crate::archive::{bursar, complained, furnish, said, text};
use crate::support::{GUILD, Process, audited};

#[tokio::test(flavor = "multi_thread")]
async fn opening_balances_come_in_once_whoever_serves_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (file, list) = (
        folder.path().join("guild.db"),
        folder.path().join("list.csv"),
    );
    let server = Process::serve(&file);
    let admin = server.admin_key.clone().unwrap();
    let mut client = Client::new(Address::Tcp(server.address.clone()), &admin);
    furnish(&mut client).await;
    std::fs::write(
        &list,
        "account,asset,amount,date,memo\n\
         user:1,coin,5,2024-05-01,from the other bot\n\
         user:7,coin,70,,\n\
         user:8,coin,80,2024-05-02T12:00:00Z,\"hello, again\"\n",
    )
    .unwrap();
    let import = [
        "import",
        text(&file),
        "--economy",
        "guild",
        "--balances",
        text(&list),
    ];
    assert!(said(&bursar(&import)).contains("3 rows issued, 2 accounts made"));
    let head = client.get(GUILD).await.unwrap().json()["head"].clone();
    assert!(said(&bursar(&import)).contains("0 rows issued, 0 accounts made"));
    assert_eq!(
        client.get(GUILD).await.unwrap().json()["head"],
        head,
        "nothing has changed"
    );
    let statement = client
        .get(&format!("{GUILD}/accounts/user:8/statement"))
        .await
        .unwrap()
        .json();
    let entry = &statement["entries"][0];
    assert_eq!(entry["effective_at"], 1_714_651_200_000_u64, "{statement}");
    assert_eq!(
        (&entry["memo"], &entry["balance"]),
        (&json!("hello, again"), &json!(80))
    );
    assert!(entry["recorded_at"].as_u64() > entry["effective_at"].as_u64());
    assert!(server.stop());

    // Nobody serves it now: the command serves it to itself.
    assert!(said(&bursar(&import)).contains("0 rows issued"));
    std::fs::write(&list, "account,asset,amount\nuser:9,coin,9\n").unwrap();
    assert!(said(&bursar(&import)).contains("1 rows issued, 1 accounts made"));
    audited(&file);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_cannot_be_issues_nothing_and_names_its_lines() {
    let folder = tempfile::tempdir().unwrap();
    let (file, list) = (
        folder.path().join("guild.db"),
        folder.path().join("list.csv"),
    );
    let server = Process::serve(&file);
    let admin = server.admin_key.clone().unwrap();
    furnish(&mut Client::new(
        Address::Tcp(server.address.clone()),
        &admin,
    ))
    .await;
    assert!(server.stop());
    let before = audited(&file).records;
    let import = [
        "import",
        text(&file),
        "--economy",
        "guild",
        "--balances",
        text(&list),
    ];
    std::fs::write(
        &list,
        "account,asset,amount\nuser:10,coin,1\nuser:10,gem,1\nplugin:shop,coin,1\n\
         user:11,coin,9007199254740990\n",
    )
    .unwrap();
    let mistakes = complained(&bursar(&import));
    for line in [
        "line 3: ",
        "line 4: ",
        "line 5: ",
        "3 lines cannot be; nothing was issued",
    ] {
        assert!(mistakes.contains(line), "{mistakes}");
    }
    std::fs::write(&list, "account,asset,amount\nuser:10,coin,none\n").unwrap();
    assert!(complained(&bursar(&import)).contains("line 2: "));
    let import = [
        "import",
        text(&file),
        "--economy",
        "other",
        "--balances",
        text(&list),
    ];
    std::fs::write(&list, "account,asset,amount\nuser:10,coin,1\n").unwrap();
    assert!(complained(&bursar(&import)).contains("there is no economy `other`"));
    assert_eq!(audited(&file).records, before);
}

//! Opening balances from a list, as imported from another bot.

use bursar_server::client::{Address, Client};
use serde_json::json;

use crate::archive::{bursar, create_economy, stderr_of, stdout_of, text};
use crate::server_process::ServerProcess;
use crate::support::{GUILD, assert_audit_passes};

#[tokio::test(flavor = "multi_thread")]
async fn opening_balances_are_issued_once_with_and_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("guild.db");
    let list = folder.path().join("list.csv");
    let server = ServerProcess::serve(&file);
    let admin = server.admin_key.clone().unwrap();
    let mut client = Client::new(Address::Tcp(server.address.clone()), &admin);
    create_economy(&mut client).await;
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
    assert!(stdout_of(&bursar(&import)).contains("3 rows issued, 2 accounts created"));
    let head = client.get(GUILD).await.unwrap().json()["head"].clone();
    assert!(stdout_of(&bursar(&import)).contains("0 rows issued, 0 accounts created"));
    assert_eq!(
        client.get(GUILD).await.unwrap().json()["head"],
        head,
        "nothing was recorded"
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

    // The file is not served any more: the command opens it itself.
    assert!(stdout_of(&bursar(&import)).contains("0 rows issued"));
    std::fs::write(&list, "account,asset,amount\nuser:9,coin,9\n").unwrap();
    assert!(stdout_of(&bursar(&import)).contains("1 rows issued, 1 accounts created"));
    assert_audit_passes(&file);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_with_errors_issues_nothing_and_names_the_lines() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("guild.db");
    let list = folder.path().join("list.csv");
    let server = ServerProcess::serve(&file);
    let admin = server.admin_key.clone().unwrap();
    create_economy(&mut Client::new(
        Address::Tcp(server.address.clone()),
        &admin,
    ))
    .await;
    assert!(server.stop());
    let before = assert_audit_passes(&file).records;
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
    let mistakes = stderr_of(&bursar(&import));
    for line in [
        "line 3: ",
        "line 4: ",
        "line 5: ",
        "3 lines cannot be imported; nothing was issued",
    ] {
        assert!(mistakes.contains(line), "{mistakes}");
    }
    std::fs::write(&list, "account,asset,amount\nuser:10,coin,none\n").unwrap();
    assert!(stderr_of(&bursar(&import)).contains("line 2: "));
    let import = [
        "import",
        text(&file),
        "--economy",
        "other",
        "--balances",
        text(&list),
    ];
    std::fs::write(&list, "account,asset,amount\nuser:10,coin,1\n").unwrap();
    assert!(stderr_of(&bursar(&import)).contains("there is no economy `other`"));
    assert_eq!(assert_audit_passes(&file).records, before);
}

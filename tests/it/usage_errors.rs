//! Mistakes on the command line: each is reported, and no byte of the folder changes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::archive::{bursar, stdout_of, text};
use crate::server_process::{ServerProcess, binary};
use crate::support::GUILD;

/// The arguments, the expected exit code, and a part of the expected message.
type Mistake = (&'static str, i32, &'static str);

const SERVE: &[Mistake] = &[
    ("sevre --db guild.db", 2, "serve"),
    ("serve guild.db", 2, "unexpected argument"),
    ("serve --database guild.db", 2, "unexpected argument"),
    (
        "serve --db none/guild.db",
        1,
        "/none does not exist; create it",
    ),
    (
        "serve --db .",
        1,
        "it is a folder; name a database file in it",
    ),
    ("serve --db notes.txt", 1, "it is not a database"),
    ("serve --db short.txt", 1, "it is not a database"),
    ("serve --db empty.db", 1, "it is empty"),
    ("serve --db other.db", 1, "a database of another program"),
    ("serve --db newer.db", 1, "the file has schema 99"),
    ("serve --db /dev/null", 1, "it is not a regular file"),
    ("serve --db linked.db", 1, "has 2 names (hard links)"),
    ("serve --db stale.db --listen :0", 1, "`bursar restore`"),
    (
        "serve --db guild.db --listen nowhere:",
        2,
        "write 127.0.0.1:7777",
    ),
    (
        "serve --db guild.db --listen 99999",
        2,
        "number from 0 to 65535",
    ),
    (
        "serve --db guild.db --listen http://localhost:0",
        2,
        "is not an address",
    ),
    (
        "serve --db guild.db --listen 0.0.0.0:0",
        1,
        "--allow-plain-http",
    ),
    ("serve --db guild.db --no-tcp", 2, "--socket"),
    (
        "serve --db guild.db --listen :0 --socket notes.txt",
        1,
        "cannot listen on notes.txt",
    ),
    (
        "serve --db guild.db --listen :0 --socket none/s",
        1,
        "cannot listen on none/s",
    ),
    (
        "serve --db new.db --listen :0 --socket none/s",
        1,
        "cannot listen on none/s",
    ),
    ("serve --db guild.db --stop-deadline 0", 2, "1..=3600"),
    ("serve --db guild.db --log-format xml", 2, "text, json"),
];

const KEYS: &[Mistake] = &[
    (
        "key create --db typo.db --scope admin",
        1,
        "there is no file typo.db",
    ),
    (
        "key create --db none/guild.db --scope admin",
        1,
        "there is no file none/guild.db",
    ),
    (
        "key create --db other.db --scope admin",
        1,
        "a database of another program",
    ),
    (
        "key create --db notes.txt --scope admin",
        1,
        "it is not a database",
    ),
    (
        "key create --db stale.db --scope admin",
        1,
        "`bursar restore`",
    ),
    ("key create --db guild.db", 2, "--scope"),
    (
        "key create --db guild.db --scope everything",
        2,
        "read, transfer, call, issue or admin",
    ),
    (
        "key create --db guild.db --scope read --economy gild",
        1,
        "no economy is called `gild`: there is frozen, guild",
    ),
    (
        "key create --db guild.db --scope read --economy system",
        1,
        "no economy is called `system`",
    ),
    (
        "key create --db guild.db --scope transfer --transfer-cap coins=100",
        1,
        "no asset is called `coins`: there is coin",
    ),
    (
        "key create --db guild.db --scope transfer --economy frozen --transfer-cap coin=100",
        1,
        "no asset is called `coin`: there is none yet",
    ),
    (
        "key create --db guild.db --scope transfer --transfer-cap coin",
        2,
        "as in coin=100",
    ),
    (
        "key create --db guild.db --scope transfer --transfer-cap coin=1,coin=2",
        1,
        "names coin twice",
    ),
    (
        "key create --db guild.db --scope read --rate-limit 10",
        2,
        "as in 100/60",
    ),
    (
        "key create --db guild.db --scope read --name Bot!",
        2,
        "--name",
    ),
    (
        "key create --db guild.db --scope read --name admin",
        1,
        "choose another --name",
    ),
    (
        "key create --db guild.db --scope read --name owner",
        1,
        "choose another name",
    ),
    (
        "key rotate unknown --db guild.db",
        1,
        "there is no key `unknown`",
    ),
    (
        "key revoke unknown --db guild.db",
        1,
        "there is no key `unknown`",
    ),
    (
        "key revoke admin --db guild.db",
        1,
        "`admin` is the last admin key",
    ),
    ("key list --db typo.db", 1, "there is no file typo.db"),
    ("key list --db notes.txt", 1, "it is not a database"),
];

const FILES: &[Mistake] = &[
    ("audit typo.db", 1, "there is no file typo.db"),
    ("audit .", 1, "it is a folder"),
    ("audit other.db", 1, "a database of another program"),
    ("audit stale.db", 1, "`bursar restore`"),
    (
        "audit guild.db --head abc",
        2,
        "64 lower-case hexadecimal digits",
    ),
    ("backup guild.db backup.db", 1, "backup.db exists already"),
    ("backup guild.db none/copy.db", 1, "none/copy.db"),
    ("backup guild.db", 2, "<TO>"),
    ("backup typo.db copy.db", 1, "there is no file typo.db"),
    (
        "backup other.db copy.db",
        1,
        "a database of another program",
    ),
    ("backup stale.db copy.db", 1, "`bursar restore`"),
    ("restore backup.db", 2, "<TO>"),
    ("restore typo.db guild.db", 1, "there is no file typo.db"),
    ("restore notes.txt guild.db", 1, "it is not a database"),
    (
        "restore backup.db other.db",
        1,
        "a database of another program",
    ),
    ("restore backup.db notes.txt", 1, "it is not a database"),
    ("restore backup.db .", 1, "it is a folder"),
    ("restore backup.db none/guild.db", 1, "/none does not exist"),
    (
        "restore guild.db guild.db",
        1,
        "is the database file itself",
    ),
    ("export guild.db", 2, "--economy"),
    ("export guild.db --economy gild", 1, "gild"),
    ("export guild.db --economy system", 1, "system"),
    ("log none.db", 1, "name a database file"),
    ("log guild.db --economy gild", 1, "gild"),
    ("log guild.db --after x", 2, "--after"),
    ("sql guild.db", 2, "<OUT>"),
    ("sql guild.db backup.db", 1, "exists already"),
    ("sql guild.db none/tables.db", 1, "none"),
    (
        "quota show --db guild.db --economy gild",
        1,
        "there is no economy `gild`",
    ),
    (
        "quota set --db guild.db --economy gild accounts=5",
        1,
        "there is no economy `gild`",
    ),
    (
        "quota set --db guild.db --economy guild acounts=5",
        2,
        "acounts",
    ),
    (
        "quota set --db typo.db --economy guild accounts=5",
        1,
        "there is no file typo.db",
    ),
    ("plugin check none.wasm", 1, "none.wasm"),
    ("plugin check notes.txt", 1, ""),
    ("plugin schema notes.txt", 2, "unexpected argument"),
    (
        "plugin replay typo.db --economy guild --plugin shop",
        1,
        "there is no file typo.db",
    ),
    (
        "plugin replay guild.db --economy gild --plugin shop",
        1,
        "has no such call",
    ),
    ("verify notes.txt", 1, "is not a receipt"),
];

const LISTS: &[Mistake] = &[
    (
        "import typo.db --economy guild --balances good.csv",
        1,
        "there is no file typo.db",
    ),
    ("import guild.db --balances good.csv", 2, "--economy"),
    ("import guild.db --economy guild", 2, "--balances"),
    ("import guild.db --dry-run", 2, "--balances"),
    (
        "import guild.db --economy gild --balances good.csv",
        1,
        "there is no economy `gild`",
    ),
    (
        "import guild.db --economy frozen --balances good.csv",
        1,
        "`frozen` is frozen",
    ),
    (
        "import guild.db --economy guild --balances none.csv",
        1,
        "none.csv",
    ),
    (
        "import guild.db --economy guild --balances . --list x",
        1,
        "directory",
    ),
    (
        "import guild.db --economy guild --balances -",
        1,
        "pass --list NAME",
    ),
    (
        "import guild.db --economy guild --balances empty.db",
        1,
        "`account` is missing",
    ),
    (
        "import guild.db --economy guild --balances rounded.csv",
        1,
        "line 3: the account `1.23457e17`",
    ),
    (
        "import guild.db --economy guild --balances bare.csv",
        1,
        "as in `user:123`",
    ),
    (
        "import guild.db --economy guild --balances twice.csv",
        1,
        "in line 2 already",
    ),
    (
        "import guild.db --economy guild --balances amounts.csv",
        1,
        "3 lines cannot be imported; nothing was issued",
    ),
    (
        "import guild.db --economy guild --balances asset.csv",
        1,
        "line 2: ",
    ),
    (
        "import other.db --economy guild --balances good.csv",
        1,
        "a database of another program",
    ),
    ("import guild.db", 1, "not the first line of an export"),
    ("import none/guild.db", 1, "/none does not exist"),
    ("import other.db", 1, "a database of another program"),
    ("import new.db", 1, "not the first line of an export"),
];

/// Returns every file below a folder with its bytes.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.insert(path.clone(), Vec::new());
            found.extend(contents(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
    found
}

/// Creates a file with a server that is stopped in order.
async fn make_guild(file: &Path) {
    let server = ServerProcess::serve(file);
    let mut client = server.client(server.admin_key.as_ref().unwrap());
    for (path, body) in [
        (GUILD.to_owned(), json!({})),
        (
            format!("{GUILD}/assets/coin"),
            json!({ "kind": "currency", "name": "Coin" }),
        ),
        (
            "/v1/economies/frozen".to_owned(),
            json!({ "status": "frozen" }),
        ),
    ] {
        assert!(client.put(&path, &body).await.unwrap().status.is_success());
    }
    assert!(server.stop());
}

/// Creates files of many kinds.
async fn make_folder(folder: &Path) {
    let file = folder.join("guild.db");
    make_guild(&file).await;
    let backup = folder.join("backup.db");
    stdout_of(&bursar(&["backup", text(&file), text(&backup)]));
    let header = |name: &str, at: usize, word: u32| {
        let mut bytes = std::fs::read(&backup).unwrap();
        bytes[at..at + 4].copy_from_slice(&word.to_be_bytes());
        std::fs::write(folder.join(name), bytes).unwrap();
    };
    header("other.db", 68, 7);
    header("newer.db", 60, 99);
    // A server was killed, and a backup was copied over its file.
    let stale = folder.join("stale.db");
    let mut server = ServerProcess::serve(&stale);
    server.kill();
    std::fs::copy(&backup, &stale).unwrap();
    for left in ["stale.db.lock", "stale.db.sock"] {
        std::fs::remove_file(folder.join(left)).unwrap();
    }
    std::fs::copy(&backup, folder.join("linked.db")).unwrap();
    std::fs::hard_link(folder.join("linked.db"), folder.join("second.db")).unwrap();
    for (name, text) in [
        ("empty.db", String::new()),
        ("short.txt", "notes".into()),
        (
            "notes.txt",
            "no database, and longer than a header ".repeat(9),
        ),
        ("good.csv", "account,asset,amount\nuser:1,coin,5\n".into()),
        (
            "rounded.csv",
            "account,asset,amount\nuser:1,coin,5\n1.23457e17,coin,5\n".into(),
        ),
        ("bare.csv", "account,asset,amount\n123,coin,5\n".into()),
        (
            "twice.csv",
            "account,asset,amount\nuser:1,coin,5\nuser:1,coin,5\n".into(),
        ),
        (
            "amounts.csv",
            "account,asset,amount\nuser:1,coin,-5\nuser:2,coin,10781.0\nuser:3,coin,1e3\n".into(),
        ),
        ("asset.csv", "account,asset,amount\nuser:1,cion,5\n".into()),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

/// Runs the binary, and kills it if it does not end: a server that accepted its arguments keeps running.
fn run_line(folder: &Path, line: &str) -> Output {
    let mut child = Command::new(binary())
        .args(line.split(' '))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    for _ in 0..600 {
        if child.try_wait().unwrap().is_some() {
            return child.wait_with_output().unwrap();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill().unwrap();
    panic!("`{line}` does not end: {:?}", child.wait_with_output());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_is_reported_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    make_folder(folder.path()).await;
    let before = contents(folder.path());
    let mut tried = 0;
    let mut wrong = Vec::new();
    for (line, code, what) in [SERVE, KEYS, FILES, LISTS].into_iter().flatten() {
        let output = run_line(folder.path(), line);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.code() != Some(*code) || !stderr.contains(what) {
            wrong.push(format!("{line}: {:?} {stderr}", output.status.code()));
        }
        let after = contents(folder.path());
        if after != before {
            let names: Vec<_> = after.keys().collect();
            panic!("`{line}` changed a file: {names:?}\n{stderr}");
        }
        tried += 1;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(tried >= 60, "{tried} mistakes");
}

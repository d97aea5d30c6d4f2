//! Files of an index that are lost or foreign: the start says so, and every key replays its answer.

use std::fs::File;
use std::path::Path;

use bytes::Bytes;

use crate::crash::create_economy;
use crate::server_process::ServerProcess;
use crate::support::{GUILD, assert_audit_passes, posting};

/// Starts a server, makes the payments with these keys, and stops it. Returns the answers and the log.
async fn pay(file: &Path, admin_key: &mut Option<String>, keys: &[&str]) -> (Vec<Bytes>, String) {
    let log = file.with_extension("log");
    let server = ServerProcess::logging(file, File::create(&log).unwrap(), &[]);
    let is_new = admin_key.is_none();
    let key = admin_key.get_or_insert_with(|| server.admin_key.clone().unwrap());
    let mut client = server.client(key);
    if is_new {
        create_economy(&mut client).await;
    }
    let mut answers = Vec::new();
    for key in keys {
        let body = posting("user:1", "user:2", 1);
        let path = format!("{GUILD}/transfers");
        let response = client.post(&path, key, &body).await.unwrap();
        assert_eq!(response.status, 201, "{}", response.json());
        answers.push(response.body);
    }
    assert!(server.stop(), "the server exits with 0");
    assert_audit_passes(file);
    (answers, std::fs::read_to_string(log).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_or_foreign_index_is_named_and_rebuilt() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("guild.db");
    let index = folder.path().join("guild.db-index");
    let other = folder.path().join("other.db");
    let keys = ["1", "2", "3"];
    let mut admin_key = None;
    let (answers, log) = pay(&file, &mut admin_key, &keys).await;
    assert!(!log.contains("the index"), "{log}");

    std::fs::remove_dir_all(&index).unwrap();
    let (again, log) = pay(&file, &mut admin_key, &keys).await;
    assert_eq!(again, answers);
    assert!(log.contains("the index lacks records"), "{log}");

    pay(&other, &mut None, &keys).await;
    std::fs::remove_dir_all(&index).unwrap();
    std::fs::rename(folder.path().join("other.db-index"), &index).unwrap();
    let (again, log) = pay(&file, &mut admin_key, &keys).await;
    assert_eq!(again, answers);
    assert!(log.contains("it belongs to another file"), "{log}");
}

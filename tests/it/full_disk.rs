//! A full disk under a server: requests are refused, nothing acknowledged is lost, and service goes on once there is
//! space.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use bursar_server::client::Client;
use bytes::Bytes;
use tempfile::TempDir;

use crate::crash::create_economy;
use crate::server_process::ServerProcess;
use crate::support::{GUILD, assert_audit_passes, posting};
use crate::wait::TIMEOUT;

/// A small disk in memory.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Mounts one. Returns none where that is not allowed; the storage has a test that needs no mount.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", "size=48m", "tmpfs"]);
        let mounted = command.arg(folder.path()).output();
        let mounted = mounted.is_ok_and(|output| output.status.success());
        mounted.then_some(Self { folder })
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("full.db")
    }

    fn ballast(&self) -> PathBuf {
        self.folder.path().join("ballast")
    }

    fn fill(&self) {
        let mut ballast = File::create(self.ballast()).unwrap();
        while ballast.write_all(&[1; 4096]).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(self.folder.path()).output());
    }
}

/// A client that remembers what was acknowledged.
struct Payer {
    client: Client,
    acknowledged: Vec<(String, Bytes)>,
    open: Vec<String>,
    keys: u32,
}

impl Payer {
    async fn pay(&mut self, key: String) -> u16 {
        let body = posting("user:1", "user:2", 1);
        let path = format!("{GUILD}/transfers");
        let response = self.client.post(&path, &key, &body).await.unwrap();
        let status = response.status.as_u16();
        match status {
            201 => self.acknowledged.push((key, response.body)),
            503 => self.open.push(key),
            other => panic!("{other}: {}", response.json()),
        }
        status
    }

    async fn pay_with_new_key(&mut self) -> u16 {
        self.keys += 1;
        self.pay(format!("key-{}", self.keys)).await
    }

    /// Pays until some payments are refused.
    async fn pay_until_refused(&mut self) {
        let began = Instant::now();
        while self.open.len() < 3 {
            assert!(began.elapsed() < TIMEOUT, "no payment is refused");
            self.pay_with_new_key().await;
        }
    }

    /// Makes the refused payments again until all are made.
    async fn settle(&mut self) {
        let began = Instant::now();
        while let Some(key) = self.open.pop() {
            assert!(began.elapsed() < TIMEOUT, "{key} is still refused");
            if self.pay(key).await == 503 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    async fn check(&mut self) {
        for (key, body) in &self.acknowledged {
            let path = format!("{GUILD}/outcomes/{key}");
            let outcome = self.client.get(&path).await.unwrap();
            assert_eq!(outcome.body, body, "{key} was acknowledged");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_a_server_loses_nothing() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let mut server = ServerProcess::serve(&disk.file());
    let key = server.admin_key.clone().unwrap();
    let mut payer = Payer {
        client: server.client(&key),
        acknowledged: Vec::new(),
        open: Vec::new(),
        keys: 0,
    };
    create_economy(&mut payer.client).await;
    for kills in [false, true] {
        for _ in 0..20 {
            assert_eq!(payer.pay_with_new_key().await, 201);
        }
        disk.fill();
        payer.pay_until_refused().await;
        payer.check().await;
        if kills {
            server.kill();
        }
        disk.free();
        if kills {
            server = ServerProcess::serve(&disk.file());
            payer.client = server.client(&key);
        }
        payer.settle().await;
        payer.check().await;
    }
    let path = format!("{GUILD}/accounts/user:2");
    let account = payer.client.get(&path).await.unwrap().json();
    assert_eq!(account["balances"]["coin"]["posted"], payer.keys);
    assert!(server.stop(), "the server exits with 0");
    assert_audit_passes(&disk.file());
}

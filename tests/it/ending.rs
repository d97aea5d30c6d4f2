//! The end of a server: by itself when its file is gone, and within a time when it is asked to end.

use std::fs::File;
use std::time::Duration;

use bursar_server::client::Response;
use bursar_server::serve::Ended;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{House, Process, audited, install_malicious};

#[test]
fn a_process_whose_file_is_gone_ends_with_a_code_of_its_own_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let (file, said) = (folder.path().join("test.db"), folder.path().join("said"));
    let mut process = Process::logging(&file, File::create(&said).unwrap(), &[]);
    std::fs::rename(&file, folder.path().join("moved.db")).unwrap();
    assert_eq!(process.exit_code(), Some(70));
    let said = std::fs::read_to_string(&said).unwrap();
    assert!(said.contains("removed, moved or replaced"), "{said}");
    assert!(
        said.contains("error: the writer gave the file up"),
        "{said}"
    );
    assert!(!file.exists(), "no new file is made in its place");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_writer_gave_up_says_so_and_stops() {
    let house = House::new().await;
    let mut admin = house.admin();
    assert_eq!(admin.get("/healthz").await.unwrap().status, 200);
    std::fs::remove_file(house.file()).unwrap();
    // Whoever watches sees it, or finds nobody there any more.
    while let Ok(answer) = admin.get("/healthz").await {
        if answer.status == 503 {
            assert_eq!(answer.code(), "unavailable");
            break;
        }
    }
    assert_eq!(house.ended_by_itself().await, Ended::GaveUp);
}

/// A request whose body does not come.
async fn unfinished(address: &str, key: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/economies/guild/transfers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\
         Idempotency-Key: k\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server has begun to read the body.
    let mut answer = [0; 25];
    stream.read_exact(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 100 Continue"));
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_finish_does_not_keep_the_server() {
    let (house, _guild) = House::set_up(|setup| setup.stop_patience = Duration::from_secs(1))
        .await
        .furnished(1)
        .await;
    let stream = unfinished(house.address(), &house.admin_key).await;
    let (folder, ended) = house.stopped().await;
    assert_eq!(ended, Ended::InOrder, "only the client was cut off");
    audited(&folder.path().join("test.db"));
    // It had no answer before that: its own time to send a body was not waited for.
    let answered = stream.try_read(&mut [0; 1]);
    assert!(answered.is_err(), "{answered:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_does_not_return_does_not_keep_the_server() {
    let (house, mut guild) = House::set_up(|setup| {
        setup.stop_patience = Duration::from_secs(4);
        setup.limits.deadline = Duration::from_secs(20);
        setup.limits.fuel = 1 << 50;
        // An economy leaves as many places free as it has: here it has one.
        setup.calls.calls = 2;
    })
    .await
    .furnished(1)
    .await;
    install_malicious(&mut guild).await;
    let call = json!({ "caller": "user:1", "arguments": {} });
    let (mut bot, asked) = (house.admin(), call.clone());
    let calling = tokio::spawn(async move {
        let path = "/v1/economies/guild/plugins/malicious/actions/spin";
        let spins = |answer: &Response| answer.code() != "overloaded";
        while !bot
            .post(path, "spin", &asked)
            .await
            .as_ref()
            .is_ok_and(spins)
        {}
    });
    // Once somebody else is turned away the guest has the one place.
    let mut other = house.admin();
    let honest = "/v1/economies/guild/plugins/malicious/actions/honest";
    while other.post(honest, "k", &call).await.unwrap().code() != "overloaded" {}
    let (folder, ended) = house.stopped().await;
    let Ended::Late { left } = ended else {
        panic!("the guest was waited for: {ended:?}");
    };
    assert_eq!(left, ["a plugin's call"]);
    assert!(!calling.is_finished(), "and it goes on");
    audited(&folder.path().join("test.db"));
}

//! Components that are small and expensive to compile.

use bursar_host::Compiler;
use bursar_server::bundled;
use bursar_server::client::{Client, Response};
use bytes::Bytes;
use serde_json::json;

use crate::mutants::mutant;
use crate::server_process::{ServerProcess, binary};
use crate::support::{GUILD, TestServer, assert_audit_passes, currency, install_malicious, upload};

const COINFLIP: &[u8] = include_bytes!("../compat/0.1.0-first/coinflip.wasm");

/// The number of damaged components that reach the compiler, unless the environment sets another one.
const SURVIVORS: u64 = 20;

fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).unwrap();
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id], leb(content.len()).as_slice(), content].concat()
}

/// Returns a component with one function of 121 KiB: a table of 20,000 branches out of 900 blocks, with
/// changes to 5,000 locals between them. Every branch is an edge in the control-flow graph, and at every end
/// of a block each local may have one of many values.
fn slow_component() -> Vec<u8> {
    let blocks = 900;
    let branches = 20_000;
    let locals = 5_000;
    let get = |local: usize| [&[0x20], leb(local).as_slice()].concat();
    // One run of locals of type i32, after the one parameter.
    let mut body = [&[1], leb(locals).as_slice(), &[0x7f]].concat();
    body.extend([0x02, 0x40].repeat(blocks));
    body.extend(get(0));
    body.push(0x0e);
    body.extend(leb(branches));
    body.extend((0..branches).flat_map(|branch| leb(branch % blocks)));
    body.push(0);
    for block in 0..blocks {
        body.push(0x0b);
        for local in (0..8).map(|nth| (block * 8 + nth) % locals) {
            body.extend(get(1 + local * 13 % locals));
            body.extend(get(0));
            // i32.add, local.set.
            body.extend([0x6a, 0x21]);
            body.extend(leb(1 + local));
        }
    }
    for local in 1..=locals {
        body.extend(get(local));
        body.push(0x1a);
    }
    body.push(0x0b);
    let code = [&[1], leb(body.len()).as_slice(), &body].concat();
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    module.extend(section(1, &[1, 0x60, 1, 0x7f, 0]));
    module.extend(section(3, &[1, 0]));
    module.extend(section(10, &code));
    // A valid plugin with that module added.
    [bundled::MALICIOUS, &section(1, &module)].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_compiles_slowly_delays_only_its_own_upload() {
    let short_limit = Compiler::Child {
        program: binary().to_owned(),
        arguments: vec!["compile-component".into()],
        cpu_s: 4,
    };
    let server = TestServer::with_setup(|setup| setup.compiler = short_limit).await;
    let (server, mut guild) = server.with_members(2).await;
    // The same plugin without the module compiles within the same bound.
    install_malicious(&mut guild).await;
    let slow_upload = tokio::spawn(upload(server.admin(), slow_component()));
    let mut meanwhile = 0;
    while !slow_upload.is_finished() {
        let key = format!("meanwhile {meanwhile}");
        let paid = guild.transfer(&key, "user:1", "user:2", 1).await;
        assert_eq!(paid.status, 201, "{}", paid.json());
        let key = format!("{key} played");
        let played = guild.call("malicious/honest", &key, "user:1", json!({}));
        assert_eq!(played.await.status, 200);
        meanwhile += 1;
        tokio::task::yield_now().await;
        if meanwhile == 500 {
            // The rest of the balance is needed at the end of the test.
            break;
        }
    }
    let refused = slow_upload.await.unwrap();
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (422, "component_refused".into())
    );
    let findings = refused.json()["findings"].clone();
    assert_eq!(findings[0]["code"], "compiles_too_long", "{findings}");
    assert!(meanwhile > 0, "other requests were served meanwhile");
    let after = guild.transfer("after", "user:1", "user:2", 1).await;
    assert_eq!(after.status, 201);
    server.close().await;
}

/// Returns the number of damaged components to compile: `BURSAR_SURVIVORS`.
#[allow(
    clippy::disallowed_methods,
    reason = "tests have no configuration of their own"
)]
fn survivors() -> u64 {
    std::env::var("BURSAR_SURVIVORS").map_or(SURVIVORS, |count| count.parse().unwrap())
}

/// Returns true if a component reached the compiler.
fn was_compiled(response: &Response) -> bool {
    if response.status.is_success() {
        return true;
    }
    assert_eq!(response.code(), "component_refused", "{}", response.json());
    let code = response.json()["findings"][0]["code"].clone();
    let after = [
        "compile_failed",
        "compiles_too_long",
        "compiles_too_large",
        "link_failed",
        "describe_failed",
        "manifest_unstable",
        "manifest_invalid",
        "manifest_too_costly",
        "schema_invalid",
        "text_not_allowed",
        "schedule_missing",
    ];
    after.iter().any(|one| code == *one)
}

/// Installs an accepted component and calls it once. Nothing it does may cause an internal error.
async fn play(client: &mut Client, uploaded: &Response, number: u64) {
    let component = uploaded.json()["component"].clone();
    let plugin = json!({
        "component": component, "grants": "requested", "config": {"asset": "coin"}, "enabled": true,
    });
    let path = format!("{GUILD}/plugins/coinflip");
    let installed = client.put(&path, &plugin).await.unwrap();
    assert!(installed.status != 500, "{number}: {}", installed.json());
    let bet = json!({"caller": "user:1", "arguments": {"stake": 1, "side": "heads"}});
    let flip = format!("{path}/actions/flip");
    let flipped = client
        .post(&flip, &format!("{number}"), &bet)
        .await
        .unwrap();
    assert!(flipped.status != 500, "{number}: {}", flipped.json());
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_components_pass_through_the_compiler_without_leaking_memory() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.db");
    let server = ServerProcess::serve(&file);
    let key = server.admin_key.clone().unwrap();
    let mut client = server.client(&key);
    for (path, body) in [
        (GUILD.to_owned(), json!({})),
        (format!("{GUILD}/assets/coin"), currency()),
        (format!("{GUILD}/accounts/user:1"), json!({})),
    ] {
        assert_eq!(client.put(&path, &body).await.unwrap().status, 201);
    }
    for account in ["user:1", "plugin:coinflip"] {
        let body = json!({"account": account, "asset": "coin", "amount": 10_000});
        // The plugin's account exists only after the installation.
        if account == "plugin:coinflip" {
            let whole = upload(server.client(&key), COINFLIP).await;
            play(&mut client, &whole, u64::MAX).await;
        }
        let issued = client.post(&format!("{GUILD}/issue"), account, &body).await;
        assert_eq!(issued.unwrap().status, 201);
    }
    let before = server.resident_bytes();
    let mut compiled = 0;
    let mut accepted = 0;
    for number in 0..survivors() * 100 {
        let bytes = Bytes::from(mutant(COINFLIP, number));
        let response = upload(server.client(&key), bytes).await;
        compiled += u64::from(was_compiled(&response));
        if response.status == 201 {
            accepted += 1;
            play(&mut client, &response, number).await;
        }
        if compiled == survivors() {
            break;
        }
    }
    assert_eq!(
        compiled,
        survivors(),
        "enough components reached the compiler"
    );
    // Accepted components are kept ready to run; refused ones leave nothing in memory.
    let grown = server.resident_bytes().saturating_sub(before);
    let most = (64 + 4 * accepted) << 20;
    assert!(grown < most, "{grown} bytes more for {accepted} components");
    assert!(server.stop(), "the server exits with 0");
    assert_audit_passes(&file);
}

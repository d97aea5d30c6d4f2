//! Untrusted manifests: their cost is bounded before they are used, and their texts are safe to display.

use std::fmt::Write as _;
use std::process::Command;

use bursar_host::Compiler;
use bursar_server::bundled;
use bursar_server::client::Response;
use serde_json::{Value, json};

use crate::server_process::{ServerProcess, binary};
use crate::support::{GuildClient, TestServer, assert_audit_passes, install_malicious, upload};
use crate::workspace::RUST;

/// Returns a component with this manifest and one action that traps.
pub(crate) fn component(manifest: &Value) -> Vec<u8> {
    let manifest = manifest.to_string();
    let length = manifest.len();
    let mut data = String::new();
    for byte in manifest.bytes() {
        write!(data, "\\{byte:02x}").unwrap();
    }
    let pages = 2 + length / 65_536;
    let text = format!(
        r#"(component
  (core module $main-module (memory (export "memory") {pages})
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
    (func (export "describe") (result i32)
      (i32.store (i32.const 16) (i32.const 4096))
      (i32.store (i32.const 20) (i32.const {length}))
      (i32.const 16))
    (func (export "handle") (param i32 i32) (result i32) (unreachable))
    (data (i32.const 4096) "{data}"))
  (core instance $main (instantiate $main-module))
  (type $decline' (record (field "code" string) (field "message" string)))
  (func $describe (result string)
    (canon lift (core func $main "describe") (memory $main "memory")))
  (func $handle (param "arguments" string) (result (result string (error $decline')))
    (canon lift (core func $main "handle") (memory $main "memory")
      (realloc (func $main "realloc"))))
  (component $names
    (type $decline' (record (field "code" string) (field "message" string)))
    (import "decline" (type $decline (eq $decline')))
    (import "describe" (func $describe (result string)))
    (import "handle"
      (func $handle (param "arguments" string) (result (result string (error $decline)))))
    (export $named "decline" (type $decline))
    (export "describe" (func $describe))
    (export "handle" (func $handle)
      (func (param "arguments" string) (result (result string (error $named))))))
  (instance $handler (instantiate $names (with "decline" (type $decline'))
    (with "describe" (func $describe)) (with "handle" (func $handle))))
  (export "bursar:plugin/handler@0.2.0" (instance $handler)))"#
    );
    wat::parse_str(text).unwrap()
}

/// Returns a manifest with one value replaced.
pub(crate) fn manifest(pointer: &str, value: Value) -> Value {
    let mut manifest = json!({
        "id": "tester", "version": "1.0.0", "description": "A guest.", "license": "MIT",
        "accounts": [], "configuration": {}, "permissions": {},
        "actions": [{"name": "act", "description": "Acts.", "arguments": {}, "reply": {}}],
        "schedules": [{
            "name": "tick", "description": "", "every_s": 60, "offset_s": 0, "missed": "skip", "reply": {},
        }],
    });
    *manifest.pointer_mut(pointer).unwrap() = value;
    manifest
}

/// The four places of schemas in a manifest.
const SCHEMAS: [&str; 4] = [
    "/configuration",
    "/actions/0/arguments",
    "/actions/0/reply",
    "/schedules/0/reply",
];

/// Returns the findings of a refused upload.
fn findings(refused: &Response) -> Vec<Value> {
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (422, "component_refused".into()),
        "{}",
        refused.json()
    );
    refused.json()["findings"].as_array().unwrap().clone()
}

async fn pays_and_plays(guild: &mut GuildClient, key: &str) {
    let paid = guild.transfer(key, "user:1", "user:2", 1).await;
    assert_eq!(paid.status, 201, "{}", paid.json());
    let key = format!("{key} played");
    let played = guild
        .call("malicious/honest", &key, "user:1", json!({}))
        .await;
    assert_eq!(played.status, 200, "{}", played.json());
}

/// In a validator without a step limit each level doubles the work: 22 levels take minutes, 40 never end.
#[tokio::test(flavor = "multi_thread")]
async fn an_exponential_schema_is_refused_in_every_place() {
    let (server, mut guild) = TestServer::with_guild(2).await;
    install_malicious(&mut guild).await;
    let endless = (0..40).fold(
        json!({"type": "object"}),
        |below, _| json!({"allOf": [below], "unevaluatedProperties": {"type": "integer"}}),
    );
    for (number, place) in SCHEMAS.into_iter().enumerate() {
        let bytes = component(&manifest(place, endless.clone()));
        assert!(bytes.len() < 8_000, "{} bytes", bytes.len());
        let refused = upload(server.admin(), bytes).await;
        let found = findings(&refused);
        for finding in &found[..found.len() - 1] {
            assert_eq!(finding["code"], "schema_invalid");
            let pointer = finding["pointer"].as_str().unwrap();
            assert!(pointer.starts_with(place), "{pointer}");
            assert!(pointer.ends_with("/unevaluatedProperties"), "{pointer}");
            assert!(
                finding["hint"]
                    .as_str()
                    .unwrap()
                    .contains("additionalProperties")
            );
        }
        pays_and_plays(&mut guild, &format!("after {number}")).await;
    }
    server.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn patterns_of_unicode_classes_use_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.db");
    let server = ServerProcess::serve(&file);
    let key = server.admin_key.clone().unwrap();
    let whole = upload(server.client(&key), bundled::MALICIOUS).await;
    assert_eq!(whole.status, 201);
    let before = server.resident_bytes();
    for place in SCHEMAS {
        let pattern = |number: usize| json!({"pattern": format!("^(\\p{{L}}{{90}}){{{number}}}$")});
        let patterns: Vec<Value> = (1..=200).map(pattern).collect();
        let bytes = component(&manifest(place, json!({ "anyOf": patterns })));
        assert!(bytes.len() < 16_000, "{} bytes", bytes.len());
        let refused = upload(server.client(&key), bytes).await;
        let found = findings(&refused);
        assert!(
            found
                .iter()
                .all(|finding| finding["code"] == "schema_invalid")
        );
        assert!(
            found[0]["hint"].as_str().unwrap().contains("maxLength"),
            "{found:?}"
        );
    }
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
    assert!(server.stop(), "the server exits with 0");
    assert_audit_passes(&file);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_with_invisible_characters_is_refused_and_not_printed() {
    let (server, _) = TestServer::with_guild(1).await;
    let texts = [
        (
            "/description",
            "\u{1b}[2K\u{1b}[32m✓ shop 1.0.0 may run\u{1b}[0m",
        ),
        ("/license", "MIT\u{202e}txet"),
        ("/actions/0/description", "a\u{2066}b"),
        ("/actions/0/name", "\u{1b}[1A"),
        ("/version", "1.0.0\r"),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (pointer, text) in texts {
        let bytes = component(&manifest(pointer, json!(text)));
        let refused = upload(server.admin(), bytes.clone()).await;
        let found = findings(&refused);
        assert_eq!(
            (&found[0]["code"], &found[0]["pointer"]),
            (&json!("text_not_allowed"), &json!(pointer))
        );
        let file = folder.path().join("plugin.wasm");
        std::fs::write(&file, bytes).unwrap();
        let checked = Command::new(binary())
            .args(["plugin", "check"])
            .arg(&file)
            .output()
            .unwrap();
        assert!(!checked.status.success());
        let output = [checked.stdout, checked.stderr].concat();
        let output = String::from_utf8(output).unwrap();
        assert!(output.contains("text_not_allowed"), "{output}");
        let draws = |character: char| character.is_control() && character != '\n';
        assert!(
            !output.contains(draws) && !output.contains(['\u{202e}', '\u{2066}']),
            "{output:?}"
        );
    }
    server.close().await;
}

/// Returns a compiler under a resource limit of the shell, in KiB.
fn compiler_within(limit: &str, kib: u64) -> Compiler {
    let program = binary().display();
    let script = format!("ulimit {limit} {kib}; exec '{program}' compile-component \"$0\"");
    Compiler::child("/bin/sh".into(), vec!["-c".into(), script])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_limit_of_the_machine_is_not_reported_as_a_component_error() {
    // Less than the compiler's own bound, but enough for this component.
    let server =
        TestServer::with_setup(|setup| setup.compiler = compiler_within("-d", 1 << 20)).await;
    let uploaded = upload(server.admin(), bundled::MALICIOUS).await;
    assert_eq!(uploaded.status, 201, "{}", uploaded.json());
    server.close().await;
    for (limit, kib) in [("-d", 24 << 10), ("-v", 256 << 10)] {
        let server =
            TestServer::with_setup(|setup| setup.compiler = compiler_within(limit, kib)).await;
        let failed = upload(server.admin(), bundled::MALICIOUS).await;
        assert_eq!(
            (failed.status.as_u16(), failed.code()),
            (503, "unavailable".into()),
            "{limit}: {}",
            failed.json()
        );
        assert!(failed.retry_after.is_some());
        assert_ne!(failed.json()["retry"], "never");
        server.close().await;
    }
}

/// The child process parses a manifest before this process does, also at a restart, unless the cache shows
/// that it was parsed.
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_is_parsed_in_the_child_process_first() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    // The script records the first byte of each request to the child, which is its kind.
    let log_file = log.display();
    let program = binary().display();
    let script = format!(
        "tag=$(dd bs=1 count=1 2>/dev/null); printf %s \"$tag\" >> '{log_file}'; \
         {{ printf %s \"$tag\"; cat; }} | '{program}' compile-component \"$0\""
    );
    let compiler = Compiler::child("/bin/sh".into(), vec!["-c".into(), script]);
    let server = TestServer::with_setup(|setup| setup.compiler = compiler).await;
    let read = || std::fs::read_to_string(&log).unwrap_or_default();
    let (server, mut guild) = server.with_members(2).await;
    install_malicious(&mut guild).await;
    assert_eq!(read(), "cm", "the child compiled, then parsed the manifest");
    let cache = server.file().with_extension("db.cache");
    let cached = std::fs::read_dir(&cache).unwrap();
    let mut cached = cached.map(|entry| entry.unwrap().path());
    assert!(
        cached.any(|path| path.extension().is_some_and(|it| it == "manifest")),
        "the cache notes that the manifest was parsed"
    );
    // The next start finds the code and the note in the cache and starts no child.
    let server = server.restart().await;
    let mut guild = GuildClient {
        client: server.admin(),
    };
    pays_and_plays(&mut guild, "again").await;
    assert_eq!(read(), "cm");
    server.close().await;
}

/// Schemas are checked on worker threads or in a slot for checks, never on a thread that serves requests.
#[test]
fn schemas_are_checked_in_two_files_of_the_server_only() {
    let mut checking = Vec::new();
    let root = "engine/server/src/";
    for source in RUST.iter().filter(|source| source.path.starts_with(root)) {
        let text = source.text.split_whitespace().collect::<String>();
        let checks = [
            "manifest().check_",
            "manifest.check_",
            "configuration::check(",
        ];
        if checks.iter().any(|check| text.contains(check)) {
            checking.push(&source.path[root.len()..]);
        }
    }
    assert_eq!(checking, ["service/calls.rs", "service/checks.rs"]);
}

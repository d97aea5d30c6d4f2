//! Manifests of strangers: what they cost is bounded before anything of them is used, and what they say is
//! fit to be shown.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use bursar_host::Compiler;
use bursar_server::bundled;
use bursar_server::client::Response;
use serde_json::{Value, json};

use crate::support::{Guild, House, Process, audited, binary, install_malicious, upload};

/// A component of one function that says this manifest of itself.
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

/// A manifest with one thing in it set.
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

/// The four places in which a manifest has schemas.
const SCHEMAS: [&str; 4] = [
    "/configuration",
    "/actions/0/arguments",
    "/actions/0/reply",
    "/schedules/0/reply",
];

/// The findings of an upload that is refused.
fn findings(refused: &Response) -> Vec<Value> {
    assert_eq!(
        (refused.status.as_u16(), refused.code()),
        (422, "component_refused".into()),
        "{}",
        refused.json()
    );
    refused.json()["findings"].as_array().unwrap().clone()
}

async fn pays_and_plays(guild: &mut Guild, key: &str) {
    let paid = guild.transfer(key, "user:1", "user:2", 1).await;
    assert_eq!(paid.status, 201, "{}", paid.json());
    let key = format!("{key} played");
    let played = guild
        .call("malicious/honest", &key, "user:1", json!({}))
        .await;
    assert_eq!(played.status, 200, "{}", played.json());
}

/// In a validator that counts nothing each level doubles the work: 22 levels take minutes, 40 never end.
#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_would_never_end_is_refused_wherever_it_stands() {
    let (house, mut guild) = House::with_guild(2).await;
    install_malicious(&mut guild).await;
    let endless = (0..40).fold(
        json!({"type": "object"}),
        |below, _| json!({"allOf": [below], "unevaluatedProperties": {"type": "integer"}}),
    );
    for (number, place) in SCHEMAS.into_iter().enumerate() {
        let bytes = component(&manifest(place, endless.clone()));
        assert!(bytes.len() < 8_000, "{} bytes", bytes.len());
        let refused = upload(house.admin(), bytes).await;
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
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn patterns_of_unicode_classes_take_no_memory_to_speak_of() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.db");
    let server = Process::serve(&file);
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
    assert!(server.stop(), "it ends in order");
    audited(&file);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_is_not_seen_is_refused_and_draws_nothing_on_a_terminal() {
    let (house, _) = House::with_guild(1).await;
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
        let refused = upload(house.admin(), bytes.clone()).await;
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
        let said = [checked.stdout, checked.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert!(said.contains("text_not_allowed"), "{said}");
        let draws = |character: char| character.is_control() && character != '\n';
        assert!(
            !said.contains(draws) && !said.contains(['\u{202e}', '\u{2066}']),
            "{said:?}"
        );
    }
    house.close().await;
}

/// A compiler under a hard limit of the machine's, in KiB.
fn compiler_within(limit: &str, kib: u64) -> Compiler {
    let program = binary().display();
    let script = format!("ulimit {limit} {kib}; exec '{program}' compile-component \"$0\"");
    Compiler::child("/bin/sh".into(), vec!["-c".into(), script])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_the_machine_below_the_compilers_own_is_no_fault_of_the_component() {
    // Less than the compiler's own bound, and enough for this one.
    let house = House::set_up(|setup| setup.compiler = compiler_within("-d", 1 << 20)).await;
    let uploaded = upload(house.admin(), bundled::MALICIOUS).await;
    assert_eq!(uploaded.status, 201, "{}", uploaded.json());
    house.close().await;
    for (limit, kib) in [("-d", 24 << 10), ("-v", 256 << 10)] {
        let house = House::set_up(|setup| setup.compiler = compiler_within(limit, kib)).await;
        let failed = upload(house.admin(), bundled::MALICIOUS).await;
        assert_eq!(
            (failed.status.as_u16(), failed.code()),
            (503, "unavailable".into()),
            "{limit}: {}",
            failed.json()
        );
        assert!(failed.retry_after.is_some());
        assert_ne!(failed.json()["retry"], "never");
        house.close().await;
    }
}

/// The child reads a manifest before this process does, also at the next start, unless the cache vouches for
/// it.
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_is_read_by_the_child_first() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    // Notes the first byte of what the child is sent, which says what it is to do.
    let (log_file, program) = (log.display(), binary().display());
    let script = format!(
        "tag=$(dd bs=1 count=1 2>/dev/null); printf %s \"$tag\" >> '{log_file}'; \
         {{ printf %s \"$tag\"; cat; }} | '{program}' compile-component \"$0\""
    );
    let compiler = Compiler::child("/bin/sh".into(), vec!["-c".into(), script]);
    let house = House::set_up(|setup| setup.compiler = compiler).await;
    let read = || std::fs::read_to_string(&log).unwrap_or_default();
    let (house, mut guild) = house.furnished(2).await;
    install_malicious(&mut guild).await;
    assert_eq!(read(), "cm", "compiled, and its manifest read");
    let cache = house.file().with_extension("db.cache");
    let kept = std::fs::read_dir(&cache).unwrap();
    let mut kept = kept.map(|entry| entry.unwrap().path());
    assert!(
        kept.any(|path| path.extension().is_some_and(|it| it == "manifest")),
        "a note is kept that it was read"
    );
    // The next start has the code and the note, and asks no child.
    let house = house.restarted().await;
    let mut guild = Guild {
        client: house.admin(),
    };
    pays_and_plays(&mut guild, "again").await;
    assert_eq!(read(), "cm");
    house.close().await;
}

/// The cost of strangers' schemas is paid on worker threads or in a place for checks, never on a thread that
/// serves requests.
#[test]
fn schemas_are_checked_in_two_files_of_the_server_alone() {
    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|it| it == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/server/src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut checking = Vec::new();
    for file in files {
        let source = std::fs::read_to_string(&file).unwrap();
        let source = source.split_whitespace().collect::<String>();
        let checks = [
            "manifest().check_",
            "manifest.check_",
            "configuration::check(",
        ];
        if checks.iter().any(|check| source.contains(check)) {
            checking.push(file.strip_prefix(&root).unwrap().display().to_string());
        }
    }
    checking.sort();
    assert_eq!(checking, ["service/calls.rs", "service/checks.rs"]);
}

//! The stages of the upload check, each with its stable code.

use super::economy::host;
use super::guest::{Guest, bytes};
use crate::limits::UPLOAD_BYTES_MAX;
use crate::report::{Finding, LoadError, Report, UploadLocation};

/// Returns the findings about an upload.
pub(super) fn findings(bytes: &[u8]) -> Vec<Finding> {
    match host().check(bytes) {
        Ok(_) => Vec::new(),
        Err(LoadError::Refused(Report { findings })) => findings,
        Err(other) => panic!("no finding about the component: {other}"),
    }
}

pub(super) fn codes_of(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.code).collect()
}

pub(super) fn codes(bytes: &[u8]) -> Vec<&'static str> {
    codes_of(&findings(bytes))
}

/// Returns the only finding about an upload.
pub(super) fn finding(bytes: &[u8]) -> Finding {
    let mut findings = findings(bytes);
    assert_eq!(findings.len(), 1, "{findings:?}");
    findings.remove(0)
}

#[test]
fn valid_component_passes_with_its_manifest() {
    let checked = host().check(&Guest::new().bytes()).unwrap();
    let manifest = checked.manifest();
    assert_eq!(manifest.id.as_str(), "tester");
    assert_eq!(manifest.version, "1.0.0");
    assert_eq!(manifest.accounts, ["till"]);
    assert_eq!(manifest.action("act").unwrap().description, "Acts.");
    assert!(manifest.action("other").is_none());
}

#[test]
fn component_may_import_every_interface_of_the_contract() {
    let mut guest = Guest::new();
    // This function is never called, but its imports are lowered and linked.
    guest.fields = "(func
        (call $host-ledger-balance (unreachable))
        (call $host-state-get (unreachable))
        (call $host-fair-secure (unreachable))
        (drop (call $host-call-now))
        (call $host-log-write (unreachable)))"
        .into();
    assert_eq!(findings(&guest.bytes()), []);
}

#[test]
fn upload_ends_at_its_size_limit() {
    let mut upload = vec![0; UPLOAD_BYTES_MAX];
    assert_eq!(codes(&upload), ["not_wasm"]);
    upload.push(0);
    assert_eq!(codes(&upload), ["too_large"]);
}

#[test]
fn upload_that_is_no_component_is_identified() {
    let good = Guest::new();
    let compiled = wasmtime::Engine::default()
        .precompile_component(&good.bytes())
        .unwrap();
    let text = good.wat();
    let uploads: [(&[u8], &str); 7] = [
        (b"", "not_wasm"),
        (b"\0asm", "not_wasm"),
        (b"#!/bin/sh", "not_wasm"),
        (b"PK\x03\x04", "not_wasm"),
        (&bytes("(module)"), "core_module"),
        (text.as_bytes(), "text_format"),
        (&compiled, "precompiled"),
    ];
    for (upload, code) in uploads {
        let finding = finding(upload);
        assert_eq!(finding.code, code);
        assert!(finding.hint.is_some(), "{code} has a hint");
    }
}

#[test]
fn damaged_component_is_invalid() {
    let good = Guest::new().bytes();
    for length in (8..good.len()).step_by(97) {
        let codes = codes(&good[..length]);
        // A cut between two sections leaves a valid component without the export.
        assert!(
            codes == ["invalid"] || codes == ["export_missing"],
            "{length}: {codes:?}"
        );
    }
    assert_eq!(codes(&good[..good.len() - 1]), ["invalid"]);
    let mut flipped = good.clone();
    flipped[8] ^= 0xff;
    assert_eq!(codes(&flipped), ["invalid"]);
    let trailing = [&good[..], b"\0"].concat();
    assert_eq!(codes(&trailing), ["invalid"]);
}

#[test]
fn disabled_feature_is_invalid() {
    let core = [
        "(memory i64 1)",
        "(memory 1 1 shared)",
        "(memory 1 (pagesize 1))",
        "(table i64 1 funcref)",
        "(func return_call 0)",
        "(func (param i64 i64 i64 i64) (result i64 i64)
            local.get 0 local.get 1 local.get 2 local.get 3 i64.add128)",
        "(func (param v128) (result v128) local.get 0 i32x4.relaxed_trunc_f32x4_s)",
        "(type (struct))",
        "(func (result (ref i31)) (ref.i31 (i32.const 1)))",
        "(func (param externref))",
        "(table 1 externref)",
        "(tag)",
        "(memory 1) (func (drop (i32.atomic.load (i32.const 0))))",
    ];
    let outer = [
        "(type (stream u8))",
        "(type (future u8))",
        "(type (func async))",
        "(core func (canon context.get i32 0))",
        "(type (list u8 4))",
        "(core func (canon error-context.drop))",
    ];
    let core = core.map(|fields| format!("(component (core module {fields}))"));
    let outer = outer.map(|fields| format!("(component {fields})"));
    for text in core.iter().chain(&outer) {
        let finding = finding(&bytes(text));
        assert_eq!(finding.code, "invalid", "{text}: {finding:?}");
    }
    assert_eq!(
        codes(&bytes("(component (core module (memory 1)))")),
        ["export_missing"]
    );
}

#[test]
fn types_that_expand_without_end_are_invalid() {
    let chain = |links: usize, link: &dyn Fn(usize) -> String| {
        let types: String = (1..links).map(link).collect();
        codes(&bytes(&format!("(component (type $t0 (list u8)) {types})")))
    };
    let list = |at: usize| format!("(type $t{at} (list $t{}))", at - 1);
    assert_eq!(chain(90, &list), ["export_missing"]);
    assert_eq!(chain(110, &list), ["invalid"]);
    let pair = |at: usize| format!("(type $t{at} (tuple $t{0} $t{0}))", at - 1);
    assert_eq!(chain(15, &pair), ["export_missing"]);
    assert_eq!(chain(30, &pair), ["invalid"]);
}

#[test]
fn package_of_interfaces_is_not_a_component() {
    let mut resolve = wit_parser::Resolve::new();
    let package = resolve.push_str("a.wit", "package a:b; interface c { d: func(); }");
    let package = wit_component::encode(&resolve, package.unwrap()).unwrap();
    assert_eq!(codes(&package), ["wit_package"]);
}

#[test]
fn plugin_that_cannot_describe_itself_is_rejected() {
    let describes = [
        ("(loop br 0)", "it ran out of fuel"),
        ("(unreachable)", "it gave up"),
        ("(drop (i32.load (i32.const -4)))", "it trapped"),
        ("(drop (memory.grow (i32.const 10000)))", "memory"),
        ("(drop (call $host-call-now))", "while describing itself"),
        (
            "(call $host-state-get (i32.const 0) (i32.const 1) (i32.const 64))",
            "while describing itself",
        ),
        (
            "(call $host-call-configuration (i32.const 64))",
            "while describing itself",
        ),
        (
            "(drop (call $host-fair-below (i32.const 2) (i32.const 0) (i32.const 0)))",
            "while describing itself",
        ),
    ];
    for (describe, cause) in describes {
        let mut guest = Guest::new();
        guest.describe = describe.into();
        let finding = finding(&guest.bytes());
        assert_eq!(finding.code, "describe_failed", "{describe}");
        assert!(finding.message.contains(cause), "{}", finding.message);
    }
}

#[test]
fn plugin_may_write_log_lines_while_it_describes_itself() {
    let mut guest = Guest::new();
    guest.describe = "(call $host-log-write (i32.const 1) (i32.const 0) (i32.const 8))".into();
    assert_eq!(findings(&guest.bytes()), []);
}

#[test]
fn start_function_is_bounded_like_any_other() {
    let mut guest = Guest::new();
    guest.fields = "(func $spin (loop br 0)) (start $spin)".into();
    let finding = finding(&guest.bytes());
    assert_eq!(finding.code, "describe_failed");
    assert!(finding.message.contains("it ran out of fuel"));
}

#[test]
fn report_is_plain_text_with_its_hint() {
    let report = host().check(b"").err().unwrap();
    let text = report.to_string();
    assert!(text.starts_with("not_wasm: this is not WebAssembly\n    build it as a component"));
}

#[test]
fn report_as_text_has_all_details() {
    let finding = Finding::new("function_differs", "it imports `now` with a different type")
        .hint("regenerate the bindings")
        .at(UploadLocation::byte(31_u32).in_function(7))
        .mismatch("now: func() -> u64;", "now: func() -> t;\nrecord t { }")
        .nearest("know", ["then", "now"]);
    let text = "function_differs: it imports `now` with a different type
    at byte 0x1f, in function 7
    expected
        now: func() -> u64;
    found
        now: func() -> t;
        record t { }
    did you mean `now`?
    regenerate the bindings
";
    assert_eq!(Report::from(finding).to_string(), text);
}

#[test]
fn dissimilar_name_is_not_suggested() {
    let nearest = |to: &str| {
        Finding::new("", "")
            .nearest(to, ["secure", "below"])
            .nearest
    };
    assert_eq!(nearest("secrue").as_deref(), Some("secure"));
    assert_eq!(nearest("bellow").as_deref(), Some("below"));
    assert_eq!(nearest("shuffle"), None);
    assert_eq!(nearest(""), None);
    assert_eq!(Finding::new("", "").nearest("below", []).nearest, None);
}

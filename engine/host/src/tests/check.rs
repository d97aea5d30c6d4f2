//! The check of an upload, stage by stage, each with its stable code.

use super::guest::{Guest, bytes, functions_of};
use super::world::host;
use crate::limits::{
    BLOCKS_NESTED_MAX, BODY_BYTES_MAX, CODE_BYTES_MAX, FUNCTIONS_MAX, PARTS_MAX, TYPES_BYTES_MAX,
    UPLOAD_BYTES_MAX,
};
use crate::report::{Finding, Report};
use crate::shape::{check_sizes, check_validity};

/// What an upload is refused for.
fn findings(bytes: &[u8]) -> Vec<Finding> {
    match host().check(bytes) {
        Ok(_) => Vec::new(),
        Err(Report { findings }) => findings,
    }
}

fn codes_of(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.code).collect()
}

fn codes(bytes: &[u8]) -> Vec<&'static str> {
    codes_of(&findings(bytes))
}

/// The only finding about an upload.
fn finding(bytes: &[u8]) -> Finding {
    let mut findings = findings(bytes);
    assert_eq!(findings.len(), 1, "{findings:?}");
    findings.remove(0)
}

#[test]
fn good_component_is_let_in_with_its_manifest() {
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
    // Never called, but imported, lowered and linked.
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
fn what_is_no_component_is_named_for_what_it_is() {
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
        assert!(finding.hint.is_some(), "{code} says what to do");
    }
}

#[test]
fn damaged_component_is_invalid() {
    let good = Guest::new().bytes();
    for length in (8..good.len()).step_by(97) {
        let codes = codes(&good[..length]);
        // Between two sections the rest is a component again, of which the export is gone.
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
fn feature_that_is_switched_off_is_invalid() {
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
fn types_that_unfold_without_end_are_invalid() {
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
fn sizes_end_at_their_limits() {
    let sizes = |functions: &[usize]| match check_sizes(&functions_of(functions)) {
        Ok(()) => Vec::new(),
        Err(report) => codes_of(&report.findings),
    };
    assert_eq!(sizes(&vec![2; FUNCTIONS_MAX]), [""; 0]);
    assert_eq!(sizes(&vec![2; FUNCTIONS_MAX + 1]), ["too_many_functions"]);
    assert_eq!(sizes(&[BODY_BYTES_MAX]), [""; 0]);
    assert_eq!(sizes(&[BODY_BYTES_MAX + 1]), ["function_too_large"]);
    let mut all = vec![BODY_BYTES_MAX; CODE_BYTES_MAX / BODY_BYTES_MAX];
    assert_eq!(sizes(&all), [""; 0]);
    all.push(2);
    assert_eq!(sizes(&all), ["too_much_code"]);
    all.push(BODY_BYTES_MAX + 1);
    assert_eq!(sizes(&all), ["too_much_code", "function_too_large"]);
}

#[test]
fn component_that_was_encoded_by_hand_is_valid() {
    // Or else the test of the sizes would be about nothing.
    let good = functions_of(&[2, 3, 200, 70_000]);
    check_validity(&good).unwrap();
    assert_eq!(codes(&good), ["export_missing"]);
}

#[test]
fn parts_are_counted_at_every_depth() {
    let mut guest = Guest::new();
    // The guest itself has two modules and a component.
    guest.component_fields = "(core module)".repeat(PARTS_MAX - 4);
    guest.component_fields.push_str("(component)");
    assert_eq!(findings(&guest.bytes()), []);
    guest.component_fields.push_str("(component (core module))");
    let finding = finding(&guest.bytes());
    assert_eq!(finding.code, "too_many_parts");
    assert!(
        finding.message.contains("66, of at most 64"),
        "{}",
        finding.message
    );
}

#[test]
fn every_stranger_among_the_imports_is_named() {
    let mut guest = Guest::doing("(drop (call $host-call-now))");
    guest.component_fields = r#"
        (import "wasi:cli/environment@0.2.0" (instance))
        (import "bursar:plugin/secrets@0.1.0" (instance))
        (import "someone:else/thing" (instance))
        (import "bare-function" (func))"#
        .into();
    let findings = findings(&guest.bytes());
    assert_eq!(codes_of(&findings), ["import_not_allowed"; 4]);
    let said = |at: usize| {
        (
            findings[at].message.clone(),
            findings[at].hint.clone().unwrap(),
        )
    };
    let (message, hint) = said(0);
    assert!(
        message.contains("`wasi:cli/environment@0.2.0`"),
        "{message}"
    );
    assert!(hint.contains("there is no WASI here"), "{hint}");
    let (message, hint) = said(1);
    assert!(
        message.contains("`bursar:plugin/secrets@0.1.0`"),
        "{message}"
    );
    assert!(hint.contains("this server offers"), "{hint}");
    assert!(said(2).0.contains("`someone:else/thing`"));
    assert!(said(2).1.contains("a plugin imports nothing but"));
    assert!(said(3).0.contains("`bare-function`"));
}

#[test]
fn another_version_of_the_contract_is_named_with_what_is_offered() {
    let guest = Guest::doing("(drop (call $host-call-now))");
    for version in ["0.1.1", "0.2.0", "1.0.0"] {
        let text = guest
            .wat()
            .replace("call@0.1.0", &format!("call@{version}"));
        let finding = finding(&bytes(&text));
        assert_eq!(finding.code, "import_not_allowed");
        assert!(finding.message.contains(version));
        let hint = finding.hint.unwrap();
        assert!(hint.contains("bursar:plugin/call@0.1.0"), "{hint}");
    }
}

#[test]
fn component_without_the_handler_lacks_its_export() {
    let other = Guest::new().wat().replace("handler@0.1.0", "handler@0.2.0");
    for text in ["(component)", &other] {
        let finding = finding(&bytes(text));
        assert_eq!(finding.code, "export_missing");
        assert!(finding.message.contains("`bursar:plugin/handler@0.1.0`"));
    }
}

#[test]
fn stranger_and_missing_export_are_found_together() {
    let text = r#"(component (import "wasi:cli/stdin@0.2.0" (instance)))"#;
    assert_eq!(
        codes(&bytes(text)),
        ["import_not_allowed", "export_missing"]
    );
}

#[test]
fn package_of_interfaces_is_not_a_component() {
    let mut resolve = wit_parser::Resolve::new();
    let package = resolve.push_str("a.wit", "package a:b; interface c { d: func(); }");
    let package = wit_component::encode(&resolve, package.unwrap()).unwrap();
    assert_eq!(codes(&package), ["wit_package"]);
}

#[test]
fn import_of_another_shape_is_not_linked() {
    let guest = Guest::doing("(drop (call $host-call-now))");
    let text = guest
        .wat()
        .replace("(func (result u64))", "(func (result s64))");
    let finding = finding(&bytes(&text));
    assert_eq!(finding.code, "link_failed");
    assert!(
        finding.message.contains("expected `u64` found `s64`"),
        "{}",
        finding.message
    );
    assert!(finding.hint.is_some());
}

#[test]
fn handler_of_another_shape_is_refused() {
    let guest = Guest::new().wat();
    let renamed = guest.replace("(field \"message\" string)", "(field \"sentence\" string)");
    let finding = finding(&bytes(&renamed));
    assert_eq!(finding.code, "describe_failed");
    assert!(
        finding
            .message
            .contains("expected record field named message"),
        "{finding:?}"
    );
    let renamed = guest.replace(
        "(export \"describe\" (func $d",
        "(export \"explain\" (func $d",
    );
    assert_eq!(codes(&bytes(&renamed)), ["link_failed"]);
}

#[test]
fn function_that_the_contract_does_not_have_is_not_linked() {
    let guest = Guest::doing("(drop (call $host-call-now))");
    let text = guest.wat().replace("\"now\"", "\"then\"");
    assert_eq!(codes(&bytes(&text)), ["link_failed"]);
}

#[test]
fn plugin_that_cannot_describe_itself_is_refused() {
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
    for (describe, why) in describes {
        let mut guest = Guest::new();
        guest.describe = describe.into();
        let finding = finding(&guest.bytes());
        assert_eq!(finding.code, "describe_failed", "{describe}");
        assert!(finding.message.contains(why), "{}", finding.message);
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
fn refusal_is_plain_text_with_its_hint() {
    let report = host().check(b"").err().unwrap();
    let text = report.to_string();
    assert!(text.starts_with("not_wasm: this is not WebAssembly\n    build it as a component"));
}

/// A component of nothing but instance types within each other, in a section of so many bytes.
fn nested_types(bytes: usize) -> Vec<u8> {
    let leb = |mut number: usize| {
        let mut encoded = Vec::new();
        loop {
            let low = u8::try_from(number % 128).unwrap();
            number /= 128;
            encoded.push(if number > 0 { low | 128 } else { low });
            if number == 0 {
                return encoded;
            }
        }
    };
    // One type; then "an instance type with one declaration, which is a type", and so on.
    let mut section = vec![1];
    while section.len() + 5 <= bytes {
        section.extend([0x42, 1, 1]);
    }
    section.extend([0x42, 0]);
    let mut component = b"\0asm\x0d\0\x01\0\x07".to_vec();
    component.extend(leb(section.len()));
    component.extend(section);
    component
}

#[test]
fn types_within_types_end_before_the_stack_does() {
    assert_eq!(codes(&nested_types(TYPES_BYTES_MAX)), ["export_missing"]);
    assert_eq!(
        codes(&nested_types(TYPES_BYTES_MAX + 3)),
        ["types_too_large"]
    );
    assert_eq!(codes(&nested_types(1 << 20)), ["types_too_large"]);
}

#[test]
fn blocks_within_blocks_end_at_their_limit() {
    let nested = |depth: usize| {
        let mut guest = Guest::new();
        guest.fields = format!("(func {} {})", "(block ".repeat(depth), ")".repeat(depth));
        guest.bytes()
    };
    assert_eq!(codes(&nested(BLOCKS_NESTED_MAX)), [""; 0]);
    assert_eq!(codes(&nested(BLOCKS_NESTED_MAX + 1)), ["function_too_deep"]);
}

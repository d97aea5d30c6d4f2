//! The comparison of imports and exports with the contract.

use super::check::{codes, codes_of, finding, findings};
use super::guest::{Guest, bytes};

#[test]
fn every_unknown_import_is_named() {
    let mut guest = Guest::doing("(drop (call $host-call-now))");
    guest.component_fields = r#"
        (import "wasi:cli/environment@0.2.0" (instance))
        (import "bursar:plugin/secrets@0.2.0" (instance))
        (import "someone:else/thing" (instance))
        (import "bare-function" (func))"#
        .into();
    let findings = findings(&guest.bytes());
    assert_eq!(codes_of(&findings), ["import_not_allowed"; 4]);
    let texts = |at: usize| {
        (
            findings[at].message.clone(),
            findings[at].hint.clone().unwrap(),
        )
    };
    let (message, hint) = texts(0);
    assert!(
        message.contains("`wasi:cli/environment@0.2.0`"),
        "{message}"
    );
    assert!(hint.contains("plugins have no WASI"), "{hint}");
    let (message, hint) = texts(1);
    assert!(
        message.contains("`bursar:plugin/secrets@0.2.0`"),
        "{message}"
    );
    assert!(hint.contains("this server offers"), "{hint}");
    assert!(texts(2).0.contains("`someone:else/thing`"));
    assert!(texts(2).1.contains("a plugin can import only"));
    assert!(texts(3).0.contains("`bare-function`"));
}

#[test]
fn another_version_of_the_contract_is_named_with_what_is_offered() {
    let guest = Guest::doing("(drop (call $host-call-now))");
    for version in ["0.1.1", "0.2.1", "1.0.0"] {
        let text = guest
            .wat()
            .replace("call@0.2.0", &format!("call@{version}"));
        let finding = finding(&bytes(&text));
        assert_eq!(finding.code, "import_not_allowed");
        assert!(finding.message.contains(version));
        assert_eq!(finding.expected.as_deref(), Some("0.2.0"));
        assert_eq!(finding.found.as_deref(), Some(version));
        let hint = finding.hint.unwrap();
        assert!(hint.contains("bursar:plugin/call@0.2.0"), "{hint}");
    }
}

#[test]
fn component_without_the_handler_is_rejected() {
    let other = Guest::new().wat().replace("handler@0.2.0", "handler@0.3.0");
    for text in ["(component)", &other] {
        let finding = finding(&bytes(text));
        assert_eq!(finding.code, "export_missing");
        assert!(finding.message.contains("`bursar:plugin/handler@0.2.0`"));
    }
}

#[test]
fn unknown_import_and_missing_export_are_found_together() {
    let text = r#"(component (import "wasi:cli/stdin@0.2.0" (instance)))"#;
    assert_eq!(
        codes(&bytes(text)),
        ["import_not_allowed", "export_missing"]
    );
}

#[test]
fn misspelt_interface_gets_a_suggestion() {
    let guest = Guest::doing("(drop (call $host-call-now))").wat();
    let misspelt = guest.replace("plugin/call@", "plugin/cal@");
    let nearest = finding(&bytes(&misspelt)).nearest;
    assert_eq!(nearest.as_deref(), Some("bursar:plugin/call@0.2.0"));
    let misspelt = guest.replace("plugin/handler@", "plugin/handlers@");
    let finding = finding(&bytes(&misspelt));
    assert_eq!(finding.code, "export_missing");
    let nearest = finding.nearest;
    assert_eq!(nearest.as_deref(), Some("bursar:plugin/handlers@0.2.0"));
}

#[test]
fn handler_of_another_version_is_reported_with_both_versions() {
    let text = Guest::new().wat().replace("handler@0.2.0", "handler@0.3.0");
    let finding = finding(&bytes(&text));
    assert_eq!(finding.code, "export_missing");
    let versions = (finding.expected.as_deref(), finding.found.as_deref());
    assert_eq!(versions, (Some("0.2.0"), Some("0.3.0")));
}

#[test]
fn function_of_another_type_is_shown_with_both_types() {
    let guest = Guest::doing("(drop (call $host-call-now))");
    let text = guest
        .wat()
        .replace("(func (result u64))", "(func (result s64))");
    let finding = finding(&bytes(&text));
    assert_eq!(finding.code, "function_differs");
    let message = finding.message;
    assert!(
        message.contains("`now` of `bursar:plugin/call@0.2.0`"),
        "{message}"
    );
    assert_eq!(finding.expected.as_deref(), Some("now: func() -> u64;"));
    assert_eq!(finding.found.as_deref(), Some("now: func() -> s64;"));
    assert!(finding.hint.is_some());
}

#[test]
fn difference_within_a_named_type_is_shown_with_that_type() {
    let guest = Guest::doing("(call $host-ledger-balance (unreachable))");
    let text = guest.wat();
    let swapped = text.replacen(
        "(field \"held\" u64) (field \"spendable\" u64)",
        "(field \"held\" u64) (field \"free\" u64)",
        1,
    );
    let finding = finding(&bytes(&swapped));
    assert_eq!(finding.code, "function_differs");
    assert_eq!(
        finding.expected.as_deref(),
        Some(
            "balance: func(account: string, asset: string) -> result<amounts, refusal>;\n\
             record amounts { posted: s64, held: u64, spendable: u64 }"
        )
    );
    assert_eq!(
        finding.found.as_deref(),
        Some(
            "balance: func(account: string, asset: string) -> result<amounts, refusal>;\n\
             record amounts { posted: s64, held: u64, free: u64 }"
        )
    );
}

#[test]
fn names_of_parameters_are_ignored() {
    let guest = Guest::doing("(call $host-ledger-balance (unreachable))");
    let text = guest.wat().replace("(param \"account\"", "(param \"from\"");
    assert_eq!(codes(&bytes(&text)), [""; 0]);
}

#[test]
fn every_function_that_differs_is_found_at_once() {
    let guest =
        Guest::doing("(drop (call $host-call-now)) (call $host-state-delete (unreachable))");
    let text = guest
        .wat()
        .replace("(func (result u64))", "(func (result s64))")
        .replace("\"caller\"", "\"callers\"")
        .replace(
            "\"delete\" (func (param \"key\" string))",
            "\"delete\" (func (param \"key\" (list u8)))",
        )
        .replace(
            "(export \"describe\" (func $d",
            "(export \"explain\" (func $d",
        );
    assert_eq!(
        codes(&bytes(&text)),
        [
            "function_differs",
            "function_not_offered",
            "function_differs",
            "export_missing",
        ]
    );
}

#[test]
fn handler_of_another_shape_is_rejected() {
    let guest = Guest::new().wat();
    let renamed = guest.replace("(field \"message\" string)", "(field \"sentence\" string)");
    let finding = finding(&bytes(&renamed));
    assert_eq!(finding.code, "function_differs");
    let expected = finding.expected.unwrap();
    let found = finding.found.unwrap();
    let function = "handle: func(arguments: string) -> result<string, decline>;";
    assert_eq!(
        expected,
        format!("{function}\nrecord decline {{ code: string, message: string }}")
    );
    assert_eq!(
        found,
        format!("{function}\nrecord decline {{ code: string, sentence: string }}")
    );
}

#[test]
fn handler_without_a_function_is_rejected() {
    let renamed = Guest::new().wat().replace(
        "(export \"describe\" (func $d",
        "(export \"descripe\" (func $d",
    );
    let finding = finding(&bytes(&renamed));
    assert_eq!(finding.code, "export_missing");
    assert!(finding.message.contains("but not its function `describe`"));
    assert_eq!(finding.nearest.as_deref(), Some("descripe"));
}

#[test]
fn schedule_of_another_shape_is_rejected() {
    let of_type = |params: &str, core: &str| {
        let mut guest = Guest::new();
        guest.component_fields = format!(
            "(core module $run-module (memory (export \"memory\") 1)
               (func (export \"realloc\") (param i32 i32 i32 i32) (result i32) (unreachable))
               (func (export \"run\") (param {core}) (result i32) (unreachable)))
             (core instance $runs (instantiate $run-module))
             (type $no (record (field \"code\" string) (field \"message\" string)))
             (func $run {params} (result (result string (error $no)))
               (canon lift (core func $runs \"run\") (memory $runs \"memory\")
                 (realloc (func $runs \"realloc\"))))
             (component $run-names
               (type $no' (record (field \"code\" string) (field \"message\" string)))
               (import \"decline\" (type $no (eq $no')))
               (import \"run\" (func $run {params} (result (result string (error $no)))))
               (export $named \"decline\" (type $no))
               (export \"run\" (func $run)
                 (func {params} (result (result string (error $named))))))
             (instance $schedule (instantiate $run-names (with \"decline\" (type $no))
               (with \"run\" (func $run))))
             (export \"bursar:plugin/schedule@0.2.0\" (instance $schedule))"
        );
        findings(&guest.bytes())
    };
    let good = "(param \"name\" string) (param \"due\" u64)";
    assert_eq!(of_type(good, "i32 i32 i64"), []);
    let other = of_type("(param \"name\" string)", "i32 i32");
    assert_eq!(codes_of(&other), ["function_differs"]);
    assert_eq!(
        other[0].expected.as_deref(),
        Some("run: func(name: string, due: u64) -> result<string, decline>;")
    );
}

#[test]
fn unknown_function_is_reported_with_the_known_ones() {
    let guest = Guest::doing("(drop (call $host-call-now))");
    let text = guest.wat().replace("\"now\"", "\"know\"");
    let finding = finding(&bytes(&text));
    assert_eq!(finding.code, "function_not_offered");
    assert!(
        finding
            .message
            .contains("`know` of `bursar:plugin/call@0.2.0`")
    );
    assert_eq!(finding.nearest.as_deref(), Some("now"));
    assert!(finding.hint.unwrap().contains("action, caller, now"));
}

#[test]
fn type_that_expands_exponentially_is_shown_in_part() {
    let pair = |at: usize| format!("(type $t{at} (tuple $t{0} $t{0}))", at - 1);
    let types: String = (1..12).map(pair).collect();
    let types = format!("(type $t0 (tuple u8 u8)) {types}");
    let text = format!(
        "(component (import \"bursar:plugin/call@0.2.0\" (instance {types}
            (export \"now\" (func (result $t11))))))"
    );
    let found = findings(&bytes(&text));
    assert_eq!(codes_of(&found), ["function_differs", "export_missing"]);
    let signature = found[0].found.as_deref().unwrap();
    assert!(
        signature.starts_with("now: func() -> tuple<tuple<"),
        "{signature}"
    );
    assert!(
        signature.ends_with('…') && signature.chars().count() < 1_100,
        "{signature}"
    );
}

#[test]
fn component_that_cannot_be_written_as_wit_is_invalid() {
    // This is valid, but no function in WIT can have the name of an interface, so the decoder panics.
    let text = r#"(component (import "bursar:plugin/call@0.2.0" (instance
        (export "a:b/c" (func)))))"#;
    crate::check::check_validity(&bytes(text)).unwrap();
    assert_eq!(codes(&bytes(text)), ["invalid"]);
}

#[test]
fn component_of_the_first_contract_passes() {
    let mut guest = Guest::doing("(drop (call $host-call-now))");
    guest.contract = "0.1.0";
    assert_eq!(findings(&guest.bytes()), []);
    // Version 0.1.0 does not have this function.
    let text = guest.wat().replace(
        "(export \"now\"",
        "(export \"name\" (func (result string))) (export \"now\"",
    );
    assert_eq!(codes(&bytes(&text)), ["function_not_offered"]);
}

#[test]
fn imports_are_of_the_version_of_the_handler() {
    let guest = Guest::doing("(drop (call $host-call-now))");
    for (handler, call) in [("0.1.0", "0.2.0"), ("0.2.0", "0.1.0")] {
        let mut guest = guest.clone();
        guest.contract = call;
        let imported = format!("handler@{call}");
        let text = guest
            .wat()
            .replace(&imported, &format!("handler@{handler}"));
        let finding = finding(&bytes(&text));
        assert_eq!(finding.code, "import_not_allowed");
        assert!(
            finding.message.contains("its handler has version"),
            "{}",
            finding.message
        );
        assert_eq!(finding.expected.as_deref(), Some(handler));
        assert_eq!(finding.found.as_deref(), Some(call));
    }
}

#[test]
fn configuration_check_of_another_shape_is_rejected() {
    let mut guest = Guest::new();
    guest.reports((0, ["", "wrong"]), (0, ["user:1", "coin"], 1));
    assert_eq!(findings(&guest.bytes()), []);
    let renamed = guest.wat().replace("\"at-least\"", "\"at-most\"");
    let finding = finding(&bytes(&renamed));
    assert_eq!(finding.code, "function_differs");
    assert!(
        finding
            .message
            .contains("`check` of `bursar:plugin/configuration@0.2.0`")
    );
    assert!(finding.expected.unwrap().contains("at-least: u64"));
}

//! The check of a configuration by the schema and by the plugin's own check.

use std::time::Duration;

use bursar_ledger::{Amount, CallEnding, Need};
use serde_json::json;

use super::economy::{checked, ending, fault_of, host, load};
use super::guest::Guest;
use crate::limits::{CONFIGURATION_FINDINGS_MAX, CONFIGURATION_TEXT_BYTES_MAX, NEEDS_MAX};
use crate::{
    CallFailure, ConfigurationFinding, ConfigurationReport, ContractVersion, Limits, configuration,
};

const NO_FINDING: (usize, [&str; 2]) = (0, ["", "wrong"]);
const NO_NEED: (usize, [&str; 2], u64) = (0, ["user:1", "coin"], 1);

/// Returns the report on the configuration `{}` of a guest that is installed as `casino`.
fn report(guest: &Guest) -> ConfigurationReport {
    let checked = load(&host(), guest).check_configuration(&"casino".parse().unwrap(), &json!({}));
    checked.unwrap()
}

fn reporting(findings: (usize, [&str; 2]), needs: (usize, [&str; 2], u64)) -> ConfigurationReport {
    let mut guest = Guest::new();
    guest.reports(findings, needs);
    report(&guest)
}

/// Returns the fault for which the configuration is rejected.
fn fault(report: ConfigurationReport) -> String {
    let [ConfigurationFinding { pointer, message }] = <[_; 1]>::try_from(report.findings).unwrap();
    assert_eq!(pointer, "");
    assert_eq!(report.needs, []);
    let (rejected, cause) = message.split_once(": ").unwrap();
    assert_eq!(
        rejected,
        "the plugin could not check its configuration, so it is rejected"
    );
    cause.into()
}

fn checking(statements: &str) -> Guest {
    let mut guest = Guest::new();
    guest.reports(NO_FINDING, NO_NEED);
    let nothing = guest.check.take().unwrap();
    guest.check = Some(format!("{statements} {nothing}"));
    guest
}

#[test]
fn a_plugin_without_a_check_accepts_what_matches_its_schema() {
    let mut guest = Guest::new();
    guest.manifest = guest.manifest.replace(
        r#""configuration":{}"#,
        r#""configuration":{"type":"object","required":["asset"]}"#,
    );
    let plugin = load(&host(), &guest);
    let name = "tester".parse().unwrap();
    let good = plugin.check_configuration(&name, &json!({"asset": "coin"}));
    assert_eq!(good, Ok(ConfigurationReport::default()));
    let rejected = plugin.check_configuration(&name, &json!({})).unwrap();
    let [finding] = &*rejected.findings else {
        panic!("{rejected:?}");
    };
    assert_eq!(finding.pointer, "");
    assert!(finding.message.contains("asset"), "{}", finding.message);
}

#[test]
fn findings_and_needs_are_those_that_the_plugin_reports() {
    let report = reporting((2, ["/a", "wrong"]), (2, ["user:1", "coin"], 5));
    let finding = ConfigurationFinding {
        pointer: "/a".into(),
        message: "wrong".into(),
    };
    assert_eq!(report.findings, [finding.clone(), finding]);
    let need = Need {
        account: "user:1".parse().unwrap(),
        asset: "coin".parse().unwrap(),
        at_least: Amount::new(5).unwrap(),
    };
    assert_eq!(report.needs, [need], "each balance is listed once");
}

/// The schema is checked first, so a plugin receives only configurations that match it.
#[test]
fn a_check_receives_the_name_and_a_valid_configuration() {
    let mut guest = checking("");
    guest.manifest = guest.manifest.replace(
        r#""configuration":{}"#,
        r#""configuration":{"type":"object","additionalProperties":false}"#,
    );
    let report = guest.check.take().unwrap();
    let same = |pointer: &str, length: &str, text: &str| {
        let bytes = text.bytes().enumerate();
        let differs = bytes.map(|(at, byte)| {
            format!(
                "(if (i32.ne (i32.load8_u (i32.add (local.get {pointer}) (i32.const {at})))
                   (i32.const {byte})) (then unreachable))"
            )
        });
        let bytes: String = differs.collect();
        let length = format!(
            "(if (i32.ne (local.get {length}) (i32.const {})) (then unreachable))",
            text.len()
        );
        format!("{length} {bytes}")
    };
    let name = same("$plugin", "$plugin-length", "casino");
    let config = same("$config", "$config-length", "{}");
    guest.check = Some(format!("{name} {config} {report}"));
    let plugin = load(&host(), &guest);
    let check = |name: &str, config| {
        let checked = plugin.check_configuration(&name.parse().unwrap(), &config);
        checked.unwrap().findings
    };
    assert_eq!(check("casino", json!({})), []);
    assert!(check("cinema", json!({}))[0].message.contains("it gave up"));
    let mismatch = &check("cinema", json!({"a": 1}))[0].message;
    assert!(!mismatch.contains("it gave up"), "{mismatch}");
}

#[test]
fn findings_and_needs_end_at_their_limits() {
    let full = reporting((CONFIGURATION_FINDINGS_MAX, ["", "wrong"]), NO_NEED);
    assert_eq!(full.findings.len(), CONFIGURATION_FINDINGS_MAX);
    let beyond = reporting((CONFIGURATION_FINDINGS_MAX + 1, ["", "wrong"]), NO_NEED);
    assert_eq!(fault(beyond), "its report has more than 64 findings");
    let full = reporting(NO_FINDING, (NEEDS_MAX, ["user:1", "coin"], 1));
    assert_eq!((full.findings.len(), full.needs.len()), (0, 1));
    let beyond = reporting(NO_FINDING, (NEEDS_MAX + 1, ["user:1", "coin"], 1));
    assert_eq!(fault(beyond), "its report has more than 64 needs");
}

#[test]
fn texts_of_a_finding_end_at_their_limit() {
    let longest = "/".repeat(CONFIGURATION_TEXT_BYTES_MAX);
    let full = reporting((1, [&longest, &longest]), NO_NEED);
    assert_eq!(full.findings[0].message, longest);
    for texts in [
        ["", &format!("{longest}/")],
        [&format!("{longest}/"), "wrong"],
    ] {
        let beyond = reporting((1, texts), NO_NEED);
        assert_eq!(fault(beyond), "a text of a finding has more than 512 bytes");
    }
}

#[test]
fn unprintable_characters_of_a_finding_are_escaped() {
    let report = reporting((1, ["/\u{202e}", "\u{1b}[31mfine\n"]), NO_NEED);
    let ConfigurationFinding { pointer, message } = &report.findings[0];
    assert_eq!(pointer, "/\\u{202e}");
    assert_eq!(message, "\\u{1b}[31mfine\\n");
}

#[test]
fn an_invalid_report_is_a_fault() {
    let cases = [
        (
            ["a", "wrong"],
            "the pointer of a finding is not a JSON pointer",
        ),
        (["/a", ""], "a finding has no message"),
    ];
    for (texts, expected) in cases {
        assert_eq!(fault(reporting((1, texts), NO_NEED)), expected);
    }
    for (account, asset, at_least, expected) in [
        ("no account", "coin", 1, "it needs an account `no account`"),
        (
            "issuer:coin",
            "coin",
            1,
            "it needs a balance of `issuer:coin`",
        ),
        ("user:1", "\u{1b}", 1, "it needs an asset `\\u{1b}`"),
        ("user:1", "coin", 0, "it needs 0 of `coin`"),
        ("user:1", "coin", 1 << 53, "it needs 9007199254740992 of"),
    ] {
        let fault = fault(reporting(NO_FINDING, (1, [account, asset], at_least)));
        assert!(fault.starts_with(expected), "{fault}");
    }
}

#[test]
fn a_check_cannot_use_imports() {
    for import in [
        "(drop (call $host-call-now))",
        "(call $host-call-name (i32.const 64))",
        "(call $host-call-own-account (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 64))",
        "(call $host-call-configuration (i32.const 64))",
        "(call $host-state-get (i32.const 0) (i32.const 1) (i32.const 64))",
        "(drop (call $host-fair-below (i32.const 2) (i32.const 0) (i32.const 0)))",
        "(call $host-log-write (i32.const 1) (i32.const 0) (i32.const 8))",
    ] {
        let fault = fault(report(&checking(import)));
        assert!(
            fault.ends_with("while checking a configuration"),
            "{import}: {fault}"
        );
    }
}

#[test]
fn a_fault_in_a_check_rejects_the_configuration() {
    for (statements, expected) in [
        ("(loop br 0)", "it ran out of fuel"),
        ("(unreachable)", "it gave up (panic or unreachable code)"),
        ("(call $deeper)", "its stack overflowed"),
        ("(drop (i32.load (i32.const -4)))", "it trapped"),
        ("(drop (memory.grow (i32.const 10000)))", "it was stopped"),
    ] {
        let mut guest = checking(statements);
        if statements.contains("$deeper") {
            guest.fields = "(func $deeper (call $deeper))".into();
        }
        let fault = fault(report(&guest));
        assert!(fault.starts_with(expected), "{statements}: {fault}");
    }
}

#[test]
fn a_check_that_cannot_finish_rejects_nothing() {
    let limits = Limits {
        deadline: Duration::ZERO,
        fuel: u64::MAX / 4,
        ..Limits::standard()
    };
    let endless = checked(&checking("(loop br 0)"));
    let name = "tester".parse().unwrap();
    let checked = configuration::check(&endless, &limits, &name, &json!({}));
    assert_eq!(checked, Err(CallFailure::Deadline));
}

#[test]
fn a_plugin_of_the_first_contract_is_recognised() {
    let mut guest = Guest::doing("(drop (call $host-call-now))");
    guest.contract = "0.1.0";
    let plugin = load(&host(), &guest);
    assert_eq!(plugin.contract(), ContractVersion::V0_1);
    assert!(plugin.spells_its_name());
    let present = load(&host(), &Guest::new());
    assert_eq!(present.contract(), ContractVersion::V0_2);
    assert!(!present.spells_its_name());
}

#[test]
fn accounts_of_a_plugin_follow_its_name() {
    let account = |sub: &str| {
        let mut guest = Guest::new();
        let some = i32::from(!sub.is_empty());
        let text = guest.text(sub);
        // The reply is a JSON string: the host's result in quotes.
        guest.handle = format!(
            "(call $host-call-own-account (i32.const {some}) {text} (i32.const 64))
             (i32.store8 (i32.sub (i32.load (i32.const 64)) (i32.const 1)) (i32.const 34))
             (i32.store8 (i32.add (i32.load (i32.const 64)) (i32.load (i32.const 68)))
               (i32.const 34))
             (call $reply (i32.sub (i32.load (i32.const 64)) (i32.const 1))
               (i32.add (i32.load (i32.const 68)) (i32.const 2)))"
        );
        ending(&guest)
    };
    let reply = |account: &str| CallEnding::Replied {
        reply: json!(account),
    };
    assert_eq!(account(""), reply("plugin:tester"));
    assert_eq!(account("till"), reply("plugin:tester:till"));
    for invalid in ["a:b", "Till", &"x".repeat(65)] {
        let fault = fault_of(account(invalid));
        assert!(fault.contains("an account of its own"), "{fault}");
    }
}

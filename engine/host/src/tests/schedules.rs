//! Runs of schedules and their replies.

use bursar_ledger::{
    AccountId, CallEnding, CallRequest, Document, FuelClass, Timestamp, Transcript,
};
use serde_json::{Value, json};

use super::economy::{NOW, checked, fault_of, finish, patient};
use super::guest::Guest;
use crate::CheckedComponent;
use crate::run::call;
use crate::run::responder::TranscriptReplay;

/// Checks a guest with a schedule of the same name as its action. The schedule replies `reply`.
fn scheduled(reply: &str, schedule: &Value, action: &Value) -> CheckedComponent {
    let mut guest = Guest::new();
    let mut manifest: Value = serde_json::from_str(&guest.manifest).unwrap();
    manifest["schedules"] = json!([schedule]);
    manifest["actions"][0]["reply"] = action.clone();
    guest.manifest = manifest.to_string();
    let length = reply.len();
    let text = reply.replace('"', "\\22");
    guest.component_fields = format!(
        "(core module $run-module (memory (export \"memory\") 1)
           (func (export \"realloc\") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
           (func (export \"run\") (param i32 i32 i64) (result i32)
             (i32.store8 (i32.const 16) (i32.const 0))
             (i32.store (i32.const 20) (i32.const 64))
             (i32.store (i32.const 24) (i32.const {length}))
             (i32.const 16))
           (data (i32.const 64) \"{text}\"))
         (core instance $runs (instantiate $run-module))
         (type $no (record (field \"code\" string) (field \"message\" string)))
         (func $run (param \"name\" string) (param \"due\" u64)
             (result (result string (error $no)))
           (canon lift (core func $runs \"run\") (memory $runs \"memory\")
             (realloc (func $runs \"realloc\"))))
         (component $run-names
           (type $no' (record (field \"code\" string) (field \"message\" string)))
           (import \"decline\" (type $no (eq $no')))
           (import \"run\" (func $run (param \"name\" string) (param \"due\" u64)
             (result (result string (error $no)))))
           (export $named \"decline\" (type $no))
           (export \"run\" (func $run) (func (param \"name\" string) (param \"due\" u64)
             (result (result string (error $named))))))
         (instance $schedule (instantiate $run-names (with \"decline\" (type $no))
           (with \"run\" (func $run))))
         (export \"bursar:plugin/schedule@0.2.0\" (instance $schedule))"
    );
    checked(&guest)
}

fn schedule(reply: Option<Value>) -> Value {
    let mut schedule =
        json!({"name": "act", "description": "", "every_s": 60, "offset_s": 0, "missed": "skip"});
    if let Some(reply) = reply {
        schedule["reply"] = reply;
    }
    schedule
}

/// Returns the ending of a run of the schedule.
fn ending(plugin: &CheckedComponent) -> CallEnding {
    let request = CallRequest {
        id: serde_json::from_value(json!("01890000-0000-7000-8000-00000000000a")).unwrap(),
        plugin: "tester".parse().unwrap(),
        action: "act".into(),
        caller: AccountId::of_plugin(&"tester".parse().unwrap()),
        arguments: json!({}),
        roles: Vec::new(),
        due: Some(Timestamp(NOW)),
        spend_limit: None,
        cap: None,
        key: "k".into(),
        now: Timestamp(NOW),
    };
    // The transcript is empty.
    let transcript: Transcript = finish(&Guest::new()).transcript;
    let replay = TranscriptReplay::new(
        request,
        Document::new(&json!({})),
        FuelClass::Standard,
        &transcript,
    );
    let run = call::replay(plugin, &patient(), replay);
    run.unwrap().ending
}

#[test]
fn reply_of_a_schedule_is_not_checked_by_the_action_of_its_name() {
    let action = json!({"type": "integer"});
    let free = scheduled(r#"{"drawn": true}"#, &schedule(None), &action);
    let reply = json!({"drawn": true});
    assert_eq!(ending(&free), CallEnding::Replied { reply });
}

#[test]
fn reply_of_a_schedule_is_checked_by_its_own_schema() {
    let own = json!({"required": ["drawn"]});
    let action = json!({"type": "integer"});
    let good = scheduled(r#"{"drawn": true}"#, &schedule(Some(own.clone())), &action);
    assert!(matches!(ending(&good), CallEnding::Replied { .. }));
    let mismatching = scheduled("3", &schedule(Some(json!({"type": "object"}))), &action);
    let fault = fault_of(ending(&mismatching));
    assert!(
        fault.starts_with("its reply does not fit its schema"),
        "{fault}"
    );
    let mut guest = Guest::new();
    guest.manifest = guest.manifest.replace(
        r#""permissions":{}"#,
        &format!(
            r#""permissions":{{}},"schedules":[{}]"#,
            schedule(Some(json!({"unevaluatedItems": false})))
        ),
    );
    let found = super::check::codes(&guest.bytes());
    assert_eq!(found, ["schema_invalid"]);
}

#[test]
fn reply_of_a_schedule_without_a_schema_has_exact_numbers() {
    let inexact = scheduled("9007199254740993", &schedule(None), &json!(true));
    let fault = fault_of(ending(&inexact));
    assert!(fault.contains("a number lies within"), "{fault}");
}

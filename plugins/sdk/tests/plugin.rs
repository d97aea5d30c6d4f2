//! The output of `plugin!` for types and functions, without a host.

use bursar_plugin::bindings::exports::bursar::plugin::handler::Guest;
use bursar_plugin::prelude::*;
use bursar_plugin::{run_action, serde_json};
use serde_json::{Value, json};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Pay {
    amount: Amount,
}

#[derive(Serialize, JsonSchema)]
struct Payment {
    amount: Amount,
}

bursar_plugin::plugin! {
    id: "probe",
    description: "A plugin for tests.",
    license: "MIT",
    accounts: ["till"],
    permissions: { read: ["guild:treasury"], debit: ["issuer:coin"] },
    config: NoConfig,
    actions: {
        pay: "Pays." => fn(Pay) -> Payment,
        rest: "Does nothing." => fn(NoArguments) -> Payment,
    },
}

fn pay(_: &Call<NoConfig>, Pay { amount }: Pay) -> Result<Payment, Decline> {
    let amount = amount.checked_mul(2)?;
    Ok(Payment { amount })
}

fn rest(_: &Call<NoConfig>, _: NoArguments) -> Result<Payment, Decline> {
    Err(Decline::new("tired", "Not today."))
}

fn run_pay(arguments: &str) -> Result<String, Decline> {
    run_action(&Call::new(NoConfig {}), arguments, pay)
}

#[test]
fn the_manifest_has_the_fields_of_the_contract_and_no_other() {
    let manifest: Value = serde_json::from_str(&Component::describe()).expect("JSON");
    let amount = json!({
        "type": "integer", "format": "amount", "minimum": 1, "maximum": 9_007_199_254_740_991_u64,
    });
    let schema = "https://json-schema.org/draft/2020-12/schema";
    let object = |title: &str, closed: bool| {
        let mut object = json!({
            "$schema": schema, "title": title, "type": "object",
            "properties": {"amount": amount}, "required": ["amount"],
        });
        if closed {
            object["additionalProperties"] = json!(false);
        }
        object
    };
    let empty_object = |title: &str, description: &str| {
        json!({
            "$schema": schema, "title": title, "description": description, "type": "object",
            "additionalProperties": false,
        })
    };
    let no_arguments = empty_object(
        "NoArguments",
        "The arguments of an action that takes none: `{}`.",
    );
    let expected = json!({
        "id": "probe",
        "version": env!("CARGO_PKG_VERSION"),
        "description": "A plugin for tests.",
        "license": "MIT",
        "accounts": ["till"],
        "actions": [
            {
                "name": "pay", "description": "Pays.",
                "arguments": object("Pay", true), "reply": object("Payment", false),
            },
            {
                "name": "rest", "description": "Does nothing.",
                "arguments": no_arguments, "reply": object("Payment", false),
            },
        ],
        "configuration": empty_object("NoConfig", "The configuration of a plugin that has none: `{}`."),
        "permissions": {"read": ["guild:treasury"], "credit": [], "debit": ["issuer:coin"]},
    });
    assert_eq!(manifest, expected);
}

#[test]
fn a_manifest_is_equal_each_time() {
    assert_eq!(Component::describe(), Component::describe());
}

#[test]
fn an_action_gets_its_arguments_and_gives_its_reply() {
    assert_eq!(run_pay(r#"{"amount": 5}"#), Ok(r#"{"amount":10}"#.into()));
}

#[test]
fn arguments_that_do_not_fit_are_declined_before_the_action_runs() {
    for wrong in [
        "",
        "{}",
        r#"{"amount": 0}"#,
        r#"{"amount": 1, "more": 2}"#,
        "[1, 2]",
    ] {
        assert_eq!(run_pay(wrong).expect_err(wrong).code(), "bad_arguments");
    }
    let long = format!("{{\"amount\": 1, \"{}\": 2}}", "x".repeat(10_000));
    assert_eq!(
        run_pay(&long).expect_err("unknown field").message().len(),
        512
    );
}

#[test]
fn a_failed_computation_and_a_decline_have_their_own_codes() {
    let too_large = run_pay(r#"{"amount": 9007199254740991}"#).expect_err("twice is too much");
    assert_eq!(too_large.code(), "amount_out_of_range");
    let tired = run_action(&Call::new(NoConfig {}), "{}", rest).expect_err("it declines");
    assert_eq!((tired.code(), tired.message()), ("tired", "Not today."));
}

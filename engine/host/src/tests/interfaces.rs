//! The contract as WebAssembly text, for hand-written guests.

/// An interface of the contract as text: its types, and each function's type as a component and as a core function.
/// A core function with a result pointer gets `64`.
pub(super) struct Interface {
    pub(super) name: &'static str,
    pub(super) types: &'static str,
    pub(super) functions: &'static [(&'static str, &'static str, &'static str)],
}

/// Functions that version 0.1.0 of the contract does not have.
pub(super) const ADDED_IN_0_2: [(&str, &str); 3] =
    [("call", "name"), ("call", "own-account"), ("call", "wake")];

const LEDGER_TYPES: &str = r#"
    (type $posting' (record (field "source" string) (field "destination" string)
      (field "asset" string) (field "amount" u64)))
    (export "posting" (type $posting (eq $posting')))
    (type $amounts' (record (field "posted" s64) (field "held" u64) (field "spendable" u64)))
    (export "amounts" (type $amounts (eq $amounts')))
    (type $limit' (record (field "asset" string) (field "most" u64) (field "asked" u64)))
    (export "limit" (type $limit (eq $limit')))
    (type $refusal' (variant (case "unknown-account" string) (case "unknown-asset" string)
      (case "not-granted" string) (case "over-limit" $limit) (case "insufficient-funds")
      (case "no-room") (case "after-draw") (case "not-secured") (case "other" string)))
    (export "refusal" (type $refusal (eq $refusal')))"#;

pub(super) const INTERFACES: [Interface; 5] = [
    Interface {
        name: "ledger",
        types: LEDGER_TYPES,
        functions: &[
            (
                "balance",
                r#"(param "account" string) (param "asset" string)
                  (result (result $amounts (error $refusal)))"#,
                "(param i32 i32 i32 i32 i32)",
            ),
            (
                "has-at-least",
                r#"(param "account" string) (param "asset" string) (param "amount" u64)
                  (result (result bool (error $refusal)))"#,
                "(param i32 i32 i32 i32 i64 i32)",
            ),
            (
                "transfer",
                r#"(param "posting" $posting) (result (result (error $refusal)))"#,
                "(param i32 i32 i32 i32 i32 i32 i64 i32)",
            ),
            (
                "place-hold",
                r#"(param "rule" string) (param "posting" $posting)
                  (result (result string (error $refusal)))"#,
                "(param i32 i32 i32 i32 i32 i32 i32 i32 i64 i32)",
            ),
            (
                "capture-hold",
                r#"(param "hold" string) (param "amount" (option u64))
                  (result (result (error $refusal)))"#,
                "(param i32 i32 i32 i64 i32)",
            ),
            (
                "release-hold",
                r#"(param "hold" string) (result (result (error $refusal)))"#,
                "(param i32 i32 i32)",
            ),
            (
                "hold-left",
                r#"(param "hold" string) (result (option u64))"#,
                "(param i32 i32 i32)",
            ),
        ],
    },
    Interface {
        name: "state",
        types: r#"
    (type $page' (record (field "keys" (list string)) (field "next" (option string))))
    (export "page" (type $page (eq $page')))"#,
        functions: &[
            (
                "get",
                r#"(param "key" string) (result (option string))"#,
                "(param i32 i32 i32)",
            ),
            (
                "set",
                r#"(param "key" string) (param "value" string)"#,
                "(param i32 i32 i32 i32)",
            ),
            ("delete", r#"(param "key" string)"#, "(param i32 i32)"),
            (
                "list",
                r#"(param "prefix" string) (param "cursor" (option string)) (result $page)"#,
                "(param i32 i32 i32 i32 i32 i32)",
            ),
        ],
    },
    Interface {
        name: "fair",
        types: LEDGER_TYPES,
        functions: &[
            (
                "secure",
                r#"(param "account" string) (param "asset" string) (param "amount" u64)
                  (result (result (error $refusal)))"#,
                "(param i32 i32 i32 i32 i64 i32)",
            ),
            (
                "below",
                r#"(param "n" u32) (param "label" string) (result u32)"#,
                "(param i32 i32 i32) (result i32)",
            ),
            (
                "secure-hold",
                r#"(param "hold" string) (result (result (error $refusal)))"#,
                "(param i32 i32 i32)",
            ),
            ("mix", r#"(param "text" string)"#, "(param i32 i32)"),
            (
                "shuffle",
                r#"(param "n" u32) (param "label" string) (result (list u32))"#,
                "(param i32 i32 i32 i32)",
            ),
            (
                "bytes",
                r#"(param "n" u32) (param "label" string) (result (list u8))"#,
                "(param i32 i32 i32 i32)",
            ),
        ],
    },
    Interface {
        name: "call",
        types: LEDGER_TYPES,
        functions: &[
            ("name", "(result string)", "(param i32)"),
            (
                "own-account",
                r#"(param "sub" (option string)) (result string)"#,
                "(param i32 i32 i32 i32)",
            ),
            ("action", "(result string)", "(param i32)"),
            ("caller", "(result string)", "(param i32)"),
            ("now", "(result u64)", "(result i64)"),
            ("id", "(result string)", "(param i32)"),
            ("configuration", "(result string)", "(param i32)"),
            ("roles", "(result (list string))", "(param i32)"),
            ("client-seed", "(result string)", "(param i32)"),
            (
                "wake",
                r#"(param "schedule" string) (param "at" u64) (result (result (error $refusal)))"#,
                "(param i32 i32 i64 i32)",
            ),
        ],
    },
    Interface {
        name: "log",
        types: r#"
    (type $level' (enum "debug" "info" "warn" "error"))
    (export "level" (type $level (eq $level')))"#,
        functions: &[(
            "write",
            r#"(param "level" $level) (param "message" string)"#,
            "(param i32 i32 i32)",
        )],
    },
];

//! Parsing of JSON bodies that are not read in one pass. A problem points to the invalid place.

use bursar_ledger::{JsonError, check_numbers, pointer_segment};
use serde::de::DeserializeOwned;

pub(super) use bursar_ledger::Json;

use super::problem::Problem;

#[cfg(test)]
thread_local! {
    /// The number of texts that this thread has parsed to values.
    static READ: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Parses the text of a body.
pub(super) fn parse(text: &[u8]) -> Result<Json<'_>, Problem> {
    #[cfg(test)]
    READ.set(READ.get() + 1);
    Json::parse(text).map_err(|error| {
        let detail = format!("the body is not valid JSON: {}", error.what);
        Problem::malformed(&error.pointer, detail)
    })
}

/// Checks the numbers of a parsed body. It runs after the body was deserialised: the problem of a
/// wrong type is more precise than the one of a number.
pub(super) fn numbers(text: &[u8]) -> Result<(), Problem> {
    let wrong = |JsonError { pointer, what }| Problem::malformed(&pointer, what);
    check_numbers(text).map_err(wrong)
}

/// Deserialises a value. A problem points to the place that does not match the type.
pub(super) fn read<T: DeserializeOwned>(json: &Json<'_>) -> Result<T, Problem> {
    // Tracking the path is slow, so it is done only after an error.
    if let Ok(typed) = T::deserialize(json) {
        return Ok(typed);
    }
    serde_path_to_error::deserialize(json)
        .map_err(|error| Problem::malformed(&pointer(error.path()), error.inner().to_string()))
}

/// Converts a path to a JSON pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let segment = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => pointer_segment(key),
        // The variant of an enum is not a place in the client's text.
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    };
    path.iter().map(segment).collect()
}

#[cfg(test)]
pub(super) mod spellings;

#[cfg(test)]
pub(super) mod tests {
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    /// Returns the number of texts that this thread parses to values during `work`.
    pub(in crate::http) fn parsed_meanwhile(work: impl FnOnce()) -> usize {
        let before = READ.get();
        work();
        READ.get() - before
    }

    #[derive(Deserialize, PartialEq, Debug)]
    #[serde(rename_all = "snake_case")]
    enum Choice {
        Word,
        Of(u64),
    }

    #[derive(Deserialize, PartialEq, Debug)]
    #[serde(deny_unknown_fields)]
    struct Typed {
        choice: Choice,
        note: Option<String>,
    }

    #[test]
    fn values_are_deserialised_and_errors_are_located() {
        let read = |value: Value| {
            let text = value.to_string();
            read::<Typed>(&parse(text.as_bytes())?)
        };
        let typed = |choice, note: Option<&str>| Typed {
            choice,
            note: note.map(Into::into),
        };
        let good = [
            (json!({"choice": "word"}), typed(Choice::Word, None)),
            (
                json!({"choice": {"of": 7}, "note": null}),
                typed(Choice::Of(7), None),
            ),
            (
                json!({"note": "\n", "choice": "word"}),
                typed(Choice::Word, Some("\n")),
            ),
        ];
        for (value, expected) in good {
            assert_eq!(read(value).expect("it fits"), expected);
        }
        for (value, pointer) in [
            (json!(["word", null]), ""),
            (json!({"choice": "other"}), "/choice"),
            (json!({"choice": {"of": -1}}), "/choice"),
            (json!({"choice": {"of": 1, "word": 1}}), "/choice"),
            (json!({"choice": 1}), "/choice"),
            (json!({"choice": "word", "note": 1}), "/note"),
            (json!({"choice": "word", "more": 1}), "/more"),
            (json!({}), ""),
        ] {
            let problem = read(value.clone()).expect_err("it does not fit");
            assert_eq!(problem.body()["pointer"], pointer, "{value}");
        }
    }

    #[test]
    fn invalid_json_is_malformed_and_located() {
        let pointer = |text: &str| {
            let problem = parse(text.as_bytes()).and_then(|_| numbers(text.as_bytes()));
            let problem = problem.expect_err(text);
            assert_eq!(problem.code(), "malformed", "{text}");
            problem.body()["pointer"].clone()
        };
        assert_eq!(pointer(r#"{"a":{"b":1,"b":1}}"#), "/a/b");
        assert_eq!(pointer(r#"{"a":[1e400]}"#), "/a/0");
        assert_eq!(pointer(r#"{"a":[1e300]}"#), "/a/0");
        assert_eq!(pointer(r#"{"a":"#), "/a");
    }
}

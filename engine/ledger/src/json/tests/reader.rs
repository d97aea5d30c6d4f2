//! Tests of reading in one pass: a text that is read has the value and the canonical text that [`Json`] gives it.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use super::super::reader::NESTING_MAX;
use super::*;

/// Reads a text in one pass.
fn read(text: &[u8]) -> Result<(Value, String), UnreadText> {
    let mut reader = CanonicalReader::new(text)?;
    let value = reader.value(Omissions::default())?;
    Ok((value, reader.finish()?))
}

/// Reads a text by [`Json`].
fn parsed(text: &[u8]) -> Result<(Value, String), JsonError> {
    let json = Json::parse(text)?;
    check_numbers(text)?;
    let value = Value::deserialize(&json).expect("each text is a value");
    Ok((value, serde_json::to_string(&json).expect("text")))
}

/// Checks that a text that is read in one pass is read as by [`Json`]. Returns true if it is read.
fn agrees(text: &[u8]) -> bool {
    let read = read(text).ok();
    if let Some(read) = &read {
        let shown = String::from_utf8_lossy(text);
        assert_eq!(parsed(text).as_ref(), Ok(read), "{shown}");
    }
    read.is_some()
}

const WORDS: [&str; 34] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "7",
    "-12",
    "01",
    "1.0",
    "1.5",
    "-1e3",
    "1e400",
    "9007199254740991",
    "-9007199254740991",
    "9007199254740992",
    "123456789012345678901234567890",
    "-",
    "nul",
    r#""""#,
    r#""a""#,
    r#""ä\u00e9""#,
    "\"\u{7f}\"",
    r#""\n\/\"\\""#,
    r#""\u0041\ud83d\ude00""#,
    r#""\ud800""#,
    r#""\x""#,
    "\"\n\"",
    "\"\u{1}234567\"",
    r#""1234567""#,
    r#""12345678""#,
    r#""1234567\t9 and so on, for more than 8 bytes""#,
    r#""user:81384788765712384""#,
    "[]",
    "{}",
];

const NAMES: [&str; 8] = [
    r#""a""#,
    r#""b""#,
    r#""aa""#,
    r#""""#,
    r#""ä""#,
    r#""z.12345678""#,
    r#""\u0061""#,
    "a",
];

const SPACES: [&str; 6] = ["", "", "", " ", "\n\t", "\r"];

/// Generates texts that are JSON or have a few errors.
fn texts() -> impl Strategy<Value = String> {
    let leaf = select(&WORDS[..]).prop_map(String::from);
    leaf.prop_recursive(4, 24, 4, |inner| {
        let space = || select(&SPACES[..]);
        let list = vec((space(), inner.clone()), 0..4).prop_map(|items| {
            let items = items.iter().map(|(space, item)| format!("{space}{item}"));
            format!("[{}]", items.collect::<Vec<_>>().join(","))
        });
        let member = (select(&NAMES[..]), space(), inner, space());
        let object = vec(member, 0..4).prop_map(|members| {
            let members = members.iter().map(|(name, before, value, after)| {
                format!("{before}{name}{after}:{before}{value}{after}")
            });
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        });
        prop_oneof![list, object]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_text_is_read_in_one_pass_as_in_three(text in texts()) {
        agrees(text.as_bytes());
    }

    #[test]
    fn a_damaged_text_is_not_read_as_another_one(
        text in texts(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        insert in any::<bool>(),
    ) {
        let mut text = text.into_bytes();
        let at = at.index(text.len());
        match text.get_mut(at).filter(|_| !insert) {
            Some(changed) => *changed = byte,
            None => text.insert(at, byte),
        }
        agrees(&text);
        text.truncate(at);
        agrees(&text);
    }

    #[test]
    fn a_canonical_text_is_always_read(text in texts()) {
        if let Ok((_, canonical)) = parsed(text.as_bytes()) {
            let is_plain = !canonical.contains('\\') || !canonical.contains(':');
            prop_assert!(agrees(canonical.as_bytes()) || !is_plain, "{canonical}");
        }
    }
}

#[test]
fn usual_texts_are_read_in_one_pass() {
    for text in [
        r#"{"postings":[{"from":"user:1","to":"user:2","asset":"coin","amount":5}],"memo":"ä\n"}"#,
        r#" [ 1 , {"b" : [ ] , "a" : { } } , 1.0 , 0.5 , -0 , null ] "#,
    ] {
        assert!(agrees(text.as_bytes()), "{text}");
    }
}

#[test]
fn texts_are_read_up_to_a_depth() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(agrees(nested(NESTING_MAX).as_bytes()));
    assert!(!agrees(nested(NESTING_MAX.saturating_add(1)).as_bytes()));
    assert!(parsed(nested(NESTING_MAX.saturating_add(1)).as_bytes()).is_ok());
}

#[test]
fn members_are_left_out_of_the_outer_object_only() {
    let text = br#"{"z":null,"key":"k","b":{"key":null,"a":1},"a":[null]}"#;
    let mut reader = CanonicalReader::new(text).expect("a text");
    let omissions = Omissions {
        nulls: true,
        name: Some("key"),
    };
    let value: Value = reader.value(omissions).expect("a value");
    let expected = json!({"key": "k", "b": {"key": null, "a": 1}, "a": [null]});
    assert_eq!(value, expected);
    let canonical = r#"{"a":[null],"b":{"a":1,"key":null}}"#;
    assert_eq!(reader.finish().expect("the end"), canonical);
    for twice in [r#"{"a":null,"a":1}"#, r#"{"key":1,"b":2,"key":3}"#] {
        let mut reader = CanonicalReader::new(twice.as_bytes()).expect("a text");
        assert_eq!(reader.value::<Value>(omissions), Err(UnreadText), "{twice}");
    }
}

#[test]
fn an_error_that_a_type_hides_is_found() {
    /// A list that ends at its first wrong item.
    #[derive(Debug)]
    struct Tolerant;

    impl<'de> Deserialize<'de> for Tolerant {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Items;
            impl<'de> Visitor<'de> for Items {
                type Value = Tolerant;

                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a list")
                }

                fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tolerant, A::Error> {
                    while let Ok(Some(_)) = items.next_element::<u64>() {}
                    Ok(Tolerant)
                }
            }
            deserializer.deserialize_seq(Items)
        }
    }

    let read = |text: &str| {
        let mut reader = CanonicalReader::new(text.as_bytes())?;
        reader.value::<Tolerant>(Omissions::default())?;
        reader.finish()
    };
    assert_eq!(read("[1,2]"), Ok("[1,2]".into()));
    assert_eq!(read(r#"[1,"a"]"#), Err(UnreadText));
}

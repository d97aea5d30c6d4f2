//! Names of accounts and assets, which are checked when they are created.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The largest number of characters in a name.
const NAME_CHARS_MAX: usize = 128;
/// The largest number of segments in a name.
const SEGMENTS_MAX: usize = 4;
/// The largest number of characters in a segment.
const SEGMENT_CHARS_MAX: usize = 64;
/// The pattern of an asset's name. The schema recognises maps by assets by it.
pub(crate) const ASSET_PATTERN: &str =
    "^[a-z0-9][a-z0-9._-]{0,63}(:[a-z0-9][a-z0-9._-]{0,63}){0,3}$";
/// The pattern of an account's name. The schema recognises maps by accounts by it.
pub(crate) const ACCOUNT_PATTERN: &str =
    "^(issuer:)?[a-z0-9][a-z0-9._-]{0,63}(:[a-z0-9][a-z0-9._-]{0,63}){0,3}$";
/// The largest number of characters of a wrong name that an error message repeats.
const SHOWN_CHARS_MAX: usize = 64;

/// The error of a text that is not a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NameError {
    kind: &'static str,
    shown: String,
}

impl NameError {
    fn new(kind: &'static str, text: &str) -> Self {
        let shown = text.chars().take(SHOWN_CHARS_MAX);
        let shown = shown.flat_map(char::escape_default).collect();
        Self { kind, shown }
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, shown } = self;
        write!(f, "`{shown}` is not the name of an {kind}")
    }
}

impl std::error::Error for NameError {}

/// Returns true if the bytes are one to four segments joined by colons.
const fn is_path(name: &[u8]) -> bool {
    if name.len() > NAME_CHARS_MAX {
        return false;
    }
    let mut next = 0;
    let mut segments = 1;
    let mut in_segment = 0;
    while next < name.len() {
        match name[next] {
            b'a'..=b'z' | b'0'..=b'9' => in_segment += 1,
            b'.' | b'_' | b'-' if in_segment > 0 => in_segment += 1,
            b':' if in_segment > 0 => {
                segments += 1;
                in_segment = 0;
            }
            _ => return false,
        }
        if in_segment > SEGMENT_CHARS_MAX {
            return false;
        }
        next += 1;
    }
    in_segment > 0 && segments <= SEGMENTS_MAX
}

const fn is_asset(name: &str) -> bool {
    is_path(name.as_bytes())
}

/// Returns true if a text is the name of an account, by the rules of the ledger.
///
/// The name of an issuer is `issuer:` and the name of its asset, so it may be longer than other names. The
/// prefixes `issuer` and `plugin` are not names by themselves.
const fn is_account(name: &str) -> bool {
    let name = name.as_bytes();
    match name.split_first_chunk() {
        Some((b"issuer:", asset)) => is_path(asset),
        _ => is_path(name) && !matches!(name, b"issuer" | b"plugin"),
    }
}

/// Returns true if a text is one segment of a name, such as a plugin's id.
#[doc(hidden)]
pub const fn is_segment(name: &str) -> bool {
    is_path(name.as_bytes()) && !has_colon(name.as_bytes())
}

const fn has_colon(name: &[u8]) -> bool {
    let mut next = 0;
    while next < name.len() {
        if name[next] == b':' {
            return true;
        }
        next += 1;
    }
    false
}

/// Returns true if a text is the name of an account.
#[doc(hidden)]
pub const fn is_account_name(name: &str) -> bool {
    is_account(name)
}

/// Returns true if a text is the name of an issuer.
#[doc(hidden)]
pub const fn is_issuer_name(name: &str) -> bool {
    is_account(name) && matches!(name.as_bytes().split_first_chunk(), Some((b"issuer:", _)))
}

/// Returns true if a text is the name of an action, a schedule or a kind of hold.
#[doc(hidden)]
pub const fn is_word(name: &str) -> bool {
    let name = name.as_bytes();
    let mut next = 0;
    while next < name.len() {
        if !matches!(name[next], b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-') {
            return false;
        }
        next += 1;
    }
    !name.is_empty() && name.len() <= SEGMENT_CHARS_MAX
}

/// Fails the compilation with a message if a condition of `plugin!` does not hold.
///
/// The macro writes the message, since a constant function cannot format one.
///
/// # Panics
///
/// If the condition does not hold.
#[doc(hidden)]
pub const fn require(holds: bool, message: &str) {
    assert!(holds, "{}", message);
}

/// Declares the type of a name, whose values always satisfy the rule of the name.
macro_rules! name {
    (
        $(#[$doc:meta])*
        $name:ident, $kind:literal, $is_valid:ident, $pattern:ident, $chars_max:expr, $example:literal
    ) => {
        $(#[$doc])*
        ///
        /// One to four segments joined by colons, 128 characters at most; a segment is 1 to 64 of
        /// `[a-z0-9._-]` and begins with a letter or a digit.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Cow<'static, str>);

        impl $name {
            /// Creates a name from a literal. In a `const`, a text that is not a name does not compile.
            ///
            /// ```compile_fail
            #[doc = concat!("const WRONG: bursar_plugin::", stringify!($name), " =")]
            #[doc = concat!("    bursar_plugin::", stringify!($name), "::new(\"Not a name\");")]
            /// # println!("{WRONG}");
            /// ```
            ///
            /// # Panics
            ///
            /// If the text is not a name.
            pub const fn new(name: &'static str) -> Self {
                assert!($is_valid(name), concat!("this is not the name of an ", $kind));
                Self(Cow::Borrowed(name))
            }

            /// Returns the name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(name: &str) -> Result<Self, NameError> {
                name.to_owned().try_into()
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(name: String) -> Result<Self, NameError> {
                if $is_valid(&name) {
                    Ok(Self(Cow::Owned(name)))
                } else {
                    Err(NameError::new($kind, &name))
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "format": $kind,
                    "pattern": $pattern,
                    "maxLength": $chars_max,
                    "examples": [$example],
                })
            }
        }
    };
}

name! {
    /// The name of an account, such as `user:81384788765712384` or `plugin:shop:till`.
    // An issuer's name is the name of its asset with a prefix, so it may be longer.
    Account, "account", is_account, ACCOUNT_PATTERN, "issuer:".len() + NAME_CHARS_MAX,
    "user:81384788765712384"
}

name! {
    /// The name of an asset, such as `coin` or `item:potion`.
    Asset, "asset", is_asset, ASSET_PATTERN, NAME_CHARS_MAX, "item:potion"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_asset_name(name: &str) -> bool {
        name.parse::<Asset>().is_ok()
    }

    #[test]
    fn names_end_at_their_limits() {
        let segment = "a".repeat(SEGMENT_CHARS_MAX);
        assert!(is_asset_name(&segment));
        assert!(!is_asset_name(&format!("{segment}a")));
        assert!(is_asset_name("a:b:c:d"));
        assert!(!is_asset_name("a:b:c:d:e"));
        let longest = format!("{segment}:{}", "b".repeat(NAME_CHARS_MAX - 65));
        assert_eq!(longest.len(), NAME_CHARS_MAX);
        assert!(is_asset_name(&longest));
        assert!(!is_asset_name(&format!("{longest}b")));
    }

    #[test]
    fn names_are_lower_case_ascii() {
        for wrong in [
            "", ":", "a:", ":a", "a::b", "A", "a b", "-a", "a:.b", "é", "a\n", "a/b",
        ] {
            assert!(!is_asset_name(wrong), "{wrong:?}");
        }
        assert!(is_asset_name("0a._-z:9"));
    }

    #[test]
    fn an_issuer_may_be_as_long_as_its_asset_and_the_prefix() {
        assert!("issuer:a:b:c:d".parse::<Account>().is_ok());
        assert!("issuer:".parse::<Account>().is_err());
        assert!("user:a:b:c:d".parse::<Account>().is_err());
    }

    #[test]
    fn the_reserved_prefixes_are_not_accounts() {
        for reserved in ["issuer", "plugin"] {
            assert!(reserved.parse::<Account>().is_err(), "{reserved}");
            assert!(reserved.parse::<Asset>().is_ok(), "{reserved}");
        }
    }

    #[test]
    fn a_wrong_name_is_rejected_when_it_is_read_and_escaped_in_the_error() {
        let error = serde_json::from_str::<Account>(r#""user:\u001b[31m""#).expect_err("no name");
        let expected = r"`user:\u{1b}[31m` is not the name of an account";
        assert!(error.to_string().starts_with(expected), "{error}");
        assert!(
            "x".repeat(5000)
                .parse::<Account>()
                .expect_err("too long")
                .shown
                .len()
                <= 64
        );
    }

    #[test]
    fn the_names_in_a_manifest_end_at_their_limits() {
        assert!(is_segment("shop-2.0") && is_segment(&"a".repeat(SEGMENT_CHARS_MAX)));
        for wrong in ["", "a:b", "Shop", "-a", &"a".repeat(SEGMENT_CHARS_MAX + 1)] {
            assert!(!is_segment(wrong), "{wrong}");
        }
        assert!(is_word("_buy-2") && is_word(&"a".repeat(SEGMENT_CHARS_MAX)));
        for wrong in ["", "a.b", "Buy", &"a".repeat(SEGMENT_CHARS_MAX + 1)] {
            assert!(!is_word(wrong), "{wrong}");
        }
        assert!(is_issuer_name("issuer:coin") && !is_issuer_name("user:1"));
        assert!(!is_issuer_name("issuer:"));
    }

    #[test]
    #[should_panic(expected = "`User 1` in `read` of `permissions`")]
    fn a_wrong_name_in_a_manifest_fails_the_compilation() {
        require(
            is_account_name("User 1"),
            "`User 1` in `read` of `permissions` is not the name of an account",
        );
    }

    #[test]
    fn a_name_is_serialised_as_plain_text() {
        const POTION: Asset = Asset::new("item:potion");
        assert_eq!(
            serde_json::to_string(&POTION).expect("text"),
            r#""item:potion""#
        );
    }
}

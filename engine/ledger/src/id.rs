//! Names and ids, one type for each. They are only created by parsing.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use compact_str::CompactString;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::limits::{NAME_CHARS_MAX, SEGMENT_CHARS_MAX, SEGMENTS_MAX};

/// The error of a text that is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// A segment is empty, too long, or contains a character that is not allowed.
    #[error("each segment of a name matches [a-z0-9][a-z0-9._-]{{0,63}}; `{segment}` does not")]
    Segment {
        /// The first invalid segment, cut to a printable length.
        segment: String,
    },
    /// The name has too many segments.
    #[error("a name has 1 to {most} segments, joined by colons")]
    Segments {
        /// The most segments of this kind of name.
        most: usize,
    },
    /// The name is too long.
    #[error("a name has at most {NAME_CHARS_MAX} characters")]
    TooLong,
    /// The name is reserved for accounts that the server creates.
    #[error("`{0}` alone is not an account; names under it are made by the server")]
    Reserved(&'static str),
}

fn check_segment(segment: &str) -> Result<(), IdError> {
    let starts_well = segment.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let goes_on_well = segment
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_".contains(&b));
    if starts_well && goes_on_well && segment.len() <= SEGMENT_CHARS_MAX {
        return Ok(());
    }
    Err(IdError::Segment {
        segment: segment
            .chars()
            .take(SEGMENT_CHARS_MAX)
            .flat_map(char::escape_default)
            .collect(),
    })
}

/// Returns true if a text is up to some segments, joined by colons. Nearly all texts are, and this is several times
/// as fast as finding the first error.
fn is_path(text: &str, segments_max: usize) -> bool {
    let mut segments: usize = 1;
    let mut length: usize = 0;
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' => length = length.saturating_add(1),
            b'.' | b'-' | b'_' if length > 0 => length = length.saturating_add(1),
            b':' if length > 0 => {
                length = 0;
                segments = segments.saturating_add(1);
            }
            _ => return false,
        }
        if length > SEGMENT_CHARS_MAX {
            return false;
        }
    }
    length > 0 && segments <= segments_max
}

fn check_path(text: &str, segments_max: usize, chars_max: usize) -> Result<(), IdError> {
    if text.len() <= chars_max && is_path(text, segments_max) {
        return Ok(());
    }
    if text.len() > chars_max {
        return Err(IdError::TooLong);
    }
    let mut count: usize = 0;
    for segment in text.split(':') {
        check_segment(segment)?;
        count = count.saturating_add(1);
    }
    if count > segments_max {
        return Err(IdError::Segments { most: segments_max });
    }
    Ok(())
}

/// A visitor that parses a borrowed or an owned text.
struct IdVisitor<T>(PhantomData<T>);

impl<T: FromStr<Err = IdError>> Visitor<'_> for IdVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// Declares a name: a text that is only created by its check.
///
/// Up to 24 bytes are stored in place. Names are compared in each map of the books, and a comparison that
/// follows a pointer misses the cache; most members have names of 23 or 24 bytes.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(CompactString);

        impl $name {
            /// Returns the name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let check: fn(&str) -> Result<(), IdError> = $check;
                check(text)?;
                Ok(Self(text.into()))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(IdVisitor(PhantomData))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// The name of an economy. One segment.
    EconomyId, check_segment
}

name! {
    /// The id of an asset: a currency such as `coin`, or an item such as `item:potion`. One to four
    /// segments.
    AssetId, |text| check_path(text, SEGMENTS_MAX, NAME_CHARS_MAX)
}

name! {
    /// The name under which a plugin is installed in an economy. One segment.
    PluginName, check_segment
}

name! {
    /// The id of a plugin in its manifest. One segment.
    PluginId, check_segment
}

impl PluginId {
    /// Returns the id as a name, which is the default name of an installation.
    pub fn as_name(&self) -> PluginName {
        PluginName(self.0.clone())
    }

    /// Returns true if the id is equal to a name.
    pub fn is(&self, name: &PluginName) -> bool {
        self.0 == name.0
    }
}

name! {
    /// The public part of an API key, by which the key is found. One segment.
    KeyId, check_segment
}

name! {
    /// The name of a webhook. One segment.
    WebhookId, check_segment
}

name! {
    /// The name of an account. One to four segments; the account of an issuer is `issuer:` before the whole
    /// id of its asset.
    AccountId, check_account
}

const ISSUER: &str = "issuer";
const PLUGIN: &str = "plugin";

fn check_account(text: &str) -> Result<(), IdError> {
    let issued = text
        .strip_prefix(ISSUER)
        .and_then(|rest| rest.strip_prefix(':'));
    match (issued, text) {
        (Some(asset), _) => check_path(asset, SEGMENTS_MAX, NAME_CHARS_MAX),
        (None, ISSUER) => Err(IdError::Reserved(ISSUER)),
        (None, PLUGIN) => Err(IdError::Reserved(PLUGIN)),
        (None, _) => check_path(text, SEGMENTS_MAX, NAME_CHARS_MAX),
    }
}

/// The kind of an account, which its name determines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccountKind<'a> {
    /// The issuer of an asset: the source of issued amounts, and the only kind that is negative without a
    /// credit limit.
    Issuer,
    /// An account of a plugin, with the name under which the plugin is installed.
    Plugin(&'a str),
    /// Any other account: a member, the treasury of a guild, a team.
    Open,
}

impl AccountId {
    /// Returns the kind of the account.
    pub fn kind(&self) -> AccountKind<'_> {
        match self.0.split_once(':') {
            Some((ISSUER, _)) => AccountKind::Issuer,
            Some((PLUGIN, rest)) => AccountKind::Plugin(rest.split(':').next().unwrap_or(rest)),
            Some(_) | None => AccountKind::Open,
        }
    }

    /// Returns true if the account is an issuer.
    pub fn is_issuer(&self) -> bool {
        self.kind() == AccountKind::Issuer
    }

    /// Returns true if the account is the issuer of an asset.
    pub fn is_issuer_of(&self, asset: &AssetId) -> bool {
        let issued = self.0.split_once(':');
        issued.is_some_and(|(kind, issued)| kind == ISSUER && issued == asset.as_str())
    }

    /// Returns true if the account belongs to a plugin.
    pub fn belongs_to(&self, plugin: &PluginName) -> bool {
        self.kind() == AccountKind::Plugin(plugin.as_str())
    }

    /// Returns the issuer of an asset.
    pub fn issuer(asset: &AssetId) -> Self {
        Self(format!("{ISSUER}:{asset}").into())
    }

    /// Returns the main account of a plugin.
    pub fn of_plugin(plugin: &PluginName) -> Self {
        Self(format!("{PLUGIN}:{plugin}").into())
    }

    /// Returns a further account of a plugin, such as `plugin:shop:till`.
    pub fn of_plugin_sub(plugin: &PluginName, sub: &str) -> Result<Self, IdError> {
        check_segment(sub)?;
        format!("{PLUGIN}:{plugin}:{sub}").parse()
    }
}

/// Declares an id: a UUID (version 7, RFC 9562) that is passed in as a value.
macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id! {
    /// The id of a transfer.
    TransferId
}
uuid_id! {
    /// The id of a call.
    CallId
}
uuid_id! {
    /// The id of a hold.
    HoldId
}

impl HoldId {
    /// The id that is lower than all others.
    pub(crate) const MIN: Self = Self(Uuid::nil());
}

impl CallId {
    /// Returns the id of the call's hold with an index. It follows from the call's id, so that every try
    /// places the same holds.
    pub fn hold(self, index: u8) -> HoldId {
        let mut bytes = self.0.into_bytes();
        let [.., last] = &mut bytes;
        *last ^= index.saturating_add(1);
        HoldId(Uuid::from_bytes(bytes))
    }
}

impl From<CallId> for TransferId {
    /// Returns the id of the transfer that the call makes.
    fn from(call: CallId) -> Self {
        Self(call.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_at_their_limits() {
        let segment = "a".repeat(SEGMENT_CHARS_MAX);
        assert!(segment.parse::<EconomyId>().is_ok());
        assert!(format!("{segment}a").parse::<EconomyId>().is_err());
        assert!("a:b:c:d".parse::<AssetId>().is_ok());
        assert_eq!(
            "a:b:c:d:e".parse::<AssetId>(),
            Err(IdError::Segments { most: 4 })
        );
        let longest = format!("{segment}:{}", "b".repeat(NAME_CHARS_MAX - 65));
        assert_eq!(longest.len(), NAME_CHARS_MAX);
        assert!(longest.parse::<AccountId>().is_ok());
        assert_eq!(
            format!("{longest}b").parse::<AccountId>(),
            Err(IdError::TooLong)
        );
    }

    #[test]
    fn the_fast_check_of_a_name_is_as_strict_as_the_slow_one() {
        let long = "a".repeat(SEGMENT_CHARS_MAX);
        let texts = [
            "", "a", "A", "-", "_a", "a.b", ":", "a:", ":a", "a::b", "a:b:c:d", "é", &long,
        ];
        for first in texts {
            for second in texts {
                let text = format!("{first}{second}");
                let is_valid = text
                    .split(':')
                    .all(|segment| check_segment(segment).is_ok())
                    && text.split(':').count() <= SEGMENTS_MAX;
                assert_eq!(is_path(&text, SEGMENTS_MAX), is_valid, "{text}");
            }
        }
    }

    #[test]
    fn names_are_lower_case_ascii_without_tricks() {
        for wrong in [
            "",
            "A",
            "a b",
            ":a",
            "a:",
            "a::b",
            "-a",
            "_",
            ".",
            "ä",
            "a\u{202e}b",
            "a/b",
        ] {
            assert!(wrong.parse::<AccountId>().is_err(), "{wrong:?}");
        }
        for right in ["user:81384788765712384", "0", "a.b_c-d", "guild:1:user:2"] {
            assert!(right.parse::<AccountId>().is_ok(), "{right:?}");
        }
    }

    #[test]
    fn every_asset_has_an_issuer_account() {
        let asset: AssetId = "a:b:c:d".parse().expect("an asset");
        let issuer = AccountId::issuer(&asset);
        assert_eq!(issuer.as_str().parse::<AccountId>(), Ok(issuer.clone()));
        assert!(issuer.is_issuer());
        assert!(issuer.is_issuer_of(&asset));
        assert!(!issuer.is_issuer_of(&"b:c:d".parse().expect("an asset")));
        let other: AccountId = "a:b:c:d".parse().expect("an account");
        assert!(!other.is_issuer_of(&asset));
    }

    #[test]
    fn kinds_are_read_from_names() {
        let kind = |text: &str| text.parse::<AccountId>().map(|a| format!("{:?}", a.kind()));
        assert_eq!(kind("plugin:shop:till"), Ok("Plugin(\"shop\")".into()));
        assert_eq!(kind("user:1"), Ok("Open".into()));
        assert_eq!(kind("plugin"), Err(IdError::Reserved("plugin")));
        assert_eq!(kind("issuer"), Err(IdError::Reserved("issuer")));
        assert!(kind("issuer:").is_err());
    }
}

//! Patterns of accounts.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{AccountId, AccountKind, IdError};
use crate::limits::SEGMENTS_MAX;

/// The last segment of a pattern, which matches one or more segments of a name.
const REST: &str = "*";

/// A pattern of account names, such as `user:*`, which matches `user:1` and `user:1:savings` but not
/// `user`.
///
/// A pattern has one or more literal segments, and a final `*` for one or more further segments. No pattern
/// matches the accounts of issuers and plugins.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountPattern {
    /// The segments before the `*`, each with its colon.
    prefix: Arc<str>,
}

/// The error of a text that is not a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// The text does not end with `:*` after other segments.
    #[error("a pattern ends with `:*` after one or more segments, as in `user:*`")]
    NoRest,
    /// The pattern has more segments than an account can have.
    #[error("a pattern has at most {} segments before its `*`", SEGMENTS_MAX - 1)]
    Segments,
    /// The pattern would match accounts that the server creates.
    #[error("a pattern does not begin with `{0}`: grants name such accounts one by one")]
    Reserved(&'static str),
    /// The segments before the `*` are not a name.
    #[error(transparent)]
    Name(#[from] IdError),
}

impl AccountPattern {
    /// Returns true if an account matches the pattern.
    pub fn matches(&self, account: &AccountId) -> bool {
        account.as_str().starts_with(&*self.prefix)
    }

    /// Returns the narrowest pattern that matches an account; none for issuers, plugins and names of one
    /// segment.
    pub fn around(account: &AccountId) -> Option<Self> {
        match account.kind() {
            AccountKind::Open => {
                let (parent, _) = account.as_str().rsplit_once(':')?;
                format!("{parent}:{REST}").parse().ok()
            }
            AccountKind::Issuer | AccountKind::Plugin(_) => None,
        }
    }
}

impl FromStr for AccountPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let prefix = text.strip_suffix(REST).ok_or(PatternError::NoRest)?;
        let parent = prefix.strip_suffix(':').ok_or(PatternError::NoRest)?;
        let first = parent.split(':').next().unwrap_or(parent);
        let reserved = ["issuer", "plugin"];
        if let Some(reserved) = reserved.into_iter().find(|reserved| first == *reserved) {
            return Err(PatternError::Reserved(reserved));
        }
        parent.parse::<AccountId>()?;
        if parent.split(':').count() >= SEGMENTS_MAX {
            return Err(PatternError::Segments);
        }
        Ok(Self {
            prefix: prefix.into(),
        })
    }
}

impl TryFrom<String> for AccountPattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        text.parse()
    }
}

impl From<AccountPattern> for String {
    fn from(pattern: AccountPattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for AccountPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{REST}", self.prefix)
    }
}

impl fmt::Debug for AccountPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::NAME_CHARS_MAX;

    fn pattern(text: &str) -> AccountPattern {
        text.parse().expect("a pattern")
    }

    fn matches(text: &str, account: &str) -> bool {
        pattern(text).matches(&account.parse().expect("an account"))
    }

    #[test]
    fn pattern_matches_one_or_more_further_segments_and_nothing_else() {
        for matching in ["user:1", "user:1:savings", "user:a:b:c"] {
            assert!(matches("user:*", matching), "{matching}");
        }
        for other in ["user", "users:1", "use:1", "guild:user:1", "issuer:user:1"] {
            assert!(!matches("user:*", other), "{other}");
        }
        assert!(matches("guild:1:*", "guild:1:user:2"));
        assert!(!matches("guild:1:*", "guild:12:user:2"));
        assert!(!matches("guild:1:*", "guild:1"));
    }

    #[test]
    fn pattern_is_some_segments_and_a_star() {
        for text in ["user:*", "a:b:c:*", "0:*", "issuers:*", "a:issuer:*"] {
            assert_eq!(pattern(text).to_string(), text);
        }
        let error = |text: &str| text.parse::<AccountPattern>().expect_err(text);
        for text in [
            "", "*", "user", "user:", "user*", "user:1", "user:*:1", "user:**",
        ] {
            assert!(
                matches!(error(text), PatternError::NoRest | PatternError::Name(_)),
                "{text}"
            );
        }
        for text in [":*", "User:*", "user::*", "*:*", "us*r:*"] {
            assert!(matches!(error(text), PatternError::Name(_)), "{text}");
        }
        assert_eq!(error("issuer:*"), PatternError::Reserved("issuer"));
        assert_eq!(error("plugin:shop:*"), PatternError::Reserved("plugin"));
    }

    #[test]
    fn pattern_ends_where_names_end() {
        assert_eq!(pattern("a:b:c:*").to_string(), "a:b:c:*");
        assert_eq!(
            "a:b:c:d:*".parse::<AccountPattern>(),
            Err(PatternError::Segments)
        );
        let segment = "a".repeat(64);
        let longest = format!("{segment}:{}", "b".repeat(NAME_CHARS_MAX - 65));
        assert!(format!("{longest}:*").parse::<AccountPattern>().is_ok());
        assert!(format!("{longest}b:*").parse::<AccountPattern>().is_err());
    }

    #[test]
    fn the_narrowest_pattern_of_an_account_is_returned() {
        let around = |account: &str| {
            let account: AccountId = account.parse().expect("an account");
            AccountPattern::around(&account).map(String::from)
        };
        assert_eq!(around("user:1"), Some("user:*".into()));
        assert_eq!(around("a:b:c:d"), Some("a:b:c:*".into()));
        for none in ["treasury", "plugin:shop:till", "issuer:coin"] {
            assert_eq!(around(none), None, "{none}");
        }
    }
}

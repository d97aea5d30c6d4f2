//! Keys of a plugin's state that contain names.

use crate::decline::Decline;
use crate::names::Account;

/// The largest key, in bytes. A longer one is a fault by the contract.
const KEY_BYTES_MAX: usize = 128;

/// Checks the length of a key that contains names, and returns the key.
///
/// A key that is longer than the contract allows is declined as `name_too_long`. Cutting or hashing the name
/// instead could give two members one key.
///
/// ```
/// let key = bursar_plugin::name_key("member/user:1".into());
/// assert_eq!(key.expect("it is short"), "member/user:1");
/// ```
pub fn name_key(key: String) -> Result<String, Decline> {
    if key.len() > KEY_BYTES_MAX {
        let message = "A name is too long to be stored.";
        return Err(Decline::new("name_too_long", message));
    }
    Ok(key)
}

/// Returns the key of a member's value: the prefix, a slash and the member's name.
///
/// No name contains a slash, so no two members share a key. A name that is too long is declined, as by
/// [`name_key`].
///
/// ```
/// use bursar_plugin::{Account, member_key};
///
/// let key = member_key("last", &Account::new("user:1"));
/// assert_eq!(key.expect("it is short"), "last/user:1");
/// ```
pub fn member_key(prefix: &str, member: &Account) -> Result<String, Decline> {
    name_key(format!("{prefix}/{member}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_end_at_the_limit_of_the_contract() {
        assert!(name_key("k".repeat(KEY_BYTES_MAX)).is_ok());
        let long = name_key("k".repeat(KEY_BYTES_MAX + 1)).expect_err("too long");
        assert_eq!(long.code(), "name_too_long");
    }

    #[test]
    fn members_have_keys_up_to_that_limit() {
        let member = |chars: usize| {
            let name = format!("{}:{}", "a".repeat(64), "b".repeat(chars - 65));
            name.parse::<Account>().expect("a name")
        };
        let longest = KEY_BYTES_MAX - "m/".len();
        let key = member_key("m", &member(longest)).expect("it fits");
        assert_eq!(key.len(), KEY_BYTES_MAX);
        let long = member_key("m", &member(longest + 1)).expect_err("too long");
        assert_eq!(long.code(), "name_too_long");
    }
}

//! Keys of a plugin's state that names are a part of.

use crate::decline::Decline;
use crate::names::Account;

/// Bytes of a key, as the contract has it; a longer one is a fault.
const KEY_BYTES_MAX: usize = 128;

/// A key of the plugin's state, unless the names in it make it longer than the contract allows: that is
/// declined as `name_too_long`, since a name that was cut or hashed might be somebody else's.
///
/// ```
/// let key = bursar_plugin::name_key("member/user:1".into());
/// assert_eq!(key.expect("it is short"), "member/user:1");
/// ```
pub fn name_key(key: String) -> Result<String, Decline> {
    if key.len() > KEY_BYTES_MAX {
        let message = "A name is too long to be remembered.";
        return Err(Decline::new("name_too_long", message));
    }
    Ok(key)
}

/// Where a plugin keeps something of a member, unless [the name is too long](name_key) for that.
///
/// A slash is in no name, so no two members share a key.
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

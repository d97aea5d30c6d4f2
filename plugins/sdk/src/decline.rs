//! The error of an action, and its conversions from other errors.

use crate::amount::AmountError;
use crate::bindings::bursar::plugin::types::Refusal;
use crate::bindings::exports::bursar::plugin::handler;
use crate::bindings::schedules::exports::bursar::plugin::schedule;
use crate::names::NameError;

/// The largest sentence, in bytes. A longer one is a fault.
const MESSAGE_BYTES_MAX: usize = 512;

/// The error of an action: a code for programs and a sentence for the member. A declined call changes nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decline {
    code: &'static str,
    message: String,
}

impl Decline {
    /// Creates an error. The code is 1 to 64 of `[a-z0-9_]`; any other code is a fault.
    ///
    /// The sentence is cut after 512 bytes, since it may repeat a member's input.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        let mut message = message.into();
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
        Self { code, message }
    }

    /// Returns the code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Returns the sentence.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// Converts a refusal of the host, so that `?` declines the call.
impl From<Refusal> for Decline {
    fn from(refusal: Refusal) -> Self {
        let (code, message) = match refusal {
            Refusal::UnknownAccount(account) => {
                ("unknown_account", format!("There is no account {account}."))
            }
            Refusal::UnknownAsset(asset) => {
                ("unknown_asset", format!("There is no asset {asset}."))
            }
            Refusal::NotGranted(what) => ("not_granted", format!("This plugin may not {what}.")),
            Refusal::OverLimit(limit) => (
                "over_limit",
                format!(
                    "That takes {} {}; the limit is {}.",
                    limit.asked, limit.asset, limit.most
                ),
            ),
            // Only `secure` returns this, for an account of the plugin. If another account cannot pay, the
            // ledger rejects the call at the commit.
            Refusal::InsufficientFunds => {
                ("house_cannot_cover", "The bank cannot cover that.".into())
            }
            Refusal::NoRoom => ("no_room", "Your account cannot take that much.".into()),
            Refusal::AfterDraw => ("after_draw", "That cannot move after a draw.".into()),
            Refusal::NotSecured => (
                "not_secured",
                "That was not secured before the draw.".into(),
            ),
            Refusal::Other(what) => ("refused", what),
        };
        Self::new(code, message)
    }
}

/// Converts a failed computation to a decline with the code `amount_out_of_range`.
impl From<AmountError> for Decline {
    fn from(error: AmountError) -> Self {
        Self::new("amount_out_of_range", format!("{error}."))
    }
}

/// Converts an invalid name to a decline with the code `bad_name`.
impl From<NameError> for Decline {
    fn from(error: NameError) -> Self {
        Self::new("bad_name", format!("{error}."))
    }
}

impl From<Decline> for schedule::Decline {
    fn from(decline: Decline) -> Self {
        Self {
            code: decline.code.into(),
            message: decline.message,
        }
    }
}

impl From<Decline> for handler::Decline {
    fn from(decline: Decline) -> Self {
        Self {
            code: decline.code.into(),
            message: decline.message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_cut_at_the_limit_of_the_contract() {
        let whole = Decline::new("a", "x".repeat(MESSAGE_BYTES_MAX));
        assert_eq!(whole.message().len(), MESSAGE_BYTES_MAX);
        let cut = Decline::new("a", "é".repeat(MESSAGE_BYTES_MAX));
        assert_eq!(cut.message(), "é".repeat(MESSAGE_BYTES_MAX / 2));
        let between = Decline::new("a", format!("x{}", "é".repeat(MESSAGE_BYTES_MAX)));
        assert_eq!(between.message().len(), MESSAGE_BYTES_MAX - 1);
    }

    #[test]
    fn a_refusal_becomes_a_sentence_for_the_member() {
        let decline = Decline::from(Refusal::NotGranted("debit `user:6`".into()));
        assert_eq!(
            (decline.code(), decline.message()),
            ("not_granted", "This plugin may not debit `user:6`.")
        );
    }
}

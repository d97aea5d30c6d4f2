//! A plugin's own no, and the host's no turned into one.

use crate::amount::AmountError;
use crate::bindings::bursar::plugin::types::Refusal;
use crate::bindings::exports::bursar::plugin::handler;
use crate::bindings::schedules::exports::bursar::plugin::schedule;
use crate::names::NameError;

/// Bytes of a sentence; the host takes a longer one for a fault.
const MESSAGE_BYTES_MAX: usize = 512;

/// A plugin's no: a code for programs, and a sentence that the member reads. Nothing moves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decline {
    code: &'static str,
    message: String,
}

impl Decline {
    /// A no. The code is 1 to 64 of `[a-z0-9_]`; the host takes another one for a fault. A
    /// sentence of more than 512 bytes is cut there: it may repeat what a member wrote.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        let mut message = message.into();
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
        Self { code, message }
    }

    /// The code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The sentence.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// What the host refuses, a plugin usually declines: `?` does it.
impl From<Refusal> for Decline {
    fn from(refusal: Refusal) -> Self {
        let (code, message) = match refusal {
            Refusal::UnknownAccount(account) => {
                ("unknown_account", format!("There is no account {account}."))
            }
            Refusal::UnknownAsset(asset) => ("unknown_asset", format!("There is no {asset} here.")),
            Refusal::NotGranted(what) => ("not_granted", format!("This plugin may not {what}.")),
            Refusal::OverLimit(limit) => (
                "over_limit",
                format!(
                    "That takes {} {}; the limit is {}.",
                    limit.asked, limit.asset, limit.most
                ),
            ),
            // Only `secure` says so, of an account of the plugin's: what others cannot pay shows
            // when the call commits, as the ledger's rejection.
            Refusal::InsufficientFunds => {
                ("house_cannot_cover", "The house cannot cover that.".into())
            }
            Refusal::NoRoom => ("no_room", "Your account has no room for that.".into()),
            Refusal::AfterDraw => ("after_draw", "Nothing moves any more after a draw.".into()),
            Refusal::NotSecured => (
                "not_secured",
                "That was not secured before the draw.".into(),
            ),
            Refusal::Other(what) => ("refused", what),
        };
        Self::new(code, message)
    }
}

/// A sum or a product that is no amount is declined as `amount_out_of_range`.
impl From<AmountError> for Decline {
    fn from(error: AmountError) -> Self {
        Self::new("amount_out_of_range", format!("{error}."))
    }
}

/// A text that should have been a name is declined as `bad_name`.
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
    fn a_sentence_is_cut_where_the_host_would_call_it_a_fault() {
        let whole = Decline::new("a", "x".repeat(MESSAGE_BYTES_MAX));
        assert_eq!(whole.message().len(), MESSAGE_BYTES_MAX);
        let cut = Decline::new("a", "é".repeat(MESSAGE_BYTES_MAX));
        assert_eq!(cut.message(), "é".repeat(MESSAGE_BYTES_MAX / 2));
        let between = Decline::new("a", format!("x{}", "é".repeat(MESSAGE_BYTES_MAX)));
        assert_eq!(between.message().len(), MESSAGE_BYTES_MAX - 1);
    }

    #[test]
    fn what_the_host_refuses_becomes_a_sentence_for_the_member() {
        let decline = Decline::from(Refusal::NotGranted("debit `user:6`".into()));
        assert_eq!(
            (decline.code(), decline.message()),
            ("not_granted", "This plugin may not debit `user:6`.")
        );
    }
}

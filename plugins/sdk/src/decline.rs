//! A plugin's own no, and the host's no turned into one.

use crate::bindings::bursar::plugin::types::Refusal;
use crate::bindings::exports::bursar::plugin::handler;

/// A plugin's no: a code for programs, and a sentence that the member reads. Nothing moves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decline {
    code: String,
    message: String,
}

impl Decline {
    /// A no. The code is 1 to 64 of `[a-z0-9_]`; the sentence has at most 512 bytes.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
        }
    }

    /// The code.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The sentence.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// What the host refuses, a plugin usually declines: `?` does it.
impl From<Refusal> for Decline {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::UnknownAccount(account) => {
                Self::new("unknown_account", format!("There is no account {account}."))
            }
            Refusal::UnknownAsset(asset) => {
                Self::new("unknown_asset", format!("There is no {asset} here."))
            }
            Refusal::NotGranted(what) => Self::new(
                "not_granted",
                format!("This plugin has no grant to {what}."),
            ),
            Refusal::OverLimit(limit) => Self::new(
                "over_limit",
                format!(
                    "That takes {} {}, over the limit of {}.",
                    limit.asked, limit.asset, limit.most
                ),
            ),
            Refusal::InsufficientFunds => {
                Self::new("house_cannot_cover", "The house cannot cover that.")
            }
            Refusal::NoRoom => Self::new("no_room", "Your account has no room for that."),
            Refusal::AfterDraw => Self::new("after_draw", "Nothing moves any more after a draw."),
            Refusal::NotSecured => {
                Self::new("not_secured", "That was not secured before the draw.")
            }
            Refusal::Other(what) => Self::new("refused", what),
        }
    }
}

impl From<Decline> for handler::Decline {
    fn from(decline: Decline) -> Self {
        Self {
            code: decline.code,
            message: decline.message,
        }
    }
}

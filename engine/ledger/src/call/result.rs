//! The result of a plugin's call, as the ledger commits it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::call::request::CallRequest;
use crate::call::transcript::Transcript;
use crate::digest::Digest;
use crate::draw::DrawOrigin;
use crate::rejection::Rejection;

/// How a call ended.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallEnding {
    /// The plugin replied: what it asked for is to be committed.
    Replied {
        /// Its reply.
        reply: Value,
    },
    /// The plugin said no.
    Declined {
        /// Its code, for programs.
        code: String,
        /// Its sentence, for the member.
        message: String,
    },
    /// The plugin misbehaved, in a way that would repeat itself.
    Faulted {
        /// What it did, for the operator.
        fault: String,
    },
    /// The call could not begin; the ledger says why.
    NotRun(Rejection),
    /// The call ended before its first draw: what it had asked for by then cannot be.
    Stopped(Rejection),
    /// The call has drawn and could not be brought to an end. What was drawn is kept for another try
    /// with the same key.
    Broken {
        /// What went wrong, which depends on the machine and the moment.
        failure: String,
        /// Whether the plugin may have brought it about, to be rid of what it had drawn.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        by_plugin: bool,
    },
}

/// A call that has ended and waits to be committed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CallResult {
    /// What was asked of the plugin.
    pub request: CallRequest,
    /// Which component ran.
    pub component: Digest,
    /// What it learned and asked, in order.
    pub transcript: Transcript,
    /// How it ended.
    pub ending: CallEnding,
    /// Fuel that it burned.
    pub fuel: u64,
    /// Where its draws come from, if it has drawn in any try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<DrawOrigin>,
}

impl CallResult {
    /// Whether the plugin has run to an end, to which it comes whenever it runs again.
    pub fn has_run(&self) -> bool {
        match self.ending {
            CallEnding::Replied { .. }
            | CallEnding::Declined { .. }
            | CallEnding::Faulted { .. }
            | CallEnding::Stopped(_) => true,
            CallEnding::NotRun(_) | CallEnding::Broken { .. } => false,
        }
    }

    /// A call that could not begin.
    pub fn not_run(request: CallRequest, component: Digest, why: Rejection) -> Self {
        Self {
            request,
            component,
            transcript: Transcript::default(),
            ending: CallEnding::NotRun(why),
            fuel: 0,
            origin: None,
        }
    }
}

//! The result of a plugin's call, as the ledger commits it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::call::request::CallRequest;
use crate::call::transcript::Transcript;
use crate::digest::Digest;
use crate::draw::DrawOrigin;
use crate::rejection::Rejection;

/// The way in which a call ended.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallEnding {
    /// The plugin replied, and its requests are to be committed.
    Replied {
        /// The reply.
        reply: Value,
    },
    /// The plugin declined.
    Declined {
        /// The code, for programs.
        code: String,
        /// The sentence, for the member.
        message: String,
    },
    /// The plugin failed in a way that each attempt would repeat.
    Faulted {
        /// A description of the fault, for the operator.
        fault: String,
    },
    /// The call did not start, for the reason that the ledger gave.
    NotRun(Rejection),
    /// The call ended before its first draw, because the requests so far cannot be committed.
    Stopped(Rejection),
    /// The call has drawn and did not complete. Its origin is stored for another attempt with the
    /// same idempotency key.
    Broken {
        /// The reason, which depends on the machine and the moment.
        failure: String,
        /// True if the plugin may have caused the failure to get rid of its draws.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        by_plugin: bool,
    },
}

/// The result of a call that is to be committed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CallResult {
    /// The request.
    pub request: CallRequest,
    /// The component that ran.
    pub component: Digest,
    /// The exchanges with the host, in order.
    pub transcript: Transcript,
    /// The way in which the call ended.
    pub ending: CallEnding,
    /// The fuel that was used.
    pub fuel: u64,
    /// The origin of the draws, if the call has drawn in any attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<DrawOrigin>,
}

impl CallResult {
    /// Returns true if the plugin has run, and would end in the same way in every run.
    pub fn has_run(&self) -> bool {
        match self.ending {
            CallEnding::Replied { .. }
            | CallEnding::Declined { .. }
            | CallEnding::Faulted { .. }
            | CallEnding::Stopped(_) => true,
            CallEnding::NotRun(_) | CallEnding::Broken { .. } => false,
        }
    }

    /// Creates the result of a call that did not start.
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

//! The request of a plugin's call.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::amount::Limit;
use crate::digest::Digest;
use crate::id::{AccountId, AssetId, CallId, PluginName};
use crate::key::limits::TransferCap;
use crate::time::Timestamp;

/// The most that may leave the caller in one call, by asset. An asset without an entry may not leave at
/// all.
pub type SpendLimit = BTreeMap<AssetId, Limit>;

/// The request of one call. It is equal in every attempt.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CallRequest {
    /// The id of the call.
    pub id: CallId,
    /// The plugin.
    pub plugin: PluginName,
    /// The action, or the schedule.
    pub action: String,
    /// The member on whose behalf the plugin runs.
    pub caller: AccountId,
    /// The arguments of the action.
    pub arguments: Value,
    /// The caller's roles, as the bot names them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub roles: Vec<String>,
    /// The due time of the run; absent in calls that someone requested.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub due: Option<Timestamp>,
    /// The most that may leave the caller.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub spend_limit: Option<SpendLimit>,
    /// The most that the request's API key may move, as a further limit on what leaves the caller.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cap: Option<TransferCap>,
    /// The idempotency key of the request. A later attempt with the same key has the same draws.
    pub key: String,
    /// The time of the call, as the plugin sees it.
    pub now: Timestamp,
}

impl CallRequest {
    /// Returns the key under which the origin of an unfinished call is stored.
    ///
    /// It covers plugin, action and arguments: a member who has seen a draw could otherwise bet on it, by
    /// another request under the same idempotency key.
    pub fn draw_key(&self) -> Arc<str> {
        let request = format!("{} {} {}", self.plugin, self.action, self.arguments);
        let request = Digest::of(request.as_bytes());
        format!("{} {} {request}", self.caller, self.key).into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn request() -> CallRequest {
        CallRequest {
            id: CallId(Uuid::nil()),
            plugin: "coinflip".parse().expect("a name"),
            action: "flip".into(),
            caller: "user:1".parse().expect("a name"),
            arguments: json!({"side": "heads"}),
            roles: Vec::new(),
            due: None,
            spend_limit: None,
            cap: None,
            key: "k".into(),
            now: Timestamp(0),
        }
    }

    /// Otherwise a member who has seen tails could bet on tails under the same key.
    #[test]
    fn only_the_same_bet_draws_the_same_under_a_key() {
        let first = request().draw_key();
        let later = CallRequest {
            id: CallId(Uuid::max()),
            now: Timestamp(7),
            ..request()
        };
        assert_eq!(later.draw_key(), first, "a later try is the same bet");
        let others = [
            CallRequest {
                arguments: json!({"side": "tails"}),
                ..request()
            },
            CallRequest {
                action: "double".into(),
                ..request()
            },
            CallRequest {
                plugin: "dice".parse().expect("a name"),
                ..request()
            },
            CallRequest {
                caller: "user:2".parse().expect("a name"),
                ..request()
            },
            CallRequest {
                key: "other".into(),
                ..request()
            },
        ];
        for other in others {
            assert_ne!(other.draw_key(), first, "{other:?}");
        }
    }
}

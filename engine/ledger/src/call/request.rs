//! A plugin's call: what was asked of the plugin, and how it ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::amount::Limit;
use crate::digest::Digest;
use crate::id::{AccountId, AssetId, CallId, PluginName};
use crate::key::limits::TransferCap;
use crate::time::Timestamp;

/// The most that may leave the caller in one call, per asset. An asset that it does not name may
/// not leave at all.
pub type SpendLimit = BTreeMap<AssetId, Limit>;

/// One call, as the host runs it and the ledger commits it. It is the same in every try.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CallRequest {
    /// The call's id.
    pub id: CallId,
    /// The plugin that is called.
    pub plugin: PluginName,
    /// The action that is asked for.
    pub action: String,
    /// The member on whose behalf it runs.
    pub caller: AccountId,
    /// The action's arguments.
    pub arguments: Value,
    /// The caller's roles, as the bot says.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub roles: Vec<String>,
    /// The due time for which it runs, if nobody asked for it but the clock.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub due: Option<Timestamp>,
    /// The most that may leave the caller.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub spend_limit: Option<SpendLimit>,
    /// The most that the key that asks may move: a further limit on what leaves the caller.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cap: Option<TransferCap>,
    /// The request's idempotency key. Draws depend on it, so that a later try with the same key
    /// draws the same.
    pub key: String,
    /// The call's own time.
    pub now: Timestamp,
}

impl CallRequest {
    /// Under what its draws are kept, if it cannot be brought to an end. A member draws what it has drawn
    /// under a key before, if it asks for the same: else it could bet again on what it has heard of.
    pub fn draw_key(&self) -> Arc<str> {
        let asked = format!("{} {} {}", self.plugin, self.action, self.arguments);
        let asked = Digest::of(asked.as_bytes());
        format!("{} {} {asked}", self.caller, self.key).into()
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

    /// Else whoever has heard of tails could bet on it, under the key that draws it again.
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

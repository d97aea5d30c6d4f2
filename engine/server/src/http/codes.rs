//! Every code that a problem may have, with what it means. Codes are stable: programs branch on them.

/// The codes, from the request itself to the state of the world.
pub(super) const CODES: [(&str, &str); 74] = [
    (
        "malformed",
        "The request cannot be read; `pointer` leads to the place in the body (RFC 6901).",
    ),
    (
        "idempotency_key_missing",
        "The request moves something and names no intent.",
    ),
    (
        "idempotency_key_malformed",
        "The `Idempotency-Key` is not 1 to 128 printable ASCII characters.",
    ),
    (
        "unauthorized",
        "No key was sent, or one that is not good here.",
    ),
    (
        "forbidden",
        "The key does not allow this; `scope` says what would.",
    ),
    ("route_not_found", "The API has no such path."),
    ("method_not_allowed", "The path does not take this method."),
    (
        "economy_not_found",
        "There is no such economy, or the key may not see it.",
    ),
    (
        "account_not_found",
        "The economy has no such account; open it with PUT.",
    ),
    (
        "asset_not_found",
        "The economy has no such asset; make it with PUT.",
    ),
    (
        "plugin_not_found",
        "The plugin is not installed in this economy.",
    ),
    ("action_not_found", "The plugin has no such action."),
    ("key_not_found", "There is no such API key."),
    ("call_not_found", "The economy has no call of this id."),
    ("hold_not_found", "The economy never had such a hold."),
    (
        "transfer_not_found",
        "The economy never made such a transfer.",
    ),
    ("webhook_not_found", "The economy has no such webhook."),
    (
        "outcome_not_found",
        "No answer is kept under this idempotency key.",
    ),
    (
        "component_not_found",
        "No component has this digest; upload it first.",
    ),
    (
        "position_past_head",
        "`position` comes after the newest record, `head`: read again from the start, and compare.",
    ),
    (
        "history_changed",
        "The record at `position` is another one by now: read again from the start, and compare.",
    ),
    ("body_timeout", "The body did not arrive in time."),
    ("too_large", "The body has more than `bytes_max` bytes."),
    (
        "rate_limited",
        "The key asks too often; `Retry-After` says when to come back.",
    ),
    (
        "idempotency_key_reused",
        "The key stands for another request; `field` says where they differ.",
    ),
    (
        "economy_frozen",
        "Nothing moves in the economy until an admin opens it again.",
    ),
    ("economy_closed", "The economy is closed, for ever."),
    (
        "holds_open",
        "An economy is closed when no holds are open; `open` says how many are.",
    ),
    (
        "issuer_account",
        "A transfer names an issuer; only issue, burn and granted plugins do.",
    ),
    (
        "plugin_account",
        "Debiting a plugin's account needs the scope `admin`.",
    ),
    (
        "plugin_hold",
        "A hold that a plugin has placed is ended by it, or with the scope `admin`.",
    ),
    (
        "transfer_cap",
        "The key moves at most `cap` of `asset` in one request, and `asked` is more.",
    ),
    (
        "reserved_account",
        "The account is made by the server, with the asset or the plugin.",
    ),
    (
        "account_frozen",
        "Nothing moves on the account until it is opened again.",
    ),
    ("account_closed", "The account is closed."),
    (
        "account_not_empty",
        "An account is closed when it has nothing, and owes nothing.",
    ),
    (
        "already_reversed",
        "The transfer was taken back before; `by` says by which.",
    ),
    (
        "reversal_final",
        "The transfer took `of` back, and that stands.",
    ),
    (
        "seeds_hidden",
        "As many server seeds as may wait for games to end, `most`, are not revealed yet.",
    ),
    (
        "nothing_before",
        "No other component was installed before this one.",
    ),
    (
        "plugin_changed",
        "The plugin was changed while the request was read; look at it, and ask again.",
    ),
    (
        "schedule_unknown",
        "The plugin has no schedule of this name.",
    ),
    (
        "budget_exceeded",
        "The plugin may move `most` of `asset` a day by `budget`, and this would make `asked`.",
    ),
    ("hold_closed", "The hold has ended; `ended` says how."),
    (
        "hold_exceeded",
        "Only `remaining` is left of the hold, and `amount` is more.",
    ),
    (
        "quota_reached",
        "The economy keeps `used` of at most `limit`, and this needs more; an operator can raise the \
         `quota`.",
    ),
    (
        "insufficient_funds",
        "`account` can spend `available` of `asset`, and `required` is more.",
    ),
    (
        "ceiling_exceeded",
        "`account` may hold `ceiling` of `asset`, and would have more.",
    ),
    (
        "supply_limit",
        "More than `max_supply` of `asset` would be in circulation.",
    ),
    (
        "asset_incomplete",
        "A new asset needs the member that is `missing`.",
    ),
    ("asset_fixed", "This `member` of an asset never changes."),
    (
        "key_incomplete",
        "A new API key needs the member that is `missing`.",
    ),
    ("key_exists", "There is an API key of this name already."),
    (
        "key_revoked",
        "The API key is revoked: another secret would be good for nothing.",
    ),
    (
        "webhook_incomplete",
        "A new webhook needs the member that is `missing`.",
    ),
    (
        "plugin_disabled",
        "The plugin is switched off, or was never switched on.",
    ),
    (
        "component_missing",
        "A plugin that is not installed yet needs a `component`.",
    ),
    (
        "grant_too_wide",
        "A grant narrows what the manifest asks for, and cannot widen it.",
    ),
    (
        "state_quota",
        "The plugin would keep more state than it may.",
    ),
    (
        "component_refused",
        "The component may not run here; `findings` say why, with hints.",
    ),
    (
        "declined",
        "The plugin says no; `decline` has its own code and sentence.",
    ),
    (
        "plugin_fault",
        "The plugin misbehaved and was stopped; nothing has moved.",
    ),
    (
        "backup_exists",
        "There is something at the path, and a backup overwrites nothing.",
    ),
    (
        "audit_running",
        "An audit is under way, and one runs at a time; ask again when it has ended.",
    ),
    ("no_room", "The disk has no room for the copy."),
    (
        "backup_behind",
        "The copy was slower than what was written meanwhile, and was given up.",
    ),
    (
        "backup_unsound",
        "The copy is not sound, and was thrown away: audit the file.",
    ),
    (
        "backup_failed",
        "The copy could not be made; the log of the server says why.",
    ),
    (
        "overloaded",
        "Too much is waiting; ask again with the same key.",
    ),
    (
        "conflict",
        "Others changed what the call had learned, each time; ask again with the same key.",
    ),
    (
        "outcome_unknown",
        "It is not known whether it was written; the same key tells.",
    ),
    (
        "unavailable",
        "No requests are taken, the file cannot be read, or nothing can be compiled at the moment.",
    ),
    (
        "call_failed",
        "The call could not be brought to an end; nothing has moved.",
    ),
    ("internal", "A bug was met; ask again with the same key."),
];

/// The codes as a table, for the description of a problem.
pub(super) fn table() -> String {
    let row = |(code, meaning): &(&str, &str)| format!("| `{code}` | {meaning} |\n");
    let rows: String = CODES.iter().map(row).collect();
    format!("| code | meaning |\n|---|---|\n{rows}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bursar_ledger::Rejection;

    use super::*;

    #[test]
    fn every_code_is_described_once() {
        let codes: BTreeSet<&str> = CODES.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes.len(), CODES.len());
    }

    #[test]
    fn every_rejection_of_the_ledger_has_its_code_here() {
        // What serde expected instead is the list of all variants.
        let nonsense = serde_json::json!({ "code": "-" });
        let error = serde_json::from_value::<Rejection>(nonsense).expect_err("no such rejection");
        let expected = error.to_string();
        let variants: Vec<&str> = expected.split('`').skip(3).step_by(2).collect();
        assert!(variants.len() >= 20, "{expected}");
        // What is refused in a batch is answered with its own code, and where it stands.
        for variant in variants
            .into_iter()
            .filter(|variant| *variant != "in_batch")
        {
            let described = CODES.iter().any(|(code, _)| *code == variant);
            assert!(described, "`{variant}` is not in codes.rs");
        }
    }
}

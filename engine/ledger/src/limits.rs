//! All limits of the ledger. Tests cover the last allowed value of each one and the first that is not.

/// The largest amount, and the largest balance on either side of zero: 2^53 − 1, the largest integer that
/// all JSON readers keep exactly (RFC 8259, section 6).
pub const AMOUNT_MAX: u64 = (1 << 53) - 1;

/// The constant [`AMOUNT_MAX`] as a balance.
pub(crate) const BALANCE_MAX: i64 = (1 << 53) - 1;

/// Postings in one transfer.
pub const POSTINGS_MAX: usize = 64;

/// Transfers in one batch.
pub const BATCH_TRANSFERS_MAX: usize = 8_192;

/// Postings of all transfers of one batch together.
pub const BATCH_POSTINGS_MAX: usize = 16_384;

/// Assets in which one account may have a credit limit, and as many in which it may have a ceiling. One
/// record may contain all of them.
pub const ACCOUNT_LIMITS_MAX: usize = 1_024;

/// The longest lifetime of a hold, in seconds: a leap year.
pub const HOLD_SECONDS_MAX: u64 = 366 * 24 * 60 * 60;

/// Characters in the reason for a forced reversal.
pub const REASON_CHARS_MAX: usize = 256;

/// Characters in one segment of a name.
pub const SEGMENT_CHARS_MAX: usize = 64;

/// Segments in the name of an account or an asset.
pub const SEGMENTS_MAX: usize = 4;

/// Characters in the name of an account or an asset.
pub const NAME_CHARS_MAX: usize = 128;

/// Assets in the transfer cap of a key. Each act of the key contains the cap.
pub const TRANSFER_CAP_ASSETS_MAX: usize = 64;

/// Bytes in the URL of a webhook.
pub const WEBHOOK_URL_BYTES_MAX: usize = 2_048;

/// Requests at once in the rate limit of a key.
pub const RATE_REQUESTS_MAX: u32 = 1_000_000;

/// The longest period of a key's rate limit, in seconds: a day.
pub const RATE_PERIOD_S_MAX: u32 = 86_400;

/// Postings that one call of a plugin may request.
pub const CALL_POSTINGS_MAX: usize = 16;

/// Reads of balances and state in one call of a plugin.
pub const CALL_READS_MAX: usize = 64;

/// State writes in one call of a plugin.
pub const CALL_WRITES_MAX: usize = 16;

/// Draws in one call of a plugin.
pub const CALL_DRAWS_MAX: usize = 64;

/// Amounts that one call of a plugin may secure before its first draw.
pub const CALL_SECURES_MAX: usize = 16;

/// Bytes in the label of a draw.
pub const DRAW_LABEL_BYTES_MAX: usize = 64;

/// Bytes in a key of a plugin's state.
pub const STATE_KEY_BYTES_MAX: usize = 128;

/// Bytes in a value of a plugin's state.
pub const STATE_VALUE_BYTES_MAX: usize = 4096;

/// Bytes of keys and values that one plugin may keep in one economy by default.
pub const STATE_BYTES_MAX: u64 = 1 << 20;

/// The most bytes of state that a plugin may be granted.
pub const STATE_BYTES_GRANTED_MAX: u64 = 64 << 20;

/// Holds that one call of a plugin may place.
pub const CALL_HOLDS_MAX: usize = 16;

/// Bytes that one call may mix into its draws.
pub const DRAW_MIX_BYTES_MAX: usize = 4_096;

/// Numbers in one shuffle.
pub const SHUFFLE_MAX: u32 = 1_024;

/// Bytes in one draw of bytes.
pub const DRAW_BYTES_MAX: u32 = 256;

/// Bytes of a client seed.
pub const CLIENT_SEED_BYTES_MAX: usize = 64;

/// Roles of a member that a bot may name in one call.
pub const ROLES_MAX: usize = 64;

/// Bytes in the name of a role.
pub const ROLE_BYTES_MAX: usize = 64;

/// Hold rules of one plugin.
pub const HOLD_RULES_MAX: usize = 16;

/// Grants by pattern of one plugin, and patterns in a manifest.
pub const GRANT_PATTERNS_MAX: usize = 8;

/// Schedules of one plugin.
pub const SCHEDULES_MAX: usize = 8;

/// Calls of one plugin that may draw and fail before the plugin is switched off. A game that discards draws
/// is not fair, even if it does so by accident.
pub const BROKEN_DRAWS_MAX: u32 = 3;

/// Nonces that may be used ahead of lower ones without a record.
pub const NONCES_AHEAD_MAX: u64 = 65_536;

/// Unfinished calls whose origins of draws are stored for another try.
pub const BOUND_NONCES_MAX: usize = 4_096;

/// Server seeds that may wait for games to end before they are revealed.
pub const SEEDS_HIDDEN_MAX: usize = 64;

/// Missed due times of a schedule that are caught up; older ones are skipped.
pub const SCHEDULE_CATCH_UP_MAX: u64 = 1_000;

/// Seconds between two due times of a schedule: a leap year.
pub const SCHEDULE_SECONDS_MAX: u64 = 366 * 24 * 60 * 60;

/// Keys in one page of a plugin's state.
pub const STATE_PAGE_KEYS_MAX: usize = 64;

/// Revisions of an installation that are listed.
pub const REVISIONS_MAX: usize = 100;

/// Accounts of a plugin in addition to `plugin:{name}`.
pub const PLUGIN_ACCOUNTS_MAX: usize = 8;

/// Nested objects and arrays in a document: metadata, a configuration, the arguments of a call and its
/// reply. Records contain documents, and must be readable.
pub const DOCUMENT_DEPTH_MAX: usize = 32;

/// Bytes of the metadata of an account or an asset, as JSON.
pub const DOCUMENT_BYTES_MAX: usize = 16 * 1024;

/// Bytes of a plugin's configuration, as JSON. A shop with 256 offers and all their members needs half of
/// it.
pub const CONFIG_BYTES_MAX: usize = 128 * 1024;

/// The work of a record, regardless of its contents. The unit is about 10 µs of the writer's thread.
pub const ACT_WORK: u64 = 2;

/// The work of a posting.
pub const POSTING_WORK: u64 = 1;

/// Accounts of one economy by default: a community of 50,000 members with five accounts each.
pub const ACCOUNTS_QUOTA: u64 = 250_000;

/// The highest quota of accounts.
pub const ACCOUNTS_QUOTA_MAX: u64 = 20_000_000;

/// Bytes of metadata of one economy by default: 268 bytes for each of the most accounts, or the largest
/// document for each of 4,096 accounts.
pub const METADATA_BYTES_QUOTA: u64 = 64 << 20;

/// The highest quota of bytes of metadata.
pub const METADATA_BYTES_QUOTA_MAX: u64 = 16 << 30;

/// Assets of one economy by default. Unique items are assets too.
pub const ASSETS_QUOTA: u64 = 4_096;

/// The highest quota of assets.
pub const ASSETS_QUOTA_MAX: u64 = 1_000_000;

/// Balances of one economy by default: four assets for each of the most accounts.
pub const BALANCES_QUOTA: u64 = 1_000_000;

/// The highest quota of balances.
pub const BALANCES_QUOTA_MAX: u64 = 100_000_000;

/// Bytes of plugin state of one economy by default: a cooldown for each of 390,000 members.
pub const STATE_BYTES_QUOTA: u64 = 64 << 20;

/// The highest quota of bytes of plugin state.
pub const STATE_BYTES_QUOTA_MAX: u64 = 16 << 30;

/// Bytes that each entry of plugin state counts in addition to its key and its value: the memory of two
/// texts and a tree node.
pub const STATE_ENTRY_BYTES: u64 = 128;

/// Bytes of plugin state beyond the quota that calls may write after a draw. A round whose draw is known
/// must not fail because others have used the quota; a call can only draw while its largest possible writes
/// fit here.
pub const STATE_AFTER_DRAW_BYTES: u64 = 4 << 20;

/// Installed plugins of one economy by default.
pub const PLUGINS_QUOTA: u64 = 64;

/// The highest quota of installed plugins.
pub const PLUGINS_QUOTA_MAX: u64 = 4_096;

/// Open holds of one economy by default: two for each member of a large community.
pub const HOLDS_QUOTA: u64 = 100_000;

/// The highest quota of open holds.
pub const HOLDS_QUOTA_MAX: u64 = 10_000_000;

/// Reversals that one economy keeps by default: a hundred a day for seven years.
pub const REVERSALS_QUOTA: u64 = 250_000;

/// The highest quota of reversals.
pub const REVERSALS_QUOTA_MAX: u64 = 50_000_000;

/// Counters of daily budgets in one economy by default: five for each member of a large community, by
/// plugin and asset.
pub const BUDGET_COUNTERS_QUOTA: u64 = 250_000;

/// The highest quota of counters of daily budgets.
pub const BUDGET_COUNTERS_QUOTA_MAX: u64 = 50_000_000;

/// Webhooks of one economy by default.
pub const WEBHOOKS_QUOTA: u64 = 16;

/// The highest quota of webhooks.
pub const WEBHOOKS_QUOTA_MAX: u64 = 256;

/// Concurrent event streams of one economy by default.
pub const STREAMS_QUOTA: u64 = 32;

/// The highest quota of event streams. The server also has a limit for all economies together.
pub const STREAMS_QUOTA_MAX: u64 = 1_024;

/// Days for which the flows of an asset are kept, including the present day: a leap year.
pub const FLOW_DAYS_MAX: u64 = 366;

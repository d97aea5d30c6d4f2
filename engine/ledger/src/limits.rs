//! Every limit of the ledger, in one place. A test stands at each of them and one beyond.

/// The largest amount, and the largest balance on either side of zero: 2^53 − 1, the largest whole
/// number that every JSON reader keeps exactly.
pub const AMOUNT_MAX: u64 = (1 << 53) - 1;

/// [`AMOUNT_MAX`] as a balance.
pub(crate) const BALANCE_MAX: i64 = (1 << 53) - 1;

/// Postings in one transfer.
pub const POSTINGS_MAX: usize = 64;

/// Transfers in one batch.
pub const BATCH_TRANSFERS_MAX: usize = 8_192;

/// Postings of all transfers of one batch together.
pub const BATCH_POSTINGS_MAX: usize = 16_384;

/// Assets in which one account may have a credit limit, and as many in which it may have a ceiling.
/// A record may have to name all of them.
pub const ACCOUNT_LIMITS_MAX: usize = 1_024;

/// The longest time of a hold, in seconds: a leap year.
pub const HOLD_SECONDS_MAX: u64 = 366 * 24 * 60 * 60;

/// Characters in the reason for a forced reversal.
pub const REASON_CHARS_MAX: usize = 256;

/// Characters in one segment of a name.
pub const SEGMENT_CHARS_MAX: usize = 64;

/// Segments in the name of an account or an asset.
pub const SEGMENTS_MAX: usize = 4;

/// Characters in the name of an account or an asset.
pub const NAME_CHARS_MAX: usize = 128;

/// Assets that the transfer cap of a key may name. Each act of that key carries it.
pub const TRANSFER_CAP_ASSETS_MAX: usize = 64;

/// Bytes in the URL of a webhook.
pub const WEBHOOK_URL_BYTES_MAX: usize = 2_048;

/// Requests that the rate limit of a key may let through at once.
pub const RATE_REQUESTS_MAX: u32 = 1_000_000;

/// Seconds over which the rate limit of a key may stretch: a day.
pub const RATE_PERIOD_S_MAX: u32 = 86_400;

/// Postings that one call of a plugin may ask for.
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

/// Bytes of keys and values together that one plugin may keep in one economy, unless it was granted
/// more or less.
pub const STATE_BYTES_MAX: u64 = 1 << 20;

/// Bytes of state that a plugin may be granted.
pub const STATE_BYTES_GRANTED_MAX: u64 = 64 << 20;

/// Holds that one call of a plugin may place.
pub const CALL_HOLDS_MAX: usize = 16;

/// Bytes that one call may mix into its draws.
pub const DRAW_MIX_BYTES_MAX: usize = 4_096;

/// Numbers in one shuffle.
pub const SHUFFLE_MAX: u32 = 1_024;

/// Bytes in one draw of bytes.
pub const DRAW_BYTES_MAX: u32 = 256;

/// Bytes of what a member puts into draws.
pub const CLIENT_SEED_BYTES_MAX: usize = 64;

/// Roles of a member that a bot may name in one call.
pub const ROLES_MAX: usize = 64;

/// Bytes in the name of a role.
pub const ROLE_BYTES_MAX: usize = 64;

/// Kinds of holds of one plugin.
pub const HOLD_RULES_MAX: usize = 16;

/// Patterns of accounts that one plugin may be granted, and as many that its manifest may ask for.
pub const GRANT_PATTERNS_MAX: usize = 8;

/// Schedules of one plugin.
pub const SCHEDULES_MAX: usize = 8;

/// Calls of one plugin that may draw and then break off before it is switched off: a game that does so
/// is not fair, whether it means to be or not.
pub const BROKEN_DRAWS_MAX: u32 = 3;

/// Nonces that may be handed out before those before them have left a record.
pub const NONCES_AHEAD_MAX: u64 = 65_536;

/// Calls that have drawn and could not be brought to an end whose draws are kept for another try.
pub const BOUND_NONCES_MAX: usize = 4_096;

/// Server seeds that may wait for games to end before they are revealed.
pub const SEEDS_HIDDEN_MAX: usize = 64;

/// Due times of a schedule that are made up for after a pause; older ones are left out.
pub const SCHEDULE_CATCH_UP_MAX: u64 = 1_000;

/// Seconds between two due times of a schedule: a leap year.
pub const SCHEDULE_SECONDS_MAX: u64 = 366 * 24 * 60 * 60;

/// Keys in one page of a plugin's state.
pub const STATE_PAGE_KEYS_MAX: usize = 64;

/// Revisions of how a plugin is installed that are told.
pub const REVISIONS_MAX: usize = 100;

/// Sub-accounts that a plugin may ask for beside `plugin:{name}`.
pub const PLUGIN_ACCOUNTS_MAX: usize = 8;

/// Levels of objects and arrays within each other in a document: metadata, a configuration, the
/// arguments of a call and its reply. They are kept inside of records, which must be read again.
pub const DOCUMENT_DEPTH_MAX: usize = 32;

/// Bytes of the metadata of an account or an asset, as JSON.
pub const DOCUMENT_BYTES_MAX: usize = 16 * 1024;

/// Bytes of a plugin's configuration, as JSON: 256 offers of a shop with all that they can say take half of it.
pub const CONFIG_BYTES_MAX: usize = 128 * 1024;

/// Work of a record, whatever is in it: the unit is about 10 µs of the writer's thread.
pub const ACT_WORK: u64 = 2;

/// Work of a posting.
pub const POSTING_WORK: u64 = 1;

/// Accounts of one economy, unless an operator has set another quota: a community of 50,000 members
/// with a handful of accounts each.
pub const ACCOUNTS_QUOTA: u64 = 250_000;

/// Accounts up to which an operator can raise the quota.
pub const ACCOUNTS_QUOTA_MAX: u64 = 20_000_000;

/// Bytes of metadata of one economy, unless an operator has set another quota: 268 bytes for each
/// account of a full economy, or a full document for each of 4,096.
pub const METADATA_BYTES_QUOTA: u64 = 64 << 20;

/// Bytes of metadata up to which an operator can raise the quota.
pub const METADATA_BYTES_QUOTA_MAX: u64 = 16 << 30;

/// Assets of one economy, unless an operator has set another quota. Unique items are assets, too.
pub const ASSETS_QUOTA: u64 = 4_096;

/// Assets up to which an operator can raise the quota.
pub const ASSETS_QUOTA_MAX: u64 = 1_000_000;

/// Balances of one economy, unless an operator has set another quota: four assets for each account of
/// a full economy.
pub const BALANCES_QUOTA: u64 = 1_000_000;

/// Balances up to which an operator can raise the quota.
pub const BALANCES_QUOTA_MAX: u64 = 100_000_000;

/// Bytes of plugin state of one economy, unless an operator has set another quota: a cooldown for
/// each of 390,000 members.
pub const STATE_BYTES_QUOTA: u64 = 64 << 20;

/// Bytes of plugin state up to which an operator can raise the quota.
pub const STATE_BYTES_QUOTA_MAX: u64 = 16 << 30;

/// Bytes that each entry of plugin state counts of the quota beside its key and its value: what two
/// texts and a place in a tree take in memory.
pub const STATE_ENTRY_BYTES: u64 = 128;

/// Bytes of plugin state beyond the quota that calls may write after a draw. A round whose draw is
/// known must not fail for lack of room that others have used up; a call begins to draw only while the
/// most that it could write fits here.
pub const STATE_AFTER_DRAW_BYTES: u64 = 4 << 20;

/// Installed plugins of one economy, unless an operator has set another quota.
pub const PLUGINS_QUOTA: u64 = 64;

/// Installed plugins up to which an operator can raise the quota.
pub const PLUGINS_QUOTA_MAX: u64 = 4_096;

/// Open holds of one economy, unless an operator has set another quota: two for each member of a
/// large community.
pub const HOLDS_QUOTA: u64 = 100_000;

/// Open holds up to which an operator can raise the quota.
pub const HOLDS_QUOTA_MAX: u64 = 10_000_000;

/// Reversals that one economy remembers, unless an operator has set another quota: a hundred a day
/// for seven years.
pub const REVERSALS_QUOTA: u64 = 250_000;

/// Reversals up to which an operator can raise the quota.
pub const REVERSALS_QUOTA_MAX: u64 = 50_000_000;

/// Counters of daily budgets in one economy, unless an operator has set another quota: five for each
/// member of a large community, each of another plugin or asset.
pub const BUDGET_COUNTERS_QUOTA: u64 = 250_000;

/// Counters of daily budgets up to which an operator can raise the quota.
pub const BUDGET_COUNTERS_QUOTA_MAX: u64 = 50_000_000;

/// Webhooks of one economy, unless an operator has set another quota.
pub const WEBHOOKS_QUOTA: u64 = 16;

/// Webhooks up to which an operator can raise the quota.
pub const WEBHOOKS_QUOTA_MAX: u64 = 256;

/// Event streams of one economy at the same time, unless an operator has set another quota.
pub const STREAMS_QUOTA: u64 = 32;

/// Event streams up to which an operator can raise the quota. The server has a limit of its own for
/// all economies together.
pub const STREAMS_QUOTA_MAX: u64 = 1_024;

/// Days of which an asset's circulation is kept, the present one among them: a leap year.
pub const FLOW_DAYS_MAX: u64 = 366;

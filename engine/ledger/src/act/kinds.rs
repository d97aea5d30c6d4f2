//! The list of act kinds, by which records, events and the API name acts.

/// Calls a macro with each variant of [`Act`](crate::Act) and its kind, in the order of the variants.
///
/// The list is not in the file of `Act` because webhooks read it too, and `Act` contains requests for
/// webhooks.
macro_rules! for_each_act_kind {
    ($callback:ident) => {
        $callback! {
            OpenEconomy = "open_economy",
            SetEconomy = "set_economy",
            SetQuotas = "set_quotas",
            SetAsset = "set_asset",
            SetAccount = "set_account",
            Transfer = "transfer",
            Batch = "batch",
            Reverse = "reversal",
            PlaceHold = "place_hold",
            CaptureHold = "capture_hold",
            ReleaseHold = "release_hold",
            ExpireHold = "expire_hold",
            Issue = "issue",
            Burn = "burn",
            SetPlugin = "set_plugin",
            RemovePlugin = "remove_plugin",
            RollBackPlugin = "roll_back_plugin",
            SwitchOffPlugin = "switch_off_plugin",
            SkipDue = "skip_due",
            Call = "call",
            SetClientSeed = "set_client_seed",
            RotateSeed = "rotate_seed",
            RevealSeeds = "reveal_seeds",
            SetClock = "set_clock",
            ExtendHolds = "extend_holds",
            BurnNonces = "burn_nonces",
            SetKey = "set_key",
            AddComponent = "add_component",
            SetWebhook = "set_webhook",
            RemoveWebhook = "remove_webhook",
            ReplayWebhook = "replay_webhook",
        }
    };
}

pub(super) use for_each_act_kind;

macro_rules! names {
    ($($variant:ident = $kind:literal,)*) => {
        /// The kinds of all acts, in the order of the variants.
        pub(crate) const KINDS: [&str; [$($kind),*].len()] = [$($kind),*];
    };
}

for_each_act_kind!(names);

//! The macro `plugin!` and the macros that it expands to.

/// Declares a plugin: its manifest and the function of each action.
///
/// * The version in the manifest is the version of the package.
/// * `accounts` lists the plugin's further accounts. The installation creates `plugin:{name}:till` for `"till"`,
///   where `name` is the name of the installation: the id, unless the operator chooses another name.
/// * Each action is `name: "description" => fn(Arguments) -> Reply`. A function of the same name runs it:
///   `fn name(call: &Call<Config>, arguments: Arguments) -> Result<Reply, Decline>`. Other types do not compile.
///
/// The other sections are optional. They must have this order:
///
/// ```
/// use bursar_plugin::prelude::*;
/// use bursar_plugin::{Odds, Stake, serde_json::json};
///
/// # #[derive(Serialize, JsonSchema)]
/// # struct Entry {}
/// # #[derive(Serialize, JsonSchema)]
/// # struct Draw {}
/// #[derive(Deserialize, JsonSchema)]
/// struct Config {
///     prize: Asset,
///     winners: u32,
/// }
///
/// bursar_plugin::plugin! {
///     id: "raffle",
///     description: "A raffle.",
///     license: "MIT",
///     accounts: ["pot"],
///     permissions: {
///         read: ["guild:treasury"],
///         credit: ["issuer:ticket"],
///         debit: ["issuer:coin"],
///         patterns: ["user:*": read debit, "team:*": read],
///         state_bytes: 16_777_216,
///         fuel: large,
///     },
///     config: Config,
///     check: check,
///     actions: {
///         enter: "Stakes a ticket." => fn(NoArguments) -> Entry,
///     },
///     holds: {
///         stake: 3_600 s then capture,
///         prize: 86_400 s then release,
///     },
///     schedules: {
///         draw: "Draws the winner." every 86_400 s from 72_000 s missed catch_up => fn() -> Draw,
///         tidy: "Deletes old rounds." every 3_600 s from 0 s missed skip => fn() -> Draw,
///     },
///     odds: odds(),
/// }
///
/// fn check(config: &Config, report: &mut ConfigReport) {
///     if config.winners > 3 {
///         report.finding("/winners", "at most 3 members can win: there are three prizes");
///     }
///     report.need(&report.own_sub_account("pot"), &config.prize, Amount::new(3).unwrap());
/// }
///
/// fn enter(call: &Call<Config>, _: NoArguments) -> Result<Entry, Decline> {
///     // …
/// #   Ok(Entry {})
/// }
///
/// fn draw(call: &Call<Config>, due_ms: u64) -> Result<Draw, Decline> {
///     // …
/// #   Ok(Draw {})
/// }
///
/// fn tidy(call: &Call<Config>, due_ms: u64) -> Result<Draw, Decline> {
///     // …
/// #   Ok(Draw {})
/// }
///
/// fn odds() -> Vec<Odds> {
///     let stake = Stake { asset: "ticket", amount: 1 };
///     vec![Odds {
///         action: "enter",
///         description: "One ticket in a hundred wins 90.",
///         arguments: json!({}),
///         config: json!({"prize": "coin", "winners": 1}),
///         stake,
///         returns_ppm: 900_000,
///         follow: None,
///     }]
/// }
/// # use bursar_plugin::bindings::exports::bursar::plugin::handler::Guest;
/// # let manifest: bursar_plugin::serde_json::Value =
/// #     bursar_plugin::serde_json::from_str(&Component::describe()).expect("JSON");
/// # assert_eq!(manifest["permissions"]["state_bytes"], 16_777_216);
/// # let patterns = &manifest["permissions"]["patterns"];
/// # assert_eq!(patterns[0]["debit"], true);
/// # assert_eq!(patterns[1].to_string(), r#"{"accounts":"team:*","read":true}"#);
/// # assert_eq!(manifest["permissions"]["fuel"], "large");
/// # assert_eq!(manifest["holds"]["stake"]["expires_in_s"], 3_600);
/// # assert_eq!(manifest["schedules"][0]["offset_s"], 72_000);
/// # assert_eq!(manifest["odds"][0]["returns_ppm"], 900_000);
/// # use bursar_plugin::bindings::configured::exports::bursar::plugin::configuration;
/// # let config = json!({"prize": "coin", "winners": 4}).to_string();
/// # let report = <Component as configuration::Guest>::check("raffle".into(), config);
/// # assert_eq!(report.findings[0].pointer, "/winners");
/// # assert_eq!(report.needs[0].account, "plugin:raffle:pot");
/// ```
///
/// * `check` checks a configuration before an operator's change takes effect ([`ConfigReport`]). It reports
///   errors that the schema cannot express, and the balances that the plugin needs. It sees the configuration
///   only and cannot call the host. A configuration that does not fit the type is rejected without `check`, too.
/// * `permissions` lists what the plugin needs beyond its own accounts and the caller's. The operator may grant
///   less:
///   * `read`: accounts whose balances it reads.
///   * `credit`: issuers that it credits, which burns an asset.
///   * `debit`: accounts that it debits. Debiting an issuer issues an asset.
///   * `patterns`: groups of accounts that it would like to read or debit, such as every account below `user` with
///     `["user:*": read debit]`. The operator sees this request, and grants it by writing each pattern with caps.
///   * `state_bytes`: the bytes of all its keys and values in one economy: 1 MiB by default, 64 MiB at most.
///   * `fuel`: the computation of one call ([`Fuel`]): `small`, `standard` (the default) or `large`.
/// * `holds` lists the kinds of holds for [`Call::place_hold`]: the lifetime in seconds, at most 366 days, and
///   whether the rest is captured or released when a hold expires.
/// * `schedules` lists what the plugin does without a call. `every` is the number of seconds between two due
///   times, counted from 1970-01-01 UTC; `from` moves all of them to a later second of that interval. A function
///   of the same name runs at each due time. If due times pass while no server runs, `missed catch_up` runs each
///   of them late, and `missed skip` leaves them out.
/// * `odds` states the average return of a game ([`Odds`]). `bursar plugin check --simulate` plays the game and
///   compares.
///
/// The macro declares a type named `Component`, so a crate can use it once. An invalid name does not compile,
/// and the error shows it: `` `User 1` in `read` of `permissions` is not the name of an account ``.
///
/// [`Call::place_hold`]: crate::Call::place_hold
/// [`ConfigReport`]: crate::ConfigReport
/// [`Fuel`]: crate::Fuel
/// [`Odds`]: crate::Odds
///
/// ```compile_fail
/// # use bursar_plugin::prelude::*;
/// # #[derive(Serialize, JsonSchema)]
/// # struct View {}
/// # fn look(_: &Call<NoConfig>, _: NoArguments) -> Result<View, Decline> { Ok(View {}) }
/// bursar_plugin::plugin! {
///     id: "spy",
///     description: "Reads a balance.",
///     license: "MIT",
///     accounts: [],
///     permissions: { read: ["User 1"] },
///     config: NoConfig,
///     actions: { look: "Reads a balance." => fn(NoArguments) -> View },
/// }
/// ```
#[macro_export]
macro_rules! plugin {
    (
        id: $id:literal,
        description: $description:literal,
        license: $license:literal,
        accounts: [$($account:literal),* $(,)?],
        $(permissions: {
            $($right:ident: $requested:tt),* $(,)?
        },)?
        config: $config:ty,
        $(check: $check:path,)?
        actions: {
            $($action:ident: $action_description:literal => fn($arguments:ty) -> $reply:ty),+ $(,)?
        } $(,)?
        $(holds: {
            $($hold:ident: $lifetime:literal s then $end:ident),+ $(,)?
        } $(,)?)?
        $(schedules: {
            $($schedule:ident: $schedule_description:literal every $every:literal s from $offset:literal s
                missed $missed:ident => fn() -> $schedule_reply:ty),+ $(,)?
        } $(,)?)?
        $(odds: $odds:expr $(,)?)?
    ) => {
        /// The plugin's component, which implements the contract.
        #[derive(Debug)]
        pub struct Component;

        // Invalid names fail the compilation here.
        $crate::__require!(is_segment($id), "the `id`", "one segment of a name");
        $($crate::__require!(is_segment($account), "`accounts`", "one segment of a name");)*
        $($($crate::__names!($right $requested);)*)?
        $($crate::__require!(is_word(stringify!($action)), "`actions`", "the name of an action");)+
        $($($crate::__require!(is_word(stringify!($hold)), "`holds`", "the name of a hold");)+)?
        $($($crate::__require!(
            is_word(stringify!($schedule)), "`schedules`", "the name of a schedule"
        );)+)?

        impl $crate::bindings::exports::bursar::plugin::handler::Guest for Component {
            fn describe() -> String {
                let manifest = $crate::Manifest {
                    id: $id,
                    version: env!("CARGO_PKG_VERSION"),
                    description: $description,
                    license: $license,
                    accounts: &[$($account),*],
                    actions: vec![$($crate::ActionInfo {
                        name: stringify!($action),
                        description: $action_description,
                        arguments: $crate::schema_of::<$arguments>(),
                        reply: $crate::schema_of::<$reply>(),
                    }),+],
                    configuration: $crate::schema_of::<$config>(),
                    permissions: $crate::Permissions::default()
                        $($(.$right($crate::__permission!($right $requested)))*)?,
                    holds: [$($((stringify!($hold), $crate::HoldRule {
                        expires_in_s: $lifetime,
                        on_expiry: $crate::__on_expiry!($end),
                    }),)+)?].into_iter().collect(),
                    schedules: vec![$($($crate::ScheduleInfo {
                        name: stringify!($schedule),
                        description: $schedule_description,
                        every_s: $every,
                        offset_s: $offset,
                        missed: $crate::__missed!($missed),
                    }),+)?],
                    odds: Vec::new()$(.into_iter().chain::<Vec<$crate::Odds>>($odds).collect())?,
                };
                manifest.to_json()
            }

            fn handle(
                arguments: String,
            ) -> Result<String, $crate::bindings::exports::bursar::plugin::handler::Decline> {
                $crate::dispatch_action::<$config>(|call, action| match action {
                    $(stringify!($action) => {
                        Some($crate::run_action::<$config, $arguments, $reply>(call, &arguments, $action))
                    })+
                    _ => None,
                })
            }
        }

        impl $crate::bindings::configured::exports::bursar::plugin::configuration::Guest
            for Component
        {
            fn check(
                plugin: String,
                configuration: String,
            ) -> $crate::bindings::configured::exports::bursar::plugin::configuration::Report {
                let check: fn(&$config, &mut $crate::ConfigReport) = $crate::__check!($($check)?);
                $crate::check_configuration::<$config>(&plugin, &configuration, check)
            }
        }

        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "exports of the contract are called across the component's boundary")]
        mod component {
            use super::Component;
            $crate::bindings::export!(Component with_types_in $crate::bindings);
            $crate::bindings::configured::export_configured!(
                Component with_types_in $crate::bindings::configured
            );
        }

        $(
        impl $crate::bindings::schedules::exports::bursar::plugin::schedule::Guest for Component {
            fn run(
                name: String,
                due: u64,
            ) -> Result<
                String,
                $crate::bindings::schedules::exports::bursar::plugin::schedule::Decline,
            > {
                $crate::dispatch_schedule::<$config>(&name, |call| match name.as_str() {
                    $(stringify!($schedule) => {
                        Some($crate::run_schedule::<$config, $schedule_reply>(call, due, $schedule))
                    })+
                    _ => None,
                })
            }
        }

        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "exports of the contract are called across the component's boundary")]
        mod scheduled_component {
            use super::Component;
            $crate::bindings::schedules::export_schedules!(
                Component with_types_in $crate::bindings::schedules
            );
        }
        )?
    };
}

/// Expands to the plugin's check of a configuration. The default accepts each configuration that fits the type.
#[doc(hidden)]
#[macro_export]
macro_rules! __check {
    () => {
        |_, _| {}
    };
    ($check:path) => {
        $check
    };
}

/// Checks a name at compile time. The error shows the name and its section of `plugin!`.
#[doc(hidden)]
#[macro_export]
macro_rules! __require {
    ($is_valid:ident($($name:tt)+), $section:literal, $expected:literal) => {
        const _: () = $crate::names::require(
            $crate::names::$is_valid($($name)+),
            concat!("`", $($name)+, "` in ", $section, " is not ", $expected),
        );
    };
}

/// Checks the names in `permissions` at compile time.
#[doc(hidden)]
#[macro_export]
macro_rules! __names {
    (read [$($name:literal),* $(,)?]) => {
        $($crate::__require!(
            is_account_name($name), "`read` of `permissions`", "the name of an account"
        );)*
    };
    (credit [$($name:literal),* $(,)?]) => {
        $($crate::__require!(
            is_issuer_name($name), "`credit` of `permissions`",
            "an issuer (`issuer:coin`); crediting any other account needs no permission"
        );)*
    };
    (debit [$($name:literal),* $(,)?]) => {
        $($crate::__require!(
            is_account_name($name), "`debit` of `permissions`", "the name of an account"
        );)*
    };
    ($other:ident $value:tt) => {};
}

/// Expands to the value of a permission in the manifest.
#[doc(hidden)]
#[macro_export]
macro_rules! __permission {
    (fuel $fuel:ident) => {
        $crate::__fuel!($fuel)
    };
    (state_bytes $bytes:literal) => {
        $bytes
    };
    (patterns [$($accounts:literal: $($right:ident)+),* $(,)?]) => {
        &[$($crate::PatternRequest {
            $($right: true,)+
            ..$crate::PatternRequest {
                accounts: $accounts,
                read: false,
                debit: false,
            }
        }),*]
    };
    ($accounts:ident [$($name:literal),* $(,)?]) => {
        &[$($name),*]
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __fuel {
    (small) => {
        $crate::Fuel::Small
    };
    (standard) => {
        $crate::Fuel::Standard
    };
    (large) => {
        $crate::Fuel::Large
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __on_expiry {
    (capture) => {
        $crate::OnExpiry::Capture
    };
    (release) => {
        $crate::OnExpiry::Release
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __missed {
    (catch_up) => {
        $crate::MissedRuns::CatchUp
    };
    (skip) => {
        $crate::MissedRuns::Skip
    };
}

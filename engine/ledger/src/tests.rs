//! Tests of the ledger: scripts, tables and properties over random histories.
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that goes out of bounds fails, as it should"
)]
#![allow(
    clippy::needless_raw_string_hashes,
    reason = "expect-test writes them when it updates what is expected"
)]

mod counted;
mod script;
mod words;

mod account_limits;
mod admission;
mod allowed;
mod caps;
mod clock;
mod counts;
mod effects;
mod holds;
mod moments;
mod money;
mod puts;
mod quotas;
mod rejections;
mod reversals;

mod webhooks;

mod bets;
mod budgets;
mod calls;
mod draws;
mod fair;
mod forged;
mod games;
mod installed;
mod names;
mod newer_versions;
mod nonces;
mod patterns;
mod patterns_with_draws;
mod revealed;
mod revisions;
mod rooms;
mod stakes;
mod staleness;
mod state;
mod switch_off;
mod wakes;

mod books;
mod numbers;
mod violations;

mod history;
mod model;
mod properties;
mod rounds;
mod samples;
mod thefts;

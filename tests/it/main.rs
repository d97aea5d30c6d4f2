//! The integration tests in one binary: stories against a real server with a real file and real components,
//! and checks of the workspace itself.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod server_process;
mod support;
mod wait;
mod workspace;

// Tests of documented limits and of what pages say about the sources.
mod at_limits;
mod limits;
mod long_runs;
mod machine;
mod named_tests;
mod notices;
mod plugin_names;

// The same damage as in the tests of the host crate, which does not depend on the server.
#[path = "../../engine/host/src/tests/mutants.rs"]
mod mutants;
// The same hand-written guests as in the tests of the host crate. These tests use only some of their
// functions.
#[allow(dead_code, reason = "the tests of the host use the rest")]
#[path = "../../engine/host/src/tests/guest.rs"]
mod guest;
#[path = "../../engine/host/src/tests/interfaces.rs"]
mod interfaces;
#[path = "../../engine/host/src/tests/random_guest.rs"]
mod mixes;

mod access;
mod admission;
mod api_index;
mod archive;
mod auction_bids;
mod auctions;
mod audits;
mod auto_disable;
mod balance_lists;
mod batches;
mod bench;
mod blackjack;
mod bodies;
mod bundled;
mod checklist;
mod clock;
mod clock_steps;
mod coinflip;
mod command_line;
mod compat;
mod compile_limits;
mod complaints;
mod configurations;
mod conflicts;
mod crash;
mod crowds;
mod daily;
mod economies;
mod events;
mod exactly_once;
mod fair;
mod fair_faults;
mod fair_kills;
mod forged_calls;
mod full_disk;
mod holds;
mod hostile;
mod hostile_guests;
mod house;
mod index_files;
mod json;
mod json_bodies;
mod key_limits;
mod malformed;
mod manifest_schema;
mod manifests;
mod openapi;
mod openapi_check;
mod opening_balances;
mod pattern_grants;
mod plugin_versions;
mod properties;
mod quotas;
mod race;
mod random_auctions;
mod random_configurations;
mod random_terms;
mod reading;
mod receipt_holds;
mod receipts;
mod reference_books;
mod replay;
mod restored;
mod reversals;
mod revisions;
mod schedules;
mod seeds;
mod shop;
mod shop_refunds;
mod shop_restock;
mod shutdown;
mod soak;
mod state_bounds;
mod statement;
mod terminal_output;
mod terms;
mod testkit;
mod tour;
mod transfers;
mod uploads;
mod usage_errors;
mod webhook_changes;
mod webhook_failures;
mod webhook_progress;
mod webhook_receiver;
mod webhooks;

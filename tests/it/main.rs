//! One integration binary: stories on a real server with a real file and real components, and what
//! must hold of the house itself.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod patience;
mod support;

// What is bounded, and what pages say of the sources.
mod at_limits;
mod limits;
mod long;
mod machine;
mod named_tests;
mod names;
mod notices;

// The damage is the same as in the tests of the host, which knows no server.
#[path = "../../engine/host/src/tests/mutants.rs"]
mod mutants;
// So are guests that are written by hand, of which stories need only a few words.
#[allow(dead_code, reason = "the tests of the host use the rest")]
#[path = "../../engine/host/src/tests/guest.rs"]
mod guest;
#[path = "../../engine/host/src/tests/interfaces.rs"]
mod interfaces;
#[path = "../../engine/host/src/tests/mixes.rs"]
mod mixes;

mod access;
mod admission;
mod archive;
mod auctions;
mod audits;
mod balances;
mod batches;
mod blackjack;
mod bodies;
mod bombs;
mod bounded;
mod bundled;
mod checklist;
mod clock;
mod clock_steps;
mod coinflip;
mod command_line;
mod complaints;
mod configurations;
mod configured_at_random;
mod conflicts;
mod crash;
mod crowds;
mod daily;
mod described;
mod dishonest;
mod economies;
mod ending;
mod events;
mod exactly_once;
mod fair;
mod holds;
mod hostile;
mod hostile_guests;
mod house;
mod inert;
mod json;
mod key_limits;
mod lists;
mod malformed;
mod manifest_schema;
mod manifests;
mod museum;
mod openapi;
mod properties;
mod quotas;
mod race;
mod receipts;
mod receiver;
mod replay;
mod restored;
mod reversals;
mod revisions;
mod robberies;
mod schedules;
mod seeds;
mod shop;
mod siege;
mod statement;
mod switched_off;
mod terms;
mod terms_at_random;
mod testkit;
mod tour;
mod transfers;
mod uploads;
mod versions;
mod webhooks;
mod webhooks_broken;
mod webhooks_changed;
mod webhooks_noted;
mod wrong_usage;

//! The host against guests written by hand: what is let in, and what a guest can bring about.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod abuse;
mod allocations;
mod answers;
mod border;
mod check;
mod configuration;
mod contract;
mod counts;
mod discord;
mod fuzz;
mod guest;
mod hostile;
mod interfaces;
mod keywords;
mod limits;
mod log;
mod manifests;
mod mixed;
mod mixes;
mod mutants;
mod named;
mod prices;
mod published;
mod ready;
mod requests;
mod schedules;
mod schemas;
mod sizes;
mod world;

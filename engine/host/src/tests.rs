//! Tests of the host with hand-written guests.
#![allow(clippy::unwrap_used, reason = "a test that cannot continue has failed")]

mod abuse;
mod allocations;
mod check;
mod configuration;
mod contract;
mod counts;
mod discord;
mod economy;
mod fuzz;
mod guest;
mod hostile;
mod import_operands;
mod interfaces;
mod keywords;
mod limits;
mod loading;
mod log;
mod manifests;
mod mutants;
mod name_formats;
mod prices;
mod published;
mod random_guest;
mod random_guests;
mod requests;
mod results;
mod schedules;
mod schemas;
mod sizes;

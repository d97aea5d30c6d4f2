//! The host against guests written by hand: what is let in, and what a guest can bring about.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod abuse;
mod answers;
mod border;
mod check;
mod contract;
mod fuzz;
mod guest;
mod interfaces;
mod limits;
mod manifests;
mod mutants;
mod ready;
mod requests;
mod sizes;
mod world;

//! One integration binary: stories on a real server with a real file and real components, and what
//! must hold of the house itself.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

mod access;
mod batches;
mod coinflip;
mod command_line;
mod crash;
mod described;
mod events;
mod exactly_once;
mod hostile;
mod house;
mod malformed;
mod openapi;
mod properties;
mod shop;
mod statement;
mod tour;
mod transfers;

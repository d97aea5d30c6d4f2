//! Faults of the disk: whatever was acknowledged before one is there after it, and what is there passes the audit.
//!
//! The real storage runs on a real file while every write and every sync is noted. The notes say what the disk would
//! have had at any point: what was synced, and of the rest anything at all. What a disk keeps in a cache of its own
//! after it has reported that a sync is done is beyond this test.

#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that goes out of bounds fails, as it should"
)]

mod disk;
mod failed_calls;
mod failed_syncs;
mod full_disk;
mod indexes;
mod power_cuts;
mod recorder;
mod recording;
mod requests;
mod stories;
mod system_calls;

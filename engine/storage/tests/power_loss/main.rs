//! Faults of the disk: all requests that were acknowledged before a fault are stored after it, and the file passes the
//! audit.
//!
//! The real storage runs on a real file while each write and each sync is recorded. From the recording follows the
//! content that the disk could have had at any point: everything synced, and any part of the rest. Caches of the disk
//! itself, which lose data after a reported sync, are not modelled.

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

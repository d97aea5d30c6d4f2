//! The bounds of frames: so many records, so many bytes, and a frame of its own for a large record.

use super::*;
use crate::log::frame::{FRAME_BYTES_MAX, FRAME_RECORDS_MAX, Frame};

/// A record of a file with its place in its chain, with a request of a given length.
fn sample(request_bytes: usize) -> (Record, ChainLink) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    founded(&path);
    let (record, _) = chained(&path).pop().expect("a record");
    let record = Record {
        request: "r".repeat(request_bytes),
        ..record
    };
    let link = record.link(Digest::ZERO);
    (record, link)
}

/// Adds a record to a frame until the frame is full. Returns the number of records and of their bytes.
fn fill(record: &Record, link: &ChainLink) -> (u64, usize) {
    let mut builder = FrameBuilder::begin(1, record, link, false);
    while !builder.is_full() {
        builder.add(record, link);
    }
    let mut compressor = FrameCompressor::new().expect("a compressor");
    let row = builder.finish(1, &Digest::ZERO, &mut compressor);
    let row = row.expect("a frame");
    let records = row.records;
    (records, Frame::open(&row).expect("it is read").bytes())
}

#[test]
fn a_frame_has_so_many_records() {
    let (record, link) = sample(100);
    let (records, bytes) = fill(&record, &link);
    assert_eq!(records, FRAME_RECORDS_MAX as u64);
    assert!(bytes < FRAME_BYTES_MAX, "{bytes}");
}

#[test]
fn a_frame_takes_no_record_beyond_its_bytes() {
    let (record, link) = sample(FRAME_BYTES_MAX / 5);
    let (records, bytes) = fill(&record, &link);
    assert_eq!(records, 5);
    let each = bytes / 5;
    assert!(
        bytes >= FRAME_BYTES_MAX && bytes - each < FRAME_BYTES_MAX,
        "{bytes}"
    );
}

#[test]
fn a_large_record_has_a_frame_of_its_own() {
    let (record, _) = sample(0);
    let others = record.act.len() + record.changes.len() + record.answer.len();
    let at = FRAME_BYTES_MAX / 4 - others;
    let with = |bytes| Record {
        request: "r".repeat(bytes),
        ..record.clone()
    };
    assert!(!FrameBuilder::is_large(&with(at - 1)));
    assert!(FrameBuilder::is_large(&with(at)));
    let large = with(at);
    let builder = FrameBuilder::begin(1, &large, &large.link(Digest::ZERO), true);
    assert!(builder.is_full());
}

#[test]
fn a_commit_of_many_records_is_several_frames_of_one_batch() {
    let (_folder, path, storage) = open_guild();
    let act = |number| submission(Some(&format!("k{number}")), transfer("user:1", "user:2", 1));
    let waiting: Vec<Receiver> = (0..200)
        .map(|number| storage.submit(act(number)).expect("the queue has room"))
        .collect();
    for receiver in waiting {
        answered(
            receiver
                .blocking_recv()
                .expect("a reply")
                .expect("no failure"),
        );
    }
    storage.close();
    let frames = count(&path, "SELECT count(*) FROM frames");
    let batches = count(&path, "SELECT count(DISTINCT batch) FROM frames");
    let largest = count(&path, "SELECT max(records) FROM frames");
    assert!(batches <= frames, "{batches} commits, {frames} frames");
    assert!(
        largest <= i64::try_from(FRAME_RECORDS_MAX).expect("few"),
        "{largest}"
    );
    assert_eq!(count(&path, "SELECT sum(records) FROM frames"), 205);
}

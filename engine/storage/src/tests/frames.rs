//! Bounds of frames: the number of records, the number of bytes, and a frame of its own for a large record.

use super::*;
use crate::log::frame::{FRAME_BYTES_MAX, FRAME_RECORDS_MAX, Frame};
use crate::log::reader::{FRAME_KEPT_BYTES_MAX, FRAMES_KEPT, LogReader};
use crate::{rows, schema};

/// Returns a record with its place in its chain and a request of the given length.
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

/// A commit of one small record would cost twice as much with Huffman tables.
#[test]
fn a_small_record_alone_in_its_frame_is_compressed_less_and_faster() {
    let (record, link) = sample(100);
    let frame = |is_large| {
        let builder = FrameBuilder::begin(1, &record, &link, is_large);
        let mut compressor = FrameCompressor::new().expect("a compressor");
        let row = builder.finish(1, &Digest::ZERO, &mut compressor);
        row.expect("a frame")
    };
    let [small, large] = [false, true].map(frame);
    for row in [&small, &large] {
        let frame = Frame::open(row).expect("it is read");
        assert_eq!(frame.record(record.id).expect("a record"), record);
        assert!(row.bytes.len() < frame.bytes(), "both are compressed");
    }
    assert!(small.bytes.len() > large.bytes.len());
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

/// Creates a log in memory with one record in each frame. The lengths are those of the requests.
fn log_of(request_lengths: &[usize]) -> Database {
    let database = Database::in_memory().expect("it opens");
    schema::migrate(&database).expect("the tables");
    let mut compressor = FrameCompressor::new().expect("a compressor");
    let mut insert = database
        .prepare(
            "INSERT INTO frames (id, batch, records, format, request_bytes, head, bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )
        .expect("a statement");
    let (first, _) = sample(0);
    for (length, id) in request_lengths.iter().zip(1..) {
        let record = Record {
            id,
            request: "r".repeat(*length),
            ..first.clone()
        };
        let link = record.link(Digest::ZERO);
        let builder = FrameBuilder::begin(1, &record, &link, false);
        let row = builder.finish(1, &Digest::ZERO, &mut compressor);
        let row = row.expect("a frame");
        let inserted = insert.run(vec![
            integer(id),
            integer(row.batch),
            integer(row.records),
            integer(row.format.into()),
            integer(*length as u64),
            rows::blob(&row.head),
            libsql::Value::Blob(row.bytes),
        ]);
        inserted.expect("a row");
    }
    database
}

/// Reads the frames of all records, and returns the records whose frames are found without the file.
fn kept(database: &Database, records: u64) -> Vec<u64> {
    let mut reader = LogReader::open(database).expect("it opens");
    for record in 1..=records {
        let frame = reader.frame_of(record).expect("it is read");
        assert!(frame.is_some(), "{record}");
    }
    let removed = database.batch("DROP TRIGGER frames_stay; DELETE FROM frames");
    removed.expect("no frame is left");
    let is_kept = |record: &u64| reader.frame_of(*record).expect("it is read").is_some();
    (1..=records).filter(is_kept).collect()
}

#[test]
fn a_reader_keeps_so_many_frames() {
    let most = FRAMES_KEPT as u64;
    let all: Vec<u64> = (1..=most).collect();
    let lengths = [100; FRAMES_KEPT + 1];
    assert_eq!(kept(&log_of(&lengths), most), all);
    let newest: Vec<u64> = (2..=most + 1).collect();
    assert_eq!(kept(&log_of(&lengths), most + 1), newest);
}

#[test]
fn a_reader_keeps_no_frame_beyond_its_bytes() {
    let near = FRAME_KEPT_BYTES_MAX - 2_000;
    let mut reader = LogReader::open(&log_of(&[near])).expect("it opens");
    let frame = reader.frame_of(1).expect("it is read").expect("a frame");
    let most = near + FRAME_KEPT_BYTES_MAX - frame.bytes();
    assert_eq!(kept(&log_of(&[most]), 1), [1]);
    assert!(kept(&log_of(&[most + 1]), 1).is_empty());
}

//! A verifier of the log that is written from `docs/storage.md` alone and uses none of this crate's own encoding.

use std::collections::BTreeMap;

use minicbor::Decoder;
use minicbor::data::Type;
use sha2::Sha256;
use sha2::digest::Digest as _;

use super::rich::furnish;
use super::*;
use crate::rows;

/// The fields of a hash, as the page defines them.
struct Fields(Vec<u8>);

impl Fields {
    fn of(kind: &str) -> Self {
        let fields = Self(Vec::new());
        fields.text(kind.as_bytes())
    }

    fn add(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }

    fn number(mut self, number: u64) -> Self {
        self.add(&number.to_be_bytes());
        self
    }

    fn text(self, text: &[u8]) -> Self {
        let mut fields = self.number(text.len() as u64);
        fields.add(text);
        fields
    }

    fn optional_text(self, text: Option<&[u8]>) -> Self {
        let fields = self.number(u64::from(text.is_some()));
        fields.text(text.unwrap_or_default())
    }

    fn hash(self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }
}

/// A row of the table `frames`.
struct Row {
    id: u64,
    batch: u64,
    records: u64,
    request_bytes: Option<u64>,
    head: Vec<u8>,
    bytes: Vec<u8>,
}

fn frames(path: &Path) -> Vec<Row> {
    let database = Database::open_reader(path).expect("the file");
    let mut read = database
        .prepare("SELECT id, batch, records, request_bytes, head, bytes FROM frames ORDER BY id")
        .expect("the columns of the page");
    let mut found = Vec::new();
    let each = read.each(Vec::new(), |row| {
        found.push(Row {
            id: rows::count(row, 0, 0)?,
            batch: rows::count(row, 1, 0)?,
            records: rows::count(row, 2, 0)?,
            request_bytes: rows::number_or_none(row, 3, 0)?.map(i64::unsigned_abs),
            head: rows::bytes(row, 4, 0)?,
            bytes: rows::bytes(row, 5, 0)?,
        });
        Ok(true)
    });
    each.expect("the frames are read");
    found
}

/// The header of a frame, and its records as CBOR.
struct Header {
    first_movement: u64,
    base: u64,
    /// The name, the number and the first `seq` of each economy, and the hash before.
    economies: Vec<(String, u64, u64, [u8; 32])>,
    records: Vec<u8>,
}

fn header(row: &Row) -> Header {
    let (array, checksum) = row.bytes.split_at(row.bytes.len() - 4);
    assert_eq!(crc32fast::hash(array).to_le_bytes(), checksum, "the CRC-32");
    let mut from = Decoder::new(array);
    assert_eq!(from.array().expect("an array"), Some(5));
    let first_movement = from.u64().expect("member 0");
    let base = from.u64().expect("member 1");
    let members = from.array().expect("member 2").expect("a definite length");
    let economies = (0..members / 4)
        .map(|_| {
            let name = from.str().expect("a name").to_owned();
            let number = from.u64().expect("a number");
            let seq = from.u64().expect("a seq");
            let previous = from.bytes().expect("a hash").try_into();
            (name, number, seq, previous.expect("32 bytes"))
        })
        .collect();
    let length = usize::try_from(from.u64().expect("member 3")).expect("a length");
    let stored = from.bytes().expect("member 4");
    assert_eq!(from.position(), array.len());
    let records = match length {
        0 => stored.to_vec(),
        length => zstd::bulk::decompress(stored, length).expect("a zstd frame"),
    };
    Header {
        first_movement,
        base,
        economies,
        records,
    }
}

/// The hash of a record and the number of its movements.
struct Verified {
    economy: usize,
    hash: [u8; 32],
    movements: u64,
    request_bytes: u64,
}

/// Decodes a record and computes its hash. `next` has the next `seq` and the newest hash of each economy of the header.
fn record(from: &mut Decoder<'_>, header: &Header, next: &[(u64, [u8; 32])]) -> Verified {
    assert_eq!(from.array().expect("a record"), Some(16));
    let economy = usize::try_from(from.u64().expect("member 0")).expect("a place");
    let version = from.str().expect("member 1");
    let epoch = from.u64().expect("member 2");
    let kind = from.str().expect("member 3");
    let outcome = from.u64().expect("member 4");
    let status = from.u64().expect("member 5");
    let actor = from.str().expect("member 6");
    let changes = from.str().expect("member 7");
    let time = header.base.wrapping_add(from.u64().expect("member 8"));
    let start = from.bytes().expect("member 9");
    let salt = from.bytes().expect("member 10");
    assert_eq!((start.len(), salt.len()), (4, 16));
    let key = match from.datatype().expect("member 11") {
        Type::Null => {
            from.null().expect("null");
            None
        }
        _ => Some(from.str().expect("a key").as_bytes()),
    };
    let request = from.str().expect("member 12");
    let act = from.str().expect("member 13");
    let answer = from.str().expect("member 14");
    let texts = Fields::of("bursar-texts-1")
        .text(salt)
        .text(actor.as_bytes())
        .optional_text(key)
        .text(request.as_bytes())
        .text(act.as_bytes())
        .text(answer.as_bytes());
    let changes = (changes != "[]").then(|| {
        let salt = Fields::of("bursar-changes-salt-1").text(salt).hash();
        Fields::of("bursar-changes-1")
            .text(&salt)
            .text(changes.as_bytes())
            .hash()
    });
    let (seq, previous) = next[economy];
    let mut fields = Fields::of("bursar-record-2")
        .text(&previous)
        .text(header.economies[economy].0.as_bytes())
        .number(seq)
        .number(epoch)
        .text(version.as_bytes())
        .number(time)
        .text(kind.as_bytes())
        .number(outcome)
        .number(status)
        .text(&texts.hash());
    fields = match changes {
        Some(changes) => fields.number(1).text(&changes),
        None => fields.number(0),
    };
    let movements = movements(from, &mut fields);
    let hash = fields.hash();
    assert_eq!(start, &hash[..4], "the first four bytes");
    Verified {
        economy,
        hash,
        movements,
        request_bytes: request.len() as u64,
    }
}

/// Adds the movements of a record to its fields. Returns their number.
fn movements(from: &mut Decoder<'_>, fields: &mut Fields) -> u64 {
    let integers = from.array().expect("member 15").expect("a definite length");
    for _ in 0..integers / 7 {
        for _ in 0..5 {
            fields.add(&from.u64().expect("an integer").to_be_bytes());
        }
        for _ in 0..2 {
            fields.add(&from.i64().expect("a balance").to_be_bytes());
        }
    }
    integers / 7
}

/// Verifies the log of a file. Returns the newest hash of each economy.
fn verify(path: &Path) -> BTreeMap<String, [u8; 32]> {
    let mut heads: BTreeMap<String, (u64, [u8; 32])> = BTreeMap::new();
    let mut head = [0; 32];
    let mut next_record = 1;
    let mut next_movement = 1;
    let mut batch = 0;
    for row in frames(path) {
        let header = header(&row);
        assert_eq!(
            (row.id, header.first_movement),
            (next_record, next_movement)
        );
        assert!(row.batch == batch || row.batch == batch + 1, "the commits");
        batch = row.batch;
        let mut next = Vec::new();
        for (name, number, seq, previous) in &header.economies {
            assert!(
                *number <= heads.len() as u64,
                "numbers in the order of opening"
            );
            let newest = heads.get(name).copied().unwrap_or((0, [0; 32]));
            assert_eq!((*seq, *previous), (newest.0 + 1, newest.1), "{name}");
            next.push((*seq, *previous));
        }
        let mut fields = Fields::of("bursar-frame-1")
            .number(row.batch)
            .number(row.id);
        let mut from = Decoder::new(&header.records);
        for _ in 0..row.records {
            let verified = record(&mut from, &header, &next);
            let (seq, newest) = &mut next[verified.economy];
            let name = header.economies[verified.economy].0.clone();
            heads.insert(name, (*seq, verified.hash));
            *seq += 1;
            *newest = verified.hash;
            fields = fields.text(&verified.hash);
            next_movement += verified.movements;
            let alone = (row.records == 1).then_some(verified.request_bytes);
            assert_eq!(row.request_bytes, alone);
        }
        assert_eq!(from.position(), header.records.len());
        head = fields.text(&head).hash();
        assert_eq!(row.head, head, "the hash of the frame");
        next_record += row.records;
    }
    let hashes = heads.into_iter().map(|(name, (_, hash))| (name, hash));
    hashes.collect()
}

#[test]
fn a_verifier_that_follows_the_page_finds_every_hash_and_head() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("guild.db");
    let storage = open(&path);
    furnish(&storage);
    storage.close();
    let heads = verify(&path);
    let report = all_promises_hold(&path);
    let expected: BTreeMap<String, [u8; 32]> = report
        .economies
        .iter()
        .map(|head| (head.economy.to_string(), *head.head.as_bytes()))
        .collect();
    assert_eq!(heads, expected);
    assert!(heads.len() >= 2, "{heads:?}");
}

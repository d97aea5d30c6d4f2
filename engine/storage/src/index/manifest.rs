//! The manifest: the one file that says what the index consists of.
//!
//! It is replaced as a whole: written under another name, synced, renamed, and the folder synced. What it names was
//! synced before. A file that it does not name is not part of the index.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

use super::error::IndexError;
use super::filter::{read_u32, read_u64};
use super::folder::{IndexFile, IndexFolder};
use super::identity::IndexIdentity;

/// The name of the manifest.
pub(super) const MANIFEST: &str = "manifest";

/// The name under which a manifest is written.
pub(super) const MANIFEST_NEW: &str = "manifest.new";

/// The first bytes of a manifest, with the version of the format of all files of the index.
const MAGIC: [u8; 8] = *b"bsidx\0\0\x01";

/// The number of bytes of the longest manifest that is read, far more than the runs of any log need.
const BYTES_MAX: u64 = 1 << 20;

/// A kind of run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub(super) enum RunKind {
    /// Fingerprints of idempotency keys.
    Keys,
    /// Fingerprints of ids.
    Ids,
    /// Records by economy and number.
    Sequence,
    /// Movements by account and asset.
    Movements,
}

impl RunKind {
    /// All kinds.
    pub(super) const ALL: [Self; 4] = [Self::Keys, Self::Ids, Self::Sequence, Self::Movements];

    /// Returns the number of the kind in files.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Keys => 1,
            Self::Ids => 2,
            Self::Sequence => 3,
            Self::Movements => 4,
        }
    }
}

/// A run as the manifest names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct RunDescription {
    /// The number in the name of its file. No number is used twice.
    pub(super) number: u64,
    /// The kind of its entries.
    pub(super) kind: RunKind,
    /// The number of merges between the tail and this run.
    pub(super) level: u8,
    /// The first record that the run covers.
    pub(super) first: u64,
    /// The last record that the run covers.
    pub(super) last: u64,
    /// The number of entries.
    pub(super) entries: u64,
    /// The length of the file.
    pub(super) length: u64,
    /// The SHA-256 of the file.
    pub(super) digest: [u8; 32],
}

impl RunDescription {
    /// Returns the name of the file of a run.
    pub(super) fn file_name(number: u64) -> String {
        format!("run-{number}")
    }
}

/// The content of a manifest.
#[derive(Clone)]
pub(super) struct IndexManifest {
    /// The log and the secret.
    pub(super) identity: IndexIdentity,
    /// The last record that the runs cover.
    pub(super) covered: u64,
    /// The hash of the log up to that record.
    pub(super) head: [u8; 32],
    /// The runs, those of each kind from the oldest to the newest.
    pub(super) runs: Vec<RunDescription>,
}

/// A failure to replace the manifest.
pub(super) struct StoreError {
    /// True if the disk may hold either manifest now.
    pub(super) is_uncertain: bool,
    /// The error.
    pub(super) error: IndexError,
}

impl IndexManifest {
    /// Replaces the manifest in the folder.
    pub(super) fn store(&self, folder: &dyn IndexFolder) -> Result<(), StoreError> {
        let certain = |action, name: &str| {
            let name = name.to_owned();
            move |source| StoreError {
                is_uncertain: false,
                error: IndexError::io(action, &name, source),
            }
        };
        let bytes = self.encode();
        let file = folder
            .create(MANIFEST_NEW)
            .map_err(certain("create", MANIFEST_NEW))?;
        file.write_all_at(&bytes, 0)
            .map_err(certain("write", MANIFEST_NEW))?;
        file.sync().map_err(certain("sync", MANIFEST_NEW))?;
        // The names of the runs must be durable before the manifest that names them.
        folder.sync().map_err(certain("sync", "its folder"))?;
        let uncertain = |action| {
            move |source| StoreError {
                is_uncertain: true,
                error: IndexError::io(action, MANIFEST, source),
            }
        };
        folder
            .rename(MANIFEST_NEW, MANIFEST)
            .map_err(uncertain("replace"))?;
        folder.sync().map_err(uncertain("sync the name of"))
    }

    /// Reads the manifest of a folder, or returns `None` if there is none.
    pub(super) fn load(folder: &dyn IndexFolder) -> Result<Option<Self>, IndexError> {
        let file = match folder.open(MANIFEST) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(IndexError::io("open", MANIFEST, error)),
        };
        let bytes = read_whole(&*file).map_err(|error| IndexError::read(MANIFEST, error))?;
        let damaged =
            || IndexError::damaged(MANIFEST, "its content is not a manifest of this version");
        Self::decode(&bytes).map(Some).ok_or_else(damaged)
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.identity.file_id);
        out.extend_from_slice(&self.identity.secret);
        out.extend_from_slice(&self.covered.to_le_bytes());
        out.extend_from_slice(&self.head);
        let count = u32::try_from(self.runs.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&count.to_le_bytes());
        for run in &self.runs {
            out.extend_from_slice(&[run.kind.code(), run.level, 0, 0]);
            for number in [run.number, run.first, run.last, run.entries, run.length] {
                out.extend_from_slice(&number.to_le_bytes());
            }
            out.extend_from_slice(&run.digest);
        }
        let digest = Sha256::digest(&out);
        out.extend_from_slice(&digest);
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (mut input, digest) = bytes.split_last_chunk::<32>()?;
        if Sha256::digest(input)[..] != digest[..] {
            return None;
        }
        let input = &mut input;
        if take(input)? != MAGIC {
            return None;
        }
        let identity = IndexIdentity {
            file_id: take(input)?,
            secret: take(input)?,
        };
        let covered = read_u64(input).ok()?;
        let head = take(input)?;
        let count = read_u32(input).ok()?;
        let runs: Option<Vec<_>> = (0..count).map(|_| take_run(input)).collect();
        let manifest = Self {
            identity,
            covered,
            head,
            runs: runs?,
        };
        (input.is_empty() && manifest.is_gapless()).then_some(manifest)
    }

    /// Returns true if the runs of each kind cover all records up to the last one, each once and in order.
    fn is_gapless(&self) -> bool {
        RunKind::ALL.into_iter().all(|kind| {
            let runs = self.runs.iter().filter(|run| run.kind == kind);
            let mut covered = Some(0);
            for run in runs {
                let follows = run.last >= run.first && Some(run.first - 1) == covered;
                covered = follows.then_some(run.last);
            }
            covered == Some(self.covered)
        })
    }
}

fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn take_run(input: &mut &[u8]) -> Option<RunDescription> {
    let [kind, level, ..]: [u8; 4] = take(input)?;
    let kind = RunKind::ALL
        .into_iter()
        .find(|known| known.code() == kind)?;
    let number = read_u64(input).ok()?;
    let first = read_u64(input).ok().filter(|first| *first > 0)?;
    let last = read_u64(input).ok()?;
    let entries = read_u64(input).ok()?;
    let length = read_u64(input).ok()?;
    Some(RunDescription {
        number,
        kind,
        level,
        first,
        last,
        entries,
        length,
        digest: take(input)?,
    })
}

fn read_whole(file: &dyn IndexFile) -> io::Result<Vec<u8>> {
    let length = file.length()?;
    if length > BYTES_MAX {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

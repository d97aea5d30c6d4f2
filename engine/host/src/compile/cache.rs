//! Machine code that is kept: only what this server has made itself is ever loaded again.
//!
//! Loading machine code is believing it, so each file carries a keyed hash over what it is and of what;
//! the key is a file beside them that nobody else reads. Whatever does not fit is made anew, and a cache
//! that cannot be written only costs time.

use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bursar_ledger::Digest;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use wasmtime::Engine;

use crate::limits::{ARTIFACT_BYTES_MAX, CACHE_BYTES_MAX};

/// Bytes of a key, and of a keyed hash.
const MAC_BYTES: usize = 32;

/// The extension of notes that a manifest was read.
const VOUCHED: &str = "manifest";

/// Machine code that is kept in a folder.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
    key: [u8; MAC_BYTES],
}

impl Cache {
    /// Opens a folder; it and its key are made if they are not there, the key from fresh randomness.
    pub fn open(folder: &Path, fresh: [u8; MAC_BYTES]) -> io::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let path = folder.join("key");
        let key = match fs::read(&path) {
            Ok(kept) => kept.try_into().ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let folder = folder.to_owned();
        if let Some(key) = key {
            return Ok(Self { folder, key });
        }
        // There is none, or a crash left a part of one: what was kept under it is made anew.
        write_whole(&path, &[&fresh])?;
        let key = fresh;
        Ok(Self { folder, key })
    }

    /// The code of a component, if it is kept and is what was kept.
    pub(crate) fn get(&self, engine: &Engine, component: &Digest) -> Option<Vec<u8>> {
        let path = self.path(engine, component);
        let most = ARTIFACT_BYTES_MAX.saturating_add(MAC_BYTES as u64);
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(most).read_to_end(&mut bytes));
        read.ok()?;
        let (mac, artifact) = bytes.split_at_checked(MAC_BYTES)?;
        if self
            .mac(engine, component, artifact)
            .verify_slice(mac)
            .is_err()
        {
            tracing::warn!(%component, "code in the cache is not what was kept; it is made anew");
            return None;
        }
        let artifact = artifact.to_vec();
        Some(artifact)
    }

    /// Keeps the code of a component, as far as that can be done.
    pub(crate) fn put(&self, engine: &Engine, component: &Digest, artifact: &[u8]) {
        let kept = self.write(engine, component, artifact);
        if let Err(error) = kept.and_then(|()| self.make_room()) {
            tracing::warn!(%error, "the cache of compiled components cannot be written");
        }
    }

    fn write(&self, engine: &Engine, component: &Digest, artifact: &[u8]) -> io::Result<()> {
        let mac = self.mac(engine, component, artifact).finalize();
        write_whole(
            &self.path(engine, component),
            &[&mac.into_bytes(), artifact],
        )
    }

    /// Tells whether a child of this version has read exactly this manifest of a component before, within
    /// its bounds.
    pub(crate) fn vouches(&self, engine: &Engine, component: &Digest, manifest: &str) -> bool {
        let mut mac = Vec::new();
        let read = File::open(self.path(engine, component).with_extension(VOUCHED))
            .and_then(|file| file.take(MAC_BYTES as u64 + 1).read_to_end(&mut mac));
        let expected = self.manifest_mac(engine, component, manifest);
        read.is_ok() && expected.verify_slice(&mac).is_ok()
    }

    /// Notes that a child has read a manifest within its bounds, as far as that can be done.
    pub(crate) fn vouch(&self, engine: &Engine, component: &Digest, manifest: &str) {
        let path = self.path(engine, component).with_extension(VOUCHED);
        let mac = self.manifest_mac(engine, component, manifest).finalize();
        if let Err(error) = write_whole(&path, &[&mac.into_bytes()]) {
            tracing::warn!(%error, "the cache of compiled components cannot be written");
        }
    }

    /// Removes what was kept longest until the rest is small enough.
    fn make_room(&self) -> io::Result<()> {
        let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let known = entry.metadata()?;
            if entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "code")
            {
                files.push((known.modified()?, known.len(), entry.path()));
            }
        }
        files.sort();
        let mut bytes: u64 = files.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in files {
            if bytes <= CACHE_BYTES_MAX {
                break;
            }
            drop(fs::remove_file(path.with_extension(VOUCHED)));
            fs::remove_file(path)?;
            bytes = bytes.saturating_sub(size);
        }
        Ok(())
    }

    fn path(&self, engine: &Engine, component: &Digest) -> PathBuf {
        let name = format!("{component}-{:016x}.code", compatibility(engine));
        self.folder.join(name)
    }

    /// Prepares the MAC of a manifest. The cost of a manifest depends on this program: each version has it
    /// read anew.
    fn manifest_mac(&self, engine: &Engine, component: &Digest, manifest: &str) -> Hmac<Sha256> {
        let mut mac = self.keyed();
        mac.update(b"bursar-manifest-1");
        mac.update(env!("CARGO_PKG_VERSION").as_bytes());
        mac.update(&compatibility(engine).to_be_bytes());
        mac.update(component.as_bytes());
        mac.update(manifest.as_bytes());
        mac
    }

    fn keyed(&self) -> Hmac<Sha256> {
        Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length")
    }

    fn mac(&self, engine: &Engine, component: &Digest, artifact: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.keyed();
        mac.update(b"bursar-code-1");
        mac.update(component.as_bytes());
        mac.update(&compatibility(engine).to_be_bytes());
        mac.update(artifact);
        mac
    }
}

/// Puts a file in its place, whole, for nobody else to read.
fn write_whole(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let partial = path.with_extension("partial");
    drop(fs::remove_file(&partial));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&partial)?;
    for part in parts {
        file.write_all(part)?;
    }
    fs::rename(partial, path)
}

/// What tells engines apart whose code the other does not run.
fn compatibility(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::limits::Limits;
    use crate::sandbox;

    fn engine() -> Engine {
        sandbox::engine(&Limits::standard()).expect("an engine")
    }

    fn only_file(folder: &Path) -> PathBuf {
        let files = fs::read_dir(folder).expect("a folder");
        let mut files = files.map(|entry| entry.expect("an entry").path());
        let code = files.find(|path| path.extension().is_some_and(|it| it == "code"));
        code.expect("code is kept")
    }

    #[test]
    fn code_comes_back_as_it_was_kept_also_to_the_next_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let (engine, component) = (engine(), Digest::of(b"component"));
        let cache = Cache::open(folder.path(), [1; 32]).expect("a cache");
        assert_eq!(cache.get(&engine, &component), None);
        cache.put(&engine, &component, b"code");
        let next = Cache::open(folder.path(), [2; 32]).expect("the key of before");
        assert_eq!(next.get(&engine, &component), Some(b"code".to_vec()));
        assert_eq!(next.get(&engine, &Digest::of(b"another")), None);
        for path in [folder.path().join("key"), only_file(folder.path())] {
            let mode = fs::metadata(path).expect("a file").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "nobody else reads it");
        }
    }

    #[test]
    fn a_key_that_a_crash_has_cut_short_is_made_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let (engine, component) = (engine(), Digest::of(b"component"));
        let cache = Cache::open(folder.path(), [1; 32]).expect("a cache");
        cache.put(&engine, &component, b"code");
        fs::write(folder.path().join("key"), [1; 31]).expect("written");
        let cache = Cache::open(folder.path(), [2; 32]).expect("a cache all the same");
        assert_eq!(
            cache.get(&engine, &component),
            None,
            "kept under the key before"
        );
        cache.put(&engine, &component, b"code");
        let next = Cache::open(folder.path(), [3; 32]).expect("the key of before");
        assert_eq!(next.get(&engine, &component), Some(b"code".to_vec()));
    }

    #[test]
    fn a_manifest_is_vouched_for_as_it_was_read_and_for_its_component_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let (engine, component) = (engine(), Digest::of(b"component"));
        let cache = Cache::open(folder.path(), [1; 32]).expect("a cache");
        assert!(!cache.vouches(&engine, &component, "{}"));
        cache.vouch(&engine, &component, "{}");
        let next = Cache::open(folder.path(), [2; 32]).expect("the key of before");
        assert!(next.vouches(&engine, &component, "{}"));
        assert!(!next.vouches(&engine, &component, "{} "));
        let other = Digest::of(b"another");
        let note = |component| cache.path(&engine, component).with_extension(VOUCHED);
        fs::copy(note(&component), note(&other)).expect("copied");
        assert!(!cache.vouches(&engine, &other, "{}"), "it is another's");
        let mut kept = fs::read(note(&component)).expect("a note");
        kept[0] ^= 1;
        fs::write(note(&component), kept).expect("written");
        assert!(!cache.vouches(&engine, &component, "{}"), "it was altered");
    }

    #[test]
    fn code_that_was_altered_or_exchanged_is_not_loaded() {
        let folder = tempfile::tempdir().expect("a folder");
        let (engine, component) = (engine(), Digest::of(b"component"));
        let cache = Cache::open(folder.path(), [1; 32]).expect("a cache");
        cache.put(&engine, &component, b"code");
        let path = only_file(folder.path());
        let kept = fs::read(&path).expect("a file");
        for place in 0..kept.len() {
            let mut altered = kept.clone();
            altered[place] ^= 1;
            fs::write(&path, &altered).expect("written");
            assert_eq!(cache.get(&engine, &component), None, "byte {place}");
        }
        for cut in [0, 31, 32, kept.len() - 1] {
            fs::write(&path, &kept[..cut]).expect("written");
            assert_eq!(cache.get(&engine, &component), None, "cut to {cut}");
        }
        fs::write(&path, &kept).expect("written");
        let other = Digest::of(b"another");
        fs::copy(&path, cache.path(&engine, &other)).expect("copied");
        assert_eq!(
            cache.get(&engine, &other),
            None,
            "it is of another component"
        );
        fs::write(folder.path().join("key"), [9; 32]).expect("written");
        let stranger = Cache::open(folder.path(), [1; 32]).expect("a cache");
        assert_eq!(
            stranger.get(&engine, &component),
            None,
            "it was kept under another key"
        );
    }

    #[test]
    fn what_was_kept_longest_makes_room() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::open(folder.path(), [1; 32]).expect("a cache");
        // Files with holes: they have these sizes and take no room on disk.
        let keep = |name: &str, bytes: u64, kept_at: u64| {
            let file = File::create(folder.path().join(name)).expect("a file");
            file.set_len(bytes).expect("so long");
            let kept_at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(kept_at);
            file.set_modified(kept_at).expect("so old");
        };
        let names = || {
            let files = fs::read_dir(folder.path()).expect("a folder");
            let names = files.map(|file| file.expect("an entry").file_name());
            let mut names: Vec<_> = names.filter(|name| name != "key").collect();
            names.sort();
            names
        };
        keep("a.code", 200 << 20, 2);
        keep("b.code", 200 << 20, 1);
        keep("c.code", CACHE_BYTES_MAX - (400 << 20), 3);
        cache.make_room().expect("it can be read");
        assert_eq!(names(), ["a.code", "b.code", "c.code"]);
        keep("d.code", 1, 4);
        cache.make_room().expect("it can be read");
        assert_eq!(
            names(),
            ["a.code", "c.code", "d.code"],
            "the oldest is gone"
        );
    }
}

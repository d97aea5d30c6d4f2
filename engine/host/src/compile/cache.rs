//! The cache of machine code on disk.
//!
//! Machine code runs unchecked once it is loaded, so the cache returns only what this server wrote. Each file carries an
//! HMAC over the code, its component and the engine's settings. The key is a file in the same folder that only the
//! server's user can read. Code with a wrong HMAC is compiled again, and a cache that cannot be written only costs time.

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

/// Bytes of a key and of an HMAC.
const MAC_BYTES: usize = 32;

/// The extension of the files that approve a manifest.
const MANIFEST_EXTENSION: &str = "manifest";

/// A cache of machine code in a folder.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
    key: [u8; MAC_BYTES],
}

impl Cache {
    /// Opens a folder. Creates it and its key if they are missing, the key from `fresh` random bytes.
    pub fn open(folder: &Path, fresh: [u8; MAC_BYTES]) -> io::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let path = folder.join("key");
        let key = match fs::read(&path) {
            Ok(stored) => stored.try_into().ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let folder = folder.to_owned();
        if let Some(key) = key {
            return Ok(Self { folder, key });
        }
        // There is no key, or a crash left a part of one. Entries under a lost key no longer verify.
        write_atomically(&path, &[&fresh])?;
        let key = fresh;
        Ok(Self { folder, key })
    }

    /// Returns the machine code of a component, if it is stored and unaltered.
    pub(crate) fn get(&self, engine: &Engine, component: &Digest) -> Option<Vec<u8>> {
        let path = self.path(engine, component);
        let most = ARTIFACT_BYTES_MAX.saturating_add(MAC_BYTES as u64);
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(most).read_to_end(&mut bytes));
        read.ok()?;
        let (mac, artifact) = bytes.split_at_checked(MAC_BYTES)?;
        if self
            .artifact_mac(engine, component, artifact)
            .verify_slice(mac)
            .is_err()
        {
            tracing::warn!(%component, "machine code in the cache was altered; the component is compiled again");
            return None;
        }
        let artifact = artifact.to_vec();
        Some(artifact)
    }

    /// Stores the machine code of a component. A failure is only logged.
    pub(crate) fn put(&self, engine: &Engine, component: &Digest, artifact: &[u8]) {
        let written = self.write(engine, component, artifact);
        if let Err(error) = written.and_then(|()| self.evict()) {
            tracing::warn!(%error, "the cache of compiled components cannot be written");
        }
    }

    fn write(&self, engine: &Engine, component: &Digest, artifact: &[u8]) -> io::Result<()> {
        let mac = self.artifact_mac(engine, component, artifact).finalize();
        write_atomically(
            &self.path(engine, component),
            &[&mac.into_bytes(), artifact],
        )
    }

    /// Returns true if a child process of this version has already parsed this manifest of a component within its limits.
    pub(crate) fn has_approved_manifest(
        &self,
        engine: &Engine,
        component: &Digest,
        manifest: &str,
    ) -> bool {
        let mut mac = Vec::new();
        let read = File::open(
            self.path(engine, component)
                .with_extension(MANIFEST_EXTENSION),
        )
        .and_then(|file| file.take(MAC_BYTES as u64 + 1).read_to_end(&mut mac));
        let expected = self.manifest_mac(engine, component, manifest);
        read.is_ok() && expected.verify_slice(&mac).is_ok()
    }

    /// Records that a child process has parsed a manifest within its limits. A failure is only logged.
    pub(crate) fn approve_manifest(&self, engine: &Engine, component: &Digest, manifest: &str) {
        let path = self
            .path(engine, component)
            .with_extension(MANIFEST_EXTENSION);
        let mac = self.manifest_mac(engine, component, manifest).finalize();
        if let Err(error) = write_atomically(&path, &[&mac.into_bytes()]) {
            tracing::warn!(%error, "the cache of compiled components cannot be written");
        }
    }

    /// Removes the oldest entries until the rest fits the limit.
    fn evict(&self) -> io::Result<()> {
        let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "code")
            {
                files.push((metadata.modified()?, metadata.len(), entry.path()));
            }
        }
        files.sort();
        let mut bytes: u64 = files.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in files {
            if bytes <= CACHE_BYTES_MAX {
                break;
            }
            drop(fs::remove_file(path.with_extension(MANIFEST_EXTENSION)));
            fs::remove_file(path)?;
            bytes = bytes.saturating_sub(size);
        }
        Ok(())
    }

    fn path(&self, engine: &Engine, component: &Digest) -> PathBuf {
        let name = format!("{component}-{:016x}.code", compatibility(engine));
        self.folder.join(name)
    }

    /// Returns the HMAC of a manifest. It covers the version of this program, because a new version can take longer to
    /// parse the same manifest.
    fn manifest_mac(&self, engine: &Engine, component: &Digest, manifest: &str) -> Hmac<Sha256> {
        let mut mac = self.new_mac();
        mac.update(b"bursar-manifest-1");
        mac.update(env!("CARGO_PKG_VERSION").as_bytes());
        mac.update(&compatibility(engine).to_be_bytes());
        mac.update(component.as_bytes());
        mac.update(manifest.as_bytes());
        mac
    }

    fn new_mac(&self) -> Hmac<Sha256> {
        Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length")
    }

    fn artifact_mac(&self, engine: &Engine, component: &Digest, artifact: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.new_mac();
        mac.update(b"bursar-code-1");
        mac.update(component.as_bytes());
        mac.update(&compatibility(engine).to_be_bytes());
        mac.update(artifact);
        mac
    }
}

/// Writes a file that only its owner can read. A rename puts it in place, so that no reader sees a part of it.
fn write_atomically(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
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

/// Returns a hash of the engine's version and settings. An engine runs only code with the same hash.
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
        code.expect("code is stored")
    }

    #[test]
    fn stored_code_survives_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let engine = engine();
        let component = Digest::of(b"component");
        let cache = Cache::open(folder.path(), [1; 32]).expect("a cache");
        assert_eq!(cache.get(&engine, &component), None);
        cache.put(&engine, &component, b"code");
        let next = Cache::open(folder.path(), [2; 32]).expect("the earlier key");
        assert_eq!(next.get(&engine, &component), Some(b"code".to_vec()));
        assert_eq!(next.get(&engine, &Digest::of(b"another")), None);
        for path in [folder.path().join("key"), only_file(folder.path())] {
            let mode = fs::metadata(path).expect("a file").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "only the owner reads it");
        }
    }

    #[test]
    fn a_truncated_key_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let engine = engine();
        let component = Digest::of(b"component");
        let cache = Cache::open(folder.path(), [1; 32]).expect("a cache");
        cache.put(&engine, &component, b"code");
        fs::write(folder.path().join("key"), [1; 31]).expect("written");
        let cache = Cache::open(folder.path(), [2; 32]).expect("a cache");
        assert_eq!(
            cache.get(&engine, &component),
            None,
            "stored under the earlier key"
        );
        cache.put(&engine, &component, b"code");
        let next = Cache::open(folder.path(), [3; 32]).expect("the earlier key");
        assert_eq!(next.get(&engine, &component), Some(b"code".to_vec()));
    }

    #[test]
    fn a_manifest_is_approved_only_for_its_text_and_component() {
        let folder = tempfile::tempdir().expect("a folder");
        let engine = engine();
        let component = Digest::of(b"component");
        let cache = Cache::open(folder.path(), [1; 32]).expect("a cache");
        assert!(!cache.has_approved_manifest(&engine, &component, "{}"));
        cache.approve_manifest(&engine, &component, "{}");
        let next = Cache::open(folder.path(), [2; 32]).expect("the earlier key");
        assert!(next.has_approved_manifest(&engine, &component, "{}"));
        assert!(!next.has_approved_manifest(&engine, &component, "{} "));
        let other = Digest::of(b"another");
        let note = |component| {
            cache
                .path(&engine, component)
                .with_extension(MANIFEST_EXTENSION)
        };
        fs::copy(note(&component), note(&other)).expect("copied");
        assert!(
            !cache.has_approved_manifest(&engine, &other, "{}"),
            "it belongs to another component"
        );
        let mut mac = fs::read(note(&component)).expect("a note");
        mac[0] ^= 1;
        fs::write(note(&component), mac).expect("written");
        assert!(
            !cache.has_approved_manifest(&engine, &component, "{}"),
            "it was altered"
        );
    }

    #[test]
    fn altered_or_swapped_code_is_not_returned() {
        let folder = tempfile::tempdir().expect("a folder");
        let engine = engine();
        let component = Digest::of(b"component");
        let cache = Cache::open(folder.path(), [1; 32]).expect("a cache");
        cache.put(&engine, &component, b"code");
        let path = only_file(folder.path());
        let stored = fs::read(&path).expect("a file");
        for index in 0..stored.len() {
            let mut altered = stored.clone();
            altered[index] ^= 1;
            fs::write(&path, &altered).expect("written");
            assert_eq!(cache.get(&engine, &component), None, "byte {index}");
        }
        for cut in [0, 31, 32, stored.len() - 1] {
            fs::write(&path, &stored[..cut]).expect("written");
            assert_eq!(cache.get(&engine, &component), None, "cut to {cut}");
        }
        fs::write(&path, &stored).expect("written");
        let other = Digest::of(b"another");
        fs::copy(&path, cache.path(&engine, &other)).expect("copied");
        assert_eq!(
            cache.get(&engine, &other),
            None,
            "it belongs to another component"
        );
        fs::write(folder.path().join("key"), [9; 32]).expect("written");
        let other_cache = Cache::open(folder.path(), [1; 32]).expect("a cache");
        assert_eq!(
            other_cache.get(&engine, &component),
            None,
            "it was stored under another key"
        );
    }

    #[test]
    fn the_oldest_code_is_evicted_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = Cache::open(folder.path(), [1; 32]).expect("a cache");
        // Sparse files have these sizes and use no disk space.
        let store = |name: &str, bytes: u64, stored_at: u64| {
            let file = File::create(folder.path().join(name)).expect("a file");
            file.set_len(bytes).expect("its size");
            let stored_at = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(stored_at);
            file.set_modified(stored_at).expect("its time");
        };
        let names = || {
            let files = fs::read_dir(folder.path()).expect("a folder");
            let names = files.map(|file| file.expect("an entry").file_name());
            let mut names: Vec<_> = names.filter(|name| name != "key").collect();
            names.sort();
            names
        };
        store("a.code", 200 << 20, 2);
        store("b.code", 200 << 20, 1);
        store("c.code", CACHE_BYTES_MAX - (400 << 20), 3);
        cache.evict().expect("the folder can be read");
        assert_eq!(names(), ["a.code", "b.code", "c.code"]);
        store("d.code", 1, 4);
        cache.evict().expect("the folder can be read");
        assert_eq!(
            names(),
            ["a.code", "c.code", "d.code"],
            "the oldest is removed"
        );
    }
}

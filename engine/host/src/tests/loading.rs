//! The loading of components: from the cache, or compiled in the background.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bursar_ledger::Digest;

use super::economy::{draft, origin, patient, replied};
use super::guest::Guest;
use crate::{Cache, Compiler, Limits, LoadError, LoadedPlugin, PluginHost};

/// The longest wait for the compiler.
const PATIENCE: Duration = Duration::from_mins(2);

fn host_with(compiler: Compiler, cache: Option<Cache>) -> PluginHost {
    PluginHost::new(patient(), compiler, cache).unwrap()
}

fn load_cached(host: &PluginHost, bytes: &[u8]) -> Result<Arc<LoadedPlugin>, LoadError> {
    host.load_cached(Digest::of(bytes), || Ok(bytes))
}

/// Panics instead of reading the bytes of a component that is known.
fn unread() -> Result<Vec<u8>, LoadError> {
    panic!("the bytes must not be read again")
}

/// Loads a component until it is no longer being compiled.
fn wait_until_compiled(host: &PluginHost, bytes: &[u8]) -> Result<(), LoadError> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        match load_cached(host, bytes) {
            Err(LoadError::Compiling) => std::thread::yield_now(),
            other => return other.map(drop),
        }
    }
    panic!("the component is still being compiled after {PATIENCE:?}");
}

#[test]
fn component_that_is_not_cached_is_compiled_in_the_background() {
    let host = host_with(Compiler::InProcess, None);
    let bytes = Guest::new().bytes();
    let digest = Digest::of(&bytes);
    let first = load_cached(&host, &bytes).err();
    assert_eq!(first, Some(LoadError::Compiling));
    wait_until_compiled(&host, &bytes).unwrap();
    let plugin = host.get(&digest).unwrap();
    assert!(replied(&plugin.run(draft(), origin).unwrap().ending));
}

#[test]
fn component_rejected_in_the_background_is_not_compiled_again() {
    let host = host_with(Compiler::InProcess, None);
    let mut guest = Guest::new();
    guest.describe = "(unreachable)".into();
    let bytes = guest.bytes();
    let Err(LoadError::Refused(report)) = wait_until_compiled(&host, &bytes) else {
        panic!("it is not rejected");
    };
    assert_eq!(report.findings[0].code, "describe_failed");
    let again = host.load_cached(Digest::of(&bytes), unread).err();
    assert_eq!(again, Some(report.into()), "it is not compiled again");
}

#[test]
fn component_that_is_being_compiled_is_not_checked_again() {
    // This compiler waits for a file and then fails. It also ends after two minutes, if the test has died.
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    let wait = format!(
        "n=0; while [ ! -e '{}' ] && [ $n -lt 6000 ]; do sleep 0.02; n=$((n+1)); done",
        gate.display()
    );
    let waiting = Compiler::child("/bin/sh".into(), vec!["-c".into(), wait]);
    let host = host_with(waiting, None);
    let bytes = Guest::new().bytes();
    assert_eq!(load_cached(&host, &bytes).err(), Some(LoadError::Compiling));
    let again = host.load_cached(Digest::of(&bytes), unread).err();
    assert_eq!(again, Some(LoadError::Compiling));
    std::fs::write(&gate, "").unwrap();
}

#[test]
fn component_that_is_rejected_before_compilation_is_read_once() {
    let host = host_with(Compiler::InProcess, None);
    let bytes = b"no component";
    let rejected = load_cached(&host, bytes).err().unwrap();
    assert_eq!(
        host.load_cached(Digest::of(bytes), unread).err(),
        Some(rejected)
    );
}

#[test]
fn component_with_cached_code_loads_without_a_compiler() {
    let folder = tempfile::tempdir().unwrap();
    let cache = || Some(Cache::open(folder.path(), [1; 32]).unwrap());
    let bytes = Guest::new().bytes();
    let digest = Digest::of(&bytes);
    let before = host_with(Compiler::InProcess, cache());
    before.load(digest, &bytes).unwrap();
    let missing = || Compiler::child("/nowhere/bursar".into(), Vec::new());
    let host = host_with(missing(), cache());
    assert!(load_cached(&host, &bytes).is_ok());
    assert!(host.get(&digest).is_some());
    let without = host_with(missing(), None);
    let failed = without.load(digest, &bytes).err().unwrap();
    assert!(matches!(failed, LoadError::Failed(_)), "{failed}");
}

#[test]
fn altered_code_in_the_cache_is_compiled_again() {
    let folder = tempfile::tempdir().unwrap();
    let cache = || Some(Cache::open(folder.path(), [1; 32]).unwrap());
    let bytes = Guest::new().bytes();
    let digest = Digest::of(&bytes);
    host_with(Compiler::InProcess, cache())
        .load(digest, &bytes)
        .unwrap();
    let entries = std::fs::read_dir(folder.path()).unwrap();
    let mut paths = entries.map(|entry| entry.unwrap().path());
    let code = paths.find(|path| path.extension().is_some_and(|it| it == "code"));
    let code = code.unwrap();
    let mut altered = std::fs::read(&code).unwrap();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    std::fs::write(&code, &altered).unwrap();
    let host = host_with(Compiler::InProcess, cache());
    let not_cached = load_cached(&host, &bytes).err();
    assert_eq!(not_cached, Some(LoadError::Compiling), "it is not loaded");
    let plugin = host.load(digest, &bytes).unwrap();
    assert!(replied(&plugin.run(draft(), origin).unwrap().ending));
    // The code was compiled again and stored.
    assert!(load_cached(&host_with(Compiler::InProcess, cache()), &bytes).is_ok());
}

#[test]
fn code_of_another_engine_is_compiled_again() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = Guest::new().bytes();
    let digest = Digest::of(&bytes);
    // This engine has other settings than the host's.
    let engine = wasmtime::Engine::default();
    let code = engine.precompile_component(&bytes).unwrap();
    let cache = Cache::open(folder.path(), [1; 32]).unwrap();
    cache.put(&engine, &digest, &code);
    // The compiler does not exist, so only the cache can supply code.
    let is_missing = || {
        let missing = Compiler::child("/nowhere/bursar".into(), Vec::new());
        let host = host_with(missing, Some(cache.clone()));
        load_cached(&host, &bytes).err() == Some(LoadError::Compiling)
    };
    assert!(is_missing(), "its file has another name");
    let host = || host_with(Compiler::InProcess, Some(cache.clone()));
    host().load(digest, &bytes).unwrap();
    assert!(!is_missing());
    // Stored for the host's engine, the code is rejected by wasmtime.
    let own = crate::sandbox::engine(&Limits::standard()).unwrap();
    cache.put(&own, &digest, &code);
    assert!(is_missing());
    let plugin = host().load(digest, &bytes).unwrap();
    assert!(replied(&plugin.run(draft(), origin).unwrap().ending));
}

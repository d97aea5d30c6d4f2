//! Components that are made ready: out of the cache, or compiled while nobody waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bursar_ledger::Digest;

use super::guest::Guest;
use super::world::{draft, origin, patient, replied};
use crate::{Cache, Compiler, Limits, LoadError, LoadedPlugin, PluginHost};

/// The longest that a compiler is waited for.
const PATIENCE: Duration = Duration::from_mins(2);

fn host_with(compiler: Compiler, cache: Option<Cache>) -> PluginHost {
    PluginHost::new(patient(), compiler, cache).unwrap()
}

fn load_cached(host: &PluginHost, bytes: &[u8]) -> Result<Arc<LoadedPlugin>, LoadError> {
    host.load_cached(Digest::of(bytes), || Ok(bytes))
}

/// The bytes of a component of which all is known.
fn unread() -> Result<Vec<u8>, LoadError> {
    panic!("its bytes are not read again")
}

/// Wakes a component again and again until it is no more being compiled.
fn woken(host: &PluginHost, bytes: &[u8]) -> Result<(), LoadError> {
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
fn component_that_is_woken_is_compiled_while_nobody_waits() {
    let host = host_with(Compiler::Here, None);
    let bytes = Guest::new().bytes();
    let digest = Digest::of(&bytes);
    let first = load_cached(&host, &bytes).err();
    assert_eq!(first, Some(LoadError::Compiling));
    woken(&host, &bytes).unwrap();
    let plugin = host.get(&digest).unwrap();
    assert!(replied(&plugin.run(draft(), origin).unwrap().ending));
}

#[test]
fn component_that_is_woken_and_may_not_run_is_refused_once_that_is_known() {
    let host = host_with(Compiler::Here, None);
    let mut guest = Guest::new();
    guest.describe = "(unreachable)".into();
    let bytes = guest.bytes();
    let Err(LoadError::Refused(report)) = woken(&host, &bytes) else {
        panic!("it is not refused");
    };
    assert_eq!(report.findings[0].code, "describe_failed");
    let again = host.load_cached(Digest::of(&bytes), unread).err();
    assert_eq!(again, Some(report.into()), "and is not compiled again");
}

#[test]
fn component_that_is_being_compiled_is_not_checked_again() {
    // A compiler that takes until it is told to end, and comes to nothing. It ends by itself where nobody is
    // left to tell it.
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
fn component_that_is_refused_before_the_compiler_is_read_once() {
    let host = host_with(Compiler::Here, None);
    let bytes = b"no component";
    let refused = load_cached(&host, bytes).err().unwrap();
    assert_eq!(
        host.load_cached(Digest::of(bytes), unread).err(),
        Some(refused)
    );
}

#[test]
fn component_whose_code_is_kept_wakes_without_a_compiler() {
    let folder = tempfile::tempdir().unwrap();
    let cache = || Some(Cache::open(folder.path(), [1; 32]).unwrap());
    let bytes = Guest::new().bytes();
    let digest = Digest::of(&bytes);
    let before = host_with(Compiler::Here, cache());
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
fn code_that_was_altered_in_the_cache_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let cache = || Some(Cache::open(folder.path(), [1; 32]).unwrap());
    let bytes = Guest::new().bytes();
    let digest = Digest::of(&bytes);
    host_with(Compiler::Here, cache())
        .load(digest, &bytes)
        .unwrap();
    let kept = std::fs::read_dir(folder.path()).unwrap();
    let mut kept = kept.map(|entry| entry.unwrap().path());
    let code = kept.find(|path| path.extension().is_some_and(|it| it == "code"));
    let code = code.unwrap();
    let good = std::fs::read(&code).unwrap();
    let mut altered = good.clone();
    let middle = altered.len() / 2;
    altered[middle] ^= 1;
    std::fs::write(&code, &altered).unwrap();
    let host = host_with(Compiler::Here, cache());
    let asleep = load_cached(&host, &bytes).err();
    assert_eq!(asleep, Some(LoadError::Compiling), "it is not loaded");
    let plugin = host.load(digest, &bytes).unwrap();
    assert!(replied(&plugin.run(draft(), origin).unwrap().ending));
    // What was made anew is kept again.
    assert!(load_cached(&host_with(Compiler::Here, cache()), &bytes).is_ok());
}

#[test]
fn code_of_another_engine_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = Guest::new().bytes();
    let digest = Digest::of(&bytes);
    // The settings of this engine are not those of the host's.
    let engine = wasmtime::Engine::default();
    let code = engine.precompile_component(&bytes).unwrap();
    let cache = Cache::open(folder.path(), [1; 32]).unwrap();
    cache.put(&engine, &digest, &code);
    // A compiler that is not there makes nothing anew while it is looked at what is in the cache.
    let asleep = || {
        let missing = Compiler::child("/nowhere/bursar".into(), Vec::new());
        let host = host_with(missing, Some(cache.clone()));
        load_cached(&host, &bytes).err() == Some(LoadError::Compiling)
    };
    assert!(asleep(), "it has another name");
    let host = || host_with(Compiler::Here, Some(cache.clone()));
    host().load(digest, &bytes).unwrap();
    assert!(!asleep());
    // Even under this engine's name, wasmtime itself would not have it.
    let own = crate::sandbox::engine(&Limits::standard()).unwrap();
    cache.put(&own, &digest, &code);
    assert!(asleep());
    let plugin = host().load(digest, &bytes).unwrap();
    assert!(replied(&plugin.run(draft(), origin).unwrap().ending));
}

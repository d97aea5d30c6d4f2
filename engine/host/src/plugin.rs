//! Components that are ready to run, by the hash of their bytes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bursar_ledger::{CallRequest, Digest, Draft, DrawOrigin, Installation, Transcript};
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use crate::cache::Cache;
use crate::call::{self, Finished, NotRepeated, Repeated, Unfinished};
use crate::check::{Checked, check};
use crate::compiler::{self, Compiler};
use crate::guest::Guest;
use crate::limits::{CHECK_STACK_BYTES, Limits};
use crate::manifest::Manifest;
use crate::report::{Finding, Report};
use crate::sandbox;
use crate::teller::Telling;
use crate::ticker::Ticker;

/// Components that are kept ready. Beyond, the longest unused one makes room, and is compiled again
/// when it is called.
const READY_MAX: usize = 256;

/// Checks components and keeps them ready. Clones share everything.
#[derive(Clone)]
pub struct PluginHost {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    linker: Linker<Guest>,
    limits: Limits,
    compiler: Compiler,
    cache: Option<Cache>,
    /// One component is compiled at a time: strangers get one core of the machine, not all of them.
    compiling: Mutex<()>,
    ready: RwLock<HashMap<Digest, Ready>>,
    /// Counts uses, so that the longest unused one is known.
    uses: AtomicU64,
    _ticker: Ticker,
}

struct Ready {
    plugin: Arc<LoadedPlugin>,
    last_use: AtomicU64,
}

impl PluginHost {
    /// Sets up the sandbox. A process has one. What is compiled is kept in the cache, if there is one.
    pub fn new(limits: Limits, compiler: Compiler, cache: Option<Cache>) -> Result<Self, Report> {
        let failed = |what: &str| {
            let message = format!("the sandbox could not be set up: {what}");
            Report::from(Finding::new("host_failed", message))
        };
        let engine = sandbox::engine(&limits).map_err(|error| failed(&format!("{error:#}")))?;
        let linker = sandbox::linker(&engine).map_err(|error| failed(&format!("{error:#}")))?;
        let ticker = Ticker::start(engine.clone()).map_err(|error| failed(&error.to_string()))?;
        let ready = RwLock::default();
        let inner = Inner {
            engine,
            linker,
            limits,
            compiler,
            cache,
            compiling: Mutex::new(()),
            ready,
            uses: AtomicU64::new(0),
            _ticker: ticker,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Whether a component may run here. Takes seconds for an interpreter; not for a request's
    /// thread.
    pub fn check(&self, bytes: &[u8]) -> Result<Checked, Report> {
        let Inner {
            engine,
            linker,
            limits,
            ..
        } = &*self.inner;
        let compile = |engine: &Engine, bytes: &[u8]| self.compile(engine, bytes);
        // A thread of its own, for its stack: what strangers nest is read by functions that nest.
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new()
                .name("check".into())
                .stack_size(CHECK_STACK_BYTES);
            let failed = |what: &str| Report::from(Finding::new("check_failed", what));
            let checking = thread
                .spawn_scoped(scope, || check(engine, linker, limits, compile, bytes))
                .map_err(|error| failed(&format!("no thread to check it on: {error}")))?;
            let checked = checking.join();
            checked.unwrap_or_else(|_| Err(failed("the check gave up on it")))
        })
    }

    /// Makes a component ready to run. Takes as long as the check.
    pub fn load(&self, digest: Digest, bytes: &[u8]) -> Result<Arc<LoadedPlugin>, Report> {
        if let Some(plugin) = self.get(&digest) {
            return Ok(plugin);
        }
        if Digest::of(bytes) != digest {
            return Err(Finding::new("digest_mismatch", "these are not the bytes of it").into());
        }
        let checked = self.check(bytes)?;
        let plugin = Arc::new(LoadedPlugin {
            checked,
            limits: self.inner.limits,
        });
        let mut ready = self
            .inner
            .ready
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let last_use = |ready: &Ready| ready.last_use.load(Ordering::Relaxed);
        let unused = ready.iter().min_by_key(|(_, ready)| last_use(ready));
        if let Some(digest) = unused.map(|(digest, _)| *digest)
            && ready.len() >= READY_MAX
        {
            ready.remove(&digest);
        }
        let entry = Ready {
            plugin: Arc::clone(&plugin),
            last_use: AtomicU64::new(self.next_use()),
        };
        ready.insert(digest, entry);
        Ok(plugin)
    }

    /// Machine code for a component that has passed all stages before: out of the cache, or made now.
    fn compile(&self, engine: &Engine, bytes: &[u8]) -> Result<Component, Finding> {
        let Inner {
            compiler,
            cache,
            compiling,
            ..
        } = &*self.inner;
        let digest = Digest::of(bytes);
        let kept = cache.as_ref().and_then(|cache| cache.get(engine, &digest));
        if let Some(component) = kept.and_then(|kept| compiler::load(engine, &kept).ok()) {
            return Ok(component);
        }
        // What is guarded is the machine, and nothing that could be left half done.
        let _turn = compiling.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(cache) = cache else {
            return compiler.compile(engine, bytes);
        };
        let artifact = compiler.artifact(engine, bytes)?;
        let component = compiler::load(engine, &artifact)?;
        cache.put(engine, &digest, &artifact);
        Ok(component)
    }

    fn next_use(&self) -> u64 {
        self.inner.uses.fetch_add(1, Ordering::Relaxed)
    }

    /// A component that is ready to run.
    pub fn get(&self, digest: &Digest) -> Option<Arc<LoadedPlugin>> {
        let ready = self
            .inner
            .ready
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let found = ready.get(digest)?;
        found.last_use.store(self.next_use(), Ordering::Relaxed);
        Some(Arc::clone(&found.plugin))
    }
}

/// A component that is ready to run.
pub struct LoadedPlugin {
    checked: Checked,
    limits: Limits,
}

impl LoadedPlugin {
    /// What the plugin says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.checked.manifest
    }

    /// Runs a call again over the answers that it was given: with this configuration, this much fuel
    /// and nothing else. It goes the same way, or says where it does not.
    pub fn repeat(
        &self,
        request: CallRequest,
        installation: &Installation,
        transcript: &Transcript,
    ) -> Result<Repeated, NotRepeated> {
        let config = (*installation.config).clone();
        let fuel = installation.grants.fuel;
        let telling = Telling::new(request, config, fuel, transcript);
        call::repeat(&self.checked, &self.limits, telling)
    }

    /// Runs one action over a draft, to its end. Blocks the thread for as long as the guest thinks,
    /// at most until the deadline. When it first draws, `origin` says where from.
    pub fn run(
        &self,
        draft: Draft,
        origin: impl FnOnce(&CallRequest) -> DrawOrigin + Send + 'static,
    ) -> Result<Finished, Box<Unfinished>> {
        let origin = Box::new(origin);
        call::run(&self.checked, &self.limits, draft, origin)
    }
}

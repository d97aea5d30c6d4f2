//! Loaded plugins, by the hash of their component, and the calls that they run.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bursar_ledger::{
    AccountId, Books, CallRequest, CallResult, ComponentChoice, Digest, Draft, DrawOrigin, IdError,
    Installation, PluginName, Timestamp, Transcript,
};
use serde_json::Value;
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

use crate::check::{ContractVersion, check};
use crate::checked_component::CheckedComponent;
use crate::compile::cache::Cache;
use crate::compile::compiler::{self, Compiler};
use crate::compile::queue::CompileQueue;
use crate::configuration::{self, ConfigurationReport};
use crate::limits::{CHECK_STACK_BYTES, Limits, READY_MAX};
use crate::manifest::Manifest;
use crate::report::{Finding, LoadError};
use crate::run::call::{self, CallOutcome, FailedCall, ReplayError, ReplayedCall};
use crate::run::failure::CallFailure;
use crate::run::guest::{Guest, LogLine};
use crate::run::responder::TranscriptReplay;
use crate::run::ticker::Ticker;
use crate::sandbox;

/// A host that checks components and keeps them loaded. Clones share all state.
#[derive(Clone)]
pub struct PluginHost {
    inner: Arc<SharedHost>,
}

/// The state that all clones of a host share.
struct SharedHost {
    engine: Engine,
    linker: Linker<Guest>,
    limits: Limits,
    compiler: Compiler,
    cache: Option<Cache>,
    compile_queue: CompileQueue,
    ready: RwLock<HashMap<Digest, ReadyPlugin>>,
    /// A counter of uses, which tells the least recently used plugin.
    uses: AtomicU64,
    _ticker: Ticker,
}

struct ReadyPlugin {
    plugin: Arc<LoadedPlugin>,
    last_use: AtomicU64,
}

impl PluginHost {
    /// Creates the sandbox. A process needs only one. Machine code is stored in the cache if there is one.
    pub fn new(
        limits: Limits,
        compiler: Compiler,
        cache: Option<Cache>,
    ) -> Result<Self, LoadError> {
        let failed =
            |cause: &str| LoadError::Failed(format!("the sandbox could not be created: {cause}"));
        let engine = sandbox::engine(&limits).map_err(|error| failed(&format!("{error:#}")))?;
        let linker = sandbox::linker(&engine).map_err(|error| failed(&format!("{error:#}")))?;
        let ticker = Ticker::start(engine.clone()).map_err(|error| failed(&error.to_string()))?;
        let ready = RwLock::default();
        let inner = SharedHost {
            engine,
            linker,
            limits,
            compiler,
            cache,
            compile_queue: CompileQueue::default(),
            ready,
            uses: AtomicU64::new(0),
            _ticker: ticker,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Checks a component. Takes seconds for a large one, such as an interpreter, so do not call it on a thread that
    /// serves requests.
    pub fn check(&self, bytes: &[u8]) -> Result<CheckedComponent, LoadError> {
        let compile_uncached = || {
            let _lock = self.inner.compile_queue.lock_compiler();
            // Another request may have compiled this component while this one waited for the lock.
            self.cached_component(bytes)
                .map_or_else(|| self.compile(bytes), Ok)
        };
        self.check_with(bytes, compile_uncached, |manifest| {
            let SharedHost {
                engine,
                compiler,
                cache,
                compile_queue,
                ..
            } = &*self.inner;
            let _lock = compile_queue.lock_compiler();
            compiler.try_manifest(manifest)?;
            if let Some(cache) = cache {
                cache.approve_manifest(engine, &Digest::of(bytes), manifest);
            }
            Ok(())
        })
    }

    /// Checks a component with machine code from the cache, or else from `compile_uncached`. Calls `try_manifest` for a
    /// manifest that the cache has not approved.
    fn check_with(
        &self,
        bytes: &[u8],
        compile_uncached: impl FnOnce() -> Result<Component, LoadError> + Send,
        try_manifest: impl FnOnce(&str) -> Result<(), LoadError> + Send,
    ) -> Result<CheckedComponent, LoadError> {
        let SharedHost {
            engine,
            linker,
            limits,
            cache,
            ..
        } = &*self.inner;
        let try_manifest = |manifest: &str| match cache {
            Some(cache) if cache.has_approved_manifest(engine, &Digest::of(bytes), manifest) => {
                Ok(())
            }
            Some(_) | None => try_manifest(manifest),
        };
        let compile = || match self.cached_component(bytes) {
            Some(component) => Ok(component),
            None => compile_uncached(),
        };
        // The parsers recurse as deep as an untrusted component nests, so they run on a thread with a large stack.
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new()
                .name("check".into())
                .stack_size(CHECK_STACK_BYTES);
            let checking = thread
                .spawn_scoped(scope, || {
                    check(linker, limits, compile, try_manifest, bytes)
                })
                .map_err(|error| {
                    LoadError::Failed(format!("could not start a thread for the check: {error}"))
                })?;
            let panicked = |_| Err(Finding::new("check_failed", "the check panicked").into());
            checking.join().unwrap_or_else(panicked)
        })
    }

    /// Loads a component. Waits for the components that are checked before it, and returns [`LoadError::Busy`] if too
    /// many wait already.
    pub fn load(&self, digest: Digest, bytes: &[u8]) -> Result<Arc<LoadedPlugin>, LoadError> {
        if let Some(plugin) = self.get(&digest) {
            return Ok(plugin);
        }
        let _permit = self.inner.compile_queue.acquire()?;
        if Digest::of(bytes) != digest {
            return Err(Finding::new("digest_mismatch", "the bytes have another digest").into());
        }
        Ok(self.insert_ready(digest, self.check(bytes)?))
    }

    /// Loads a component again that was checked before, without waiting for the compiler.
    ///
    /// A component without machine code in the cache is compiled in the background, and the result is
    /// [`LoadError::Compiling`]. `bytes` is called only for a component that is neither loaded, nor being compiled, nor
    /// rejected.
    pub fn load_cached<B: AsRef<[u8]>, E: From<LoadError>>(
        &self,
        digest: Digest,
        bytes: impl FnOnce() -> Result<B, E>,
    ) -> Result<Arc<LoadedPlugin>, E> {
        if let Some(plugin) = self.get(&digest) {
            return Ok(plugin);
        }
        self.inner.compile_queue.check_background(&digest)?;
        let bytes = bytes()?;
        let not_cached = || Err(LoadError::Compiling);
        let manifest_not_approved = |_: &str| Err(LoadError::Compiling);
        match self.check_with(bytes.as_ref(), not_cached, manifest_not_approved) {
            Ok(checked) => Ok(self.insert_ready(digest, checked)),
            Err(LoadError::Compiling) => {
                self.compile_in_background(digest, bytes.as_ref().to_vec())?;
                Err(LoadError::Compiling.into())
            }
            Err(LoadError::Refused(report)) => {
                self.inner
                    .compile_queue
                    .end_background(digest, Some(report.clone()));
                Err(LoadError::Refused(report).into())
            }
            Err(other @ (LoadError::Busy | LoadError::Failed(_))) => Err(other.into()),
        }
    }

    fn compile_in_background(&self, digest: Digest, bytes: Vec<u8>) -> Result<(), LoadError> {
        if !self.inner.compile_queue.begin_background(digest)? {
            return Ok(());
        }
        let host = self.clone();
        let thread = std::thread::Builder::new().name("compile".into());
        let started = thread.spawn(move || {
            let refused = match host.load(digest, &bytes) {
                Ok(_) => None,
                Err(problem) => {
                    tracing::error!(component = %digest, %problem, "a component could not be loaded");
                    match problem {
                        LoadError::Refused(report) => Some(report),
                        LoadError::Busy | LoadError::Compiling | LoadError::Failed(_) => None,
                    }
                }
            };
            host.inner.compile_queue.end_background(digest, refused);
        });
        if let Err(error) = started {
            self.inner.compile_queue.end_background(digest, None);
            let cause = format!("could not start a thread for the compiler: {error}");
            return Err(LoadError::Failed(cause));
        }
        Ok(())
    }

    fn insert_ready(&self, digest: Digest, checked: CheckedComponent) -> Arc<LoadedPlugin> {
        let plugin = Arc::new(LoadedPlugin {
            checked,
            limits: self.inner.limits,
        });
        let mut ready = self
            .inner
            .ready
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let last_use = |ready: &ReadyPlugin| ready.last_use.load(Ordering::Relaxed);
        let unused = ready.iter().min_by_key(|(_, ready)| last_use(ready));
        if let Some(digest) = unused.map(|(digest, _)| *digest)
            && ready.len() >= READY_MAX
        {
            ready.remove(&digest);
        }
        let entry = ReadyPlugin {
            plugin: Arc::clone(&plugin),
            last_use: AtomicU64::new(self.next_use()),
        };
        ready.insert(digest, entry);
        plugin
    }

    /// Returns a component from the machine code in the cache.
    fn cached_component(&self, bytes: &[u8]) -> Option<Component> {
        let SharedHost { engine, cache, .. } = &*self.inner;
        let artifact = cache.as_ref()?.get(engine, &Digest::of(bytes))?;
        compiler::load(engine, &artifact).ok()
    }

    /// Compiles a component that has passed all earlier stages, and stores the machine code in the cache.
    fn compile(&self, bytes: &[u8]) -> Result<Component, LoadError> {
        let SharedHost {
            engine,
            compiler,
            cache,
            ..
        } = &*self.inner;
        let artifact = compiler.compile(engine, bytes)?;
        let component = compiler::load(engine, &artifact)?;
        if let Some(cache) = cache {
            cache.put(engine, &Digest::of(bytes), &artifact);
        }
        Ok(component)
    }

    fn next_use(&self) -> u64 {
        self.inner.uses.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns the limits of one call.
    pub fn limits(&self) -> Limits {
        self.inner.limits
    }

    /// Returns a component, if it is loaded.
    pub fn get(&self, digest: &Digest) -> Option<Arc<LoadedPlugin>> {
        let ready = self
            .inner
            .ready
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let entry = ready.get(digest)?;
        entry.last_use.store(self.next_use(), Ordering::Relaxed);
        Some(Arc::clone(&entry.plugin))
    }
}

/// One attempt at a call, ready to be committed.
#[derive(Clone, PartialEq, Debug)]
pub struct CallAttempt {
    /// The result that the ledger decides about.
    pub result: CallResult,
    /// The plugin's log lines. They may reveal what was drawn.
    pub log: Vec<LogLine>,
    /// Processor time of the guest. Zero if it did not run.
    pub cpu: Duration,
}

/// A component that is loaded and ready to run.
pub struct LoadedPlugin {
    checked: CheckedComponent,
    limits: Limits,
}

impl LoadedPlugin {
    /// Returns the plugin's manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.checked.manifest
    }

    /// Returns the component as an installation under `name` records it. An error if the name makes one of the plugin's
    /// accounts too long.
    pub fn component_choice(
        &self,
        name: &PluginName,
        digest: Digest,
    ) -> Result<ComponentChoice, IdError> {
        let manifest = self.manifest();
        let accounts = manifest.accounts.iter();
        let accounts = accounts.map(|sub| AccountId::of_plugin_sub(name, sub));
        let schedules = manifest.schedules.iter();
        Ok(ComponentChoice {
            digest,
            id: manifest.id.clone(),
            name_is_fixed: self.spells_its_name(),
            requested: manifest.permissions.requested(),
            accounts: accounts.collect::<Result<_, _>>()?,
            holds: manifest.holds.clone(),
            schedules: schedules
                .map(|schedule| (schedule.name.clone(), schedule.rule))
                .collect(),
        })
    }

    /// Returns the component's version of the contract.
    pub fn contract(&self) -> ContractVersion {
        self.checked.exports.version()
    }

    /// Returns true if the plugin names its own accounts by the id in its manifest. It then works only under that name.
    pub fn spells_its_name(&self) -> bool {
        match self.contract() {
            ContractVersion::V0_1 => true,
            ContractVersion::V0_2 => false,
        }
    }

    /// Checks a configuration against the manifest's schema and by the plugin's own check.
    ///
    /// `name` is the name of the installation. The findings depend only on the configuration: the accounts and assets in
    /// it are not looked up in an economy. Blocks the thread while the guest runs, at most until the deadline.
    pub fn check_configuration(
        &self,
        name: &PluginName,
        config: &Value,
    ) -> Result<ConfigurationReport, CallFailure> {
        configuration::check(&self.checked, &self.limits, name, config)
    }

    /// Replays a recorded call: runs the plugin again and answers its requests from the transcript.
    ///
    /// The installation supplies the configuration and the fuel. An error says where the run differs from the record.
    pub fn replay(
        &self,
        request: CallRequest,
        installation: &Installation,
        transcript: &Transcript,
    ) -> Result<ReplayedCall, ReplayError> {
        let config = installation.config.clone();
        let fuel = installation.grants.fuel;
        let replay = TranscriptReplay::new(request, config, fuel, transcript);
        call::replay(&self.checked, &self.limits, replay)
    }

    /// Opens a call over these books and runs it. A call that the ledger rejects before it runs has that rejection as its
    /// ending. Blocks and draws like [`LoadedPlugin::run`].
    pub fn attempt(
        &self,
        books: &Arc<Books>,
        request: CallRequest,
        at: Timestamp,
        origin: impl FnOnce(&CallRequest) -> DrawOrigin + Send + 'static,
    ) -> Result<CallAttempt, Box<FailedCall>> {
        let draft = match Draft::open(Arc::clone(books), request.clone(), at) {
            Ok(draft) => draft,
            Err(rejection) => {
                let installed = books.plugin(&request.plugin);
                let component =
                    installed.map_or(Digest::ZERO, |plugin| plugin.installation.component);
                let result = CallResult::not_run(request, component, rejection);
                return Ok(CallAttempt {
                    result,
                    log: Vec::new(),
                    cpu: Duration::ZERO,
                });
            }
        };
        let component = draft.component();
        let mut outcome = self.run(draft, origin)?;
        let log = std::mem::take(&mut outcome.log);
        let cpu = outcome.cpu;
        let result = outcome.into_result(request, component);
        Ok(CallAttempt { result, log, cpu })
    }

    /// Runs one call over a draft. Blocks the thread while the guest runs, at most until the deadline. `origin` is called
    /// before the first draw and returns the origin of all draws.
    pub fn run(
        &self,
        draft: Draft,
        origin: impl FnOnce(&CallRequest) -> DrawOrigin + Send + 'static,
    ) -> Result<CallOutcome, Box<FailedCall>> {
        let origin = Box::new(origin);
        call::run(&self.checked, &self.limits, draft, origin)
    }
}

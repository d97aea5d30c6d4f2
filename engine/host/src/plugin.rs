//! Components that are ready to run, by the hash of their bytes.

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

use crate::check::{CheckedComponent, ContractVersion, check};
use crate::compile::cache::Cache;
use crate::compile::compiler::{self, Compiler};
use crate::compile::queue::CompileQueue;
use crate::configuration::{self, ConfigurationReport};
use crate::limits::{CHECK_STACK_BYTES, Limits, READY_MAX};
use crate::manifest::Manifest;
use crate::report::{Finding, LoadError};
use crate::run::call::{self, CallFailure, CallOutcome, FailedCall, ReplayError, ReplayedCall};
use crate::run::guest::{Guest, LogLine};
use crate::run::responder::TranscriptReplay;
use crate::run::ticker::Ticker;
use crate::sandbox;

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
    compiling: CompileQueue,
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
    pub fn new(
        limits: Limits,
        compiler: Compiler,
        cache: Option<Cache>,
    ) -> Result<Self, LoadError> {
        let failed =
            |what: &str| LoadError::Failed(format!("the sandbox could not be set up: {what}"));
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
            compiling: CompileQueue::default(),
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
    pub fn check(&self, bytes: &[u8]) -> Result<CheckedComponent, LoadError> {
        let otherwise = || {
            let _turn = self.inner.compiling.turn();
            // Someone before may have had the same component compiled.
            self.kept(bytes).map_or_else(|| self.compile(bytes), Ok)
        };
        self.check_with(bytes, otherwise, |manifest| {
            let Inner {
                engine,
                compiler,
                cache,
                compiling,
                ..
            } = &*self.inner;
            let _turn = compiling.turn();
            compiler.try_manifest(manifest)?;
            if let Some(cache) = cache {
                cache.vouch(engine, &Digest::of(bytes), manifest);
            }
            Ok(())
        })
    }

    /// The check, with machine code out of the cache, or else from here. A manifest that the cache does
    /// not vouch for is tried first.
    fn check_with(
        &self,
        bytes: &[u8],
        otherwise: impl FnOnce() -> Result<Component, LoadError> + Send,
        try_manifest: impl FnOnce(&str) -> Result<(), LoadError> + Send,
    ) -> Result<CheckedComponent, LoadError> {
        let Inner {
            engine,
            linker,
            limits,
            cache,
            ..
        } = &*self.inner;
        let try_manifest = |manifest: &str| match cache {
            Some(cache) if cache.vouches(engine, &Digest::of(bytes), manifest) => Ok(()),
            Some(_) | None => try_manifest(manifest),
        };
        let compile = || match self.kept(bytes) {
            Some(component) => Ok(component),
            None => otherwise(),
        };
        // A thread of its own, for its stack: what strangers nest is read by functions that nest.
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new()
                .name("check".into())
                .stack_size(CHECK_STACK_BYTES);
            let checking = thread
                .spawn_scoped(scope, || {
                    check(linker, limits, compile, try_manifest, bytes)
                })
                .map_err(|error| LoadError::Failed(format!("no thread to check it on: {error}")))?;
            let gave_up = |_| Err(Finding::new("check_failed", "the check gave up on it").into());
            checking.join().unwrap_or_else(gave_up)
        })
    }

    /// Makes a component ready to run. Takes as long as the check, and as the checks of those that
    /// came before; refused where too many wait already.
    pub fn load(&self, digest: Digest, bytes: &[u8]) -> Result<Arc<LoadedPlugin>, LoadError> {
        if let Some(plugin) = self.get(&digest) {
            return Ok(plugin);
        }
        let _place = self.inner.compiling.place()?;
        if Digest::of(bytes) != digest {
            return Err(Finding::new("digest_mismatch", "these are not the bytes of it").into());
        }
        Ok(self.keep_ready(digest, self.check(bytes)?))
    }

    /// Makes a component ready again that was ready before. No request waits for the compiler here:
    /// where nothing is in the cache, it is compiled beside, for the next one who asks. `bytes` are only
    /// asked for where they are needed: not of what is being compiled, nor of what may not run.
    pub fn load_cached<B: AsRef<[u8]>, E: From<LoadError>>(
        &self,
        digest: Digest,
        bytes: impl FnOnce() -> Result<B, E>,
    ) -> Result<Arc<LoadedPlugin>, E> {
        if let Some(plugin) = self.get(&digest) {
            return Ok(plugin);
        }
        self.inner.compiling.look_up(&digest)?;
        let bytes = bytes()?;
        let compiling = || Err(LoadError::Compiling);
        let trying = |_: &str| Err(LoadError::Compiling);
        match self.check_with(bytes.as_ref(), compiling, trying) {
            Ok(checked) => Ok(self.keep_ready(digest, checked)),
            Err(LoadError::Compiling) => {
                self.compile_in_background(digest, bytes.as_ref().to_vec())?;
                Err(LoadError::Compiling.into())
            }
            Err(LoadError::Refused(report)) => {
                self.inner.compiling.end(digest, Some(report.clone()));
                Err(LoadError::Refused(report).into())
            }
            Err(other @ (LoadError::Busy | LoadError::Failed(_))) => Err(other.into()),
        }
    }

    fn compile_in_background(&self, digest: Digest, bytes: Vec<u8>) -> Result<(), LoadError> {
        if !self.inner.compiling.begin(digest)? {
            return Ok(());
        }
        let host = self.clone();
        let thread = std::thread::Builder::new().name("compile".into());
        let started = thread.spawn(move || {
            let refused = match host.load(digest, &bytes) {
                Ok(_) => None,
                Err(problem) => {
                    tracing::error!(component = %digest, %problem, "a component does not load");
                    match problem {
                        LoadError::Refused(report) => Some(report),
                        LoadError::Busy | LoadError::Compiling | LoadError::Failed(_) => None,
                    }
                }
            };
            host.inner.compiling.end(digest, refused);
        });
        if let Err(error) = started {
            self.inner.compiling.end(digest, None);
            let why = format!("no thread to compile it on: {error}");
            return Err(LoadError::Failed(why));
        }
        Ok(())
    }

    fn keep_ready(&self, digest: Digest, checked: CheckedComponent) -> Arc<LoadedPlugin> {
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
        plugin
    }

    /// Machine code that was made before.
    fn kept(&self, bytes: &[u8]) -> Option<Component> {
        let Inner { engine, cache, .. } = &*self.inner;
        let kept = cache.as_ref()?.get(engine, &Digest::of(bytes))?;
        compiler::load(engine, &kept).ok()
    }

    /// Machine code for a component that has passed all stages before.
    fn compile(&self, bytes: &[u8]) -> Result<Component, LoadError> {
        let Inner {
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

    /// Returns the limits of what one call may use up here.
    pub fn limits(&self) -> Limits {
        self.inner.limits
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

/// A call that was tried: what is to be committed, and what the plugin wrote for the operator.
#[derive(Clone, PartialEq, Debug)]
pub struct CallAttempt {
    /// What is to be committed.
    pub result: CallResult,
    /// What the plugin wrote. It may tell what was drawn.
    pub log: Vec<LogLine>,
    /// Processor time that the guest took; none if it did not run.
    pub cpu: Duration,
}

/// A component that is ready to run.
pub struct LoadedPlugin {
    checked: CheckedComponent,
    limits: Limits,
}

impl LoadedPlugin {
    /// What the plugin says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.checked.manifest
    }

    /// The component as an installation under a name has it; an error where the name makes one of its
    /// own accounts too long.
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

    /// The version of the contract that the component speaks.
    pub fn contract(&self) -> ContractVersion {
        self.checked.exports.version()
    }

    /// Returns whether the plugin spells the names of its own accounts by the id in its manifest. It then
    /// works under no other name.
    pub fn spells_its_name(&self) -> bool {
        match self.contract() {
            ContractVersion::First => true,
            ContractVersion::Present => false,
        }
    }

    /// Holds a configuration against the plugin, as it is installed, or is to be, under a name: against the
    /// schema in its manifest, and by its own check. Blocks the thread for as long as the guest thinks, at
    /// most until the deadline. The configuration alone decides what is found; whether the economy has what
    /// it names is another question.
    pub fn check_configuration(
        &self,
        name: &PluginName,
        config: &Value,
    ) -> Result<ConfigurationReport, CallFailure> {
        configuration::check(&self.checked, &self.limits, name, config)
    }

    /// Runs a call again over the answers that it was given: with this configuration, this much fuel
    /// and nothing else. It goes the same way, or says where it does not.
    pub fn repeat(
        &self,
        request: CallRequest,
        installation: &Installation,
        transcript: &Transcript,
    ) -> Result<ReplayedCall, ReplayError> {
        let config = installation.config.clone();
        let fuel = installation.grants.fuel;
        let telling = TranscriptReplay::new(request, config, fuel, transcript);
        call::repeat(&self.checked, &self.limits, telling)
    }

    /// Opens a call over these books and runs it to its end; one that cannot begin has ended with that.
    /// Blocks like [`LoadedPlugin::run`], and draws as it does.
    pub fn attempt(
        &self,
        books: &Books,
        request: CallRequest,
        at: Timestamp,
        origin: impl FnOnce(&CallRequest) -> DrawOrigin + Send + 'static,
    ) -> Result<CallAttempt, Box<FailedCall>> {
        let draft = match Draft::open(books, &request, at) {
            Ok(draft) => draft,
            Err(no) => {
                let installed = books.plugin(&request.plugin);
                let component =
                    installed.map_or(Digest::ZERO, |plugin| plugin.installation.component);
                let result = CallResult::not_run(request, component, no);
                return Ok(CallAttempt {
                    result,
                    log: Vec::new(),
                    cpu: Duration::ZERO,
                });
            }
        };
        let component = draft.component();
        let mut finished = self.run(draft, origin)?;
        let log = std::mem::take(&mut finished.log);
        let cpu = finished.cpu;
        let result = finished.into_result(request, component);
        Ok(CallAttempt { result, log, cpu })
    }

    /// Runs one action over a draft, to its end. Blocks the thread for as long as the guest thinks,
    /// at most until the deadline. When it first draws, `origin` says where from.
    pub fn run(
        &self,
        draft: Draft,
        origin: impl FnOnce(&CallRequest) -> DrawOrigin + Send + 'static,
    ) -> Result<CallOutcome, Box<FailedCall>> {
        let origin = Box::new(origin);
        call::run(&self.checked, &self.limits, draft, origin)
    }
}

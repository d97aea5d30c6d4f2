//! Why a request has no answer: what can keep it from being decided, in the words of no protocol.

use bursar_host::{CallFailure, ConfigurationFinding, LoadError, Report, SchemaError};
use bursar_ledger::{Digest, KeyId, PluginName};
use bursar_storage::{StorageError, SubmitError};

/// Nothing was decided, or it is not known what was; nothing is kept under the request's key.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The writer did not take it, or its commit is not known.
    #[error("{0}; ask again with the same key")]
    Writer(#[from] SubmitError),
    /// The file could not be read.
    #[error("the file could not be read; ask again with the same key")]
    Unreadable(#[from] StorageError),
    /// The idempotency key stands for another request.
    #[error("this idempotency key was used for a request that differs in {field}")]
    KeyReused {
        /// A JSON pointer into the body, or `method` or `path`.
        field: String,
    },
    /// There is no such economy, or the key that asks may not see it: one answer for both.
    #[error("there is no such economy; open it with PUT")]
    NoEconomy,
    /// The plugin is not installed.
    #[error("the plugin `{0}` is not installed in this economy")]
    NoPlugin(PluginName),
    /// The plugin has no such action.
    #[error("the plugin `{0}` has no such action")]
    NoAction(PluginName),
    /// No component has this digest.
    #[error("no component {0} is here")]
    NoComponent(Digest),
    /// No bundled plugin has this name.
    #[error("`{name}` is not bundled; there are: {known}")]
    NotBundled {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The arguments do not fit the action's schema.
    #[error("{}", .0.message)]
    Arguments(SchemaError),
    /// A configuration is not taken.
    #[error("the configuration is not taken; `findings` has all that is wrong, first {}", .0[0])]
    ConfigurationRefused(Vec<ConfigurationFinding>),
    /// A plugin's check of its configuration could not be run to its end.
    #[error("the plugin could not be asked about its configuration ({0}); ask again")]
    CheckFailed(CallFailure),
    /// A component cannot run here.
    #[error("the component cannot run here; see the findings")]
    Refused(Report),
    /// Too many components wait for the compiler.
    #[error("too many components wait for the compiler; ask again later")]
    CompilerBusy,
    /// The component is being compiled, and nobody waits for that.
    #[error("the component is being compiled; ask again later")]
    Compiling,
    /// Components cannot be checked or compiled on this machine.
    #[error("components cannot be compiled here at the moment; the log of the server says why")]
    NoCompiler,
    /// The name is kept for what the server and its owner do by themselves.
    #[error("`{0}` stands for the server itself in the journal; choose another name")]
    ReservedKey(KeyId),
    /// Too many streams of events are open.
    #[error("too many streams of events are open here; ask again later, or for pages")]
    TooManyStreams,
    /// Too many economies are being exported.
    #[error("too many exports are under way here; ask again later")]
    TooManyExports,
    /// An audit is under way.
    #[error("an audit is under way, and one runs at a time; ask again when it has ended")]
    AuditRunning,
    /// Too many calls wait for a worker.
    #[error("too many calls are waiting; ask again with the same key")]
    Busy,
    /// What the call learned was changed by others each time.
    #[error("too many calls wanted the same at once; ask again with the same key")]
    Conflict,
    /// The call could not be brought to an end.
    #[error("the call could not be finished ({0}); nothing has moved")]
    CallFailed(CallFailure),
    /// The plugin's component does not run in this version.
    #[error("the plugin does not load here; nothing has moved. The operator finds why with GET")]
    NotLoaded,
    /// What was due has not had its run.
    #[error("it could not begin")]
    NotRun,
    /// We are wrong.
    #[error("{0}")]
    Bug(&'static str),
}

impl From<LoadError> for ServiceError {
    fn from(not_ready: LoadError) -> Self {
        match not_ready {
            LoadError::Refused(report) => Self::Refused(report),
            LoadError::Busy => Self::CompilerBusy,
            LoadError::Compiling => Self::Compiling,
            LoadError::Failed(why) => {
                tracing::error!(%why, "a component could not be compiled");
                Self::NoCompiler
            }
        }
    }
}

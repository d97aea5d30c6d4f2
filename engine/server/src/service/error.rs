//! The errors of the service, independent of any protocol.

use bursar_host::{CallFailure, ConfigurationFinding, LoadError, Report, SchemaError};
use bursar_ledger::{Digest, KeyId, PluginName};
use bursar_storage::{StorageError, SubmitError};

/// A request without an answer: it was not decided, or its outcome is unknown. Its key has no stored answer.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The writer did not accept the submission, or the outcome of its commit is unknown.
    #[error("{0}; repeat the request with the same key")]
    Writer(#[from] SubmitError),
    /// The database file could not be read.
    #[error("the database file could not be read; repeat the request with the same key")]
    Unreadable(#[from] StorageError),
    /// The idempotency key was used for another request.
    #[error("this idempotency key was used for a request that differs in {field}")]
    KeyReused {
        /// A JSON pointer into the body, or `method` or `path`.
        field: String,
    },
    /// The economy does not exist, or the API key has no access to it. The two are not distinguished.
    #[error("there is no such economy; open it with PUT")]
    NoEconomy,
    /// The plugin is not installed.
    #[error("the plugin `{0}` is not installed in this economy")]
    NoPlugin(PluginName),
    /// The plugin has no such action.
    #[error("the plugin `{0}` has no such action")]
    NoAction(PluginName),
    /// No component has this digest.
    #[error("there is no component {0} on this server")]
    NoComponent(Digest),
    /// No bundled plugin has this name.
    #[error("there is no bundled plugin `{name}`; the bundled plugins are: {known}")]
    NotBundled {
        /// The requested name.
        name: String,
        /// The names of the bundled plugins.
        known: String,
    },
    /// The arguments do not fit the action's schema.
    #[error("{}", .0.message)]
    Arguments(SchemaError),
    /// A configuration is rejected.
    #[error("the configuration is rejected; see `findings`, the first is {}", .0[0])]
    ConfigurationRefused(Vec<ConfigurationFinding>),
    /// A plugin's check of its configuration did not complete.
    #[error("the plugin's check of its configuration did not complete ({0}); repeat the request")]
    CheckFailed(CallFailure),
    /// A component is rejected.
    #[error("the component is rejected; see `findings`")]
    Refused(Report),
    /// Too many components wait for the compiler.
    #[error("too many components wait for the compiler; repeat the request later")]
    CompilerBusy,
    /// The component is being compiled in the background.
    #[error("the component is being compiled; repeat the request later")]
    Compiling,
    /// Components cannot be checked or compiled on this machine.
    #[error("components cannot be compiled at the moment; the reason is in the log of the server")]
    NoCompiler,
    /// The name of the key is reserved for records of the server itself and of its owner.
    #[error("the key name `{0}` is reserved for the server itself; choose another name")]
    ReservedKey(KeyId),
    /// Too many streams of events are open.
    #[error("too many event streams are open; repeat the request later, or read events in pages")]
    TooManyStreams,
    /// Too many economies are being exported.
    #[error("too many exports are in progress; repeat the request later")]
    TooManyExports,
    /// An audit is in progress.
    #[error(
        "an audit is in progress, and only one runs at a time; repeat the request after it has ended"
    )]
    AuditRunning,
    /// Too many calls wait for a worker.
    #[error("too many calls are waiting; repeat the request with the same key")]
    Busy,
    /// Every attempt of the call read data that others changed before its commit.
    #[error(
        "too many concurrent requests changed the same data; repeat the request with the same key"
    )]
    Conflict,
    /// The call did not complete.
    #[error("the call did not complete ({0}); nothing has moved")]
    CallFailed(CallFailure),
    /// The plugin's component cannot be loaded by this version of the server.
    #[error(
        "the plugin cannot be loaded; nothing has moved. The operator finds the reason with GET on the plugin"
    )]
    NotLoaded,
    /// A due schedule was not run.
    #[error("the run could not start")]
    NotRun,
    /// An internal error.
    #[error("internal error: {0}")]
    Bug(&'static str),
}

impl From<LoadError> for ServiceError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Refused(report) => Self::Refused(report),
            LoadError::Busy => Self::CompilerBusy,
            LoadError::Compiling => Self::Compiling,
            LoadError::Failed(reason) => {
                tracing::error!(%reason, "a component could not be compiled");
                Self::NoCompiler
            }
        }
    }
}

//! A running server: its start, the first key, and the orderly end.

pub(crate) mod connections;
pub(crate) mod shutdown;
mod sockets;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bursar_host::{Cache, Compiler, Limits, PluginHost};
use bursar_ledger::{IdError, KeyId, KeyMode, KeyPatch, Scope};
use bursar_storage::{FileLock, Owner, Storage, StorageError, TimeSource, WriterState, beside};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::bodies::BodyLimiter;
use crate::clock::Ticks;
use crate::http::{Api, OwnerToken, delivered_event, render};
use crate::rate::Rates;
use crate::service::error::ServiceError;
use crate::service::{CallBounds, Service};
use crate::webhooks::{WebhookSetup, Webhooks};
use crate::{http, random};
use connections::ConnectionServer;
pub use shutdown::Ended;
use shutdown::Shutdown;
pub(crate) use sockets::group_id;
use sockets::{OWNER_ONLY, Socket};
pub use sockets::{SocketAccess, SocketMode, SocketModeError};

/// Connections at the same time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 4096;

/// Connections of the owner's own commands at the same time.
const OWNER_CONNECTIONS_MAX: usize = 16;

/// The time that a server has to end in order, unless it is set up otherwise.
pub const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// How often server seeds are looked after.
const SEEDS_SWEEP: Duration = Duration::from_mins(1);

/// Bytes in the path of a Unix socket, by the operating system's leave.
const SOCKET_PATH_BYTES_MAX: usize = 100;

/// How a server is set up.
#[derive(Clone)]
pub struct Setup {
    /// The database file; made if it is not there.
    pub database: PathBuf,
    /// Where to listen for TCP, if at all. Port 0 picks a free one.
    pub listen: Option<SocketAddr>,
    /// Where to listen on a Unix socket for bots, if at all, and who may connect to it.
    pub socket: Option<(PathBuf, SocketAccess)>,
    /// Whether keys may cross a network in plain text.
    pub allow_plain_http: bool,
    /// Where the time comes from.
    pub clock: TimeSource,
    /// Where time for rate limits comes from.
    pub ticks: Ticks,
    /// What a plugin's call may use up.
    pub limits: Limits,
    /// Where components are compiled.
    pub compiler: Compiler,
    /// How many calls there may be at the same time.
    pub calls: CallBounds,
    /// Room for the bodies of requests.
    pub bodies: Arc<BodyLimiter>,
    /// How webhooks are served.
    pub webhooks: WebhookSetup,
    /// How often is looked at what plugins do by themselves; never, where nothing is to run.
    pub schedules: Option<Duration>,
    /// The time the server has to end in order. What has not ended by then is left behind.
    pub stop_patience: Duration,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The file cannot be opened.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which address.
        address: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The address can be reached from elsewhere, and keys would cross the network readable.
    #[error(
        "{0} can be reached from other machines and this is plain HTTP: put a TLS proxy in front \
         and add --allow-plain-http"
    )]
    PlainHttp(SocketAddr),
    /// The plugin host cannot be set up.
    #[error("the plugin host cannot be set up: {0}")]
    Host(#[from] bursar_host::LoadError),
    /// The service could not be put together.
    #[error("the service cannot start: {0}")]
    Service(#[from] ServiceError),
    /// A name of our own is none: a bug.
    #[error("a name of our own is none: {0}")]
    Name(#[from] IdError),
}

/// A server that has begun to listen.
pub struct Server {
    service: Service,
    router: Router,
    webhooks: Webhooks,
    schedules: Option<Duration>,
    stop_patience: Duration,
    /// True once the service is to end.
    stopping: watch::Sender<bool>,
    tcp: Option<TcpListener>,
    owner_socket: Socket,
    socket: Option<Socket>,
    admin_key: Option<String>,
}

impl Server {
    /// Opens the file, prepares the plugins and begins to listen.
    pub async fn start(setup: Setup) -> Result<Self, StartError> {
        let tcp = match setup.listen {
            Some(address) if !address.ip().is_loopback() && !setup.allow_plain_http => {
                return Err(StartError::PlainHttp(address));
            }
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let lock = FileLock::acquire(&setup.database)?;
        // Whatever cannot be listened on leaves the file as it was.
        let owner_path = owner_socket(&setup.database);
        let owner_socket = Socket::bind(owner_path, OWNER_ONLY)?;
        let socket = match &setup.socket {
            Some((path, access)) => Some(Socket::bind(path.clone(), *access)?),
            None => None,
        };
        let (database, time) = (setup.database.clone(), setup.clock.clone());
        let open = move || Storage::open(&database, lock, &time, render);
        let storage = http_blocking(open).await??;
        let opened = storage.clone();
        let started = Self::start_on(storage, setup, tcp, owner_socket, socket).await;
        if started.is_err() {
            http_blocking(move || opened.close()).await?;
        }
        started
    }

    /// Prepares the plugins on a file that is open, and what is listened on.
    async fn start_on(
        storage: Storage,
        setup: Setup,
        tcp: Option<TcpListener>,
        owner_socket: Socket,
        socket: Option<Socket>,
    ) -> Result<Self, StartError> {
        let cache = open_cache(&setup.database);
        let host = PluginHost::new(setup.limits, setup.compiler, cache)?;
        let service = Service::new(storage, host, render, setup.calls).await?;
        service.bring_up().await?;
        let token = hex::encode(random::bytes());
        let owner = Owner {
            pid: std::process::id(),
            socket: owner_socket.path.clone(),
            token: token.clone(),
        };
        service.storage().announce(&owner)?;
        let admin_key = first_key(&service).await?;
        let stopping = watch::Sender::new(false);
        let webhooks = Webhooks::new(service.clone(), setup.webhooks, delivered_event);
        let api = Api::new(
            service.clone(),
            OwnerToken::new(&token),
            Rates::new(setup.ticks),
            webhooks.clone(),
            setup.bodies,
            stopping.subscribe(),
        );
        let router = api.router();
        Ok(Self {
            service,
            router,
            webhooks,
            schedules: setup.schedules,
            stop_patience: setup.stop_patience,
            stopping,
            tcp,
            owner_socket,
            socket,
            admin_key,
        })
    }

    /// The TCP address that is listened on.
    pub fn address(&self) -> Option<SocketAddr> {
        self.tcp
            .as_ref()
            .and_then(|listener| listener.local_addr().ok())
    }

    /// The file that is served.
    pub fn storage(&self) -> &Storage {
        self.service.storage()
    }

    /// The admin key, if this start has made the file. It is not kept anywhere.
    pub fn admin_key(&self) -> Option<&str> {
        self.admin_key.as_deref()
    }

    /// Serves until `stop` is done, or until the writer gives the file up; then ends requests under
    /// way, serves what is queued, and closes the file, all within the time that it was given.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Ended {
        let stopping = self.stopping;
        let stopped = stopping.subscribe();
        let door = ConnectionServer::new(self.router, CONNECTIONS_MAX);
        // The owner's commands get in however many bots there are.
        let back_door = door.beside(OWNER_CONNECTIONS_MAX);
        let mut listeners = JoinSet::new();
        if let Some(tcp) = self.tcp {
            listeners.spawn(door.clone().open(tcp, stopped.clone()));
        }
        let mut sockets = Vec::new();
        for (socket, door) in [
            (Some(self.owner_socket), back_door),
            (self.socket, door.clone()),
        ] {
            if let Some(mut socket) = socket {
                if let Some(listener) = socket.listener.take() {
                    listeners.spawn(door.open(listener, stopped.clone()));
                }
                sockets.push(socket);
            }
        }
        let mut background = JoinSet::new();
        background.spawn(self.webhooks.run(stopped.clone()));
        let service = self.service;
        background.spawn(service.clone().keep_seeds(SEEDS_SWEEP, stopped.clone()));
        let schedules = service.clone();
        background.spawn(schedules.keep_schedules(self.schedules, stopped.clone()));
        let mut writer = service.storage().writer();
        tokio::select! {
            () = stop => tracing::info!("stopping: ending requests under way"),
            _ = writer.wait_for(|writer| *writer == WriterState::GaveUp) => {
                tracing::error!("stopping: the file was given up");
            }
        }
        stopping.send_replace(true);
        let ending = Shutdown::begin(self.stop_patience);
        ending.listeners(listeners, door).await;
        drop(sockets);
        ending.close(background, service).await
    }
}

async fn http_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StartError> {
    Ok(crate::service::blocking(work).await?)
}

async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Listen {
            address: address.to_string(),
            source,
        })
}

/// The owner's socket stands beside the file; where that path is too long for a socket, in the
/// directory for temporary files.
fn owner_socket(database: &Path) -> PathBuf {
    let absolute = std::path::absolute(database).unwrap_or_else(|_| database.to_owned());
    let path = beside(&absolute, "sock");
    if path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
        return path;
    }
    std::env::temp_dir().join(format!("bursar-{}.sock", std::process::id()))
}

/// Compiled components are kept beside the file. Without that each start compiles them again.
fn open_cache(database: &Path) -> Option<Cache> {
    let opened = Cache::open(&beside(database, "cache"), random::bytes());
    opened
        .inspect_err(|error| tracing::warn!(%error, "no cache of compiled components"))
        .ok()
}

/// A new file gets an admin key, which is shown once.
async fn first_key(service: &Service) -> Result<Option<String>, StartError> {
    let state = service.state();
    let has_keys = state
        .books(service.system())
        .is_some_and(|system| !system.keys().is_empty());
    if has_keys {
        return Ok(None);
    }
    let id: KeyId = "admin".parse()?;
    let patch = KeyPatch {
        scopes: Some([Scope::Admin].into()),
        ..KeyPatch::default()
    };
    let made = http::write_key(service, "bursar", id, patch, KeyMode::Create).await?;
    let made: serde_json::Value = serde_json::from_slice(&made.body).unwrap_or_default();
    Ok(made
        .get("key")
        .and_then(serde_json::Value::as_str)
        .map(Into::into))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owners_socket_moves_where_its_path_is_too_long() {
        let file = |bytes: usize| format!("/{}", "x".repeat(bytes - "/.sock".len()));
        let at = owner_socket(Path::new(&file(SOCKET_PATH_BYTES_MAX)));
        assert_eq!(at.as_os_str().len(), SOCKET_PATH_BYTES_MAX);
        assert!(at.to_string_lossy().starts_with("/xx"));
        let beyond = owner_socket(Path::new(&file(SOCKET_PATH_BYTES_MAX + 1)));
        assert!(beyond.starts_with(std::env::temp_dir()));
        let name = beyond.file_name().unwrap_or_default().to_string_lossy();
        assert!(name.starts_with("bursar-"), "{name}");
    }
}

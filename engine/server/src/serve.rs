//! A server: its start, its first API key, and its shutdown.

mod connection_timer;
pub(crate) mod connections;
mod echo;
pub(crate) mod shutdown;
mod sockets;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bursar_host::{Cache, Compiler, Limits, PluginHost};
use bursar_ledger::{IdError, KeyId, KeyMode, KeyPatch, Scope};
use bursar_storage::{
    FileLock, MaintenanceConfig, Owner, Storage, StorageError, TimeSource, WriterState, beside,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::bodies::BodyLimiter;
use crate::clock::Ticks;
use crate::http::{Api, ApiRouter, OwnerToken, delivered_event, render};
use crate::rate::Rates;
use crate::service::error::ServiceError;
use crate::service::{CallBounds, Service};
use crate::webhooks::{WebhookSetup, Webhooks};
use crate::{http, random};
use connections::ConnectionServer;
pub(crate) use echo::ECHO_PATH;
use shutdown::Shutdown;
pub use shutdown::ShutdownOutcome;
pub(crate) use sockets::group_id;
use sockets::{OWNER_ONLY, Socket};
pub use sockets::{SocketAccess, SocketMode, SocketModeError};

/// The most connections at the same time. Further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 4096;

/// The most connections at the same time on the owner's socket, which is for `bursar` commands.
const OWNER_CONNECTIONS_MAX: usize = 16;

/// The default deadline of a shutdown.
pub const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// The interval at which server seeds are rotated and revealed.
const SEEDS_SWEEP: Duration = Duration::from_mins(1);

/// The longest path of a Unix socket in bytes. Linux allows 107 and BSD systems 103, both without the final zero
/// byte (`unix(7)`).
const SOCKET_PATH_BYTES_MAX: usize = 100;

/// The configuration of a server.
#[derive(Clone)]
pub struct Setup {
    /// The database file; created if it does not exist.
    pub database: PathBuf,
    /// The TCP address to listen on, if any. Port 0 picks a free port.
    pub listen: Option<SocketAddr>,
    /// The Unix socket to listen on, if any, and its permissions.
    pub socket: Option<(PathBuf, SocketAccess)>,
    /// True to allow TCP addresses that other machines can reach.
    pub allow_plain_http: bool,
    /// The clock for records.
    pub clock: TimeSource,
    /// The clock for rate limits.
    pub ticks: Ticks,
    /// The intervals at which the file is maintained.
    pub maintenance: MaintenanceConfig,
    /// The limits of each call of a plugin.
    pub limits: Limits,
    /// The compiler of components.
    pub compiler: Compiler,
    /// The limits on concurrent calls.
    pub calls: CallBounds,
    /// The limits on bodies of requests.
    pub bodies: Arc<BodyLimiter>,
    /// The configuration of webhooks.
    pub webhooks: WebhookSetup,
    /// The interval at which due schedules are started; none to run no schedules.
    pub schedules: Option<Duration>,
    /// The deadline of the shutdown. Parts that have not ended by then are abandoned.
    pub stop_patience: Duration,
    /// True to serve the echo route of `bursar bench`, too.
    pub bench_echo: bool,
}

/// A server that could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The file cannot be opened.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The server cannot listen on an address.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address or path.
        address: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// Other machines can reach the address, so keys would cross the network unencrypted.
    #[error(
        "other machines can reach {0}, and the protocol is plain HTTP: put a TLS proxy in front of it, then pass \
         --allow-plain-http"
    )]
    PlainHttp(SocketAddr),
    /// The plugin host cannot be set up.
    #[error("the plugin host cannot be set up: {0}")]
    Host(#[from] bursar_host::LoadError),
    /// The service cannot start.
    #[error("the service cannot start: {0}")]
    Service(#[from] ServiceError),
    /// A built-in name is invalid.
    #[error("internal error: a built-in name is invalid: {0}")]
    Name(#[from] IdError),
}

/// A server that listens and does not accept connections yet.
pub struct Server {
    service: Service,
    router: ApiRouter,
    webhooks: Webhooks,
    schedules: Option<Duration>,
    stop_patience: Duration,
    /// True once the server shuts down.
    stopping: watch::Sender<bool>,
    tcp: Option<TcpListener>,
    owner_socket: Socket,
    socket: Option<Socket>,
    admin_key: Option<String>,
}

impl Server {
    /// Opens the file, loads the plugins and starts to listen.
    pub async fn start(setup: Setup) -> Result<Self, StartError> {
        let tcp = match setup.listen {
            Some(address) if !address.ip().is_loopback() && !setup.allow_plain_http => {
                return Err(StartError::PlainHttp(address));
            }
            Some(address) => Some(listen(address).await?),
            None => None,
        };
        let lock = FileLock::acquire(&setup.database)?;
        // Sockets are bound before the file is opened, so that a failure leaves the file unchanged.
        let owner_path = owner_socket(&setup.database);
        let owner_socket = bind(owner_path, OWNER_ONLY)?;
        let socket = match &setup.socket {
            Some((path, access)) => Some(bind(path.clone(), *access)?),
            None => None,
        };
        let database = setup.database.clone();
        let time = setup.clock.clone();
        let pace = setup.maintenance;
        let open = move || Storage::open_with(&database, lock, &time, render, pace);
        let storage = run_blocking(open).await??;
        let opened = storage.clone();
        let server = Self::start_on(storage, setup, tcp, owner_socket, socket).await;
        if server.is_err() {
            run_blocking(move || opened.close()).await?;
        }
        server
    }

    /// Creates the service and the API on an open file.
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
        let router = if setup.bench_echo {
            echo::with_echo(api.router())
        } else {
            api.router()
        };
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

    /// Returns the TCP address on which the server listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.tcp
            .as_ref()
            .and_then(|listener| listener.local_addr().ok())
    }

    /// Returns the storage of the server.
    pub fn storage(&self) -> &Storage {
        self.service.storage()
    }

    /// Returns the admin key, if this start has created the file. It is not stored.
    pub fn admin_key(&self) -> Option<&str> {
        self.admin_key.as_deref()
    }

    /// Serves one connection over a stream.
    pub fn serve_stream<S>(&self, stream: S) -> impl Future<Output = ()> + use<S>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let connection = connections::connection(&self.router, stream);
        async move {
            drop(connection.await);
        }
    }

    /// Serves requests until `stop` completes or the writer gives the file up. Then ends the requests in flight, commits
    /// queued submissions and closes the file, within the deadline of the shutdown.
    pub async fn run(self, stop: impl Future<Output = ()>) -> ShutdownOutcome {
        let stopping = self.stopping;
        let stopped = stopping.subscribe();
        let connections = ConnectionServer::new(self.router, CONNECTIONS_MAX);
        // Commands of the owner must reach the server even if clients use up all connections.
        let owner_connections = connections.with_limit(OWNER_CONNECTIONS_MAX);
        let mut listeners = JoinSet::new();
        if let Some(tcp) = self.tcp {
            listeners.spawn(connections.clone().accept(tcp, stopped.clone()));
        }
        let mut sockets = Vec::new();
        for (socket, connections) in [
            (Some(self.owner_socket), owner_connections),
            (self.socket, connections.clone()),
        ] {
            if let Some(mut socket) = socket {
                if let Some(listener) = socket.listener.take() {
                    listeners.spawn(connections.accept(listener, stopped.clone()));
                }
                sockets.push(socket);
            }
        }
        let mut background = JoinSet::new();
        background.spawn(self.webhooks.run(stopped.clone()));
        let service = self.service;
        background.spawn(service.clone().rotate_seeds(SEEDS_SWEEP, stopped.clone()));
        let schedules = service.clone();
        background.spawn(schedules.run_schedules(self.schedules, stopped.clone()));
        let mut writer = service.storage().writer();
        tokio::select! {
            () = stop => tracing::info!("stopping: waiting for requests in flight"),
            _ = writer.wait_for(|writer| *writer == WriterState::GaveUp) => {
                tracing::error!("stopping: the writer gave the file up; see the error above");
            }
        }
        stopping.send_replace(true);
        let shutdown = Shutdown::begin(self.stop_patience);
        shutdown.close_listeners(listeners, connections).await;
        drop(sockets);
        shutdown.close_service(background, service).await
    }
}

async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StartError> {
    Ok(crate::service::blocking(work).await?)
}

fn bind(path: PathBuf, access: SocketAccess) -> Result<Socket, StartError> {
    let address = path.display().to_string();
    Socket::bind(path, access).map_err(|source| StartError::Listen { address, source })
}

async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Listen {
            address: address.to_string(),
            source,
        })
}

/// Returns the path of the owner's socket: next to the database file, or in the directory for temporary files if that
/// path is too long for a socket.
fn owner_socket(database: &Path) -> PathBuf {
    let absolute = std::path::absolute(database).unwrap_or_else(|_| database.to_owned());
    let path = beside(&absolute, "sock");
    if path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
        return path;
    }
    std::env::temp_dir().join(format!("bursar-{}.sock", std::process::id()))
}

/// Opens the cache of compiled components next to the database file. Returns none if that fails; each start then
/// compiles all components again.
fn open_cache(database: &Path) -> Option<Cache> {
    let cache = Cache::open(&beside(database, "cache"), random::bytes());
    cache
        .inspect_err(|error| {
            tracing::warn!(
                %error,
                "the cache of compiled components cannot be opened; components are compiled at each start"
            );
        })
        .ok()
}

/// Creates an admin key if the file has no keys.
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
    let answer = http::write_key(service, "bursar", id, patch, KeyMode::Create).await?;
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    Ok(body
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

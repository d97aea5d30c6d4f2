//! A webhook receiver: a real listener on this machine with configurable behaviour.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// The longest wait for an expected attempt.
const TIMEOUT: Duration = Duration::from_mins(1);

/// The certificate authority of the receiver's TLS certificate. Both it and the certificate for `localhost`
/// are valid until 2126 and only used in these tests.
pub(crate) const AUTHORITY: &[u8] = include_bytes!("certificates/authority.der");

/// The receiver's reaction to a delivery attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reaction {
    /// Answers with this status.
    Status(u16),
    /// Never answers and keeps the connection open.
    Silent,
    /// Answers with this status after [`Receiver::release`].
    Held(u16),
    /// Closes the connection.
    Cut,
    /// Answers with a response head that never ends.
    Endless,
}

pub(crate) const ACCEPT: Reaction = Reaction::Status(204);

/// One delivery attempt as received.
#[derive(Clone, Debug)]
pub(crate) struct ReceivedAttempt {
    pub(crate) id: String,
    pub(crate) timestamp: String,
    pub(crate) signature: String,
    pub(crate) text: String,
    pub(crate) reaction: Reaction,
}

impl ReceivedAttempt {
    pub(crate) fn event(&self) -> Value {
        serde_json::from_str(&self.text).expect("a delivery is JSON")
    }

    pub(crate) fn seq(&self) -> u64 {
        self.event()["seq"].as_u64().expect("an event has a number")
    }

    pub(crate) fn accepted(&self) -> bool {
        self.reaction == ACCEPT
    }

    /// Returns true if the attempt is signed with this secret; verified as a receiver does it.
    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        let secret = secret
            .strip_prefix("whsec_")
            .expect("a secret has its prefix");
        let secret = STANDARD.decode(secret).expect("a secret is base64");
        let mut mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap();
        let Self {
            id,
            timestamp,
            text,
            ..
        } = self;
        mac.update(format!("{id}.{timestamp}.{text}").as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        self.signature == format!("v1,{signature}")
    }
}

/// The reaction to the next attempt, by the number of attempts before it.
type Reactions = Arc<Mutex<Box<dyn FnMut(usize) -> Reaction + Send>>>;

/// A receiver that listens until it is dropped.
pub(crate) struct Receiver {
    pub(crate) url: String,
    attempts: Arc<Mutex<Vec<ReceivedAttempt>>>,
    reactions: Reactions,
    releases: Arc<Semaphore>,
    listening: JoinHandle<()>,
}

impl Receiver {
    /// Starts a receiver that accepts everything.
    pub(crate) async fn new() -> Self {
        Self::listen(None).await
    }

    /// Starts a receiver with TLS.
    pub(crate) async fn secure() -> Self {
        Self::listen(Some(acceptor())).await
    }

    async fn listen(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let attempts = Arc::new(Mutex::new(Vec::new()));
        let reactions: Reactions = Arc::new(Mutex::new(Box::new(|_| ACCEPT)));
        let releases = Arc::new(Semaphore::new(0));
        let seen = Arc::clone(&attempts);
        let reaction = Arc::clone(&reactions);
        let release = Arc::clone(&releases);
        let listening = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let seen = Arc::clone(&seen);
                let reaction = Arc::clone(&reaction);
                let tls = tls.clone();
                let release = Arc::clone(&release);
                tokio::spawn(async move {
                    match tls {
                        None => drop(receive(stream, &seen, &reaction, &release).await),
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                drop(receive(stream, &seen, &reaction, &release).await);
                            }
                        }
                    }
                });
            }
        });
        Self {
            url: format!("{scheme}://localhost:{port}/hook?token=hidden"),
            attempts,
            reactions,
            releases,
            listening,
        }
    }

    /// Sets the reaction to all further attempts.
    pub(crate) fn react_with(&self, reaction: Reaction) {
        self.react_by(move |_| reaction);
    }

    /// Sets the reaction to further attempts by the number of attempts before.
    pub(crate) fn react_by(&self, reaction: impl FnMut(usize) -> Reaction + Send + 'static) {
        *self.reactions.lock().unwrap() = Box::new(reaction);
    }

    /// Answers one held attempt.
    pub(crate) fn release(&self) {
        self.releases.add_permits(1);
    }

    pub(crate) fn attempts(&self) -> Vec<ReceivedAttempt> {
        self.attempts.lock().unwrap().clone()
    }

    /// Returns the sequence numbers of the accepted events.
    pub(crate) fn accepted(&self) -> Vec<u64> {
        let attempts = self.attempts();
        attempts
            .iter()
            .filter(|one| one.accepted())
            .map(ReceivedAttempt::seq)
            .collect()
    }

    /// Waits until the attempts satisfy `enough`.
    pub(crate) async fn until(&self, what: &str, enough: impl Fn(&[ReceivedAttempt]) -> bool) {
        let waited = tokio::time::timeout(TIMEOUT, async {
            while !enough(&self.attempts()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(waited.await.is_ok(), "{what}: {:?}", self.attempts());
    }

    /// Waits until an event has been accepted.
    pub(crate) async fn until_accepted(&self, seq: u64) {
        let has = move |attempts: &[ReceivedAttempt]| {
            attempts
                .iter()
                .any(|one| one.accepted() && one.seq() == seq)
        };
        self.until(&format!("event {seq} is accepted"), has).await;
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Reads one request and reacts as configured.
async fn receive<S>(
    mut stream: S,
    seen: &Mutex<Vec<ReceivedAttempt>>,
    reactions: &Reactions,
    release: &Semaphore,
) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut bytes = Vec::new();
    let (head, mut body) = loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            break (head.to_owned(), body.as_bytes().to_vec());
        }
    };
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_owned()).unwrap_or_default()
    };
    let length: usize = header("content-length").parse().unwrap();
    while body.len() < length {
        if stream.read_buf(&mut body).await? == 0 {
            return Ok(());
        }
    }
    assert!(
        head.starts_with("POST /hook?token=hidden HTTP/1.1"),
        "{head}"
    );
    let reaction = {
        let mut seen = seen.lock().unwrap();
        let reaction = (reactions.lock().unwrap())(seen.len());
        seen.push(ReceivedAttempt {
            id: header("webhook-id"),
            timestamp: header("webhook-timestamp"),
            signature: header("webhook-signature"),
            text: String::from_utf8(body).unwrap(),
            reaction,
        });
        reaction
    };
    let status = match reaction {
        Reaction::Status(status) => status,
        Reaction::Held(status) => {
            release
                .acquire()
                .await
                .expect("it is never closed")
                .forget();
            status
        }
        Reaction::Silent => std::future::pending().await,
        Reaction::Cut => return Ok(()),
        Reaction::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            loop {
                stream
                    .write_all(b"x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n")
                    .await?;
            }
        }
    };
    // A client that followed the redirect would send an attempt without a body to this receiver.
    let head = format!("HTTP/1.1 {status} S\r\nlocation: /hook?token=hidden\r\n");
    let more = "content-length: 0\r\nconnection: close\r\n\r\n";
    stream.write_all(format!("{head}{more}").as_bytes()).await?;
    stream.shutdown().await
}

fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from(include_bytes!("certificates/localhost.der").to_vec());
    let key = include_bytes!("certificates/localhost.key.der").to_vec();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

//! Somebody who receives webhooks: a real listener on this machine, with moods.

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

/// How long a test waits for something that must come.
const PATIENCE: Duration = Duration::from_mins(1);

/// The authority under whose name the receiver speaks TLS. It and the certificate for `localhost` are
/// good for these tests and nothing else, until 2126.
pub(crate) const AUTHORITY: &[u8] = include_bytes!("certificates/authority.der");

/// What a receiver does with a delivery that it has read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mood {
    /// It answers this.
    Status(u16),
    /// It answers nothing, and keeps the connection.
    Silent,
    /// It answers this once it is let go.
    Held(u16),
    /// It cuts the connection.
    Cut,
    /// It answers with a head that has no end.
    Endless,
}

pub(crate) const ACCEPT: Mood = Mood::Status(204);

/// One try, as the receiver saw it.
#[derive(Clone, Debug)]
pub(crate) struct Try {
    pub(crate) id: String,
    pub(crate) timestamp: String,
    pub(crate) signature: String,
    pub(crate) text: String,
    pub(crate) mood: Mood,
}

impl Try {
    pub(crate) fn event(&self) -> Value {
        serde_json::from_str(&self.text).expect("a delivery is JSON")
    }

    pub(crate) fn seq(&self) -> u64 {
        self.event()["seq"].as_u64().expect("an event has a number")
    }

    pub(crate) fn accepted(&self) -> bool {
        self.mood == ACCEPT
    }

    /// Whether the try is signed with a secret, checked as a receiver does it.
    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        let secret = secret.strip_prefix("whsec_").expect("a secret says so");
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

/// Which mood the receiver is in, by the tries before.
type Moods = Arc<Mutex<Box<dyn FnMut(usize) -> Mood + Send>>>;

/// A receiver that listens until it is dropped.
pub(crate) struct Receiver {
    pub(crate) url: String,
    tries: Arc<Mutex<Vec<Try>>>,
    moods: Moods,
    release: Arc<Semaphore>,
    listening: JoinHandle<()>,
}

impl Receiver {
    /// A receiver that accepts everything.
    pub(crate) async fn new() -> Self {
        Self::listen(None).await
    }

    /// A receiver that speaks TLS.
    pub(crate) async fn secure() -> Self {
        Self::listen(Some(acceptor())).await
    }

    async fn listen(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let tries = Arc::new(Mutex::new(Vec::new()));
        let moods: Moods = Arc::new(Mutex::new(Box::new(|_| ACCEPT)));
        let release = Arc::new(Semaphore::new(0));
        let (seen, mood) = (Arc::clone(&tries), Arc::clone(&moods));
        let let_go = Arc::clone(&release);
        let listening = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (seen, mood, tls) = (Arc::clone(&seen), Arc::clone(&mood), tls.clone());
                let let_go = Arc::clone(&let_go);
                tokio::spawn(async move {
                    match tls {
                        None => drop(receive(stream, &seen, &mood, &let_go).await),
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                drop(receive(stream, &seen, &mood, &let_go).await);
                            }
                        }
                    }
                });
            }
        });
        Self {
            url: format!("{scheme}://localhost:{port}/hook?token=hidden"),
            tries,
            moods,
            release,
            listening,
        }
    }

    /// From now on it is in this mood.
    pub(crate) fn feel(&self, mood: Mood) {
        self.feel_by(move |_| mood);
    }

    /// From now on its mood depends on the number of tries before.
    pub(crate) fn feel_by(&self, mood: impl FnMut(usize) -> Mood + Send + 'static) {
        *self.moods.lock().unwrap() = Box::new(mood);
    }

    /// Lets go of the try that is held.
    pub(crate) fn let_go(&self) {
        self.release.add_permits(1);
    }

    pub(crate) fn tries(&self) -> Vec<Try> {
        self.tries.lock().unwrap().clone()
    }

    /// The numbers of the events that it has accepted.
    pub(crate) fn accepted(&self) -> Vec<u64> {
        let tries = self.tries();
        tries
            .iter()
            .filter(|one| one.accepted())
            .map(Try::seq)
            .collect()
    }

    /// Waits until its tries are as they should be.
    pub(crate) async fn until(&self, what: &str, enough: impl Fn(&[Try]) -> bool) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !enough(&self.tries()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(waited.await.is_ok(), "{what}: {:?}", self.tries());
    }

    /// Waits until it has accepted an event.
    pub(crate) async fn until_accepted(&self, seq: u64) {
        let has = move |tries: &[Try]| tries.iter().any(|one| one.accepted() && one.seq() == seq);
        self.until(&format!("event {seq} is accepted"), has).await;
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Reads one request and does with it what the mood says.
async fn receive<S>(
    mut stream: S,
    seen: &Mutex<Vec<Try>>,
    moods: &Moods,
    let_go: &Semaphore,
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
    let mood = {
        let mut seen = seen.lock().unwrap();
        let mood = (moods.lock().unwrap())(seen.len());
        seen.push(Try {
            id: header("webhook-id"),
            timestamp: header("webhook-timestamp"),
            signature: header("webhook-signature"),
            text: String::from_utf8(body).unwrap(),
            mood,
        });
        mood
    };
    let status = match mood {
        Mood::Status(status) => status,
        Mood::Held(status) => {
            let_go.acquire().await.expect("it is never closed").forget();
            status
        }
        Mood::Silent => std::future::pending().await,
        Mood::Cut => return Ok(()),
        Mood::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            loop {
                stream
                    .write_all(b"x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n")
                    .await?;
            }
        }
    };
    // A redirect would lead to the same receiver, as a try without a body.
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

//! One attempt: a connection of its own, one request, and the head of the answer. Nothing follows a
//! redirect, and no body is read: what counts is the status.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bursar_ledger::{EconomyId, Timestamp, WebhookSecret};
use bursar_storage::Event;
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::address::{AddressError, Target};
use super::lookup::Lookups;
use super::signature::sign;
use crate::http::event_body;

/// Bytes in the head of an answer.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// How attempts are made.
pub(super) struct Sender {
    tls: TlsConnector,
    lookups: Lookups,
    patience: Duration,
    allow_private: bool,
}

/// What is sent.
pub(super) struct Message {
    pub(super) id: String,
    pub(super) timestamp_s: u64,
    pub(super) signature: String,
    pub(super) body: Bytes,
}

impl Message {
    /// An event, stamped and signed for now.
    pub(super) fn new(
        event: &Event,
        economy: &EconomyId,
        secret: &WebhookSecret,
        now: Timestamp,
    ) -> Self {
        let body = event_body(event, economy).to_string();
        let hash = event.hash.to_string();
        // The same in each attempt, and of no other event anywhere.
        let id = format!("msg_{}", hash.get(..32).unwrap_or(&hash));
        let timestamp_s = now.0 / 1_000;
        Self {
            signature: sign(secret.as_bytes(), &id, timestamp_s, body.as_bytes()),
            id,
            timestamp_s,
            body: body.into(),
        }
    }
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// The receiver has it.
    Accepted,
    /// The receiver wants no more, ever.
    Gone,
    /// It may not have it.
    Failed(String),
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error("no connection: {0}")]
    Connection(#[from] io::Error),
    #[error("the answer broke off: {0}")]
    Answer(#[from] hyper::Error),
    #[error("the URL cannot be put into a request")]
    Request(#[from] hyper::http::Error),
    #[error("the host is no name that a certificate could have")]
    ServerName,
}

impl Sender {
    /// Trusts the authorities that browsers trust, and `trusted` besides.
    pub(super) fn new(trusted: &[Vec<u8>], patience: Duration, allow_private: bool) -> Self {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        roots
            .add_parsable_certificates(trusted.iter().map(|one| CertificateDer::from(one.clone())));
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider speaks the versions that are safe")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            tls: Arc::new(config).into(),
            lookups: Lookups::new(),
            patience,
            allow_private,
        }
    }

    /// Sends a message, within its time.
    pub(super) async fn send(&self, target: &Target, message: &Message) -> Outcome {
        match tokio::time::timeout(self.patience, self.exchange(target, message)).await {
            Ok(Ok(StatusCode::GONE)) => Outcome::Gone,
            Ok(Ok(status)) if status.is_success() => Outcome::Accepted,
            Ok(Ok(status)) => Outcome::Failed(format!("it answered {}", status.as_u16())),
            Ok(Err(broken)) => Outcome::Failed(broken.to_string()),
            Err(_) => {
                let patience = self.patience.as_secs_f32();
                Outcome::Failed(format!("no answer within {patience} s"))
            }
        }
    }

    async fn exchange(&self, target: &Target, message: &Message) -> Result<StatusCode, Broken> {
        let stream = self.connect(target).await?;
        if !target.secure {
            return ask(stream, target, message).await;
        }
        let name = ServerName::try_from(target.host.clone()).map_err(|_| Broken::ServerName)?;
        ask(self.tls.connect(name, stream).await?, target, message).await
    }

    async fn connect(&self, target: &Target) -> Result<TcpStream, Broken> {
        let mut refused = io::Error::from(io::ErrorKind::NotFound);
        for address in target.resolve(&self.lookups, self.allow_private).await? {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => refused = error,
            }
        }
        Err(refused.into())
    }
}

async fn ask<S>(stream: S, target: &Target, message: &Message) -> Result<StatusCode, Broken>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await?;
    // Dropping the set ends the connection, whatever the receiver still has to say.
    let mut driver = JoinSet::new();
    driver.spawn(async move { drop(connection.await) });
    let request = Request::post(&target.path)
        .header(header::HOST, &target.authority)
        .header(header::CONTENT_TYPE, "application/json")
        .header(
            header::USER_AGENT,
            concat!("bursar/", env!("CARGO_PKG_VERSION")),
        )
        .header(header::CONNECTION, "close")
        .header("webhook-id", &message.id)
        .header("webhook-timestamp", message.timestamp_s)
        .header("webhook-signature", &message.signature)
        .body(Full::new(message.body.clone()))?;
    Ok(sender.send_request(request).await?.status())
}

//! A single attempt to deliver an event: one connection, one request and the head of the response.
//! Redirects are not followed and response bodies are not read; only the status counts.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bursar_ledger::{Timestamp, WebhookSecret};
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

/// The largest head of a response, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The sender of deliveries.
pub(super) struct Sender {
    tls: TlsConnector,
    lookups: Lookups,
    patience: Duration,
    allow_private: bool,
}

/// A signed delivery (Standard Webhooks).
pub(super) struct Message {
    pub(super) id: String,
    pub(super) timestamp_s: u64,
    pub(super) signature: String,
    pub(super) body: Bytes,
}

impl Message {
    /// Signs an event at the present time.
    pub(super) fn new(event: &Event, body: String, secret: &WebhookSecret, now: Timestamp) -> Self {
        let hash = event.hash.to_string();
        // The id is the same in each attempt and unique among all events, so that receivers can
        // detect repeated deliveries (Standard Webhooks, `webhook-id`).
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

/// The outcome of an attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum DeliveryOutcome {
    /// The receiver accepted the event.
    Accepted,
    /// The receiver answered 410 Gone and wants no more events (Standard Webhooks).
    Gone,
    /// The receiver did not accept the event, or its response was lost.
    Failed(String),
}

/// The reason for which there was no response.
#[derive(Debug, thiserror::Error)]
enum AttemptError {
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error("connection failed: {0}")]
    Connection(#[from] io::Error),
    #[error("no valid response: {0}")]
    Answer(#[from] hyper::Error),
    #[error("the URL cannot be used in a request")]
    Request(#[from] hyper::http::Error),
    #[error("the host is not a valid name for TLS")]
    ServerName,
}

impl Sender {
    /// Creates a sender that trusts the certificate authorities of browsers, and `trusted`.
    pub(super) fn new(trusted: &[Vec<u8>], patience: Duration, allow_private: bool) -> Self {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        roots
            .add_parsable_certificates(trusted.iter().map(|one| CertificateDer::from(one.clone())));
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider supports the default versions of TLS")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            tls: Arc::new(config).into(),
            lookups: Lookups::new(),
            patience,
            allow_private,
        }
    }

    /// Sends a message within the time limit.
    pub(super) async fn send(&self, target: &Target, message: &Message) -> DeliveryOutcome {
        match tokio::time::timeout(self.patience, self.exchange(target, message)).await {
            Ok(Ok(StatusCode::GONE)) => DeliveryOutcome::Gone,
            Ok(Ok(status)) if status.is_success() => DeliveryOutcome::Accepted,
            Ok(Ok(status)) => DeliveryOutcome::Failed(format!(
                "the receiver answered with the status {}",
                status.as_u16()
            )),
            Ok(Err(error)) => DeliveryOutcome::Failed(error.to_string()),
            Err(_) => {
                let patience = self.patience.as_secs_f32();
                DeliveryOutcome::Failed(format!("no response within {patience} s"))
            }
        }
    }

    async fn exchange(
        &self,
        target: &Target,
        message: &Message,
    ) -> Result<StatusCode, AttemptError> {
        let stream = self.connect(target).await?;
        if !target.secure {
            return post(stream, target, message).await;
        }
        let name =
            ServerName::try_from(target.host.clone()).map_err(|_| AttemptError::ServerName)?;
        post(self.tls.connect(name, stream).await?, target, message).await
    }

    async fn connect(&self, target: &Target) -> Result<TcpStream, AttemptError> {
        let mut last_error = io::Error::from(io::ErrorKind::NotFound);
        for address in target.resolve(&self.lookups, self.allow_private).await? {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last_error = error,
            }
        }
        Err(last_error.into())
    }
}

async fn post<S>(stream: S, target: &Target, message: &Message) -> Result<StatusCode, AttemptError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await?;
    // Dropping the set closes the connection even if the receiver continues to send.
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

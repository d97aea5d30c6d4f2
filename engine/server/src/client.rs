//! A small HTTP client over TCP or a Unix socket: how the commands and the demo speak to a server.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpStream, UnixStream};

/// How long an answer is waited for, unless somebody has more patience.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where a server listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// `HOST:PORT`.
    Tcp(String),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The connection could not be made or broke off.
    #[error("the server cannot be reached: {0}")]
    Unreachable(#[from] io::Error),
    /// The server does not speak HTTP as it should, or the connection broke off.
    #[error("the answer broke off: {0}")]
    Broken(#[from] hyper::Error),
    /// The request could not be put into words.
    #[error("the request is malformed: {0}")]
    Malformed(#[from] hyper::http::Error),
    /// No answer came in time.
    #[error("no answer came in time")]
    TimedOut,
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The body, byte for byte.
    pub body: Bytes,
    /// Whether it was marked as given before.
    pub replayed: bool,
    /// The `Retry-After` header, in seconds.
    pub retry_after: Option<u64>,
    /// The `RateLimit-Policy` and `RateLimit` headers, if the key has a limit.
    pub rate_limit: Option<(String, String)>,
    /// The `Cache-Control` header.
    pub cache_control: Option<String>,
}

impl Response {
    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The stable code of a problem; empty if it is none.
    pub fn code(&self) -> String {
        self.json()
            .get("code")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .into()
    }
}

/// One connection, with the key that every request carries.
pub struct Client {
    address: Address,
    key: String,
    patience: Duration,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    /// A client that connects with its first request, and again whenever the connection was lost.
    pub fn new(address: Address, key: impl Into<String>) -> Self {
        Self {
            address,
            key: key.into(),
            patience: PATIENCE,
            connection: None,
        }
    }

    /// The same client, that waits so long for an answer instead of a minute.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// `GET`
    pub async fn get(&mut self, path: &str) -> Result<Response, ClientError> {
        self.send("GET", path, None, Bytes::new()).await
    }

    /// `PUT` of JSON.
    pub async fn put(&mut self, path: &str, body: &Value) -> Result<Response, ClientError> {
        self.send("PUT", path, None, body.to_string().into()).await
    }

    /// `POST` of JSON under an idempotency key.
    pub async fn post(
        &mut self,
        path: &str,
        key: &str,
        body: &Value,
    ) -> Result<Response, ClientError> {
        self.send("POST", path, Some(key), body.to_string().into())
            .await
    }

    /// Any request. A lost connection is not tried again here: only the caller knows its key.
    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: Bytes,
    ) -> Result<Response, ClientError> {
        let sent =
            tokio::time::timeout(self.patience, self.send_once(method, path, key, body)).await;
        let response = sent.unwrap_or(Err(ClientError::TimedOut));
        if response.is_err() {
            self.connection = None;
        }
        response
    }

    /// `GET` of an answer that comes bit by bit: what is good goes to `take` as it comes, and is not
    /// in the response. No part of it may take longer than the client's patience.
    pub async fn stream(
        &mut self,
        path: &str,
        take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<Response, ClientError> {
        let streamed = self.stream_once(path, take).await;
        if streamed.is_err() {
            self.connection = None;
        }
        streamed
    }

    async fn stream_once(
        &mut self,
        path: &str,
        take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<Response, ClientError> {
        let patience = self.patience;
        let request = self.request("GET", path, None, Bytes::new())?;
        let asked = async { Ok(self.connected().await?.send_request(request).await?) };
        let in_time = tokio::time::timeout(patience, asked).await;
        let sent = in_time.unwrap_or(Err(ClientError::TimedOut))?;
        let cache_control = text(&sent, "cache-control");
        let (status, mut body) = (sent.status(), sent.into_body());
        let mut rest = Vec::new();
        loop {
            let frame = tokio::time::timeout(patience, body.frame()).await;
            let Some(frame) = frame.map_err(|_| ClientError::TimedOut)? else {
                break;
            };
            match frame?.into_data() {
                Ok(data) if status.is_success() => take(&data)?,
                Ok(data) => rest.extend_from_slice(&data),
                // Trailers say nothing here.
                Err(_) => {}
            }
        }
        Ok(Response {
            status,
            body: rest.into(),
            replayed: false,
            retry_after: None,
            rate_limit: None,
            cache_control,
        })
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, ClientError> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "bursar")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        Ok(request.body(Full::new(body))?)
    }

    async fn send_once(
        &mut self,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: Bytes,
    ) -> Result<Response, ClientError> {
        let request = self.request(method, path, key, body)?;
        let sent = self.connected().await?.send_request(request).await?;
        let number =
            |name: &str| -> Option<u64> { sent.headers().get(name)?.to_str().ok()?.parse().ok() };
        let retry_after = number("retry-after");
        let rate_limit = text(&sent, "ratelimit-policy").zip(text(&sent, "ratelimit"));
        let replayed = sent.headers().contains_key("idempotency-replayed");
        let cache_control = text(&sent, "cache-control");
        let status = sent.status();
        let body = sent.into_body().collect().await?.to_bytes();
        Ok(Response {
            status,
            body,
            replayed,
            retry_after,
            rate_limit,
            cache_control,
        })
    }

    async fn connected(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, ClientError> {
        let usable = match self.connection.as_mut() {
            Some(connection) => connection.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            self.connection = Some(self.connect().await?);
        }
        self.connection.as_mut().ok_or(ClientError::TimedOut)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, ClientError> {
        match &self.address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                handshake(TokioIo::new(stream)).await
            }
            Address::Unix(path) => handshake(TokioIo::new(UnixStream::connect(path).await?)).await,
        }
    }
}

/// A header as text.
fn text<B>(response: &hyper::Response<B>, name: &str) -> Option<String> {
    Some(response.headers().get(name)?.to_str().ok()?.to_owned())
}

async fn handshake<S>(stream: TokioIo<S>) -> Result<SendRequest<Full<Bytes>>, ClientError>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(stream).await?;
    // What goes wrong on the connection shows in the request that needed it.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

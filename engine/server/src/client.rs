//! A small HTTP client over TCP or a Unix socket, for the commands and the demonstration.

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

/// The default wait for a response.
const PATIENCE: Duration = Duration::from_mins(1);

/// The address of a server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// `HOST:PORT`.
    Tcp(String),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// A request without a response.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The connection could not be opened, or an I/O operation failed.
    #[error("cannot reach the server: {0}")]
    Unreachable(#[from] io::Error),
    /// The connection closed before the end of the response, or the response is not valid HTTP.
    #[error("the response was truncated or malformed: {0}")]
    Truncated(#[from] hyper::Error),
    /// The request has a malformed path or header.
    #[error("the request is malformed: {0}")]
    Malformed(#[from] hyper::http::Error),
    /// The response did not arrive in time.
    #[error("no response arrived in time")]
    TimedOut,
}

/// The response to a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: StatusCode,
    /// The body, byte for byte.
    pub body: Bytes,
    /// True if the response is marked as a replay of an earlier one.
    pub replayed: bool,
    /// The `Retry-After` header, in seconds.
    pub retry_after: Option<u64>,
    /// The `RateLimit-Policy` and `RateLimit` headers, if the key has a limit.
    pub rate_limit: Option<(String, String)>,
    /// The `Cache-Control` header.
    pub cache_control: Option<String>,
}

impl Response {
    /// Parses the body as JSON. Returns null if that fails.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Returns the code of a problem; empty if the body is not a problem.
    pub fn code(&self) -> String {
        self.json()
            .get("code")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .into()
    }
}

/// A connection to a server, with the API key of its requests.
pub struct Client {
    address: Address,
    key: String,
    patience: Duration,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    /// Creates a client, which connects at its first request and reconnects after the connection is lost.
    pub fn new(address: Address, key: impl Into<String>) -> Self {
        Self {
            address,
            key: key.into(),
            patience: PATIENCE,
            connection: None,
        }
    }

    /// Sets the wait for a response.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Sends a `GET` request.
    pub async fn get(&mut self, path: &str) -> Result<Response, ClientError> {
        self.send("GET", path, None, Bytes::new()).await
    }

    /// Sends a `PUT` request with a JSON body.
    pub async fn put(&mut self, path: &str, body: &Value) -> Result<Response, ClientError> {
        self.send("PUT", path, None, body.to_string().into()).await
    }

    /// Sends a `POST` request with a JSON body and an idempotency key.
    pub async fn post(
        &mut self,
        path: &str,
        key: &str,
        body: &Value,
    ) -> Result<Response, ClientError> {
        self.send("POST", path, Some(key), body.to_string().into())
            .await
    }

    /// Sends a request. It is not repeated after a lost connection, since only the caller knows whether a repetition
    /// is safe.
    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: Bytes,
    ) -> Result<Response, ClientError> {
        let response =
            tokio::time::timeout(self.patience, self.send_once(method, path, key, body)).await;
        let response = response.unwrap_or(Err(ClientError::TimedOut));
        if response.is_err() {
            self.connection = None;
        }
        response
    }

    /// Sends a `GET` request and passes the body of a successful response to `take`, chunk by chunk. The returned
    /// response has a body only if it is not successful. The wait for a response applies to each chunk.
    pub async fn stream(
        &mut self,
        path: &str,
        take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<Response, ClientError> {
        let response = self.stream_once(path, take).await;
        if response.is_err() {
            self.connection = None;
        }
        response
    }

    async fn stream_once(
        &mut self,
        path: &str,
        take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<Response, ClientError> {
        let patience = self.patience;
        let request = self.request("GET", path, None, Bytes::new())?;
        let send = async { Ok(self.connected().await?.send_request(request).await?) };
        let response = tokio::time::timeout(patience, send).await;
        let response = response.unwrap_or(Err(ClientError::TimedOut))?;
        let cache_control = text(&response, "cache-control");
        let status = response.status();
        let mut body = response.into_body();
        let mut problem = Vec::new();
        loop {
            let frame = tokio::time::timeout(patience, body.frame()).await;
            let Some(frame) = frame.map_err(|_| ClientError::TimedOut)? else {
                break;
            };
            match frame?.into_data() {
                Ok(data) if status.is_success() => take(&data)?,
                Ok(data) => problem.extend_from_slice(&data),
                // Bursar sends no trailers.
                Err(_) => {}
            }
        }
        Ok(Response {
            status,
            body: problem.into(),
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
        let response = self.connected().await?.send_request(request).await?;
        let number = |name: &str| -> Option<u64> { text(&response, name)?.parse().ok() };
        let retry_after = number("retry-after");
        let rate_limit = text(&response, "ratelimit-policy").zip(text(&response, "ratelimit"));
        let replayed = response.headers().contains_key("idempotency-replayed");
        let cache_control = text(&response, "cache-control");
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        Ok(Response {
            status,
            body,
            replayed,
            retry_after,
            rate_limit,
            cache_control,
        })
    }

    /// Returns the connection, opened again if it was lost.
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

/// Returns a header as text.
fn text<B>(response: &hyper::Response<B>, name: &str) -> Option<String> {
    Some(response.headers().get(name)?.to_str().ok()?.to_owned())
}

async fn handshake<S>(stream: TokioIo<S>) -> Result<SendRequest<Full<Bytes>>, ClientError>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(stream).await?;
    // An error of the connection also fails the request that waits for it, so it is not handled here.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

//! One connection to another node: name, address, TCP, TLS, HTTP.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use peerage_core::commons::address::HostAddr;
use peerage_core::{CallError, PeerCert};
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::tls;

/// Bytes of an answer's header block.
const HEADER_BYTES_MAX: usize = 64 * 1024;
/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;
/// How long the first addresses of a name are tried each; the last has the rest of the call's time.
const ATTEMPT_MAX: Duration = Duration::from_millis(1500);
/// Names looked up at the same time; each may block a thread for as long as the resolver likes.
static LOOKUPS: Semaphore = Semaphore::const_new(32);

/// An open connection. Dropping it closes it, whatever is under way.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    cert: Option<PeerCert>,
    task: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A failed exchange on an open connection.
#[derive(Debug)]
pub(crate) struct SendError(hyper::Error);

impl SendError {
    /// Whether the other side had closed the connection before it read the request.
    pub(crate) fn is_stale(&self) -> bool {
        let error = &self.0;
        error.is_canceled()
            || error.is_closed()
            || error.is_incomplete_message()
            || io_kind(error).is_some()
    }
}

impl From<SendError> for CallError {
    fn from(SendError(error): SendError) -> Self {
        if error.is_parse_too_large() {
            Self::TooLarge
        } else if error.is_parse() {
            Self::Malformed
        } else {
            Self::Unreachable
        }
    }
}

impl Connection {
    pub(crate) const fn cert(&self) -> Option<PeerCert> {
        self.cert
    }

    /// Whether a request can be sent at once.
    pub(crate) fn is_usable(&self) -> bool {
        self.sender.is_ready() && !self.task.is_finished()
    }

    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, SendError> {
        self.sender.send_request(request).await.map_err(SendError)
    }
}

/// Opens a connection to `addr`, over TLS if there is a configuration for it.
pub(crate) async fn open(
    addr: &HostAddr,
    tls: Option<Arc<ClientConfig>>,
) -> Result<Connection, CallError> {
    let stream = dial(resolve(addr).await?).await?;
    let _ = stream.set_nodelay(true);
    let Some(config) = tls else {
        return speak(stream, None).await;
    };
    let name = tls::server_name(addr.host.as_str());
    let stream = TlsConnector::from(config)
        .connect(name, stream)
        .await
        .map_err(|error| tls_error(&error))?;
    let certificates = stream.get_ref().1.peer_certificates();
    let cert = certificates
        .and_then(|chain| chain.first())
        .map(tls::peer_cert);
    speak(stream, cert).await
}

async fn resolve(addr: &HostAddr) -> Result<Vec<SocketAddr>, CallError> {
    if let Some(ip) = addr.ip() {
        return Ok(vec![SocketAddr::new(ip, addr.port)]);
    }
    let permit = LOOKUPS
        .acquire()
        .await
        .map_err(|_| CallError::Unreachable)?;
    let host = addr.host.as_str().to_owned();
    let port = addr.port;
    // The permit goes along: the thread stays busy even if nobody waits for it any more.
    let lookup = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let found = (host.as_str(), port).to_socket_addrs();
        found.map(|addrs| addrs.take(ADDRESSES_MAX).collect::<Vec<_>>())
    });
    match lookup.await {
        Ok(Ok(addrs)) if !addrs.is_empty() => Ok(addrs),
        Ok(_) | Err(_) => Err(CallError::Unreachable),
    }
}

/// The first address that answers.
async fn dial(addrs: Vec<SocketAddr>) -> Result<TcpStream, CallError> {
    let mut worst = CallError::Unreachable;
    let last = addrs.len().saturating_sub(1);
    for (n, addr) in addrs.into_iter().enumerate() {
        let attempt = TcpStream::connect(addr);
        let result = if n == last {
            Ok(attempt.await)
        } else {
            tokio::time::timeout(ATTEMPT_MAX, attempt).await
        };
        match result {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                worst = CallError::Refused;
            }
            Ok(Err(_)) | Err(_) => {}
        }
    }
    Err(worst)
}

async fn speak<S>(stream: S, cert: Option<PeerCert>) -> Result<Connection, CallError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(HEADER_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|_| CallError::Unreachable)?;
    let task = tokio::spawn(async move {
        // What goes wrong here is told to whoever sends.
        let _ = connection.await;
    });
    Ok(Connection { sender, cert, task })
}

fn tls_error(error: &io::Error) -> CallError {
    match error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    {
        Some(error) if tls::is_mismatch(error) => CallError::IdentityMismatch,
        // Not TLS, or none that we share.
        Some(_) => CallError::Malformed,
        None => CallError::Unreachable,
    }
}

fn io_kind(error: &hyper::Error) -> Option<io::ErrorKind> {
    use std::error::Error as _;
    error
        .source()?
        .downcast_ref::<io::Error>()
        .map(io::Error::kind)
}

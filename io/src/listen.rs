//! Sockets, connections and their limits.
//!
//! A caller can cost no more than a connection, and a connection no more than a bounded header, a
//! bounded body and a bounded wait: for the handshake, for the next request, for a body that comes,
//! for an answer that is taken.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use peerage_core::Listener;
use peerage_core::limits::HEADER_BYTES_MAX;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::inbound::{FarEnd, Inbound};
use crate::tls;

/// How long a connection may be silent between requests, and a header may take. Source: the warp
/// server under Chainweb.
const IDLE_MAX: Duration = Duration::from_secs(30);
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How long a client may take over its answer in any case; beyond, each byte taken buys time.
const WRITE_STALL_MAX: Duration = Duration::from_secs(30);
/// The slowest pace at which an answer may be taken.
const BYTES_PER_SEC_MIN: u64 = 8 * 1024;
/// A pause after the operating system refused a connection, most likely for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How many connections a listener takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// In all.
    pub connections_max: usize,
    /// From one address; loopback is not counted.
    pub per_address_max: usize,
}

/// One listener.
pub(crate) struct Door {
    pub(crate) listener: Listener,
    pub(crate) socket: TcpListener,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) limits: ConnectionLimits,
    pub(crate) inbound: Arc<Inbound>,
    /// Turns true when the node drains.
    pub(crate) draining: watch::Receiver<bool>,
}

impl Door {
    /// Takes connections until the node drains; returns once the last one is over.
    pub(crate) async fn run(mut self) {
        let places = Arc::new(Semaphore::new(self.limits.connections_max));
        let addresses = Arc::new(Addresses::default());
        let mut tasks = tokio::task::JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                _ = self.draining.wait_for(|draining| *draining) => break,
                Some(_) = tasks.join_next() => continue,
            };
            let (stream, addr) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    if !is_of_connection(&error) {
                        tracing::warn!(%error, "cannot take a connection");
                        sleep(ACCEPT_PAUSE).await;
                    }
                    continue;
                }
            };
            let Some(place) = self.admit(&places, &addresses, addr) else {
                self.inbound.driver.metrics.turned_away(self.listener);
                continue;
            };
            tasks.spawn(self.connection(stream, addr, place));
        }
        drop(self.socket);
        while tasks.join_next().await.is_some() {}
    }

    fn admit(
        &self,
        places: &Arc<Semaphore>,
        addresses: &Arc<Addresses>,
        addr: SocketAddr,
    ) -> Option<Place> {
        let permit = places.clone().try_acquire_owned().ok()?;
        let ip = addr.ip().to_canonical();
        let counted = !ip.is_loopback();
        if counted && !addresses.enter(ip, self.limits.per_address_max) {
            return None;
        }
        let address = counted.then(|| (addresses.clone(), ip));
        self.inbound.driver.metrics.opened(self.listener);
        let inbound = self.inbound.clone();
        Some(Place {
            _permit: permit,
            address,
            inbound,
            listener: self.listener,
        })
    }

    fn connection(
        &self,
        stream: TcpStream,
        addr: SocketAddr,
        place: Place,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (tls, listener) = (self.tls.clone(), self.listener);
        let (inbound, mut draining) = (self.inbound.clone(), self.draining.clone());
        async move {
            let _place = place;
            let _ = stream.set_nodelay(true);
            let Some(acceptor) = tls else {
                let far = FarEnd::new(addr, listener, None);
                return serve(stream, far, inbound, draining).await;
            };
            let shaken = tokio::select! {
                shaken = timeout(HANDSHAKE_MAX, acceptor.accept(stream)) => shaken,
                // Nothing is owed to a caller that has not asked.
                _ = draining.wait_for(|draining| *draining) => return,
            };
            // A caller that cannot do TLS is no business of the log.
            let Ok(Ok(stream)) = shaken else { return };
            let certificates = stream.get_ref().1.peer_certificates();
            let cert = certificates
                .and_then(|chain| chain.first())
                .map(tls::peer_cert);
            let far = FarEnd::new(addr, listener, cert);
            serve(stream, far, inbound, draining).await;
        }
    }
}

/// Errors of `accept` that are about the connection it would have given.
fn is_of_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    far: FarEnd,
    inbound: Arc<Inbound>,
    mut draining: watch::Receiver<bool>,
) {
    let pulse = Pulse::default();
    let service = service_fn(|request| async {
        let _busy = pulse.begin();
        inbound.serve(&far, request).await
    });
    let connection = http1::Builder::new()
        .max_header_size(HEADER_BYTES_MAX)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(Patient::new(stream, &pulse)), service);
    let mut connection = pin!(connection);
    tokio::select! {
        // Errors are the caller's: it hung up, or did not speak HTTP.
        _ = connection.as_mut() => return,
        () = pulse.idle() => return,
        _ = draining.wait_for(|draining| *draining) => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        _ = connection => {}
        () = pulse.rest() => {}
    }
}

/// What a connection is doing, looked at now and then: one timer for all its requests.
#[derive(Debug, Default)]
struct Pulse {
    /// A request is being answered.
    busy: AtomicBool,
    /// An answer waits to be taken.
    writing: AtomicBool,
    /// Grows with every answer.
    beats: AtomicU64,
}

impl Pulse {
    fn begin(&self) -> Busy<'_> {
        self.busy.store(true, Relaxed);
        Busy(self)
    }

    /// Ends when there was no whole request for [`IDLE_MAX`].
    async fn idle(&self) {
        let mut silent = Duration::ZERO;
        while silent < IDLE_MAX {
            let before = self.beats.load(Relaxed);
            sleep(LOOK_INTERVAL).await;
            let alive = self.beats.load(Relaxed) != before
                || self.busy.load(Relaxed)
                || self.writing.load(Relaxed);
            silent = if alive {
                Duration::ZERO
            } else {
                silent + LOOK_INTERVAL
            };
        }
    }

    /// Ends when no request is being answered and no answer waits to be taken, or after
    /// [`PARTING_MAX`]: a caller that is in the middle of a header does not keep a node from
    /// stopping, and one in the middle of a body not for long.
    async fn rest(&self) {
        let busy = async {
            while self.busy.load(Relaxed) || self.writing.load(Relaxed) {
                sleep(PARTING_LOOK_INTERVAL).await;
            }
        };
        // An answer that was just given has its moment to be written.
        sleep(PARTING_LOOK_INTERVAL).await;
        let _ = timeout(PARTING_MAX, busy).await;
    }
}

/// A request being answered, for as long as it lives.
struct Busy<'a>(&'a Pulse);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.store(false, Relaxed);
        self.0.beats.fetch_add(1, Relaxed);
    }
}

/// How long a request that is under way when the node drains may still take; longer than a probe.
const PARTING_MAX: Duration = Duration::from_secs(5);
const PARTING_LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// How often a connection is looked at; what a silence may be longer than [`IDLE_MAX`].
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// Bytes that a connection buffers before it stops reading; room for a whole header.
const BUFFER_BYTES: usize = 64 * 1024;
const _: () = assert!(BUFFER_BYTES > HEADER_BYTES_MAX);

/// A connection's place among those allowed, given back when it is dropped.
struct Place {
    _permit: OwnedSemaphorePermit,
    address: Option<(Arc<Addresses>, IpAddr)>,
    inbound: Arc<Inbound>,
    listener: Listener,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((addresses, ip)) = &self.address {
            addresses.leave(*ip);
        }
        self.inbound.driver.metrics.closed(self.listener);
    }
}

/// Connections by address.
#[derive(Debug, Default)]
struct Addresses(Mutex<HashMap<IpAddr, usize>>);

impl Addresses {
    fn enter(&self, ip: IpAddr, max: usize) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(ip).or_default();
        if *count >= max {
            return false;
        }
        *count += 1;
        true
    }

    fn leave(&self, ip: IpAddr) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&ip);
            }
        }
    }
}

/// A stream whose far end must take what there is to take, at a bearable pace.
struct Patient<'a, S> {
    stream: S,
    /// Set while something is left to be taken.
    stalled: Option<Pin<Box<Sleep>>>,
    pulse: &'a Pulse,
}

impl<'a, S> Patient<'a, S> {
    const fn new(stream: S, pulse: &'a Pulse) -> Self {
        Self {
            stream,
            stalled: None,
            pulse,
        }
    }

    /// Starts the clock when a write has to wait; every byte taken buys a little more time.
    fn watch(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match (&result, &mut self.stalled) {
            (Poll::Ready(Ok(len)), Some(stalled)) => {
                let bought = Duration::from_millis(*len as u64 * 1000 / BYTES_PER_SEC_MIN);
                let deadline = stalled.deadline() + bought;
                stalled.as_mut().reset(deadline);
                result
            }
            (Poll::Ready(_), _) => result,
            (Poll::Pending, _) => self.wait(cx).map(Err),
        }
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.pulse.writing.store(true, Relaxed);
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(sleep(WRITE_STALL_MAX)));
        let late = stalled.as_mut().poll(cx);
        late.map(|()| io::ErrorKind::TimedOut.into())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<'_, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<'_, S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch(cx, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Pending => self.wait(cx).map(Err),
            ready => {
                if self.stalled.take().is_some() {
                    self.pulse.writing.store(false, Relaxed);
                }
                ready
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_shutdown(cx) {
            Poll::Pending => self.wait(cx).map(Err),
            ready => ready,
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch(cx, result)
    }
}

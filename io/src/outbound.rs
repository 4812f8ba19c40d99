//! Calls to other nodes: a small pool of connections per host, and an end to every wait.
//!
//! The node owns every deadline; here is one generous safety net. Whatever a hostile server does,
//! it costs at most a connection, a bounded header, and a body out of a shared budget.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, LOCATION};
use http::{HeaderValue, Request as HttpRequest, Response as HttpResponse, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use peerage_core::commons::address::{HostAddr, Hostname};
use peerage_core::http::headers::{DECLARED_VERSION, X_CHAINWEB_NODE_VERSION};
use peerage_core::http::{Outgoing, Site};
use peerage_core::limits::REDIRECTS_MAX;
use peerage_core::{
    Answer, CallError, CallId, Endpoint, Input, Part, PeerCert, Request, Response, Trust,
    VersionHeader, Via,
};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

use crate::body::{self, BodyError, Budget};
use crate::connect::{self, Connection};
use crate::driver::Driver;
use crate::tls;

/// Connections to one host. Source: Chainweb's connection manager.
const PER_HOST_MAX: usize = 5;
/// How long a connection may be idle. Servers close theirs after thirty seconds.
const IDLE_MAX: Duration = Duration::from_secs(20);
/// How often idle connections are looked through.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);
/// The safety net under the node's own deadlines.
const CALL_MAX: Duration = Duration::from_secs(60);

/// The client's half of a node.
pub(crate) struct Outbound {
    shared: Arc<Shared>,
    runtime: Handle,
    /// Calls under way, by [`CallId::as_u64`].
    calls: Arc<Mutex<HashMap<u64, AbortHandle>>>,
    driver: Weak<Driver>,
}

struct Shared {
    site: Site,
    tls: tls::Client,
    hosts: Mutex<HashMap<HostAddr, Arc<Host>>>,
    /// Connections in all.
    connections: Arc<Semaphore>,
    budget: Budget,
}

/// What is open to one host.
#[derive(Default)]
struct Host {
    idle: Mutex<Vec<Idle>>,
    permits: Permits,
}

struct Permits(Arc<Semaphore>);

impl Default for Permits {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(PER_HOST_MAX)))
    }
}

struct Idle {
    kind: Kind,
    connection: Connection,
    since: Instant,
}

/// What a connection was made over; only calls of the same kind may use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    Tls(Trust),
}

impl Outbound {
    pub(crate) fn new(
        site: Site,
        tls: tls::Client,
        connections_max: usize,
        driver: Weak<Driver>,
    ) -> Self {
        let shared = Arc::new(Shared {
            site,
            tls,
            hosts: Mutex::default(),
            connections: Arc::new(Semaphore::new(connections_max)),
            budget: Budget::new(),
        });
        let runtime = Handle::current();
        runtime.spawn(sweep(Arc::downgrade(&shared)));
        Self {
            shared,
            runtime,
            calls: Arc::default(),
            driver,
        }
    }

    /// Starts a call; its end is reported to the driver.
    pub(crate) fn call(&self, id: CallId, to: Arc<Endpoint>, request: Request) {
        let (shared, calls, driver) =
            (self.shared.clone(), self.calls.clone(), self.driver.clone());
        // Held over the spawn, so that a call that ends at once finds its own entry.
        let mut entries = lock(&self.calls);
        let task = self.runtime.spawn(async move {
            let call = shared.run(&to, &request);
            let result = tokio::time::timeout(CALL_MAX, call).await;
            let result = result.unwrap_or(Err(CallError::Timeout));
            lock(&calls).remove(&id.as_u64());
            if let Some(driver) = driver.upgrade() {
                driver.feed([Input::Reply { id, result }]);
            }
        });
        entries.insert(id.as_u64(), task.abort_handle());
    }

    /// Stops a call that nobody waits for; its connection is closed.
    pub(crate) fn abandon(&self, id: CallId) {
        if let Some(task) = lock(&self.calls).remove(&id.as_u64()) {
            task.abort();
        }
    }

    /// Stops all calls.
    pub(crate) fn stop(&self) {
        for (_, task) in lock(&self.calls).drain() {
            task.abort();
        }
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    async fn run(&self, to: &Endpoint, request: &Request) -> Result<Answer, CallError> {
        let outgoing = request.encode(&self.site);
        match to.via {
            Via::Plain => self.exchange(Kind::Plain, to, request, &outgoing).await,
            Via::Tls => {
                self.exchange(Kind::Tls(to.trust), to, request, &outgoing)
                    .await
            }
            Via::TlsThenPlain => {
                match self
                    .exchange(Kind::Tls(to.trust), to, request, &outgoing)
                    .await
                {
                    // Some plain servers answer a TLS greeting with text, some hang up on it.
                    Err(CallError::Malformed | CallError::Unreachable) => {
                        self.exchange(Kind::Plain, to, request, &outgoing).await
                    }
                    result => result,
                }
            }
        }
    }

    async fn exchange(
        &self,
        kind: Kind,
        to: &Endpoint,
        request: &Request,
        outgoing: &Outgoing,
    ) -> Result<Answer, CallError> {
        let mut addr = to.addr.clone();
        let mut target = outgoing.target.clone();
        for _ in 0..=REDIRECTS_MAX {
            let mut lease = self.lease(&addr).await?;
            let response = self
                .send(&mut lease, kind, &addr, &target, outgoing)
                .await?;
            let cert = lease.cert();
            let status = response.status();
            let version = version(&response);
            if to.part == Part::Body {
                let body = body::read_answer(response.into_body(), &self.budget).await;
                let body = body.map_err(|error| match error {
                    BodyError::Broken | BodyError::Slow => CallError::Unreachable,
                    BodyError::Crowded => CallError::Busy,
                    BodyError::TooLarge(_) => CallError::TooLarge,
                })?;
                lease.keep(kind);
                let response = request.decode_response(status.as_u16(), &body);
                return Ok(Answer {
                    response,
                    version,
                    cert,
                });
            }
            let next = redirect(status, &response, &addr);
            // The rest of this answer is of no interest, and neither is its connection.
            drop(response);
            drop(lease);
            match next {
                None => {
                    return Ok(Answer {
                        response: Response::Opaque(status.as_u16()),
                        version,
                        cert,
                    });
                }
                Some(Err(error)) => return Err(error),
                Some(Ok(next)) => (addr, target) = next,
            }
        }
        Err(CallError::Malformed)
    }

    /// A place among the connections to `addr`, and in all.
    async fn lease(&self, addr: &HostAddr) -> Result<Lease, CallError> {
        let host = lock(&self.hosts).entry(addr.clone()).or_default().clone();
        let closed = |_| CallError::Unreachable;
        let of_host = host
            .permits
            .0
            .clone()
            .acquire_owned()
            .await
            .map_err(closed)?;
        let of_all = self
            .connections
            .clone()
            .acquire_owned()
            .await
            .map_err(closed)?;
        Ok(Lease {
            host,
            connection: None,
            _permits: (of_host, of_all),
        })
    }

    /// Sends over a kept connection, or a new one; once more if the kept one turns out stale. All
    /// our requests may be repeated: peers and pending transactions are sets.
    async fn send(
        &self,
        lease: &mut Lease,
        kind: Kind,
        addr: &HostAddr,
        target: &str,
        outgoing: &Outgoing,
    ) -> Result<HttpResponse<Incoming>, CallError> {
        if let Some(kept) = lease.host.take(kind) {
            let connection = lease.connection.insert(kept);
            match connection.send(build(addr, target, outgoing, kind)?).await {
                Err(error) if error.is_stale() => {}
                result => return result.map_err(|error| error.into()),
            }
        }
        lease.host.make_room();
        let tls = match kind {
            Kind::Plain => None,
            Kind::Tls(trust) => Some(self.client_config(trust).await?),
        };
        let mut connection = connect::open(addr, tls).await?;
        // Checked again after the handshake: not every handshake asks the verifier.
        if let Kind::Tls(Trust::Pinned(pin)) = kind
            && connection.cert().is_none_or(|cert| cert.fingerprint != pin)
        {
            return Err(CallError::IdentityMismatch);
        }
        let result = connection.send(build(addr, target, outgoing, kind)?).await;
        lease.connection = Some(connection);
        result.map_err(|error| error.into())
    }

    async fn client_config(&self, trust: Trust) -> Result<Arc<rustls::ClientConfig>, CallError> {
        match trust {
            Trust::Anyone => Ok(self.tls.anyone()),
            Trust::Pinned(pin) => self
                .tls
                .pinned(pin)
                .map_err(|_| CallError::IdentityMismatch),
            // Without authorities nobody can prove anything.
            Trust::Authorities => self.tls.authorities().ok_or(CallError::IdentityMismatch),
        }
    }
}

/// A place among the connections to a host, with the connection once there is one.
struct Lease {
    host: Arc<Host>,
    connection: Option<Connection>,
    _permits: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

impl Lease {
    fn cert(&self) -> Option<PeerCert> {
        self.connection.as_ref().and_then(Connection::cert)
    }

    /// Gives the connection back for the next call.
    fn keep(self, kind: Kind) {
        if let Some(connection) = self.connection.filter(Connection::is_usable) {
            let idle = Idle {
                kind,
                connection,
                since: Instant::now(),
            };
            lock(&self.host.idle).push(idle);
        }
    }
}

impl Host {
    /// The connection of this kind that was used last, if it still stands.
    fn take(&self, kind: Kind) -> Option<Connection> {
        let mut idle = lock(&self.idle);
        idle.retain(|idle| idle.connection.is_usable() && idle.since.elapsed() < IDLE_MAX);
        let at = idle.iter().rposition(|idle| idle.kind == kind)?;
        Some(idle.remove(at).connection)
    }

    /// Closes the oldest idle connection if one more would be too many.
    fn make_room(&self) {
        let in_use = PER_HOST_MAX - self.permits.0.available_permits().min(PER_HOST_MAX);
        let mut idle = lock(&self.idle);
        while !idle.is_empty() && idle.len() + in_use > PER_HOST_MAX {
            idle.remove(0);
        }
    }
}

/// Closes what was idle too long, and forgets hosts without connections.
async fn sweep(shared: Weak<Shared>) {
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        lock(&shared.hosts).retain(|_, host| {
            let mut idle = lock(&host.idle);
            idle.retain(|idle| idle.connection.is_usable() && idle.since.elapsed() < IDLE_MAX);
            !idle.is_empty() || Arc::strong_count(host) > 1
        });
    }
}

fn build(
    addr: &HostAddr,
    target: &str,
    outgoing: &Outgoing,
    kind: Kind,
) -> Result<HttpRequest<Full<Bytes>>, CallError> {
    let default_port = if kind == Kind::Plain { 80 } else { 443 };
    let host = addr.to_string();
    let host = match host.rsplit_once(':') {
        Some((bare, _)) if addr.port == default_port => bare,
        _ => &host,
    };
    let mut request = HttpRequest::new(Full::new(outgoing.body.clone()));
    *request.method_mut() = outgoing.method.clone();
    *request.uri_mut() = target.parse::<Uri>().map_err(|_| CallError::Malformed)?;
    let headers = request.headers_mut();
    headers.insert(
        HOST,
        HeaderValue::from_str(host).map_err(|_| CallError::Malformed)?,
    );
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(X_CHAINWEB_NODE_VERSION, DECLARED_VERSION);
    if outgoing.json {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    Ok(request)
}

fn version(response: &HttpResponse<Incoming>) -> VersionHeader {
    match response.headers().get(X_CHAINWEB_NODE_VERSION) {
        None => VersionHeader::Missing,
        Some(value) => match value.to_str().ok().and_then(|text| text.parse().ok()) {
            Some(version) => VersionHeader::Declared(version),
            None => VersionHeader::Unreadable,
        },
    }
}

/// Where a redirect leads. It must stay on HTTPS.
fn redirect(
    status: StatusCode,
    response: &HttpResponse<Incoming>,
    from: &HostAddr,
) -> Option<Result<(HostAddr, String), CallError>> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers().get(LOCATION)?.to_str().ok();
    let Some(uri) = location.and_then(|text| text.parse::<Uri>().ok()) else {
        return Some(Err(CallError::Malformed));
    };
    let target = uri
        .path_and_query()
        .map_or_else(|| "/".to_owned(), ToString::to_string);
    if !target.starts_with('/') {
        return Some(Err(CallError::Malformed));
    }
    let addr = match (uri.scheme_str(), uri.host()) {
        (None, None) => Some(from.clone()),
        (Some("https"), Some(host)) => {
            let port = uri.port_u16().unwrap_or(443);
            match host.strip_prefix('[') {
                Some(_) => format!("{host}:{port}").parse().ok(),
                None => Hostname::new(host)
                    .ok()
                    .map(|host| HostAddr::new(host, port)),
            }
        }
        _ => None,
    };
    Some(addr.map(|addr| (addr, target)).ok_or(CallError::Malformed))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

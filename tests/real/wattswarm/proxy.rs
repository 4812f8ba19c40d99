//! A bad line between two listeners: it drops, delays, cuts and repeats connections.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A port that leads to another one.
pub(super) struct Proxy {
    pub(super) addr: SocketAddr,
    line: Arc<Line>,
}

struct Line {
    to: OnceLock<SocketAddr>,
    /// Whether the line is bad. Connections from before a change of it are over.
    bad: watch::Sender<bool>,
    connections: AtomicUsize,
    spoiled: AtomicUsize,
}

/// What becomes of a connection, by its number: every kind comes once in six.
enum Fate {
    /// It passes, and ends after so many bytes of the answer.
    CutAnswer(usize),
    /// It passes, and ends after so many bytes of the request.
    CutRequest(usize),
    /// Every piece is late.
    Delayed(Duration),
    Dropped,
    Passed,
    /// What the caller says is said a second time, on another connection.
    Repeated,
}

impl Proxy {
    pub(super) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let line = Arc::new(Line {
            to: OnceLock::new(),
            bad: watch::Sender::new(false),
            connections: AtomicUsize::new(0),
            spoiled: AtomicUsize::new(0),
        });
        let accepting = line.clone();
        tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().carry(caller));
            }
        });
        Self { addr, line }
    }

    pub(super) fn leads_to(&self, addr: SocketAddr) {
        self.line.to.set(addr).expect("it leads to one place");
    }

    /// From now on the line is bad, or good again. Nodes keep connections, so those that are open end
    /// at this moment.
    pub(super) fn is_bad(&self, bad: bool) {
        self.line.bad.send_replace(bad);
    }

    /// Connections that were not simply passed.
    pub(super) fn spoiled(&self) -> usize {
        self.line.spoiled.load(Relaxed)
    }
}

impl Line {
    fn fate(&self) -> Fate {
        if !*self.bad.borrow() {
            return Fate::Passed;
        }
        let number = self.connections.fetch_add(1, Relaxed);
        self.spoiled.fetch_add(1, Relaxed);
        // A handshake is some two thousand bytes each way: some cuts are in it, most behind it.
        let bytes = 700 + number * 1_931 % 9_000;
        match number % 6 {
            0 => Fate::CutAnswer(bytes),
            1 => Fate::Repeated,
            2 => Fate::CutRequest(bytes),
            3 => Fate::Delayed(Duration::from_millis(40)),
            4 => Fate::CutAnswer(bytes),
            _ => Fate::Dropped,
        }
    }

    async fn carry(self: Arc<Self>, caller: TcpStream) {
        let Some(to) = self.to.get().copied() else {
            return;
        };
        let mut weather = self.bad.subscribe();
        let fate = self.fate();
        if matches!(fate, Fate::Dropped) {
            return;
        }
        let Ok(callee) = TcpStream::connect(to).await else {
            return;
        };
        let echo = if matches!(fate, Fate::Repeated) {
            TcpStream::connect(to).await.ok()
        } else {
            None
        };
        let (delay, request, answer) = match fate {
            Fate::CutAnswer(bytes) => (Duration::ZERO, usize::MAX, bytes),
            Fate::CutRequest(bytes) => (Duration::ZERO, bytes, usize::MAX),
            Fate::Delayed(delay) => (delay, 60_000, usize::MAX),
            Fate::Repeated => (Duration::ZERO, 20_000, usize::MAX),
            Fate::Dropped | Fate::Passed => (Duration::ZERO, usize::MAX, usize::MAX),
        };
        let (from_caller, to_caller) = caller.into_split();
        let (from_callee, to_callee) = callee.into_split();
        // Whichever way ends first, the whole connection is over.
        tokio::select! {
            _ = weather.changed() => {}
            () = pour(from_caller, to_callee, echo, request, delay) => {}
            () = pour(from_callee, to_caller, None, answer, delay) => {}
        }
    }
}

/// Copies until either end closes or `limit` bytes have passed.
async fn pour(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut echo: Option<TcpStream>,
    mut limit: usize,
    delay: Duration,
) {
    let mut buffer = vec![0; 4_096];
    while let Ok(read) = from.read(&mut buffer).await {
        let piece = &buffer[..read.min(limit)];
        limit -= piece.len();
        if delay > Duration::ZERO {
            tokio::time::sleep(delay).await;
        }
        if let Some(echo) = &mut echo {
            let _ = echo.write_all(piece).await;
        }
        if read == 0 || to.write_all(piece).await.is_err() || limit == 0 {
            return;
        }
    }
}

//! Who asks.

use peerage_core::ids::{Fingerprint, PublicKey};
use peerage_core::{Caller, Listener, PeerCert};

/// A caller: a socket address, the listener it came through, and the certificate it showed.
#[derive(Clone, Debug)]
pub struct Client(pub(crate) Caller);

impl Client {
    /// An operator on the API listener, from `127.0.0.1:50000`.
    #[must_use]
    pub fn operator() -> Self {
        Self::new("127.0.0.1:50000", Listener::Api)
    }

    /// An operator on the API listener, from elsewhere.
    #[must_use]
    pub fn operator_at(addr: &str) -> Self {
        Self::new(addr, Listener::Api)
    }

    /// Somebody on the P2P listener who shows no certificate.
    #[must_use]
    pub fn stranger(addr: &str) -> Self {
        Self::new(addr, Listener::P2p)
    }

    /// A node on the P2P listener with this certificate.
    #[must_use]
    pub fn node(addr: &str, fingerprint: Fingerprint, key: Option<PublicKey>) -> Self {
        let mut client = Self::stranger(addr);
        client.0.cert = Some(PeerCert { fingerprint, key });
        client
    }

    fn new(addr: &str, listener: Listener) -> Self {
        Self(Caller {
            addr: addr.parse().expect("a socket address"),
            listener,
            authorization: None,
            cert: None,
        })
    }
}

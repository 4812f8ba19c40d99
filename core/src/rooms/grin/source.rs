//! Where a block or a transaction comes from.

use std::sync::Arc;

use crate::commons::address::HostAddr;
use crate::input::{Caller, PeerCert};

/// Where something comes from, which decides who pays for what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The operator's file.
    Import,
    /// An operator's client.
    Operator,
    /// This node itself.
    Own,
    /// Another node.
    Peer(Arc<Who>),
}

/// Another node, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// Where it is called, or else from where it called.
    pub addr: HostAddr,
    /// What it has proved.
    pub cert: Option<PeerCert>,
}

impl Who {
    /// Whoever calls, at the address where it is linked or else at that of its socket.
    pub(super) fn calling(from: &Caller, linked: Option<HostAddr>) -> Self {
        Self {
            addr: linked.unwrap_or_else(|| from.addr.into()),
            cert: from.cert,
        }
    }
}

impl Source {
    /// Another node, met at `addr`.
    pub(super) fn at(addr: HostAddr, cert: Option<PeerCert>) -> Self {
        Self::Peer(Arc::new(Who { addr, cert }))
    }

    /// The other node, if there is one.
    pub(super) fn peer(&self) -> Option<&Who> {
        match self {
            Self::Peer(who) => Some(who),
            Self::Import | Self::Operator | Self::Own => None,
        }
    }
}

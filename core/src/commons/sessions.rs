//! With whom we are in touch: one entry per running session, whatever its work.

use core::fmt;

use crate::commons::address::HostAddr;
use crate::commons::network::NetworkId;
use crate::commons::peers::PeerKey;
use crate::slots::{Slot, Slots};

/// Names a session; never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(Slot);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0.as_u64())
    }
}

/// A session with one peer on one network.
#[derive(Clone, Debug)]
pub struct Session {
    /// The network it is for.
    pub network: NetworkId,
    /// Where the peer is.
    pub addr: HostAddr,
    /// The peer's entry, while it lasts.
    pub peer: PeerKey,
    /// Whether the peer was synchronised with, so that the session's work runs.
    pub open: bool,
}

/// All running sessions.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    slots: Slots<Session>,
}

impl Sessions {
    /// Begins a session.
    pub(crate) fn begin(&mut self, session: Session) -> SessionId {
        SessionId(self.slots.insert(session))
    }

    /// The session `id`, while it runs.
    #[must_use]
    pub fn get(&self, id: SessionId) -> Option<&Session> {
        self.slots.get(id.0)
    }

    pub(crate) fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.slots.get_mut(id.0)
    }

    /// Ends a session.
    pub(crate) fn end(&mut self, id: SessionId) -> Option<Session> {
        self.slots.remove(id.0)
    }

    /// All sessions.
    pub fn iter(&self) -> impl Iterator<Item = &Session> {
        self.slots.iter()
    }

    /// How many sessions run.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether none runs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

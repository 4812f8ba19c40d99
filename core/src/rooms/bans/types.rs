//! What the ban endpoints are asked and answer.

use crate::calls::Charge;
use crate::commons::address::HostAddr;
use crate::event::events;
use crate::rows::{Record, RowError};

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// Whom it is about. The port matters on loopback only.
    pub addr: HostAddr,
    /// What to do.
    pub command: Command,
}

/// What an operator can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Have nothing to do with the peer, for the ban window.
    Ban,
    /// Forgive it.
    Unban,
}

impl Request {
    /// Nothing that is worth counting.
    pub(crate) const fn byte_size(&self) -> usize {
        0
    }

    /// What is asked, as a word.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self.command {
            Command::Ban => "ban",
            Command::Unban => "unban",
        }
    }

    /// Stock Chainweb nodes do not have this endpoint.
    #[must_use]
    pub const fn charge(&self) -> Option<Charge> {
        None
    }

    /// Nodes read all answers again.
    #[must_use]
    pub const fn answer_is_read(&self) -> bool {
        true
    }
}

/// What can be answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Response {
    /// The list holds no more.
    BansFull,
    /// It is so.
    Done,
    /// The peer is not banned.
    NotBanned,
    /// The caller has not shown the secret that the node API asks for.
    Unauthorized,
    /// Nobody of that address is known.
    UnknownToBan(HostAddr),
    /// Nobody of that address is known or banned.
    UnknownToUnban(HostAddr),
}

impl Response {
    /// Nothing that is worth counting.
    pub(crate) const fn byte_size(&self) -> usize {
        0
    }

    /// The status under which the answer goes out.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Done => 200,
            Self::Unauthorized => 401,
            Self::BansFull => 503,
            Self::NotBanned | Self::UnknownToBan(_) | Self::UnknownToUnban(_) => 500,
        }
    }
}

/// The room calls nobody.
#[derive(Clone, Debug)]
pub enum Then {}

/// The room never wakes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {}

/// The room has no rows: bans are the commons'.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Row {}

impl Row {
    /// The room owns no table; an empty range.
    #[expect(clippy::reversed_empty_ranges, reason = "no tag is ours")]
    pub const TABLES: core::ops::RangeInclusive<u8> = 1..=0;
}

impl Record for Row {
    fn key(&self) -> Vec<u8> {
        match *self {}
    }

    fn value(&self) -> Option<Vec<u8>> {
        match *self {}
    }

    fn deletes(&self) -> bool {
        match *self {}
    }

    fn lazy(&self) -> bool {
        match *self {}
    }

    fn decode(key: &[u8], _: &[u8]) -> Result<Self, RowError> {
        Err(RowError::UnknownTable {
            table: key.first().copied().unwrap_or(0),
        })
    }
}

events! {
    /// The room's doings are the node's events.
    pub enum Event {}
}

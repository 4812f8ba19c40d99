//! Why handshakes are refused, and what the side that called makes of what it is told.
//!
//! An operator who hears only that the peer refused does not know what to mend. The other side's
//! reasons are known, for it runs this program; what else somebody answers is not passed on.

use super::failure::{BUSY, Code, FULL, Failure, LAPSED, MISMATCH, handshake};

/// The peer goes by another key here.
pub(super) const ANOTHER_KEY: Failure = handshake("handshake failed: the peer has another key");
/// A ban covers the other node.
pub(super) const BANNED: Failure = handshake("handshake failed: the peer is banned");
/// The other node deleted itself.
pub(super) const DEACTIVATED: Failure = handshake("handshake failed: the peer is deactivated");
/// An operator deleted the other node here, and nobody has added it since.
pub(super) const DELETED: Failure = handshake("handshake failed: the peer was deleted here");
/// Something is not signed by whom it is said to be from.
pub(super) const FORGED: Failure = handshake("handshake failed: invalid signature");
/// This node has left its cluster.
pub(super) const LEFT: Failure = handshake("local peer is deactivated");
/// The hello cannot be understood.
pub(super) const MALFORMED: Failure =
    handshake("handshake failed: malformed or of another version");
/// The hello names somebody else.
pub(super) const MISDIRECTED: Failure = handshake("handshake failed: it is for another peer");
/// The hello is this node's own.
pub(super) const REFLECTED: Failure = handshake("handshake failed: it comes from this peer");
/// The hello was here before.
pub(super) const REPEATED: Failure = handshake("handshake failed: the challenge was used");
/// The other node does not know the shared secret.
pub(super) const SECRET: Failure = handshake("handshake failed: the shared secret does not fit");

/// What the operator of the calling side is told, for what the other side said.
pub(super) fn retold(theirs: &Failure) -> Failure {
    let by_text = theirs.code == Code::HandshakeFailed;
    let fits =
        |known: &Failure| known.code == theirs.code && (!by_text || known.text == theirs.text);
    let known = RETOLD.iter().find(|(known, _)| fits(known));
    known.map_or(REFUSED, |(_, retold)| retold.clone())
}

const REFUSED: Failure = handshake("handshake failed: the peer refused");

const RETOLD: &[(Failure, Failure)] = &[
    (
        ANOTHER_KEY,
        handshake("handshake failed: the peer knows this one under another key"),
    ),
    (
        BANNED,
        handshake("handshake failed: the peer has banned this one"),
    ),
    (
        BUSY,
        handshake("handshake failed: too much is under way at the peer; try again"),
    ),
    (
        DEACTIVATED,
        handshake("handshake failed: to the peer this one is deactivated"),
    ),
    (
        DELETED,
        handshake("handshake failed: this one was deleted at the peer"),
    ),
    (FORGED, FORGED),
    (FULL, FULL),
    (
        LAPSED,
        handshake("handshake failed: the peer's license has expired"),
    ),
    (LEFT, DEACTIVATED),
    (MALFORMED, MALFORMED),
    (
        MISDIRECTED,
        handshake("handshake failed: another peer answered"),
    ),
    (MISMATCH, MISMATCH),
    (
        REFLECTED,
        handshake("handshake failed: the peer has the id or the key of this one"),
    ),
    (REPEATED, REPEATED),
    (SECRET, SECRET),
];

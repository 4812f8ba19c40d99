//! What a driver tells the node.

use core::fmt;
use core::net::SocketAddr;

use crate::commons::network::NodeVersion;
use crate::gate::CommitSeq;
use crate::ids::{Fingerprint, PublicKey};
use crate::rooms::{Request, Response};
use crate::slots::Slot;
use crate::verify::Verdict;

/// Everything that can happen to a node.
#[derive(Clone, Debug)]
pub enum Input {
    /// A request arrived. The driver chose `id`; the node answers it exactly once.
    Request {
        /// Names the request until it is answered.
        id: RequestId,
        /// Who asks.
        from: Caller,
        /// What is asked.
        request: Request,
    },
    /// Whoever asked `id` has gone. The answer, if still owed, is dropped.
    Hangup {
        /// The request that nobody waits for.
        id: RequestId,
    },
    /// A call ended, with an answer or with the reason there is none.
    Reply {
        /// The call, as [`crate::Output::Call`] named it.
        id: CallId,
        /// What came of it.
        result: Result<Answer, CallError>,
    },
    /// A verification ended.
    Verdict {
        /// The job, as [`crate::Output::Verify`] named it.
        id: VerifyId,
        /// What it found.
        verdict: Verdict,
    },
    /// Every commit up to and including `upto` is on stable storage.
    Persisted {
        /// The newest durable commit.
        upto: CommitSeq,
    },
    /// The instant given by [`crate::Node::poll_timeout`] has come.
    Tick,
    /// Take no new requests; let what is owed finish.
    Drain,
}

/// A request's name, chosen by the driver. May be reused after it was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// A call's name: a slot and a generation, so that a late reply meets nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub(crate) Slot);

impl CallId {
    /// The name as one number, for a driver's tables and traces.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0.as_u64()
    }
}

/// A verification's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerifyId(pub(crate) Slot);

impl VerifyId {
    /// The name as one number, for a driver's tables and traces.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0.as_u64()
    }
}

/// Which of the two listeners took a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Listener {
    /// Plain HTTP for operators and their clients.
    Api,
    /// TLS for other nodes.
    P2p,
}

/// Who asks.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The socket's far end.
    pub addr: SocketAddr,
    /// The listener that took the connection.
    pub listener: Listener,
    /// The `Authorization` header. Never shown.
    pub authorization: Option<Secret>,
    /// The certificate that the TLS handshake proved.
    pub cert: Option<PeerCert>,
}

/// What a certificate says about its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerCert {
    /// SHA-256 of the DER bytes.
    pub fingerprint: Fingerprint,
    /// There when the certificate carries an Ed25519 key; in hex it is the node id.
    pub key: Option<PublicKey>,
}

/// Text that must not reach a log or a trace.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What came back from a call.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The decoded answer; [`Response::Opaque`] if it was not one we understand, or if only the
    /// head was asked for.
    pub response: Response,
    /// The `x-chainweb-node-version` header, as far as it could be read.
    pub version: VersionHeader,
    /// The certificate that the other side proved.
    pub cert: Option<PeerCert>,
}

/// The version an answer declared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum VersionHeader {
    /// A version.
    Declared(NodeVersion),
    /// No such header.
    #[default]
    Missing,
    /// A header that is not a version.
    Unreadable,
}

/// Why a call has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum CallError {
    /// Too many calls are under way, to this peer or in all.
    #[error("TooManyCalls")]
    Busy,
    /// The certificate is not the one expected.
    #[error("CertificateMismatch")]
    IdentityMismatch,
    /// Not HTTP, or a broken body.
    #[error("InvalidResponse")]
    Malformed,
    /// Nobody listens there.
    #[error("ConnectionRefused")]
    Refused,
    /// No answer in time.
    #[error("ConnectionTimeout")]
    Timeout,
    /// The answer is larger than we accept.
    #[error("ResponseTooLarge")]
    TooLarge,
    /// The host cannot be found or reached, or the connection broke.
    #[error("HostUnreachable")]
    Unreachable,
}

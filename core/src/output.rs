//! What the node asks of its driver.

use std::sync::Arc;

use crate::commons::address::HostAddr;
use crate::gate::CommitSeq;
use crate::ids::Fingerprint;
use crate::input::{CallId, RequestId, VerifyId};
use crate::rooms::{Event, Request, Response, Row};
use crate::verify::VerifyJob;

/// Everything a node can want done.
#[derive(Clone, Debug)]
pub enum Output {
    /// Answer request `id`.
    Respond {
        /// The request.
        id: RequestId,
        /// Its answer.
        response: Response,
    },
    /// Send `request` to a peer and report back with [`crate::Input::Reply`].
    Call {
        /// Names the call until it is replied to or abandoned.
        id: CallId,
        /// Whom to ask, and how to know that it is them.
        to: Arc<Endpoint>,
        /// What to ask.
        request: Request,
    },
    /// Nobody waits for call `id` any more; stop it if that is cheap.
    Abandon {
        /// The call.
        id: CallId,
    },
    /// Check signatures or proofs and report back with [`crate::Input::Verdict`].
    Verify {
        /// Names the job until its verdict.
        id: VerifyId,
        /// What to check.
        job: VerifyJob,
    },
    /// Make these rows durable, atomically, in the order of `seq`.
    Commit {
        /// One more than the commit before.
        seq: CommitSeq,
        /// What to write.
        rows: Vec<Row>,
    },
    /// Give back the room that deleted and replaced rows take, once the commits so far are durable.
    /// A driver that cannot may leave it.
    Reclaim,
    /// Worth counting, logging or asserting on. Changes nothing.
    Event(Event),
}

impl Output {
    /// How much memory the output keeps for itself alone, roughly.
    pub(crate) fn byte_size(&self) -> usize {
        let owned = match self {
            Self::Respond { response, .. } => response.byte_size(),
            Self::Call { request, .. } => request.byte_size(),
            Self::Abandon { .. }
            | Self::Commit { .. }
            | Self::Event(_)
            | Self::Reclaim
            | Self::Verify { .. } => 0,
        };
        size_of::<Self>() + owned
    }
}

const _: () = assert!(size_of::<Output>() <= 128, "bulk belongs behind an Arc");

/// Whom to call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where.
    pub addr: HostAddr,
    /// How the other side proves who it is.
    pub trust: Trust,
    /// Over what.
    pub via: Via,
    /// How much of the answer is wanted.
    pub part: Part,
}

/// How the other side of a call proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Any certificate will do; [`crate::Answer::cert`] tells which it was.
    Anyone,
    /// A certificate of a public authority for this host name.
    Authorities,
    /// Exactly this certificate.
    Pinned(Fingerprint),
}

/// What a call travels over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// Plain HTTP.
    Plain,
    /// HTTPS.
    Tls,
    /// HTTPS, and plain HTTP if the other side does not speak TLS.
    TlsThenPlain,
}

/// How much of an answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it. Redirects are answers like any other.
    Body,
    /// Status and headers; the body is not read. Up to ten redirects are followed.
    Head,
}

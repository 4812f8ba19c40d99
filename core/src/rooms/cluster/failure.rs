//! Why a request is refused: the codes of the API's one error envelope, and their statuses.
//!
//! Rule: cluster API, errors.

use core::fmt;
use std::borrow::Cow;

use super::types::Malformed;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:literal;)+) => {
        /// The `code` of an error.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[$doc])* $name),+
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The code as it is written.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text),+
                }
            }

            /// The status that goes with it.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self {
                    $(Self::$name => $status),+
                }
            }
        }
    };
}

codes! {
    /// The node has its licence.
    AlreadyBootstrapped = "ALREADY_BOOTSTRAPPED", 409;
    /// The peer is in the cluster.
    AlreadyExists = "ALREADY_EXISTS", 409;
    /// Too much is under way, or too many credentials are there. Ours.
    Busy = "UNAVAILABLE", 503;
    /// The local peer is not deleted like others.
    CannotDeleteLocal = "CANNOT_DELETE_LOCAL", 422;
    /// The caller would lock itself out.
    CannotRevokeCurrent = "CANNOT_REVOKE_CURRENT", 422;
    /// The token does not allow it.
    Forbidden = "FORBIDDEN", 403;
    /// The other node could not be convinced, or could not convince.
    HandshakeFailed = "HANDSHAKE_FAILED", 422;
    /// The body, the path or the query is malformed.
    InvalidRequest = "INVALID_REQUEST", 400;
    /// The licence has run out.
    LicenceExpired = "LICENSE_EXPIRED", 422;
    /// The licence is not one that we trust.
    LicenceInvalid = "LICENSE_INVALID", 422;
    /// The other node has another licence.
    LicenceMismatch = "LICENSE_MISMATCH", 422;
    /// The path is there, but not for this method. Ours.
    MethodNotAllowed = "METHOD_NOT_ALLOWED", 405;
    /// The licence allows no more nodes.
    NodeLimitExceeded = "NODE_LIMIT_EXCEEDED", 422;
    /// There is no such thing.
    NotFound = "NOT_FOUND", 404;
    /// The body is longer than one that the path reads. Ours.
    PayloadTooLarge = "PAYLOAD_TOO_LARGE", 413;
    /// The token's time is over.
    TokenExpired = "TOKEN_EXPIRED", 401;
    /// No token, or not a good one.
    Unauthorized = "UNAUTHORIZED", 401;
}

/// A refusal.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Failure {
    /// Its kind.
    pub code: Code,
    /// What the caller is told.
    pub text: Cow<'static, str>,
}

impl Failure {
    /// A refusal of this kind with this text.
    #[must_use]
    pub const fn new(code: Code, text: &'static str) -> Self {
        Self {
            code,
            text: Cow::Borrowed(text),
        }
    }

    /// A refusal of this kind whose text names what it is about.
    #[must_use]
    pub const fn told(code: Code, text: String) -> Self {
        Self {
            code,
            text: Cow::Owned(text),
        }
    }

    /// The status that goes with it.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.code.status()
    }
}

impl From<Malformed> for Failure {
    fn from(malformed: Malformed) -> Self {
        Self::new(Code::InvalidRequest, malformed.text())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({:?})", self.code.text(), self.text)
    }
}

/// No token, or one that is not good.
pub const UNAUTHORIZED: Failure = Failure::new(Code::Unauthorized, "unauthorized");
/// A client that did not prove itself. Rule: RFC 6749, 5.2.
pub const INVALID_CLIENT: Failure = Failure::new(Code::Unauthorized, "invalid_client");
/// The token's time is over.
pub const EXPIRED: Failure = Failure::new(Code::TokenExpired, "token expired");
/// The token does not allow it.
pub const FORBIDDEN: Failure = Failure::new(Code::Forbidden, "insufficient scope");
/// There is no such peer.
pub const NO_PEER: Failure = Failure::new(Code::NotFound, "peer not found");
/// Too much is under way.
pub const BUSY: Failure = Failure::new(Code::Busy, "too much is under way; try again");
/// The peer is in the cluster.
pub const EXISTS: Failure = Failure::new(Code::AlreadyExists, "peer already exists in cluster");
/// The licence allows no more nodes.
pub const FULL: Failure = Failure::new(
    Code::NodeLimitExceeded,
    "the license's node limit is reached",
);
/// The licence has run out.
pub const LAPSED: Failure = Failure::new(Code::LicenceExpired, "the license has expired");
/// The other node has another licence.
pub const MISMATCH: Failure =
    Failure::new(Code::LicenceMismatch, "handshake failed: license mismatch");

/// A handshake that failed for this reason.
#[must_use]
pub const fn handshake(text: &'static str) -> Failure {
    Failure::new(Code::HandshakeFailed, text)
}

//! Worth counting: a log line, a metric and a coverage mark in one.

/// Declares an event enum together with the names under which its variants are counted and the
/// sentences in which they are told; a field that its sentence leaves out is a warning.
macro_rules! events {
    ($(#[$meta:meta])* $vis:vis enum $name:ident {
        $($(#[$doc:meta])* $variant:ident $({ $($(#[$fdoc:meta])* $field:ident : $ty:ty),* $(,)? })? = $text:literal, $sentence:literal);* $(;)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        $vis enum $name {
            $($(#[$doc])* $variant $({ $($(#[$fdoc])* $field : $ty),* })?),*
        }

        impl $name {
            /// Every name that [`Self::name`] can give.
            pub const NAMES: &'static [&'static str] = &[$($text),*];

            /// The name under which this event is counted: a metric and a coverage mark.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match *self {
                    $(Self::$variant { .. } => $text),*
                }
            }
        }

        impl core::fmt::Display for $name {
            /// The event as a person reads it.
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                // An enum without variants writes nothing.
                let _ = &*f;
                match *self {
                    $(Self::$variant $({ $(ref $field),* })? => write!(f, $sentence)),*
                }
            }
        }
    };
}
pub(crate) use events;

use crate::commons::address::HostAddr;
use crate::input::CallError;

events! {
    /// What happens to the node as a whole.
    pub enum NodeEvent {
        /// A ban began.
        Banned { /** Whom it covers. */ addr: HostAddr } = "banned", "banned: {addr}";
        /// A ban ran out.
        BanExpired = "ban_expired", "a ban has run out";
        /// A banned caller was refused.
        BannedCallerRefused = "banned_caller_refused", "refused a caller that is banned";
        /// A call ended without an answer.
        CallFailed { /** Who was called. */ to: HostAddr, /** Why there is none. */ error: CallError } = "call_failed", "no answer from {to}: {error}";
        /// A call was put off because the peer allows only so many a second.
        CallPaced = "call_paced", "a call waits: the peer allows only so many a second";
        /// A reply came after its call had ended.
        LateReplyIgnored = "late_reply_ignored", "ignored a reply that came too late";
        /// A request was refused because too much is under way, or the node is about to stop.
        RequestRefused = "request_refused", "refused requests: too much is under way, or the node is stopping";
        /// The node began a run with what was durable.
        Started { /** Peers known from before. */ peers: usize, /** Bans in force. */ bans: usize } = "started", "started with {peers} peers and {bans} bans from before";
        /// An operator lifted a ban.
        Unbanned { /** Whom it covered. */ addr: HostAddr } = "unbanned", "ban lifted: {addr}";
    }
}

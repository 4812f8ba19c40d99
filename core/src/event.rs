//! Worth counting: a log line, a metric and a coverage mark in one.

/// Declares an event enum together with the names under which its variants are counted.
macro_rules! events {
    ($(#[$meta:meta])* $vis:vis enum $name:ident {
        $($(#[$doc:meta])* $variant:ident $({ $($(#[$fdoc:meta])* $field:ident : $ty:ty),* $(,)? })? = $text:literal),* $(,)?
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
    };
}
pub(crate) use events;

use crate::commons::address::HostAddr;
use crate::input::CallError;

events! {
    /// What happens to the node as a whole.
    pub enum NodeEvent {
        /// A ban began.
        Banned { /** Whom it covers. */ addr: HostAddr } = "banned",
        /// A ban ran out.
        BanExpired = "ban_expired",
        /// A banned caller was refused.
        BannedCallerRefused = "banned_caller_refused",
        /// A call ended without an answer.
        CallFailed { /** Who was called. */ to: HostAddr, /** Why there is none. */ error: CallError } = "call_failed",
        /// A call was put off because the peer allows only so many a second.
        CallPaced = "call_paced",
        /// A reply came after its call had ended.
        LateReplyIgnored = "late_reply_ignored",
        /// A request was refused because too much is under way, or the node is about to stop.
        RequestRefused = "request_refused",
        /// The node began a run with what was durable.
        Started { /** Peers known from before. */ peers: usize, /** Bans in force. */ bans: usize } = "started",
        /// An operator lifted a ban.
        Unbanned { /** Whom it covered. */ addr: HostAddr } = "unbanned",
    }
}

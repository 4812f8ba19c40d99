//! Whether users make friends in a run, and how narrow it is for them.

use std::fmt;

use super::{Options, SECOND, Share};
use crate::seed::Luck;

/// What users do to make friends and to talk to them, as weights beside those of [`Work`](super::Work).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Social {
    /// Weight of actions on relationships.
    pub relate: u32,
    /// Weight of direct messages.
    pub message: u32,
    /// Weight of reads of lists, conversations and messages.
    pub converse: u32,
    /// Weight of contact material, asked for and passed on.
    pub introduce: u32,
    /// How many of a million actions name a request with an id of its own.
    pub request_ids: u32,
}

impl Social {
    /// All weights together; zero if nobody makes friends.
    #[must_use]
    pub const fn sum(&self) -> u32 {
        self.relate + self.message + self.converse + self.introduce
    }
}

impl fmt::Display for Social {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            relate,
            message,
            converse,
            introduce,
            request_ids,
        } = self;
        write!(
            f,
            "action on a relationship {relate}, message {message}, read of those {converse}, \
             contact {introduce}; requests with ids: {}",
            Share(*request_ids)
        )
    }
}

/// What waits for a node that was away is tried again after a minute at the latest, at each of its
/// addresses.
const SETTLE: u64 = 300 * SECOND;

impl Options {
    /// Draws whether and how users make friends.
    pub(super) fn befriend(&mut self, luck: &mut Luck, faults: bool) {
        self.work.social = social(luck, self.nodes > 1_000);
        if self.work.social.sum() > 0 {
            self.settle += SETTLE;
            if faults {
                self.cramp(luck);
            }
        }
    }

    /// Tables of friends that are so small that their edges are met, each in some runs only.
    fn cramp(&mut self, luck: &mut Luck) {
        let mut few = |bound: &mut usize, from: u64, to: u64| {
            let drawn = luck.range(from, to) as usize;
            if luck.below(10) == 0 {
                *bound = drawn;
            }
        };
        let limits = &mut self.limits;
        few(&mut limits.contacts_max, 1, 6);
        few(&mut limits.message_bytes_max, 3_000, 30_000);
        few(&mut limits.messages_max, 3, 40);
        few(&mut limits.messages_per_thread_max, 3, 20);
        few(&mut limits.outbox_max, 2, 12);
        few(&mut limits.outbox_per_peer_max, 1, 6);
        few(&mut limits.relationships_max, 1, 8);
        few(&mut limits.requests_per_peer_max, 1, 4);
    }
}

/// Half of all worlds have friends in them.
fn social(luck: &mut Luck, large: bool) -> Social {
    let on = luck.below(2) == 0;
    let mut weight = |most: u64| {
        let drawn = luck.range(1, most) as u32;
        if luck.below(8) == 0 { 0 } else { drawn }
    };
    let drawn = Social {
        relate: 1 + weight(20),
        message: weight(30),
        converse: weight(20),
        introduce: weight(10),
        request_ids: 0,
    };
    let request_ids = luck.range(100_000, 800_000) as u32;
    let request_ids = if luck.below(4) == 0 { request_ids } else { 0 };
    if on && !large {
        Social {
            request_ids,
            ..drawn
        }
    } else {
        Social::default()
    }
}

//! The reference model: which pages of peers are right, and who may be in the table, from what an
//! outsider sees.
//!
//! Written from Chainweb's peer API, not from this room. Whoever comes into the table was told of by
//! somebody and has answered; a page shows the table, never the node itself nor anybody who is
//! banned.

use std::collections::{BTreeMap, BTreeSet};

use super::types::{Refusal, Request, Response};
use crate::commons::address::{HostAddr, PeerInfo};
use crate::http::page::{Cursor, PageQuery};
use crate::limits::{PAGE_DEFAULT, PAGE_MAX};

/// The model of a node's peers.
#[derive(Clone, Debug)]
pub struct Model {
    own: HostAddr,
    /// Everybody of whom the node was ever told, or whom it kept.
    met: BTreeSet<HostAddr>,
    /// Everybody who ever answered well, or who needs no proof.
    vouched: BTreeSet<HostAddr>,
    /// Who is in the table.
    table: BTreeSet<HostAddr>,
    /// Who has left it, with how many had left before.
    left: BTreeMap<HostAddr, u64>,
    leavings: u64,
}

/// A question, and how many had left the table when it came.
#[derive(Clone, Debug)]
pub struct Owed {
    request: Request,
    leavings: u64,
}

impl Model {
    /// The model of a node that starts with these peers of its operator's and these kept ones.
    #[must_use]
    pub fn new(
        own: HostAddr,
        known: impl Iterator<Item = HostAddr>,
        kept: impl Iterator<Item = HostAddr>,
    ) -> Self {
        let known: BTreeSet<HostAddr> = known.collect();
        let table: BTreeSet<HostAddr> = kept.collect();
        Self {
            own,
            met: known.union(&table).cloned().collect(),
            vouched: known,
            table,
            left: BTreeMap::new(),
            leavings: 0,
        }
    }

    /// Somebody told the node of a peer.
    pub fn met(&mut self, addr: &HostAddr) {
        self.met.insert(addr.clone());
    }

    /// A peer has answered well.
    pub fn vouched(&mut self, addr: &HostAddr) {
        self.vouched.insert(addr.clone());
    }

    /// Whether the peer is in the table.
    #[must_use]
    pub fn has(&self, addr: &HostAddr) -> bool {
        self.table.contains(addr)
    }

    /// Whether the address is the node's own.
    #[must_use]
    pub fn is_own(&self, addr: &HostAddr) -> bool {
        *addr == self.own
    }

    /// The node writes a peer, or forgets one.
    ///
    /// # Errors
    /// Why that cannot be.
    pub fn written(&mut self, addr: &HostAddr, present: bool) -> Result<(), String> {
        if !present {
            if self.table.remove(addr) {
                self.leavings += 1;
                self.left.insert(addr.clone(), self.leavings);
            }
            return Ok(());
        }
        let new = self.table.insert(addr.clone());
        if *addr == self.own {
            Err("the node took itself for a peer".to_owned())
        } else if new && !self.met.contains(addr) {
            Err(format!("{addr} was taken, of whom nobody told"))
        } else if new && !self.vouched.contains(addr) {
            Err(format!("{addr} was taken, who never answered well"))
        } else {
            Ok(())
        }
    }

    /// The node is asked. Tells what it owes.
    #[must_use]
    pub fn asked(&self, request: &Request) -> Owed {
        Owed {
            request: request.clone(),
            leavings: self.leavings,
        }
    }

    /// The node answers. `banned` tells who was surely banned when it was asked, `still` whether
    /// that has not changed.
    ///
    /// # Errors
    /// What is wrong with the answer.
    pub fn answered(
        &self,
        owed: &Owed,
        banned: &dyn Fn(&PeerInfo) -> bool,
        still: bool,
        response: &Response,
    ) -> Result<(), String> {
        match (&owed.request, response) {
            (Request::Page { query, .. }, Response::Page(page)) => {
                let items: Vec<&HostAddr> = page.items.iter().map(|peer| &peer.address).collect();
                self.page(query, &items, page.next)?;
                let there = |addr: &HostAddr| {
                    self.table.contains(addr)
                        || (self.left.get(addr)).is_some_and(|when| *when > owed.leavings)
                };
                if let Some(addr) = items.iter().find(|addr| !there(addr)) {
                    return Err(format!("a page shows {addr}, who is not in the table"));
                }
                match page.items.iter().find(|peer| banned(peer)) {
                    Some(peer) => Err(format!("a page shows {}, who is banned", peer.address)),
                    None => Ok(()),
                }
            }
            (Request::Put { peer, .. }, Response::Added) => {
                if peer.address == self.own {
                    Err("the node took itself for a peer".to_owned())
                } else if still && banned(peer) {
                    Err(format!("{} was taken, who is banned", peer.address))
                } else {
                    Ok(())
                }
            }
            (Request::Put { peer, .. }, Response::Refused(Refusal::IsLocalPeerAddress))
                if peer.address != self.own =>
            {
                Err(format!(
                    "{} was refused as the node's own address",
                    peer.address
                ))
            }
            (Request::Put { .. }, Response::Refused(_)) => Ok(()),
            (Request::Page { .. }, Response::Refused(_)) => Ok(()),
            (request, response) => Err(format!("{request:?} is answered with {response:?}")),
        }
    }

    fn page(
        &self,
        query: &PageQuery,
        items: &[&HostAddr],
        next: Option<u64>,
    ) -> Result<(), String> {
        let limit = query
            .limit
            .unwrap_or(PAGE_DEFAULT as u64)
            .min(PAGE_MAX as u64);
        if items.len() as u64 > limit {
            return Err(format!(
                "a page of {} peers, {limit} were asked for",
                items.len()
            ));
        }
        let distinct: BTreeSet<&&HostAddr> = items.iter().collect();
        if distinct.len() != items.len() {
            return Err("a page shows a peer twice".to_owned());
        }
        if items.contains(&&self.own) {
            return Err("a page shows the node itself".to_owned());
        }
        // The next page begins where this one ends.
        let begin = match query.next {
            None => Some(0),
            Some(Cursor::Inclusive(at)) => u64::try_from(at).ok(),
            Some(Cursor::Exclusive(at)) => u64::try_from(at).ok().map(|at| at + 1),
        };
        match (begin, next) {
            (Some(begin), Some(next)) if next != begin + items.len() as u64 => Err(format!(
                "a page of {} peers from {begin} on says that the next begins at {next}",
                items.len()
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::types::Page;
    use super::*;
    use crate::commons::address::PeerInfo;
    use crate::commons::network::NetworkId;
    use std::sync::Arc;

    fn addr(text: &str) -> HostAddr {
        text.parse().expect("an address")
    }

    /// A model of a node at 9.9.9.9:1 with two peers, of which one was kept.
    fn model() -> Model {
        let kept = std::iter::once(addr("1.1.1.1:1"));
        let mut model = Model::new(addr("9.9.9.9:1"), std::iter::empty(), kept);
        model.met(&addr("2.2.2.2:1"));
        model.vouched(&addr("2.2.2.2:1"));
        model.written(&addr("2.2.2.2:1"), true).expect("well met");
        model
    }

    /// What the model says of a page of these peers, asked for with this limit and position.
    fn check(shown: &[&str], limit: u64, from: i64, next: Option<u64>) -> Result<(), String> {
        let request = Request::Page {
            network: NetworkId::Cut,
            query: PageQuery {
                limit: Some(limit),
                next: Some(Cursor::Inclusive(from)),
            },
        };
        let items = shown
            .iter()
            .map(|text| PeerInfo::new(None, addr(text)))
            .collect();
        let response = Response::Page(Arc::new(Page::new(items, next)));
        let mut model = model();
        model.met(&addr("7.7.7.7:7"));
        model.vouched(&addr("7.7.7.7:7"));
        model.written(&addr("7.7.7.7:7"), true).expect("well met");
        let owed = model.asked(&request);
        model.answered(&owed, &|peer| peer.address.port == 7, true, &response)
    }

    #[test]
    fn pages_show_those_who_are_in_the_table() {
        assert_eq!(check(&["1.1.1.1:1", "2.2.2.2:1"], 2, 3, Some(5)), Ok(()));
        for (shown, limit, next, why) in [
            (&["3.3.3.3:1"][..], 5, None, "not in the table"),
            (&["7.7.7.7:7"], 5, None, "who is banned"),
            (&["9.9.9.9:1"], 5, None, "the node itself"),
            (&["1.1.1.1:1", "1.1.1.1:1"], 5, None, "twice"),
            (&["1.1.1.1:1", "2.2.2.2:1"], 1, None, "1 were asked for"),
            (&["1.1.1.1:1"], 1, Some(5), "says that the next begins at 5"),
        ] {
            let error = check(shown, limit, 3, next).expect_err(why);
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn whoever_is_taken_was_told_of_and_has_answered() {
        let mut model = model();
        let stranger = addr("3.3.3.3:1");
        let error = model.written(&stranger, true).expect_err("a stranger");
        assert!(error.contains("of whom nobody told"), "{error}");
        model.written(&stranger, false).expect("it may leave");
        model.met(&stranger);
        let error = model.written(&stranger, true).expect_err("no answer");
        assert!(error.contains("never answered well"), "{error}");
        let error = model.written(&addr("9.9.9.9:1"), true).expect_err("itself");
        assert!(error.contains("took itself"), "{error}");
    }

    #[test]
    fn who_left_after_the_question_may_be_shown() {
        let mut model = model();
        let query = PageQuery::default();
        let network = NetworkId::Cut;
        let owed = model.asked(&Request::Page { network, query });
        model.written(&addr("1.1.1.1:1"), false).expect("it left");
        let page = |model: &Model, owed: &Owed| {
            let items = vec![PeerInfo::new(None, addr("1.1.1.1:1"))];
            let response = Response::Page(Arc::new(Page::new(items, None)));
            model.answered(owed, &|_| false, true, &response)
        };
        assert_eq!(page(&model, &owed), Ok(()));
        let late = model.asked(&Request::Page { network, query });
        page(&model, &late).expect_err("it had left before");
    }
}

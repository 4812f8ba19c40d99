//! The reference model: which pages of peers are right, from what an outsider sees.
//!
//! Written from Chainweb's peer API, not from this room. Who is in a page must have been given to the
//! node by somebody; a page never shows the node itself or anybody who is surely banned.

use std::collections::BTreeSet;

use super::types::{Refusal, Request, Response};
use crate::commons::address::HostAddr;
use crate::http::page::{Cursor, PageQuery};
use crate::limits::{PAGE_DEFAULT, PAGE_MAX};

/// The model of a node's peers.
#[derive(Clone, Debug)]
pub struct Model {
    own: HostAddr,
    /// Everybody of whom the node was ever told, or whom it kept.
    met: BTreeSet<HostAddr>,
}

impl Model {
    /// The model of a node that starts with these peers.
    #[must_use]
    pub fn new(own: HostAddr, kept: impl Iterator<Item = HostAddr>) -> Self {
        Self {
            own,
            met: kept.collect(),
        }
    }

    /// Somebody told the node of a peer.
    pub fn met(&mut self, addr: &HostAddr) {
        self.met.insert(addr.clone());
    }

    /// The node answers. `banned` tells who was surely banned when it was asked.
    ///
    /// # Errors
    /// What is wrong with the answer.
    pub fn answered(
        &self,
        request: &Request,
        banned: &dyn Fn(&HostAddr) -> bool,
        response: &Response,
    ) -> Result<(), String> {
        match (request, response) {
            (Request::Page { query, .. }, Response::Page(page)) => {
                let items: Vec<&HostAddr> = page.items.iter().map(|peer| &peer.address).collect();
                self.page(query, &items, page.next)?;
                match items.iter().find(|addr| banned(addr)) {
                    Some(addr) => Err(format!("a page shows {addr}, who is banned")),
                    None => Ok(()),
                }
            }
            (Request::Put { peer, .. }, Response::Added) => {
                if peer.address == self.own {
                    Err("the node took itself for a peer".to_owned())
                } else if banned(&peer.address) {
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
        if let Some(strange) = items.iter().find(|addr| !self.met.contains(**addr)) {
            return Err(format!("a page shows {strange}, of whom nobody told"));
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

    /// What the model says of a page of these peers, asked for with this limit and position.
    fn check(shown: &[&str], limit: u64, from: i64, next: Option<u64>) -> Result<(), String> {
        let mut model = Model::new(addr("9.9.9.9:1"), std::iter::once(addr("1.1.1.1:1")));
        model.met(&addr("2.2.2.2:1"));
        model.met(&addr("9.9.9.9:1"));
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
        model.answered(&request, &|addr| addr.port == 7, &response)
    }

    #[test]
    fn pages_show_those_of_whom_somebody_told() {
        assert_eq!(check(&["1.1.1.1:1", "2.2.2.2:1"], 2, 3, Some(5)), Ok(()));
        for (shown, limit, next, why) in [
            (&["3.3.3.3:1"][..], 5, None, "of whom nobody told"),
            (&["9.9.9.9:1"], 5, None, "the node itself"),
            (&["1.1.1.1:1", "1.1.1.1:1"], 5, None, "twice"),
            (&["1.1.1.1:1", "2.2.2.2:1"], 1, None, "1 were asked for"),
            (&["1.1.1.1:1"], 1, Some(5), "says that the next begins at 5"),
        ] {
            let error = check(shown, limit, 3, next).expect_err(why);
            assert!(error.contains(why), "{error}");
        }
    }
}

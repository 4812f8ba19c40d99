//! How a cluster begins: which it is and who began it, and how a node that has left begins anew.
//!
//! Rule: cluster API, `POST /v1/cluster/init`.

use super::failure::Failure;
use super::handshake::is_member_banned;
use super::kept::Row;
use super::reasons::LEFT;
use super::types::{Founding, Response};
use super::{Cluster, Event};
use crate::cx::Cx;

impl Cluster {
    /// `POST /v1/cluster/init`: who is in a cluster stays there, forced or not; who has left begins
    /// anew, if that is forced.
    pub(super) fn found(
        &mut self,
        cx: &mut Cx<'_, Self>,
        force: bool,
    ) -> Result<Response, Failure> {
        let was_created = self.own.left_s.is_some();
        if was_created {
            if !force {
                return Err(LEFT);
            }
            self.check_licence(cx)?;
            self.begin_anew(cx);
            self.put_own(cx);
        }
        let local = cx.config().cluster.peer_id;
        let shown = self.members.iter();
        let shown = shown.filter(|(_, member)| !is_member_banned(cx, member));
        let others = shown.map(|(id, _)| *id);
        Ok(Response::Founding(Box::new(Founding {
            cluster_id: self.own.cluster_id,
            created_by: self.own.cluster_id.founder(),
            // The smaller id is the older.
            oldest_peer_id: others.fold(local, Ord::min),
            was_created,
        })))
    }

    /// A node that has left and comes back knows nobody: its former peers remember its farewell, and
    /// would not listen to it before it shakes hands again. Its cluster is its own until then. The
    /// caller writes what it is by now.
    pub(super) fn begin_anew(&mut self, cx: &mut Cx<'_, Self>) {
        let cluster = &cx.config().cluster;
        self.own.left_s = None;
        self.own.version += 1;
        self.own.address = cluster.address.to_string();
        self.own.cluster_id = cluster.peer_id.own_cluster();
        for (id, member) in core::mem::take(&mut self.members) {
            self.part(cx, &member);
            cx.put(Row::Member(id, None));
        }
        self.reach.clear();
        self.candidates.clear();
        self.farewells.clear();
        cx.event(Event::ClusterBegun);
    }
}

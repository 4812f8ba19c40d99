//! Contact material: what nodes tell of how they are reached and written to.
//!
//! Ours is JSON with `node_id`, `listen_addrs` (the P2P listener as `host:port`), `fingerprint` (of
//! the certificate, base64url), `encryption.private_message` and `generated_at`, signed by the node's
//! key. Of others' we read the same fields and keep the rest as it is. A signature is not checked:
//! whoever is reached at an address must prove the node's key, and whoever passes on a key for
//! messages is an operator or has proved to be the node. How it is read is in `material`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::json;

use super::material::Material;
use super::records::{Handshake, Json, Metadata, NodeId};
use super::rows::{Contact, Row};
use super::types::{Event, Introduction, Refusal, Response};
use super::{Wattswarm, cipher};
use crate::commons::address::{HostAddr, is_reserved};
use crate::commons::peers::Peer;
use crate::config::Config;
use crate::cx::Cx;
use crate::ids::{Fingerprint, PublicKey};
use crate::output::{Endpoint, Part, Trust, Via};
use crate::time::Now;

/// What this node says of itself.
pub(super) fn own_material(config: &Config, now: Now) -> Material {
    let generated_at = super::millis(now.wall);
    let identity = &config.identity;
    let dm_key = cipher::x25519_public(&cipher::dm_secret(&identity.secret));
    let material_json = json!({
        "encryption": { "private_message": {
            "cipher": cipher::CIPHER,
            "key_agreement": cipher::KEY_AGREEMENT,
            "public_key_b64": STANDARD.encode(dm_key),
            "scheme": cipher::SCHEME,
        }},
        "fingerprint": identity.fingerprint.to_string(),
        "generated_at": generated_at,
        "listen_addrs": [config.address.to_string()],
        "node_id": identity.public_key.to_string(),
    })
    .to_string();
    let signature = SigningKey::from_bytes(&identity.secret).sign(material_json.as_bytes());
    Material::new(
        material_json.into(),
        Some(super::ids::hex(&signature.to_bytes()).into()),
        i64::try_from(generated_at).unwrap_or(i64::MAX),
    )
}

/// What the peer list shows of a contact.
pub(super) fn metadata(id: &NodeId, contact: &Contact) -> Metadata {
    let material = &contact.material;
    let facts = material.facts();
    Metadata {
        node_id: id.clone(),
        listen_addrs: facts
            .addresses
            .iter()
            .map(|addr| addr.to_string().into())
            .collect(),
        protocols: Vec::new(),
        handshake_status: if contact.identified {
            Handshake::Identified
        } else {
            Handshake::ContactMaterial
        },
        contact_material: facts.is_shown.then(|| Json(material.json().clone())),
        contact_material_signature: material.signature().cloned(),
        contact_material_updated_at: u64::try_from(material.generated_at()).ok(),
        first_identified_at: contact.first_at,
        last_identified_at: contact.last_at,
    }
}

impl Wattswarm {
    /// An operator passes on how a node is reached.
    pub(super) fn introduce(&mut self, cx: &mut Cx<'_, Self>, asked: Introduction) -> Response {
        let invalid = |text: &str| Response::Refused(Refusal::Invalid(text.into()));
        let material = asked.material;
        let id = match self.remote(&asked.remote) {
            Ok(id) => id,
            Err(text) => return Response::Refused(Refusal::Invalid(text)),
        };
        if material.generated_at() <= 0 {
            return invalid("contact material generated_at is required");
        }
        if material.is_too_long() {
            return invalid("contact material exceeds configured max bytes");
        }
        if !self.learn(cx, &id, material, false) {
            return invalid("no room for more contact material");
        }
        self.heard_of(cx, &id);
        Response::ContactSaved(id)
    }

    /// Keeps contact material, which the node itself has `told` or an operator; tells whether there was
    /// room for it.
    pub(super) fn learn(
        &mut self,
        cx: &mut Cx<'_, Self>,
        id: &NodeId,
        material: Material,
        told: bool,
    ) -> bool {
        let now = super::millis(cx.now().wall);
        let before = self.contacts.get(id);
        // Once a node has told of itself it stays known for that.
        let identified = told || before.is_some_and(|known| known.identified);
        if before.is_some_and(|known| known.material == material && known.identified == identified)
        {
            return true;
        }
        let (size, freed) = (
            material.byte_size(),
            before.map_or(0, |known| known.material.byte_size()),
        );
        let limits = cx.limits();
        let held_max = if told {
            // A part is kept for what this node's operator wants.
            limits.relationship_bytes_max / 10 * 9
        } else {
            limits.relationship_bytes_max
        };
        if material.is_too_long()
            || (size > freed && self.held - freed + size > held_max)
            || (before.is_none() && self.contacts.len() >= limits.contacts_max)
        {
            cx.event(Event::TableFull { table: "contacts" });
            return false;
        }
        self.held = self.held - freed + size;
        let known_key = before.and_then(|known| known.dm_key.as_ref());
        let dm_key = material.facts().dm_key.as_ref().or(known_key).cloned();
        if let Some(key) = id.key().filter(|_| dm_key.as_ref() != known_key) {
            self.keys.remove(&key);
        }
        let contact = Contact {
            dm_key,
            first_at: before.map_or(now, |known| known.first_at),
            last_at: now,
            material,
            identified,
        };
        cx.put(Row::Contact(id.clone(), Some(contact.clone())));
        cx.event(Event::ContactLearned { node: id.clone() });
        self.neighbours.describe(id, Some(metadata(id, &contact)));
        self.contacts.insert(id.clone(), contact);
        true
    }

    /// Where a node may be reached, the surest first. Nothing while it is banned.
    pub(super) fn endpoints(&self, cx: &Cx<'_, Self>, key: &PublicKey) -> Vec<Endpoint> {
        let commons = cx.commons();
        let wall = cx.now().wall;
        if super::list::is_banned_key(commons, wall, key) {
            return Vec::new();
        }
        let endpoint = |addr: HostAddr, pin: Option<Fingerprint>| Endpoint {
            addr,
            trust: pin.map_or(Trust::Anyone, Trust::Pinned),
            via: Via::Tls,
            part: Part::Body,
        };
        let met = commons.peers.of_key(key);
        let mut found: Vec<Endpoint> = met
            .filter(|peer: &&Peer| !peer.is_banned())
            .map(|peer| endpoint(peer.info.address.clone(), peer.info.id))
            .collect();
        let told = self.contacts.get(&NodeId::from(*key));
        let public = cx.config().network.peer_validation();
        for addr in told
            .iter()
            .flat_map(|contact| &contact.material.facts().addresses)
        {
            let pin = told.and_then(|contact| contact.material.facts().fingerprint);
            let told = crate::commons::address::PeerInfo::new(pin, addr.clone());
            let known = found.iter().any(|endpoint| endpoint.addr == *addr);
            let allowed = !(public && is_reserved(&addr.host));
            if allowed && !known && *addr != cx.config().address && !commons.is_banned(wall, &told)
            {
                found.push(endpoint(addr.clone(), pin));
            }
        }
        found
    }
}

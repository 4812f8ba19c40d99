//! Requests, answers and rows of the cluster's room.

use std::borrow::Cow;
use std::sync::Arc;

use peerage_core::Secret;
use peerage_core::config::cluster::{Licence, Scopes};
use peerage_core::ids::{ClusterId, PeerId, PublicKey};
use peerage_core::rooms::cluster::credentials::{NewCredential, SharedCredential};
use peerage_core::rooms::cluster::failure::{Code, Failure};
use peerage_core::rooms::cluster::gossip::Digest;
use peerage_core::rooms::cluster::handshake::{Hello, VERSION, Welcome, Why};
use peerage_core::rooms::cluster::licence::{LicenceField, SignedLicence};
use peerage_core::rooms::cluster::record::Record;
use peerage_core::rooms::cluster::{
    AddPeer, Bootstrap, Bootstrapped, Bought, Credential, CredentialListed, CredentialView,
    Deactivated, Founding, Grant, Identity, LicenceName, Malformed, Member, Own, PeerStatus,
    PeerView, Request, Response, Row, TokenForm, Tombstone,
};
use peerage_core::secret::SecretDigest;

use super::{host_addr, maybe};
use crate::rng::Draws;

pub(super) fn request(draws: &mut Draws) -> Request {
    let wrong_name = [Malformed::Name, Malformed::NotJson];
    match draws.below(28) {
        0 => Request::AddPeer(Ok(AddPeer {
            address: {
                let mut address = host_addr(draws);
                address.port |= 1;
                address
            },
            name: maybe(draws, |draws| draws.text(20)),
        })),
        1 => {
            let wrong = [Malformed::Address, Malformed::AddressMissing];
            let wrong = [&wrong[..], &wrong_name[..]].concat();
            Request::AddPeer(Err(*draws.pick(&wrong)))
        }
        2 => Request::Bootstrap(Ok(Box::new(Bootstrap {
            licence: signed_licence(draws),
            name: maybe(draws, |draws| draws.text(20)),
        }))),
        3 => Request::Bootstrap(Err(wrong_licence(draws))),
        4 => Request::ClusterCredential,
        5 => Request::Credentials,
        6 => Request::Deactivate(Arc::new(record(draws))),
        7 => Request::DeleteCredential(format!("{}x", draws.text(20))),
        8 => Request::DeletePeer(maybe(draws, peer_id)),
        9 => Request::DeleteSelf,
        10 => Request::Gossip(Arc::new(digest(draws))),
        11 => Request::Handshake(Arc::new(hello(draws))),
        12 => Request::Health {
            ready: draws.once_in(2),
        },
        13 => Request::Identity,
        14 => Request::Jwks,
        15 => Request::Licence,
        16 => Request::MakeCredential(Ok(maybe(draws, scopes))),
        17 => Request::MakeCredential(Err(*draws.pick(&[Malformed::Scopes, Malformed::NotJson]))),
        18 => Request::OpenId,
        19 => Request::Peer(maybe(draws, peer_id)),
        20 => Request::Peers(match draws.below(4) {
            0 => Ok(None),
            1 => Ok(Some(true)),
            2 => Ok(Some(false)),
            _ => Err(Malformed::IsLocal),
        }),
        21 => {
            let name = Ok(maybe(draws, |draws| draws.text(20)));
            Request::RenamePeer(maybe(draws, peer_id), name)
        }
        22 => Request::RenamePeer(maybe(draws, peer_id), Err(*draws.pick(&wrong_name))),
        23 => draws
            .pick(&[Request::Rotate, Request::Status, Request::Sync])
            .clone(),
        24 => Request::ReplaceLicence(Ok(Box::new(signed_licence(draws)))),
        25 => Request::ReplaceLicence(Err(wrong_licence(draws))),
        26 => Request::Init(if draws.once_in(4) {
            Err(*draws.pick(&[Malformed::Force, Malformed::NotJson]))
        } else {
            Ok(draws.once_in(2))
        }),
        _ => Request::Token(form(draws)),
    }
}

fn wrong_licence(draws: &mut Draws) -> Malformed {
    match draws.below(3) {
        0 => Malformed::Licence,
        1 => Malformed::LicenceMissing,
        _ => Malformed::LicenceField(*draws.pick(&LicenceField::ALL)),
    }
}

fn form(draws: &mut Draws) -> TokenForm {
    TokenForm {
        grant: *draws.pick(&[Grant::Client, Grant::Missing, Grant::Other]),
        // What is empty is not there.
        client: maybe(draws, |draws| format!("{}x", draws.text(20))),
        secret: maybe(draws, |draws| Secret(format!("{}x", draws.text(20)))),
        scopes: maybe(draws, |draws| {
            if draws.once_in(4) {
                Err(Malformed::Scopes)
            } else {
                Ok(scopes(draws))
            }
        }),
    }
}

pub(super) fn response_to(draws: &mut Draws, request: &Request) -> Response {
    if draws.once_in(6) {
        return Response::Failed(Failure {
            code: *draws.pick(Code::ALL),
            text: Cow::Owned(draws.text(30)),
        });
    }
    match request {
        Request::AddPeer(_) | Request::Peer(_) | Request::RenamePeer(..) => Response::Peer {
            peer: Box::new(view(draws)),
            added: draws.once_in(2),
        },
        Request::Bootstrap(_) => Response::Bootstrapped(Box::new(Bootstrapped {
            peer_id: peer_id(draws),
            public_key: key(draws),
            client_id: draws.text(20),
            secret: Secret(draws.text(20)),
            cluster_id: cluster_id(draws),
            licence: licence(draws),
        })),
        Request::ClusterCredential | Request::Rotate => {
            Response::ClusterCredential(Box::new(CredentialView {
                client_id: draws.text(20),
                secret: maybe(draws, |draws| Secret(draws.text(20))),
                version: draws.bits(),
                rotated_by: peer_id(draws),
                rotated_s: time(draws),
            }))
        }
        Request::Credentials => Response::Credentials(several(draws, |draws| CredentialListed {
            client_id: draws.text(20),
            scopes: scopes(draws),
            licence_id: draws.text(20),
            created_s: time(draws),
            used_s: maybe(draws, time),
        })),
        Request::Deactivate(_) => Response::Applied(draws.once_in(2)),
        Request::DeleteCredential(_) | Request::DeletePeer(_) => Response::Deleted,
        Request::DeleteSelf => Response::Deactivated(Deactivated {
            peer_id: peer_id(draws),
            version: draws.bits(),
            at_s: time(draws),
        }),
        Request::Gossip(_) => Response::Gossip(Arc::new(digest(draws))),
        Request::Handshake(_) => Response::Welcome(Arc::new(Welcome {
            licence_id: draws.text(20),
            cluster_id: cluster_id(draws),
            record: record(draws),
            mac: maybe(draws, Draws::array),
            signature: signature(draws),
        })),
        Request::Health { .. } => Response::Healthy { now_s: time(draws) },
        Request::Identity => Response::Identity(Box::new(Identity {
            peer_id: peer_id(draws),
            public_key: key(draws),
            licence_id: draws.text(20),
            customer_id: maybe(draws, |draws| draws.text(20)),
            cluster_id: cluster_id(draws),
        })),
        Request::Init(_) => Response::Founding(Box::new(Founding {
            cluster_id: cluster_id(draws),
            created_by: peer_id(draws),
            oldest_peer_id: peer_id(draws),
            was_created: draws.once_in(2),
        })),
        Request::Jwks => Response::Jwks(peer_id(draws), key(draws)),
        Request::Licence | Request::ReplaceLicence(_) => {
            Response::Licence(Box::new(licence(draws)))
        }
        Request::MakeCredential(_) => Response::CredentialMade(Box::new(NewCredential {
            client_id: draws.text(20),
            secret: Secret(draws.text(20)),
            scopes: scopes(draws),
            created_s: time(draws),
        })),
        Request::OpenId => Response::OpenId(peer_id(draws), host_addr(draws)),
        Request::Peers(_) => Response::Peers(several(draws, view)),
        Request::Status => Response::Status(several(draws, |draws| PeerStatus {
            peer_id: peer_id(draws),
            last_seen_s: maybe(draws, time),
            reachable: draws.once_in(2),
        })),
        Request::Sync => Response::Triggered,
        Request::Token(_) => Response::Token {
            token: Secret(draws.text(40)),
            expires_in: draws.bits(),
            scopes: scopes(draws),
        },
    }
}

pub(super) fn row(draws: &mut Draws) -> Row {
    match draws.below(7) {
        0 => Row::Bought(Some(Bought {
            licence: licence(draws),
        })),
        1 => {
            let own = Credential {
                digest: digest_of(draws),
                scopes: scopes(draws),
                created_s: draws.bits(),
            };
            Row::Credential(draws.text(20), Some(own))
        }
        2 => {
            let member = Member {
                record: record(draws),
                remark: draws.text(20),
                address: host_addr(draws).to_string(),
                created_s: draws.bits(),
                hello: draws.bits(),
            };
            Row::Member(peer_id(draws), Some(Box::new(member)))
        }
        3 => Row::Own(Some(Own {
            version: draws.bits(),
            address: draws.text(20),
            name: draws.text(20),
            left_s: maybe(draws, Draws::bits),
            cluster_id: cluster_id(draws),
            hello: draws.bits(),
            licence: maybe(draws, |draws| LicenceName {
                id: draws.text(20),
                customer_id: maybe(draws, |draws| draws.text(20)),
            }),
        })),
        4 => Row::Shared(Some(Box::new(shared(draws)))),
        5 => {
            let gone = Tombstone {
                record: record(draws),
                deleted: draws.below(2) == 0,
                hello: draws.bits(),
                since_s: draws.bits(),
            };
            Row::Tombstone(peer_id(draws), Some(Box::new(gone)))
        }
        _ => Row::Used(draws.text(20), Some(draws.bits())),
    }
}

fn view(draws: &mut Draws) -> PeerView {
    PeerView {
        id: peer_id(draws),
        name: draws.text(20),
        public_key: key(draws),
        is_local: draws.once_in(2),
        address: host_addr(draws),
        created_s: time(draws),
    }
}

fn digest(draws: &mut Draws) -> Digest {
    Digest {
        from: peer_id(draws),
        to: peer_id(draws),
        nonce: draws.bits(),
        cluster_id: cluster_id(draws),
        records: several(draws, record),
        credential: maybe(draws, shared),
        signature: signature(draws),
    }
}

fn hello(draws: &mut Draws) -> Hello {
    Hello {
        version: VERSION,
        to: peer_id(draws),
        challenge: draws.array(),
        number: draws.bits(),
        why: *draws.pick(&[Why::Add, Why::Discovery]),
        licence_id: draws.text(20),
        customer_id: maybe(draws, |draws| draws.text(20)),
        cluster_id: cluster_id(draws),
        record: record(draws),
        mac: maybe(draws, Draws::array),
        signature: signature(draws),
    }
}

fn record(draws: &mut Draws) -> Record {
    Record {
        peer_id: peer_id(draws),
        version: draws.bits(),
        address: host_addr(draws).to_string(),
        public_key: key(draws),
        name: draws.text(20),
        deactivated_at: maybe(draws, Draws::bits),
        signature: signature(draws),
    }
}

fn shared(draws: &mut Draws) -> SharedCredential {
    SharedCredential {
        client_id: draws.text(20),
        version: draws.bits(),
        digest: digest_of(draws),
        previous: maybe(draws, digest_of),
        rotated_by: peer_id(draws),
        rotated_s: draws.bits(),
        signature: signature(draws),
    }
}

fn signed_licence(draws: &mut Draws) -> SignedLicence {
    SignedLicence {
        customer_id: draws.text(20),
        licence_id: draws.text(20),
        issued_s: time(draws),
        expires_s: time(draws),
        nodes_max: draws.bits() as u32,
        services_max: draws.bits() as u32,
        signature: signature(draws),
    }
}

fn licence(draws: &mut Draws) -> Licence {
    Licence {
        id: draws.text(20),
        customer_id: maybe(draws, |draws| draws.text(20)),
        nodes_max: draws.bits() as u32,
        services_max: draws.bits() as u32,
        expires_s: maybe(draws, time),
    }
}

/// Some scopes, at least one.
fn scopes(draws: &mut Draws) -> Scopes {
    let first = draws.below(7);
    let names: Vec<String> = Scopes::all_names()
        .enumerate()
        .filter(|(place, _)| *place == first || draws.once_in(3))
        .map(|(_, name)| name)
        .collect();
    Scopes::of_all(names.iter().map(String::as_str)).unwrap_or(Scopes::ADMIN)
}

/// A time that has four digits for its year.
fn time(draws: &mut Draws) -> u64 {
    draws.bits() % 253_402_300_800
}

fn peer_id(draws: &mut Draws) -> PeerId {
    PeerId::from_parts(draws.bits() >> 16, draws.bits().into())
}

fn cluster_id(draws: &mut Draws) -> ClusterId {
    ClusterId::from_parts(draws.bits() >> 16, draws.bits().into())
}

fn key(draws: &mut Draws) -> PublicKey {
    PublicKey(draws.array())
}

fn digest_of(draws: &mut Draws) -> SecretDigest {
    SecretDigest::of(&draws.text(20))
}

fn signature(draws: &mut Draws) -> [u8; 64] {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&draws.array());
    signature[32..].copy_from_slice(&draws.array());
    signature
}

fn several<T>(draws: &mut Draws, mut make: impl FnMut(&mut Draws) -> T) -> Vec<T> {
    (0..draws.below(4)).map(|_| make(draws)).collect()
}

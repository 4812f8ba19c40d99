//! The others: what a peer does when the node calls it.

use core::fmt;
use std::sync::Arc;

use http::HeaderValue;
use peerage_core::http::{Site, headers};
use peerage_core::ids::{Fingerprint, PublicKey};
use peerage_core::limits::BODY_BYTES_MAX;
use peerage_core::{
    Answer, CallError, CallId, Endpoint, Part, PeerCert, Request, Response, Trust, VersionHeader,
    Via,
};

use crate::message::{self, ParsedAnswer};

/// A call of the node.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Its name.
    pub id: CallId,
    /// Where it goes.
    pub to: Arc<Endpoint>,
    /// What is asked, typed.
    pub request: Request,
    /// What is asked, as literal HTTP.
    pub text: String,
}

impl Sent {
    pub(crate) fn new(site: &Site, id: CallId, to: Arc<Endpoint>, request: Request) -> Self {
        let outgoing = request.encode(site);
        let mut fields = http::HeaderMap::new();
        let host = HeaderValue::from_str(&to.addr.to_string()).expect("an address is printable");
        fields.insert("host", host);
        fields.insert(headers::X_CHAINWEB_NODE_VERSION, headers::DECLARED_VERSION);
        if outgoing.json {
            fields.insert("content-type", HeaderValue::from_static("application/json"));
        }
        let first = format!("{} {} HTTP/1.1", outgoing.method, outgoing.target);
        let text = message::print(&first, &fields, &outgoing.body);
        Self {
            id,
            to,
            request,
            text,
        }
    }

    /// Method and target, as in `GET /chainweb/0.0/development/cut/peer`.
    #[must_use]
    pub fn line(&self) -> &str {
        let first = self.text.split('\n').next().unwrap_or("");
        first.strip_suffix(" HTTP/1.1").unwrap_or(first)
    }

    /// What is sent along.
    #[must_use]
    pub fn body(&self) -> &str {
        self.text.split_once("\n\n").map_or("", |(_, body)| body)
    }

    /// How the call is made, in words.
    #[must_use]
    pub(crate) fn manner(&self) -> String {
        let via = match self.to.via {
            Via::Plain => "plain",
            Via::Tls => "tls",
            Via::TlsThenPlain => "tls or plain",
        };
        let trust = match self.to.trust {
            Trust::Anyone => "any certificate".to_owned(),
            Trust::Authorities => "a public certificate".to_owned(),
            Trust::Pinned(id) => format!("the certificate {id}"),
        };
        let part = match self.to.part {
            Part::Body => "",
            Part::Head => ", head only",
        };
        format!("{via}, {trust}{part}")
    }

    /// What a driver makes of an answer.
    pub(crate) fn understand(
        &self,
        text: &str,
        cert: Option<PeerCert>,
    ) -> Result<Answer, CallError> {
        let cert = match (self.to.trust, cert) {
            (Trust::Pinned(id), None) => Some(PeerCert {
                fingerprint: id,
                key: None,
            }),
            (Trust::Pinned(id), Some(cert)) if cert.fingerprint != id => {
                return Err(CallError::IdentityMismatch);
            }
            (Trust::Anyone | Trust::Authorities | Trust::Pinned(_), cert) => cert,
        };
        let answer = ParsedAnswer::read(text.as_bytes()).ok_or(CallError::Malformed)?;
        let version = match answer.headers.get(&headers::X_CHAINWEB_NODE_VERSION) {
            None => VersionHeader::Missing,
            Some(value) => value
                .to_str()
                .ok()
                .and_then(|text| text.parse().ok())
                .map_or(VersionHeader::Unreadable, VersionHeader::Declared),
        };
        let response = match self.to.part {
            Part::Head => Response::Opaque(answer.status),
            Part::Body if answer.body.len() > BODY_BYTES_MAX => return Err(CallError::TooLarge),
            Part::Body => self.request.decode_response(answer.status, &answer.body),
        };
        Ok(Answer {
            response,
            version,
            cert,
        })
    }
}

/// What a peer does when it is called.
pub struct Peer {
    speech: Speech,
    cert: Option<PeerCert>,
}

type Talk = Box<dyn FnMut(&Sent) -> Option<String> + Send>;

enum Speech {
    Fails(CallError),
    Hangs,
    Says(String),
    Talks(Talk),
}

/// What came of a call.
pub(crate) enum Heard {
    Nothing,
    Failed(CallError),
    Answered(String, Option<PeerCert>),
}

impl Peer {
    /// Gives this literal HTTP answer to everything.
    #[must_use]
    pub fn answers(text: impl Into<String>) -> Self {
        Self::new(Speech::Says(text.into()))
    }

    /// Answers everything with 200 and declares this version: what a probe looks for.
    #[must_use]
    pub fn of_version(version: &str) -> Self {
        Self::answers(format!(
            "HTTP/1.1 200 OK\r\nx-chainweb-node-version: {version}\r\n\r\n"
        ))
    }

    /// Cannot be asked, for this reason.
    #[must_use]
    pub const fn fails(error: CallError) -> Self {
        Self::new(Speech::Fails(error))
    }

    /// Nobody listens there.
    #[must_use]
    pub const fn refuses() -> Self {
        Self::fails(CallError::Refused)
    }

    /// Takes the call and never answers.
    #[must_use]
    pub const fn hangs() -> Self {
        Self::new(Speech::Hangs)
    }

    /// Answers as `talk` says; `None` never comes.
    #[must_use]
    pub fn talks(talk: impl FnMut(&Sent) -> Option<String> + Send + 'static) -> Self {
        Self::new(Speech::Talks(Box::new(talk)))
    }

    /// Shows this certificate. Without, a peer shows whichever is expected of it.
    #[must_use]
    pub const fn with_certificate(mut self, id: Fingerprint, key: Option<PublicKey>) -> Self {
        self.cert = Some(PeerCert {
            fingerprint: id,
            key,
        });
        self
    }

    pub(crate) fn hear(&mut self, sent: &Sent) -> Heard {
        match &mut self.speech {
            Speech::Fails(error) => Heard::Failed(*error),
            Speech::Hangs => Heard::Nothing,
            Speech::Says(text) => Heard::Answered(text.clone(), self.cert),
            Speech::Talks(talk) => match talk(sent) {
                Some(text) => Heard::Answered(text, self.cert),
                None => Heard::Nothing,
            },
        }
    }

    const fn new(speech: Speech) -> Self {
        Self { speech, cert: None }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.speech {
            Speech::Fails(_) => "Peer(fails)",
            Speech::Hangs => "Peer(hangs)",
            Speech::Says(_) => "Peer(says)",
            Speech::Talks(_) => "Peer(talks)",
        })
    }
}

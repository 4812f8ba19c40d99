//! TLS: the node's key and certificate, and what it asks of the other side's.
//!
//! Certificates are names here, not chains: a node is known by the SHA-256 of its certificate. The
//! handshake proves that the other side holds the certificate's key; whether the certificate is the
//! right one is checked by the verifier and again after the handshake, because a resumed session
//! would not ask the verifier.

use std::sync::{Arc, LazyLock, OnceLock};

use peerage_core::PeerCert;
use peerage_core::ids::{Fingerprint, PublicKey};
use rcgen::{CertificateParams, DistinguishedName as Name, DnType, KeyPair, PublicKeyData};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    ServerConfig, SignatureScheme,
};

use crate::certificate;

static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));

const ALPN: &[u8] = b"http/1.1";

/// What precedes an Ed25519 secret key in PKCS #8. Source: RFC 8410, section 7.
const PKCS8_ED25519: [u8; 16] = [
    0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
];
/// What precedes an Ed25519 public key in a certificate. Source: RFC 8410, section 4.
const SPKI_ED25519: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// Bytes from the operating system's generator.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    PROVIDER
        .secure_random
        .fill(&mut bytes)
        .expect("the operating system gives random bytes");
    bytes
}

/// A node's key and certificate.
#[derive(Clone)]
pub struct NodeIdentity {
    /// SHA-256 of the certificate.
    pub fingerprint: Fingerprint,
    /// The public key.
    pub public_key: PublicKey,
    /// The secret key. Never shown.
    pub secret: [u8; 32],
    certificate: CertificateDer<'static>,
}

impl core::fmt::Debug for NodeIdentity {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "NodeIdentity({})", self.fingerprint)
    }
}

impl NodeIdentity {
    /// The identity of this key and certificate, or why they are none.
    pub(crate) fn new(secret: [u8; 32], pem: &[u8]) -> Result<Self, String> {
        let certificate = CertificateDer::from_pem_slice(pem)
            .map_err(|_| "identity.pem is not a certificate".to_owned())?;
        let of_certificate = peer_cert(&certificate).key;
        let public_key = PublicKey(public_key(&secret));
        if of_certificate != Some(public_key) {
            return Err("identity.key and identity.pem do not belong together".to_owned());
        }
        let fingerprint = Fingerprint::of_certificate(&certificate);
        Ok(Self {
            fingerprint,
            public_key,
            secret,
            certificate,
        })
    }

    /// A fresh identity that lives in memory only, for tests.
    #[must_use]
    pub fn ephemeral() -> Self {
        let secret = random();
        Self::new(secret, make_certificate(&secret, &[]).as_bytes())
            .expect("a certificate made from a key belongs to it")
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(pkcs8(&self.secret))
    }
}

fn pkcs8(secret: &[u8; 32]) -> PrivatePkcs8KeyDer<'static> {
    PrivatePkcs8KeyDer::from([&PKCS8_ED25519[..], secret].concat())
}

fn key_pair(secret: &[u8; 32]) -> KeyPair {
    KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8(secret), &rcgen::PKCS_ED25519)
        .expect("any 32 bytes are an Ed25519 key")
}

fn public_key(secret: &[u8; 32]) -> [u8; 32] {
    key_pair(secret)
        .der_bytes()
        .try_into()
        .expect("an Ed25519 public key has 32 bytes")
}

/// Makes a self-signed certificate, valid without end for our purposes, as PEM.
///
/// Peers know it by its fingerprint; the names are for tools that insist on one.
pub(crate) fn make_certificate(secret: &[u8; 32], names: &[String]) -> String {
    let mut all: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    all.extend(
        names
            .iter()
            .filter(|name| !all.contains(name))
            .cloned()
            .collect::<Vec<_>>(),
    );
    let mut params = CertificateParams::new(all)
        .or_else(|_| CertificateParams::new(vec!["localhost".to_owned()]))
        .expect("localhost is a host name");
    params.distinguished_name = Name::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "peerage");
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2120, 1, 1);
    let certificate = params
        .self_signed(&key_pair(secret))
        .expect("an Ed25519 key signs");
    certificate.pem()
}

/// What a certificate says about its owner.
#[must_use]
pub fn peer_cert(certificate: &CertificateDer<'_>) -> PeerCert {
    let key = certificate::public_key_info(certificate)
        .and_then(|info| info.strip_prefix(SPKI_ED25519.as_slice())?.try_into().ok())
        .map(PublicKey);
    PeerCert {
        fingerprint: Fingerprint::of_certificate(certificate),
        key,
    }
}

/// TLS for the P2P listener: any client certificate is taken, and proved; none is fine too.
///
/// # Errors
/// What rustls refuses.
pub fn server(identity: &NodeIdentity) -> Result<Arc<ServerConfig>, Error> {
    let mut config = ServerConfig::builder_with_provider(PROVIDER.clone())
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_client_cert_verifier(Arc::new(AnyClient))
        .with_single_cert(vec![identity.certificate.clone()], identity.key())?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(config))
}

/// TLS for calls. Our own certificate is always offered.
#[derive(Debug)]
pub struct Client {
    identity: NodeIdentity,
    anyone: Arc<ClientConfig>,
    authorities: OnceLock<Option<Arc<ClientConfig>>>,
}

impl Client {
    /// The client's half for this identity.
    ///
    /// # Errors
    /// What rustls refuses.
    pub fn new(identity: NodeIdentity) -> Result<Self, Error> {
        let anyone = client(&identity, Arc::new(Expect(None)))?;
        Ok(Self {
            identity,
            anyone,
            authorities: OnceLock::new(),
        })
    }

    /// Takes any certificate.
    #[must_use]
    pub fn anyone(&self) -> Arc<ClientConfig> {
        self.anyone.clone()
    }

    /// Takes this certificate only.
    ///
    /// # Errors
    /// What rustls refuses.
    pub fn pinned(&self, fingerprint: Fingerprint) -> Result<Arc<ClientConfig>, Error> {
        client(&self.identity, Arc::new(Expect(Some(fingerprint))))
    }

    /// Takes what the system's authorities vouch for; `None` if the system has none. Reads files
    /// the first time.
    #[must_use]
    pub fn authorities(&self) -> Option<Arc<ClientConfig>> {
        self.authorities
            .get_or_init(|| {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                let verifier =
                    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), PROVIDER.clone())
                        .build()
                        .ok()?;
                client(&self.identity, verifier).ok()
            })
            .clone()
    }
}

fn client(
    identity: &NodeIdentity,
    verifier: Arc<dyn ServerCertVerifier>,
) -> Result<Arc<ClientConfig>, Error> {
    let mut config = ClientConfig::builder_with_provider(PROVIDER.clone())
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_auth_cert(vec![identity.certificate.clone()], identity.key())?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    // Connections are kept instead, so that every handshake shows a certificate.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// The name to ask a host for.
pub(crate) fn server_name(host: &str) -> ServerName<'static> {
    let placeholder = || ServerName::try_from("peer.invalid").expect("a valid name");
    ServerName::try_from(host.to_owned()).unwrap_or_else(|_| placeholder())
}

/// Whether a handshake failed because the certificate is not the one expected.
pub(crate) fn is_mismatch(error: &Error) -> bool {
    matches!(error, Error::InvalidCertificate(_))
}

/// Takes a certificate by its fingerprint, or any.
#[derive(Debug)]
struct Expect(Option<Fingerprint>);

impl ServerCertVerifier for Expect {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.0 {
            Some(pin) if Fingerprint::of_certificate(end_entity) != pin => {
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
            Some(_) | None => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        certificate::verify_tls12(
            message,
            cert,
            dss,
            &PROVIDER.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        certificate::verify_tls13(
            message,
            cert,
            dss,
            &PROVIDER.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        PROVIDER
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Takes any client certificate whose key the client proves to hold, and clients without one.
#[derive(Debug)]
struct AnyClient;

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        certificate::verify_tls12(
            message,
            cert,
            dss,
            &PROVIDER.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        certificate::verify_tls13(
            message,
            cert,
            dss,
            &PROVIDER.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        PROVIDER
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rustls::server::ParsedCertificate;
    use rustls::sign::{CertifiedKey, SingleCertAndKey};
    use rustls::{ClientConnection, ServerConnection};

    use super::*;

    /// The certificate with the identity's own version and extensions taken away, as the first
    /// version of X.509 has it. Its own signature no longer fits, and nobody looks at it.
    fn of_version_one(identity: &NodeIdentity) -> CertificateDer<'static> {
        let element = |tag: u8, content: &[u8]| {
            let len = u16::try_from(content.len()).expect("short").to_be_bytes();
            [&[tag, 0x82], &len[..], content].concat()
        };
        let der = identity.certificate.as_ref();
        let version = [0xa0, 3, 2, 1, 2];
        let begin = der.windows(5).position(|at| at == version).expect("v3") + 5;
        let info = certificate::public_key_info(&identity.certificate).expect("a key");
        let end = info.as_ptr() as usize - der.as_ptr() as usize + info.len();
        CertificateDer::from(element(0x30, &element(0x30, &der[begin..end])))
    }

    fn shake(server: ServerConfig, client: ClientConfig) -> Result<ServerConnection, Error> {
        let mut client = ClientConnection::new(Arc::new(client), server_name("localhost"))?;
        let mut server = ServerConnection::new(Arc::new(server))?;
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut wire).expect("memory");
            }
            server.read_tls(&mut wire.as_slice()).expect("memory");
            server.process_new_packets()?;
            wire.clear();
            while server.wants_write() {
                server.write_tls(&mut wire).expect("memory");
            }
            client.read_tls(&mut wire.as_slice()).expect("memory");
            client.process_new_packets()?;
        }
        Ok(server)
    }

    fn configs(version: &'static rustls::SupportedProtocolVersion) -> (ServerConfig, ClientConfig) {
        let (ours, theirs) = (NodeIdentity::ephemeral(), NodeIdentity::ephemeral());
        let odd = of_version_one(&theirs);
        assert!(ParsedCertificate::try_from(&odd).is_err(), "{odd:?}");
        assert_eq!(peer_cert(&odd).key, Some(theirs.public_key));
        let show = |cert: CertificateDer<'static>, identity: &NodeIdentity| {
            let key = PROVIDER.key_provider.load_private_key(identity.key());
            let key = CertifiedKey::new(vec![cert], key.expect("a key"));
            Arc::new(SingleCertAndKey::from(key))
        };
        let server = ServerConfig::builder_with_provider(PROVIDER.clone())
            .with_protocol_versions(&[version])
            .expect("a version")
            .with_client_cert_verifier(Arc::new(AnyClient))
            .with_cert_resolver(show(odd.clone(), &theirs));
        let pin = Expect(Some(Fingerprint::of_certificate(&odd)));
        let client = ClientConfig::builder_with_provider(PROVIDER.clone())
            .with_protocol_versions(&[version])
            .expect("a version")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(pin))
            .with_client_cert_resolver(show(of_version_one(&ours), &ours));
        (server, client)
    }

    #[test]
    fn certificates_that_rustls_does_not_read_are_taken_if_their_key_is_proved() {
        for version in [&TLS12, &TLS13] {
            let (server, client) = configs(version);
            let done = shake(server, client).expect("a handshake");
            assert!(done.peer_certificates().is_some());
            // Whoever shows another's certificate is refused.
            let (mut server, mut client) = configs(version);
            let stolen = NodeIdentity::ephemeral();
            let key = PROVIDER.key_provider.load_private_key(stolen.key());
            let shown = of_version_one(&NodeIdentity::ephemeral());
            let pin = Expect(Some(Fingerprint::of_certificate(&shown)));
            let key = CertifiedKey::new(vec![shown], key.expect("a key"));
            server.cert_resolver = Arc::new(SingleCertAndKey::from(key));
            client.dangerous().set_certificate_verifier(Arc::new(pin));
            let refused = shake(server, client).expect_err("a refusal");
            assert_eq!(refused, CertificateError::BadSignature.into());
        }
    }

    #[test]
    fn damaged_certificates_have_no_key_or_some_key_and_never_panic() {
        let whole = NodeIdentity::ephemeral().certificate;
        for len in 0..whole.len() {
            let _ = peer_cert(&CertificateDer::from(&whole[..len]));
        }
        for at in 0..whole.len() {
            for byte in [0, 0x30, 0x7f, 0x80, 0x82, 0x83, 0x84, 0xff] {
                let mut bytes = whole.to_vec();
                bytes[at] = byte;
                let _ = peer_cert(&CertificateDer::from(bytes));
            }
        }
    }
}

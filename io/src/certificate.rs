//! A certificate's public key, found without understanding the rest.
//!
//! Certificates are names here, and any one is taken whose key its bearer proves to hold. rustls
//! reads whole certificates, and refuses those of X.509 version 1 (`openssl x509 -req`) and those
//! with extensions that it does not know; for them this module finds the key.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::{CertificateError, DigitallySignedStruct, Error};

/// Checks that whoever shows `cert` holds its key, in a handshake of TLS 1.2.
pub(crate) fn verify_tls12(
    message: &[u8],
    cert: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
    supported: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let error = match verify_tls12_signature(message, cert, dss, supported) {
        Err(error) if is_of_certificate(&error) => error,
        result => return result,
    };
    let Some((algorithm, key)) = public_key_info(cert).and_then(key_of_info) else {
        return Err(error);
    };
    supported
        .mapping
        .iter()
        .filter(|(scheme, _)| *scheme == dss.scheme)
        .flat_map(|(_, algorithms)| algorithms.iter())
        .filter(|with| with.public_key_alg_id().as_ref() == algorithm)
        .find_map(|with| with.verify_signature(key, message, dss.signature()).ok())
        .map(|()| HandshakeSignatureValid::assertion())
        .ok_or_else(|| CertificateError::BadSignature.into())
}

/// Checks that whoever shows `cert` holds its key, in a handshake of TLS 1.3.
pub(crate) fn verify_tls13(
    message: &[u8],
    cert: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
    supported: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let error = match verify_tls13_signature(message, cert, dss, supported) {
        Err(error) if is_of_certificate(&error) => error,
        result => return result,
    };
    match public_key_info(cert) {
        Some(info) => {
            let info = SubjectPublicKeyInfoDer::from(info);
            verify_tls13_signature_with_raw_key(message, &info, dss, supported)
        }
        None => Err(error),
    }
}

/// Whether it is the certificate that was not understood; a wrong signature stays wrong.
fn is_of_certificate(error: &Error) -> bool {
    matches!(error, Error::InvalidCertificate(why) if *why != CertificateError::BadSignature)
}

const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// The `SubjectPublicKeyInfo` of a certificate, as it stands there. Source: RFC 5280, section 4.1.
pub(crate) fn public_key_info<'a>(cert: &'a CertificateDer<'_>) -> Option<&'a [u8]> {
    let certificate = Element::read(cert.as_ref())?.of(SEQUENCE)?;
    let body = Element::read(certificate.content)?.of(SEQUENCE)?;
    let first = Element::read(body.content)?;
    let mut rest = if first.tag == VERSION {
        first.rest
    } else {
        body.content
    };
    // Serial number, signature algorithm, issuer, validity, subject.
    for _ in 0..5 {
        rest = Element::read(rest)?.rest;
    }
    Some(Element::read(rest)?.of(SEQUENCE)?.whole)
}

/// The contents of the algorithm's identifier, and the key.
fn key_of_info(info: &[u8]) -> Option<(&[u8], &[u8])> {
    let info = Element::read(info)?.of(SEQUENCE)?;
    let algorithm = Element::read(info.content)?.of(SEQUENCE)?;
    let key = Element::read(algorithm.rest)?.of(BIT_STRING)?;
    // All bits of the last byte count.
    Some((algorithm.content, key.content.strip_prefix(&[0])?))
}

/// One element of DER.
struct Element<'a> {
    tag: u8,
    whole: &'a [u8],
    content: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Element<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&[tag, first], after) = bytes.split_first_chunk()?;
        let (len, after) = match first {
            0..=0x7f => (usize::from(first), after),
            0x81..=0x83 => {
                let (digits, after) = after.split_at_checked(usize::from(first - 0x80))?;
                let len = digits
                    .iter()
                    .fold(0, |len, digit| len * 256 + usize::from(*digit));
                (len, after)
            }
            _ => return None,
        };
        let (content, rest) = after.split_at_checked(len)?;
        let whole = &bytes[..bytes.len() - rest.len()];
        Some(Self {
            tag,
            whole,
            content,
            rest,
        })
    }

    fn of(self, tag: u8) -> Option<Self> {
        (self.tag == tag).then_some(self)
    }
}

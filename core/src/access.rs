//! Who may ask: callers of the node API that know its secret, if it has one.
//!
//! Rule: the basic authentication of the node API. The header must be the expected one to the byte, the
//! case of its first word included.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::input::Secret;
use crate::secret::SecretDigest;

/// What callers must show.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    expected: Option<Expected>,
}

#[derive(Clone, Debug)]
struct Expected {
    length: usize,
    digest: SecretDigest,
}

impl Access {
    /// For callers who know `secret`, or for everybody.
    pub(crate) fn new(secret: Option<&Secret>) -> Self {
        let expected = secret.map(|Secret(secret)| {
            let user_and_secret = format!("{USER}:{secret}");
            let header = format!("Basic {}", STANDARD.encode(user_and_secret));
            Expected {
                length: header.len(),
                digest: SecretDigest::of(&header),
            }
        });
        Self { expected }
    }

    /// Whether a caller with this `Authorization` header may ask. How long that takes tells at most
    /// whether it is as long as it should be.
    pub(crate) fn admits(&self, authorization: Option<&Secret>) -> bool {
        match (&self.expected, authorization) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(expected), Some(Secret(shown))) => {
                shown.len() == expected.length && expected.digest.matches(&SecretDigest::of(shown))
            }
        }
    }
}

/// The one user that there is.
const USER: &str = "grin";

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret(text.to_owned())
    }

    #[test]
    fn without_a_secret_everybody_may_ask() {
        let open = Access::new(None);
        assert!(open.admits(None));
        assert!(open.admits(Some(&secret("Basic nonsense"))));
    }

    #[test]
    fn only_the_expected_header_opens() {
        let access = Access::new(Some(&secret("s3cret-for-tests")));
        let good = "Basic Z3JpbjpzM2NyZXQtZm9yLXRlc3Rz";
        assert!(access.admits(Some(&secret(good))));
        assert!(!access.admits(None));
        for bad in [
            "",
            "Basic YWRtaW46czNjcmV0LWZvci10ZXN0cw==",
            "basic Z3JpbjpzM2NyZXQtZm9yLXRlc3Rz",
            "Basic Z3JpbjpzM2NyZXQtZm9yLXRlc3Rz ",
            "Basic Z3JpbjpzM2NyZXQtZm9yLXRlc3RZ",
        ] {
            assert!(!access.admits(Some(&secret(bad))), "{bad}");
        }
    }

    #[test]
    fn nothing_shows_the_secret() {
        let access = Access::new(Some(&secret("s3cret-for-tests")));
        assert!(!format!("{access:?}").contains("Z3Jp"));
    }
}

//! The text forms of settings, with errors that show a right one.

use std::net::SocketAddr;
use std::time::Duration;

use peerage_core::commons::address::{HostAddr, PeerInfo};
use peerage_core::config::WattswarmMode;
use peerage_core::config::cluster::{FixedClient, FixedToken, Scopes};
use peerage_core::http::throttle::{MalformedRate, Rate};
use peerage_core::ids::PublicKey;
use peerage_core::limits::CLUSTER_TEXT_MAX;
use peerage_core::secret::SecretDigest;

/// How often strangers may ask; `None` for as often as they like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Throttle(pub(crate) Option<Rate>);

/// A price per unit of gas, in units of 10⁻¹².
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GasPrice(pub(crate) u64);

/// The seed of a signing key. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct KeySeed(pub(crate) [u8; 32]);

impl core::fmt::Debug for KeySeed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("KeySeed(..)")
    }
}

pub(crate) fn socket(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "expected an IP address and a port, such as 127.0.0.1:1848 or [::1]:1848".to_owned()
    })
}

pub(crate) fn host_addr(text: &str) -> Result<HostAddr, String> {
    let expected = "expected HOST:PORT, such as example.org:1789 or [2001:db8::1]:1789";
    text.parse().map_err(|error| format!("{error}; {expected}"))
}

pub(crate) fn peer(text: &str) -> Result<PeerInfo, String> {
    let expected = "expected HOST:PORT or ID@HOST:PORT, such as example.org:1789";
    text.parse().map_err(|error| format!("{error}; {expected}"))
}

/// A token of the operator's, or what is wrong with it. What is wrong must not be said by the parser
/// of the command line, which shows the value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TokenArg(pub(crate) Result<FixedToken, String>);

/// A client of the operator's, or what is wrong with it; see [`TokenArg`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ClientArg(pub(crate) Result<FixedClient, String>);

#[expect(
    clippy::unnecessary_wraps,
    reason = "the command line's parser wants it so"
)]
pub(crate) fn token(text: &str) -> Result<TokenArg, String> {
    let read = || {
        let expected = "expected TOKEN=SCOPE[,SCOPE], with a token of visible characters";
        let (token, scopes) = text.rsplit_once('=').ok_or(expected)?;
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(expected.to_owned());
        }
        let (digest, scopes) = (SecretDigest::of(token), scopes_of(scopes)?);
        Ok(FixedToken { digest, scopes })
    };
    Ok(TokenArg(read()))
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "the command line's parser wants it so"
)]
pub(crate) fn client(text: &str) -> Result<ClientArg, String> {
    let read = || {
        let expected = "expected ID:SECRET=SCOPE[,SCOPE]";
        let (client, scopes) = text.rsplit_once('=').ok_or(expected)?;
        let (id, secret) = client.split_once(':').ok_or(expected)?;
        if id.is_empty() || secret.is_empty() {
            return Err(expected.to_owned());
        }
        Ok(FixedClient {
            id: id.to_owned(),
            digest: SecretDigest::of(secret),
            scopes: scopes_of(scopes)?,
        })
    };
    Ok(ClientArg(read()))
}

/// Scopes with commas between them. What is not a scope is not shown: it may be a part of a token.
fn scopes_of(text: &str) -> Result<Scopes, String> {
    Scopes::of_all(text.split(',')).map_err(|_| {
        let names: Vec<String> = Scopes::all_names().collect();
        format!("unknown scope; scopes are {}", names.join(", "))
    })
}

pub(crate) fn license_id(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > CLUSTER_TEXT_MAX {
        return Err(format!("expected a name of 1 to {CLUSTER_TEXT_MAX} bytes"));
    }
    Ok(text.to_owned())
}

pub(crate) fn public_key(text: &str) -> Result<PublicKey, String> {
    text.parse()
        .map_err(|_| "expected 64 hexadecimal digits".to_owned())
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        Ok(_) => Err("must be longer than zero".to_owned()),
        Err(error) => Err(format!(
            "{error}; expected a duration such as 90s, 30m or 3h"
        )),
    }
}

pub(crate) fn throttle(text: &str) -> Result<Throttle, MalformedRate> {
    if text == "off" {
        return Ok(Throttle(None));
    }
    text.parse().map(|rate| Throttle(Some(rate)))
}

pub(crate) fn wattswarm_mode(text: &str) -> Result<WattswarmMode, &'static str> {
    match text {
        "local" => Ok(WattswarmMode::Local),
        "network" => Ok(WattswarmMode::Network),
        _ => Err("expected network or local"),
    }
}

/// Reads a decimal such as `0.00000001` or `1e-8`, exactly.
pub(crate) fn gas_price(text: &str) -> Result<GasPrice, String> {
    let malformed = || "expected a price such as 0.00000001 or 1e-8".to_owned();
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().map_err(|_| malformed())?),
        None => (text, 0),
    };
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{decimals}");
    if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed());
    }
    let mantissa: u64 = all.parse().map_err(|_| malformed())?;
    let decimals = i32::try_from(decimals.len()).map_err(|_| malformed())?;
    let shift = exponent
        .checked_sub(decimals)
        .and_then(|e| e.checked_add(12));
    let shift = shift.ok_or_else(malformed)?;
    let power = 10_u64
        .checked_pow(shift.unsigned_abs())
        .ok_or_else(malformed)?;
    let price = if shift >= 0 {
        mantissa.checked_mul(power)
    } else {
        mantissa.is_multiple_of(power).then(|| mantissa / power)
    };
    price.map(GasPrice).ok_or_else(|| {
        format!("{text} is too large, or finer than the 12 decimals that a price may have")
    })
}

/// A number as JSON spells it, kept as it is.
pub(crate) fn json_number(text: &str) -> Result<String, String> {
    match serde_json::from_str::<serde_json::Number>(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("expected a JSON number such as 1e-7 or 0.0000001".to_owned()),
    }
}

pub(crate) fn seed(text: &str) -> Result<KeySeed, String> {
    // A seed has the form of a public key: 64 hexadecimal digits.
    match text.parse::<PublicKey>() {
        Ok(bytes) => Ok(KeySeed(bytes.0)),
        Err(_) => Err("expected 64 hexadecimal digits".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gas_prices_are_exact() {
        let check = |text: &str, price: Option<u64>| {
            assert_eq!(gas_price(text).ok(), price.map(GasPrice), "{text}");
        };
        check("0.00000001", Some(10_000));
        check("1e-8", Some(10_000));
        check("1.5E-8", Some(15_000));
        check("0", Some(0));
        check("2", Some(2_000_000_000_000));
        check("1e-12", Some(1));
        check("10e-13", Some(1));
        check("1e-13", None);
        check("1e99", None);
        check("-1", None);
        check("", None);
        check("e5", None);
        check("1e2147483647", None);
    }

    #[test]
    fn tokens_and_clients_are_read_and_never_shown() {
        let TokenArg(read) = token("s3cret==peers.read,admin").expect("always");
        let read = read.expect("a token");
        assert!(read.digest.matches(&SecretDigest::of("s3cret=")));
        assert!(read.scopes.allow(Scopes::ADMIN));
        for text in [
            "s3cret",
            "=admin",
            "s3cret=",
            "s3cret=root",
            "s3 cret=admin",
        ] {
            let TokenArg(read) = token(text).expect("always");
            let wrong = read.expect_err("no token");
            assert!(!wrong.contains("s3") && !wrong.contains("root"), "{wrong}");
        }
        let ClientArg(read) = client("me:s3:cret=peers.write").expect("always");
        let read = read.expect("a client");
        assert_eq!((read.id.as_str(), read.scopes), ("me", Scopes::PEERS_WRITE));
        assert!(read.digest.matches(&SecretDigest::of("s3:cret")));
        for text in ["me=admin", ":s3=admin", "me:=admin", "me:s3cret=root"] {
            let ClientArg(read) = client(text).expect("always");
            assert!(!read.expect_err("no client").contains("s3"));
        }
    }

    #[test]
    fn durations_and_rates_show_how() {
        assert_eq!(duration("3h"), Ok(Duration::from_secs(10_800)));
        assert!(duration("0s").is_err());
        assert!(duration("soon").is_err_and(|text| text.contains("such as 90s")));
        assert_eq!(throttle("off"), Ok(Throttle(None)));
        assert!(throttle("0").is_err());
        assert!(seed("zz").is_err());
        assert!(json_number("1e-7").is_ok() && json_number("x").is_err());
    }
}

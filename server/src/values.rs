//! The text forms of settings, with errors that show a right one.

use std::net::SocketAddr;
use std::time::Duration;

use peerage_core::commons::address::{HostAddr, PeerInfo};
use peerage_core::config::WattswarmMode;
use peerage_core::config::cluster::{FixedClient, FixedToken, Scopes};
use peerage_core::http::throttle::{MalformedRate, Rate};
use peerage_core::ids::PublicKey;
use peerage_core::limits::CLUSTER_TEXT_MAX;
use peerage_core::mw::{Chain, Commitment, FeeRule};
use peerage_core::secret::SecretDigest;

/// How often strangers may ask; `None` for as often as they like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Throttle(pub(crate) Option<Rate>);

/// A price per unit of gas, in units of 10⁻¹².
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GasPrice(pub(crate) u64);

/// How often a block is mined; `None` for never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mine(pub(crate) Option<Duration>);

/// An amount of grin, in nanogrin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grins(pub(crate) u64);

/// Host and port of a node's API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeUrl(pub(crate) String);

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
        let expected = || format!("expected TOKEN=SCOPE[,SCOPE] of visible characters; {BLANK}");
        let (token, scopes) = text.rsplit_once('=').ok_or_else(expected)?;
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(expected());
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
        let expected = || format!("expected ID:SECRET=SCOPE[,SCOPE]; {BLANK}");
        let (client, scopes) = text.rsplit_once('=').ok_or_else(expected)?;
        let (id, secret) = client.split_once(':').ok_or_else(expected)?;
        if id.is_empty() || secret.is_empty() {
            return Err(expected());
        }
        Ok(FixedClient {
            id: id.to_owned(),
            digest: SecretDigest::of(secret),
            scopes: scopes_of(scopes)?,
        })
    };
    Ok(ClientArg(read()))
}

/// Where values may be many, the parser of the command line cuts them before it has them read.
const BLANK: &str = "there can be no blank in it, since a blank begins another";

/// Scopes with commas between them. What is not a scope is not shown: it may be a part of a token.
fn scopes_of(text: &str) -> Result<Scopes, String> {
    Scopes::of_all(text.split(',')).map_err(|_| {
        let names: Vec<String> = Scopes::all_names().collect();
        format!("unknown scope; scopes are {}; {BLANK}", names.join(", "))
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

pub(crate) fn grin_chain(text: &str) -> Result<Chain, &'static str> {
    match text {
        "automated-testing" => Ok(Chain::AutomatedTesting),
        "user-testing" => Ok(Chain::UserTesting),
        _ => Err("expected automated-testing or user-testing"),
    }
}

pub(crate) fn mine(text: &str) -> Result<Mine, String> {
    if text == "off" {
        return Ok(Mine(None));
    }
    let interval = duration(text).map_err(|error| format!("{error}, or off"))?;
    Ok(Mine(Some(interval)))
}

pub(crate) fn fee_rule(text: &str) -> Result<FeeRule, &'static str> {
    match text {
        "v4" => Ok(FeeRule::V4_DEFAULT),
        "v5" => Ok(FeeRule::V5_DEFAULT),
        _ => Err("expected v4 or v5"),
    }
}

/// Reads a decimal with up to nine decimals, exactly.
pub(crate) fn grins(text: &str) -> Result<Grins, String> {
    let read = || {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(decimals) || decimals.len() > 9 {
            return None;
        }
        let whole: u64 = whole.parse().ok()?;
        let decimals: u64 = format!("{decimals:0<9}").parse().ok()?;
        whole.checked_mul(1_000_000_000)?.checked_add(decimals)
    };
    let amount = read().map(Grins);
    amount.ok_or_else(|| "expected an amount of grin such as 1 or 0.023".to_owned())
}

pub(crate) fn commitment(text: &str) -> Result<Commitment, &'static str> {
    Commitment::from_hex(text).ok_or("expected the 66 hexadecimal digits of a commitment")
}

/// Host and port of `http://HOST:PORT`, with or without a slash behind it.
pub(crate) fn node_url(text: &str) -> Result<NodeUrl, String> {
    let expected = "expected the API of a node, such as http://127.0.0.1:1848";
    let rest = text.strip_prefix("http://").ok_or(expected)?;
    let host = rest.strip_suffix('/').unwrap_or(rest);
    let read: Result<HostAddr, _> = host.parse();
    read.map_err(|error| format!("{error}; {expected}"))?;
    Ok(NodeUrl(host.to_owned()))
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
    fn amounts_of_grin_are_exact() {
        let check = |text: &str, amount: Option<u64>| {
            assert_eq!(grins(text).ok(), amount.map(Grins), "{text}");
        };
        check("1", Some(1_000_000_000));
        check("0.023", Some(23_000_000));
        check("60.000000001", Some(60_000_000_001));
        check("7.", Some(7_000_000_000));
        check("0.0000000001", None);
        check("18446744073.709551615", Some(u64::MAX));
        check("18446744073.709551616", None);
        for text in ["", ".5", "-1", "+1", "1e3", "1.+5", "1,5"] {
            check(text, None);
        }
    }

    #[test]
    fn what_a_chain_may_be_told_is_told_exactly() {
        assert_eq!(mine("off"), Ok(Mine(None)));
        assert_eq!(mine("2s"), Ok(Mine(Some(Duration::from_secs(2)))));
        assert!(mine("0s").is_err());
        assert!(mine("often").is_err_and(|text| text.ends_with(", or off")));
        assert_eq!(grin_chain("user-testing"), Ok(Chain::UserTesting));
        assert!(grin_chain("UserTesting").is_err());
        assert_eq!(fee_rule("v5"), Ok(FeeRule::V5_DEFAULT));
        assert!(fee_rule("5").is_err());
        let url = |text: &str| node_url(text).map(|it| it.0).ok();
        assert_eq!(url("http://[::1]:5/"), Some("[::1]:5".to_owned()));
        assert_eq!(url("http://127.0.0.1"), None);
        assert_eq!(url("https://127.0.0.1:1848"), None);
        assert!(commitment("08").is_err());
        assert_eq!(commitment(&"08".repeat(33)), Ok(Commitment([8; 33])));
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

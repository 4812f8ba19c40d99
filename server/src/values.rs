//! The text forms of settings, with errors that show a right one.

use std::net::SocketAddr;
use std::time::Duration;

use peerage_core::commons::address::{HostAddr, PeerInfo};
use peerage_core::config::WattswarmMode;
use peerage_core::http::throttle::{MalformedRate, Rate};

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
    match text.parse::<peerage_core::ids::PublicKey>() {
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

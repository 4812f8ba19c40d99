//! The grammar of host names, as the Chainweb node has it.
//!
//! Its accidents are kept on purpose: see [`super::Hostname`] for which, and why.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{AddressError, HOSTNAME_BYTES_MAX, HostKind};

/// Reads a host name or an address; see [`super::Hostname::new`].
pub(super) fn parse_host(text: &str) -> Result<HostKind, AddressError> {
    if text.len() > HOSTNAME_BYTES_MAX {
        return Err(AddressError::HostTooLong);
    }
    if is_name(text) {
        return Ok(HostKind::Name);
    }
    if text.contains(':') {
        // The original tries a name first and does not come back from `fe80`.
        let letter_first = text.starts_with(|c: char| c.is_ascii_alphabetic());
        let ip = if letter_first { None } else { parse_ipv6(text) };
        return ip.map(HostKind::Ipv6).ok_or(AddressError::HostMalformed);
    }
    parse_ipv4(text).map(HostKind::Ipv4)
}

/// Labels joined by single dots; the last one starts with a letter.
fn is_name(text: &str) -> bool {
    let last = text.rsplit('.').next().unwrap_or(text);
    last.starts_with(|c: char| c.is_ascii_alphabetic()) && text.split('.').all(is_label)
}

/// Letters, digits and hyphens; no hyphen at either end.
fn is_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

fn parse_ipv4(text: &str) -> Result<Ipv4Addr, AddressError> {
    let mut octets = [0; 4];
    let mut leading_zero = false;
    let mut parts = text.split('.');
    for octet in &mut octets {
        let part = parts.next().ok_or(AddressError::HostMalformed)?;
        if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(AddressError::HostMalformed);
        }
        *octet = part.parse().map_err(|_| AddressError::HostMalformed)?;
        leading_zero |= part.len() > 1 && part.starts_with('0');
    }
    match parts.next() {
        Some(_) => Err(AddressError::HostMalformed),
        None if leading_zero => Err(AddressError::LeadingZero),
        None => Ok(Ipv4Addr::from(octets)),
    }
}

/// Eight groups, or fewer around one `::`. A group has any number of digits and is below 65535.
pub(super) fn parse_ipv6(text: &str) -> Option<Ipv6Addr> {
    let mut groups = [0; 8];
    match text.split_once("::") {
        None => {
            (parse_groups(text, &mut groups)? == 8).then_some(())?;
        }
        Some((head, tail)) => {
            let mut after = [0; 8];
            let before_len = if head.is_empty() {
                0
            } else {
                parse_groups(head, &mut groups)?
            };
            let after_len = if tail.is_empty() {
                0
            } else {
                parse_groups(tail, &mut after)?
            };
            if before_len + after_len > 7 {
                return None;
            }
            groups[8 - after_len..].copy_from_slice(&after[..after_len]);
        }
    }
    Some(Ipv6Addr::from(groups))
}

/// Reads groups joined by single colons; the answer is how many.
fn parse_groups(text: &str, groups: &mut [u16; 8]) -> Option<usize> {
    let mut len = 0;
    for part in text.split(':') {
        let group = groups.get_mut(len)?;
        if part.is_empty() {
            return None;
        }
        let mut value = 0_u32;
        for c in part.chars() {
            value = (value << 4 | c.to_digit(16)?).min(0xffff);
        }
        *group = u16::try_from(value)
            .ok()
            .filter(|value| *value < u16::MAX)?;
        len += 1;
    }
    Some(len)
}

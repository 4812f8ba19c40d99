//! Reading the `cmd` text of a command: what it must contain, and how its numbers are understood.
//!
//! Only what the pool's checks read is kept; the rest must be there and have its shape. Rules: the
//! JSON instances of Pact 5's `Payload`, `PublicMeta`, `Signer`, `ParsedInteger`, `ParsedDecimal`.

use super::command::{Meta, Scheme, Signer};
use crate::json::{self, Decimal, Value};

/// What is read from the `cmd` text.
pub(super) struct Payload {
    pub(super) meta: Meta,
    pub(super) network: Option<Box<str>>,
    pub(super) signers: Vec<Signer>,
}

/// Reads the value of a `cmd` text.
pub(super) fn read_payload(value: &Value<'_>) -> Result<Payload, json::Error> {
    let object = value.object("Payload")?;
    object.read("payload", check_rpc)?;
    object.read("nonce", read_text)?;
    let meta = object.read("meta", read_meta)?;
    let signers = object.read("signers", |signers| signers.each("[]", read_signer))?;
    object.read_optional("verifiers", |verifiers| {
        verifiers.each("[]", check_verifier)
    })?;
    let network = object.read_optional("networkId", read_text)?;
    Ok(Payload {
        meta,
        network,
        signers,
    })
}

fn check_rpc(value: &Value<'_>) -> Result<(), json::Error> {
    let object = value.object("RPC")?;
    if object.get("exec").is_some() {
        object.read("exec", |exec| {
            let exec = exec.object("ExecMsg")?;
            exec.read("code", read_text)?;
            exec.read("data", anything)
        })
    } else {
        object.read("cont", |cont| {
            let cont = cont.object("ContMsg")?;
            cont.read("pactId", read_text)?;
            cont.read("step", Value::int64)?;
            cont.read("rollback", |rollback| rollback.boolean("Bool"))?;
            cont.read("data", anything)?;
            cont.read("proof", anything)
        })
    }
}

fn read_meta(value: &Value<'_>) -> Result<Meta, json::Error> {
    let object = value.object("PublicMeta")?;
    let chain = object.read("chainId", read_text)?;
    object.read("sender", read_text)?;
    let gas_limit = object.read("gasLimit", |limit| {
        let limit = read_integer(limit)?;
        if limit < 0 {
            Err(json::Error::new("negative gas limit"))
        } else {
            Ok(limit)
        }
    })?;
    let gas_price = object.read("gasPrice", |price| {
        let price = read_decimal(price)?;
        if price.is_negative() {
            Err(json::Error::new("negative gas price"))
        } else {
            Ok(price)
        }
    })?;
    let ttl = object.read("ttl", read_integer)?;
    let creation_time = object.read("creationTime", read_integer)?;
    Ok(Meta {
        chain,
        creation_time,
        gas_limit,
        gas_price,
        ttl,
    })
}

fn read_signer(value: &Value<'_>) -> Result<Signer, json::Error> {
    let object = value.object("Signer")?;
    let scheme = object.read_optional("scheme", |scheme| match scheme.string("PPKScheme")? {
        "ED25519" => Ok(Scheme::Ed25519),
        "WebAuthn" => Ok(Scheme::WebAuthn),
        _ => Err(json::Error::new("unknown signature scheme")),
    })?;
    let public_key = object.read("pubKey", read_text)?;
    let address = object.read_optional("addr", read_text)?;
    object.read_optional("clist", |clist| clist.each("[]", check_capability))?;
    Ok(Signer {
        scheme,
        public_key,
        address,
    })
}

fn check_verifier(value: &Value<'_>) -> Result<(), json::Error> {
    let object = value.object("Verifier")?;
    object.read("name", read_text)?;
    object.read("proof", anything)?;
    object.read("clist", |clist| clist.each("[]", check_capability))?;
    Ok(())
}

fn check_capability(value: &Value<'_>) -> Result<(), json::Error> {
    let object = value.object("CapToken")?;
    object.read("name", |name| {
        let name = name.string("QualifiedName")?;
        let parts = name.split('.').count();
        let plain = |part: &str| {
            !part.is_empty() && !part.contains([' ', '\t', '\n', '\r', '"', '\'', '(', ')'])
        };
        if matches!(parts, 2 | 3) && name.split('.').all(plain) {
            Ok(())
        } else {
            Err(json::Error::new("could not parse qualified name"))
        }
    })?;
    object.read("args", |args| args.array("[]").map(drop))
}

/// An integer as Pact reads it: a number rounded half-even, a string of digits, or `{"int": n}`.
fn read_integer(value: &Value<'_>) -> Result<i128, json::Error> {
    if let Value::Object(object) = value {
        object.read("int", read_plain_integer)
    } else {
        read_plain_integer(value)
    }
}

fn read_plain_integer(value: &Value<'_>) -> Result<i128, json::Error> {
    let integer = if let Value::String(text) = value {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        let integer = text.parse::<i128>().ok().filter(|_| plain);
        integer.filter(|integer| integer.unsigned_abs() < 10_u128.pow(38))
    } else {
        value.number("Integer")?.round_half_even()
    };
    integer.ok_or_else(|| json::Error::new("not an integer of at most 38 digits"))
}

fn read_decimal(value: &Value<'_>) -> Result<Decimal, json::Error> {
    let decimal = if let Value::String(text) = value {
        Decimal::parse_plain(text)
    } else {
        value.number("Decimal")?.to_decimal()
    };
    decimal.ok_or_else(|| json::Error::new("not a decimal of at most 38 digits"))
}

fn read_text(value: &Value<'_>) -> Result<Box<str>, json::Error> {
    value.string("Text").map(Box::from)
}

#[expect(clippy::unnecessary_wraps, reason = "has the form of a reader")]
fn anything(_: &Value<'_>) -> Result<(), json::Error> {
    Ok(())
}

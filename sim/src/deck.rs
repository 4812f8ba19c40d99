//! Signed transactions for users to insert: right ones, and wrong ones of several kinds.

use std::sync::Arc;

use peerage_core::rooms::chainweb_mempool::command::Command;
use peerage_core::rooms::chainweb_mempool::sign::Draft;

/// What a transaction is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    /// Every node takes it.
    Valid,
    /// Every node takes it, and soon drops it again.
    Brief,
    /// It is for another chain.
    WrongChain,
    /// It expired before it was sent.
    Expired,
    /// It pays nearly nothing.
    Cheap,
    /// Its signature is by somebody else.
    Forged,
}

impl Make {
    /// The ways to be wrong.
    pub const WRONG: [Self; 4] = [Self::WrongChain, Self::Expired, Self::Cheap, Self::Forged];
}

/// How long a valid transaction may wait, in seconds; longer than any run.
const TTL: i64 = 172_000;

/// How long a brief one may wait, in seconds.
const TTL_BRIEF: i64 = 30;

/// The transaction with this number, signed by the owner of `key`.
#[must_use]
pub fn command(make: Make, number: u32, chain: u8, wall_secs: i64, key: [u8; 32]) -> Arc<Command> {
    let (chain, gas_price) = match make {
        Make::WrongChain => (chain + 1, "1e-7"),
        Make::Cheap => (chain, "1e-12"),
        Make::Valid | Make::Brief | Make::Expired | Make::Forged => (chain, "1e-7"),
    };
    let (creation_time, ttl) = match make {
        Make::Brief => (wall_secs - 5, TTL_BRIEF),
        Make::Expired => (wall_secs - 7_200, 60),
        Make::Valid | Make::WrongChain | Make::Cheap | Make::Forged => (wall_secs - 60, TTL),
    };
    let nonce = number.to_string();
    let draft = Draft {
        chain: chain.into(),
        code: "(coin.transfer \"alice\" \"bob\" 1.0)",
        creation_time,
        gas_limit: 1_000 + u64::from(number % 1_000),
        gas_price,
        network: "development",
        nonce: &nonce,
        sender: "alice",
        ttl,
    };
    let mut text = draft.sign(&[key]);
    if make == Make::Forged {
        // Swap the two ends of the signature's text: still hexadecimal, no longer a signature.
        let sig = text.find("\"sig\":\"").map_or(0, |at| at + 7);
        let (head, tail) = text.split_at(sig);
        let digit = if tail.starts_with('0') { "1" } else { "0" };
        text = format!("{head}{digit}{}", tail.get(1..).unwrap_or(""));
    }
    Arc::new(Command::decode(&text).expect("a signed draft is a command"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use peerage_core::verify::{Verdict, VerifyJob, check};

    #[test]
    fn only_forged_commands_have_false_signatures() {
        for make in [Make::Valid, Make::Brief].into_iter().chain(Make::WRONG) {
            let command = command(make, 7, 0, 1_700_000_000, [3; 32]);
            assert_eq!(
                Command::decode(&command.canonical_text()),
                Ok((*command).clone())
            );
            let verdict = check(&[VerifyJob::Command(command)]).remove(0);
            assert_eq!(
                matches!(verdict, Verdict::Command(Ok(()))),
                make != Make::Forged
            );
        }
    }
}

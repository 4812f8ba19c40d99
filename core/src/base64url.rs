//! Base64url, the text form of transaction hashes and peer ids.
//!
//! Encoding never pads. Decoding first completes the text with `=` to a multiple of four, then is
//! strict: only the url alphabet, `=` only in the last two places, unused trailing bits zero. Both
//! rules, the order of the checks (it decides which offset an error names) and the texts of the
//! errors are those of Chainweb's `decodeB64UrlNoPaddingText`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use thiserror::Error;

/// Why a text is not base64url. Offsets count bytes from the start of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// A byte outside the url alphabet, or a character after padding.
    #[error("invalid character at offset: {offset}")]
    InvalidCharacter {
        /// Where it stands.
        offset: usize,
    },
    /// An `=` anywhere but in the last two places, or padding that leaves too few characters.
    #[error("invalid padding at offset: {offset}")]
    InvalidPadding {
        /// Where it stands; just behind the text if the missing padding was completed.
        offset: usize,
    },
    /// The last character carries bits that belong to no byte.
    #[error("non-canonical encoding detected at offset: {offset}")]
    NonCanonical {
        /// Where that character stands.
        offset: usize,
    },
}

/// The unpadded base64url text of `bytes`.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Appends the unpadded base64url text of `bytes` to `out`.
pub fn encode_into(bytes: &[u8], out: &mut String) {
    URL_SAFE_NO_PAD.encode_string(bytes, out);
}

/// Decodes a text of any length, padded or not.
///
/// # Errors
///
/// The first violation in reading order, as [`DecodeError`] words it.
pub fn decode(text: &str) -> Result<Vec<u8>, DecodeError> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len() / 4 * 3 + 3);
    let mut start = 0;
    while start < bytes.len() {
        let place = |nth: usize| bytes.get(start + nth).map_or(PAD, |byte| value_of(*byte));
        let quantum = [place(0), place(1), place(2), place(3)];
        let last = start + 4 >= bytes.len();
        let taken = check_quantum(quantum, start, last)?;
        let word = quantum
            .iter()
            .fold(0, |word, value| word << 6 | u32::from(value & 0x3f));
        let [_, first, second, third] = word.to_be_bytes();
        decoded.extend([first, second, third].iter().take(taken));
        start += 4;
    }
    Ok(decoded)
}

/// Decodes a text that must stand for exactly 32 bytes, without allocating.
///
/// Takes the 43 characters of a hash or a peer id, or 44 with its padding; `None` for everything
/// else. Callers that owe a reason ask [`decode`] for it.
#[must_use]
#[inline(always)]
pub fn decode_32(text: &[u8]) -> Option<[u8; 32]> {
    let text = match text {
        [unpadded @ .., b'='] if text.len() == 44 => unpadded,
        _ => text,
    };
    let text: &[u8; 43] = text.try_into().ok()?;
    let (quanta, tail) = text.as_chunks::<4>();
    let &[first, second, third] = tail else {
        return None;
    };
    let mut words = [0; 11];
    for (word, quantum) in words.iter_mut().zip(quanta) {
        *word = word_of(*quantum);
    }
    words[10] = word_of([first, second, third, b'A']);
    // A word whose top byte is not zero holds a character outside the alphabet; one look at the end
    // is enough.
    let seen = words.iter().fold(0, |seen, word| seen | word);
    let [a, b, c, d, e, f, g, h, i, j, k] = words.map(u64::from);
    if seen > 0x00ff_ffff || k & 0xff != 0 {
        return None;
    }
    // Whole numbers: bytes that are written three at a time cannot be read back at once.
    let numbers = [
        a << 40 | b << 16 | c >> 8,
        c << 56 | d << 32 | e << 8 | f >> 16,
        f << 48 | g << 24 | h,
        i << 40 | j << 16 | k >> 8,
    ];
    let mut decoded = [0; 32];
    let (places, _) = decoded.as_chunks_mut::<8>();
    for (place, number) in places.iter_mut().zip(numbers) {
        *place = number.to_be_bytes();
    }
    Some(decoded)
}

/// The 24 bits that four characters stand for.
fn word_of([a, b, c, d]: [u8; 4]) -> u32 {
    let at = |place: usize, byte: u8| WORDS[place][usize::from(byte)];
    at(0, a) | at(1, b) | at(2, c) | at(3, d)
}

/// What a character at each place of a quantum adds to its 24 bits; all ones if it is none of ours.
static WORDS: [[u32; 256]; 4] = {
    let mut words = [[u32::MAX; 256]; 4];
    let mut byte = 0;
    while byte < 256 {
        let value = VALUES[byte];
        let mut place = 0;
        while value < 64 && place < 4 {
            words[place][byte] = (value as u32) << (18 - 6 * place);
            place += 1;
        }
        byte += 1;
    }
    words
};

/// How many of its three bytes a quantum of four characters stands for.
fn check_quantum(quantum: [u8; 4], start: usize, last: bool) -> Result<usize, DecodeError> {
    let [_, second, third, fourth] = quantum;
    let paddable_from = if last { 2 } else { 4 };
    for (offset, value) in (start..).zip(quantum).take(paddable_from) {
        if value == PAD {
            return Err(DecodeError::InvalidPadding { offset });
        }
    }
    if third == PAD && fourth != PAD {
        return Err(DecodeError::InvalidCharacter { offset: start + 3 });
    }
    for (offset, value) in (start..).zip(quantum) {
        if value == INVALID {
            return Err(DecodeError::InvalidCharacter { offset });
        }
    }
    match (third == PAD, fourth == PAD) {
        (true, _) if second & 0b1111 != 0 => Err(DecodeError::NonCanonical { offset: start + 1 }),
        (true, _) => Ok(1),
        (false, true) if third & 0b11 != 0 => Err(DecodeError::NonCanonical { offset: start + 2 }),
        (false, true) => Ok(2),
        (false, false) => Ok(3),
    }
}

fn value_of(byte: u8) -> u8 {
    VALUES[usize::from(byte)]
}

/// The value of `=` in [`VALUES`]; like [`INVALID`] above every value of the alphabet.
const PAD: u8 = 0x80;
const INVALID: u8 = 0xff;

const VALUES: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut values = [INVALID; 256];
    let mut value = 0;
    while value < 64 {
        values[alphabet[value] as usize] = value as u8;
        value += 1;
    }
    values[b'=' as usize] = PAD;
    values
};

#[cfg(test)]
mod tests;

//! Bytes as hexadecimal digits.

/// Lower-case digits, two for each byte.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut digits = vec![0; 2 * bytes.len()];
    let (pairs, _) = digits.as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(bytes) {
        *pair = [byte >> 4, byte & 0xf].map(|digit| DIGITS[usize::from(digit)]);
    }
    String::from_utf8(digits).expect("digits are ASCII")
}

/// The bytes of an even number of digits of either case; no bytes for no digits.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let byte = |[high, low]: &[u8; 2]| u8::try_from(16 * digit(*high)? + digit(*low)?).ok();
    let bytes = rest.is_empty().then(|| pairs.iter().map(byte).collect());
    bytes.flatten()
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_and_read() {
        let all: Vec<u8> = (0..=u8::MAX).collect();
        let text = encode(&all);
        assert!(text.starts_with("000102") && text.ends_with("fdfeff"));
        assert_eq!(decode(&text), Some(all.clone()));
        assert_eq!(decode(&text.to_uppercase()), Some(all));
        assert_eq!(decode(""), Some(Vec::new()));
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["0", "abc", "0g", "+1", " 1", "0x00", "éé", "é1"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}

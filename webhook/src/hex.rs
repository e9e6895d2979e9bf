//! Octets as text.

/// Two lower-case digits for each octet.
pub(crate) fn encode(octets: &[u8]) -> String {
    // Not by `format!`: the log needs it for each review, and there it takes longer than the hash.
    let digits = octets.iter().flat_map(|octet| [octet >> 4, octet & 15]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

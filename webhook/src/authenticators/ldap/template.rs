//! Texts with a place for what a user wrote.

use ldap3::{dn_escape, ldap_escape};

/// A DN with `username` in its place.
pub(super) fn dn(template: &str, username: &str) -> String {
    fill(template, |name| {
        (name == "username").then(|| dn_escape(username).into_owned())
    })
}

/// A filter with `username` and `dn` in their places.
pub(super) fn filter(template: &str, username: &str, dn: &str) -> String {
    fill(template, |name| match name {
        "username" => Some(ldap_escape(username).into_owned()),
        "dn" => Some(ldap_escape(dn).into_owned()),
        _ => None,
    })
}

/// The text with each `{name}` replaced by what `value` has for that name. What comes in is not
/// looked at again.
fn fill(template: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut parts = template.split('{');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let named = part.split_once('}');
        if let Some((value, rest)) = named.and_then(|(name, rest)| value(name).zip(Some(rest))) {
            text.push_str(&value);
            text.push_str(rest);
        } else {
            text.push('{');
            text.push_str(part);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use ldap3::parse_filter;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_comes_in_is_left_as_it_is() {
        let value = |name: &str| match name {
            "a" => Some("{b}{a".to_owned()),
            "b" => Some("}".to_owned()),
            _ => None,
        };
        assert_eq!(fill("({a}{b})", value), "({b}{a})");
        assert_eq!(fill("{c}{", value), "{c}{");
        assert_eq!(fill("", value), "");
    }

    /// The filter as it is sent, with every escape undone.
    fn sent(filter: &str) -> String {
        format!("{:?}", parse_filter(filter).expect("a filter"))
    }

    proptest! {
        /// Whatever is written for a name, it is a value of the filter and nothing else.
        #[test]
        fn a_filter_keeps_its_form(username in r"[a-z*()\\\\&|!=<>~:{}, #\x00-\x1fé]{1,12}") {
            let filled = sent(&filter("(&(uid={username})(x=1))", &username, ""));
            let plain = sent("(&(uid=CANARY)(x=1))");
            let octets = format!("{:?}", username.as_bytes());
            let expected = plain.replace(&format!("{:?}", b"CANARY"), &octets);
            prop_assert_eq!(filled, expected);
        }

        /// And of a DN it is one value (RFC 4514, 2.4): what would end it is escaped.
        #[test]
        fn a_dn_keeps_its_form(username in r#"[a-z+,;<>="\\\\ #{}é]{1,12}"#) {
            let filled = dn("uid={username},dc=org", &username);
            let value = filled.strip_prefix("uid=").and_then(|rest| rest.strip_suffix(",dc=org"));
            let value = value.expect("the rest must be as it was");
            prop_assert!(!value.starts_with([' ', '#']) && !value.ends_with(' '));
            let mut octets = Vec::new();
            let mut rest = value.bytes();
            while let Some(octet) = rest.next() {
                prop_assert!(!b"\"+,;<>=".contains(&octet), "{}", value);
                if octet == b'\\' {
                    let digits = [rest.next(), rest.next()].map(|digit| digit.expect("two digits"));
                    let digits = str::from_utf8(&digits).expect("ASCII");
                    octets.push(u8::from_str_radix(digits, 16).expect("hexadecimal"));
                } else {
                    octets.push(octet);
                }
            }
            prop_assert_eq!(String::from_utf8(octets).expect("UTF-8"), username);
        }
    }
}

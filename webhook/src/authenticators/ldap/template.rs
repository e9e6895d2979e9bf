//! Texts with a place for what a user wrote.

/// The text with each `{name}` replaced by what `value` has for that name. What comes in is not
/// looked at again.
pub(super) fn fill(template: &str, value: impl Fn(&str) -> Option<String>) -> String {
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
}

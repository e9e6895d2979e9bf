//! Values as klog writes them: quoted, or over several lines
//! (`k8s.io/klog/v2/internal/serialize/keyvalues.go`, `writeStringValue`).

/// Reads a text that begins here; of one over several lines the rest is taken from `lines`. `None`
/// for what is no text.
pub(super) fn read<'a>(begin: &str, lines: &mut impl Iterator<Item = &'a str>) -> Option<String> {
    if let Some(quoted) = begin.strip_prefix('"') {
        return Some(unquoted(quoted));
    }
    if begin.trim_end() != "<" {
        return None;
    }
    let lines = lines.map_while(|line| line.strip_prefix('\t'));
    Some(lines.collect::<Vec<_>>().join("\n"))
}

/// The text before the closing quote, with the escapes of Go's `strconv.Quote` undone.
fn unquoted(quoted: &str) -> String {
    let mut text = String::new();
    let mut rest = quoted.chars();
    while let Some(char) = rest.next() {
        let escaped = match char {
            '"' => break,
            '\\' => rest.next(),
            _ => {
                text.push(char);
                continue;
            }
        };
        let mut code = |digits| {
            let digits: String = rest.by_ref().take(digits).collect();
            let code = u32::from_str_radix(&digits, 16).ok();
            code.and_then(char::from_u32)
                .unwrap_or(char::REPLACEMENT_CHARACTER)
        };
        text.push(match escaped {
            Some('a') => '\u{7}',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('v') => '\u{b}',
            Some('x') => code(2),
            Some('u') => code(4),
            Some('U') => code(8),
            Some(itself) => itself,
            None => break,
        });
    }
    text
}

//! Secrets in YAML, line by line: what is collected may be cut off, or be YAML in part only.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use super::encoded::is_certificate;
use super::{is_nothing, mark};

static KEY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?i)^([ \t]*(?:- +)*)["']?(?:[a-z0-9_.-]*[_.-])?(token|access-?token|id-?token|refresh-?token|bearer-?token|password|passwd|client-key-data|client-?secret|secret-key|access-key|certificate-?key)["']?[ \t]*:(?:[ \t]+|$)"#,
    )
    .expect("must compile")
});

static SECRET: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?m)^[ \t]*(?:- +)*kind:[ \t]*["']?Secret["']?[ \t]*$"#).expect("must compile")
});

static DATA: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^([ \t]*(?:- +)*)(?:data|stringData):[ \t]*(.*)$").expect("must compile")
});

static ENTRY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"^([ \t]*["']?[A-Za-z0-9._-]+["']?:)[ \t]*(.*)$"#).expect("must compile")
});

/// How far a line is indented.
fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t']).len()
}

/// How many of these lines belong to a value that began before them, at a key in this column.
fn deeper(lines: &[&str], column: usize) -> usize {
    let within = |line: &&&str| line.trim().is_empty() || indent(line) > column;
    let count = lines.iter().take_while(within).count();
    // Empty lines at the end are the next one's.
    let blank = lines[..count].iter().rev();
    count - blank.take_while(|line| line.trim().is_empty()).count()
}

/// Replaces the values of keys that say that they are secret, of however many lines.
pub(super) fn without_values(text: &str) -> Cow<'_, str> {
    let lines: Vec<&str> = text.split('\n').collect();
    let mut out = Vec::with_capacity(lines.len());
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        at += 1;
        let Some(found) = KEY.captures(line) else {
            out.push(Cow::Borrowed(*line));
            continue;
        };
        let (key, value) = line.split_at(found[0].len());
        let more = deeper(&lines[at..], found[1].len());
        if more == 0 && is_nothing(value) {
            out.push(Cow::Borrowed(*line));
        } else {
            let what = found[2].to_ascii_lowercase();
            out.push(Cow::Owned(format!("{} {}", key.trim_end(), mark(&what))));
            at += more;
        }
    }
    Cow::Owned(out.join("\n"))
}

/// Replaces what Secrets hold, but for certificates.
pub(super) fn without_secrets(text: &str) -> Cow<'_, str> {
    if !SECRET.is_match(text) {
        return Cow::Borrowed(text);
    }
    let lines: Vec<&str> = text.split('\n').collect();
    let documents = lines.split_inclusive(|line| line.starts_with("---"));
    let documents = documents.map(|document| {
        if document.iter().any(|line| SECRET.is_match(line)) {
            secret(document)
        } else {
            document.join("\n")
        }
    });
    Cow::Owned(documents.collect::<Vec<_>>().join("\n"))
}

fn secret(lines: &[&str]) -> String {
    let what = mark("Secret");
    let mut out = Vec::with_capacity(lines.len());
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        at += 1;
        let Some(found) = DATA.captures(line) else {
            out.push((*line).to_owned());
            continue;
        };
        let more = deeper(&lines[at..], found[1].len());
        let block = &lines[at..at + more];
        at += more;
        if !is_nothing(&found[2]) {
            out.push(format!("{}{what}", &line[..line.len() - found[2].len()]));
            continue;
        }
        out.push((*line).to_owned());
        out.extend(entries(block, &what));
    }
    out.join("\n")
}

/// The names of a Secret's values, and of the values the certificates.
fn entries(block: &[&str], what: &str) -> Vec<String> {
    let column = block.first().map_or(0, |line| indent(line));
    let begins = |line: &&str| indent(line) == column && !line.trim().is_empty();
    let mut out = Vec::new();
    for entry in block.chunk_by(|_, next| !begins(next)) {
        let found = ENTRY.captures(entry[0]);
        let first = found.as_ref().map_or("", |found| &found[2]);
        // The sign of a value of several lines is no part of it.
        let first = first.trim_matches(['"', '\'', '>', '|', '-', '+']);
        let value = first.to_owned() + &entry[1..].concat();
        match found {
            Some(_) if is_certificate(&value) => {
                out.extend(entry.iter().map(|line| (*line).to_owned()));
            }
            Some(found) => out.push(format!("{} {what}", &found[1])),
            None => out.push(format!("{}{what}", " ".repeat(column))),
        }
    }
    out
}

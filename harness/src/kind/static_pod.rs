//! A flag in a static Pod's manifest, changed by an edit that understands YAML: it finds by a
//! parser's positions what to change, and leaves every other byte as it was.
//!
//! What it wrote is read again and compared with the manifest in which the flag was changed as
//! data; an edit that would do anything else is refused.

mod error;
mod host_alias;
#[cfg(test)]
mod tests;

use std::ops::Range;

use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;

use host_alias::HostAlias;

pub use error::ManifestError;
pub(super) use host_alias::host_alias_patch;

#[derive(Debug, Deserialize)]
struct Pod {
    spec: Spec,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    containers: Vec<Container>,
    #[serde(default)]
    host_network: Option<Spanned<bool>>,
    #[serde(default)]
    host_aliases: Vec<HostAlias>,
}

#[derive(Debug, Deserialize)]
struct Container {
    name: String,
    #[serde(default)]
    command: Vec<Spanned<String>>,
    #[serde(default)]
    args: Vec<Spanned<String>>,
}

/// A manifest and one of its containers.
#[derive(Debug)]
pub(super) struct StaticPod<'a> {
    text: &'a str,
    container: Container,
    host_network: Option<Spanned<bool>>,
    host_aliases: Vec<HostAlias>,
}

/// A word of a command line, and where it stands.
struct Word<'a> {
    value: &'a str,
    span: Range<usize>,
}

impl<'a> StaticPod<'a> {
    /// Reads a manifest.
    pub(super) fn read(text: &'a str, container: &str) -> Result<Self, ManifestError> {
        let pod: Pod = serde_saphyr::from_str(text)
            .map_err(|error| ManifestError::NotAPod(Box::new(error)))?;
        let Spec {
            containers,
            host_network,
            host_aliases,
        } = pod.spec;
        let found = containers.into_iter().find(|one| one.name == container);
        found
            .map(|container| Self {
                text,
                container,
                host_network,
                host_aliases,
            })
            .ok_or_else(|| ManifestError::NoContainer {
                container: container.to_owned(),
            })
    }

    /// The flags, `--name=value` each.
    pub(super) fn flags(&self) -> Vec<String> {
        let words = self.words().map(|word| word.value);
        let flags = words.filter(|word| word.starts_with("--"));
        flags.map(str::to_owned).collect()
    }

    /// The value of a flag; `None` when it is not set.
    pub(super) fn flag(&self, flag: &str) -> Result<Option<String>, ManifestError> {
        let prefix = format!("--{flag}=");
        let word = self.word(flag)?;
        Ok(word.and_then(|word| Some(word.value.strip_prefix(&prefix)?.to_owned())))
    }

    /// The manifest with this value for the flag.
    pub(super) fn with(&self, flag: &str, value: &str) -> Result<String, ManifestError> {
        let word = format!("--{flag}={value}");
        let edited = if let Some(old) = self.word(flag)? {
            self.replaced(old.span, &scalar(&word))
        } else {
            let last = self.last()?;
            if let Some(prefix) = self.item_prefix(&last.span) {
                let end = self.line_end(last.span.end);
                // The line's own end stands behind what is added, with what it ends with.
                let carriage = if self.text[..end].ends_with('\r') {
                    "\r"
                } else {
                    ""
                };
                let line = format!("\n{prefix}{}{carriage}", scalar(&word));
                self.replaced(end..end, &line)
            } else {
                let end = last.span.end;
                self.replaced(end..end, &format!(", {}", quoted(&word)))
            }
        };
        self.checked(flag, Some(&word), edited)
    }

    /// The manifest without the flag.
    pub(super) fn without(&self, flag: &str) -> Result<String, ManifestError> {
        let Some(word) = self.word(flag)? else {
            return Ok(self.text.to_owned());
        };
        let range = if self.item_prefix(&word.span).is_some() {
            let begin = self.text[..word.span.start]
                .rfind('\n')
                .map_or(0, |at| at + 1);
            let end = self.line_end(word.span.end);
            begin..(end + 1).min(self.text.len())
        } else {
            // With the comma before it: a flag is never the first word.
            let before = self.text[..word.span.start].trim_end();
            let begin = before.strip_suffix(',').map_or(word.span.start, str::len);
            begin..word.span.end
        };
        self.checked(flag, None, self.replaced(range, ""))
    }

    fn words(&self) -> impl Iterator<Item = Word<'_>> {
        let Container { command, args, .. } = &self.container;
        command.iter().chain(args).filter_map(|item| {
            Some(Word {
                value: &item.value,
                span: self.span(item)?,
            })
        })
    }

    /// Where a value stands in the text.
    fn span<T>(&self, item: &Spanned<T>) -> Option<Range<usize>> {
        let span = item.referenced.span();
        let begin = usize::try_from(span.byte_offset()?).ok()?;
        let length = usize::try_from(span.byte_len()?).ok()?;
        let span = begin..begin + length;
        self.text.get(span.clone())?;
        Some(span)
    }

    /// The word that sets a flag.
    fn word(&self, flag: &str) -> Result<Option<Word<'_>>, ManifestError> {
        let unusual = |how| ManifestError::Unusual {
            flag: flag.to_owned(),
            how,
        };
        let (bare, prefix) = (format!("--{flag}"), format!("--{flag}="));
        if self.words().any(|word| word.value == bare) {
            return Err(unusual("as a word alone, without `=` and a value"));
        }
        let mut words = self.words().filter(|word| word.value.starts_with(&prefix));
        match (words.next(), words.next()) {
            (_, Some(_)) => Err(unusual("more than once")),
            (word, None) => Ok(word),
        }
    }

    /// The last word of the list that has the flags.
    fn last(&self) -> Result<Word<'_>, ManifestError> {
        let Container {
            name,
            command,
            args,
        } = &self.container;
        let flags =
            |words: &[Spanned<String>]| words.iter().any(|word| word.value.starts_with("--"));
        let count = if flags(args) || command.is_empty() {
            command.len() + args.len()
        } else {
            command.len()
        };
        let last = self.words().take(count).last();
        last.ok_or_else(|| ManifestError::NoCommand {
            container: name.clone(),
        })
    }

    /// What stands before a word that has a line of its own: blanks and a dash. `None` for a
    /// word in brackets.
    fn item_prefix(&self, span: &Range<usize>) -> Option<&str> {
        let begin = self.text[..span.start].rfind('\n').map_or(0, |at| at + 1);
        let before = &self.text[begin..span.start];
        let behind_dash = before.trim_start().strip_prefix('-')?;
        // An anchor or a tag may stand there; it is the old word's alone.
        let plain = behind_dash
            .split_whitespace()
            .all(|word| word.starts_with(['&', '!']));
        plain.then(|| {
            let dash = before.len() - behind_dash.len();
            let blanks = behind_dash.len() - behind_dash.trim_start().len();
            &before[..dash + blanks]
        })
    }

    /// Where the line ends: at its line feed, or with the text.
    fn line_end(&self, from: usize) -> usize {
        let rest = &self.text[from..];
        rest.find('\n').map_or(self.text.len(), |at| from + at)
    }

    fn replaced(&self, range: Range<usize>, with: &str) -> String {
        let mut text = self.text.to_owned();
        text.replace_range(range, with);
        text
    }

    /// The edited text, when it says what the old one says but for the flag.
    fn checked(
        &self,
        flag: &str,
        word: Option<&str>,
        edited: String,
    ) -> Result<String, ManifestError> {
        let unsure = || ManifestError::Unsure {
            what: format!("--{flag}"),
        };
        let read = |text| serde_saphyr::from_str::<Value>(text).map_err(|_error| unsure());
        let (mut before, mut after) = (read(self.text)?, read(&edited)?);
        let expected = word.map(|word| Value::from(word.to_owned()));
        let prefix = format!("--{flag}=");
        let mut found = Vec::new();
        for (pod, found) in [(&mut before, &mut Vec::new()), (&mut after, &mut found)] {
            for list in self.lists(pod) {
                list.retain(|word| {
                    let is = word.as_str().is_some_and(|word| word.starts_with(&prefix));
                    if is {
                        found.push(word.clone());
                    }
                    !is
                });
            }
        }
        let right = before == after && found == Vec::from_iter(expected);
        if right { Ok(edited) } else { Err(unsure()) }
    }

    fn lists<'v>(&self, pod: &'v mut Value) -> Vec<&'v mut Vec<Value>> {
        let containers = pod["spec"]["containers"].as_array_mut();
        let mut lists = Vec::new();
        for container in containers.into_iter().flatten() {
            if container["name"] != *self.container.name {
                continue;
            }
            let Some(container) = container.as_object_mut() else {
                continue;
            };
            for (key, value) in container {
                if matches!(key.as_str(), "command" | "args") {
                    lists.extend(value.as_array_mut());
                }
            }
        }
        lists
    }
}

/// A word as it stands on a line of its own.
fn scalar(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=/.,".contains(c);
    if word.chars().all(plain) {
        word.to_owned()
    } else {
        quoted(word)
    }
}

/// A word as JSON writes it, which YAML reads.
fn quoted(word: &str) -> String {
    Value::from(word).to_string()
}

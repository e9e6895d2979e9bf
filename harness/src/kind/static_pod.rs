//! A flag in a static Pod's manifest, changed by an edit that understands YAML: it finds by a
//! parser's positions what to change, and leaves every other byte as it was.
//!
//! What it wrote is read again and compared with the manifest in which the flag was changed as
//! data; an edit that would do anything else is refused.

mod error;

use std::ops::Range;

use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;

pub use error::ManifestError;

#[derive(Debug, Deserialize)]
struct Pod {
    spec: Spec,
}

#[derive(Debug, Deserialize)]
struct Spec {
    containers: Vec<Container>,
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
        let mut containers = pod.spec.containers.into_iter();
        let found = containers.find(|one| one.name == container);
        found
            .map(|container| Self { text, container })
            .ok_or_else(|| ManifestError::NoContainer {
                container: container.to_owned(),
            })
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
            let span = item.referenced.span();
            let begin = usize::try_from(span.byte_offset()?).ok()?;
            let length = usize::try_from(span.byte_len()?).ok()?;
            let span = begin..begin + length;
            self.text.get(span.clone())?;
            Some(Word {
                value: &item.value,
                span,
            })
        })
    }

    /// The word that sets a flag.
    fn word(&self, flag: &str) -> Result<Option<Word<'_>>, ManifestError> {
        let unusual = |how| ManifestError::Unusual {
            flag: flag.to_owned(),
            how,
        };
        let (bare, prefix) = (format!("--{flag}"), format!("--{flag}="));
        if self.words().any(|word| word.value == bare) {
            return Err(unusual("and its value as two words"));
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
            flag: flag.to_owned(),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The beginning of what kubeadm 1.37 writes, with what a person may have added.
    const MANIFEST: &str = "\
# managed by hand since June
apiVersion: v1
kind: Pod
metadata:
  annotations:
    note: \"--authorization-mode=none\" # not a flag
  name: kube-apiserver
spec:
  containers:
  - name: sidecar
    command: [sleep, --authorization-mode=never]
  - command:
    - kube-apiserver
    - --advertise-address=172.18.0.2   # the node's
    - '--authorization-mode=Node,RBAC'
    - --runtime-config=
    image: registry.k8s.io/kube-apiserver:v1.37.2
    name: kube-apiserver
  hostNetwork: true
";
    const FLAG: &str = "authentication-token-webhook-config-file";

    fn pod(text: &str) -> StaticPod<'_> {
        StaticPod::read(text, "kube-apiserver").expect("must be read")
    }

    /// The lines that differ.
    fn difference(before: &str, after: &str) -> (Vec<String>, Vec<String>) {
        let without = |text: &str, other: &str| {
            let other: Vec<_> = other.split_inclusive('\n').collect();
            let lines = text.split_inclusive('\n');
            lines
                .filter(|line| !other.contains(line))
                .map(str::to_owned)
                .collect()
        };
        (without(before, after), without(after, before))
    }

    #[test]
    fn a_flag_is_added_as_the_last_one() {
        let edited = pod(MANIFEST).with(FLAG, "/etc/kubernetes/pki/webhook-config.yml");
        let edited = edited.expect("must be edited");
        let (gone, new) = difference(MANIFEST, &edited);
        assert_eq!(gone, [""; 0]);
        assert_eq!(
            new,
            [format!(
                "    - --{FLAG}=/etc/kubernetes/pki/webhook-config.yml\n"
            )]
        );
        assert!(edited.contains("--runtime-config=\n    - --authentication-token"));
        // And it goes again, to the last byte.
        assert_eq!(
            pod(&edited).without(FLAG).expect("must be edited"),
            MANIFEST
        );
    }

    #[test]
    fn a_flag_is_replaced_where_it_stands() {
        let edited = pod(MANIFEST).with("authorization-mode", "AlwaysAllow");
        let (gone, new) = difference(MANIFEST, &edited.expect("must be edited"));
        assert_eq!(gone, ["    - '--authorization-mode=Node,RBAC'\n"]);
        assert_eq!(new, ["    - --authorization-mode=AlwaysAllow\n"]);
        let edited = pod(MANIFEST).with("advertise-address", "::1");
        let (_, new) = difference(MANIFEST, &edited.expect("must be edited"));
        assert_eq!(new, ["    - \"--advertise-address=::1\"   # the node's\n"]);
    }

    #[test]
    fn flags_are_read() {
        let flag = |name| pod(MANIFEST).flag(name).expect("must be read");
        assert_eq!(flag("authorization-mode").as_deref(), Some("Node,RBAC"));
        assert_eq!(flag("runtime-config").as_deref(), Some(""));
        assert_eq!(flag(FLAG), None);
    }

    #[test]
    fn a_list_in_brackets_and_args_are_understood() {
        let text = "spec: {containers: [{name: kube-apiserver, command: [kube-apiserver], \
                    args: [\"--a=1\", --b=2]}]}\n";
        let edited = pod(text).with("c", "[x]").expect("must be edited");
        assert!(edited.contains("--b=2, \"--c=[x]\"]}]}"), "{edited}");
        assert_eq!(pod(&edited).without("c").expect("must be edited"), text);
    }

    #[test]
    fn other_line_ends_stay() {
        let text = MANIFEST.replace('\n', "\r\n");
        let edited = pod(&text).with(FLAG, "/f").expect("must be edited");
        assert_eq!(edited.matches('\n').count(), edited.matches("\r\n").count());
        assert_eq!(pod(&edited).without(FLAG).expect("must be edited"), text);
    }

    #[test]
    fn a_manifest_without_a_last_line_end_is_edited() {
        let text = "spec:\n  containers:\n  - name: kube-apiserver\n    command:\n    - --a=1";
        let edited = pod(text).with("b", "2").expect("must be edited");
        assert_eq!(edited, format!("{text}\n    - --b=2"));
    }

    #[test]
    fn what_is_unusual_is_refused() {
        let text = MANIFEST.replace("--runtime-config=", "--runtime-config\n    - a=b");
        let error = pod(&text)
            .with("runtime-config", "")
            .expect_err("must fail");
        assert_eq!(
            error.to_string(),
            "the manifest has `--runtime-config` and its value as two words"
        );
        let text = MANIFEST.replace("--runtime-config=", "--authorization-mode=RBAC");
        let error = pod(&text)
            .flag("authorization-mode")
            .expect_err("must fail");
        assert_eq!(
            error.to_string(),
            "the manifest has `--authorization-mode` more than once"
        );
        assert!(error.hint().is_some());
        let error = StaticPod::read(MANIFEST, "etcd").expect_err("must fail");
        assert_eq!(error.to_string(), "the manifest has no container `etcd`");
        assert!(StaticPod::read("[", "etcd").is_err());
    }
}

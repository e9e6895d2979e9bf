//! `tokenlab flags`: with which flags a lab's kube-apiserver runs, and others.

use std::collections::{BTreeMap, HashSet};
use std::io::Write as _;
use std::process::ExitCode;

use anstyle::AnsiColor;
use anyhow::Context as _;
use serde::Serialize;
use tokenlab_harness::named::{Client, LabName, Request, Response};
use tokenlab_harness::progress::Progress;

use super::choice::conflict;
use super::selection::Selection;

const EXAMPLES: &str = "\
Examples:
  tokenlab flags
  tokenlab flags --set authentication-token-webhook-cache-ttl=0s
  tokenlab flags --set event-ttl=2h --unset profiling
  tokenlab flags --json | jq -r '.flags[\"authorization-mode\"][]'

A change starts kube-apiserver anew, and is shown when it runs with it. When
it does not come up, that is told with the last lines of its log, and it runs
as before.";

/// Show the flags of a lab's kube-apiserver, or change them
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    selection: Selection,

    /// Give a flag this value. May be given again
    #[arg(long, value_name = "NAME=VALUE", value_parser = super::up::flag, allow_hyphen_values = true)]
    set: Vec<(String, String)>,

    /// Take a flag away: kube-apiserver's default holds again. May be given again
    #[arg(long, value_name = "NAME", value_parser = name, allow_hyphen_values = true)]
    unset: Vec<String>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// `--name` is taken as well: it is copied from a manifest.
fn name(text: &str) -> Result<String, String> {
    match text.trim_start_matches('-') {
        "" => Err("a flag has a name".to_owned()),
        name if name.contains('=') => Err("a flag is taken away by its name alone".to_owned()),
        name => super::up::changeable(name).map(str::to_owned),
    }
}

#[derive(Serialize)]
struct Report<'a> {
    lab: &'a LabName,
    flags: BTreeMap<&'a str, Vec<&'a str>>,
    changed: Changes<'a>,
}

/// What a change took away, and what it added: `--name=value` each.
#[derive(Debug, PartialEq, Serialize)]
struct Changes<'a> {
    removed: Vec<&'a str>,
    added: Vec<&'a str>,
}

impl<'a> Changes<'a> {
    fn between(before: &'a [String], after: &'a [String]) -> Self {
        let only = |these: &'a [String], those: &[String]| {
            let only = these.iter().filter(|flag| !those.contains(flag));
            only.map(String::as_str).collect()
        };
        Self {
            removed: only(before, after),
            added: only(after, before),
        }
    }

    fn lines(&self) -> String {
        let (red, green) = (AnsiColor::Red.on_default(), AnsiColor::Green.on_default());
        let removed = self
            .removed
            .iter()
            .map(|flag| format!("{red}- {flag}{red:#}"));
        let added = (self.added.iter()).map(|flag| format!("{green}+ {flag}{green:#}"));
        lines(&removed.chain(added).collect::<Vec<_>>())
    }
}

/// A line each.
fn lines(texts: &[String]) -> String {
    texts.iter().flat_map(|text| [text, "\n"]).collect()
}

impl Args {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let Self {
            selection,
            set,
            unset,
            json,
        } = self;
        let set = set.into_iter().map(|(name, value)| (name, Some(value)));
        let unset = unset.into_iter().map(|name| (name, None));
        let wanted: Vec<_> = set.chain(unset).collect();
        if let Some(name) = twice(&wanted) {
            conflict(&format!("`{name}` is given twice"));
        }
        let client = selection.connect()?;
        let before = ask(&client, &Request::Flags).await?;
        let running = by_name(&before);
        if let Some((name, _)) =
            (wanted.iter()).find(|(name, value)| value.is_none() && !running.contains_key(&**name))
        {
            anyhow::bail!("`{name}` is not set: `tokenlab flags` shows those that are");
        }
        let asked = !wanted.is_empty();
        let is_so = |(name, value): &(String, Option<String>)| {
            value
                .as_ref()
                .is_some_and(|value| running.get(&**name) == Some(&vec![&**value]))
        };
        let after = if asked && !wanted.iter().all(is_so) {
            let title = format!(
                "kube-apiserver of the lab `{}` with other flags",
                client.name()
            );
            let request = Request::SetFlags { flags: wanted };
            Progress::stderr()
                .step(&title, ask(&client, &request))
                .await?
        } else {
            before.clone()
        };
        let changed = Changes::between(&before, &after);
        if json {
            super::print_json(&Report {
                lab: client.name(),
                flags: by_name(&after),
                changed,
            })?;
        } else {
            let lines = if asked {
                changed.lines()
            } else {
                lines(&after)
            };
            if lines.is_empty() {
                let _ = writeln!(
                    anstream::stderr(),
                    "nothing changed: it runs with them already"
                );
            }
            write!(anstream::stdout().lock(), "{lines}").context(super::UNWRITABLE)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn ask(client: &Client, request: &Request) -> anyhow::Result<Vec<String>> {
    match client.ask(request).await? {
        Response::Flags(flags) => Ok(flags),
        _ => Err(client.other().into()),
    }
}

/// A flag that is named more than once.
fn twice(changes: &[(String, Option<String>)]) -> Option<&str> {
    let mut seen = HashSet::new();
    let mut names = changes.iter().map(|(name, _)| &**name);
    names.find(|name| !seen.insert(*name))
}

/// The values of each flag.
fn by_name(flags: &[String]) -> BTreeMap<&str, Vec<&str>> {
    let mut map = BTreeMap::<_, Vec<_>>::new();
    for flag in flags {
        let flag = flag.trim_start_matches('-');
        let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
        map.entry(name).or_default().push(value);
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(flags: &[&str]) -> Vec<String> {
        flags.iter().map(|&flag| flag.to_owned()).collect()
    }

    #[test]
    fn a_change_is_what_came_and_what_went() {
        let (before, after) = (
            owned(&["--a=1", "--b=2"]),
            owned(&["--b=2", "--a=3", "--a=4"]),
        );
        let changed = Changes::between(&before, &after);
        assert_eq!(changed.removed, ["--a=1"]);
        assert_eq!(changed.added, ["--a=3", "--a=4"]);
        assert_eq!(Changes::between(&after, &after).lines(), "");
        let by_name = by_name(&after);
        assert_eq!(by_name["a"], ["3", "4"]);
    }

    #[test]
    fn a_name_is_no_flag_with_a_value() {
        assert_eq!(name("--profiling").as_deref(), Ok("profiling"));
        assert!(name("profiling=true").is_err());
        assert!(name("--").is_err());
        let twice_set = [("a", None), ("b", None), ("a", Some("1"))];
        let owned = twice_set.map(|(name, value)| (name.to_owned(), value.map(str::to_owned)));
        assert_eq!(twice(&owned), Some("a"));
        assert_eq!(twice(&owned[..2]), None);
    }
}

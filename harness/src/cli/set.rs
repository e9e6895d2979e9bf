//! `tokenlab set`: what the webhook of a lab answers, and how.

mod settings;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use camino::Utf8PathBuf;
use clap::builder::NonEmptyStringValueParser;
use tokenlab_harness::Fault;
use tokenlab_harness::named::{Change, Request, Response, Script};
use tokenlab_webhook::Token;

use super::selection::Selection;
use super::token;

const EXAMPLES: &str = "\
Examples:
  tokenlab set                                    show what is set
  tokenlab set abc --user ann --group dev         the token `abc` is ann's
  tokenlab set abc --refuse                       … and now it is nobody's
  tokenlab set abc --forget                       … and now the mock's again
  tokenlab set --token-file token --user ann      the same, by a file
  tokenlab set --undecided 'why' --token-file -   by the standard input
  tokenlab set --latency 200ms                    every answer comes later
  tokenlab set --down                             connections are refused
  tokenlab set --up --latency 0 --no-fault        all as it was

What a command line has, every user of this machine can read while it runs.

The apiserver remembers answers: 2 minutes unless its flag
authentication-token-webhook-cache-ttl says otherwise, and good tokens
10 s more.";

/// With these there is no user. clap (4.6) lets go of what an argument requires once another one
/// forbids that.
const NO_USER: [&str; 5] = ["refuse", "undecided", "unavailable", "overloaded", "forget"];

/// Show or set what a lab's webhook answers to a token, how late, and whether it listens
#[derive(Debug, clap::Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
#[command(after_help = EXAMPLES)]
#[command(group = clap::ArgGroup::new("the-token"))]
#[command(group = clap::ArgGroup::new("answer"))]
#[command(group = clap::ArgGroup::new("listens"))]
#[command(group = clap::ArgGroup::new("fault"))]
pub(super) struct Args {
    /// The token
    #[arg(value_name = "TOKEN", group = "the-token", requires = "answer",
        value_parser = token::parse)]
    token: Option<Token>,

    /// A file with the token; `-`: the standard input, all of it
    #[arg(long, value_name = "FILE|-", group = "the-token", requires = "answer")]
    token_file: Option<Utf8PathBuf>,

    /// The token is this user's
    #[arg(long, value_name = "NAME", group = "answer", requires = "the-token",
        value_parser = NonEmptyStringValueParser::new())]
    user: Option<String>,

    /// The user's uid
    #[arg(long, requires = "user", conflicts_with_all = NO_USER)]
    uid: Option<String>,

    /// A group of the user's. May be given again
    #[arg(long = "group", value_name = "GROUP", requires = "user", conflicts_with_all = NO_USER)]
    groups: Vec<String>,

    /// What else is known of the user. May be given again, for one key too
    #[arg(long, value_name = "KEY=VALUE", requires = "user", conflicts_with_all = NO_USER, value_parser = extra)]
    extra: Vec<(String, String)>,

    /// Whom the token was made for. May be given again [default: not known, and so for everybody]
    #[arg(long = "audience", value_name = "AUDIENCE", requires = "user",
        conflicts_with_all = NO_USER,
        value_parser = NonEmptyStringValueParser::new())]
    audiences: Vec<String>,

    /// The token is nobody's
    #[arg(long, group = "answer", requires = "the-token")]
    refuse: bool,

    /// It cannot be found out whose the token is, for this reason
    #[arg(long, value_name = "REASON", group = "answer", requires = "the-token",
        value_parser = NonEmptyStringValueParser::new())]
    undecided: Option<String>,

    /// 503, for this reason: the apiserver does not ask again
    #[arg(long, value_name = "REASON", group = "answer", requires = "the-token",
        value_parser = NonEmptyStringValueParser::new())]
    unavailable: Option<String>,

    /// 429, for this reason: the apiserver asks up to five times
    #[arg(long, value_name = "REASON", group = "answer", requires = "the-token",
        value_parser = NonEmptyStringValueParser::new())]
    overloaded: Option<String>,

    /// The token is answered as one that nothing was set for
    #[arg(long, group = "answer", requires = "the-token")]
    forget: bool,

    /// How much later than it could the webhook answers: 200ms, 1.5s, 0
    #[arg(long, value_name = "TIME", value_parser = latency, allow_hyphen_values = true)]
    latency: Option<Duration>,

    /// Have the webhook listen no more: connections are refused
    #[arg(long, group = "listens")]
    down: bool,

    /// Have it listen again
    #[arg(long, group = "listens")]
    up: bool,

    /// Have it answer in the version that it is not asked in
    #[arg(long, group = "fault")]
    other_version: bool,

    /// Have it answer rightly again
    #[arg(long, group = "fault")]
    no_fault: bool,

    #[command(flatten)]
    lab: Selection,

    /// Print what is set then as JSON
    #[arg(long)]
    json: bool,
}

fn extra(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("it is `KEY=VALUE`".to_owned()),
    }
}

fn latency(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let time = text.parse::<jiff::SignedDuration>().ok();
    time.and_then(|time| time.try_into().ok())
        .ok_or_else(|| "it is a length of time, such as `200ms` or `1.5s`".to_owned())
}

impl Args {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let Self {
            token,
            token_file,
            user,
            uid,
            groups,
            extra,
            audiences,
            refuse,
            undecided,
            unavailable,
            overloaded,
            forget,
            latency,
            down,
            up,
            other_version,
            no_fault,
            lab,
            json,
        } = self;
        let script = if let Some(user) = user {
            let mut all = BTreeMap::<_, Vec<_>>::new();
            for (key, value) in extra {
                all.entry(key).or_default().push(value);
            }
            Some(Script::Authenticated {
                user,
                uid: uid.unwrap_or_default(),
                groups,
                extra: all,
                audiences,
            })
        } else if refuse {
            Some(Script::Refused)
        } else {
            undecided
                .map(|reason| Script::Undecided { reason })
                .or(unavailable.map(|reason| Script::Unavailable { reason }))
                .or(overloaded.map(|reason| Script::Overloaded { reason }))
        };
        let mut changes = Vec::new();
        if script.is_some() || forget {
            let token = match (token, token_file) {
                (_, Some(path)) => token::read(&path)?,
                (token, None) => token.context("no token was given")?,
            };
            changes.push(Change::Token { token, script });
        }
        changes.extend(latency.map(Change::Latency));
        if other_version || no_fault {
            changes.push(Change::Fault(other_version.then_some(Fault::OtherVersion)));
        }
        if down || up {
            changes.push(Change::Up(up));
        }
        let client = lab.connect()?;
        let note = settings::Note::of(&changes);
        let Response::Settings(settings) = client.ask(&Request::Set { changes }).await? else {
            return Err(client.other().into());
        };
        if json {
            super::print_json(&settings)?;
        } else {
            settings::print(&settings)?;
        }
        note.print(&settings);
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        for (text, milliseconds) in [("200ms", 200), ("1.5s", 1500), ("0", 0), ("1m30s", 90_000)] {
            assert_eq!(
                latency(text),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
        for text in ["", "200", "-1s", "1 parsec", "ms"] {
            assert!(latency(text).is_err(), "{text}");
        }
    }
}

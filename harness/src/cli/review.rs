//! `tokenlab review`: what the webhook answers to a token.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use anyhow::Context as _;
use camino::Utf8PathBuf;
use serde::Serialize;
use tokenlab_harness::named::{LabName, Request, Response};
use tokenlab_harness::{Reviewed, Verdict};
use tokenlab_webhook::Token;

use super::selection::Selection;
use super::token;

const EXAMPLES: &str = "\
Examples:
  tokenlab review ZGVtbW8tcGFzc3dvcmQ=
  tokenlab review -l mine --token-file - --audience https://example.org
  tokenlab review --json anything | jq '.reviews[].answer.status'

It succeeds (exit status 0) only if the token is good in both versions.";

/// Post a token straight to a lab's webhook, in both versions of TokenReview
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    selection: Selection,

    /// The token
    #[arg(value_parser = token::parse, required_unless_present = "token_file")]
    token: Option<Token>,

    /// A file with the token; `-`: the standard input, all of it
    #[arg(long, value_name = "FILE|-", conflicts_with = "token")]
    token_file: Option<Utf8PathBuf>,

    /// Whom the token must be for. May be given again [default: the question names nobody]
    #[arg(long = "audience", value_name = "AUDIENCE")]
    audiences: Vec<String>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    lab: &'a LabName,
    authenticated: bool,
    reviews: Vec<Reviewed>,
}

impl Args {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let Self {
            selection,
            token,
            token_file,
            audiences,
            json,
        } = self;
        let token = match (token, token_file) {
            (_, Some(path)) => token::read(&path)?,
            (token, None) => token.context("no token was given")?,
        };
        let client = selection.connect()?;
        let Response::Reviewed(reviews) = client.ask(&Request::Review { token, audiences }).await?
        else {
            return Err(client.other().into());
        };
        let authenticated = reviews.iter().all(Reviewed::is_authenticated);
        if json {
            super::print_json(&Report {
                lab: client.name(),
                authenticated,
                reviews,
            })?;
        } else {
            let mut stdout = anstream::stdout().lock();
            for review in &reviews {
                write!(stdout, "{}", text(review)?).context(super::UNWRITABLE)?;
            }
        }
        Ok(if authenticated {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

fn text(review: &Reviewed) -> anyhow::Result<String> {
    let bold = Style::new().bold();
    let dim = Style::new().dimmed();
    let (color, verdict) = match &review.verdict {
        Verdict::Authenticated { user, uid, groups } => {
            let who = who(user, uid, groups);
            (AnsiColor::Green, format!("authenticated: {who}"))
        }
        Verdict::Refused => (AnsiColor::Yellow, "refused".to_owned()),
        Verdict::Failed { reason } => (AnsiColor::Red, format!("failed: {reason}")),
        _ => (AnsiColor::Red, "unknown".to_owned()),
    };
    let color = color.on_default();
    let version = &review.api_version;
    let took = Duration::from_micros(review.latency_us).as_secs_f64() * 1000.0;
    let status = review.status;
    let answer = match &review.answer {
        serde_json::Value::String(text) => text.clone(),
        answer => serde_json::to_string_pretty(answer)?,
    };
    Ok(format!(
        "{bold}{version}{bold:#}  {color}{verdict}{color:#}  {dim}HTTP {status}, {took:.1} ms{dim:#}\n{answer}\n"
    ))
}

/// `ann (uid 7, groups a b)`.
fn who(user: &str, uid: &str, groups: &[String]) -> String {
    let name = if user.is_empty() { "nobody" } else { user };
    let uid = (!uid.is_empty()).then(|| format!("uid {uid}"));
    let groups = (!groups.is_empty()).then(|| format!("groups {}", groups.join(" ")));
    let more: Vec<_> = uid.into_iter().chain(groups).collect();
    if more.is_empty() {
        name.to_owned()
    } else {
        format!("{name} ({})", more.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_in_words() {
        let groups = ["a", "b"].map(str::to_owned);
        assert_eq!(who("ann", "", &[]), "ann");
        assert_eq!(who("ann", "7", &groups), "ann (uid 7, groups a b)");
        assert_eq!(who("", "", &[]), "nobody");
    }
}

//! What is set, for a person to read.

use std::io::Write as _;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use anyhow::Context as _;
use tokenlab_harness::named::{Change, Script, Settings};

use crate::cli::UNWRITABLE;
use crate::cli::table::aligned;

pub(super) fn print(settings: &Settings) -> anyhow::Result<()> {
    let written = write!(anstream::stdout().lock(), "{}", text(settings));
    written.context(UNWRITABLE)
}

fn text(settings: &Settings) -> String {
    let bold = Style::new().bold();
    let red = AnsiColor::Red.on_default().bold();
    let listens = if settings.up {
        "listens".to_owned()
    } else {
        format!("{red}down{red:#}: connections are refused")
    };
    let answers = match settings.fault {
        Some(fault) => format!("{red}{fault}{red:#}"),
        None => "as it should".to_owned(),
    };
    let late = match Duration::from_micros(settings.latency_us) {
        Duration::ZERO => "at once".to_owned(),
        latency => format!("{latency:?} later"),
    };
    let mut text = format!("webhook  {listens}\nanswers  {answers}, {late}\n");
    if settings.tokens.is_empty() {
        text.push_str("tokens   each is the mock's\n");
        return text;
    }
    text.push_str("tokens   each is the mock's, but for\n\n");
    let rows = settings.tokens.iter();
    let rows = rows.map(|token| [token.token.to_string(), script(&token.script)]);
    let head = ["TOKEN", "ANSWER"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    for (index, line) in aligned(&rows).into_iter().enumerate() {
        let style = if index == 0 { bold } else { Style::new() };
        text.push_str(&format!("{style}{line}{style:#}\n"));
    }
    text
}

fn script(script: &Script) -> String {
    match script {
        Script::Authenticated {
            user,
            uid,
            groups,
            extra,
            audiences,
        } => {
            let mut text = format!("user \"{user}\"");
            if !uid.is_empty() {
                text.push_str(&format!(", uid {uid}"));
            }
            if !groups.is_empty() {
                text.push_str(&format!(", groups {}", groups.join(" ")));
            }
            for (key, values) in extra {
                text.push_str(&format!(", {key}={}", values.join(" ")));
            }
            if !audiences.is_empty() {
                text.push_str(&format!(", for {}", audiences.join(" ")));
            }
            text
        }
        Script::Refused => "refused".to_owned(),
        Script::Undecided { reason } => format!("undecided: {reason}"),
        _ => "unknown".to_owned(),
    }
}

/// Says what the apiserver still goes by. When nobody reads it, nothing is lost.
pub(super) fn note(changes: &[Change], settings: &Settings) {
    let remembered = settings
        .tokens
        .iter()
        .filter_map(|token| token.remembered_s);
    let memory = span(settings.memory_s);
    let note = match changes {
        [] => return,
        [Change::Token { script: None, .. }, ..] => {
            format!("what the token was answered before, the apiserver may remember for {memory}")
        }
        [Change::Token { .. }, ..] => match remembered.max() {
            Some(left) => format!(
                "the apiserver may still go by an earlier answer, for {} at the most",
                span(left)
            ),
            None => return,
        },
        _ => format!(
            "a token that the webhook was asked about in the last {memory} may be answered from the \
             apiserver's memory"
        ),
    };
    let dim = Style::new().dimmed();
    let _ = writeln!(anstream::stderr().lock(), "\n{dim}note:{dim:#} {note}");
}

fn span(seconds: u64) -> String {
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        assert_eq!([10, 120, 130].map(span), ["10 s", "2 min", "2 min 10 s"]);
    }
}

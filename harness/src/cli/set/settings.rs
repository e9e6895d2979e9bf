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
    let mut lines = aligned(&rows);
    lines[0] = format!("{bold}{}{bold:#}", lines[0]);
    text + &lines.join("\n") + "\n"
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
            let listed = |name: &str, values: &[String]| {
                (!values.is_empty()).then(|| format!("{name}{}", values.join(" ")))
            };
            let extra = extra.iter();
            let extra = extra.filter_map(|(key, values)| listed(&format!("{key}="), values));
            std::iter::once(format!("user \"{user}\""))
                .chain((!uid.is_empty()).then(|| format!("uid {uid}")))
                .chain(listed("groups ", groups))
                .chain(extra)
                .chain(listed("for ", audiences))
                .collect::<Vec<_>>()
                .join(", ")
        }
        Script::Refused => "refused".to_owned(),
        Script::Undecided { reason } => format!("undecided: {reason}"),
        Script::Unavailable { reason } => format!("unavailable (503): {reason}"),
        Script::Overloaded { reason } => format!("overloaded (429): {reason}"),
        _ => "unknown".to_owned(),
    }
}

/// What is to be said of a change: the apiserver may still go by what was.
pub(super) enum Note {
    /// Nothing changed.
    Nothing,
    /// A token is answered otherwise, and the settings tell how long it is remembered.
    Token,
    /// A token is answered as any other.
    Forgotten,
    /// Something changed for all tokens.
    All,
}

impl Note {
    pub(super) fn of(changes: &[Change]) -> Self {
        match changes {
            [] => Self::Nothing,
            [Change::Token { script: None, .. }, ..] => Self::Forgotten,
            [Change::Token { .. }, ..] => Self::Token,
            _ => Self::All,
        }
    }

    /// Says it. When nobody reads it, nothing is lost.
    pub(super) fn print(&self, settings: &Settings) {
        let memory = span(settings.memory_s);
        let remembered = settings
            .tokens
            .iter()
            .filter_map(|token| token.remembered_s);
        let note = match (self, remembered.max()) {
            (Self::Nothing, _) | (Self::Token, None) => return,
            (Self::Token, Some(left)) => format!(
                "the apiserver may still go by an earlier answer, for {} at the most",
                span(left)
            ),
            (Self::Forgotten, _) => format!(
                "what the token was answered before, the apiserver may remember for {memory}"
            ),
            (Self::All, _) => format!(
                "a token that the webhook was asked about in the last {memory} may be answered from \
                 the apiserver's memory"
            ),
        };
        let dim = Style::new().dimmed();
        let _ = writeln!(anstream::stderr().lock(), "\n{dim}note:{dim:#} {note}");
    }
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
    fn all_that_is_set_of_a_user() {
        let user = Script::Authenticated {
            user: "ann".to_owned(),
            uid: "7".to_owned(),
            groups: vec!["a".to_owned(), "b".to_owned()],
            extra: [("example.org/team".to_owned(), vec!["red".to_owned()])].into(),
            audiences: vec!["x".to_owned()],
        };
        let text = "user \"ann\", uid 7, groups a b, example.org/team=red, for x";
        assert_eq!(script(&user), text);
    }

    #[test]
    fn spans() {
        assert_eq!([10, 120, 130].map(span), ["10 s", "2 min", "2 min 10 s"]);
    }
}
